/*
 * devices/paravirt/disk.c: every request and its errors, any layout, many in flight, a full host,
 * and reset with requests in flight.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "devices/paravirt/paravirt.h"
#include "virtio_guest.h"

#define NUM        128u
#define HEADER_GPA (MOCK_RAM_BASE + 0x8000) /* 16 bytes for each request */
#define STATUS_GPA (MOCK_RAM_BASE + 0xa000) /* 1 byte for each request */
#define TABLE_GPA  (MOCK_RAM_BASE + 0xb000) /* an indirect table */
#define DATA_GPA   (MOCK_RAM_BASE + 0x20000)
#define LARGE_GPA  (MOCK_RAM_BASE + 0x200000) /* a queue of 1024 */

#define SEG_MAX      (1ull << 2)
#define RO           (1ull << 5)
#define BLK_SIZE     (1ull << 6)
#define FLUSH        (1ull << 9)
#define DISCARD      (1ull << 13)
#define WRITE_ZEROES (1ull << 14)
#define TRANSPORT    (FEATURE_VERSION_1 | FEATURE_INDIRECT | FEATURE_EVENT_IDX)
#define USUAL \
    (FEATURE_VERSION_1 | FEATURE_INDIRECT | SEG_MAX | BLK_SIZE | FLUSH | DISCARD | WRITE_ZEROES)

enum { IN = 0, OUT = 1, SYNC = 4, GET_ID = 8, TRIM = 11, ZERO = 13 };
#define BARRIER (1u << 31)
enum { OK = 0, IOERR = 1, UNSUPP = 2, NONE = 0xee };

struct rig {
    struct mock *mock;
    struct guest_queue queue;
};

static void rig_start_at(struct rig *rig, uint64_t features, uint64_t base, uint16_t num)
{
    rig->queue = guest_queue_at(&rig->mock->vm, base, num);
    assert_int_equal(guest_negotiate(rig->mock, features), 11);
    guest_queue_start(rig->mock, 0, &rig->queue);
    guest_driver_ok(rig->mock);
}

static void rig_start(struct rig *rig, uint64_t features)
{
    rig_start_at(rig, features, MOCK_RAM_BASE, NUM);
}

static struct rig rig_up(uint64_t features)
{
    struct rig rig = {.mock = mock_new_disk(&paravirt_disk)};
    rig_start(&rig, features);
    return rig;
}

static uint8_t *status_byte(struct rig *rig, unsigned slot)
{
    return mock_ram(rig->mock, STATUS_GPA + slot, 1);
}

static void header(struct rig *rig, unsigned slot, uint32_t type, uint64_t sector)
{
    uint8_t *bytes = mock_ram(rig->mock, HEADER_GPA + 16 * slot, 16);
    memset(bytes, 0, 16);
    memcpy(bytes, &type, 4);
    memcpy(bytes + 8, &sector, 8);
}

/* Offers header, data (unless len is 0) and status as descriptors 3 * slot and on; no notify. */
static void offer_as(struct rig *rig, unsigned slot, uint32_t type, uint64_t gpa, uint32_t len)
{
    uint16_t at = (uint16_t)(3 * slot), to_guest = type == IN || type == GET_ID ? DESC_WRITE : 0;
    *status_byte(rig, slot) = NONE;
    guest_desc(&rig->queue, at, HEADER_GPA + 16 * slot, 16, DESC_NEXT, len ? at + 1 : at + 2);
    if (len)
        guest_desc(&rig->queue, at + 1u, gpa, len, DESC_NEXT | to_guest, at + 2);
    guest_desc(&rig->queue, at + 2u, STATUS_GPA + slot, 1, DESC_WRITE, 0);
    guest_offer(&rig->queue, at);
}

static void offer(struct rig *rig, unsigned slot, uint32_t type, uint64_t sector, uint64_t gpa,
                  uint32_t len)
{
    header(rig, slot, type, sector);
    offer_as(rig, slot, type, gpa, len);
}

