/*
 * What the guests of tests/guests/flood*.c share. Each of these guests gives the VMM as much work
 * as one trap can ask for. What is asked of the VMM is that none of its exits is long, that its
 * control channel answers meanwhile, and that all is well afterwards. With CASE 2 a guest goes on
 * for ever, so that there is time to ask the control channel.
 */
#pragma once
#include "bare.h"

#ifndef CASE
#define CASE 1
#endif

#define FLOOD_PATIENCE 300000000ul /* 30 s */

/* Whether round `round` of `rounds` is to come; with CASE 2 there is always another one. */
static inline bool flood_goes_on(unsigned round, unsigned rounds)
{
    return CASE == 2 || round < rounds;
}

/* Waits until *index equals wanted. False: it does not within FLOOD_PATIENCE. */
static inline bool flood_wait(const volatile uint16_t *index, uint16_t wanted)
{
    uint64_t start = bare_time();
    while (*index != wanted)
        if (bare_time() - start > FLOOD_PATIENCE)
            return false;
    bare_fence();
    return true;
}

/* A virtio-mmio device's queue (virtio 1.2, sections 2.7 and 4.2). */
#define FLOOD_NUM 128u

struct flood_queue {
    struct flood_desc {
        uint64_t gpa;
        uint32_t len;
        uint16_t flags, next; /* flags: 1 goes on at `next`, 2 the device writes */
    } desc[FLOOD_NUM];
    struct {
        uint16_t flags, index, ring[FLOOD_NUM + 1];
    } avail;
    struct {
        uint16_t flags, index;
        struct {
            uint32_t id, len;
        } ring[FLOOD_NUM];
        uint16_t avail_event;
    } used __attribute__((aligned(4)));
};

#define FLOOD_REG(base, r) (*(volatile uint32_t *)((base) + (r)))

static inline void flood_address(uint64_t base, uint32_t r, const void *memory)
{
    FLOOD_REG(base, r) = (uint32_t)(uint64_t)memory;
    FLOOD_REG(base, r + 4) = (uint32_t)((uint64_t)memory >> 32);
}

/* From a reset of the device to DRIVER_OK, with one queue. */
static inline void flood_start(uint64_t base, uint32_t number, struct flood_queue *queue)
{
    FLOOD_REG(base, 0x070) = 0; /* Status */
    FLOOD_REG(base, 0x070) = 1;
    FLOOD_REG(base, 0x070) = 3;
    FLOOD_REG(base, 0x024) = 0; /* DriverFeaturesSel, DriverFeatures: VERSION_1 alone */
    FLOOD_REG(base, 0x020) = 0;
    FLOOD_REG(base, 0x024) = 1;
    FLOOD_REG(base, 0x020) = 1;
    FLOOD_REG(base, 0x070) = 11;
    memset(queue, 0, sizeof(*queue));
    FLOOD_REG(base, 0x030) = number; /* QueueSel, QueueNum */
    FLOOD_REG(base, 0x038) = FLOOD_NUM;
    flood_address(base, 0x080, queue->desc);
    flood_address(base, 0x090, &queue->avail);
    flood_address(base, 0x0a0, &queue->used);
    FLOOD_REG(base, 0x044) = 1; /* QueueReady */
    FLOOD_REG(base, 0x070) = 15;
}

/* Offers the chain that begins with descriptor 0 so many times, in one notification. */
static inline void flood_offer(uint64_t base, uint32_t number, struct flood_queue *queue,
                               unsigned times)
{
    for (unsigned i = 0; i < times; i++)
        queue->avail.ring[(queue->avail.index + i) % FLOOD_NUM] = 0;
    bare_fence();
    queue->avail.index = (uint16_t)(queue->avail.index + times);
    bare_fence();
    FLOOD_REG(base, 0x050) = number; /* QueueNotify */
}
