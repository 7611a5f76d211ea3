/*
 * Driver for a virtio disk (virtio 1.2, section 5.2): up to 32 requests in flight, by interrupt.
 *
 * A request is a header that the device reads, the data in segments of at most 64 KiB, and a status
 * byte that the device writes. The surprise: submit() does not notify the device, commit() does, so
 * that several requests cost one notification.
 */
#include "ring.h"

#define BLK_F_SIZE_MAX (1ull << 1) /* config 8: longest segment */
#define BLK_F_SEG_MAX  (1ull << 2) /* config 12: most segments */
#define BLK_F_FLUSH    (1ull << 9)

#define CONFIG_CAPACITY 0u /* 512-byte sectors */
#define CONFIG_SIZE_MAX 8u
#define CONFIG_SEG_MAX  12u

#define BLK_IN     0u
#define BLK_OUT    1u
#define BLK_FLUSH  4u
#define BLK_GET_ID 8u

#define BLK_OK    0u
#define BLK_UNSET 0xffu /* no status of virtio's: the device has not written one */

#define SERIAL_BYTES  20u
#define DEPTH         32u
#define SEGMENT_MAX   65536u
#define DATA_SEGMENTS 16u /* 1 MiB */

struct slot {
    struct {
        uint32_t type, reserved;
        uint64_t sector;
    } header;
    uint8_t status;
    struct disk_request *request; /* null: the slot is free */
};

static struct virtio virtio;
static struct ring ring;
static struct slot slots[DEPTH];
static uint32_t segment_max;
static unsigned restarts;
static struct disk virtio_block;

static const uint32_t type_of[] = {
    [DISK_READ] = BLK_IN,
    [DISK_WRITE] = BLK_OUT,
    [DISK_FLUSH] = BLK_FLUSH,
};

static unsigned split(struct ring_segment *segments, char *bytes, uint64_t len)
{
    unsigned count = 0;
    while (len > 0) {
        uint32_t part = len < segment_max ? (uint32_t)len : segment_max;
        segments[count++] = (struct ring_segment){bytes, part};
        bytes += part;
        len -= part;
    }
    return count;
}

static bool send(uint32_t type, struct disk_request *request)
{
    struct slot *slot = slots;
    while (slot < slots + DEPTH && slot->request)
        slot++;
    if (slot == slots + DEPTH)
        return false;
    slot->header.type = type;
    slot->header.sector = type == BLK_IN || type == BLK_OUT ? request->sector : 0;
    slot->status = BLK_UNSET;
    struct ring_segment segments[DATA_SEGMENTS + 2];
    segments[0] = (struct ring_segment){&slot->header, sizeof(slot->header)};
    uint64_t len = type == BLK_GET_ID ? SERIAL_BYTES : (uint64_t)request->count * DISK_SECTOR;
    unsigned data = split(segments + 1, request->buffer, len);
    segments[1 + data] = (struct ring_segment){&slot->status, 1};
    unsigned device_reads = type == BLK_OUT ? 1 + data : 1;
    request->status = DISK_PENDING;
    slot->request = request;
    if (!ring_add(&ring, segments, device_reads, data + 2 - device_reads, slot)) {
        slot->request = NULL;
        return false;
    }
    return true;
}

/* One notification for all requests that were added since the last one. */
static void commit(struct disk *self)
{
    (void)self;
    ring_kick(&ring);
}

static bool submit(struct disk *self, struct disk_request *request)
{
    if (request->count > self->max_count) {
        request->status = DISK_ERROR;
        return true;
    }
    if (request->op == DISK_FLUSH && !(virtio.features & BLK_F_FLUSH)) {
        request->status = DISK_OK; /* section 5.2.6.2: without this feature writes are stable */
        return true;
    }
    return send(type_of[request->op], request);
}

static void interrupt(void *argument)
{
    struct disk *self = argument;
    uint32_t reasons = virtio_acknowledge(&virtio);
    struct slot *slot;
    while ((slot = ring_take(&ring, NULL)) != NULL) {
        slot->request->status = slot->status == BLK_OK ? DISK_OK : DISK_ERROR;
        slot->request = NULL;
    }
    if ((reasons & VIRTIO_INTERRUPT_CONFIG) && virtio_needs_reset(&virtio))
        self->restart(self);
}