/* One request from offer to used ring; returns its status, checks the used length. */
static unsigned perform(struct rig *rig, uint32_t type, uint64_t sector, uint64_t gpa, uint32_t len)
{
    uint32_t id, written, filled = type == IN ? len : type == GET_ID ? (len < 20 ? len : 20) : 0;
    unsigned status;
    offer(rig, 0, type, sector, gpa, len);
    guest_notify(rig->mock, 0);
    mock_disk_finish(rig->mock);
    assert_true(guest_take(&rig->queue, &id, &written));
    assert_int_equal(id, 0);
    status = *status_byte(rig, 0);
    if (type == GET_ID && len > 20)
        assert_int_equal(written, 20);
    else if (status == OK)
        assert_int_equal(written, filled + 1);
    else
        assert_int_equal(written, len && (type == IN || type == GET_ID) ? 0 : 1);
    assert_false(guest_take(&rig->queue, &id, &written));
    assert_int_equal(rig->mock->disk.invalid, 0);
    return status;
}

static void assert_pattern(const uint8_t *bytes, uint64_t sector, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++)
        assert_int_equal(bytes[i], mock_disk_pattern(sector + i / 512, i % 512));
}

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

/* --- Layout --- */

/* The device tells the core of what it writes itself, status and used ring, as much for a read as
 * for a write: the data is the concern of the host's disk (test_host_disk.c). */
static void test_asks(void **state)
{
    struct rig rig = rig_up(USUAL);
    unsigned asks[2];
    (void)state;
    for (unsigned type = IN; type <= OUT; type++) {
        asks[type] = rig.mock->vm.writable_asks;
        offer(&rig, 0, type, 0, DATA_GPA, 512);
        guest_notify(rig.mock, 0);
        mock_disk_finish(rig.mock);
        asks[type] = rig.mock->vm.writable_asks - asks[type];
    }
    assert_int_equal(asks[IN], asks[OUT]);
    assert_true(asks[IN] >= 2);
    mock_free(rig.mock);
}

/* Everything in one-byte descriptors, in pieces across the borders, and in one piece. */
static void test_layout(void **state)
{
    static const uint32_t cuts[][2] = {{1, 100}, {5, 77}, {16, 512}, {528, 513}, {3, 1}};
    struct rig rig = rig_up(USUAL);
    uint8_t *request = mock_ram(rig.mock, DATA_GPA, 1024), *answer = request + 0x8000;
    uint32_t id, len;
    (void)state;
    for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++)
        for (unsigned type = IN; type <= OUT; type++) {
            uint32_t readable = type == IN ? 16 : 528, writable = type == IN ? 513 : 1, n = 0;
            uint32_t least = (readable + 511) / 120; /* keeps the chain short enough */
            uint64_t sector = 10 + i;
            memset(request, 0x30 + (int)i, 1024);
            memset(answer, NONE, 1024);
            memset(request, 0, 16);
            request[0] = (uint8_t)type;
            request[8] = (uint8_t)sector;
            for (uint32_t at = 0, part; at < readable; at += part) {
                part = cuts[i][0] < least && at >= 16 ? 17 : cuts[i][0];
                part = part > readable - at ? readable - at : part;
                guest_table(&rig.mock->vm, TABLE_GPA, n, DATA_GPA + at, part, DESC_NEXT,
                            (uint16_t)(n + 1));
                n++;
            }
            for (uint32_t at = 0, part; at < writable; at += part) {
                part = cuts[i][1] == 1 && at < 500 ? 100 : cuts[i][1];
                part = part > writable - at ? writable - at : part;
                guest_table(&rig.mock->vm, TABLE_GPA, n, DATA_GPA + 0x8000 + at, part,
                            DESC_WRITE | (at + part < writable ? DESC_NEXT : 0), (uint16_t)(n + 1));
                n++;
            }
            guest_desc(&rig.queue, 0, TABLE_GPA, n * 16, DESC_INDIRECT, 0);
            guest_offer(&rig.queue, 0);
            guest_notify(rig.mock, 0);
            mock_disk_finish(rig.mock);
            assert_true(guest_take(&rig.queue, &id, &len));
            assert_int_equal(len, writable);
            assert_int_equal(answer[writable - 1], OK);
            assert_int_equal(answer[writable], NONE);
            if (type == IN)
                assert_pattern(answer, sector, 512);
            else
                assert_memory_equal(rig.mock->disk.image + sector * 512, request + 16, 512);
            if (type == OUT) /* as it was */
                for (unsigned b = 0; b < 512; b++)
                    rig.mock->disk.image[sector * 512 + b] = mock_disk_pattern(sector, b);
        }
    assert_int_equal(rig.mock->disk.invalid, 0);
    mock_free(rig.mock);
}

