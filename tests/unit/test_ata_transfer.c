/*
 * The emulated ATA disk with programmed I/O: commands that bring data or take it, how they address
 * the disk, and their errors.
 */
#include "ata_guest.h"

#include <errno.h>

static void identify(void **state)
{
    struct mock *mock = *state;
    uint8_t data[512], sum = 0;
    put(mock, COMMAND, 0xec);
    assert_true(mock->dev.line);
    assert_int_equal(get(mock, CONTROL), WANTS); /* does not acknowledge */
    assert_true(mock->dev.line);
    assert_int_equal(get(mock, STATUS), WANTS);
    assert_false(mock->dev.line);
    load_block(mock, data, 512, 2);
    assert_int_equal(get(mock, STATUS), READY);
    assert_false(mock->dev.line);
    for (unsigned i = 0; i < 512; i++)
        sum = (uint8_t)(sum + data[i]);
    assert_int_equal(sum, 0);
    assert_int_equal(word(data, 0), 0x0040);
    assert_int_equal(word(data, 1), MOCK_SECTORS / (16 * 63));
    assert_memory_equal(data + 20, "OMKC0010            ", 20);
    assert_memory_equal(data + 54, "RTDINE TTA AIDKS", 16);
    assert_int_equal(word(data, 47), 0x8010);
    assert_int_equal(word(data, 49), 0x0a00); /* LBA, no DMA */
    assert_int_equal(word(data, 59), 0);
    assert_int_equal(word(data, 60), MOCK_SECTORS);
    assert_int_equal(word(data, 61), 0);
    assert_int_equal(word(data, 63) | word(data, 88) | word(data, 76) | word(data, 169), 0);
    assert_int_equal(word(data, 83), 0x7400);
    assert_int_equal(word(data, 100), MOCK_SECTORS);
    assert_int_equal(mock->dev.count.requests, 0);
}

/* LBA28 and LBA48 counts in both words when the disk is large. */
static void identify_large(void **state)
{
    struct mock *mock = *state;
    uint8_t data[512];
    mock->disk.front.sectors = 0x123456789abcull;
    put(mock, COMMAND, 0xec);
    load_block(mock, data, 512, 4);
    assert_int_equal(word(data, 60) | (uint32_t)word(data, 61) << 16, 0x0fffffff);
    assert_int_equal(word(data, 100), 0x9abc);
    assert_int_equal(word(data, 101), 0x5678);
    assert_int_equal(word(data, 102), 0x1234);
    assert_int_equal(word(data, 1), 16383);
    put(mock, COMMAND, 0xf8); /* READ NATIVE MAX: the most that 28 bits can say */
    assert_int_equal(get(mock, LOW) | get(mock, MID) << 8 | get(mock, HIGH) << 16, 0xfffffe);
    assert_int_equal(get(mock, DEVICE) & 0x0f, 0x0f);
    put(mock, COMMAND, 0x27);
    assert_int_equal(get(mock, LOW), 0xbb);
    assert_int_equal(get(mock, HIGH), 0x78);
    put(mock, CONTROL, 0x80);
    assert_int_equal(get(mock, LOW), 0x56);
    assert_int_equal(get(mock, HIGH), 0x12);
}

/* One interrupt for each sector, and BSY only while the host works. */
static void read_sectors(void **state)
{
    struct mock *mock = *state;
    uint8_t data[512];
    command28(mock, 0x20, 100, 20);
    assert_int_equal(get(mock, STATUS), BUSY);
    assert_false(mock->dev.line);
    for (unsigned i = 0; i < 20; i++) {
        if (i % 16 == 0) {
            assert_int_equal(get(mock, CONTROL), BUSY);
            mock_disk_finish(mock);
        }
        assert_true(mock->dev.line);
        assert_int_equal(get(mock, STATUS), WANTS);
        assert_false(mock->dev.line);
        load_block(mock, data, 512, i % 2 ? 2 : 4);
        assert_sector(data, 100 + i);
    }
    assert_int_equal(get(mock, STATUS), READY);
    assert_false(mock->dev.line);
    assert_int_equal(mock->disk.submits[HOST_DISK_READ], 2);
    assert_int_equal(mock->dev.count.requests, 1);
    assert_int_equal(mock->dev.count.bytes, 20 * 512);
    assert_int_equal(mock->dev.count.notifications, 1);
    assert_int_equal(mock->dev.count.irqs, 20);
}

