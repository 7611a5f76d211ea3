/* What disk.c (the queue and its flow) and disk_request.c (one request) share. */
#pragma once
#include "host/disk.h"
#include "host/map.h"

#define BLK_F_FLUSH    (1ull << 9)
#define TYPE_GET_ID    8u
#define STATUS_PENDING 0xffu /* ours: not written by the device yet */

/* 0 or -EINVAL: what the device would refuse, or what the slot's table cannot hold. */
int disk_request_check(const struct disk *disk, const struct host_disk_request *request);

/* Writes one descriptor of the slot's table, at desc, which goes on at the next; returns that. */
static inline struct virtio_desc *disk_request_put(const struct disk_slot *slot,
                                                   struct virtio_desc *desc, const void *memory,
                                                   uint32_t len, unsigned flags)
{
    *desc = (struct virtio_desc){
        .hpa = map_pointer_hpa(memory),
        .len = len,
        .flags = (uint16_t)(flags | VIRTIO_DESC_NEXT),
        .next = (uint16_t)(desc + 1 - slot->table),
    };
    return desc + 1;
}

/* Begins the slot's table with the request's header. */
struct virtio_desc *disk_request_put_header(struct disk_slot *slot, uint32_t type, uint64_t sector);

/* Describes slot->request (or its next piece) in the slot's table, but for the status byte. Returns
 * the table's end. */
struct virtio_desc *disk_request_describe(const struct disk *disk, struct disk_slot *slot);

/* What the device says of a request that it has finished: 0, -EIO or -ENOTSUP. */
int disk_request_status(const struct disk *disk, const struct disk_slot *slot);

/* Somebody is about to write to the segments of a read: the core forgets what it
 * derived from them. */
void disk_request_written(const struct disk *disk, const struct host_disk_request *request);

/* Does the slot's table have the device write to any of these bytes? */
bool disk_request_writes_to(const struct disk_slot *slot, uint64_t hpa, uint64_t len);

/* A piece has been moved by way of the buffer (disk->bounce): copies it to the guest. True: there is
 * one more. */
bool disk_request_copy(const struct disk *disk, struct disk_slot *slot);
