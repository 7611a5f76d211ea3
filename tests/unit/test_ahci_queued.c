/* The emulated AHCI disk: native command queuing, its errors and the logs that tell of them. */
#include "ahci_guest.h"

static void all_slots_in_flight(void **state)
{
    struct mock *mock = *state;
    uint32_t left = 0xffffffff;
    for (unsigned slot = 0; slot < 32; slot++)
        queued(mock, slot, 0x60, 64 * slot, 8);
    issue_queued(mock, 0xffffffff);
    assert_int_equal(get(mock, CI), 0); /* the device has them all */
    assert_int_equal(get(mock, SACT), 0xffffffff);
    assert_int_equal(get(mock, TFD), 0x50);
    assert_int_equal(mock->disk.ninflight, 32);
    assert_int_equal(mock->dev.count.notifications, 1);
    assert_false(mock->dev.line);
    for (unsigned slot = 0; slot < 32; slot += 2) { /* the odd ones last */
        const uint8_t *sdb = mock_ram(mock, FISES + 0x58, 8);
        mock_disk_complete(mock, slot / 2);
        mock_service(mock);
        left &= ~(1u << slot);
        assert_int_equal(acknowledge(mock), SDBS);
        assert_int_equal(get(mock, SACT), left);
        assert_int_equal(sdb[0], 0xa1);
        assert_int_equal(sdb[1], 0x40);
        assert_int_equal(*(const uint32_t *)(sdb + 4), 1u << slot);
        assert_sectors(mock, page_of(slot), 64 * slot, 8);
    }
    finish(mock);
    assert_int_equal(get(mock, SACT), 0);
    assert_int_equal(acknowledge(mock), SDBS); /* one FIS for all that completed together */
    assert_int_equal(*(uint32_t *)mock_ram(mock, FISES + 0x5c, 4), 0xaaaaaaaa);
    assert_int_equal(mock->dev.count.irqs, 17);
    assert_int_equal(mock->dev.count.requests, 32);
    assert_int_equal(mock->dev.count.bytes, 32 * 4096);
}

/* One command is started, or completed, for each time that the disk has its turn. */
static void in_pieces(void **state)
{
    struct mock *mock = *state;
    mock->vm.yield_after = 1;
    for (unsigned slot = 0; slot < 32; slot++)
        queued(mock, slot, 0x60, 64 * slot, 8);
    issue_queued(mock, 0xffffffff);
    for (unsigned slot = 0; slot < 31; slot++) {
        assert_int_equal(mock->disk.ninflight, slot + 1);
        assert_int_equal(get(mock, CI), ~((2u << slot) - 1));
        assert_true(mock->dev.unfinished);
        mock_service(mock);
    }
    assert_int_equal(get(mock, CI), 0);
    while (mock->disk.ninflight)
        mock_disk_complete(mock, 0);
    for (unsigned slot = 0; slot < 32; slot++) {
        mock_service(mock);
        assert_int_equal(get(mock, SACT), slot < 31 ? ~((2u << slot) - 1) : 0);
        assert_sectors(mock, page_of(slot), 64 * slot, 8);
    }
    assert_int_equal(mock->dev.count.requests, 32);

    issue_queued(mock, 0xff); /* the port stops before it has come to most of them */
    put(mock, CMD, FRE);
    finish(mock);
    assert_int_equal(mock->disk.submits[HOST_DISK_READ], 33);
    assert_false(mock->dev.unfinished);
    assert_int_equal(get(mock, CMD) & CR, 0);
    assert_int_equal(get(mock, SACT), 0);
}

static void queued_write_fua(void **state)
{
    struct mock *mock = *state;
    queued(mock, 4, 0x61, 70, 8);
    fill(mock, page_of(4), 4096, 9);
    issue_queued(mock, 1u << 4);
    finish(mock);
    assert_int_equal(acknowledge(mock), SDBS);
    assert_memory_equal(mock->disk.image + 70 * 512, mock_ram(mock, page_of(4), 4096), 4096);
    assert_int_equal(mock->disk.submits[HOST_DISK_FLUSH], 0);
    command_fis(mock, 4)[7] |= 0x80;
    issue_queued(mock, 1u << 4);
    finish(mock);
    assert_int_equal(mock->disk.submits[HOST_DISK_FLUSH], 1);
    assert_int_equal(get(mock, SACT), 0);
}

static void depth_reached(void **state)
{
    struct mock *mock = *state;
    mock->disk.front.depth = 3;
    for (unsigned slot = 0; slot < 10; slot++)
        queued(mock, slot, 0x60, 10 * slot, 4);
    issue_queued(mock, 0x3ff);
    assert_int_equal(mock->disk.ninflight, 3);
    while (mock->disk.ninflight) {
        mock_disk_complete(mock, 0);
        mock_service(mock);
    }
    assert_int_equal(get(mock, SACT), 0);
    assert_int_equal(mock->disk.max_inflight, 3);
    for (unsigned slot = 0; slot < 10; slot++)
        assert_sectors(mock, page_of(slot), 10 * slot, 4);
}

