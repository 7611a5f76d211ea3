/*
 * Driver of QEMU's virtio-blk (virtio specification 1.2, section 5.2), zero-copy: the caller's
 * segments go to the device as they are.
 *
 * The surprise: each request takes one descriptor of the queue, which points to a table of its own
 * (INDIRECT_DESC); so the depth does not depend on the number of segments.
 *
 * Completions are coalesced by what is in flight (vIC, USENIX ATC 2011): while others are on their
 * way, a finished request can wait for them, since one of them will interrupt. And by time, while
 * the guest is about to make others (host/hold.h).
 */
#include "host/disk.h"

#include <errno.h>
#include <string.h>

#include "host/bounce.h"
#include "host/disk_internal.h"
#include "host/io.h"
#include "host/log.h"
#include "host/machine.h"
#include "host/map.h"

/* Features */
#define BLK_F_SEG_MAX      (1ull << 2)
#define BLK_F_RO           (1ull << 5)
#define BLK_F_DISCARD      (1ull << 13)
#define BLK_F_WRITE_ZEROES (1ull << 14)

/* Configuration space */
#define CONFIG_CAPACITY         (VIRTIO_CONFIG + 0) /* 64 bits: sectors */
#define CONFIG_SEG_MAX          (VIRTIO_CONFIG + 12)
#define CONFIG_MAX_DISCARD      (VIRTIO_CONFIG + 36) /* sectors in one request */
#define CONFIG_MAX_WRITE_ZEROES (VIRTIO_CONFIG + 48)

#define NO_HOLD (ABLATE_COALESCE | ABLATE_BATCH | ABLATE_QUEUE)

#define GET_ID_SIZE  20u
#define ANSWER_TICKS 50000000u /* 5 s at QEMU's 10 MHz: longest busy waiting */
#define HELD_TICKS   100000u   /* 10 ms */

static struct disk *disk_of(struct host_disk *front)
{
    return (struct disk *)((char *)front - offsetof(struct disk, front));
}

static struct disk_slot *free_slot(struct disk *disk)
{
    for (unsigned i = 0; i < disk->front.depth; i++) {
        if (!disk->slot[i].request)
            return &disk->slot[i];
    }
    return NULL;
}

/* How many finished requests make a delivery: three quarters of all that the owner waits for, so
 * that the rest keeps the disk busy meanwhile; a good many if it makes more of them. */
static uint16_t delivery(const struct disk *disk)
{
    uint16_t total = disk->in_flight + disk->finished;
    if (disk->urgent || (disk->front.end.ablate & ABLATE_COALESCE))
        return 1;
    if (disk->hold.until)
        return (uint16_t)disk->hold.batch;
    return total < HOLD_FEW ? 1 : total * 3 / 4;
}

/* How many more have to finish before the device interrupts. */
static uint16_t patience(const struct disk *disk)
{
    uint16_t wanted = delivery(disk);
    return wanted > disk->finished ? wanted - disk->finished : 1;
}

/* Shall the owner have what is finished now? */
static bool is_ripe(const struct disk *disk)
{
    return disk->finished > 0 &&
           (disk->finished >= delivery(disk) || (disk->in_flight == 0 && !disk->hold.until));
}

/* Closes the slot's table with the status byte and gives it to the device, which may not look at it
 * before the kick. */
static void launch(struct disk *disk, struct disk_slot *slot, struct virtio_desc *end)
{
    uint16_t index = (uint16_t)(slot - disk->slot);
    slot->status = STATUS_PENDING;
    end = disk_request_put(slot, end, &slot->status, 1, VIRTIO_DESC_WRITE);
    end[-1].flags = VIRTIO_DESC_WRITE;
    disk->queue.memory.desc[index] = (struct virtio_desc){
        .hpa = map_pointer_hpa(slot->table),
        .len = (uint32_t)((uint8_t *)end - (uint8_t *)slot->table),
        .flags = VIRTIO_DESC_INDIRECT,
    };
    virtio_queue_put(&disk->queue, index);
    disk->in_flight++;
    disk->urgent += slot->urgent;
    virtio_queue_wait_for(&disk->queue, patience(disk));
}

/* The first request is finished: does it wait for others that the guest is about to make? */
static void consider_hold(struct disk *disk)
{
    if (!disk->urgent && !(disk->front.end.ablate & NO_HOLD))
        hold_begin(&disk->hold, io_time());
    disk->front.end.held = disk->hold.tries;
}

static void reap(struct disk *disk);

/* Has the guest's turn come before the owner's next piece of work? */
static bool must_yield(const struct disk *disk)
{
    const struct host_end *end = &disk->front.end;
    return end->owner && end->calls->yield(end->owner);
}