static void test_segments(void **state)
{
    struct rig rig = rig_up(USUAL);
    uint32_t id, len;
    (void)state;
    /* seg_max pages in place; one more is refused, with the answer where it belongs. */
    for (unsigned segments = 125; segments <= 127; segments++) {
        unsigned n = segments + 2, first = segments == 127; /* 127: the header inside the first */
        header(&rig, 0, OUT, 0);
        *status_byte(&rig, 0) = NONE;
        memcpy(mock_ram(rig.mock, DATA_GPA, 16), mock_ram(rig.mock, HEADER_GPA, 16), 16);
        if (!first)
            guest_table(&rig.mock->vm, TABLE_GPA, 0, HEADER_GPA, 16, DESC_NEXT, 1);
        for (unsigned i = 0; i < segments; i++)
            guest_table(&rig.mock->vm, TABLE_GPA, i + 1 - first, DATA_GPA + 1024 * i,
                        first && i == 0 ? 528 : 512, DESC_NEXT, (uint16_t)(i + 2 - first));
        guest_table(&rig.mock->vm, TABLE_GPA, n - 1 - first, STATUS_GPA, 1, DESC_WRITE, 0);
        guest_desc(&rig.queue, 0, TABLE_GPA, (n - first) * 16, DESC_INDIRECT, 0);
        guest_offer(&rig.queue, 0);
        guest_notify(rig.mock, 0);
        if (segments <= 126) {
            assert_int_equal(rig.mock->disk.last_nsegments, segments);
            assert_ptr_equal(rig.mock->disk.inflight->segments[1].base,
                             mock_ram(rig.mock, DATA_GPA + 1024, 1));
        }
        mock_disk_finish(rig.mock);
        assert_true(guest_take(&rig.queue, &id, &len));
        assert_int_equal(*status_byte(&rig, 0), segments <= 126 ? OK : IOERR);
    }
    assert_int_equal(rig.mock->disk.invalid, 0);
    mock_free(rig.mock);
}

/* No request can be made out of it: the queue is broken. */
static void test_no_request(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct rig rig = rig_up(USUAL);
        header(&rig, 0, IN, 0);
        if (i == 0) /* header too short */
            guest_desc(&rig.queue, 0, HEADER_GPA, 15, DESC_NEXT, 1);
        else
            guest_desc(&rig.queue, 0, HEADER_GPA, 16, i == 1 ? 0 : DESC_NEXT | DESC_WRITE, 1);
        guest_desc(&rig.queue, 1, STATUS_GPA, 1, DESC_WRITE, 0);
        guest_offer(&rig.queue, 0);
        guest_notify(rig.mock, 0);
        assert_int_equal(mock_load(rig.mock, REG_STATUS, 4), 0x4f);
        assert_int_equal(mock_load(rig.mock, 0x060, 4), 2);
        mock_free(rig.mock);
    }
}

/* --- Many at once --- */

