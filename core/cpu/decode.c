/*
 * Instruction decoder: RV64IMAFDC, Zicsr, Zifencei, Zicbom, Zicboz, Svinval, hypervisor instructions.
 *
 * RISC-V unprivileged ISA, "RV32/64G Instruction Set Listings" and "C" chapter (tables of the three
 * quadrants); privileged ISA, "RISC-V Privileged Instruction Set Listings".
 *
 * The surprise: legality lives in the corners. A compressed word whose immediate or register is zero
 * is by turns reserved, a HINT or a different instruction (C.JR, C.MV, C.EBREAK, C.JALR, C.ADD share
 * one row of the quadrant-2 table), and SRET with one wrong bit is not SRET.
 */
#include "decode.h"

/* Bits [low, low+count) of the word, and the same sign-extended. */
static inline uint32_t bits(uint32_t word, unsigned low, unsigned count)
{
    return word >> low & ((1u << count) - 1);
}

static inline int32_t sign_extend(uint32_t value, unsigned width)
{
    uint32_t top = 1u << (width - 1);

    return (int32_t)((value ^ top) - top);
}

/* --- 32-bit instructions: fields and immediates ----------------------------------------------- */

static inline uint8_t field_rd(uint32_t raw)
{
    return (uint8_t)bits(raw, 7, 5);
}

static inline uint8_t field_rs1(uint32_t raw)
{
    return (uint8_t)bits(raw, 15, 5);
}

static inline uint8_t field_rs2(uint32_t raw)
{
    return (uint8_t)bits(raw, 20, 5);
}

static inline unsigned field_funct3(uint32_t raw)
{
    return bits(raw, 12, 3);
}

static inline unsigned field_funct7(uint32_t raw)
{
    return bits(raw, 25, 7);
}

static inline int32_t imm_i(uint32_t raw)
{
    return sign_extend(bits(raw, 20, 12), 12);
}

static inline int32_t imm_s(uint32_t raw)
{
    return sign_extend(bits(raw, 25, 7) << 5 | bits(raw, 7, 5), 12);
}

static inline int32_t imm_b(uint32_t raw)
{
    return sign_extend(bits(raw, 31, 1) << 12 | bits(raw, 7, 1) << 11 | bits(raw, 25, 6) << 5 |
                           bits(raw, 8, 4) << 1,
                       13);
}

static inline int32_t imm_j(uint32_t raw)
{
    return sign_extend(bits(raw, 31, 1) << 20 | bits(raw, 12, 8) << 12 | bits(raw, 20, 1) << 11 |
                           bits(raw, 21, 10) << 1,
                       21);
}

static inline struct insn illegal(uint32_t raw)
{
    return (struct insn){
        .raw = raw, .op = INSN_ILLEGAL, .length = (uint8_t)insn_length((uint16_t)raw)};
}

static inline struct insn plain(uint32_t raw, enum insn_op op)
{
    return (struct insn){.raw = raw, .op = (uint8_t)op, .length = 4};
}

/* --- loads, stores, atomics, cache blocks ----------------------------------------------------- */

static struct insn load(uint32_t raw)
{
    unsigned funct3 = field_funct3(raw); /* LB LH LW LD LBU LHU LWU, reserved */

    if (funct3 == 7)
        return illegal(raw);
    return (struct insn){.raw = raw,
                         .op = INSN_LOAD,
                         .length = 4,
                         .imm = imm_i(raw),
                         .rd = field_rd(raw),
                         .rs1 = field_rs1(raw),
                         .width = (uint8_t)(1u << (funct3 & 3)),
                         .sign = funct3 < 4};
}

static struct insn store(uint32_t raw)
{
    unsigned funct3 = field_funct3(raw); /* SB SH SW SD, reserved */

    if (funct3 > 3)
        return illegal(raw);
    return (struct insn){.raw = raw,
                         .op = INSN_STORE,
                         .length = 4,
                         .imm = imm_s(raw),
                         .rs1 = field_rs1(raw),
                         .rs2 = field_rs2(raw),
                         .width = (uint8_t)(1u << funct3)};
}

static struct insn float_load(uint32_t raw)
{
    unsigned funct3 = field_funct3(raw); /* FLW 2, FLD 3; others are Zfh, Q and V */