/* ABLATE_QUEUE: stays until the device has finished everything. After too long it is as without. */
static void wait_idle(struct disk *disk)
{
    uint64_t start = io_time();
    virtio_queue_kick(&disk->queue);
    while (disk->in_flight > 0 && io_time() - start < ANSWER_TICKS)
        reap(disk);
}

static int disk_submit(struct host_disk *front, struct host_disk_request *request)
{
    struct disk *disk = disk_of(front);
    struct disk_slot *slot;
    if (disk_request_check(disk, request) < 0)
        return -EINVAL;
    slot = free_slot(disk);
    if (!slot)
        return -EAGAIN;
    hold_count(&disk->hold);
    slot->request = request;
    slot->moved = 0;
    if (!disk->bounce)
        disk_request_written(disk, request);
    launch(disk, slot, disk_request_describe(disk, slot));
    if (disk->front.end.ablate & ABLATE_QUEUE)
        wait_idle(disk);
    return 0;
}

/* Moves what the device has finished to the list of completed requests. */
static void reap(struct disk *disk)
{
    uint32_t head, len;
    disk->behind = false;
    while (!disk->behind && virtio_queue_pop(&disk->queue, &head, &len)) {
        struct disk_slot *slot = head < disk->front.depth ? &disk->slot[head] : NULL;
        if (!slot || !slot->request)
            continue;
        disk->in_flight--;
        disk->urgent -= slot->urgent;
        if (disk->bounce && disk_request_copy(disk, slot)) {
            launch(disk, slot, disk_request_describe(disk, slot));
        } else {
            slot->request->status = disk_request_status(disk, slot);
            slot->request->next = NULL;
            *disk->done_end = slot->request;
            disk->done_end = &slot->request->next;
            slot->request = NULL;
            if (disk->finished++ == 0)
                consider_hold(disk);
            if (slot->urgent)
                disk->hold.until = 0;
        }
        disk->queue.patience = patience(disk);
        disk->behind = disk->bounce && must_yield(disk); /* a copy is dear */
    }
    virtio_queue_kick(&disk->queue);
}

/* Whether the device has finished what is worth looking at, or reap() has left something and has
 * its turn. */
static bool is_due(const struct disk *disk)
{
    return disk->behind ? !must_yield(disk) : virtio_queue_due(&disk->queue);
}

/* From then on nothing is held back, until the guest is through with the interrupt after all. */
static bool is_held_too_long(struct disk *disk)
{
    if (disk->held_until != 0 && io_time() >= disk->held_until)
        disk->held_until = UINT64_MAX;
    return disk->held_until == UINT64_MAX;
}

/* ABLATE_BATCH: no further completion before the guest is through with the interrupt for the last,
 * unless that takes so long that its handler may be waiting for the completion. */
static bool is_held(struct disk *disk)
{
    const struct host_end *end = &disk->front.end;
    if (!(end->ablate & ABLATE_BATCH))
        return false;
    if (!end->owner || !end->calls->is_interrupting(end->owner)) {
        disk->held_until = 0;
        return disk->given;
    }
    if (disk->held_until == 0)
        disk->held_until = io_time() + HELD_TICKS;
    return disk->given || !is_held_too_long(disk);
}

static struct host_disk_request *disk_completed(struct host_disk *front)
{
    struct disk *disk = disk_of(front);
    struct host_disk_request *request;
    if (disk->registers == 0 || is_held(disk))
        return NULL;
    if (!disk->delivering && is_due(disk))
        reap(disk);
    if (!disk->delivering && !is_ripe(disk))
        return NULL;
    request = disk->done;
    disk->delivering = request != NULL;
    if (request) {
        if (disk->hold.until)
            hold_end(&disk->hold, disk->finished + disk->in_flight);
        disk->given = true;
        disk->finished--;
        disk->done = request->next;
        if (!disk->done)
            disk->done_end = &disk->done;
    }
    return request;
}

static void serve(struct disk *disk)
{
    const struct host_end *end = &disk->front.end;
    if (end->owner)
        end->calls->notify(end->owner);
    virtio_queue_kick(&disk->queue);
}

static __attribute__((noinline)) void settle(struct disk *disk)
{
    virtio_queue_kick(&disk->queue);
    for (;;) {
        disk->given = false;
        if (is_due(disk))
            reap(disk);
        if (!is_ripe(disk) || is_held(disk))
            return;
        serve(disk);
        if (!disk->given)
            return; /* an owner that takes nothing is not asked for ever */
        if (must_yield(disk))
            return;
    }
}

