/*
 * QEMU's virtio-blk as a struct host_disk: the one back end of the emulated and the paravirtual
 * disk.
 *
 * A read writes into guest RAM while the guest runs, until the device has finished it, and it
 * alone: whatever has become of the device that asked for it (done, failed, abandoned, broken). So
 * what the core derives from RAM is kept right here, once for all owners and all ends of a request:
 * when a read is submitted the core forgets what it has of those bytes (struct host_owner), and
 * derives nothing from them as long as host_writes_to.
 *
 * Batching is done here, once for both: requests are announced to the device when the access that
 * caused them has been carried out, completions are looked at in batches (see `patience` in
 * disk.c).
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "host/ends.h"
#include "host/hold.h"
#include "host/virtio.h"

#define DISK_DEPTH VIRTIO_QUEUE_MAX

struct host;

/* One request in flight: what the device reads besides the caller's segments. */
struct disk_slot {
    struct virtio_desc table[HOST_DISK_MAX_SEGMENTS + 2]; /* header, segments, status */
    struct {
        uint32_t type, reserved;
        uint64_t sector;
    } header;
    struct {
        uint64_t sector;
        uint32_t count, flags;
    } range; /* DISCARD, WRITE_ZEROES */
    uint8_t status;
    struct host_disk_request *request; /* null: the slot is free */
    uint32_t moved;                    /* bytes that went through the bounce buffer */
    bool urgent;                       /* somebody waits for just this one: no read or write */
} __attribute__((aligned(16)));

struct disk {
    struct host_disk front;
    uintptr_t registers; /* in the direct map; 0: not started or broken */
    uint64_t features;
    uint32_t max_segments, max_discard, max_write_zeroes;
    uint16_t in_flight, urgent; /* requests with the device; of these, the urgent ones */
    uint16_t finished;          /* length of the list `done` */
    bool behind;                /* finished requests were left in the used ring, for later */
    bool delivering;            /* the owner is taking what is finished: all of it */
    struct hold hold;
    bool given;          /* ABLATE_BATCH: one completion was fetched since the last service */
    uint64_t held_until; /* ABLATE_BATCH: the next one is held back; 0: not; UINT64_MAX: no more */
    uint8_t *bounce;     /* ABLATE_COPY: BOUNCE_SIZE bytes for each slot; else null */
    struct host_disk_request *done, **done_end; /* completed, not yet fetched; in order */
    struct virtio_queue queue;
    struct disk_slot slot[DISK_DEPTH];
};

/* Sets the disk in this window up and takes its interrupt, less what ablate (enum ablation) takes
 * away. The end has no owner yet. 0, or a negative errno with a sentence logged. */
int host_disk_start(struct host *host, const struct host_window *window, unsigned ablate);
