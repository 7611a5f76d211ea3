/* The emulated ATA disk with programmed I/O, and the command set that it shares with AHCI. */
#include "mock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "devices/emulated/disk/ata_command.h"
#include "devices/emulated/emulated.h"

enum {
    DATA = 0x00,
    ERROR = 0x04,
    FEATURE = 0x04,
    COUNT = 0x08,
    LOW = 0x0c,
    MID = 0x10,
    HIGH = 0x14,
    DEVICE = 0x18,
    STATUS = 0x1c,
    COMMAND = 0x1c,
    CONTROL = EMULATED_ATA_CONTROL
};

#define READY  0x50
#define WANTS  0x58 /* READY and DRQ */
#define FAILED 0x51
#define BUSY   0x80

static int setup(void **state)
{
    *state = mock_new_disk(&emulated_ata);
    return 0;
}

static int teardown(void **state)
{
    struct mock *mock = *state;
    assert_int_equal(mock->disk.invalid, 0);
    mock_free(mock);
    return 0;
}

static uint8_t get(struct mock *mock, unsigned reg)
{
    return (uint8_t)mock_load(mock, reg, 1);
}

static void put(struct mock *mock, unsigned reg, uint8_t value)
{
    mock_store(mock, reg, 1, value);
}

static void command28(struct mock *mock, uint8_t code, uint32_t lba, uint8_t count)
{
    put(mock, COUNT, count);
    put(mock, LOW, (uint8_t)lba);
    put(mock, MID, (uint8_t)(lba >> 8));
    put(mock, HIGH, (uint8_t)(lba >> 16));
    put(mock, DEVICE, (uint8_t)(0xe0 | lba >> 24));
    put(mock, COMMAND, code);
}

static void command48(struct mock *mock, uint8_t code, uint64_t lba, uint16_t count)
{
    put(mock, COUNT, (uint8_t)(count >> 8));
    put(mock, COUNT, (uint8_t)count);
    for (unsigned i = 0; i < 3; i++) {
        put(mock, LOW + 4 * i, (uint8_t)(lba >> (24 + 8 * i)));
        put(mock, LOW + 4 * i, (uint8_t)(lba >> (8 * i)));
    }
    put(mock, DEVICE, 0x40);
    put(mock, COMMAND, code);
}

static void load_block(struct mock *mock, uint8_t *data, unsigned bytes, unsigned width)
{
    for (unsigned i = 0; i < bytes; i += width) {
        uint64_t value = mock_load(mock, DATA, width);
        memcpy(data + i, &value, width);
    }
}

static void store_block(struct mock *mock, const uint8_t *data, unsigned bytes, unsigned width)
{
    for (unsigned i = 0; i < bytes; i += width) {
        uint64_t value = 0;
        memcpy(&value, data + i, width);
        mock_store(mock, DATA, width, value);
    }
}

static void assert_sector(const uint8_t *data, uint64_t sector)
{
    for (unsigned i = 0; i < 512; i++)
        assert_int_equal(data[i], mock_disk_pattern(sector, i));
}

static void fill(uint8_t *data, unsigned bytes, uint8_t seed)
{
    for (unsigned i = 0; i < bytes; i++)
        data[i] = (uint8_t)(seed + i * 3 + i / 512);
}

static void signature(void **state)
{
    struct mock *mock = *state;
    assert_int_equal(get(mock, STATUS), READY);
    assert_int_equal(get(mock, ERROR), 1);
    assert_int_equal(get(mock, COUNT), 1);
    assert_int_equal(get(mock, LOW), 1);
    assert_int_equal(get(mock, MID), 0);
    assert_int_equal(get(mock, HIGH), 0);
    assert_int_equal(get(mock, DEVICE), 0xa0);
    assert_int_equal(get(mock, CONTROL), READY);
    assert_false(mock->dev.line);
}

static void widths(void **state)
{
    struct mock *mock = *state;
    uint64_t value;
    mock_store(mock, COUNT, 4, 0xffffff55);
    assert_int_equal(mock_load(mock, COUNT, 4), 0x55);
    assert_int_equal(mock_load(mock, COUNT, 2), 0x55);
    assert_false(mock_try_load(mock, DATA, 1, &value));
    assert_false(mock_try_load(mock, DATA, 8, &value));
    assert_false(mock_try_store(mock, COUNT, 8, 0));
    assert_false(mock_try_load(mock, 0x20, 1, &value));
    assert_false(mock_try_load(mock, COUNT + 1, 1, &value));
    assert_false(mock_try_load(mock, CONTROL + 4, 1, &value));
    assert_int_equal(mock_load(mock, DATA, 2), 0); /* nothing wanted, nothing offered */
    mock_store(mock, DATA, 4, 0x12345678);
    assert_int_equal(get(mock, STATUS), READY);
}

static void hob(void **state)
{
    struct mock *mock = *state;
    for (unsigned reg = COUNT; reg <= HIGH; reg += 4) {
        put(mock, reg, (uint8_t)(0x10 + reg));
        put(mock, reg, (uint8_t)(0x80 + reg));
    }
    put(mock, CONTROL, 0x80);
    for (unsigned reg = COUNT; reg <= HIGH; reg += 4)
        assert_int_equal(get(mock, reg), 0x10 + reg);
    put(mock, FEATURE, 0); /* any store to the command block ends it */
    for (unsigned reg = COUNT; reg <= HIGH; reg += 4)
        assert_int_equal(get(mock, reg), 0x80 + reg);
}

