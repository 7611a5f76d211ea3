/*
 * Split virtqueues over virtio-mmio version 2, the driver's side (virtio 1.2, 2.7 and 4.2).
 */
#pragma once
#include "kernel.h"

#define RING_SIZE_MAX     64u /* descriptors per queue; a device that offers fewer gets fewer */
#define RING_SEGMENTS_MAX 32u /* per buffer */

#define VIRTIO_F_INDIRECT_DESC (1ull << 28)
#define VIRTIO_F_EVENT_IDX     (1ull << 29)
#define VIRTIO_F_VERSION_1     (1ull << 32)

#define VIRTIO_ID_CONSOLE 3u
#define VIRTIO_ID_BLOCK   2u

struct virtio {
    struct board_device *device;
    uint64_t features; /* negotiated */
};

/* One piece of a buffer. Those that the device reads come first. */
struct ring_segment {
    void *base;
    uint32_t len;
};

struct ring {
    struct virtio *virtio;
    unsigned index, size;
    struct ring_desc *desc;
    struct ring_avail *avail;
    struct ring_used *used;
    struct ring_desc *indirect; /* RING_SEGMENTS_MAX per descriptor, null without the feature */
    uint16_t free_head, free_count;
    uint16_t avail_next, used_next; /* free-running */
    uint16_t kicked;                /* avail_next at the last kick */
    bool quiet;                     /* no interrupts wanted */
    void *cookie[RING_SIZE_MAX];    /* by head descriptor */
    void *memory;                   /* pages, kept over a restart */
};

/* Resets the device and negotiates `wanted` and the ring features. False: it is not the device
 * `id`, or refuses. virtio_ready() follows the rings' set-up. */
bool virtio_begin(struct virtio *virtio, struct board_device *device, uint32_t id, uint64_t wanted);
bool virtio_ready(struct virtio *virtio);
bool virtio_needs_reset(struct virtio *virtio);
#define VIRTIO_INTERRUPT_CONFIG 2u /* also: the device broke, and needs a reset */

/* Reads and acknowledges the interrupt's reasons. */
uint32_t virtio_acknowledge(struct virtio *virtio);
/* Device-specific configuration space. */
uint8_t virtio_config8(struct virtio *virtio, unsigned offset);
uint32_t virtio_config32(struct virtio *virtio, unsigned offset);
uint64_t virtio_config64(struct virtio *virtio, unsigned offset);

bool ring_start(struct ring *ring, struct virtio *virtio, unsigned index);
/* Makes a buffer available; false if there are too few descriptors now. Notify with ring_kick(). */
bool ring_add(struct ring *ring, const struct ring_segment *segments, unsigned device_reads,
              unsigned device_writes, void *cookie);
/* Notifies the device, unless it said that it need not be. */
void ring_kick(struct ring *ring);
/* The next used buffer's cookie and how many bytes the device wrote, or null. */
void *ring_take(struct ring *ring, uint32_t *len);
/* Whether the device shall interrupt at the next used buffer. */
void ring_interrupts(struct ring *ring, bool on);
