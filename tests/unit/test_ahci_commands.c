/* The emulated AHCI disk: commands one at a time, what they carry out, and their errors. */
#include "ahci_guest.h"

#include <errno.h>

static void identify(void **state)
{
    struct mock *mock = *state;
    const uint8_t *data = mock_ram(mock, page_of(0), 512);
    const uint8_t *setup_fis = mock_ram(mock, FISES + 0x20, 20);
    uint8_t sum = 0;
    simple(mock, 0, 0xec, 0, 0);
    run_ok(mock, 0, PSS);
    assert_int_equal(setup_fis[0], 0x5f);
    assert_int_equal(setup_fis[1], 0x60);
    assert_int_equal(setup_fis[2], 0x58);
    assert_int_equal(setup_fis[15], 0x50);
    assert_int_equal(setup_fis[16] | setup_fis[17] << 8, 512);
    assert_int_equal(*(uint32_t *)mock_ram(mock, LIST + 4, 4), 512); /* byte count */
    for (unsigned i = 0; i < 512; i++)
        sum = (uint8_t)(sum + data[i]);
    assert_int_equal(sum, 0);
    assert_memory_equal(data + 54, "RTDINE THAICD SI K  ", 20);
    assert_int_equal(word(data, 49), 0x0b00);
    assert_int_equal(word(data, 75), 31);
    assert_int_equal(word(data, 76), 0x010e);
    assert_int_equal(word(data, 80), 0x03f0);
    assert_int_equal(word(data, 84), 0x4060);
    assert_int_equal(word(data, 85), 0x0060);
    assert_int_equal(word(data, 87), 0x4060);
    assert_int_equal(word(data, 88), 0x203f);
    assert_int_equal(word(data, 93), 0); /* SATA */
    assert_int_equal(word(data, 100), MOCK_SECTORS);
    assert_int_equal(word(data, 169), 1);
    mock->disk.front.can_discard = false;
    run_ok(mock, 0, PSS);
    assert_int_equal(word(data, 169), 0);
    assert_int_equal(mock->dev.count.requests, 0);
    assert_int_equal(mock->dev.count.notifications, 2);
}

/* Every read command that there is. */
static void reads(void **state)
{
    static const struct {
        uint8_t code;
        uint32_t pxis;
    } rows[] = {{0xc8, DHRS}, {0xc9, DHRS}, {0x25, DHRS}, {0x20, PSS},
                {0x24, PSS},  {0xc4, PSS},  {0x29, PSS}};
    struct mock *mock = *state;
    command(mock, 0, 0xc6, 0, 8);
    header(mock, 0, 0);
    run_ok(mock, 0, DHRS);
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        simple(mock, i, rows[i].code, 100 + i, 8);
        put(mock, CI, 1u << i);
        assert_int_equal(get(mock, TFD) & 0x80, 0x80);
        assert_int_equal(get(mock, CI), 1u << i);
        assert_false(mock->dev.line);
        finish(mock);
        assert_int_equal(acknowledge(mock), rows[i].pxis);
        assert_int_equal(get(mock, CI), 0);
        assert_int_equal(get(mock, TFD), 0x50);
        assert_sectors(mock, page_of(i), 100 + i, 8);
        assert_int_equal(*(uint32_t *)mock_ram(mock, LIST + 32 * i + 4, 4), 4096);
    }
    assert_int_equal(mock->dev.count.requests, 7);
    assert_int_equal(mock->dev.count.bytes, 7 * 4096);
    assert_int_equal(mock->dev.count.notifications, 8);
}

static void writes(void **state)
{
    static const struct {
        uint8_t code;
        bool flush;
    } rows[] = {{0xca, false}, {0xcb, false}, {0x35, false}, {0x30, false}, {0x34, false},
                {0xc5, false}, {0x39, false}, {0x3d, true},  {0xce, true}};
    struct mock *mock = *state;
    unsigned flushes = 0;
    command(mock, 0, 0xc6, 0, 8);
    header(mock, 0, 0);
    run_ok(mock, 0, DHRS);
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        simple(mock, i, rows[i].code, 200 + 8 * i, 8);
        fill(mock, page_of(i), 4096, (uint8_t)(i + 1));
        run_ok(mock, i, DHRS);
        flushes += rows[i].flush;
        assert_int_equal(mock->disk.submits[HOST_DISK_FLUSH], flushes);
        assert_memory_equal(mock->disk.image + (200 + 8 * i) * 512,
                            mock_ram(mock, page_of(i), 4096), 4096);
    }
    assert_int_equal(mock->dev.count.requests, 9);
}

