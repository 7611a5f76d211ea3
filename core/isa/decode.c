/*
 * Instruction decoder: RV64IMAFD, Zicsr, Zifencei, Zicbom, Zicboz, Svinval, hypervisor. Compressed
 * words are decode_compressed.c's.
 *
 * RISC-V unprivileged ISA, "RV32/64G Instruction Set Listings"; privileged ISA, "RISC-V Privileged
 * Instruction Set Listings".
 *
 * The surprise: legality lives in the corners. SRET with one wrong bit is not SRET, and every
 * funct3, funct7 or rs2 that no listed instruction uses is illegal.
 */
#include "decode_internal.h"

/* --- fields and immediates --- */

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

/* --- major opcodes --- */

enum format { FORMAT_NONE, FORMAT_R, FORMAT_I, FORMAT_S, FORMAT_B, FORMAT_U, FORMAT_J };

/* By bits 6:2. The operation is a first guess where funct3 or funct7 decide: see refine(). What is
 * not listed is reserved, custom or for another extension. INSN_ILLEGAL is 0. */
static const struct {
    uint8_t op, format;
} major[32] = {
    [0x00] = {INSN_LOAD, FORMAT_I},     [0x01] = {INSN_FLOAT_LOAD, FORMAT_I},
    [0x03] = {INSN_OTHER, FORMAT_NONE}, /* MISC-MEM */
    [0x04] = {INSN_ALU_IMM, FORMAT_I},  [0x05] = {INSN_AUIPC, FORMAT_U},
    [0x06] = {INSN_ALU_IMM, FORMAT_I}, /* OP-IMM-32 */
    [0x08] = {INSN_STORE, FORMAT_S},    [0x09] = {INSN_FLOAT_STORE, FORMAT_S},
    [0x0b] = {INSN_AMO, FORMAT_R},      [0x0c] = {INSN_ALU_REG, FORMAT_R},
    [0x0d] = {INSN_LUI, FORMAT_U},      [0x0e] = {INSN_ALU_REG, FORMAT_R}, /* OP-32 */
    [0x10] = {INSN_OTHER, FORMAT_NONE},                                    /* FMADD */
    [0x11] = {INSN_OTHER, FORMAT_NONE},                                    /* FMSUB */
    [0x12] = {INSN_OTHER, FORMAT_NONE},                                    /* FNMSUB */
    [0x13] = {INSN_OTHER, FORMAT_NONE},                                    /* FNMADD */
    [0x14] = {INSN_OTHER, FORMAT_NONE},                                    /* OP-FP */
    [0x18] = {INSN_BRANCH, FORMAT_B},   [0x19] = {INSN_JALR, FORMAT_I},
    [0x1b] = {INSN_JAL, FORMAT_J},      [0x1c] = {INSN_CSRRW, FORMAT_NONE}, /* SYSTEM */
};

/* Fields that the format has; the others are 0. */
static struct insn extract(uint32_t raw, enum insn_op op, enum format format)
{
    struct insn insn = {.raw = raw, .op = (uint8_t)op, .length = 4};
    switch (format) {
    case FORMAT_NONE: return insn;
    case FORMAT_R:
        insn.rd = field_rd(raw);
        insn.rs1 = field_rs1(raw);
        insn.rs2 = field_rs2(raw);
        return insn;
    case FORMAT_I:
        insn.rd = field_rd(raw);
        insn.rs1 = field_rs1(raw);
        insn.imm = imm_i(raw);
        return insn;
    case FORMAT_S:
    case FORMAT_B:
        insn.rs1 = field_rs1(raw);
        insn.rs2 = field_rs2(raw);
        insn.imm = format == FORMAT_S ? imm_s(raw) : imm_b(raw);
        return insn;
    case FORMAT_U: /* the 20 bits stand in place */
    case FORMAT_J:
        insn.rd = field_rd(raw);
        insn.imm = format == FORMAT_U ? (int32_t)(raw & 0xfffff000) : imm_j(raw);
        return insn;
    }
    return insn;
}

/* --- refinement: what funct3, funct7 and single registers decide; false if the word is illegal --- */

static bool refine_load(struct insn *insn)
{
    unsigned funct3 = field_funct3(insn->raw); /* LB LH LW LD LBU LHU LWU, reserved */
    insn->width = (uint8_t)(1u << (funct3 & 3));
    insn->sign = funct3 < 4;
    return funct3 < 7;
}

static bool refine_store(struct insn *insn)
{
    unsigned funct3 = field_funct3(insn->raw); /* SB SH SW SD, reserved */
    insn->width = (uint8_t)(1u << (funct3 & 3));
    return funct3 < 4;
}

