/*
 * A request to the virtio-blk device: virtio 1.2, section 5.2.6. The guest's pages are handed to
 * the host's disk as they are.
 *
 * The surprise: a request has no layout (2.7.4.2). Header, data and status byte may be cut into
 * descriptors anywhere; only the order counts, and that what is read precedes what is written. The
 * status is the last byte of the writable part, wherever that ends.
 */
#include <string.h>

#include "devices/paravirt/disk.h"
#include "devices/paravirt/mmio.h"

#define TYPE_IN           0u         /* disk to guest */
#define TYPE_OUT          1u         /* guest to disk */
#define TYPE_FLUSH        4u         /* make writes stable */
#define TYPE_GET_ID       8u         /* the serial number, ID_BYTES of it */
#define TYPE_DISCARD      11u        /* one struct range */
#define TYPE_WRITE_ZEROES 13u        /* one struct range */
#define TYPE_BARRIER      (1u << 31) /* legacy flag of any type: without meaning, not refused */

#define RANGE_UNMAP 1u /* flag of WRITE_ZEROES: may deallocate */

#define ID_BYTES 20u

/* What DISCARD and WRITE_ZEROES bring as data. */
struct range {
    uint64_t sector;
    uint32_t count;
    uint32_t flags;
};

/* Copies len bytes from offset of the readable part, which must be that long. */
static void chain_read(const struct ring_chain *chain, uint32_t offset, void *to, uint32_t len)
{
    uint8_t *bytes = to;
    for (unsigned i = 0; i < chain->readable && len; i++) {
        const struct ring_segment *segment = &chain->segment[i];
        uint32_t part = segment->len - offset;
        if (segment->len <= offset) {
            offset -= segment->len;
            continue;
        }
        if (part > len)
            part = len;
        memcpy(bytes, segment->ram + offset, part);
        offset = 0;
        bytes += part;
        len -= part;
    }
}

/* Copies len bytes to the front of the writable part, which must be that long. */
static void chain_write(struct vm *vm, const struct ring_chain *chain, const void *from,
                        uint32_t len)
{
    const struct ring_segment *segment = &chain->segment[chain->readable];
    const uint8_t *bytes = from;
    for (; len; segment++) {
        uint32_t part = segment->len < len ? segment->len : len;
        memcpy(vm_ram_for_write(vm, segment->gpa, part), bytes, part);
        bytes += part;
        len -= part;
    }
}
/* --- The request --- */

static bool in_disk(const struct device *dev, uint64_t sector, uint64_t count)
{
    const struct host_disk *host = dev->host;
    return count <= host->sectors && sector <= host->sectors - count;
}

/* Hands len bytes of segments [first, end), from offset on, to the host in place. False: they are
 * in too many pieces. */
static bool slot_map(struct virtio_blk_slot *slot, unsigned first, unsigned end, uint32_t offset,
                     uint32_t len)
{
    uint32_t count = 0;
    for (unsigned i = first; i < end && len; i++) {
        uint8_t *ram = slot->chain.segment[i].ram + offset;
        uint32_t part = slot->chain.segment[i].len;
        if (part <= offset) {
            offset -= part;
            continue;
        }
        part -= offset;
        offset = 0;
        if (part > len)
            part = len;
        if (count == HOST_DISK_MAX_SEGMENTS)
            return false;
        slot->segment[count].base = ram;
        slot->segment[count++].len = part;
        len -= part;
    }
    slot->request.nsegments = count;
    return true;
}

