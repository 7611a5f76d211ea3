/*
 * memset and memcpy by words. The C library's go byte by byte, and the compiler calls them for
 * every structure that is set to zero or copied: eight times as many instructions in the middle of
 * a trap.
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

/* Whole words to an aligned place from one that is not: each is shifted together out of two aligned
 * words, which both hold some of it. Returns the bytes that are done. */
static size_t copy_shifted(uint8_t *to, const uint8_t *from, size_t size)
{
    unsigned shift = 8 * ((uintptr_t)from % sizeof(word));
    const word *source = (const word *)(from - shift / 8);
    size_t done = 0;
    for (word low = *source; size - done >= sizeof(word); done += sizeof(word)) {
        word high = *++source;
        *(word *)(to + done) = low >> shift | high << (64 - shift);
        low = high;
    }
    return done;
}

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    uint8_t *next = to, *end = next + size;
    const uint8_t *source = from;
    for (; next < end && (uintptr_t)next % sizeof(word); next++)
        *next = *source++;
    if ((uintptr_t)source % sizeof(word) == 0) {
        for (; (size_t)(end - next) >= sizeof(word); next += sizeof(word), source += sizeof(word))
            *(word *)next = *(const word *)source;
    } else if ((size_t)(end - next) >= sizeof(word)) {
        size_t done = copy_shifted(next, source, (size_t)(end - next));
        next += done;
        source += done;
    }
    while (next < end)
        *next++ = *source++;
    return to;
}