/* A write is acknowledged only when the host has completed it. */
static void write_waits(void **state)
{
    struct mock *mock = *state;
    simple(mock, 1, 0x35, 50, 8);
    put(mock, CI, 2);
    mock_service(mock);
    assert_int_equal(get(mock, CI), 2);
    assert_false(mock->dev.line);
    finish(mock);
    assert_int_equal(get(mock, CI), 0);
}

static void lba28(void **state)
{
    struct mock *mock = *state;
    mock->disk.front.sectors = 1ull << 40; /* only addresses are looked at here */
    mock->disk.refuse_next = -EAGAIN;
    simple(mock, 0, 0xc8, 0x123456, 1);
    command_fis(mock, 0)[7] = 0x4a;
    put(mock, CI, 1);
    mock->disk.front.sectors = MOCK_SECTORS;
    mock->disk.refuse_next = -EINVAL;
    mock_service(mock); /* given up: and the error shows which address it was */
    assert_int_equal(get(mock, TFD), 0x0451);
    restart(mock);
    simple(mock, 0, 0xc8, 0, 0); /* 0 is 256 sectors */
    prd(mock, 0, 0, PAGES, 256 * 512);
    run_ok(mock, 0, DHRS);
    assert_sectors(mock, PAGES, 0, 256);
    simple(mock, 0, 0x25, 0, 0); /* 65,536 */
    run_error(mock, 0, 0x10);
}

static void immediate_commands(void **state)
{
    static const struct {
        uint8_t code, feature;
        uint16_t count;
        uint8_t error;
    } rows[] = {
        {0xef, 0x03, 0x45, 0}, {0xef, 0x03, 0x46, 4}, {0xef, 0x03, 0x0c, 0}, {0xef, 0x02, 0, 0},
        {0xef, 0x82, 0, 0},    {0xef, 0x10, 3, 4},    {0xe0, 0, 0, 0},       {0xe1, 0, 0, 0},
        {0xe2, 0, 0, 0},       {0xe3, 0, 0, 0},       {0xe5, 0, 0, 0},       {0xf8, 0, 0, 0},
        {0x27, 0, 0, 0},       {0xc6, 0, 3, 4},       {0x00, 0, 0, 4},       {0xa1, 0, 0, 4},
        {0xb0, 0, 0, 4},       {0xf5, 0, 0, 4},       {0x63, 0, 0, 4},       {0x65, 0, 0, 4}};
    struct mock *mock = *state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        command(mock, i, rows[i].code, 0, rows[i].count);
        command_fis(mock, i)[3] = rows[i].feature;
        header(mock, i, 0);
        if (rows[i].error)
            run_error(mock, i, rows[i].error);
        else
            run_ok(mock, i, DHRS);
    }
    assert_int_equal(mock->dev.count.requests, 0);
}

static void native_max(void **state)
{
    struct mock *mock = *state;
    const uint8_t *fis = mock_ram(mock, FISES + 0x40, 20);
    command(mock, 0, 0x27, 0, 0);
    header(mock, 0, 0);
    run_ok(mock, 0, DHRS);
    assert_int_equal(fis[0], 0x34);
    assert_int_equal(fis[1], 0x40);
    assert_int_equal(fis[4] | fis[5] << 8, MOCK_SECTORS - 1);
    command(mock, 0, 0xe5, 0, 0);
    run_ok(mock, 0, DHRS);
    assert_int_equal(fis[12], 0xff);
}

static void flush_and_verify(void **state)
{
    struct mock *mock = *state;
    header(mock, 0, 0);
    command(mock, 0, 0xe7, 0, 0);
    run_ok(mock, 0, DHRS);
    command(mock, 0, 0xea, 0xffffffffffff, 0);
    run_ok(mock, 0, DHRS);
    assert_int_equal(mock->disk.submits[HOST_DISK_FLUSH], 2);
    command(mock, 0, 0x42, 1000, 20);
    run_ok(mock, 0, DHRS);
    mock->disk.bad_sector = 1010;
    run_error(mock, 0, 0x40);
    mock->disk.fail_next = -EIO;
    command(mock, 0, 0xea, 0, 0);
    run_error(mock, 0, 0x04);
    assert_int_equal(mock->dev.count.requests, 3);
    assert_int_equal(mock->dev.count.bytes, 0);
}

static void write_cache_off(void **state)
{
    struct mock *mock = *state;
    command(mock, 0, 0xef, 0, 0);
    command_fis(mock, 0)[3] = 0x82;
    header(mock, 0, 0);
    run_ok(mock, 0, DHRS);
    queued(mock, 1, 0x61, 9, 1);
    issue_queued(mock, 2);
    mock_disk_complete(mock, 0);
    mock_service(mock);
    assert_int_equal(get(mock, SACT), 2);
    finish(mock);
    assert_int_equal(get(mock, SACT), 0);
    assert_int_equal(mock->disk.submits[HOST_DISK_FLUSH], 1);
}

