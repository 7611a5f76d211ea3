/*
 * Instruction word -> struct insn. Pure functions, no state: also built and tested on the build
 * machine.
 *
 * RISC-V unprivileged ISA: chapters RV32I/RV64I, A, F, D, C, Zicsr, Zifencei, Zicbom/Zicboz;
 * privileged ISA: SRET, MRET, WFI, SFENCE.VMA, Svinval. Compressed forms decode into the same
 * fields as the instruction that they expand to; only length differs.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum insn_op {
    /* not a legal RV64GC instruction nor one named here: all-zero and all-one words; also Zba ...
     * Zcb, which never trap where the host has them */
    INSN_ILLEGAL,
    INSN_OTHER, /* legal, and nothing that a VMM has to carry out (FP arithmetic, M, FENCE) */
    /* memory */
    INSN_LOAD,       /* integer loads: width, sign */
    INSN_STORE,      /* integer stores */
    INSN_FLOAT_LOAD, /* FLW FLD C.FLD C.FLDSP: rd is an f register */
    INSN_FLOAT_STORE,
    INSN_LR,
    INSN_SC,
    INSN_AMO, /* every AMO*.W and .D */
    INSN_CBO, /* cbo.inval, .clean, .flush, .zero: imm says which (0, 1, 2, 4) */
    /* system */
    INSN_CSRRW, /* csr, rs1 or zimm (immediate flag) */
    INSN_CSRRS,
    INSN_CSRRC,
    INSN_ECALL,
    INSN_EBREAK, /* also C.EBREAK */
    INSN_SRET,
    INSN_MRET,
    INSN_WFI,
    INSN_SFENCE_VMA,
    INSN_SINVAL_VMA, /* same operands as SFENCE.VMA */
    INSN_SFENCE_W_INVAL,
    INSN_SFENCE_INVAL_IR,
    INSN_HYPERVISOR, /* HFENCE.*, HLV*, HSV*, HINVAL.*: illegal for our guests */
    INSN_FENCE_I,
    /* plain integer computation and control flow, for running ahead */
    INSN_ALU_IMM, /* ADDI ... and the W forms; funct: enum insn_alu; C.LI, C.NOP ... */
    INSN_ALU_REG, /* C.MV is ADD rd, x0, rs2 */
    INSN_LUI,     /* imm is the value */
    INSN_AUIPC,
    INSN_JAL,
    INSN_JALR,
    INSN_BRANCH, /* funct: enum insn_branch */
};

enum insn_alu {
    ALU_ADD,
    ALU_SUB,
    ALU_SLL,
    ALU_SLT,
    ALU_SLTU,
    ALU_XOR,
    ALU_SRL,
    ALU_SRA,
    ALU_OR,
    ALU_AND,
    ALU_ADDW,
    ALU_SUBW,
    ALU_SLLW,
    ALU_SRLW,
    ALU_SRAW,
};

enum insn_branch { BRANCH_EQ, BRANCH_NE, BRANCH_LT, BRANCH_GE, BRANCH_LTU, BRANCH_GEU };

/* Fields that an instruction does not have are 0; OTHER and ILLEGAL have raw and length alone.
 * Aligned, it is copied with three loads and stores; the compiler calls memcpy() otherwise. */
struct insn {
    _Alignas(8) uint32_t raw; /* the word that was decoded; a compressed one in the low 16 bits */
    int32_t imm;              /* sign-extended offset or immediate; CSR*I: the 5-bit zimm */
    uint16_t csr;
    uint8_t op;           /* enum insn_op */
    uint8_t length;       /* 2 or 4 bytes */
    uint8_t rd, rs1, rs2; /* CSR*I: rs1 is the zimm too: CSRRS and CSRRC write unless rs1 is 0 */
    uint8_t width;        /* memory: 1, 2, 4, 8 bytes */
    uint8_t funct;        /* enum insn_alu or enum insn_branch */
    bool sign;            /* LOAD: sign-extend */
    bool immediate;       /* CSR*I */
};

/* The word at an even address, as code lies there. */
static inline uint32_t insn_word(const void *at)
{
    uint16_t half[2];
    __builtin_memcpy(half, __builtin_assume_aligned(at, 2), sizeof(half));
    return half[0] | (uint32_t)half[1] << 16;
}

/* Length in bytes of the instruction that starts with this halfword: 2 or 4 (longer ones: 4). */
static inline unsigned insn_length(uint16_t low)
{
    return (low & 3) == 3 ? 4 : 2;
}

/* Decodes one word (upper half ignored for a compressed one). Never fails: INSN_ILLEGAL. */
struct insn insn_decode(uint32_t raw);