static void read_limits(struct disk *self)
{
    self->sectors = virtio_config64(&virtio, CONFIG_CAPACITY);
    segment_max = SEGMENT_MAX;
    if (virtio.features & BLK_F_SIZE_MAX) {
        uint32_t size_max = virtio_config32(&virtio, CONFIG_SIZE_MAX) & ~(DISK_SECTOR - 1);
        segment_max = size_max > 0 && size_max < SEGMENT_MAX ? size_max : SEGMENT_MAX;
    }
    uint32_t segments = DATA_SEGMENTS;
    if (virtio.features & BLK_F_SEG_MAX) {
        uint32_t most = virtio_config32(&virtio, CONFIG_SEG_MAX);
        segments = most > 0 && most < DATA_SEGMENTS ? most : DATA_SEGMENTS;
    }
    if (!ring.indirect && segments + 2 > ring.size)
        segments = ring.size - 2;
    self->max_count = segments * (segment_max / DISK_SECTOR);
}

static bool restart(struct disk *self)
{
    bool were_on = interrupts_off();
    restarts++;
    bool good = virtio_begin(&virtio, self->device, VIRTIO_ID_BLOCK,
                             BLK_F_SIZE_MAX | BLK_F_SEG_MAX | BLK_F_FLUSH) &&
                ring_start(&ring, &virtio, 0) && ring.size > 2;
    for (unsigned i = 0; i < DEPTH; i++) {
        if (slots[i].request) {
            slots[i].request->status = DISK_ERROR;
            slots[i].request = NULL;
        }
    }
    good = good && virtio_ready(&virtio);
    if (good)
        read_limits(self);
    if (were_on)
        interrupts_on();
    return good;
}

static void read_serial(struct disk *self)
{
    static char serial[SERIAL_BYTES + 1];
    struct disk_request request = {.buffer = serial};
    disk = self;
    bool accepted = send(BLK_GET_ID, &request);
    commit(self);
    if (accepted && disk_wait(&request) == DISK_OK)
        memcpy(self->serial, serial, SERIAL_BYTES);
}

/* --- hostile dma --- */

#define HOSTILE_MS 500u

/* Data segments that the device must refuse. */
static const struct {
    uint64_t gpa;
    uint32_t len;
} bad_segment[] = {
    {0, 512},                      /* nothing is there */
    {0x40000000, 512},             /* nothing is there either */
    {0xfffffffffffff000ull, 4096}, /* ends at the top of the address space */
    {0xfffffffffffffe00ull, 1024}, /* wraps around */
    {0x7fffffff0000ull, 512},      /* beyond all RAM */
    {0, 0x10000000},               /* long, and not RAM */
};

/* interrupt() answers a broken queue by a restart, which is an end of the request, too. */
static unsigned restarts_before;

static bool is_answered(void *argument)
{
    return ((struct slot *)argument)->status != BLK_UNSET || restarts != restarts_before;
}

static bool is_refused(uint32_t type, void *base, uint32_t len)
{
    static struct slot slot;
    slot.header.type = type;
    slot.header.sector = 0;
    slot.status = BLK_UNSET;
    slot.request = NULL;
    struct ring_segment segments[] = {
        {&slot.header, sizeof(slot.header)}, {base, len}, {&slot.status, 1}};
    static struct disk_request ignored;
    slot.request = &ignored;
    restarts_before = restarts;
    ring_add(&ring, segments, type == BLK_OUT ? 2 : 1, type == BLK_OUT ? 1 : 2, &slot);
    ring_kick(&ring);
    bool answered = time_wait(is_answered, &slot, time_now() + time_from_ms(HOSTILE_MS));
    return answered && slot.status != BLK_OK;
}

static unsigned hostile(struct disk *self)
{
    unsigned refused = 0;
    for (unsigned i = 0; i < sizeof(bad_segment) / sizeof(*bad_segment); i++) {
        for (uint32_t type = BLK_IN; type <= BLK_OUT; type++) {
            refused += is_refused(type, (void *)bad_segment[i].gpa, bad_segment[i].len);
            self->restart(self);
        }
    }
    return refused;
}

struct disk *virtio_disk(struct board_device *device)
{
    virtio_block = (struct disk){
        .name = "virtio disk",
        .depth = DEPTH,
        .submit = submit,
        .commit = commit,
        .restart = restart,
        .hostile = hostile,
        .device = device,
    };
    if (!restart(&virtio_block))
        return NULL;
    plic_route(device->irq, interrupt, &virtio_block);
    read_serial(&virtio_block);
    return &virtio_block;
}
