/*
 * The emulated ATA disk with programmed I/O: its registers and their state, commands without data,
 * interrupts, resets, and a guest that writes noise.
 */
#include "ata_guest.h"

#include <errno.h>

#include "devices/emulated/disk/ata_command.h"

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

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(signature),
        TEST(widths),
        TEST(hob),
        TEST(set_features),
        TEST(no_data_commands),
        TEST(unknown_commands_abort),
        TEST(diagnostic),
        TEST(device_one_is_absent),
        TEST(interrupts_masked),
        TEST(busy_ignores_stores),
        TEST(software_reset),
        TEST(host_is_full),
        TEST(hostile),
    };
    return cmocka_run_group_tests_name("emulated/ata", tests, NULL, NULL);
}
