/*
 * Split virtqueues over virtio-mmio version 2, the driver's side (virtio 1.2, 2.7 and 4.2).
 */
#pragma once
#include "kernel.h"

#define RING_SIZE_MAX     64u /* descriptors per queue; a device that offers fewer gets fewer */
#define RING_SEGMENTS_MAX 32u /* segments per buffer */

#define VIRTIO_F_INDIRECT_DESC (1ull << 28)
#define VIRTIO_F_EVENT_IDX     (1ull << 29)
#define VIRTIO_F_VERSION_1     (1ull << 32)

#define VIRTIO_ID_CONSOLE 3u
#define VIRTIO_ID_BLOCK   2u

struct virtio {
    struct board_device *device;
    uint64_t features; /* negotiated */
};

/* One piece of a buffer. The segments that the device reads come first. */
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
    void *cookie[RING_SIZE_MAX];    /* of each buffer, by its head descriptor */
    void *memory;                   /* pages, kept over a restart */
};

/* Resets the device and negotiates the features `wanted` and those of the rings. False: the
 * device is not of the kind `id`, or refuses. Next come ring_start() for each queue, and
 * virtio_ready(). */
bool virtio_begin(struct virtio *virtio, struct board_device *device, uint32_t id, uint64_t wanted);
/* Sets DRIVER_OK. False: the device needs a reset. */
bool virtio_ready(struct virtio *virtio);
bool virtio_needs_reset(struct virtio *virtio);

/* A reason of an interrupt: the configuration has changed, or the device is broken and needs a
 * reset. */
#define VIRTIO_INTERRUPT_CONFIG 2u

/* Reads and acknowledges the interrupt's reasons. */
uint32_t virtio_acknowledge(struct virtio *virtio);

/* Reads the device-specific configuration space. */
uint8_t virtio_config8(struct virtio *virtio, unsigned offset);
uint32_t virtio_config32(struct virtio *virtio, unsigned offset);
uint64_t virtio_config64(struct virtio *virtio, unsigned offset);

/* Sets queue number `index` up, empty. False: there is no such queue, or no memory for it. */
bool ring_start(struct ring *ring, struct virtio *virtio, unsigned index);
/* Makes a buffer of device_reads + device_writes segments available, which ring_take() will name by
 * its cookie. False: there are too few free descriptors now. ring_kick() tells the device. */
bool ring_add(struct ring *ring, const struct ring_segment *segments, unsigned device_reads,
              unsigned device_writes, void *cookie);
/* Notifies the device of new buffers, unless it has said that it need not be notified. */
void ring_kick(struct ring *ring);
/* The next used buffer's cookie and how many bytes the device wrote, or null. */
void *ring_take(struct ring *ring, uint32_t *len);
/* Sets whether the device shall interrupt at the next used buffer. */
void ring_interrupts(struct ring *ring, bool on);
