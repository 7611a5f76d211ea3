/*
 * Instruction decoder, compressed half: what each 16-bit word expands to.
 *
 * RISC-V unprivileged ISA, chapter "C", tables "Instruction listing for RVC, Quadrant 0, 1, 2".
 *
 * The surprise: a word whose immediate or register is zero is by turns reserved, a HINT or a
 * different instruction: C.JR, C.MV, C.EBREAK, C.JALR and C.ADD share one row of the quadrant 2
 * table.
 */
#include "decode_internal.h"

/* --- fields and immediates --- */

#define X_RA 1
#define X_SP 2

/* The three-bit register fields name x8..x15 (f8..f15). */
static inline uint8_t prime_low(uint32_t raw)
{
    return (uint8_t)(8 + bits(raw, 2, 3));
}

static inline uint8_t prime_high(uint32_t raw)
{
    return (uint8_t)(8 + bits(raw, 7, 3));
}

static inline uint8_t field_c_rs2(uint32_t raw)
{
    return (uint8_t)bits(raw, 2, 5);
}

static inline int32_t imm_c_word(uint32_t raw) /* C.LW C.SW */
{
    return (int32_t)(bits(raw, 5, 1) << 6 | bits(raw, 10, 3) << 3 | bits(raw, 6, 1) << 2);
}

static inline int32_t imm_c_double(uint32_t raw) /* C.LD C.SD C.FLD C.FSD */
{
    return (int32_t)(bits(raw, 5, 2) << 6 | bits(raw, 10, 3) << 3);
}

static inline int32_t imm_c_lwsp(uint32_t raw)
{
    return (int32_t)(bits(raw, 2, 2) << 6 | bits(raw, 12, 1) << 5 | bits(raw, 4, 3) << 2);
}

static inline int32_t imm_c_ldsp(uint32_t raw)
{
    return (int32_t)(bits(raw, 2, 3) << 6 | bits(raw, 12, 1) << 5 | bits(raw, 5, 2) << 3);
}

static inline int32_t imm_c_swsp(uint32_t raw)
{
    return (int32_t)(bits(raw, 7, 2) << 6 | bits(raw, 9, 4) << 2);
}

static inline int32_t imm_c_sdsp(uint32_t raw)
{
    return (int32_t)(bits(raw, 7, 3) << 6 | bits(raw, 10, 3) << 3);
}

static inline int32_t imm_c_addi4spn(uint32_t raw)
{
    return (int32_t)(bits(raw, 7, 4) << 6 | bits(raw, 11, 2) << 4 | bits(raw, 5, 1) << 3 |
                     bits(raw, 6, 1) << 2);
}

static inline uint32_t shamt_c(uint32_t raw)
{
    return bits(raw, 12, 1) << 5 | bits(raw, 2, 5);
}

static inline int32_t imm_c_i(uint32_t raw) /* C.ADDI C.ADDIW C.LI C.ANDI; C.LUI before its shift */
{
    return sign_extend(shamt_c(raw), 6);
}

static inline int32_t imm_c_addi16sp(uint32_t raw)
{
    return sign_extend(bits(raw, 12, 1) << 9 | bits(raw, 3, 2) << 7 | bits(raw, 5, 1) << 6 |
                           bits(raw, 2, 1) << 5 | bits(raw, 6, 1) << 4,
                       10);
}

static inline int32_t imm_c_j(uint32_t raw)
{
    return sign_extend(bits(raw, 12, 1) << 11 | bits(raw, 8, 1) << 10 | bits(raw, 9, 2) << 8 |
                           bits(raw, 6, 1) << 7 | bits(raw, 7, 1) << 6 | bits(raw, 2, 1) << 5 |
                           bits(raw, 11, 1) << 4 | bits(raw, 3, 3) << 1,
                       12);
}

static inline int32_t imm_c_b(uint32_t raw)
{
    return sign_extend(bits(raw, 12, 1) << 8 | bits(raw, 5, 2) << 6 | bits(raw, 2, 1) << 5 |
                           bits(raw, 10, 2) << 3 | bits(raw, 3, 2) << 1,
                       9);
}

