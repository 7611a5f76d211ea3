/*
 * memset and memcpy by words. The C library's go byte by byte, and the compiler calls them for every structure that is
 * set to zero or copied: eight times as many instructions in the middle of a trap.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint64_t __attribute__((may_alias)) word;

void *memset(void *to, int value, size_t size)
{
    uint8_t *next = to, *end = next + size;
    word filled = (uint8_t)value * 0x0101010101010101ul;
    for (; next < end && (uintptr_t)next % sizeof(word); next++)
        *next = (uint8_t)value;
    for (; (size_t)(end - next) >= sizeof(word); next += sizeof(word))
        *(word *)next = filled;
    for (; next < end; next++)
        *next = (uint8_t)value;
    return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    uint8_t *next = to, *end = next + size;
    const uint8_t *source = from;
    if (((uintptr_t)next ^ (uintptr_t)source) % sizeof(word) == 0) {
        for (; next < end && (uintptr_t)next % sizeof(word); next++)
            *next = *source++;
        for (; (size_t)(end - next) >= sizeof(word); next += sizeof(word), source += sizeof(word))
            *(word *)next = *(const word *)source;
    }
    while (next < end)
        *next++ = *source++;
    return to;
}
