/*
 * virtio-blk: virtio 1.2, section 5.2. One request queue, and the slots in which its requests go to
 * the host's disk and come back.
 *
 * The surprise: while the host's disk is at work the driver is told not to notify. The next
 * completion looks into the queue, and takes what has come meanwhile.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "core/isa/bits.h"
#include "devices/paravirt/disk.h"
#include "devices/paravirt/mmio.h"
#include "devices/paravirt/paravirt.h"

/* Requests that we keep. As many as AHCI's command slots, so that the strategies compare. */
#define SLOTS 32u

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
_Static_assert(SLOTS == 32, "struct disk.busy has a bit for each");

struct disk {
    struct virtio_mmio virtio; /* first: see mmio.h */
    uint32_t busy;             /* bit per slot: in use */
    uint32_t waiting;          /* bit per slot: in use, but the host was full */
    struct virtio_blk_slot slot[SLOTS];
};

static struct disk *state_of(struct device *dev)
{
    return dev->state;
}

/* --- The answer --- */

/* Gives a request back. The status is the last byte of the chain. The used length counts from the
 * front, so an untouched byte before the status keeps even that out of it (2.7.8.2). */
static void slot_finish(struct device *dev, struct virtio_blk_slot *slot, uint8_t status)
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

/* --- To the host and back --- */

/* False: the host is full; the slot waits. */
static bool slot_submit(struct device *dev, struct virtio_blk_slot *slot)
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

static void slot_complete(struct device *dev, struct virtio_blk_slot *slot)
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
/* --- The queue --- */

/* A slot for one more request. Null while one that came before still waits for the host. */
static struct virtio_blk_slot *slot_free(struct disk *disk)
{
    if (disk->waiting || disk->busy == UINT32_MAX)
        return NULL;
    return &disk->slot[bits_first(~disk->busy)];
}

static void disk_take(struct device *dev, struct virtio_blk_slot *slot)
{
    struct disk *disk = state_of(dev);
    if (slot->chain.readable_bytes < sizeof(struct virtio_blk_header) ||
        slot->chain.writable_bytes == 0) {
        virtio_mmio_break(dev); /* no request, or no place for the answer */
        return;
    }
    disk->busy |= 1u << (slot - disk->slot);
    uint8_t status = virtio_blk_start(dev, slot);
    if (status == STATUS_LATER)
        slot_submit(dev, slot);
    else
        slot_finish(dev, slot, status);
}

/* Takes the next request, and leaves the driver in peace as long as the host's disk is at work: its
 * next completion serves us. */
static bool disk_pop(struct device *dev, struct virtio_blk_slot *slot)
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
    while (disk->waiting) {
        if (!slot_submit(dev, &disk->slot[bits_first(disk->waiting)]))
            break;
        if (device_yield(dev))
            return false;
    }
    return true;
}

static void take_requests(struct device *dev)
{
    struct virtio_blk_slot *slot;
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
        config.max_discard_sectors = VIRTIO_BLK_RANGE_MAX;
        config.max_discard_seg = 1;
        config.discard_sector_alignment = 1;
    }
    if (host->can_write_zeroes) {
        config.max_write_zeroes_sectors = VIRTIO_BLK_RANGE_MAX;
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
