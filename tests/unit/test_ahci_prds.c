/*
 * The emulated AHCI disk: where a command's data lies. PRD lists of every shape, pointers that lead
 * nowhere, and lists that change while they are in use.
 */
#include "ahci_guest.h"

static void adjacent_prds_join(void **state)
{
    struct mock *mock = *state;
    command(mock, 0, 0x25, 30, 64);
    header(mock, 0, 8);
    for (unsigned i = 0; i < 8; i++)
        prd(mock, 0, i, PAGES + 4096 * i, 4096);
    put(mock, CI, 1);
    assert_int_equal(mock->disk.last_nsegments, 1);
    finish(mock);
    assert_sectors(mock, PAGES, 30, 64);
}

/* More pieces than one host request takes: two requests, one command. */
static void many_segments(void **state)
{
    struct mock *mock = *state;
    command(mock, 0, 0x25, 40, 168);
    header(mock, 0, 168);
    for (unsigned i = 0; i < 168; i++)
        prd(mock, 0, i, PAGES + 1024 * i, 512);
    put(mock, CI, 1);
    assert_int_equal(mock->disk.last_nsegments, HOST_DISK_MAX_SEGMENTS);
    finish(mock);
    assert_int_equal(mock->disk.submits[HOST_DISK_READ], 2);
    assert_int_equal(mock->disk.last_nsegments, 168 - HOST_DISK_MAX_SEGMENTS);
    for (unsigned i = 0; i < 168; i++)
        assert_sectors(mock, PAGES + 1024 * i, 40 + i, 1);
    assert_int_equal(get(mock, CI), 0);
    assert_int_equal(*(uint32_t *)mock_ram(mock, LIST + 4, 4), 168 * 512);
    assert_int_equal(mock->dev.count.requests, 1);
}

static unsigned scatter(struct mock *mock, unsigned slot, unsigned bytes, unsigned piece,
                        unsigned gap)
{
    unsigned n = 0;
    for (unsigned done = 0; done < bytes; done += piece, n++) {
        unsigned len = bytes - done < piece ? bytes - done : piece;
        prd(mock, slot, n, PAGES + (uint64_t)n * (piece + gap), len);
    }
    return n;
}

static void gather(struct mock *mock, uint8_t *out, unsigned bytes, unsigned piece, unsigned gap,
                   bool in)
{
    for (unsigned done = 0, n = 0; done < bytes; done += piece, n++) {
        unsigned len = bytes - done < piece ? bytes - done : piece;
        uint8_t *at = mock_ram(mock, PAGES + (uint64_t)n * (piece + gap), len);
        if (in)
            memcpy(out + done, at, len);
        else
            memcpy(at, out + done, len);
    }
}

/* Every shape of list gives the same bytes, both ways: odd lengths, pieces of 2 bytes (a sector in
 * more pieces than a request takes), pieces that straddle sectors. */
static void odd_prds(void **state)
{
    static const unsigned pieces[] = {1,   2,   3,   4,   6,   30,   126,  254,
                                      510, 511, 513, 514, 700, 1022, 1536, 5000};
    struct mock *mock = *state;
    static uint8_t data[8 * 512];
    for (unsigned i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        unsigned piece = pieces[i], n = scatter(mock, 0, sizeof(data), piece, 2);
        command(mock, 0, 0x25, 64, 8);
        header(mock, 0, n);
        if (n > 4000)
            continue; /* the table of slot 0 holds no more */
        run_ok(mock, 0, DHRS);
        gather(mock, data, sizeof(data), piece, 2, true);
        for (unsigned b = 0; b < sizeof(data); b++)
            assert_int_equal(data[b], mock->disk.image[64 * 512 + b]);

        for (unsigned b = 0; b < sizeof(data); b++)
            data[b] = (uint8_t)(b * 7 + i + b / 512);
        gather(mock, data, sizeof(data), piece, 2, false);
        command(mock, 0, 0x35, 64, 8);
        run_ok(mock, 0, DHRS);
        assert_memory_equal(mock->disk.image + 64 * 512, data, sizeof(data));
    }
}