    if (funct3 != 2 && funct3 != 3)
        return illegal(raw);
    return (struct insn){.raw = raw,
                         .op = INSN_FLOAT_LOAD,
                         .length = 4,
                         .imm = imm_i(raw),
                         .rd = field_rd(raw),
                         .rs1 = field_rs1(raw),
                         .width = (uint8_t)(1u << funct3)};
}

static struct insn float_store(uint32_t raw)
{
    unsigned funct3 = field_funct3(raw);

    if (funct3 != 2 && funct3 != 3)
        return illegal(raw);
    return (struct insn){.raw = raw,
                         .op = INSN_FLOAT_STORE,
                         .length = 4,
                         .imm = imm_s(raw),
                         .rs1 = field_rs1(raw),
                         .rs2 = field_rs2(raw),
                         .width = (uint8_t)(1u << funct3)};
}

/* By bits 31:27; what is not named here is reserved (Zacas, Zabha ...). INSN_ILLEGAL is 0. */
static const uint8_t atomic_op[32] = {
    [0x00] = INSN_AMO,                                      /* AMOADD */
    [0x01] = INSN_AMO,                                      /* AMOSWAP */
    [0x02] = INSN_LR,  [0x03] = INSN_SC, [0x04] = INSN_AMO, /* AMOXOR */
    [0x08] = INSN_AMO,                                      /* AMOOR */
    [0x0c] = INSN_AMO,                                      /* AMOAND */
    [0x10] = INSN_AMO,                                      /* AMOMIN */
    [0x14] = INSN_AMO,                                      /* AMOMAX */
    [0x18] = INSN_AMO,                                      /* AMOMINU */
    [0x1c] = INSN_AMO,                                      /* AMOMAXU */
};

static struct insn atomic(uint32_t raw)
{
    unsigned funct3 = field_funct3(raw); /* 2 .W, 3 .D */
    uint8_t op = atomic_op[bits(raw, 27, 5)];

    if (op == INSN_ILLEGAL || (funct3 != 2 && funct3 != 3) ||
        (op == INSN_LR && field_rs2(raw) != 0))
        return illegal(raw);
    return (struct insn){.raw = raw,
                         .op = op,
                         .length = 4,
                         .rd = field_rd(raw),
                         .rs1 = field_rs1(raw),
                         .rs2 = field_rs2(raw),
                         .width = (uint8_t)(1u << funct3)};
}

/* FENCE and FENCE.I: the unused fields are reserved and must be ignored, so none can be illegal. */
static struct insn misc_mem(uint32_t raw)
{
    uint32_t which = bits(raw, 20, 12); /* CBO: 0 inval, 1 clean, 2 flush, 4 zero */

    switch (field_funct3(raw)) {
    case 0: return plain(raw, INSN_OTHER);
    case 1: return plain(raw, INSN_FENCE_I);
    case 2:
        if (field_rd(raw) != 0 || which == 3 || which > 4)
            return illegal(raw);
        return (struct insn){
            .raw = raw, .op = INSN_CBO, .length = 4, .imm = (int32_t)which, .rs1 = field_rs1(raw)};
    default: return illegal(raw);
    }
}

/* --- system ----------------------------------------------------------------------------------- */

/* SYSTEM, funct3 = 0, without operands: the whole word must match. */
static const struct {
    uint32_t raw;
    uint8_t op;
} system_word[] = {
    {0x00000073, INSN_ECALL},
    {0x00100073, INSN_EBREAK},
    {0x10200073, INSN_SRET},
    {0x30200073, INSN_MRET},
    {0x10500073, INSN_WFI},
    {0x18000073, INSN_SFENCE_W_INVAL},
    {0x18100073, INSN_SFENCE_INVAL_IR},
};

static struct insn system_plain(uint32_t raw)
{
    uint8_t op = INSN_ILLEGAL;