static void read_log(struct mock *mock, uint8_t code, uint8_t address, uint32_t pxis)
{
    simple(mock, 31, code, address, 1);
    run_ok(mock, 31, pxis);
}

static void queued_error(void **state)
{
    struct mock *mock = *state;
    const uint8_t *log = mock_ram(mock, page_of(31), 512);
    uint8_t sum = 0;
    for (unsigned slot = 0; slot < 4; slot++)
        queued(mock, slot, 0x60, 300 + 10 * slot, 4);
    mock->disk.bad_sector = 321;
    issue_queued(mock, 0xf);
    mock_disk_complete(mock, 0); /* slot 0 is good */
    mock_disk_complete(mock, 1); /* slot 2 is not */
    mock_service(mock);
    assert_int_equal(acknowledge(mock), SDBS | TFES);
    assert_int_equal(get(mock, TFD), 0x4051);
    assert_int_equal(get(mock, SACT), 0xe);
    finish(mock); /* the others end without a word */
    assert_int_equal(get(mock, SACT), 0xe);
    assert_false(mock->dev.line);
    restart(mock);
    assert_int_equal(get(mock, SACT), 0);
    read_log(mock, 0x2f, 0x10, PSS);
    for (unsigned i = 0; i < 512; i++)
        sum = (uint8_t)(sum + log[i]);
    assert_int_equal(sum, 0);
    assert_int_equal(log[0], 2);
    assert_int_equal(log[2], 0x51);
    assert_int_equal(log[3], 0x40);
    assert_int_equal(log[4] | log[5] << 8, 320);
    mock->disk.bad_sector = UINT64_MAX;
    issue_queued(mock, 0xe);
    finish(mock);
    assert_int_equal(acknowledge(mock), SDBS);
    assert_int_equal(get(mock, SACT), 0);
}

static void logs(void **state)
{
    struct mock *mock = *state;
    const uint8_t *log = mock_ram(mock, page_of(31), 512);
    read_log(mock, 0x47, 0, DHRS); /* the directory */
    assert_int_equal(word(log, 0), 1);
    assert_int_equal(word(log, 0x10), 1);
    assert_int_equal(word(log, 0x30), 0);
    read_log(mock, 0x47, 0x10, DHRS);
    assert_int_equal(log[0], 0x80); /* no queued command failed */
    simple(mock, 0, 0x2f, 0x30, 1);
    run_error(mock, 0, 0x04);
    simple(mock, 0, 0x2f, 0x10, 2);
    run_error(mock, 0, 0x04);
    simple(mock, 0, 0x2f, 0x0110, 1);
    run_error(mock, 0, 0x04);
    simple(mock, 0, 0x2f, 0x0100000010, 1);
    run_error(mock, 0, 0x04);
}

static void queued_errors_at_issue(void **state)
{
    struct mock *mock = *state;
    queued(mock, 1, 0x60, MOCK_SECTORS - 4, 8);
    issue_queued(mock, 2);
    assert_int_equal(acknowledge(mock), SDBS | TFES);
    assert_int_equal(get(mock, TFD), 0x1051);
    assert_int_equal(get(mock, CI), 0);
    assert_int_equal(get(mock, SACT), 2);
    restart(mock);
    queued(mock, 1, 0x60, 0, 8);
    command_fis(mock, 1)[12] = 5 << 3; /* another tag than its slot */
    issue_queued(mock, 2);
    assert_int_equal(get(mock, TFD), 0x0451);
    restart(mock);
    queued(mock, 1, 0x60, 0, 8); /* an unqueued command among queued ones */
    queued(mock, 2, 0x60, 8, 8);
    simple(mock, 3, 0x25, 16, 8);
    put(mock, SACT, 6);
    put(mock, CI, 0xe);
    assert_int_equal(acknowledge(mock), DHRS | TFES);
    assert_int_equal(get(mock, CI), 8);
    assert_int_equal(get(mock, TFD), 0x0451);
    put(mock, CMD, FRE);
    assert_int_equal(get(mock, CMD) & CR, CR); /* two reads are still on their way */
    finish(mock);
    assert_int_equal(get(mock, CMD) & CR, 0);
    restart(mock);
    read_log(mock, 0x2f, 0x10, PSS);
    assert_int_equal(*(uint8_t *)mock_ram(mock, page_of(31), 1), 0x80);
}

static void queued_zero_is_65536(void **state)
{
    struct mock *mock = *state;
    queued(mock, 0, 0x60, 0, 0);
    issue_queued(mock, 1);
    assert_int_equal(get(mock, TFD), 0x1051);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(in_pieces),
        TEST(all_slots_in_flight),
        TEST(queued_write_fua),
        TEST(depth_reached),
        TEST(queued_error),
        TEST(logs),
        TEST(queued_errors_at_issue),
        TEST(queued_zero_is_65536),
    };
    return cmocka_run_group_tests_name("emulated/ahci queued", tests, NULL, NULL);
}