/* As many as the host takes, completed in any order, with a driver that offers more than that. */
static void test_depth(void **state)
{
    (void)state;
    for (unsigned depth = 1; depth <= 64; depth *= 4) {
        struct rig rig = rig_up(USUAL);
        unsigned done[40] = {0}, total = 0;
        uint64_t noise = 5;
        uint32_t id, len;
        rig.mock->disk.front.depth = depth;
        for (unsigned slot = 0; slot < 40; slot++)
            offer(&rig, slot, IN, 100 + slot, DATA_GPA + 4096 * slot, 1024);
        guest_notify(rig.mock, 0);
        assert_int_equal(rig.mock->disk.ninflight, depth < 32 ? depth : 32);
        assert_int_equal(guest_used(&rig.queue)[0], 1); /* full: no notification */
        while (total < 40) {
            assert_true(rig.mock->disk.ninflight > 0);
            mock_disk_complete(rig.mock, mock_random(&noise) % rig.mock->disk.ninflight);
            mock_service(rig.mock);
            while (guest_take(&rig.queue, &id, &len)) {
                unsigned slot = id / 3;
                assert_int_equal(len, 1025);
                assert_int_equal(*status_byte(&rig, slot), OK);
                assert_pattern(mock_ram(rig.mock, DATA_GPA + 4096 * slot, 1024), 100 + slot, 1024);
                done[slot]++;
                total++;
            }
        }
        for (unsigned slot = 0; slot < 40; slot++)
            assert_int_equal(done[slot], 1);
        assert_int_equal(rig.mock->disk.max_inflight, depth < 32 ? depth : 32);
        assert_int_equal(guest_used(&rig.queue)[0], 0);
        assert_int_equal(rig.mock->dev.count.requests, 40);
        assert_int_equal(rig.mock->dev.count.notifications, 1);
        mock_free(rig.mock);
    }
}

/* One request, or one completion, for each time that the device has its turn: all arrive, in
 * order. */
static void test_pieces(void **state)
{
    struct rig rig = rig_up(USUAL);
    uint32_t id, len;
    (void)state;
    rig.mock->vm.yield_after = 1;
    for (unsigned slot = 0; slot < 40; slot++) /* every other one is answered at once */
        offer(&rig, slot, slot % 2 ? IN : 99, 100 + slot, DATA_GPA + 4096 * slot, 1024);
    guest_notify(rig.mock, 0);
    for (unsigned i = 1; i < 40; i++) {
        assert_int_equal(rig.mock->disk.ninflight, i / 2);
        assert_int_equal(guest_used(&rig.queue)[1], (i + 1) / 2);
        assert_true(rig.mock->dev.unfinished);
        mock_service(rig.mock);
    }
    while (rig.mock->disk.ninflight)
        mock_disk_complete(rig.mock, 0);
    for (unsigned i = 0; i <= 20; i++) {
        assert_int_equal(guest_used(&rig.queue)[1], 20 + i);
        mock_service(rig.mock);
    }
    for (unsigned i = 0; i < 40; i++) {
        unsigned slot = i < 20 ? 2 * i : 2 * (i - 20) + 1;
        assert_true(guest_take(&rig.queue, &id, &len));
        assert_int_equal(id, 3 * slot);
        assert_int_equal(*status_byte(&rig, slot), slot % 2 ? OK : UNSUPP);
        if (slot % 2)
            assert_pattern(mock_ram(rig.mock, DATA_GPA + 4096 * slot, 1024), 100 + slot, 1024);
    }
    assert_false(rig.mock->dev.unfinished);

    for (unsigned slot = 0; slot < 8; slot++) /* reset while some wait in the ring */
        offer(&rig, slot, IN, slot, DATA_GPA, 512);
    guest_notify(rig.mock, 0);
    assert_int_equal(rig.mock->disk.ninflight, 1);
    mock_store(rig.mock, REG_STATUS, 4, 0);
    mock_service(rig.mock);
    assert_int_equal(rig.mock->disk.ninflight, 0);
    assert_int_equal(guest_used(&rig.queue)[1], 40);
    mock_free(rig.mock);
}