static void write_sectors(void **state)
{
    struct mock *mock = *state;
    uint8_t data[20 * 512];
    fill(data, sizeof(data), 5);
    command48(mock, 0x34, 3000, 20);
    assert_int_equal(get(mock, STATUS),
                     WANTS); /* the first block is asked for without an interrupt */
    assert_false(mock->dev.line);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(get(mock, STATUS), WANTS);
        store_block(mock, data + 512 * i, 512, i % 2 ? 2 : 4);
        if (i == 15 || i == 19) {
            assert_int_equal(get(mock, STATUS), BUSY);
            assert_false(mock->dev.line);
            mock_disk_finish(mock);
        }
        assert_true(mock->dev.line);
        assert_int_equal(get(mock, STATUS), i == 19 ? READY : WANTS);
        assert_false(mock->dev.line);
    }
    assert_memory_equal(mock->disk.image + 3000 * 512, data, sizeof(data));
    assert_int_equal(mock->dev.count.requests, 1);
    assert_int_equal(mock->dev.count.bytes, sizeof(data));
}

static void counts_of_zero(void **state)
{
    struct mock *mock = *state;
    uint8_t data[512];
    mock->disk.immediate = true;
    command28(mock, 0x20, 0, 0);
    for (unsigned i = 0; i < 256; i++) {
        mock_service(mock);
        assert_int_equal(get(mock, STATUS), WANTS);
        load_block(mock, data, 512, 4);
        assert_sector(data, i);
    }
    assert_int_equal(get(mock, STATUS), READY);
    command48(mock, 0x24, 0, 0); /* 65,536 sectors: more than there are */
    assert_int_equal(get(mock, STATUS), FAILED);
    assert_int_equal(get(mock, ERROR), 0x10);
}

static void multiple(void **state)
{
    struct mock *mock = *state;
    uint8_t data[10 * 512], seen[512];
    static const uint8_t refused[] = {3, 5, 15, 17, 32, 255};
    command28(mock, 0xc4, 0, 1); /* not before SET MULTIPLE */
    assert_int_equal(get(mock, STATUS), FAILED);
    assert_int_equal(get(mock, ERROR), 0x04);
    for (unsigned i = 0; i < sizeof(refused); i++) {
        put(mock, COUNT, refused[i]);
        put(mock, COMMAND, 0xc6);
        assert_int_equal(get(mock, STATUS), FAILED);
    }
    put(mock, COUNT, 4);
    put(mock, COMMAND, 0xc6);
    assert_int_equal(get(mock, STATUS), READY);
    put(mock, COMMAND, 0xec);
    load_block(mock, seen, 512, 4);
    assert_int_equal(word(seen, 59), 0x0104);
    get(mock, STATUS);

    command28(mock, 0xc4, 40, 10); /* blocks of 4, 4 and 2 */
    mock_disk_finish(mock);
    for (unsigned i = 0; i < 10; i += 4) {
        assert_true(mock->dev.line);
        assert_int_equal(get(mock, STATUS), WANTS);
        load_block(mock, data + 512 * i, i == 8 ? 1024 : 2048, 4);
    }
    assert_int_equal(get(mock, STATUS), READY);
    for (unsigned i = 0; i < 10; i++)
        assert_sector(data + 512 * i, 40 + i);

    fill(data, sizeof(data), 77);
    command48(mock, 0x39, 60, 10);
    for (unsigned i = 0; i < 10; i += 4) {
        assert_int_equal(get(mock, STATUS), WANTS);
        store_block(mock, data + 512 * i, i == 8 ? 1024 : 2048, 4);
    }
    mock_disk_finish(mock);
    assert_int_equal(get(mock, STATUS), READY);
    assert_memory_equal(mock->disk.image + 60 * 512, data, sizeof(data));
    put(mock, COUNT, 0);
    put(mock, COMMAND, 0xc6); /* and off again */
    command48(mock, 0x29, 0, 1);
    assert_int_equal(get(mock, STATUS), FAILED);
}