    switch (field_funct7(raw)) {
    case 0x09: op = INSN_SFENCE_VMA; break;
    case 0x0b: op = INSN_SINVAL_VMA; break;
    case 0x11: /* HFENCE.VVMA */
    case 0x13: /* HINVAL.VVMA */
    case 0x31: /* HFENCE.GVMA */
    case 0x33: /* HINVAL.GVMA */ op = INSN_HYPERVISOR; break;
    default:
        for (unsigned i = 0; i < sizeof(system_word) / sizeof(system_word[0]); i++) {
            if (system_word[i].raw == raw)
                return plain(raw, (enum insn_op)system_word[i].op);
        }
    }
    if (op == INSN_ILLEGAL || field_rd(raw) != 0)
        return illegal(raw);
    return (struct insn){
        .raw = raw, .op = op, .length = 4, .rs1 = field_rs1(raw), .rs2 = field_rs2(raw)};
}

/* SYSTEM, funct3 = 4: by funct7 - 0x30, which rs2 values name an instruction: HLV, HLV..U, HLVX.
 * Odd rows are HSV.B .H .W .D, whose rs2 is an operand and whose rd must be 0. */
static const uint8_t hypervisor_rs2[8] = {0x3, 0, 0xb, 0, 0xb, 0, 0x1, 0};

static struct insn system_hypervisor(uint32_t raw)
{
    unsigned row = field_funct7(raw) - 0x30, rs2 = field_rs2(raw);
    struct insn insn = {
        .raw = raw, .op = INSN_HYPERVISOR, .length = 4, .rd = field_rd(raw), .rs1 = field_rs1(raw)};

    if (row > 7)
        return illegal(raw);
    if (row & 1) {
        insn.rs2 = field_rs2(raw);
        return insn.rd == 0 ? insn : illegal(raw);
    }
    return rs2 < 4 && (hypervisor_rs2[row] >> rs2 & 1) ? insn : illegal(raw);
}

/* By the low two bits of funct3. */
static const uint8_t csr_op[4] = {INSN_ILLEGAL, INSN_CSRRW, INSN_CSRRS, INSN_CSRRC};

static struct insn system_insn(uint32_t raw)
{
    unsigned funct3 = field_funct3(raw);
    bool immediate = funct3 > 4;

    if (funct3 == 0)
        return system_plain(raw);
    if (funct3 == 4)
        return system_hypervisor(raw);
    return (struct insn){.raw = raw,
                         .op = csr_op[funct3 & 3],
                         .length = 4,
                         .rd = field_rd(raw),
                         .rs1 = field_rs1(raw),
                         .csr = (uint16_t)bits(raw, 20, 12),
                         .immediate = immediate,
                         .imm = immediate ? field_rs1(raw) : 0};
}

/* --- integer computation and control flow ----------------------------------------------------- */

/* By funct3. Row 5 is SRL, and SRA with bit 30 set; row 0 of OP is SUB with bit 30 set. */
static const uint8_t alu_op[8] = {
    ALU_ADD, ALU_SLL, ALU_SLT, ALU_SLTU, ALU_XOR, ALU_SRL, ALU_OR, ALU_AND,
};

static struct insn alu_imm(uint32_t raw)
{
    unsigned funct3 = field_funct3(raw), funct6 = bits(raw, 26, 6);
    struct insn insn = {.raw = raw,
                        .op = INSN_ALU_IMM,
                        .length = 4,
                        .imm = imm_i(raw),
                        .rd = field_rd(raw),
                        .rs1 = field_rs1(raw),
                        .funct = alu_op[funct3]};

    if (funct3 != 1 && funct3 != 5)
        return insn;
    insn.imm = (int32_t)bits(raw, 20, 6);
    if (funct3 == 5 && funct6 == 0x10)
        insn.funct = ALU_SRA;
    else if (funct6 != 0)
        return illegal(raw);
    return insn;
}

static struct insn alu_imm_w(uint32_t raw)
{
    struct insn insn = {.raw = raw,
                        .op = INSN_ALU_IMM,
                        .length = 4,
                        .imm = imm_i(raw),
                        .rd = field_rd(raw),
                        .rs1 = field_rs1(raw),
                        .funct = ALU_ADDW};

    if (field_funct3(raw) == 0)
        return insn;
    insn.imm = (int32_t)bits(raw, 20, 5);
    switch (field_funct7(raw) << 3 | field_funct3(raw)) {
    case 0x00 << 3 | 1: insn.funct = ALU_SLLW; return insn;
    case 0x00 << 3 | 5: insn.funct = ALU_SRLW; return insn;
    case 0x20 << 3 | 5: insn.funct = ALU_SRAW; return insn;
    default: return illegal(raw);
    }
}

