/*
 * virtio-blk: virtio 1.2, section 5.2. One request queue; the guest's pages are handed to the host's
 * disk as they are.
 *
 * The surprise: a request has no layout (2.7.4.2). Header, data and status byte may be cut into
 * descriptors anywhere; only the order counts, and that what is read precedes what is written. The
 * status is the last byte of the writable part, wherever that ends.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "device.h"
#include "host/host.h"
#include "mmio.h"
#include "paravirt.h"

#define FEATURE_SEG_MAX      2u  /* seg_max is valid */
#define FEATURE_RO           5u  /* writes fail */
#define FEATURE_BLK_SIZE     6u  /* blk_size is valid */
#define FEATURE_FLUSH        9u  /* writes are stable after a FLUSH; not accepted: when completed */
#define FEATURE_DISCARD      13u /* the command, and max_discard_* */
#define FEATURE_WRITE_ZEROES 14u /* the command, and max_write_zeroes_* */

#define TYPE_IN           0u         /* disk to guest */
#define TYPE_OUT          1u         /* guest to disk */
#define TYPE_FLUSH        4u         /* make writes stable */
#define TYPE_GET_ID       8u         /* the serial number, ID_BYTES of it */
#define TYPE_DISCARD      11u        /* one struct range */
#define TYPE_WRITE_ZEROES 13u        /* one struct range */
#define TYPE_BARRIER      (1u << 31) /* legacy flag of any type: means nothing, and is not refused */

#define STATUS_OK     0u
#define STATUS_IOERR  1u
#define STATUS_UNSUPP 2u
#define STATUS_LATER  255u /* ours: the host will say */

#define RANGE_UNMAP 1u /* flag of WRITE_ZEROES: may deallocate */

#define ID_BYTES          20u
#define RANGE_MAX_SECTORS 0x3fffffu /* QEMU's own limit for one request */

/* Requests that we keep. As many as AHCI's command slots, so that the strategies compare. */
#define SLOTS 32u

struct header {
    uint32_t type;
    uint32_t reserved;
    uint64_t sector;
};

/* What DISCARD and WRITE_ZEROES bring as data. */
struct range {
    uint64_t sector;
    uint32_t count;
    uint32_t flags;
};

/* The configuration space (5.2.4). What is not named below stays 0: its feature is not on offer. */
struct config {
    uint64_t capacity;
    uint32_t size_max, seg_max, geometry, blk_size;
    uint32_t topology[2];
    uint8_t writeback, unused0;
    uint16_t num_queues;
    uint32_t max_discard_sectors, max_discard_seg, discard_sector_alignment;
    uint32_t max_write_zeroes_sectors, max_write_zeroes_seg;
    uint8_t write_zeroes_may_unmap, unused1[3];
};

#define CONFIG_BYTES 60u /* the structure, without its padding at the end */
_Static_assert(offsetof(struct config, max_discard_sectors) == 36, "5.2.4");
_Static_assert(offsetof(struct config, unused1) + 3 == CONFIG_BYTES, "5.2.4");
_Static_assert(CONFIG_BYTES <= VIRTIO_MMIO_CONFIG_MAX, "VIRTIO_MMIO_CONFIG_MAX (mmio.h)");
_Static_assert(SLOTS <= 32, "struct disk.busy has 32 bits");

/* One request of the guest on its way through the host. */
struct slot {
    struct ring_chain chain;
    struct host_disk_request request;
    struct host_segment segment[HOST_DISK_MAX_SEGMENTS];
    uint32_t bytes;  /* payload */
    uint32_t filled; /* bytes at the front of the writable part that success makes valid */
    bool then_flush; /* no FLUSH negotiated: the write is to be stable when it completes */
};

struct disk {
    struct virtio_mmio virtio; /* first: see mmio.h */
    uint32_t busy;             /* bit per slot: in use */
    uint32_t waiting;          /* bit per slot: in use, but the host was full */
    struct slot slot[SLOTS];
};

static struct disk *state_of(struct device *dev)
{
    return dev->state;
}

/* Copies len bytes from offset of the readable part, which must be that long. */
static void chain_read(struct vm *vm, const struct ring_chain *chain, uint32_t offset, void *to,
                       uint32_t len)
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
        memcpy(bytes, vm_ram(vm, segment->gpa + offset, part), part);
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

/* --- The answer ----------------------------------------------------------------------------- */

/* Gives a request back. The status is the last byte of the chain. The used length counts from the
 * front, so an untouched byte before the status keeps even that out of it (2.7.8.2). */
static void slot_finish(struct device *dev, struct slot *slot, uint8_t status)
{
    struct disk *disk = state_of(dev);
    const struct ring_chain *chain = &slot->chain;
    const struct ring_segment *last = &chain->segment[chain->readable + chain->writable - 1];
    uint32_t written = status == STATUS_OK ? slot->filled : 0;

    if (written + 1 == chain->writable_bytes)
        written++;
    *(uint8_t *)vm_ram_for_write(dev->vm, last->gpa + last->len - 1, 1) = status;
    dev->count.requests++;
    if (status == STATUS_OK)
        dev->count.bytes += slot->bytes;
    disk->busy &= ~(1u << (slot - disk->slot));
    virtio_mmio_push(dev, 0, chain->head, written);
}

