/*
 * Driver of QEMU's virtio-blk (virtio specification 1.2, section 5.2), zero-copy: the caller's
 * segments go to the device as they are.
 *
 * The surprise: each request takes one descriptor of the queue, which points to a table of its own
 * (INDIRECT_DESC); so the depth does not depend on the number of segments.
 */
#include "host/disk.h"

#include <errno.h>
#include <string.h>

#include "device.h"
#include "host/io.h"
#include "host/log.h"
#include "host/machine.h"
#include "memory/map.h"

/* Features */
#define BLK_F_SEG_MAX      (1ull << 2)
#define BLK_F_RO           (1ull << 5)
#define BLK_F_FLUSH        (1ull << 9)
#define BLK_F_DISCARD      (1ull << 13)
#define BLK_F_WRITE_ZEROES (1ull << 14)

/* Configuration space */
#define CONFIG_CAPACITY         (VIRTIO_CONFIG + 0) /* 64 bits: sectors */
#define CONFIG_SEG_MAX          (VIRTIO_CONFIG + 12)
#define CONFIG_MAX_DISCARD      (VIRTIO_CONFIG + 36) /* sectors in one request */
#define CONFIG_MAX_WRITE_ZEROES (VIRTIO_CONFIG + 48)

/* Request types; status */
#define TYPE_IN           0u
#define TYPE_OUT          1u
#define TYPE_FLUSH        4u
#define TYPE_GET_ID       8u
#define TYPE_DISCARD      11u
#define TYPE_WRITE_ZEROES 13u

#define STATUS_OK      0u
#define STATUS_IOERR   1u
#define STATUS_UNSUPP  2u
#define STATUS_PENDING 0xffu /* ours: not written by the device yet */

#define RANGE_UNMAP 1u

#define GET_ID_SIZE  20u
#define GET_ID_TICKS 50000000u /* 5 s at QEMU's 10 MHz */

static const uint32_t type_of[] = {
    [HOST_DISK_READ] = TYPE_IN,
    [HOST_DISK_WRITE] = TYPE_OUT,
    [HOST_DISK_FLUSH] = TYPE_FLUSH,
    [HOST_DISK_DISCARD] = TYPE_DISCARD,
    [HOST_DISK_WRITE_ZEROES] = TYPE_WRITE_ZEROES,
};

static struct disk *disk_of(struct host_disk *end)
{
    return (struct disk *)((char *)end - offsetof(struct disk, end));
}

static bool in_range(const struct disk *disk, uint64_t sector, uint64_t count)
{
    return sector <= disk->end.sectors && count <= disk->end.sectors - sector;
}

static int check_range(const struct disk *disk, const struct host_disk_request *request,
                       uint32_t limit)
{
    if (request->count == 0 || request->count > limit)
        return -EINVAL;
    return in_range(disk, request->sector, request->count) ? 0 : -EINVAL;
}