static uint8_t start_transfer(struct device *dev, struct virtio_blk_slot *slot, uint64_t sector,
                              bool store)
{
    const struct host_disk *host = dev->host;
    const struct ring_chain *chain = &slot->chain;
    uint32_t len = store ? chain->readable_bytes - (uint32_t)sizeof(struct virtio_blk_header)
                         : chain->writable_bytes - 1;
    unsigned first = store ? 0 : chain->readable;
    unsigned end = first + (store ? chain->readable : chain->writable);
    if (store && host->read_only)
        return STATUS_IOERR;
    if (len % HOST_DISK_SECTOR != 0 || !in_disk(dev, sector, len / HOST_DISK_SECTOR))
        return STATUS_IOERR;
    if (len == 0)
        return STATUS_OK;
    slot->request.op = store ? HOST_DISK_WRITE : HOST_DISK_READ;
    slot->request.sector = sector;
    if (!slot_map(slot, first, end, store ? sizeof(struct virtio_blk_header) : 0, len))
        return STATUS_IOERR;
    slot->bytes = len;
    slot->filled = store ? 0 : len;
    slot->then_flush = store && !virtio_mmio_has(dev, FEATURE_FLUSH);
    return STATUS_LATER;
}

static uint8_t start_flush(struct virtio_blk_slot *slot)
{
    slot->request.op = HOST_DISK_FLUSH;
    return STATUS_LATER;
}

static uint8_t start_range(struct device *dev, struct virtio_blk_slot *slot, bool discard)
{
    uint32_t len = slot->chain.readable_bytes - (uint32_t)sizeof(struct virtio_blk_header);
    /* A read-only disk offers neither. 5.2.6.2: a bit we do not know, or UNMAP with a DISCARD, is
     * unsupported; so are more ranges than the one that max_..._seg allows. */
    if (!virtio_mmio_has(dev, discard ? FEATURE_DISCARD : FEATURE_WRITE_ZEROES))
        return STATUS_UNSUPP;
    struct range range;
    if (len < sizeof(range))
        return STATUS_IOERR;
    if (len > sizeof(range))
        return STATUS_UNSUPP;
    chain_read(&slot->chain, sizeof(struct virtio_blk_header), &range, sizeof(range));
    if (range.flags & ~(discard ? 0 : RANGE_UNMAP))
        return STATUS_UNSUPP;
    if (range.count > VIRTIO_BLK_RANGE_MAX || !in_disk(dev, range.sector, range.count))
        return STATUS_IOERR;
    if (range.count == 0)
        return STATUS_OK;
    slot->request.op = discard ? HOST_DISK_DISCARD : HOST_DISK_WRITE_ZEROES;
    slot->request.sector = range.sector;
    slot->request.count = range.count;
    slot->request.unmap = range.flags & RANGE_UNMAP;
    slot->then_flush = !discard && !virtio_mmio_has(dev, FEATURE_FLUSH);
    return STATUS_LATER;
}

static uint8_t start_get_id(struct device *dev, struct virtio_blk_slot *slot)
{
    const struct host_disk *host = dev->host;
    char id[ID_BYTES] = {0};
    uint32_t len = slot->chain.writable_bytes - 1;
    if (len > sizeof(id))
        len = sizeof(id);
    for (unsigned i = 0; i < sizeof(id) && host->serial[i]; i++)
        id[i] = host->serial[i];
    chain_write(dev->vm, &slot->chain, id, len);
    slot->bytes = slot->filled = len;
    return STATUS_OK;
}

/* Looks at a chain and sets up what the host must do for it. STATUS_LATER, or the answer. */
uint8_t virtio_blk_start(struct device *dev, struct virtio_blk_slot *slot)
{
    struct virtio_blk_header header;
    slot->request = (struct host_disk_request){.segments = slot->segment, .cookie = slot};
    slot->bytes = slot->filled = 0;
    slot->then_flush = false;
    chain_read(&slot->chain, 0, &header, sizeof(header));
    switch (header.type & ~TYPE_BARRIER) {
    case TYPE_IN: return start_transfer(dev, slot, header.sector, false);
    case TYPE_OUT: return start_transfer(dev, slot, header.sector, true);
    case TYPE_FLUSH:
    case TYPE_FLUSH | TYPE_OUT: return start_flush(slot); /* as legacy drivers spell it */
    case TYPE_GET_ID: return start_get_id(dev, slot);
    case TYPE_DISCARD: return start_range(dev, slot, true);
    case TYPE_WRITE_ZEROES: return start_range(dev, slot, false);
    default: return STATUS_UNSUPP;
    }
}