/* A queue of the largest size, full: all of it is served, SLOTS of the device's at a time. */
static void test_large_queue(void **state)
{
    struct rig rig = rig_up(USUAL);
    uint32_t id, len;
    (void)state;
    rig_start_at(&rig, USUAL, LARGE_GPA, 1024);
    for (unsigned round = 0; round < 200; round++) { /* the indices wrap at 65,536 */
        for (uint16_t at = 0; at + 2 < 1024; at += 3)
            offer(&rig, at / 3, IN, at, DATA_GPA + 512 * at, 512);
        guest_notify(rig.mock, 0);
        mock_disk_finish(rig.mock);
        for (uint16_t at = 0; at + 2 < 1024; at += 3) {
            assert_true(guest_take(&rig.queue, &id, &len));
            assert_int_equal(id, at);
            assert_int_equal(len, 513);
            assert_int_equal(*status_byte(&rig, at / 3), OK);
        }
        assert_false(guest_take(&rig.queue, &id, &len));
    }
    assert_pattern(mock_ram(rig.mock, DATA_GPA + 512 * 1020, 512), 1020, 512);
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

/* The header is read once: what the guest does to it afterwards changes nothing. */
static void test_header_changes(void **state)
{
    struct rig rig = rig_up(USUAL);
    (void)state;
    rig.mock->disk.front.depth = 1;
    offer(&rig, 0, IN, 1, DATA_GPA, 512);
    offer(&rig, 1, IN, 2, DATA_GPA + 512, 512); /* waits */
    guest_notify(rig.mock, 0);
    header(&rig, 0, OUT, 9);
    header(&rig, 1, OUT, 9);
    guest_desc(&rig.queue, 4, 0, 0, 0, 0);
    mock_disk_finish(rig.mock);
    assert_pattern(mock_ram(rig.mock, DATA_GPA, 512), 1, 512);
    assert_pattern(mock_ram(rig.mock, DATA_GPA + 512, 512), 2, 512);
    assert_int_equal(rig.mock->disk.submits[HOST_DISK_WRITE], 0);
    mock_free(rig.mock);
}

/* Reset by the driver, by the VM, and of the queue alone: nothing is written afterwards. */
static void test_reset(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 3; round++) {
        struct rig rig = rig_up(USUAL);
        unsigned resets = rig.mock->disk.resets;
        uint8_t *before = malloc(0x40000);
        assert_non_null(before);
        rig.mock->disk.front.depth = 2;
        for (unsigned slot = 0; slot < 6; slot++)
            offer(&rig, slot, IN, slot, DATA_GPA + 512 * slot, 512);
        guest_notify(rig.mock, 0);
        mock_disk_complete(rig.mock, 0); /* one is done and not yet collected */
        memcpy(before, rig.mock->vm.ram, 0x40000);
        if (round == 0)
            mock_store(rig.mock, REG_STATUS, 4, 0);
        else if (round == 1)
            assert_int_equal(paravirt_disk.attach(&rig.mock->dev), 0);
        else
            mock_store(rig.mock, 0x044, 4, 0);
        assert_int_equal(rig.mock->disk.resets, resets + 1);
        assert_int_equal(rig.mock->disk.ninflight, 0);
        mock_service(rig.mock);
        guest_notify(rig.mock, 0);
        mock_disk_finish(rig.mock);
        assert_memory_equal(before, rig.mock->vm.ram, 0x40000);
        assert_false(rig.mock->dev.line);

        rig_start(&rig, USUAL);
        assert_int_equal(perform(&rig, IN, 4, DATA_GPA, 512), OK);
        assert_pattern(mock_ram(rig.mock, DATA_GPA, 512), 4, 512);
        /* With nothing in flight the host is left alone. */
        resets = rig.mock->disk.resets;
        mock_store(rig.mock, REG_STATUS, 4, 0);
        assert_int_equal(rig.mock->disk.resets, resets);
        free(before);
        mock_free(rig.mock);
    }
}

/* The ring breaks while requests are in flight: no answer to them, but their slots come back. */
static void test_broken_in_flight(void **state)
{
    struct rig rig = rig_up(USUAL);
    (void)state;
    rig.mock->disk.front.depth = 2;
    for (unsigned slot = 0; slot < 4; slot++)
        offer(&rig, slot, OUT, slot, DATA_GPA, 512);
    guest_notify(rig.mock, 0);
    guest_avail(&rig.queue)[1] += 200;
    mock_disk_complete(rig.mock, 0);
    mock_service(rig.mock); /* collects, submits the one that waits, finds the ring broken */
    assert_int_equal(*status_byte(&rig, 0), OK);
    assert_int_equal(mock_load(rig.mock, REG_STATUS, 4), 0x4f);
    mock_disk_finish(rig.mock);
    assert_int_equal(*status_byte(&rig, 1), NONE);
    assert_int_equal(*status_byte(&rig, 2), NONE);
    assert_int_equal(guest_used(&rig.queue)[1], 1);
    rig_start(&rig, USUAL);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(perform(&rig, IN, 4, DATA_GPA, 512), OK);
    mock_free(rig.mock);
}