static uint16_t word(const uint8_t *data, unsigned index)
{
    return (uint16_t)(data[2 * index] | data[2 * index + 1] << 8);
}

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

static void set_features(void **state)
{
    static const struct {
        uint8_t feature, count, error;
    } rows[] = {{0x03, 0x00, 0}, {0x03, 0x08, 0}, {0x03, 0x0c, 0}, {0x03, 0x0d, 4}, {0x03, 0x20, 4},
                {0x03, 0x45, 4}, {0xaa, 0, 0},    {0x55, 0, 0},    {0x02, 0, 0},    {0x82, 0, 0},
                {0xcc, 0, 0},    {0x66, 0, 4},    {0x05, 1, 4},    {0x99, 0, 4}};
    struct mock *mock = *state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        put(mock, FEATURE, rows[i].feature);
        put(mock, COUNT, rows[i].count);
        put(mock, COMMAND, 0xef);
        assert_int_equal(get(mock, ERROR), rows[i].error);
        assert_int_equal(get(mock, STATUS), rows[i].error ? FAILED : READY);
    }
}

static void no_data_commands(void **state)
{
    static const uint8_t good[] = {0x10, 0x70, 0xe0, 0xe1, 0xe2, 0xe3, 0xe5, 0xe6, 0x27, 0xf8};
    struct mock *mock = *state;
    for (unsigned i = 0; i < sizeof(good); i++) {
        put(mock, COMMAND, good[i]);
        assert_true(mock->dev.line);
        assert_int_equal(get(mock, STATUS), READY);
    }
    put(mock, COMMAND, 0xe5);
    assert_int_equal(get(mock, COUNT), 0xff);
}

/* Every code that is not a PIO or non-data command of the table: DMA and NCQ among them. */
static void unknown_commands_abort(void **state)
{
    struct mock *mock = *state;
    unsigned aborted = 0;
    for (unsigned code = 0; code < 256; code++) {
        const struct ata_command *command = ata_command_find((uint8_t)code);
        if (command && !(command->flags & (ATA_DMA | ATA_NCQ)) && command->kind != ATA_READ_LOG)
            continue;
        aborted++;
        put(mock, COMMAND, (uint8_t)code);
        assert_true(mock->dev.line);
        assert_int_equal(get(mock, STATUS), FAILED);
        assert_int_equal(get(mock, ERROR), 0x04);
    }
    assert_true(aborted > 200);
    assert_null(ata_command_find(0x00));
    assert_null(ata_command_find(0xa1));
}

static void diagnostic(void **state)
{
    struct mock *mock = *state;
    put(mock, LOW, 0x77);
    put(mock, DEVICE, 0x10); /* both devices obey */
    put(mock, COMMAND, 0x90);
    assert_true(mock->dev.line);
    signature(state);
}

static void device_one_is_absent(void **state)
{
    struct mock *mock = *state;
    put(mock, DEVICE, 0xb0);
    assert_int_equal(get(mock, STATUS), 0);
    assert_int_equal(get(mock, CONTROL), 0);
    put(mock, COMMAND, 0xec);
    assert_int_equal(get(mock, STATUS), 0);
    put(mock, DEVICE, 0xa0);
    assert_int_equal(get(mock, STATUS), READY);
    assert_int_equal(mock->dev.count.notifications, 0);
    put(mock, COMMAND, 0xe7);
    mock_disk_finish(mock);
    assert_true(mock->dev.line);
    put(mock, DEVICE, 0xb0); /* an unselected device does not drive INTRQ */
    assert_false(mock->dev.line);
    put(mock, DEVICE, 0xa0);
    assert_true(mock->dev.line);
}

static void interrupts_masked(void **state)
{
    struct mock *mock = *state;
    put(mock, CONTROL, 0x02);
    put(mock, COMMAND, 0xe5);
    assert_false(mock->dev.line);
    put(mock, CONTROL, 0x00); /* it was only held back */
    assert_true(mock->dev.line);
    mock->asserted = 0;
    get(mock, CONTROL); /* the alternate status acknowledges nothing, and is no news */
    mock_service(mock);
    assert_true(mock->dev.line);
    assert_int_equal(mock->asserted, 0);
    put(mock, COMMAND, 0xec); /* a command store acknowledges; IDENTIFY raises it anew */
    assert_true(mock->dev.line);
    assert_int_equal(mock->asserted, 1);
}

static void busy_ignores_stores(void **state)
{
    struct mock *mock = *state;
    command28(mock, 0x20, 10, 1);
    put(mock, LOW, 0x99);
    put(mock, DEVICE, 0xbf);
    put(mock, COMMAND, 0xe7);
    assert_int_equal(mock->disk.submits[HOST_DISK_FLUSH], 0);
    mock_disk_finish(mock);
    put(mock, COMMAND, 0xe7); /* with DRQ too */
    assert_int_equal(get(mock, LOW), 10);
    assert_int_equal(get(mock, STATUS), WANTS);
    assert_int_equal(mock->disk.submits[HOST_DISK_FLUSH], 0);
}