/* 0 or -EINVAL: what the device would refuse, or what the slot's table cannot hold. */
static int check(const struct disk *disk, const struct host_disk_request *request)
{
    uint64_t bytes = 0;

    if (disk->registers == 0 || request->op > HOST_DISK_WRITE_ZEROES)
        return -EINVAL;
    if (disk->end.read_only && request->op != HOST_DISK_READ && request->op != HOST_DISK_FLUSH)
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

static struct disk_slot *free_slot(struct disk *disk)
{
    for (unsigned i = 0; i < disk->end.depth; i++) {
        if (!disk->slot[i].request)
            return &disk->slot[i];
    }
    return NULL;
}

static struct virtio_desc *put(struct virtio_desc *desc, const void *memory, uint32_t len,
                               unsigned flags)
{
    *desc = (struct virtio_desc){
        .hpa = map_pointer_hpa(memory), .len = len, .flags = (uint16_t)flags};
    return desc + 1;
}

/* Closes the slot's table with the status byte and hands it to the device. */
static void launch(struct disk *disk, struct disk_slot *slot, struct virtio_desc *end)
{
    uint16_t index = (uint16_t)(slot - disk->slot);
    uint16_t count;

    slot->status = STATUS_PENDING;
    end = put(end, &slot->status, 1, VIRTIO_DESC_WRITE);
    count = (uint16_t)(end - slot->table);
    for (uint16_t i = 0; i + 1 < count; i++) {
        slot->table[i].flags |= VIRTIO_DESC_NEXT;
        slot->table[i].next = (uint16_t)(i + 1);
    }
    put(&disk->queue.memory.desc[index], slot->table, count * (uint32_t)sizeof slot->table[0],
        VIRTIO_DESC_INDIRECT);
    virtio_queue_push(&disk->queue, index);
}

static struct virtio_desc *put_header(struct disk_slot *slot, uint32_t type, uint64_t sector)
{
    slot->header.type = type;
    slot->header.reserved = 0;
    slot->header.sector = sector;
    return put(slot->table, &slot->header, sizeof slot->header, 0);
}

/* Describes the request in the slot's table, but for the status byte. Returns the table's end. */
static struct virtio_desc *describe(struct disk_slot *slot, const struct host_disk_request *request)
{
    bool transfer = request->op == HOST_DISK_READ || request->op == HOST_DISK_WRITE;
    struct virtio_desc *end = put_header(slot, type_of[request->op],
                                         transfer ? request->sector : 0);

    if (request->op == HOST_DISK_FLUSH)
        return end;
    if (transfer) {
        unsigned flags = request->op == HOST_DISK_READ ? VIRTIO_DESC_WRITE : 0;

        for (uint32_t i = 0; i < request->nsegments; i++)
            end = put(end, request->segments[i].base, request->segments[i].len, flags);
        return end;
    }
    slot->range.sector = request->sector;
    slot->range.count = request->count;
    slot->range.flags = 0;
    if (request->op == HOST_DISK_WRITE_ZEROES && request->unmap)
        slot->range.flags = RANGE_UNMAP;
    return put(end, &slot->range, sizeof slot->range, 0);
}

static int disk_submit(struct host_disk *end, struct host_disk_request *request)
{
    struct disk *disk = disk_of(end);
    struct disk_slot *slot;

    if (check(disk, request) < 0)
        return -EINVAL;
    slot = free_slot(disk);
    if (!slot)
        return -EAGAIN;
    slot->request = request;
    launch(disk, slot, describe(slot, request));
    return 0;
}

static int status_of(const struct disk *disk, const struct disk_slot *slot)
{
    uint8_t status = *(const volatile uint8_t *)&slot->status;

    /* Without FLUSH the device writes through: there is nothing to flush. */
    if (slot->request->op == HOST_DISK_FLUSH && !(disk->features & BLK_F_FLUSH))
        return 0;
    return status == STATUS_OK ? 0 : status == STATUS_UNSUPP ? -ENOTSUP : -EIO;
}

/* Moves what the device has finished to the list of completed requests. */
static void reap(struct disk *disk)
{
    uint32_t head, len;

    while (virtio_queue_pop(&disk->queue, &head, &len)) {
        struct disk_slot *slot = head < disk->end.depth ? &disk->slot[head] : NULL;

        if (!slot || !slot->request)
            continue;
        slot->request->status = status_of(disk, slot);
        slot->request->next = NULL;
        *disk->done_end = slot->request;
        disk->done_end = &slot->request->next;
        slot->request = NULL;
    }
}

static struct host_disk_request *disk_completed(struct host_disk *end)
{
    struct disk *disk = disk_of(end);
    struct host_disk_request *request;

    if (disk->registers == 0)
        return NULL;
    if (!disk->done)
        reap(disk);
    request = disk->done;
    if (request) {
        disk->done = request->next;
        if (!disk->done)
            disk->done_end = &disk->done;
    }
    return request;
}

static bool interrupt(void *argument, unsigned irq)
{
    struct disk *disk = argument;
    struct device *owner = disk->end.owner;

    (void)irq;
    if (disk->registers == 0)
        return true;
    virtio_acknowledge(disk->registers);
    reap(disk);
    if (disk->done && owner && owner->strategy->service)
        owner->strategy->service(owner);
    return true;
}

/* From reset to DRIVER_OK, with every slot free. */
static int bring_up(struct disk *disk, uintptr_t registers)
{
    const uint64_t wanted = VIRTIO_F_INDIRECT_DESC | BLK_F_SEG_MAX | BLK_F_RO | BLK_F_FLUSH |
                            BLK_F_DISCARD | BLK_F_WRITE_ZEROES;
    int error = virtio_start(registers, wanted, &disk->features);

    if (error == 0 && !(disk->features & VIRTIO_F_INDIRECT_DESC))
        error = -ENOTSUP;
    if (error == 0)
        error = virtio_queue_start(&disk->queue, registers, 0, DISK_DEPTH);
    if (error < 0)
        return error;
    virtio_ready(registers);
    for (unsigned i = 0; i < DISK_DEPTH; i++)
        disk->slot[i].request = NULL;
    disk->done = NULL;
    disk->done_end = &disk->done;
    disk->registers = registers;
    return 0;
}

static void disk_reset(struct host_disk *end)
{
    struct disk *disk = disk_of(end);
    uintptr_t registers = disk->registers;

    disk->registers = 0;
    if (registers != 0 && bring_up(disk, registers) < 0)
        host_log("the machine's disk does not come back from its reset; it fails from now on");
}

/* Asks for the serial number and waits for the answer; an empty one if there is none. */
static void get_serial(struct disk *disk)
{
    struct host_disk_request request = {.op = HOST_DISK_READ};
    struct disk_slot *slot = &disk->slot[0];
    char id[GET_ID_SIZE + 1] = {0};
    uint64_t start = io_time();

    slot->request = &request;
    launch(disk, slot, put(put_header(slot, TYPE_GET_ID, 0), id, GET_ID_SIZE, VIRTIO_DESC_WRITE));
    while (!disk->done && io_time() - start < GET_ID_TICKS)
        reap(disk);
    if (!disk->done)
        disk_reset(&disk->end); /* it must let go of id and request */
    else if (disk_completed(&disk->end)->status == 0)
        memcpy(disk->end.serial, id, sizeof id);
}

static void read_configuration(struct disk *disk)
{
    uintptr_t registers = disk->registers;
    uint32_t segments = HOST_DISK_MAX_SEGMENTS;

    disk->end.sectors = io_read32(registers + CONFIG_CAPACITY) |
                        (uint64_t)io_read32(registers + CONFIG_CAPACITY + 4) << 32;
    disk->end.read_only = disk->features & BLK_F_RO;
    disk->end.can_discard = disk->features & BLK_F_DISCARD;
    disk->end.can_write_zeroes = disk->features & BLK_F_WRITE_ZEROES;
    disk->end.depth = disk->queue.size;
    if (disk->features & BLK_F_SEG_MAX)
        segments = io_read32(registers + CONFIG_SEG_MAX);
    disk->max_segments = segments < HOST_DISK_MAX_SEGMENTS ? segments : HOST_DISK_MAX_SEGMENTS;
    if (disk->end.can_discard)
        disk->max_discard = io_read32(registers + CONFIG_MAX_DISCARD);
    if (disk->end.can_write_zeroes)
        disk->max_write_zeroes = io_read32(registers + CONFIG_MAX_WRITE_ZEROES);
}

int host_disk_start(struct host *host, const struct host_window *window)
{
    struct disk *disk = &host->disk;
    int error;

    memset(disk, 0, sizeof *disk);
    disk->end.submit = disk_submit;
    disk->end.completed = disk_completed;
    disk->end.reset = disk_reset;
    error = bring_up(disk, (uintptr_t)map_hpa(window->hpa));
    if (error == 0) {
        read_configuration(disk);
        get_serial(disk);
        error = host_irq_enable(host, window->irq, interrupt, disk);
    }
    if (error < 0)
        host_log("the machine's disk at 0x%lx cannot be used (error %d)",
                 (unsigned long)window->hpa, -error);
    return error;
}
