/*
 * SBI calls whose arguments ask for much: none may keep the machine for long. With ICOUNT=1 an
 * instruction is a nanosecond, whoever executes it, so the time of a call is its instructions, the
 * firmware's included.
 *
 * The bare machine's own firmware keeps no such bound: it would write all 64 MiB.
 */
#include "bare.h"

#define LEGACY_PUTCHAR 0x01ul
#define LEGACY_SFENCE  0x06ul
#define EID_DBCN       0x4442434eul
#define EID_IPI        0x735049ul
#define EID_RFENCE     0x52464e43ul

#define BIG      (64ul << 20)
#define BUFFER   (BARE_RAM + (16ul << 20))
#define MOST     10000ul /* ticks of 100 ns: a million instructions */
#define PAGES    512u
#define LONG_ONE 2000u /* bytes that one call writes at once */

static uint64_t dearest;
static const char *its_name;

static struct bare_sbi timed(const char *name, uint64_t eid, uint64_t fid, const uint64_t *a)
{
    uint64_t start = bare_time();
    struct bare_sbi got = bare_sbi(eid, fid, a[0], a[1], a[2], a[3]);
    uint64_t ticks = bare_time() - start;
    if (ticks > dearest) {
        dearest = ticks;
        its_name = name;
    }
    CHECK(ticks <= MOST, "%s: more than %lu instructions", name, ticks * 100);
    return got;
}

/* A buffer of line feeds is the dearest: each line feed is sent as two bytes. */
static void console(void)
{
    memset((void *)BUFFER, '\n', BIG);
    struct bare_sbi wrote = timed("write", EID_DBCN, 0, (uint64_t[4]){BIG, BUFFER});
    CHECK(wrote.error == 0 && wrote.value > 0 && wrote.value < BIG, "write: error %ld, %lu bytes",
          wrote.error, wrote.value);
    struct bare_sbi got = timed("read", EID_DBCN, 1, (uint64_t[4]){BIG, BUFFER});
    CHECK(got.error == 0 && got.value == 0, "read: error %ld, %lu bytes", got.error, got.value);
    memset((void *)BUFFER, 'x', LONG_ONE);
    wrote = timed("write", EID_DBCN, 0, (uint64_t[4]){LONG_ONE, BUFFER});
    CHECK(wrote.value == LONG_ONE, "write: %lu bytes of %u", wrote.value, LONG_ONE);
    timed("putchar", LEGACY_PUTCHAR, 0, (uint64_t[4]){'\n'});
}

static void touch(void)
{
    for (uint64_t page = 0; page < PAGES; page++)
        (void)bare_read(uint64_t, bare_map(page, BUFFER + (page << PAGE_SHIFT), PTE_R | PTE_A));
}

static void fences(void)
{
    static const uint64_t sizes[] = {0,       1,         64 * PAGE_SIZE, 65 * PAGE_SIZE,
                                     1 << 21, 1ul << 40, 1ul << 63,      -1ul};
    static const uint64_t starts[] = {0, 1, BARE_FREE, BARE_FREE + 0xfff, -PAGE_SIZE, -1ul};
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (unsigned j = 0; j < sizeof(starts) / sizeof(starts[0]); j++) {
            touch();
            timed("rfence", EID_RFENCE, 1, (uint64_t[4]){1, 0, starts[j], sizes[i]});
            touch();
            timed("rfence by ASID", EID_RFENCE, 2, (uint64_t[4]){1, 0, starts[j], sizes[i]});
            touch();
            timed("legacy sfence", LEGACY_SFENCE, 0, (uint64_t[4]){0, starts[j], sizes[i]});
        }
    }
    timed("ipi", EID_IPI, 0, (uint64_t[4]){-1ul, -1ul});
    timed("ipi to nobody", EID_IPI, 0, (uint64_t[4]){-1ul, -2ul});
}

int main(void)
{
    console();
    bare_paging();
    fences();
    printf("the dearest is %s: %lu instructions\n", its_name, dearest * 100);
    return bare_failures != 0;
}