/* --- what each expands to --- */

static struct insn c_insn(uint32_t raw, enum insn_op op, uint8_t rd, uint8_t rs1, uint8_t rs2,
                          int32_t imm)
{
    struct insn insn = {.raw = raw, .op = (uint8_t)op, .length = 2, .imm = imm};
    insn.rd = rd;
    insn.rs1 = rs1;
    insn.rs2 = rs2;
    return insn;
}

static struct insn c_load(uint32_t raw, enum insn_op op, uint8_t width, uint8_t rd, uint8_t rs1,
                          int32_t imm)
{
    struct insn insn = c_insn(raw, op, rd, rs1, 0, imm);
    insn.width = width;
    insn.sign = op == INSN_LOAD;
    return insn;
}

static struct insn c_store(uint32_t raw, enum insn_op op, uint8_t width, uint8_t rs2, uint8_t rs1,
                           int32_t imm)
{
    struct insn insn = c_insn(raw, op, 0, rs1, rs2, imm);
    insn.width = width;
    return insn;
}

static struct insn c_alu_imm(uint32_t raw, enum insn_alu funct, uint8_t rd, uint8_t rs1,
                             int32_t imm)
{
    struct insn insn = c_insn(raw, INSN_ALU_IMM, rd, rs1, 0, imm);
    insn.funct = (uint8_t)funct;
    return insn;
}

static struct insn c_alu_reg(uint32_t raw, enum insn_alu funct, uint8_t rd, uint8_t rs1,
                             uint8_t rs2)
{
    struct insn insn = c_insn(raw, INSN_ALU_REG, rd, rs1, rs2, 0);
    insn.funct = (uint8_t)funct;
    return insn;
}

static struct insn c_branch(uint32_t raw, enum insn_branch funct)
{
    struct insn insn = c_insn(raw, INSN_BRANCH, 0, prime_high(raw), 0, imm_c_b(raw));
    insn.funct = (uint8_t)funct;
    return insn;
}

/* Quadrant 1, funct3 = 011. A zero immediate is reserved for every rd. */
static struct insn c_lui(uint32_t raw)
{
    if (shamt_c(raw) == 0)
        return decode_illegal(raw);
    if (field_rd(raw) == X_SP)
        return c_alu_imm(raw, ALU_ADD, X_SP, X_SP, imm_c_addi16sp(raw));
    return (struct insn){
        .raw = raw, .op = INSN_LUI, .length = 2, .imm = imm_c_i(raw) * 4096, .rd = field_rd(raw)};
}

/* Quadrant 1, funct3 = 100. */
static struct insn c_misc_alu(uint32_t raw)
{
    static const uint8_t reg_op[8] = {
        ALU_SUB, ALU_XOR, ALU_OR, ALU_AND, ALU_SUBW, ALU_ADDW, /* 6, 7: reserved (Zcb) */
    };
    uint8_t rd = prime_high(raw);
    unsigned row = bits(raw, 12, 1) << 2 | bits(raw, 5, 2);
    switch (bits(raw, 10, 2)) {
    case 0: return c_alu_imm(raw, ALU_SRL, rd, rd, (int32_t)shamt_c(raw));
    case 1: return c_alu_imm(raw, ALU_SRA, rd, rd, (int32_t)shamt_c(raw));
    case 2: return c_alu_imm(raw, ALU_AND, rd, rd, imm_c_i(raw));
    default:
        if (row > 5)
            return decode_illegal(raw);
        return c_alu_reg(raw, (enum insn_alu)reg_op[row], rd, rd, prime_low(raw));
    }
}