static struct insn alu_reg(uint32_t raw)
{
    unsigned funct3 = field_funct3(raw);
    struct insn insn = {.raw = raw,
                        .op = INSN_ALU_REG,
                        .length = 4,
                        .rd = field_rd(raw),
                        .rs1 = field_rs1(raw),
                        .rs2 = field_rs2(raw),
                        .funct = alu_op[funct3]};

    switch (field_funct7(raw)) {
    case 0x00: return insn;
    case 0x01: /* MUL ... REMU */ return plain(raw, INSN_OTHER);
    case 0x20:
        if (funct3 == 0)
            insn.funct = ALU_SUB;
        else if (funct3 == 5)
            insn.funct = ALU_SRA;
        else
            return illegal(raw);
        return insn;
    default: return illegal(raw);
    }
}

static struct insn alu_reg_w(uint32_t raw)
{
    unsigned funct3 = field_funct3(raw);
    struct insn insn = {.raw = raw,
                        .op = INSN_ALU_REG,
                        .length = 4,
                        .rd = field_rd(raw),
                        .rs1 = field_rs1(raw),
                        .rs2 = field_rs2(raw)};

    switch (field_funct7(raw) << 3 | funct3) {
    case 0x00 << 3 | 0: insn.funct = ALU_ADDW; return insn;
    case 0x20 << 3 | 0: insn.funct = ALU_SUBW; return insn;
    case 0x00 << 3 | 1: insn.funct = ALU_SLLW; return insn;
    case 0x00 << 3 | 5: insn.funct = ALU_SRLW; return insn;
    case 0x20 << 3 | 5: insn.funct = ALU_SRAW; return insn;
    default: /* MULW DIVW DIVUW REMW REMUW */
        if (field_funct7(raw) == 0x01 && (funct3 == 0 || funct3 > 3))
            return plain(raw, INSN_OTHER);
        return illegal(raw);
    }
}

/* LUI and AUIPC: the 20 bits stand in place. */
static struct insn upper(uint32_t raw, enum insn_op op)
{
    return (struct insn){.raw = raw,
                         .op = (uint8_t)op,
                         .length = 4,
                         .imm = (int32_t)(raw & 0xfffff000),
                         .rd = field_rd(raw)};
}

static struct insn jal(uint32_t raw)
{
    return (struct insn){
        .raw = raw, .op = INSN_JAL, .length = 4, .imm = imm_j(raw), .rd = field_rd(raw)};
}

static struct insn jalr(uint32_t raw)
{
    if (field_funct3(raw) != 0)
        return illegal(raw);
    return (struct insn){.raw = raw,
                         .op = INSN_JALR,
                         .length = 4,
                         .imm = imm_i(raw),
                         .rd = field_rd(raw),
                         .rs1 = field_rs1(raw)};
}

static struct insn branch(uint32_t raw)
{
    static const uint8_t condition[8] = {
        BRANCH_EQ, BRANCH_NE, 0, 0, BRANCH_LT, BRANCH_GE, BRANCH_LTU, BRANCH_GEU,
    };
    unsigned funct3 = field_funct3(raw);

    if (funct3 == 2 || funct3 == 3)
        return illegal(raw);
    return (struct insn){.raw = raw,
                         .op = INSN_BRANCH,
                         .length = 4,
                         .imm = imm_b(raw),
                         .rs1 = field_rs1(raw),
                         .rs2 = field_rs2(raw),
                         .funct = condition[funct3]};
}

/* --- floating point: only whether it is legal ------------------------------------------------- */

#define RM 0x9f /* legal funct3 as rounding mode: 0..4 static, 7 dynamic */

