/*
 * A virtio driver for unit tests: what a guest does to a queue and to the registers, and no more.
 * Descriptors are written one by one, so that a test can write bad ones.
 */
#pragma once
#include <string.h>

#include "mock.h"

#define REG_STATUS    0x070u
#define DESC_NEXT     1u
#define DESC_WRITE    2u
#define DESC_INDIRECT 4u

#define FEATURE_INDIRECT  (1ull << 28)
#define FEATURE_EVENT_IDX (1ull << 29)
#define FEATURE_VERSION_1 (1ull << 32)

struct guest_desc {
    uint64_t gpa;
    uint32_t len;
    uint16_t flags, next;
};

/* One queue: descriptor table, available and used ring at base + 0, 1 and 2 times
 * GUEST_QUEUE_AREA(num). */
#define GUEST_QUEUE_AREA(num) ((num) <= 256u ? 0x1000u : 16u * (num))

struct guest_queue {
    struct vm *vm;
    uint16_t num;
    uint64_t desc_gpa, avail_gpa, used_gpa;
    uint16_t avail_idx; /* next entry that the guest fills */
    uint16_t used_idx;  /* next entry that the guest expects */
};

static inline struct guest_queue guest_queue_at(struct vm *vm, uint64_t base, uint16_t num)
{
    uint64_t area = GUEST_QUEUE_AREA(num);
    struct guest_queue queue = {.vm = vm,
                                .num = num,
                                .desc_gpa = base,
                                .avail_gpa = base + area,
                                .used_gpa = base + 2 * area};
    memset(vm_ram(vm, base, 3 * area), 0, 3 * area);
    return queue;
}

/* flags, idx, entries ...: as 16-bit words. */
static inline uint16_t *guest_avail(struct guest_queue *queue)
{
    return vm_ram(queue->vm, queue->avail_gpa, 6 + 2u * queue->num);
}

static inline uint16_t *guest_used(struct guest_queue *queue)
{
    return vm_ram(queue->vm, queue->used_gpa, 6 + 8u * queue->num);
}

/* By EVENT_IDX: the guest's word to the device, the device's word to the guest. */
static inline uint16_t *guest_used_event(struct guest_queue *queue)
{
    return &guest_avail(queue)[2 + queue->num];
}

static inline uint16_t *guest_avail_event(struct guest_queue *queue)
{
    return &guest_used(queue)[2 + 4 * queue->num];
}

/* Writes descriptor index of the table at table_gpa. */
static inline void guest_table(struct vm *vm, uint64_t table_gpa, unsigned index, uint64_t gpa,
                               uint32_t len, uint16_t flags, uint16_t next)
{
    struct guest_desc desc = {gpa, len, flags, next};
    memcpy(vm_ram(vm, table_gpa + 16 * index, sizeof(desc)), &desc, sizeof(desc));
}

static inline void guest_desc(struct guest_queue *queue, unsigned index, uint64_t gpa, uint32_t len,
                              uint16_t flags, uint16_t next)
{
    guest_table(queue->vm, queue->desc_gpa, index, gpa, len, flags, next);
}

static inline void guest_offer(struct guest_queue *queue, uint16_t head)
{
    uint16_t *avail = guest_avail(queue);
    avail[2 + queue->avail_idx % queue->num] = head;
    avail[1] = ++queue->avail_idx;
}

/* The next used element. False: none. */
static inline bool guest_take(struct guest_queue *queue, uint32_t *id, uint32_t *len)
{
    uint16_t *used = guest_used(queue);
    uint16_t *element = &used[2 + 4 * (queue->used_idx % queue->num)];
    if (used[1] == queue->used_idx)
        return false;
    memcpy(id, element, 4);
    memcpy(len, element + 2, 4);
    queue->used_idx++;
    return true;
}

/* --- The registers --- */

static inline unsigned guest_status(struct mock *mock)
{
    return (unsigned)mock_load(mock, REG_STATUS, 4);
}

/* Up to FEATURES_OK; returns the status read back. */
static inline unsigned guest_negotiate(struct mock *mock, uint64_t features)
{
    mock_store(mock, REG_STATUS, 4, 0);
    mock_store(mock, REG_STATUS, 4, 1);
    mock_store(mock, REG_STATUS, 4, 3);
    for (unsigned word = 0; word < 2; word++) {
        mock_store(mock, 0x024, 4, word);
        mock_store(mock, 0x020, 4, (uint32_t)(features >> (32 * word)));
    }
    mock_store(mock, REG_STATUS, 4, 11);
    return guest_status(mock);
}

static inline void guest_queue_start(struct mock *mock, unsigned index, struct guest_queue *queue)
{
    mock_store(mock, 0x030, 4, index);
    mock_store(mock, 0x038, 4, queue->num);
    mock_store(mock, 0x080, 4, (uint32_t)queue->desc_gpa);
    mock_store(mock, 0x084, 4, queue->desc_gpa >> 32);
    mock_store(mock, 0x090, 4, (uint32_t)queue->avail_gpa);
    mock_store(mock, 0x094, 4, queue->avail_gpa >> 32);
    mock_store(mock, 0x0a0, 4, (uint32_t)queue->used_gpa);
    mock_store(mock, 0x0a4, 4, queue->used_gpa >> 32);
    mock_store(mock, 0x044, 4, 1);
}

static inline void guest_driver_ok(struct mock *mock)
{
    mock_store(mock, REG_STATUS, 4, 15);
}

static inline void guest_notify(struct mock *mock, unsigned index)
{
    mock_store(mock, 0x050, 4, index);
}