/* Quadrant 2, funct3 = 100: five instructions, told apart by bit 12 and by zero registers. */
static struct insn c_jump_move_add(uint32_t raw)
{
    uint8_t rd = field_rd(raw), rs2 = field_c_rs2(raw);
    bool bit12 = bits(raw, 12, 1) != 0;
    if (rs2 != 0)
        return c_alu_reg(raw, ALU_ADD, rd, bit12 ? rd : 0, rs2); /* C.ADD, C.MV */
    if (rd != 0)
        return c_insn(raw, INSN_JALR, bit12 ? X_RA : 0, rd, 0, 0); /* C.JALR, C.JR */
    if (!bit12)
        return decode_illegal(raw);
    return c_insn(raw, INSN_EBREAK, 0, 0, 0, 0);
}

static struct insn quadrant0(uint32_t raw)
{
    uint8_t low = prime_low(raw), base = prime_high(raw);
    switch (bits(raw, 13, 3)) {
    case 0: /* C.ADDI4SPN; zero is reserved, and the all-zero word with it */
        if (imm_c_addi4spn(raw) == 0)
            return decode_illegal(raw);
        return c_alu_imm(raw, ALU_ADD, low, X_SP, imm_c_addi4spn(raw));
    case 1: return c_load(raw, INSN_FLOAT_LOAD, 8, low, base, imm_c_double(raw));
    case 2: return c_load(raw, INSN_LOAD, 4, low, base, imm_c_word(raw));
    case 3: return c_load(raw, INSN_LOAD, 8, low, base, imm_c_double(raw));
    case 5: return c_store(raw, INSN_FLOAT_STORE, 8, low, base, imm_c_double(raw));
    case 6: return c_store(raw, INSN_STORE, 4, low, base, imm_c_word(raw));
    case 7: return c_store(raw, INSN_STORE, 8, low, base, imm_c_double(raw));
    default: return decode_illegal(raw); /* 4: reserved (Zcb) */
    }
}

static struct insn quadrant1(uint32_t raw)
{
    uint8_t rd = field_rd(raw);
    switch (bits(raw, 13, 3)) {
    case 0: return c_alu_imm(raw, ALU_ADD, rd, rd, imm_c_i(raw)); /* C.ADDI, C.NOP */
    case 1: return rd != 0 ? c_alu_imm(raw, ALU_ADDW, rd, rd, imm_c_i(raw)) : decode_illegal(raw);
    case 2: return c_alu_imm(raw, ALU_ADD, rd, 0, imm_c_i(raw)); /* C.LI */
    case 3: return c_lui(raw);
    case 4: return c_misc_alu(raw);
    case 5: return c_insn(raw, INSN_JAL, 0, 0, 0, imm_c_j(raw)); /* C.J */
    case 6: return c_branch(raw, BRANCH_EQ);
    default: return c_branch(raw, BRANCH_NE);
    }
}

static struct insn quadrant2(uint32_t raw)
{
    uint8_t rd = field_rd(raw), rs2 = field_c_rs2(raw);
    switch (bits(raw, 13, 3)) {
    case 0: return c_alu_imm(raw, ALU_SLL, rd, rd, (int32_t)shamt_c(raw));
    case 1: return c_load(raw, INSN_FLOAT_LOAD, 8, rd, X_SP, imm_c_ldsp(raw));
    case 2:
        return rd != 0 ? c_load(raw, INSN_LOAD, 4, rd, X_SP, imm_c_lwsp(raw)) : decode_illegal(raw);
    case 3:
        return rd != 0 ? c_load(raw, INSN_LOAD, 8, rd, X_SP, imm_c_ldsp(raw)) : decode_illegal(raw);
    case 4: return c_jump_move_add(raw);
    case 5: return c_store(raw, INSN_FLOAT_STORE, 8, rs2, X_SP, imm_c_sdsp(raw));
    case 6: return c_store(raw, INSN_STORE, 4, rs2, X_SP, imm_c_swsp(raw));
    default: return c_store(raw, INSN_STORE, 8, rs2, X_SP, imm_c_sdsp(raw));
    }
}

struct insn decode_compressed(uint32_t raw)
{
    switch (raw & 3) {
    case 0: return quadrant0(raw);
    case 1: return quadrant1(raw);
    default: return quadrant2(raw);
    }
}