/* OP-FP by bits 31:27, for single and double precision: which funct3 and which rs2 are legal. */
static const struct {
    uint8_t funct3;
    uint32_t rs2;
} float_rule[32] = {
    [0x00] = {RM, ~0u},  /* FADD */
    [0x01] = {RM, ~0u},  /* FSUB */
    [0x02] = {RM, ~0u},  /* FMUL */
    [0x03] = {RM, ~0u},  /* FDIV */
    [0x04] = {0x7, ~0u}, /* FSGNJ FSGNJN FSGNJX */
    [0x05] = {0x3, ~0u}, /* FMIN FMAX */
    [0x08] = {RM, 0x3},  /* FCVT.S.D FCVT.D.S: rs2 is the other format */
    [0x0b] = {RM, 0x1},  /* FSQRT */
    [0x14] = {0x7, ~0u}, /* FLE FLT FEQ */
    [0x18] = {RM, 0xf},  /* FCVT.W WU L LU from float */
    [0x1a] = {RM, 0xf},  /* FCVT to float from W WU L LU */
    [0x1c] = {0x3, 0x1}, /* FMV.X, FCLASS */
    [0x1e] = {0x1, 0x1}, /* FMV.W.X FMV.D.X */
};

static struct insn float_op(uint32_t raw)
{
    unsigned row = bits(raw, 27, 5), format = bits(raw, 25, 2);

    if (format > 1 || !(float_rule[row].funct3 >> field_funct3(raw) & 1) ||
        !(float_rule[row].rs2 >> field_rs2(raw) & 1) || (row == 0x08 && field_rs2(raw) == format))
        return illegal(raw);
    return plain(raw, INSN_OTHER);
}

/* FMADD FMSUB FNMSUB FNMADD */
static struct insn float_fused(uint32_t raw)
{
    bool legal = bits(raw, 25, 2) <= 1 && (RM >> field_funct3(raw) & 1);

    return legal ? plain(raw, INSN_OTHER) : illegal(raw);
}

static struct insn decode_word(uint32_t raw)
{
    switch (bits(raw, 0, 7)) {
    case 0x03: return load(raw);
    case 0x07: return float_load(raw);
    case 0x0f: return misc_mem(raw);
    case 0x13: return alu_imm(raw);
    case 0x17: return upper(raw, INSN_AUIPC);
    case 0x1b: return alu_imm_w(raw);
    case 0x23: return store(raw);
    case 0x27: return float_store(raw);
    case 0x2f: return atomic(raw);
    case 0x33: return alu_reg(raw);
    case 0x37: return upper(raw, INSN_LUI);
    case 0x3b: return alu_reg_w(raw);
    case 0x43:
    case 0x47:
    case 0x4b:
    case 0x4f: return float_fused(raw);
    case 0x53: return float_op(raw);
    case 0x63: return branch(raw);
    case 0x67: return jalr(raw);
    case 0x6f: return jal(raw);
    case 0x73: return system_insn(raw);
    default: return illegal(raw);
    }
}

/* --- compressed instructions: fields and immediates ------------------------------------------- */

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

/* --- compressed instructions: what each expands to -------------------------------------------- */

static struct insn c_load(uint32_t raw, enum insn_op op, unsigned width, uint8_t rd, uint8_t base,
                          int32_t imm)
{
    return (struct insn){.raw = raw,
                         .op = (uint8_t)op,
                         .length = 2,
                         .imm = imm,
                         .rd = rd,
                         .rs1 = base,
                         .width = (uint8_t)width,
                         .sign = op == INSN_LOAD};
}

static struct insn c_store(uint32_t raw, enum insn_op op, unsigned width, uint8_t source,
                           uint8_t base, int32_t imm)
{
    return (struct insn){.raw = raw,
                         .op = (uint8_t)op,
                         .length = 2,
                         .imm = imm,
                         .rs1 = base,
                         .rs2 = source,
                         .width = (uint8_t)width};
}

static struct insn c_alu_imm(uint32_t raw, enum insn_alu funct, uint8_t rd, uint8_t rs1,
                             int32_t imm)
{
    return (struct insn){.raw = raw,
                         .op = INSN_ALU_IMM,
                         .length = 2,
                         .imm = imm,
                         .rd = rd,
                         .rs1 = rs1,
                         .funct = (uint8_t)funct};
}

static struct insn c_alu_reg(uint32_t raw, enum insn_alu funct, uint8_t rd, uint8_t rs1,
                             uint8_t rs2)
{
    return (struct insn){.raw = raw,
                         .op = INSN_ALU_REG,
                         .length = 2,
                         .rd = rd,
                         .rs1 = rs1,
                         .rs2 = rs2,
                         .funct = (uint8_t)funct};
}

