/*
 * A virtio-blk driver for bare guests: the registers of a virtio-mmio transport (virtio 1.2,
 * section 4.2), one split queue (2.7), and one request at a time (5.2.6). The driver takes every
 * step that it is asked for, also a wrong one. Included by one file of a guest; paging is off, or
 * maps devices and RAM where they are.
 */
#pragma once
#include "bare.h"

#define BLK_BASE   BARE_VIRTIO(0)
#define BLK_REG(r) (*(volatile uint32_t *)(BLK_BASE + (r)))

#define BLK_DEVICE_FEATURES     0x010u
#define BLK_DEVICE_FEATURES_SEL 0x014u
#define BLK_DRIVER_FEATURES     0x020u
#define BLK_DRIVER_FEATURES_SEL 0x024u
#define BLK_QUEUE_SEL           0x030u
#define BLK_QUEUE_NUM_MAX       0x034u
#define BLK_QUEUE_NUM           0x038u
#define BLK_QUEUE_READY         0x044u
#define BLK_QUEUE_NOTIFY        0x050u
#define BLK_STATUS              0x070u
#define BLK_QUEUE_DESC          0x080u
#define BLK_QUEUE_DRIVER        0x090u
#define BLK_QUEUE_DEVICE        0x0a0u

#define BLK_IN       0u
#define BLK_OUT      1u
#define BLK_FLUSH    4u
#define BLK_BARRIER  (1u << 31) /* a bit of a request's type in legacy virtio */
#define BLK_SECTOR   512u
#define BLK_NUM_MAX  1024u
#define BLK_PATIENCE 30000000ul /* 3 s */

struct blk_desc {
    uint64_t gpa;
    uint32_t len;
    uint16_t flags, next; /* flags: 1 goes on at next, 2 the device writes */
};

static struct {
    struct blk_desc desc[BLK_NUM_MAX];
    struct {
        uint16_t flags, index, ring[BLK_NUM_MAX + 1];
    } avail;
    struct {
        uint16_t flags, index;
        struct {
            uint32_t id, len;
        } ring[BLK_NUM_MAX];
        uint16_t avail_event;
    } used __attribute__((aligned(4)));
} blk_queue __attribute__((aligned(16)));

static struct {
    uint32_t type, reserved;
    uint64_t sector;
} blk_header;
static volatile uint8_t blk_status;
static uint16_t blk_num;

static inline void blk_register_pair(uint32_t reg, const volatile void *memory)
{
    BLK_REG(reg) = (uint32_t)(uint64_t)memory;
    BLK_REG(reg + 4) = (uint32_t)((uint64_t)memory >> 32);
}

/* An empty queue 0 of num descriptors. */
static inline void blk_queue_start(uint16_t num)
{
    memset(&blk_queue, 0, sizeof(blk_queue));
    blk_num = num;
    BLK_REG(BLK_QUEUE_SEL) = 0;
    BLK_REG(BLK_QUEUE_NUM) = num;
    blk_register_pair(BLK_QUEUE_DESC, blk_queue.desc);
    blk_register_pair(BLK_QUEUE_DRIVER, &blk_queue.avail);
    blk_register_pair(BLK_QUEUE_DEVICE, &blk_queue.used);
    BLK_REG(BLK_QUEUE_READY) = 1;
}

/* The specification's way from reset to DRIVER_OK, with no feature but VERSION_1. */
static inline void blk_start(uint16_t num)
{
    BLK_REG(BLK_STATUS) = 0;
    BLK_REG(BLK_STATUS) = 1;
    BLK_REG(BLK_STATUS) = 3;
    BLK_REG(BLK_DRIVER_FEATURES_SEL) = 0;
    BLK_REG(BLK_DRIVER_FEATURES) = 0;
    BLK_REG(BLK_DRIVER_FEATURES_SEL) = 1;
    BLK_REG(BLK_DRIVER_FEATURES) = 1;
    BLK_REG(BLK_STATUS) = 11;
    blk_queue_start(num);
    BLK_REG(BLK_STATUS) = 15;
}

/* Makes a chain available and notifies: the header, then parts[0 .. count) with their flag 2 as
 * it is to be, then the status byte. */
static inline void blk_submit(uint32_t type, uint64_t sector, const struct blk_desc *parts,
                              unsigned count)
{
    blk_header.type = type;
    blk_header.sector = sector;
    blk_status = 0xee;
    blk_queue.desc[0] = (struct blk_desc){(uint64_t)&blk_header, sizeof(blk_header), 1, 1};
    for (unsigned i = 0; i < count; i++) {
        blk_queue.desc[1 + i] = parts[i];
        blk_queue.desc[1 + i].flags |= 1;
        blk_queue.desc[1 + i].next = (uint16_t)(2 + i);
    }
    blk_queue.desc[1 + count] = (struct blk_desc){(uint64_t)&blk_status, 1, 2, 0};
    blk_queue.avail.ring[blk_queue.avail.index % blk_num] = 0;
    bare_fence();
    blk_queue.avail.index++;
    bare_fence();
    BLK_REG(BLK_QUEUE_NOTIFY) = 0;
}

/* Waits until the device has used all chains. False: it has not within BLK_PATIENCE. */
static inline bool blk_wait(void)
{
    uint64_t start = bare_time();
    while (*(volatile uint16_t *)&blk_queue.used.index != blk_queue.avail.index)
        if (bare_time() - start > BLK_PATIENCE)
            return false;
    bare_fence();
    return true;
}

/* Makes one request and polls for its end. The request's status byte, or 0xff if there was no
 * answer. */
static inline unsigned blk_do(uint32_t type, uint64_t sector, void *data, uint32_t len)
{
    struct blk_desc part = {(uint64_t)data, len, (type & 1) == BLK_IN ? 2 : 0, 0};
    blk_submit(type, sector, &part, len != 0);
    return blk_wait() ? blk_status : 0xff;
}