static bool refine_float_memory(struct insn *insn)
{
    unsigned funct3 = field_funct3(insn->raw); /* 2 .S, 3 .D; others are Zfh, Q and V */
    insn->width = (uint8_t)(1u << (funct3 & 3));
    return funct3 == 2 || funct3 == 3;
}

/* By bits 31:27; what is not named here is reserved (Zacas, Zabha ...). */
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

static bool refine_atomic(struct insn *insn)
{
    unsigned funct3 = field_funct3(insn->raw); /* 2 .W, 3 .D */
    insn->op = atomic_op[bits(insn->raw, 27, 5)];
    insn->width = (uint8_t)(1u << (funct3 & 3));
    return (funct3 == 2 || funct3 == 3) && !(insn->op == INSN_LR && insn->rs2 != 0);
}

/* FENCE and FENCE.I: the unused fields are reserved and must be ignored, so none can be illegal. */
static bool refine_misc_mem(struct insn *insn)
{
    uint32_t which = bits(insn->raw, 20, 12); /* CBO: 0 inval, 1 clean, 2 flush, 4 zero */
    switch (field_funct3(insn->raw)) {
    case 0: return true;
    case 1: insn->op = INSN_FENCE_I; return true;
    case 2:
        insn->op = INSN_CBO;
        insn->imm = (int32_t)which;
        insn->rs1 = field_rs1(insn->raw);
        return field_rd(insn->raw) == 0 && (which < 3 || which == 4);
    default: return false;
    }
}

/* By funct3. Row 5 is SRL, and SRA with bit 30 set; row 0 of OP is SUB with bit 30 set. */
static const uint8_t alu_op[8] = {
    ALU_ADD, ALU_SLL, ALU_SLT, ALU_SLTU, ALU_XOR, ALU_SRL, ALU_OR, ALU_AND,
};

static bool refine_alu_imm(struct insn *insn)
{
    unsigned funct3 = field_funct3(insn->raw), funct6 = bits(insn->raw, 26, 6);
    insn->funct = alu_op[funct3];
    if (funct3 != 1 && funct3 != 5)
        return true;
    insn->imm = (int32_t)bits(insn->raw, 20, 6);
    if (funct3 == 5 && funct6 == 0x10)
        insn->funct = ALU_SRA;
    return funct6 == 0 || insn->funct == ALU_SRA;
}

/* The five W operations share funct3 and funct7 between their forms. */
static bool alu_w(struct insn *insn)
{
    switch (field_funct7(insn->raw) << 3 | field_funct3(insn->raw)) {
    case 0x00 << 3 | 0: insn->funct = ALU_ADDW; return true;
    case 0x20 << 3 | 0: insn->funct = ALU_SUBW; return true;
    case 0x00 << 3 | 1: insn->funct = ALU_SLLW; return true;
    case 0x00 << 3 | 5: insn->funct = ALU_SRLW; return true;
    case 0x20 << 3 | 5: insn->funct = ALU_SRAW; return true;
    default: return false;
    }
}

static bool refine_alu_imm_w(struct insn *insn)
{
    insn->funct = ALU_ADDW;
    if (field_funct3(insn->raw) == 0)
        return true;
    insn->imm = (int32_t)bits(insn->raw, 20, 5);
    return alu_w(insn);
}

static bool refine_alu_reg(struct insn *insn)
{
    unsigned funct3 = field_funct3(insn->raw), funct7 = field_funct7(insn->raw);
    insn->funct = alu_op[funct3];
    if (funct7 == 0x01) /* MUL ... REMU */
        *insn = extract(insn->raw, INSN_OTHER, FORMAT_NONE);
    else if (funct7 == 0x20)
        insn->funct = funct3 == 0 ? ALU_SUB : ALU_SRA;
    return funct7 <= 1 || (funct7 == 0x20 && (funct3 == 0 || funct3 == 5));
}

static bool refine_alu_reg_w(struct insn *insn)
{
    unsigned funct3 = field_funct3(insn->raw);
    if (field_funct7(insn->raw) != 0x01)
        return alu_w(insn);
    *insn = extract(insn->raw, INSN_OTHER, FORMAT_NONE); /* MULW DIVW DIVUW REMW REMUW */
    return funct3 == 0 || funct3 > 3;
}

static bool refine_branch(struct insn *insn)
{
    static const uint8_t condition[8] = {
        BRANCH_EQ, BRANCH_NE, 0, 0, BRANCH_LT, BRANCH_GE, BRANCH_LTU, BRANCH_GEU,
    };
    unsigned funct3 = field_funct3(insn->raw);
    insn->funct = condition[funct3];
    return funct3 != 2 && funct3 != 3;
}

/* --- floating point: only whether it is legal --- */

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