static struct insn c_branch(uint32_t raw, enum insn_branch funct)
{
    return (struct insn){.raw = raw,
                         .op = INSN_BRANCH,
                         .length = 2,
                         .imm = imm_c_b(raw),
                         .rs1 = prime_high(raw),
                         .funct = (uint8_t)funct};
}

static struct insn c_jump(uint32_t raw, enum insn_op op, uint8_t rd, uint8_t rs1, int32_t imm)
{
    return (struct insn){
        .raw = raw, .op = (uint8_t)op, .length = 2, .imm = imm, .rd = rd, .rs1 = rs1};
}

/* Quadrant 1, funct3 = 011. A zero immediate is reserved for every rd. */
static struct insn c_lui(uint32_t raw)
{
    if (shamt_c(raw) == 0)
        return illegal(raw);
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
            return illegal(raw);
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
        return c_jump(raw, INSN_JALR, bit12 ? X_RA : 0, rd, 0); /* C.JALR, C.JR */
    if (!bit12)
        return illegal(raw);
    return (struct insn){.raw = raw, .op = INSN_EBREAK, .length = 2};
}

static struct insn quadrant0(uint32_t raw)
{
    uint8_t low = prime_low(raw), base = prime_high(raw);

    switch (bits(raw, 13, 3)) {
    case 0: /* C.ADDI4SPN; zero is reserved, and the all-zero word with it */
        if (imm_c_addi4spn(raw) == 0)
            return illegal(raw);
        return c_alu_imm(raw, ALU_ADD, low, X_SP, imm_c_addi4spn(raw));
    case 1: return c_load(raw, INSN_FLOAT_LOAD, 8, low, base, imm_c_double(raw));
    case 2: return c_load(raw, INSN_LOAD, 4, low, base, imm_c_word(raw));
    case 3: return c_load(raw, INSN_LOAD, 8, low, base, imm_c_double(raw));
    case 5: return c_store(raw, INSN_FLOAT_STORE, 8, low, base, imm_c_double(raw));
    case 6: return c_store(raw, INSN_STORE, 4, low, base, imm_c_word(raw));
    case 7: return c_store(raw, INSN_STORE, 8, low, base, imm_c_double(raw));
    default: return illegal(raw); /* 4: reserved (Zcb) */
    }
}

static struct insn quadrant1(uint32_t raw)
{
    uint8_t rd = field_rd(raw);

    switch (bits(raw, 13, 3)) {
    case 0: return c_alu_imm(raw, ALU_ADD, rd, rd, imm_c_i(raw)); /* C.ADDI, C.NOP */
    case 1: return rd != 0 ? c_alu_imm(raw, ALU_ADDW, rd, rd, imm_c_i(raw)) : illegal(raw);
    case 2: return c_alu_imm(raw, ALU_ADD, rd, 0, imm_c_i(raw)); /* C.LI */
    case 3: return c_lui(raw);
    case 4: return c_misc_alu(raw);
    case 5: return c_jump(raw, INSN_JAL, 0, 0, imm_c_j(raw)); /* C.J */
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
    case 2: return rd != 0 ? c_load(raw, INSN_LOAD, 4, rd, X_SP, imm_c_lwsp(raw)) : illegal(raw);
    case 3: return rd != 0 ? c_load(raw, INSN_LOAD, 8, rd, X_SP, imm_c_ldsp(raw)) : illegal(raw);
    case 4: return c_jump_move_add(raw);
    case 5: return c_store(raw, INSN_FLOAT_STORE, 8, rs2, X_SP, imm_c_sdsp(raw));
    case 6: return c_store(raw, INSN_STORE, 4, rs2, X_SP, imm_c_swsp(raw));
    default: return c_store(raw, INSN_STORE, 8, rs2, X_SP, imm_c_sdsp(raw));
    }
}

struct insn insn_decode(uint32_t raw)
{
    switch (raw & 3) {
    case 0: return quadrant0(raw & 0xffff);
    case 1: return quadrant1(raw & 0xffff);
    case 2: return quadrant2(raw & 0xffff);
    default: return decode_word(raw);
    }
}
