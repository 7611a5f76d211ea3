/* devices/paravirt/disk.c: every request, one at a time, and its errors. */
#include <errno.h>

#include "blk_guest.h"

static void test_identity(void **state)
{
    static const struct {
        bool read_only, can_discard, can_write_zeroes;
        uint64_t features;
    } rows[] = {
        {false, true, true, SEG_MAX | BLK_SIZE | FLUSH | DISCARD | WRITE_ZEROES},
        {false, false, true, SEG_MAX | BLK_SIZE | FLUSH | WRITE_ZEROES},
        {false, true, false, SEG_MAX | BLK_SIZE | FLUSH | DISCARD},
        {true, true, true, SEG_MAX | BLK_SIZE | FLUSH | RO},
    };
    struct rig rig = rig_up(USUAL);
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t features;
        rig.mock->disk.front.read_only = rows[i].read_only;
        rig.mock->disk.front.can_discard = rows[i].can_discard;
        rig.mock->disk.front.can_write_zeroes = rows[i].can_write_zeroes;
        mock_store(rig.mock, 0x014, 4, 0);
        features = mock_load(rig.mock, 0x010, 4);
        mock_store(rig.mock, 0x014, 4, 1);
        features |= mock_load(rig.mock, 0x010, 4) << 32;
        assert_int_equal(features, rows[i].features | TRANSPORT);
    }
    rig.mock->disk.front.can_discard = true;
    assert_int_equal(mock_load(rig.mock, 0x100, 8), MOCK_SECTORS);
    assert_int_equal(mock_load(rig.mock, 0x10c, 4), 126);      /* seg_max */
    assert_int_equal(mock_load(rig.mock, 0x114, 4), 512);      /* blk_size */
    assert_int_equal(mock_load(rig.mock, 0x124, 4), 0x3fffff); /* max_discard_sectors */
    assert_int_equal(mock_load(rig.mock, 0x128, 4), 1);        /* max_discard_seg */
    assert_int_equal(mock_load(rig.mock, 0x130, 4), 0x3fffff); /* max_write_zeroes_sectors */
    assert_int_equal(mock_load(rig.mock, 0x134, 4), 1);        /* max_write_zeroes_seg */
    assert_int_equal(mock_load(rig.mock, 0x138, 1), 1);        /* write_zeroes_may_unmap */
    mock_free(rig.mock);
}

static void test_in_out(void **state)
{
    struct rig rig = rig_up(USUAL);
    uint8_t *data = mock_ram(rig.mock, DATA_GPA, 8192);
    unsigned asks;
    (void)state;
    asks = rig.mock->vm.writable_asks;
    assert_int_equal(perform(&rig, IN, 3, DATA_GPA, 4096), OK);
    assert_pattern(data, 3, 4096);
    assert_true(rig.mock->vm.writable_asks > asks);
    assert_int_equal(data[4096], 0);
    memset(data, 0x5a, 1024);
    assert_int_equal(perform(&rig, OUT, 5, DATA_GPA, 1024), OK);
    assert_memory_equal(rig.mock->disk.image + 5 * 512, data, 1024);
    assert_pattern(rig.mock->disk.image + 7 * 512, 7, 512);
    assert_int_equal(rig.mock->disk.submits[HOST_DISK_FLUSH], 0);
    assert_int_equal(perform(&rig, SYNC, 0, 0, 0), OK);
    assert_int_equal(rig.mock->disk.submits[HOST_DISK_FLUSH], 1);
    /* The last sector, and nothing at all. */
    assert_int_equal(perform(&rig, IN, MOCK_SECTORS - 1, DATA_GPA, 512), OK);
    assert_int_equal(perform(&rig, IN, 0, 0, 0), OK);
    assert_int_equal(perform(&rig, OUT, 0, 0, 0), OK);
    assert_int_equal(rig.mock->dev.count.requests, 6);
    assert_int_equal(rig.mock->dev.count.bytes, 4096 + 1024 + 512);
    assert_int_equal(rig.mock->dev.count.notifications, 6);
    mock_free(rig.mock);
}

