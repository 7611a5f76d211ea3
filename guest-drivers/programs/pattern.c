/*
 * The pattern that programs write to the disk: another in every sector and in every word of it.
 */
#include "pattern.h"

#include "kernel.h"

#define WORDS (DISK_SECTOR / 8)

static uint64_t pattern_word(uint64_t sector, unsigned word, uint64_t seed)
{
    uint64_t x = (sector * WORDS + word + seed) * 0x9e3779b97f4a7c15ull;
    return x ^ x >> 29;
}

void pattern_fill(uint64_t sector, uint32_t count, void *buffer, uint64_t seed)
{
    uint64_t *at = buffer;
    for (uint32_t i = 0; i < count; i++)
        for (unsigned word = 0; word < WORDS; word++)
            *at++ = pattern_word(sector + i, word, seed);
}

uint64_t pattern_check(uint64_t sector, uint32_t count, const void *buffer, uint64_t seed)
{
    const uint64_t *at = buffer;
    for (uint32_t i = 0; i < count; i++) {
        for (unsigned word = 0; word < WORDS; word++)
            if (*at++ != pattern_word(sector + i, word, seed))
                return sector + i;
    }
    return sector + count;
}
