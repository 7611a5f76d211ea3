/* A pattern for sectors of the disk, different in every sector and in every word of it. */
#pragma once
#include <stdint.h>

/* Fills buffer, count * 512 bytes, with what the sectors from `sector` on hold. seed: which of the
 * patterns. */
void pattern_fill(uint64_t sector, uint32_t count, void *buffer, uint64_t seed);

/* The first sector in buffer that does not hold the pattern, or sector + count. */
uint64_t pattern_check(uint64_t sector, uint32_t count, const void *buffer, uint64_t seed);
