/*
 * The driver of the tests of devices/paravirt/disk.c: a queue, and requests of header, data and
 * status.
 */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

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

/* A device whose driver is up. */
struct rig {
    struct mock *mock;
    struct guest_queue queue;
};

static inline void rig_start_at(struct rig *rig, uint64_t features, uint64_t base, uint16_t num)
{
    rig->queue = guest_queue_at(&rig->mock->vm, base, num);
    assert_int_equal(guest_negotiate(rig->mock, features), 11);
    guest_queue_start(rig->mock, 0, &rig->queue);
    guest_driver_ok(rig->mock);
}

static inline void rig_start(struct rig *rig, uint64_t features)
{
    rig_start_at(rig, features, MOCK_RAM_BASE, NUM);
}

static inline struct rig rig_up(uint64_t features)
{
    struct rig rig = {.mock = mock_new_disk(&paravirt_disk)};
    rig_start(&rig, features);
    return rig;
}

static inline uint8_t *status_byte(struct rig *rig, unsigned slot)
{
    return mock_ram(rig->mock, STATUS_GPA + slot, 1);
}

static inline void header(struct rig *rig, unsigned slot, uint32_t type, uint64_t sector)
{
    uint8_t *bytes = mock_ram(rig->mock, HEADER_GPA + 16 * slot, 16);
    memset(bytes, 0, 16);
    memcpy(bytes, &type, 4);
    memcpy(bytes + 8, &sector, 8);
}

/* Offers header, data (unless len is 0) and status as descriptors 3 * slot and on; no notify. */
static inline void offer_as(struct rig *rig, unsigned slot, uint32_t type, uint64_t gpa,
                            uint32_t len)
{
    uint16_t at = (uint16_t)(3 * slot), to_guest = type == IN || type == GET_ID ? DESC_WRITE : 0;
    *status_byte(rig, slot) = NONE;
    guest_desc(&rig->queue, at, HEADER_GPA + 16 * slot, 16, DESC_NEXT, len ? at + 1 : at + 2);
    if (len)
        guest_desc(&rig->queue, at + 1u, gpa, len, DESC_NEXT | to_guest, at + 2);
    guest_desc(&rig->queue, at + 2u, STATUS_GPA + slot, 1, DESC_WRITE, 0);
    guest_offer(&rig->queue, at);
}

static inline void offer(struct rig *rig, unsigned slot, uint32_t type, uint64_t sector,
                         uint64_t gpa, uint32_t len)
{
    header(rig, slot, type, sector);
    offer_as(rig, slot, type, gpa, len);
}

/* One request from offer to used ring; returns its status, checks the used length. */
static inline unsigned perform(struct rig *rig, uint32_t type, uint64_t sector, uint64_t gpa,
                               uint32_t len)
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

static inline void assert_pattern(const uint8_t *bytes, uint64_t sector, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++)
        assert_int_equal(bytes[i], mock_disk_pattern(sector + i / 512, i % 512));
}
