/*
 * Instruction words from their fields: unprivileged ISA, "RV32I Base Instruction Formats". What the
 * VMM puts into code; decode.h is the other way.
 */
#pragma once
#include <stdint.h>

#define ENCODE_ECALL 0x00000073u
#define ENCODE_WFI   0x10500073u

/* A cache block instruction, whose bits from 20 on say which (Zicbom, Zicboz). */
#define ENCODE_CBO      0x0000200fu
#define ENCODE_CBO_MASK 0x0000707fu

static inline uint32_t encode_type_i(uint32_t opcode, uint32_t funct3, unsigned rd, unsigned rs1,
                                     int imm)
{
    return (uint32_t)imm << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode;
}

/* LUI with the upper 20 bits of value. */
static inline uint32_t encode_lui(unsigned rd, uint32_t value)
{
    return (value >> 12 << 12) | rd << 7 | 0x37;
}

static inline uint32_t encode_type_s(uint32_t funct3, unsigned rs1, unsigned rs2, int imm)
{
    uint32_t bits = (uint32_t)imm;
    return (bits >> 5 & 0x7f) << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | (bits & 31) << 7 |
           0x23;
}

static inline uint32_t encode_type_r(uint32_t funct3, unsigned rd, unsigned rs1, unsigned rs2)
{
    return rs2 << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | 0x33;
}

/* BEQ (funct3 0) or BNE (1) with x0, forward by less than 2 KiB. */
static inline uint32_t encode_branch_zero(uint32_t funct3, unsigned rs1, unsigned distance)
{
    return (distance >> 5 & 0x3f) << 25 | rs1 << 15 | funct3 << 12 | (distance >> 1 & 15) << 8 |
           0x63;
}

static inline uint32_t encode_jump(unsigned distance) /* JAL x0, forward by less than 1 MiB */
{
    return (distance >> 1 & 0x3ff) << 21 | (distance >> 11 & 1) << 20 |
           (distance >> 12 & 0xff) << 12 | 0x6f;
}

static inline uint16_t encode_short_jump(unsigned distance) /* C.J, forward by less than 2 KiB */
{
    return (uint16_t)(0xa001 | (distance >> 4 & 1) << 11 | (distance >> 8 & 3) << 9 |
                      (distance >> 10 & 1) << 8 | (distance >> 6 & 1) << 7 |
                      (distance >> 7 & 1) << 6 | (distance >> 1 & 7) << 3 |
                      (distance >> 5 & 1) << 2);
}

#define ENCODE_LD(rd, imm)       encode_type_i(0x03, 3, rd, 0, imm)
#define ENCODE_SLLI(rd, rs, by)  encode_type_i(0x13, 1, rd, rs, by)
#define ENCODE_SRLI(rd, rs, by)  encode_type_i(0x13, 5, rd, rs, by)
#define ENCODE_XORI(rd, rs, imm) encode_type_i(0x13, 4, rd, rs, imm)
#define ENCODE_ORI(rd, rs, imm)  encode_type_i(0x13, 6, rd, rs, imm)
#define ENCODE_SD(rs, imm)       encode_type_s(3, 0, rs, imm)
#define ENCODE_ADDI(rd, rs, imm) encode_type_i(0x13, 0, rd, rs, imm)
#define ENCODE_ANDI(rd, rs, imm) encode_type_i(0x13, 7, rd, rs, imm)
#define ENCODE_OR(rd, a, b)      encode_type_r(6, rd, a, b)
#define ENCODE_AND(rd, a, b)     encode_type_r(7, rd, a, b)
#define ENCODE_XOR(rd, a, b)     encode_type_r(4, rd, a, b)
#define ENCODE_JALR(rs, imm)     encode_type_i(0x67, 0, 0, rs, imm)
