/*
 * The console by SBI DBCN: a line is one call, natively and under a VMM (SBI specification,
 * "Debug Console Extension"). Only used with paging off: the buffer's address is physical.
 */
#include "output.h"

#define EID_DBCN 0x4442434eul
#define EID_SRST 0x53525354ul

static char buffer[8192];
static unsigned used;

static long sbi(uint64_t eid, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t *value)
{
    register uint64_t r0 __asm__("a0") = a0;
    register uint64_t r1 __asm__("a1") = a1;
    register uint64_t r2 __asm__("a2") = a2;
    register uint64_t r6 __asm__("a6") = 0;
    register uint64_t r7 __asm__("a7") = eid;
    __asm__ volatile("ecall" : "+r"(r0), "+r"(r1) : "r"(r2), "r"(r6), "r"(r7) : "memory");
    *value = r1;
    return (long)r0;
}

static void flush(void)
{
    for (unsigned at = 0; at < used;) {
        uint64_t written;
        if (sbi(EID_DBCN, used - at, (uint64_t)&buffer[at], 0, &written) != 0)
            break;
        at += (unsigned)written;
    }
    used = 0;
}

static void put(char c)
{
    if (used == sizeof(buffer))
        flush();
    buffer[used++] = c;
}

void put_text(const char *text)
{
    while (*text)
        put(*text++);
}

void put_number(uint64_t value)
{
    int shift = 60;
    put(' ');
    while (shift > 0 && !(value >> shift))
        shift -= 4;
    for (; shift >= 0; shift -= 4)
        put("0123456789abcdef"[value >> shift & 15]);
}

void put_end(void)
{
    put('\n');
    flush();
}

void power_off(void)
{
    uint64_t value;
    sbi(EID_SRST, 0, 0, 0, &value);
    for (;;)
        __asm__ volatile("wfi");
}
