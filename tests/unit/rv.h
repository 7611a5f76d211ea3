/* Encodings of a few instructions, for tests that need code: unprivileged ISA, "RV32I Base
 * Instruction Formats". */
#pragma once
#include <stdint.h>

enum { RA = 1, SP = 2, T0 = 5, T1 = 6, A0 = 10, A1 = 11 };

#define RV_ECALL  0x00000073u
#define RV_SRET   0x10200073u
#define RV_WFI    0x10500073u
#define RV_FENCE  0x0ff0000fu
#define RV_FENCEI 0x0000100fu
#define RV_SFENCE 0x12000073u
#define RV_RET    rv_i(0x67, 0, 0, RA, 0)

static inline uint32_t rv_i(uint32_t opcode, unsigned funct3, unsigned rd, unsigned rs1, int imm)
{
    return ((uint32_t)imm & 0xfff) << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode;
}

static inline uint32_t rv_r(uint32_t opcode, unsigned funct3, unsigned funct7, unsigned rd,
                            unsigned rs1, unsigned rs2)
{
    return funct7 << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode;
}

static inline uint32_t rv_li(unsigned rd, int imm)
{
    return rv_i(0x13, 0, rd, 0, imm);
}

static inline uint32_t rv_mv(unsigned rd, unsigned rs1)
{
    return rv_i(0x13, 0, rd, rs1, 0);
}

static inline uint32_t rv_store(unsigned rs2, unsigned rs1) /* sd rs2, 0(rs1) */
{
    return rs2 << 20 | rs1 << 15 | 3u << 12 | 0x23;
}

static inline uint32_t rv_beq(unsigned rs1, unsigned rs2, int distance)
{
    uint32_t imm = (uint32_t)distance;
    return (imm >> 12 & 1) << 31 | (imm >> 5 & 0x3f) << 25 | rs2 << 20 | rs1 << 15 |
           (imm >> 1 & 15) << 8 | (imm >> 11 & 1) << 7 | 0x63;
}

static inline uint32_t rv_jal(unsigned rd, int distance)
{
    uint32_t imm = (uint32_t)distance;
    return (imm >> 20 & 1) << 31 | (imm >> 1 & 0x3ff) << 21 | (imm >> 11 & 1) << 20 |
           (imm >> 12 & 0xff) << 12 | rd << 7 | 0x6f;
}

/* funct3 of CSRRW, CSRRS, CSRRC; 4 more: of a zimm, which stands in rs1's place */
enum { RV_RW = 1, RV_RS = 2, RV_RC = 3, RV_IMMEDIATE = 4 };

static inline uint32_t rv_csr(unsigned funct3, unsigned rd, unsigned csr, unsigned rs1)
{
    return rv_i(0x73, funct3, rd, rs1, (int)csr);
}
