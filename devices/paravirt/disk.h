/*
 * Private to the virtio-blk device: disk.c has the queue, and the way to the host's disk and back;
 * disk_request.c reads what the driver wants. virtio 1.2, section 5.2.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "core/device.h"
#include "core/host/ends.h"
#include "devices/paravirt/ring.h"

/* Feature bits (5.2.3). */
#define FEATURE_SEG_MAX      2u  /* seg_max is valid */
#define FEATURE_RO           5u  /* writes fail */
#define FEATURE_BLK_SIZE     6u  /* blk_size is valid */
#define FEATURE_FLUSH        9u  /* writes are stable after a FLUSH; not accepted: when completed */
#define FEATURE_DISCARD      13u /* the command, and max_discard_* */
#define FEATURE_WRITE_ZEROES 14u /* the command, and max_write_zeroes_* */

/* The last byte of a request (5.2.6). */
#define STATUS_OK     0u
#define STATUS_IOERR  1u
#define STATUS_UNSUPP 2u
#define STATUS_LATER  255u /* ours: the host will say */

#define VIRTIO_BLK_RANGE_MAX 0x3fffffu /* sectors of a DISCARD or WRITE_ZEROES: QEMU's own limit */

/* What a request begins with (5.2.6). */
struct virtio_blk_header {
    uint32_t type;
    uint32_t reserved;
    uint64_t sector;
};

/* One request of the guest on its way through the host. */
struct virtio_blk_slot {
    struct ring_chain chain;
    struct host_disk_request request;
    struct host_segment segment[HOST_DISK_MAX_SEGMENTS];
    uint32_t bytes;  /* payload */
    uint32_t filled; /* bytes at the front of the writable part that success makes valid */
    bool then_flush; /* no FLUSH negotiated: the write is to be stable when it completes */
};

/* Reads the request in slot->chain, which holds a header and a byte to write, and sets up
 * slot->request for the host. STATUS_LATER if the host is to carry it out, or the answer. */
uint8_t virtio_blk_start(struct device *dev, struct virtio_blk_slot *slot);