static void test_errors(void **state)
{
    static const struct {
        uint32_t type;
        uint64_t sector;
        uint32_t len;
        unsigned status;
    } rows[] = {
        {IN, 0, 511, IOERR},
        {OUT, 0, 513, IOERR},
        {IN, 0, 1, IOERR},
        {IN, MOCK_SECTORS, 512, IOERR},
        {OUT, MOCK_SECTORS, 512, IOERR},
        {IN, MOCK_SECTORS - 1, 1024, IOERR},
        {IN, UINT64_MAX, 512, IOERR},
        {IN, UINT64_MAX - 1, 1024, IOERR},
        {IN, UINT64_MAX / 512, 512, IOERR},
        {IN, MOCK_SECTORS + 1, 0, IOERR},
        {2, 0, 0, UNSUPP},
        {3, 0, 512, UNSUPP},
        {10, 0, 0, UNSUPP},
        {14, 0, 16, UNSUPP},
        {UINT32_MAX, 0, 0, UNSUPP},
        {IN, 77, 512, IOERR},
    };
    struct rig rig = rig_up(USUAL);
    (void)state;
    rig.mock->disk.bad_sector = 77;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(perform(&rig, rows[i].type, rows[i].sector, DATA_GPA, rows[i].len),
                         rows[i].status);
    assert_int_equal(rig.mock->dev.count.bytes, 0);
    rig.mock->disk.fail_next = -ENOTSUP;
    assert_int_equal(perform(&rig, SYNC, 0, 0, 0), UNSUPP);
    rig.mock->disk.fail_next = -EIO;
    assert_int_equal(perform(&rig, SYNC, 0, 0, 0), IOERR);
    rig.mock->disk.refuse_next = -EINVAL;
    assert_int_equal(perform(&rig, IN, 0, DATA_GPA, 512), IOERR);
    /* It still works. */
    assert_int_equal(perform(&rig, IN, 0, DATA_GPA, 512), OK);
    assert_int_equal(mock_load(rig.mock, REG_STATUS, 4), 15);
    mock_free(rig.mock);
}

static void test_read_only(void **state)
{
    struct rig rig = {.mock = mock_new_disk(&paravirt_disk)};
    (void)state;
    rig.mock->disk.front.read_only = true;
    rig_start(&rig, FEATURE_VERSION_1 | RO | FLUSH);
    assert_int_equal(perform(&rig, IN, 1, DATA_GPA, 512), OK);
    assert_int_equal(perform(&rig, OUT, 1, DATA_GPA, 512), IOERR);
    assert_int_equal(perform(&rig, ZERO, 0, DATA_GPA, 16), UNSUPP);
    assert_int_equal(perform(&rig, SYNC, 0, 0, 0), OK);
    assert_int_equal(rig.mock->disk.submits[HOST_DISK_WRITE], 0);
    mock_free(rig.mock);
}

static void test_get_id(void **state)
{
    static const uint8_t id[20] = "MOCK0001";
    struct rig rig = rig_up(USUAL);
    uint8_t *data = mock_ram(rig.mock, DATA_GPA, 64);
    (void)state;
    for (unsigned len = 0; len <= 24; len += 4) {
        unsigned expect = len < 20 ? len : 20;
        memset(data, 0xcc, 64);
        assert_int_equal(perform(&rig, GET_ID, 0, DATA_GPA, len), OK);
        if (len)
            assert_memory_equal(data, id, expect);
        assert_int_equal(data[expect], 0xcc);
    }
    /* All 20 bytes may be used; the host's string then ends behind them. */
    strcpy(rig.mock->disk.front.serial, "01234567890123456789");
    assert_int_equal(perform(&rig, GET_ID, 0, DATA_GPA, 20), OK);
    assert_memory_equal(data, "01234567890123456789\xcc", 21);
    mock_free(rig.mock);
}

static unsigned range(struct rig *rig, uint32_t type, uint64_t sector, uint32_t count,
                      uint32_t flags, uint32_t len)
{
    uint8_t *data = mock_ram(rig->mock, DATA_GPA, 32);
    memset(data, 0, 32);
    memcpy(data, &sector, 8);
    memcpy(data + 8, &count, 4);
    memcpy(data + 12, &flags, 4);
    return perform(rig, type, 99, DATA_GPA, len);
}