/* --- To the host and back ------------------------------------------------------------------- */

/* False: the host is full; the slot waits. */
static bool slot_submit(struct device *dev, struct slot *slot)
{
    struct host_disk *host = dev->host;
    struct disk *disk = state_of(dev);
    uint32_t bit = 1u << (slot - disk->slot);
    int error = host->submit(host, &slot->request);

    disk->waiting &= ~bit;
    if (error == -EAGAIN)
        disk->waiting |= bit;
    else if (error)
        slot_finish(dev, slot, STATUS_IOERR);
    return error != -EAGAIN;
}

static void slot_complete(struct device *dev, struct slot *slot)
{
    int error = slot->request.status;

    if (virtio_mmio_is_broken(dev))
        return; /* broken meanwhile: nobody waits for the answer, and reset frees the slot */
    if (error == 0 && slot->then_flush) {
        slot->then_flush = false;
        slot->request.op = HOST_DISK_FLUSH;
        slot->request.nsegments = 0;
        slot_submit(dev, slot);
        return;
    }
    slot_finish(dev, slot,
                error == 0          ? STATUS_OK
                : error == -ENOTSUP ? STATUS_UNSUPP
                                    : STATUS_IOERR);
}

/* --- The request ---------------------------------------------------------------------------- */

static bool in_disk(const struct device *dev, uint64_t sector, uint64_t count)
{
    const struct host_disk *host = dev->host;

    return count <= host->sectors && sector <= host->sectors - count;
}

/* Hands len bytes of segments [first, end) to the host in place, from offset on. False: too many. */
static bool slot_map(struct device *dev, struct slot *slot, unsigned first, unsigned end,
                     uint32_t offset, uint32_t len)
{
    uint32_t count = 0;

    for (unsigned i = first; i < end && len; i++) {
        uint64_t gpa = slot->chain.segment[i].gpa + offset;
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
        slot->segment[count].base = vm_ram(dev->vm, gpa, part);
        slot->segment[count++].len = part;
        len -= part;
    }
    slot->request.nsegments = count;
    return true;
}

static uint8_t start_transfer(struct device *dev, struct slot *slot, uint64_t sector, bool store)
{
    const struct host_disk *host = dev->host;
    const struct ring_chain *chain = &slot->chain;
    uint32_t len = store ? chain->readable_bytes - (uint32_t)sizeof(struct header)
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
    if (!slot_map(dev, slot, first, end, store ? sizeof(struct header) : 0, len))
        return STATUS_IOERR;
    slot->bytes = len;
    slot->filled = store ? 0 : len;
    slot->then_flush = store && !virtio_mmio_has(dev, FEATURE_FLUSH);
    return STATUS_LATER;
}

static uint8_t start_flush(struct slot *slot)
{
    slot->request.op = HOST_DISK_FLUSH;
    return STATUS_LATER;
}

