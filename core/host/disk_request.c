/*
 * How a request of the host's disk looks to the device (virtio specification 1.2, section 5.2.6):
 * header, data, status.
 *
 * The surprise: with ABLATE=copy the data is a piece of the request in the VMM's own buffer, and
 * one request becomes several, one after the other.
 */
#include <errno.h>

#include "host/bounce.h"
#include "host/disk_internal.h"
#include "host/map.h"

#define TYPE_IN           0u
#define TYPE_OUT          1u
#define TYPE_FLUSH        4u
#define TYPE_DISCARD      11u
#define TYPE_WRITE_ZEROES 13u

#define STATUS_OK     0u
#define STATUS_UNSUPP 2u

#define RANGE_UNMAP 1u

static const uint32_t type_of[] = {
    [HOST_DISK_READ] = TYPE_IN,
    [HOST_DISK_WRITE] = TYPE_OUT,
    [HOST_DISK_FLUSH] = TYPE_FLUSH,
    [HOST_DISK_DISCARD] = TYPE_DISCARD,
    [HOST_DISK_WRITE_ZEROES] = TYPE_WRITE_ZEROES,
};

static bool in_range(const struct disk *disk, uint64_t sector, uint64_t count)
{
    return sector <= disk->front.sectors && count <= disk->front.sectors - sector;
}

static int check_range(const struct disk *disk, const struct host_disk_request *request,
                       uint32_t limit)
{
    if (request->count == 0 || request->count > limit)
        return -EINVAL;
    return in_range(disk, request->sector, request->count) ? 0 : -EINVAL;
}

int disk_request_check(const struct disk *disk, const struct host_disk_request *request)
{
    uint64_t bytes = 0;
    if (disk->registers == 0 || request->op > HOST_DISK_WRITE_ZEROES)
        return -EINVAL;
    if (disk->front.read_only && request->op != HOST_DISK_READ && request->op != HOST_DISK_FLUSH)
        return -EINVAL;
    switch (request->op) {
    case HOST_DISK_FLUSH: return 0;
    case HOST_DISK_DISCARD: return check_range(disk, request, disk->max_discard);
    case HOST_DISK_WRITE_ZEROES: return check_range(disk, request, disk->max_write_zeroes);
    default: break;
    }
    if (request->nsegments == 0 || request->nsegments > disk->max_segments)
        return -EINVAL;
    for (uint32_t i = 0; i < request->nsegments; i++) {
        if (request->segments[i].len == 0)
            return -EINVAL;
        bytes += request->segments[i].len;
    }
    if (bytes % HOST_DISK_SECTOR != 0)
        return -EINVAL;
    return in_range(disk, request->sector, bytes / HOST_DISK_SECTOR) ? 0 : -EINVAL;
}

struct virtio_desc *disk_request_put_header(struct disk_slot *slot, uint32_t type, uint64_t sector)
{
    slot->header.type = type;
    slot->header.reserved = 0;
    slot->header.sector = sector;
    return disk_request_put(slot, slot->table, &slot->header, sizeof(slot->header), 0);
}

static uint8_t *bounce_of(const struct disk *disk, const struct disk_slot *slot)
{
    return disk->bounce + (slot - disk->slot) * BOUNCE_SIZE;
}

/* Describes what a transfer moves: the caller's segments, or a piece of them in
 * the VMM's buffer. */
static struct virtio_desc *describe_data(const struct disk *disk, struct disk_slot *slot,
                                         struct virtio_desc *end)
{
    const struct host_disk_request *request = slot->request;
    unsigned flags = request->op == HOST_DISK_READ ? VIRTIO_DESC_WRITE : 0;
    if (disk->bounce) {
        uint32_t len = bounce_piece(request, slot->moved);
        if (request->op == HOST_DISK_WRITE)
            bounce_gather(request, slot->moved, bounce_of(disk, slot), len);
        return disk_request_put(slot, end, bounce_of(disk, slot), len, flags);
    }
    for (uint32_t i = 0; i < request->nsegments; i++)
        end = disk_request_put(slot, end, request->segments[i].base, request->segments[i].len,
                               flags);
    return end;
}

struct virtio_desc *disk_request_describe(const struct disk *disk, struct disk_slot *slot)
{
    const struct host_disk_request *request = slot->request;
    bool transfer = request->op == HOST_DISK_READ || request->op == HOST_DISK_WRITE;
    uint64_t sector = request->sector + slot->moved / HOST_DISK_SECTOR;
    struct virtio_desc *end = disk_request_put_header(slot, type_of[request->op],
                                                      transfer ? sector : 0);
    slot->urgent = !transfer;
    if (request->op == HOST_DISK_FLUSH)
        return end;
    if (transfer)
        return describe_data(disk, slot, end);
    slot->range.sector = request->sector;
    slot->range.count = request->count;
    slot->range.flags = 0;
    if (request->op == HOST_DISK_WRITE_ZEROES && request->unmap)
        slot->range.flags = RANGE_UNMAP;
    return disk_request_put(slot, end, &slot->range, sizeof(slot->range), 0);
}

int disk_request_status(const struct disk *disk, const struct disk_slot *slot)
{
    uint8_t status = *(const volatile uint8_t *)&slot->status;
    /* Without FLUSH the device writes through: there is nothing to flush. */
    if (slot->request->op == HOST_DISK_FLUSH && !(disk->features & BLK_F_FLUSH))
        return 0;
    return status == STATUS_OK ? 0 : status == STATUS_UNSUPP ? -ENOTSUP : -EIO;
}

void disk_request_written(const struct disk *disk, const struct host_disk_request *request)
{
    const struct host_end *end = &disk->front.end;
    for (uint32_t i = 0; end->owner && request->op == HOST_DISK_READ && i < request->nsegments; i++)
        end->calls->written(end->owner, request->segments[i].base, request->segments[i].len);
}

bool disk_request_writes_to(const struct disk_slot *slot, uint64_t hpa, uint64_t len)
{
    for (const struct virtio_desc *desc = slot->table;; desc++) {
        if ((desc->flags & VIRTIO_DESC_WRITE) && desc->hpa < hpa + len &&
            hpa < desc->hpa + desc->len)
            return true;
        if (!(desc->flags & VIRTIO_DESC_NEXT))
            return false;
    }
}

bool disk_request_copy(const struct disk *disk, struct disk_slot *slot)
{
    const struct host_disk_request *request = slot->request;
    uint32_t len;
    if (slot->urgent || disk_request_status(disk, slot) != 0)
        return false;
    len = bounce_piece(request, slot->moved);
    if (request->op == HOST_DISK_READ) {
        disk_request_written(disk, request);
        bounce_scatter(request, slot->moved, bounce_of(disk, slot), len);
    }
    slot->moved += len;
    return bounce_piece(request, slot->moved) > 0;
}