static void test_ranges(void **state)
{
    static const struct {
        uint32_t type;
        uint64_t sector;
        uint32_t count, flags, len;
        unsigned status;
    } rows[] = {
        {ZERO, 8, 2, 0, 16, OK},
        {ZERO, 8, 2, 1, 16, OK},
        {TRIM, 20, 1, 0, 16, OK},
        {ZERO, 0, 0, 0, 16, OK},
        {ZERO, 0, MOCK_SECTORS + 1, 0, 16, IOERR},
        {ZERO, MOCK_SECTORS, 1, 0, 16, IOERR},
        {TRIM, UINT64_MAX, 2, 0, 16, IOERR},
        {TRIM, 0, UINT32_MAX, 0, 16, IOERR},
        {ZERO, 0, 1, 2, 16, UNSUPP},
        {TRIM, 0, 1, 1, 16, UNSUPP},
        {TRIM, 0, 1, 0x80000000, 16, UNSUPP},
        {ZERO, 0, 1, 0, 8, IOERR},
        {ZERO, 0, 1, 0, 0, IOERR},
        {ZERO, 0, 1, 0, 32, UNSUPP},
    };
    struct rig rig = rig_up(USUAL);
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(
            range(&rig, rows[i].type, rows[i].sector, rows[i].count, rows[i].flags, rows[i].len),
            rows[i].status);
    assert_int_equal(rig.mock->disk.submits[HOST_DISK_WRITE_ZEROES], 2);
    assert_int_equal(rig.mock->disk.submits[HOST_DISK_DISCARD], 1);
    for (unsigned i = 0; i < 1024; i++)
        assert_int_equal(rig.mock->disk.image[8 * 512 + i], 0);
    assert_pattern(rig.mock->disk.image, 0, 8 * 512);
    assert_pattern(rig.mock->disk.image + 10 * 512, 10, 10 * 512);
    rig.mock->disk.front.sectors = 1ull << 32; /* beyond max_..._sectors, though in the disk */
    assert_int_equal(range(&rig, ZERO, 0, 0x400000, 0, 16), IOERR);
    mock_free(rig.mock);

    /* Not negotiated: not supported. */
    rig = rig_up(FEATURE_VERSION_1 | FLUSH);
    assert_int_equal(range(&rig, ZERO, 0, 1, 0, 16), UNSUPP);
    assert_int_equal(range(&rig, TRIM, 0, 1, 0, 16), UNSUPP);
    mock_free(rig.mock);
}

/* A driver that does not know FLUSH: its writes are stable when they complete (5.2.6.2). */
static void test_writethrough(void **state)
{
    struct rig rig = rig_up(FEATURE_VERSION_1 | WRITE_ZEROES | DISCARD);
    uint32_t id, len;
    (void)state;
    assert_int_equal(perform(&rig, OUT, 1, DATA_GPA, 512), OK);
    assert_int_equal(rig.mock->disk.submits[HOST_DISK_FLUSH], 1);
    assert_int_equal(range(&rig, ZERO, 1, 1, 0, 16), OK);
    assert_int_equal(rig.mock->disk.submits[HOST_DISK_FLUSH], 2);
    assert_int_equal(perform(&rig, IN, 1, DATA_GPA, 512), OK);
    assert_int_equal(range(&rig, TRIM, 1, 1, 0, 16), OK);
    assert_int_equal(rig.mock->disk.submits[HOST_DISK_FLUSH], 2);

    /* The write is done, the flush finds the host full, then fails: the guest sees one error. */
    offer(&rig, 0, OUT, 1, DATA_GPA, 512);
    guest_notify(rig.mock, 0);
    mock_disk_complete(rig.mock, 0);
    rig.mock->disk.refuse_next = -EAGAIN;
    mock_service(rig.mock);
    assert_false(guest_take(&rig.queue, &id, &len));
    rig.mock->disk.fail_next = -EIO;
    mock_service(rig.mock);
    mock_disk_finish(rig.mock);
    assert_true(guest_take(&rig.queue, &id, &len));
    assert_int_equal(*status_byte(&rig, 0), IOERR);
    mock_free(rig.mock);
}

/* What the specification has dropped, and QEMU's device still takes. */
static void test_legacy_types(void **state)
{
    struct rig rig = rig_up(USUAL);
    uint8_t *data = mock_ram(rig.mock, DATA_GPA, 1024);
    (void)state;
    assert_int_equal(perform(&rig, BARRIER | OUT, 5, DATA_GPA, 512), OK);
    assert_memory_equal(rig.mock->disk.image + 5 * 512, data, 512);
    header(&rig, 0, BARRIER | IN, 9);
    offer_as(&rig, 0, IN, DATA_GPA, 512);
    guest_notify(rig.mock, 0);
    mock_disk_finish(rig.mock);
    assert_int_equal(*status_byte(&rig, 0), OK);
    assert_pattern(data, 9, 512);
    rig_start(&rig, USUAL);
    assert_int_equal(perform(&rig, BARRIER | SYNC, 0, 0, 0), OK);
    assert_int_equal(perform(&rig, SYNC | OUT, 0, 0, 0), OK);
    assert_int_equal(rig.mock->disk.submits[HOST_DISK_FLUSH], 2);
    assert_int_equal(perform(&rig, BARRIER | 2, 0, 0, 0), UNSUPP);
    mock_free(rig.mock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity),     cmocka_unit_test(test_in_out),
        cmocka_unit_test(test_errors),       cmocka_unit_test(test_read_only),
        cmocka_unit_test(test_get_id),       cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_writethrough), cmocka_unit_test(test_legacy_types),
    };
    return cmocka_run_group_tests_name("virtio_blk", tests, NULL, NULL);
}
