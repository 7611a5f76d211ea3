/*
 * The driver's side of a virtio-mmio device, version 2, with split queues: what the disk and the
 * control channel of the real machine have in common.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* Device types (virtio specification 1.2, section 5). */
#define VIRTIO_ID_BLOCK   2u
#define VIRTIO_ID_CONSOLE 3u

/* Feature bits of every device (section 6). */
#define VIRTIO_F_INDIRECT_DESC (1ull << 28)
#define VIRTIO_F_EVENT_IDX     (1ull << 29)
#define VIRTIO_F_VERSION_1     (1ull << 32)

#define VIRTIO_CONFIG 0x100u /* offset of the device's own configuration space */

#define VIRTIO_QUEUE_MAX 64u /* descriptors; a power of two */

/* virtq_desc.flags */
#define VIRTIO_DESC_NEXT     1u
#define VIRTIO_DESC_WRITE    2u /* the device writes this buffer */
#define VIRTIO_DESC_INDIRECT 4u

struct virtio_desc {
    uint64_t hpa;
    uint32_t len;
    uint16_t flags, next;
};

/* What the device reads and writes (section 2.7). used_event and avail_event follow the rings. */
struct virtio_memory {
    struct virtio_desc desc[VIRTIO_QUEUE_MAX];
    struct {
        uint16_t flags, index;
        uint16_t ring[VIRTIO_QUEUE_MAX + 1];
    } avail __attribute__((aligned(4)));
    struct {
        uint16_t flags, index;
        struct {
            uint32_t id, len;
        } ring[VIRTIO_QUEUE_MAX];
        uint16_t avail_event;
    } used __attribute__((aligned(4)));
} __attribute__((aligned(16)));

struct virtio_queue {
    uintptr_t registers;
    unsigned index;
    uint16_t size;      /* descriptors in use */
    uint16_t used_next; /* used entries taken so far */
    uint16_t notified;  /* avail.index at the last look whether to notify */
    uint16_t patience;  /* used entries that must be there before the device interrupts */
    struct virtio_memory memory;
};

/* Type of the device at these registers; 0 if there is none, or it is not version 2. */
uint32_t virtio_device_id(uintptr_t registers);

/* Resets the device. 0: it has let go of all memory. -EIO: it did not within 5 s. */
int virtio_reset(uintptr_t registers);

/* Resets the device and agrees on the features that are wanted and offered (VERSION_1 and EVENT_IDX
 * are always wanted, and required). 0, -EIO, or -ENOTSUP. */
int virtio_start(uintptr_t registers, uint64_t wanted, uint64_t *agreed);

/* Gives the device an empty queue of min(limit, what it offers) descriptors. 0 or -ENODEV. */
int virtio_queue_start(struct virtio_queue *queue, uintptr_t registers, unsigned index,
                       unsigned limit);

/* The set-up is complete: the device may work. */
void virtio_ready(uintptr_t registers);

/* Acknowledges the device's interrupt. */
void virtio_acknowledge(uintptr_t registers);

/* Makes the chain that starts at desc[head] available. The device may not look before the kick. */
void virtio_queue_put(struct virtio_queue *queue, uint16_t head);

/* Notifies the device of what was put since the last kick, if it wants that. */
void virtio_queue_notify(struct virtio_queue *queue, uint16_t index);
static inline void virtio_queue_kick(struct virtio_queue *queue)
{
    uint16_t index = *(volatile uint16_t *)&queue->memory.avail.index;
    if (index != queue->notified)
        virtio_queue_notify(queue, index);
}

/* Both. */
void virtio_queue_push(struct virtio_queue *queue, uint16_t head);

/* From now on the device interrupts when `patience` (at least 1) used chains wait to be taken.
 * Fewer than before may wait already, and then it does not: see virtio_queue_due. */
void virtio_queue_wait_for(struct virtio_queue *queue, uint16_t patience);

/* How many used chains wait. */
static inline uint16_t virtio_queue_waiting(const struct virtio_queue *queue)
{
    return (uint16_t)(*(const volatile uint16_t *)&queue->memory.used.index - queue->used_next);
}

/* Do at least `patience` of them? */
static inline bool virtio_queue_due(const struct virtio_queue *queue)
{
    return virtio_queue_waiting(queue) >= queue->patience;
}

/* Takes the next used chain; false if there is none, and then `patience` of them interrupt. */
bool virtio_queue_pop(struct virtio_queue *queue, uint32_t *head, uint32_t *len);