/* A list of entries of one byte each: not more of them than 256 are looked at for one request. */
static void tiny_prds(void **state)
{
    struct mock *mock = *state;
    scatter(mock, 0, 7 * 512, 1, 0);
    command(mock, 0, 0x25, 64, 7);
    header(mock, 0, 7 * 512);
    run_ok(mock, 0, DHRS);
    assert_sectors(mock, PAGES, 64, 7);
    assert_int_equal(mock->disk.submits[HOST_DISK_READ], 7);

    scatter(mock, 0, 7 * 512, 4, 0); /* two sectors in 256 of them */
    run_ok(mock, 0, DHRS);
    assert_sectors(mock, PAGES, 64, 7);
    assert_int_equal(mock->disk.submits[HOST_DISK_READ], 7 + 4);
}

static void prd_interrupt(void **state)
{
    struct mock *mock = *state;
    uint8_t *entry;
    simple(mock, 0, 0x25, 0, 8);
    entry = mock_ram(mock, TABLES + 0x80, 16);
    entry[15] |= 0x80;
    put(mock, CI, 1);
    finish(mock);
    assert_int_equal(acknowledge(mock), DHRS | DPS);
}

/* More PRDs than data is fine; the rest is not touched. */
static void spare_prds(void **state)
{
    struct mock *mock = *state;
    memset(mock_ram(mock, PAGES, 8192), 0xee, 8192);
    command(mock, 0, 0x25, 0, 1);
    header(mock, 0, 2);
    prd(mock, 0, 0, PAGES, 4096);
    prd(mock, 0, 1, NOWHERE, 4096);
    run_ok(mock, 0, DHRS);
    assert_sectors(mock, PAGES, 0, 1);
    assert_int_equal(*(uint8_t *)mock_ram(mock, PAGES + 512, 1), 0xee);
}

static void too_few_prds(void **state)
{
    static const uint8_t codes[] = {0x25, 0x35, 0xec};
    struct mock *mock = *state;
    for (unsigned i = 0; i < sizeof(codes); i++) {
        command(mock, 0, codes[i], 0, 8);
        header(mock, 0, 1);
        prd(mock, 0, 0, PAGES, 510);
        put(mock, CI, 1);
        finish(mock);
        assert_int_equal(acknowledge(mock), OFS | TFES | DHRS);
        assert_int_equal(get(mock, TFD), 0x0451);
        restart(mock);
        header(mock, 0, 0);
        put(mock, CI, 1);
        assert_int_equal(acknowledge(mock), OFS | TFES | DHRS);
        restart(mock);
    }
    queued(mock, 2, 0x60, 0, 8);
    prd(mock, 2, 0, PAGES, 512);
    issue_queued(mock, 4);
    assert_int_equal(acknowledge(mock), OFS | TFES | SDBS);
}

static void fatal(struct mock *mock, uint32_t pxis)
{
    put(mock, CI, 1);
    finish(mock);
    assert_int_equal(acknowledge(mock) & (pxis | TFES), pxis);
    put(mock, CI, 2); /* halted: nothing more is issued */
    assert_int_equal(get(mock, CI) & 2, 2);
    assert_int_equal(mock->disk.ninflight, 0);
    restart(mock);
    simple(mock, 1, 0x25, 3, 1);
    run_ok(mock, 1, DHRS);
    simple(mock, 0, 0x25, 3, 8);
}

static void bad_pointers(void **state)
{
    static const uint64_t bad[] = {NOWHERE,
                                   0,
                                   RAM_END,
                                   RAM_END - 512,
                                   MOCK_RAM_BASE - 512,
                                   0xfffffffffffffe00,
                                   0xffffffffffffffff,
                                   0x8000000080000000};
    struct mock *mock = *state;
    uint64_t gpa;
    simple(mock, 0, 0x25, 3, 8);
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        prd(mock, 0, 0, bad[i], 4096); /* data */
        fatal(mock, HBDS);
        command(mock, 0, 0x35, 3, 8);
        prd(mock, 0, 0, bad[i], 4096);
        fatal(mock, HBDS);
        gpa = bad[i];
        memcpy(mock_ram(mock, LIST + 8, 8), &gpa, 8); /* command table */
        if (gpa != RAM_END - 512)
            fatal(mock, HBFS);
        simple(mock, 0, 0x25, 3, 8);
    }
    gpa = RAM_END - 0x80; /* the FIS is in RAM, the PRDs are not */
    memcpy(mock_ram(mock, gpa, 20), command_fis(mock, 0), 20);
    memcpy(mock_ram(mock, LIST + 8, 8), &gpa, 8);
    fatal(mock, HBFS);
    put(mock, CLB, (uint32_t)NOWHERE); /* command list */
    put(mock, CI, 1);
    assert_int_equal(acknowledge(mock), HBFS);
    put(mock, CLB, (uint32_t)LIST);
    restart(mock);
    put(mock, FB, (uint32_t)NOWHERE); /* received FISes */
    put(mock, CI, 1);
    finish(mock);
    assert_int_equal(acknowledge(mock) & HBFS, HBFS);
    put(mock, FB, (uint32_t)FISES);
    restart(mock);
    simple(mock, 0, 0x30, 3, 1); /* the PIO Setup FIS that comes before the data */
    put(mock, FB, (uint32_t)NOWHERE);
    put(mock, CI, 1);
    assert_int_equal(acknowledge(mock) & HBFS, HBFS);
    assert_int_equal(mock->disk.submits[HOST_DISK_WRITE], 0);
    put(mock, FB, (uint32_t)FISES);
    restart(mock);
    simple(mock, 0, 0x25, 3, 8);
    run_ok(mock, 0, DHRS);
}