static void trim_range(struct mock *mock, unsigned index, uint64_t lba, uint16_t count)
{
    uint64_t entry = lba | (uint64_t)count << 48;
    memcpy(mock_ram(mock, page_of(0) + 8 * index, 8), &entry, 8);
}

static void trim(void **state)
{
    struct mock *mock = *state;
    uint8_t zero[512] = {0};
    trim_range(mock, 0, 10, 2);
    trim_range(mock, 5, 100, 1);
    trim_range(mock, 63, MOCK_SECTORS - 1, 1);
    simple(mock, 0, 0x06, 0, 1);
    command_fis(mock, 0)[3] = 1;
    run_ok(mock, 0, DHRS);
    assert_int_equal(mock->disk.submits[HOST_DISK_DISCARD], 3);
    assert_memory_equal(mock->disk.image + 10 * 512, zero, 512);
    assert_memory_equal(mock->disk.image + 11 * 512, zero, 512);
    assert_int_equal(mock->disk.image[12 * 512 + 1], mock_disk_pattern(12, 1));
    assert_memory_equal(mock->disk.image + 100 * 512, zero, 512);
    assert_memory_equal(mock->disk.image + (MOCK_SECTORS - 1) * 512, zero, 512);
    assert_int_equal(mock->dev.count.requests, 1);
    trim_range(mock, 63, MOCK_SECTORS - 1, 2); /* one bad range: nothing is done */
    run_error(mock, 0, 0x10);
    assert_int_equal(mock->disk.submits[HOST_DISK_DISCARD], 3);
    memset(mock_ram(mock, page_of(0), 512), 0, 512);
    run_ok(mock, 0, DHRS); /* nothing to do */
    command_fis(mock, 0)[3] = 0;
    run_error(mock, 0, 0x04);
    command_fis(mock, 0)[3] = 1;
    command_fis(mock, 0)[12] = 2;
    run_error(mock, 0, 0x04);
    command_fis(mock, 0)[12] = 1;
    mock->disk.front.can_discard = false;
    run_error(mock, 0, 0x04);
}

/* --- Errors --- */

static void disk_errors(void **state)
{
    struct mock *mock = *state;
    const uint8_t *fis = mock_ram(mock, FISES + 0x40, 20);
    mock->disk.bad_sector = 505;
    simple(mock, 5, 0x25, 500, 8);
    run_error(mock, 5, 0x40);
    assert_int_equal(fis[2], 0x51);
    assert_int_equal(fis[3], 0x40);
    assert_int_equal(fis[4] | fis[5] << 8, 500);
    simple(mock, 5, 0x20, 500, 8); /* by PIO: a D2H FIS, no PIO Setup */
    run_error(mock, 5, 0x40);
    simple(mock, 6, 0x35, 500, 8);
    run_error(mock, 6, 0x04);
    simple(mock, 7, 0xc8, MOCK_SECTORS, 1);
    run_error(mock, 7, 0x10);
    simple(mock, 7, 0xc4, 0, 1); /* before SET MULTIPLE */
    run_error(mock, 7, 0x04);
    mock->disk.front.read_only = true;
    simple(mock, 8, 0x35, 0, 1);
    run_error(mock, 8, 0x04);
    assert_int_equal(mock->dev.count.requests, 0);
}

/* Commands behind a failed one wait; those behind a slow one too, and then run in order. */
static void one_at_a_time(void **state)
{
    struct mock *mock = *state;
    for (unsigned slot = 0; slot < 4; slot++)
        simple(mock, slot, 0x25, slot, 1);
    put(mock, CI, 0xf);
    for (unsigned slot = 0; slot < 4; slot++) {
        assert_int_equal(mock->disk.ninflight, 1);
        assert_int_equal(get(mock, CI), 0xf & ~((1u << slot) - 1));
        mock_disk_complete(mock, 0);
        mock_service(mock);
    }
    assert_int_equal(get(mock, CI), 0);
    mock->disk.fail_next = -EIO;
    put(mock, CI, 0xf);
    mock_disk_complete(mock, 0);
    mock_service(mock);
    assert_int_equal(get(mock, CI), 0xf);
    assert_int_equal(mock->disk.ninflight, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(identify),        TEST(reads),
        TEST(writes),          TEST(write_waits),
        TEST(lba28),           TEST(immediate_commands),
        TEST(native_max),      TEST(flush_and_verify),
        TEST(write_cache_off), TEST(trim),
        TEST(disk_errors),     TEST(one_at_a_time),
    };
    return cmocka_run_group_tests_name("emulated/ahci commands", tests, NULL, NULL);
}