static void test_interrupts(void **state)
{
    struct rig rig = rig_up(USUAL | FEATURE_EVENT_IDX);
    (void)state;
    *guest_used_event(&rig.queue) = 2;
    for (unsigned slot = 0; slot < 4; slot++)
        offer(&rig, slot, IN, slot, DATA_GPA + 512 * slot, 512);
    guest_notify(rig.mock, 0);
    for (unsigned i = 0; i < 4; i++) {
        /* No notification as long as the host is busy: its completions serve the queue. */
        assert_int_equal(*guest_avail_event(&rig.queue), 0);
        assert_true(rig.mock->dev.unasked);
        mock_disk_complete(rig.mock, 0);
        mock_service(rig.mock);
        assert_int_equal(rig.mock->dev.line, i >= 2);
        assert_int_equal(rig.mock->edges, i >= 2);
    }
    assert_int_equal(*guest_avail_event(&rig.queue), 4);
    assert_false(rig.mock->dev.unasked);
    mock_free(rig.mock);
}

/* What the guest adds without a notification is found by the next completion. */
static void test_unasked(void **state)
{
    struct rig rig = rig_up(USUAL | FEATURE_EVENT_IDX);
    (void)state;
    offer(&rig, 0, IN, 0, DATA_GPA, 512);
    guest_notify(rig.mock, 0);
    offer(&rig, 1, IN, 1, DATA_GPA + 512, 512);
    assert_int_equal(rig.mock->disk.ninflight, 1);
    mock_disk_complete(rig.mock, 0);
    mock_service(rig.mock);
    assert_int_equal(rig.mock->disk.ninflight, 1);
    mock_disk_finish(rig.mock);
    assert_int_equal(*status_byte(&rig, 1), OK);
    offer(&rig, 0, IN, 0, DATA_GPA, 512);
    guest_notify(rig.mock, 0);
    assert_true(rig.mock->dev.unasked);
    mock_store(rig.mock, REG_STATUS, 4, 0);
    assert_false(rig.mock->dev.unasked);
    mock_free(rig.mock);
}

static void test_notify_ablated(void **state)
{
    struct rig rig = {.mock = mock_new_disk(&paravirt_disk)};
    (void)state;
    rig.mock->dev.end->ablate = ABLATE_NOTIFY;
    mock_store(rig.mock, 0x014, 4, 0); /* DeviceFeaturesSel */
    assert_false(mock_load(rig.mock, 0x010, 4) & FEATURE_EVENT_IDX);
    rig_start(&rig, USUAL);
    for (unsigned slot = 0; slot < 4; slot++) {
        offer(&rig, slot, IN, slot, DATA_GPA + 512 * slot, 512);
        guest_notify(rig.mock, 0);
        assert_int_equal(guest_used(&rig.queue)[0], 0); /* USED_F_NO_NOTIFY is clear */
    }
    assert_false(rig.mock->dev.unasked);
    mock_disk_finish(rig.mock);
    assert_int_equal(guest_used(&rig.queue)[1], 4);
    mock_free(rig.mock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity),       cmocka_unit_test(test_in_out),
        cmocka_unit_test(test_errors),         cmocka_unit_test(test_read_only),
        cmocka_unit_test(test_get_id),         cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_writethrough),   cmocka_unit_test(test_layout),
        cmocka_unit_test(test_asks),           cmocka_unit_test(test_segments),
        cmocka_unit_test(test_no_request),     cmocka_unit_test(test_depth),
        cmocka_unit_test(test_pieces),         cmocka_unit_test(test_large_queue),
        cmocka_unit_test(test_legacy_types),   cmocka_unit_test(test_header_changes),
        cmocka_unit_test(test_reset),          cmocka_unit_test(test_broken_in_flight),
        cmocka_unit_test(test_interrupts),     cmocka_unit_test(test_unasked),
        cmocka_unit_test(test_notify_ablated),
    };
    return cmocka_run_group_tests_name("virtio_blk", tests, NULL, NULL);
}