/* The guest changes the list of a transfer that goes in several steps. */
static void list_changes_in_use(void **state)
{
    struct mock *mock = *state;
    header(mock, 0, scatter(mock, 0, 1024, 2, 2)); /* sector by sector, through the buffer */
    command(mock, 0, 0x25, 64, 2);
    put(mock, CI, 1);
    prd(mock, 0, 100, NOWHERE, 2); /* a piece of the first sector, which is on its way */
    finish(mock);
    assert_int_equal(acknowledge(mock), HBDS);
    restart(mock);

    command(mock, 0, 0x25, 64, 2 + HOST_DISK_MAX_SEGMENTS);
    header(mock, 0, 129);
    for (unsigned i = 0; i < 129;
         i++) /* the last piece of the first request ends inside an entry */
        prd(mock, 0, i, PAGES + 2048 * i, i == 125 ? 1024 : 512);
    put(mock, CI, 1);
    assert_int_equal(mock->disk.last_nsegments, HOST_DISK_MAX_SEGMENTS);
    finish(mock);
    assert_int_equal(acknowledge(mock), DHRS);
    prd(mock, 0, 0, PAGES, 700);
    prd(mock, 0, 1, PAGES + 4096, 324);
    for (unsigned i = 2; i < 129; i++)
        prd(mock, 0, i, PAGES + 4096 * i, 2);
    command(mock, 0, 0x25, 64, 3);
    put(mock, CI, 1); /* two sectors at once; the third, of pieces, through the buffer */
    prd(mock, 0, 2, PAGES, 0x1001);
    prd(mock, 0, 1, PAGES + 4096, 324);
    finish(mock);
    assert_int_equal(get(mock, CI), 0);
    acknowledge(mock);
    prd(mock, 0, 0, PAGES, 612);
    for (unsigned i = 1; i < 206; i++)
        prd(mock, 0, i, PAGES + 4096 + 4 * i, 2);
    header(mock, 0, 206 + 128);
    command(mock, 0, 0x35, 64, 2);
    for (unsigned i = 206; i < 334; i++)
        prd(mock, 0, i, PAGES + 4096 + 4 * i, 2);
    put(mock, CI, 1); /* the first sector ends at byte 512 of an entry of 612 */
    prd(mock, 0, 0, PAGES, 512);
    finish(mock);
    assert_int_equal(acknowledge(mock), HBFS);
    restart(mock);

    header(mock, 1, 0); /* TRIM without its block of ranges */
    command(mock, 1, 0x06, 0, 1);
    command_fis(mock, 1)[3] = 1;
    run_error(mock, 1, 0x04);
}

static void bad_fis(void **state)
{
    struct mock *mock = *state;
    simple(mock, 0, 0x25, 3, 8);
    command_fis(mock, 0)[0] = 0x34;
    fatal(mock, IFS);
    *(uint8_t *)mock_ram(mock, LIST, 1) = 2; /* shorter than a Register FIS */
    fatal(mock, IFS);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(adjacent_prds_join),  TEST(many_segments), TEST(odd_prds),     TEST(tiny_prds),
        TEST(prd_interrupt),       TEST(spare_prds),    TEST(too_few_prds), TEST(bad_pointers),
        TEST(list_changes_in_use), TEST(bad_fis),
    };
    return cmocka_run_group_tests_name("emulated/ahci PRDs", tests, NULL, NULL);
}