static bool refine_float(struct insn *insn)
{
    unsigned row = bits(insn->raw, 27, 5), format = bits(insn->raw, 25, 2);
    return format <= 1 && (float_rule[row].funct3 >> field_funct3(insn->raw) & 1) &&
           (float_rule[row].rs2 >> field_rs2(insn->raw) & 1) &&
           !(row == 0x08 && field_rs2(insn->raw) == format);
}

static bool refine_float_fused(struct insn *insn)
{
    return bits(insn->raw, 25, 2) <= 1 && (RM >> field_funct3(insn->raw) & 1);
}

/* --- system --- */

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

static bool refine_privileged(struct insn *insn)
{
    unsigned rd = field_rd(insn->raw);
    insn->rs1 = field_rs1(insn->raw);
    insn->rs2 = field_rs2(insn->raw);
    switch (field_funct7(insn->raw)) {
    case 0x09: insn->op = INSN_SFENCE_VMA; return rd == 0;
    case 0x0b: insn->op = INSN_SINVAL_VMA; return rd == 0;
    case 0x11: /* HFENCE.VVMA, then HINVAL.VVMA, HFENCE.GVMA, HINVAL.GVMA */
    case 0x13:
    case 0x31:
    case 0x33: insn->op = INSN_HYPERVISOR; return rd == 0;
    default: break;
    }
    insn->rs1 = insn->rs2 = 0;
    for (unsigned i = 0; i < sizeof(system_word) / sizeof(system_word[0]); i++) {
        insn->op = system_word[i].op;
        if (system_word[i].raw == insn->raw)
            return true;
    }
    return false;
}

/* SYSTEM, funct3 = 4, by funct7 - 0x30: which rs2 values name an instruction (HLV, HLV..U, HLVX).
 * Odd rows are HSV.B .H .W .D, whose rs2 is an operand and whose rd must be 0. */
static const uint8_t hypervisor_rs2[8] = {0x3, 0, 0xb, 0, 0xb, 0, 0x1, 0};

static bool refine_hypervisor(struct insn *insn)
{
    unsigned row = field_funct7(insn->raw) - 0x30, rs2 = field_rs2(insn->raw);
    *insn = extract(insn->raw, INSN_HYPERVISOR, FORMAT_R);
    if (row > 7)
        return false;
    if (row & 1)
        return insn->rd == 0;
    insn->rs2 = 0;
    return rs2 < 4 && (hypervisor_rs2[row] >> rs2 & 1);
}

static bool refine_system(struct insn *insn)
{
    static const uint8_t csr_op[4] = {INSN_ILLEGAL, INSN_CSRRW, INSN_CSRRS, INSN_CSRRC};
    unsigned funct3 = field_funct3(insn->raw);
    if (funct3 == 0)
        return refine_privileged(insn);
    if (funct3 == 4)
        return refine_hypervisor(insn);
    insn->op = csr_op[funct3 & 3];
    insn->rd = field_rd(insn->raw);
    insn->rs1 = field_rs1(insn->raw);
    insn->csr = (uint16_t)bits(insn->raw, 20, 12);
    insn->immediate = funct3 > 4;
    insn->imm = insn->immediate ? insn->rs1 : 0;
    return true;
}

static bool refine(struct insn *insn, unsigned opcode)
{
    switch (opcode) {
    case 0x00: return refine_load(insn);
    case 0x01:
    case 0x09: return refine_float_memory(insn);
    case 0x03: return refine_misc_mem(insn);
    case 0x04: return refine_alu_imm(insn);
    case 0x06: return refine_alu_imm_w(insn);
    case 0x08: return refine_store(insn);
    case 0x0b: return refine_atomic(insn);
    case 0x0c: return refine_alu_reg(insn);
    case 0x0e: return refine_alu_reg_w(insn);
    case 0x10:
    case 0x11:
    case 0x12:
    case 0x13: return refine_float_fused(insn);
    case 0x14: return refine_float(insn);
    case 0x18: return refine_branch(insn);
    case 0x19: return field_funct3(insn->raw) == 0; /* JALR */
    case 0x1c: return refine_system(insn);
    default: return true; /* LUI AUIPC JAL; not in the table at all */
    }
}

static struct insn decode_word(uint32_t raw)
{
    unsigned opcode = bits(raw, 2, 5);
    struct insn insn = extract(raw, (enum insn_op)major[opcode].op,
                               (enum format)major[opcode].format);
    return refine(&insn, opcode) && insn.op != INSN_ILLEGAL ? insn : decode_illegal(raw);
}

struct insn insn_decode(uint32_t raw)
{
    return (raw & 3) == 3 ? decode_word(raw) : decode_compressed(raw & 0xffff);
}