static uint8_t start_range(struct device *dev, struct slot *slot, bool discard)
{
    uint32_t len = slot->chain.readable_bytes - (uint32_t)sizeof(struct header);
    struct range range;

    /* A read-only disk offers neither. 5.2.6.2: a bit we do not know, or UNMAP with a DISCARD, is unsupported; so are more ranges
     * than the one that max_..._seg allows. */
    if (!virtio_mmio_has(dev, discard ? FEATURE_DISCARD : FEATURE_WRITE_ZEROES))
        return STATUS_UNSUPP;
    if (len < sizeof range)
        return STATUS_IOERR;
    if (len > sizeof range)
        return STATUS_UNSUPP;
    chain_read(dev->vm, &slot->chain, sizeof(struct header), &range, sizeof range);
    if (range.flags & ~(discard ? 0 : RANGE_UNMAP))
        return STATUS_UNSUPP;
    if (range.count > RANGE_MAX_SECTORS || !in_disk(dev, range.sector, range.count))
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

static uint8_t start_get_id(struct device *dev, struct slot *slot)
{
    const struct host_disk *host = dev->host;
    char id[ID_BYTES] = {0};
    uint32_t len = slot->chain.writable_bytes - 1;

    if (len > sizeof id)
        len = sizeof id;
    for (unsigned i = 0; i < sizeof id && host->serial[i]; i++)
        id[i] = host->serial[i];
    chain_write(dev->vm, &slot->chain, id, len);
    slot->bytes = slot->filled = len;
    return STATUS_OK;
}

/* Looks at a chain and sets up what the host must do for it. STATUS_LATER, or the answer. */
static uint8_t slot_start(struct device *dev, struct slot *slot)
{
    struct header header;

    slot->request = (struct host_disk_request){.segments = slot->segment, .cookie = slot};
    slot->bytes = slot->filled = 0;
    slot->then_flush = false;
    chain_read(dev->vm, &slot->chain, 0, &header, sizeof header);
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

/* --- The queue ------------------------------------------------------------------------------ */

/* A slot for one more request. Null while one that came before still waits for the host. */
static struct slot *slot_free(struct disk *disk)
{
    if (disk->waiting)
        return NULL;
    for (unsigned i = 0; i < SLOTS; i++)
        if (!(disk->busy >> i & 1))
            return &disk->slot[i];
    return NULL;
}

static void disk_take(struct device *dev, struct slot *slot)
{
    struct disk *disk = state_of(dev);
    uint8_t status;

    if (slot->chain.readable_bytes < sizeof(struct header) || slot->chain.writable_bytes == 0) {
        virtio_mmio_break(dev); /* no request, or no place for the answer */
        return;
    }
    disk->busy |= 1u << (slot - disk->slot);
    status = slot_start(dev, slot);
    if (status == STATUS_LATER)
        slot_submit(dev, slot);
    else
        slot_finish(dev, slot, status);
}

/* Takes the next request, and leaves the driver in peace as long as the host's disk is at work: its next
 * completion serves us. */
static bool disk_pop(struct device *dev, struct slot *slot)
{
    struct disk *disk = state_of(dev);

    virtio_mmio_ask(dev, 0, disk->busy == disk->waiting);
    return virtio_mmio_pop(dev, 0, &slot->chain);
}

/* The three parts of the work. False: the rest follows later. */
static bool finish_requests(struct device *dev)
{
    struct host_disk *host = dev->host;
    struct host_disk_request *request;

    while ((request = host->completed(host)) != NULL) {
        slot_complete(dev, request->cookie);
        if (device_yield(dev))
            return false;
    }
    return true;
}

static bool submit_waiting(struct device *dev)
{
    struct disk *disk = state_of(dev);

    for (unsigned i = 0; i < SLOTS && disk->waiting; i++) {
        if (!(disk->waiting >> i & 1))
            continue;
        if (!slot_submit(dev, &disk->slot[i]))
            break;
        if (device_yield(dev))
            return false;
    }
    return true;
}

static void take_requests(struct device *dev)
{
    struct slot *slot;

    while ((slot = slot_free(state_of(dev))) != NULL && disk_pop(dev, slot)) {
        disk_take(dev, slot);
        if (device_yield(dev))
            return;
    }
}

static void disk_service(struct device *dev)
{
    if (finish_requests(dev) && submit_waiting(dev))
        take_requests(dev);
    virtio_mmio_signal(dev, 0);
}

/* After the host's reset nobody else writes to the guest's memory for us. */
static void disk_stop(struct device *dev, unsigned queue)
{
    struct host_disk *host = dev->host;
    struct disk *disk = state_of(dev);

    (void)queue;
    if (disk->busy & ~disk->waiting)
        host->reset(host);
    disk->busy = disk->waiting = 0;
    dev->unasked = false;
}

static uint64_t disk_features(const struct device *dev)
{
    const struct host_disk *host = dev->host;
    uint64_t features = 1u << FEATURE_SEG_MAX | 1u << FEATURE_BLK_SIZE | 1u << FEATURE_FLUSH;

    if (host->read_only)
        return features | 1u << FEATURE_RO;
    if (host->can_discard)
        features |= 1u << FEATURE_DISCARD;
    if (host->can_write_zeroes)
        features |= 1u << FEATURE_WRITE_ZEROES;
    return features;
}

static size_t disk_config(const struct device *dev, uint8_t bytes[VIRTIO_MMIO_CONFIG_MAX])
{
    const struct host_disk *host = dev->host;
    struct config config = {
        .capacity = host->sectors,
        .seg_max = HOST_DISK_MAX_SEGMENTS,
        .blk_size = HOST_DISK_SECTOR,
    };

    if (host->can_discard) {
        config.max_discard_sectors = RANGE_MAX_SECTORS;
        config.max_discard_seg = 1;
        config.discard_sector_alignment = 1;
    }
    if (host->can_write_zeroes) {
        config.max_write_zeroes_sectors = RANGE_MAX_SECTORS;
        config.max_write_zeroes_seg = 1;
        config.write_zeroes_may_unmap = 1;
    }
    memcpy(bytes, &config, CONFIG_BYTES);
    return CONFIG_BYTES;
}

static const struct virtio_model disk_model = {
    .device_id = 2,
    .queues = 1,
    .features = disk_features,
    .config = disk_config,
    .stop = disk_stop,
};

static int disk_attach(struct device *dev)
{
    struct host_disk *host = dev->host;
    struct disk *disk = state_of(dev);

    host->reset(host);
    disk->busy = disk->waiting = 0;
    virtio_mmio_reset(dev, &disk_model);
    return 0;
}

static bool disk_access(struct device *dev, struct mmio *io)
{
    return virtio_mmio_access(dev, &disk_model, io);
}

const struct strategy paravirt_disk = {
    .name = "paravirt/disk",
    .compatible = "virtio,mmio",
    .node = "virtio_mmio",
    .registers = paravirt_registers,
    .size = 0x1000,
    .state_size = sizeof(struct disk),
    .attach = disk_attach,
    .access = disk_access,
    .service = disk_service,
};