static void software_reset(void **state)
{
    struct mock *mock = *state;
    uint8_t data[512];
    command28(mock, 0x20, 10, 1);
    put(mock, CONTROL, 0x04); /* while the host works */
    assert_int_equal(get(mock, STATUS), BUSY);
    assert_int_equal(mock->disk.ninflight, 0);
    put(mock, CONTROL, 0x00);
    signature(state);
    command28(mock, 0x20, 11, 1);
    mock_disk_finish(mock);
    load_block(mock, data, 512, 2);
    assert_sector(data, 11);
    command28(mock, 0x20, 11, 2); /* and in the middle of a block */
    mock_disk_finish(mock);
    load_block(mock, data, 100, 2);
    put(mock, CONTROL, 0x04);
    put(mock, CONTROL, 0x00);
    signature(state);
    command28(mock, 0x20, 11, 1);
    assert_int_equal(emulated_ata.attach(&mock->dev), 0);
    signature(state);
    mock_service(mock);
    signature(state);
}

static void host_is_full(void **state)
{
    struct mock *mock = *state;
    uint8_t data[512];
    mock->disk.refuse_next = -EAGAIN;
    command28(mock, 0x20, 12, 1);
    assert_int_equal(get(mock, STATUS), BUSY);
    assert_int_equal(mock->disk.ninflight, 0);
    mock_service(mock);
    assert_int_equal(mock->disk.ninflight, 1);
    mock_disk_finish(mock);
    load_block(mock, data, 512, 4);
    assert_sector(data, 12);
    mock->disk.refuse_next = -EINVAL;
    command28(mock, 0x20, 12, 1);
    assert_int_equal(get(mock, STATUS), FAILED);
    mock->disk.refuse_next = -EAGAIN;
    command28(mock, 0x20, 12, 1);
    put(mock, CONTROL, 0x04);
    put(mock, CONTROL, 0x00);
    mock_service(mock);
    assert_int_equal(mock->disk.ninflight, 0);
}

static void hostile(void **state)
{
    static const uint8_t likely[] = {0x20, 0x24, 0x30, 0x34, 0xc4, 0xc5,
                                     0xc6, 0xec, 0xe7, 0x40, 0x29, 0x39};
    struct mock *mock = *state;
    uint64_t seed = 0xabcdef;
    mock->disk.front.depth = 1;
    for (unsigned i = 0; i < 100000; i++) {
        uint64_t r = mock_random(&seed), value = mock_random(&seed), loaded;
        unsigned width = 1u << (r >> 8) % 4;
        uint64_t offset = (r >> 16) % 10 * 4;
        if (offset > STATUS)
            offset = (r >> 24) % 8 ? CONTROL + ((r >> 28) % 2) * 4 : (r >> 20) % 0x1000;
        offset &= ~(uint64_t)(width - 1);
        if (offset == CONTROL && (r >> 40) % 8)
            value &= ~4ull;
        if (offset == COMMAND && (r >> 40) % 2)
            value = likely[(r >> 44) % sizeof(likely)];
        if (offset == HIGH || offset == MID)
            value &= 7;
        if ((r >> 50) % 64 == 0)
            mock->disk.bad_sector = value % 64;
        if ((r >> 56) % 32 == 0)
            mock->disk.refuse_next = (r >> 62) % 2 ? -EAGAIN : -EINVAL;
        if ((r >> 60) == 1 && mock->disk.ninflight)
            mock_disk_complete(mock, 0);
        if ((r >> 60) < 3)
            mock_service(mock);
        for (unsigned n = 0; offset == DATA && (r >> 48) % 4 == 0 && n < 128; n++)
            mock_try_load(mock, DATA, 4, &loaded);
        if (r & 1)
            mock_try_store(mock, offset, width, value);
        else
            mock_try_load(mock, offset, width, &loaded);
    }
    mock_disk_finish(mock);
    put(mock, CONTROL, 0x04);
    put(mock, CONTROL, 0x00);
    signature(state);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {TEST(signature),
                                              TEST(widths),
                                              TEST(hob),
                                              TEST(identify),
                                              TEST(identify_large),
                                              TEST(read_sectors),
                                              TEST(write_sectors),
                                              TEST(counts_of_zero),
                                              TEST(multiple),
                                              TEST(chs),
                                              TEST(out_of_range),
                                              TEST(read_error),
                                              TEST(write_error),
                                              TEST(flush),
                                              TEST(write_cache_off),
                                              TEST(set_features),
                                              TEST(no_data_commands),
                                              TEST(unknown_commands_abort),
                                              TEST(diagnostic),
                                              TEST(device_one_is_absent),
                                              TEST(interrupts_masked),
                                              TEST(busy_ignores_stores),
                                              TEST(software_reset),
                                              TEST(host_is_full),
                                              TEST(hostile)};
    return cmocka_run_group_tests_name("emulated/ata", tests, NULL, NULL);
}
