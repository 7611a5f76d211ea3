/*
 * What the two halves of the decoder share: decode.c (32-bit words) and decode_compressed.c.
 */
#pragma once
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

/* rd stands at the same place in both lengths. */
static inline uint8_t field_rd(uint32_t raw)
{
    return (uint8_t)bits(raw, 7, 5);
}

static inline struct insn decode_illegal(uint32_t raw)
{
    return (struct insn){
        .raw = raw, .op = INSN_ILLEGAL, .length = (uint8_t)insn_length((uint16_t)raw)};
}

/* Decodes a compressed word: the low 16 bits, whose lowest two are not 11. */
struct insn decode_compressed(uint32_t raw);