static void chs(void **state)
{
    struct mock *mock = *state;
    uint8_t data[512];
    put(mock, COUNT, 1);
    put(mock, LOW, 5); /* cylinder 2, head 3, sector 5 */
    put(mock, MID, 2);
    put(mock, HIGH, 0);
    put(mock, DEVICE, 0xa3);
    put(mock, COMMAND, 0x20);
    mock_disk_finish(mock);
    load_block(mock, data, 512, 2);
    assert_sector(data, (2 * 16 + 3) * 63 + 4);
    put(mock, LOW, 0); /* sectors count from 1 */
    put(mock, COMMAND, 0x20);
    assert_int_equal(get(mock, STATUS), FAILED);
    assert_int_equal(get(mock, ERROR), 0x10);
    put(mock, COUNT, 8); /* another geometry: 4 heads, 8 sectors */
    put(mock, DEVICE, 0xa3);
    put(mock, COMMAND, 0x91);
    assert_int_equal(get(mock, STATUS), READY);
    put(mock, COUNT, 1);
    put(mock, LOW, 8);
    put(mock, COMMAND, 0x20);
    mock_disk_finish(mock);
    load_block(mock, data, 512, 2);
    assert_sector(data, (2 * 4 + 3) * 8 + 7);
    put(mock, LOW, 9);
    put(mock, COMMAND, 0x20);
    assert_int_equal(get(mock, ERROR), 0x10);
    put(mock, COUNT, 0);
    put(mock, COMMAND, 0x91);
    assert_int_equal(get(mock, ERROR), 0x04);
}

static void out_of_range(void **state)
{
    static const struct {
        uint8_t code;
        bool ext;
        uint64_t lba;
        uint16_t count;
        uint8_t error;
    } rows[] = {
        {0x20, false, MOCK_SECTORS - 1, 1, 0},    {0x20, false, MOCK_SECTORS, 1, 0x10},
        {0x20, false, MOCK_SECTORS - 1, 2, 0x10}, {0x30, false, 0x0fffffff, 1, 0x10},
        {0x24, true, MOCK_SECTORS - 1, 1, 0},     {0x24, true, MOCK_SECTORS, 1, 0x10},
        {0x24, true, 0xffffffffffff, 1, 0x10},    {0x34, true, 0x1000000000000 - 5, 10, 0x10},
        {0x40, false, MOCK_SECTORS, 1, 0x10},     {0x42, true, MOCK_SECTORS - 300, 301, 0x10}};
    struct mock *mock = *state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].ext)
            command48(mock, rows[i].code, rows[i].lba, rows[i].count);
        else
            command28(mock, rows[i].code, (uint32_t)rows[i].lba, (uint8_t)rows[i].count);
        if (rows[i].error) {
            assert_true(mock->dev.line);
            assert_int_equal(get(mock, STATUS), FAILED);
            assert_int_equal(get(mock, ERROR), rows[i].error);
        } else {
            assert_int_equal(get(mock, STATUS), BUSY);
            mock_disk_finish(mock);
            assert_int_equal(get(mock, STATUS), WANTS);
            put(mock, CONTROL, 0x04);
            put(mock, CONTROL, 0x00);
        }
    }
    assert_int_equal(mock->disk.submits[HOST_DISK_WRITE], 0);
}