static bool disk_settle(struct host_end *end)
{
    struct disk *disk = disk_of((struct host_disk *)end);
    disk->given = false;
    if (disk->in_flight + disk->finished == 0 || disk->registers == 0)
        return false; /* as at most accesses of a data register */
    settle(disk);
    return true;
}

bool host_writes_to(const struct host *host, uint64_t hpa, uint64_t len)
{
    const struct disk *disk = &host->disk;
    for (unsigned i = 0; i < disk->front.depth; i++) {
        if (disk->slot[i].request && disk_request_writes_to(&disk->slot[i], hpa, len))
            return true;
    }
    return false;
}

static void disk_idle(struct host_end *end, bool idle)
{
    hold_idle(&disk_of((struct host_disk *)end)->hold, idle);
}

static void disk_look(struct host_end *end)
{
    struct disk *disk = disk_of((struct host_disk *)end);
    if (disk->held_until != UINT64_MAX && is_held_too_long(disk)) {
        disk_settle(end);
        return;
    }
    if (!disk->hold.until || !hold_is_over(&disk->hold, io_time()))
        return;
    hold_end(&disk->hold, disk->finished + disk->in_flight);
    virtio_queue_wait_for(&disk->queue, patience(disk));
    disk_settle(end);
}

static uint64_t disk_next_look(const struct host_end *end)
{
    const struct disk *disk = disk_of((struct host_disk *)end);
    return disk->hold.until ? disk->hold.until : disk->held_until ? disk->held_until : UINT64_MAX;
}

static bool interrupt(void *argument, unsigned irq)
{
    struct disk *disk = argument;
    (void)irq;
    if (disk->registers == 0)
        return true;
    virtio_acknowledge(disk->registers);
    const struct host_end *end = &disk->front.end;
    if (end->owner && end->calls->is_unfinished(end->owner)) {
        disk->behind = true; /* the guest has its turn first */
        return true;
    }
    reap(disk);
    disk_settle(&disk->front.end);
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
    disk->in_flight = disk->urgent = disk->finished = 0;
    disk->delivering = disk->behind = false;
    disk->held_until = 0;
    hold_reset(&disk->hold);
    disk->done = NULL;
    disk->done_end = &disk->done;
    disk->registers = registers;
    return 0;
}

static void disk_reset(struct host_disk *front)
{
    struct disk *disk = disk_of(front);
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
    slot->urgent = true;
    launch(disk, slot,
           disk_request_put(slot, disk_request_put_header(slot, TYPE_GET_ID, 0), id, GET_ID_SIZE,
                            VIRTIO_DESC_WRITE));
    virtio_queue_kick(&disk->queue);
    while (!disk->done && io_time() - start < ANSWER_TICKS)
        reap(disk);
    if (!disk->done)
        disk_reset(&disk->front); /* it must let go of id and request */
    else if (disk_completed(&disk->front)->status == 0)
        memcpy(disk->front.serial, id, sizeof(id));
}

static void read_configuration(struct disk *disk)
{
    uintptr_t registers = disk->registers;
    uint32_t segments = HOST_DISK_MAX_SEGMENTS;
    disk->front.sectors = io_read32(registers + CONFIG_CAPACITY) |
                          (uint64_t)io_read32(registers + CONFIG_CAPACITY + 4) << 32;
    disk->front.read_only = disk->features & BLK_F_RO;
    disk->front.can_discard = disk->features & BLK_F_DISCARD;
    disk->front.can_write_zeroes = disk->features & BLK_F_WRITE_ZEROES;
    disk->front.depth = disk->queue.size;
    if ((disk->front.end.ablate & ABLATE_COPY) && disk->front.depth > BOUNCE_SLOTS)
        disk->front.depth = BOUNCE_SLOTS;
    if (disk->features & BLK_F_SEG_MAX)
        segments = io_read32(registers + CONFIG_SEG_MAX);
    disk->max_segments = segments < HOST_DISK_MAX_SEGMENTS ? segments : HOST_DISK_MAX_SEGMENTS;
    if (disk->front.can_discard)
        disk->max_discard = io_read32(registers + CONFIG_MAX_DISCARD);
    if (disk->front.can_write_zeroes)
        disk->max_write_zeroes = io_read32(registers + CONFIG_MAX_WRITE_ZEROES);
}

int host_disk_start(struct host *host, const struct host_window *window, unsigned ablate)
{
    struct disk *disk = &host->disk;
    int error;
    memset(disk, 0, sizeof(*disk));
    disk->front = (struct host_disk){
        .end = {.ablate = ablate,
                .settle = disk_settle,
                .look = disk_look,
                .next_look = disk_next_look,
                .idle = disk_idle},
        .submit = disk_submit,
        .completed = disk_completed,
        .reset = disk_reset,
    };
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
