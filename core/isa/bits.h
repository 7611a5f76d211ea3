/*
 * A set of up to 32 things as the bits of a word.
 *
 * The surprise: the VMM is built for a machine without an instruction that counts trailing zeros,
 * so the compiler's __builtin_ctz() is a call of 40 instructions, as much as ten turns of a loop
 * over all bits.
 */
#pragma once
#include <stdint.h>

/* The number of the lowest bit that is set, 0 to 31. The set must not be empty. The factor is a de
 * Bruijn sequence: its 32 pieces of five bits are all different, and the lowest bit shifts one of
 * them to the top. */
static inline unsigned bits_first(uint32_t set)
{
    static const uint8_t number[32] = {0,  1,  28, 2,  29, 14, 24, 3,  30, 22, 20,
                                       15, 25, 17, 4,  8,  31, 27, 13, 23, 21, 19,
                                       16, 7,  26, 12, 18, 6,  11, 5,  10, 9};
    return number[(set & -set) * 0x077cb531u >> 27];
}