/* The sectors before the bad one arrive; the registers say which one it is. */
static void read_error(void **state)
{
    struct mock *mock = *state;
    uint8_t data[512];
    mock->disk.bad_sector = 0x205;
    command28(mock, 0x20, 0x200, 16);
    for (unsigned i = 0; i < 5; i++) {
        mock_disk_finish(mock);
        assert_int_equal(get(mock, STATUS), WANTS);
        load_block(mock, data, 512, 4);
        assert_sector(data, 0x200 + i);
    }
    mock_disk_finish(mock);
    assert_true(mock->dev.line);
    assert_int_equal(get(mock, STATUS), FAILED);
    assert_int_equal(get(mock, ERROR), 0x40);
    assert_int_equal(get(mock, LOW), 0x05);
    assert_int_equal(get(mock, MID), 0x02);
    command48(mock, 0x42, 0x200, 200); /* VERIFY finds it too */
    mock_disk_finish(mock);
    assert_int_equal(get(mock, STATUS), FAILED);
    assert_int_equal(get(mock, ERROR), 0x40);
    assert_int_equal(get(mock, LOW), 0x05);
    command28(mock, 0x40, 0x206, 100);
    mock_disk_finish(mock);
    assert_int_equal(get(mock, STATUS), READY);
}

static void write_error(void **state)
{
    struct mock *mock = *state;
    uint8_t data[512] = {0};
    mock->disk.bad_sector = 7;
    command28(mock, 0x30, 7, 1);
    store_block(mock, data, 512, 4);
    mock_disk_finish(mock);
    assert_true(mock->dev.line);
    assert_int_equal(get(mock, STATUS), FAILED);
    assert_int_equal(get(mock, ERROR), 0x04);
    mock->disk.front.read_only = true;
    command28(mock, 0x30, 8, 1);
    assert_int_equal(get(mock, STATUS), FAILED);
    assert_int_equal(get(mock, ERROR), 0x04);
    assert_int_equal(mock->dev.count.requests, 0);
}

static void flush(void **state)
{
    struct mock *mock = *state;
    for (unsigned i = 0; i < 2; i++) {
        put(mock, COMMAND, i ? 0xea : 0xe7);
        assert_int_equal(get(mock, STATUS), BUSY);
        mock_disk_finish(mock);
        assert_true(mock->dev.line);
        assert_int_equal(get(mock, STATUS), READY);
    }
    assert_int_equal(mock->disk.submits[HOST_DISK_FLUSH], 2);
    mock->disk.fail_next = -EIO;
    put(mock, COMMAND, 0xe7);
    mock_disk_finish(mock);
    assert_int_equal(get(mock, STATUS), FAILED);
    assert_int_equal(get(mock, ERROR), 0x04);
    assert_int_equal(mock->dev.count.requests, 2);
}

/* With the write cache off, a write ends only after a flush. */
static void write_cache_off(void **state)
{
    struct mock *mock = *state;
    uint8_t data[512] = {1};
    put(mock, FEATURE, 0x82);
    put(mock, COMMAND, 0xef);
    command28(mock, 0x30, 9, 1);
    store_block(mock, data, 512, 4);
    get(mock, STATUS);
    mock_disk_complete(mock, 0);
    mock_service(mock);
    assert_int_equal(get(mock, STATUS), BUSY);
    mock_disk_complete(mock, 0);
    mock_service(mock);
    assert_int_equal(get(mock, STATUS), READY);
    assert_int_equal(mock->disk.submits[HOST_DISK_FLUSH], 1);
    put(mock, FEATURE, 0x02);
    put(mock, COMMAND, 0xef);
    command28(mock, 0x30, 9, 1);
    store_block(mock, data, 512, 4);
    mock_disk_finish(mock);
    assert_int_equal(mock->disk.submits[HOST_DISK_FLUSH], 1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(identify),       TEST(identify_large), TEST(read_sectors), TEST(write_sectors),
        TEST(counts_of_zero), TEST(multiple),       TEST(chs),          TEST(out_of_range),
        TEST(read_error),     TEST(write_error),    TEST(flush),        TEST(write_cache_off),
    };
    return cmocka_run_group_tests_name("emulated/ata transfers", tests, NULL, NULL);
}
