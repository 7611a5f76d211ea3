/*
 * Split virtqueues over virtio-mmio version 2, the driver's side (virtio 1.2, sections 2.7, 4.2).
 *
 * Memory is identity-mapped: a pointer is the address that the device is given. With INDIRECT_DESC
 * a buffer of several segments takes one descriptor of the ring; with EVENT_IDX each side tells the
 * other at which index it next wants to hear something. The surprise: a buffer may come back just
 * before ring_interrupts() asks for interrupts again, so callers look at the ring once more.
 */
#include "ring.h"

#define VIRTIO_MAGIC           0x000u
#define VIRTIO_VERSION         0x004u
#define VIRTIO_DEVICE_ID       0x008u
#define VIRTIO_FEATURES        0x010u /* 32 of the device's bits, by select */
#define VIRTIO_FEATURES_SELECT 0x014u
#define VIRTIO_ACCEPT          0x020u /* 32 of the driver's bits, by select */
#define VIRTIO_ACCEPT_SELECT   0x024u
#define VIRTIO_QUEUE_SELECT    0x030u
#define VIRTIO_QUEUE_SIZE_MAX  0x034u
#define VIRTIO_QUEUE_SIZE      0x038u
#define VIRTIO_QUEUE_READY     0x044u
#define VIRTIO_QUEUE_NOTIFY    0x050u
#define VIRTIO_INTERRUPT       0x060u /* why: 1 used buffer, 2 configuration change */
#define VIRTIO_INTERRUPT_ACK   0x064u
#define VIRTIO_STATUS          0x070u /* write 0: reset */
#define VIRTIO_QUEUE_DESC      0x080u /* low half; high half 4 further */
#define VIRTIO_QUEUE_AVAIL     0x090u
#define VIRTIO_QUEUE_USED      0x0a0u
#define VIRTIO_CONFIG          0x100u

#define MAGIC 0x74726976u /* "virt" */

#define STATUS_ACKNOWLEDGE 0x01u
#define STATUS_DRIVER      0x02u
#define STATUS_DRIVER_OK   0x04u
#define STATUS_FEATURES_OK 0x08u
#define STATUS_NEEDS_RESET 0x40u

#define DESC_NEXT     1u /* flags: the chain goes on at `next` */
#define DESC_WRITE    2u /* the device writes the memory */
#define DESC_INDIRECT 4u /* the memory is a table of descriptors */

#define AVAIL_NO_INTERRUPT 1u
#define USED_NO_NOTIFY     1u

#define RESET_MS 1000u

struct ring_desc {
    uint64_t gpa;
    uint32_t len;
    uint16_t flags, next;
};

struct ring_avail {
    uint16_t flags, index;
    uint16_t ring[]; /* behind it is used_event: interrupt me when the used index passes this */
};

struct ring_used {
    uint16_t flags, index;
    struct {
        uint32_t head, len;
    } ring[]; /* behind it is avail_event: notify me when the available index passes this */
};

static volatile uint32_t *reg(struct virtio *virtio, unsigned offset)
{
    return (volatile uint32_t *)(virtio->device->base + offset);
}

/* Orders accesses to the ring among themselves and against the device's registers. */
static void barrier(void)
{
    __asm__ volatile("fence iorw, iorw" : : : "memory");
}

static volatile uint16_t *used_event(struct ring *ring)
{
    return &ring->avail->ring[ring->size];
}

static volatile uint16_t *avail_event(struct ring *ring)
{
    return (volatile uint16_t *)&ring->used->ring[ring->size];
}

static uint16_t read16(const uint16_t *at)
{
    return *(const volatile uint16_t *)at;
}

static void write16(uint16_t *at, uint16_t value)
{
    *(volatile uint16_t *)at = value;
}

/* --- The device --- */

static uint64_t negotiate(struct virtio *virtio, uint64_t wanted)
{
    *reg(virtio, VIRTIO_FEATURES_SELECT) = 0;
    uint64_t offered = *reg(virtio, VIRTIO_FEATURES);
    *reg(virtio, VIRTIO_FEATURES_SELECT) = 1;
    offered |= (uint64_t)*reg(virtio, VIRTIO_FEATURES) << 32;
    uint64_t accepted = offered & wanted;
    *reg(virtio, VIRTIO_ACCEPT_SELECT) = 0;
    *reg(virtio, VIRTIO_ACCEPT) = (uint32_t)accepted;
    *reg(virtio, VIRTIO_ACCEPT_SELECT) = 1;
    *reg(virtio, VIRTIO_ACCEPT) = (uint32_t)(accepted >> 32);
    return accepted;
}

bool virtio_begin(struct virtio *virtio, struct board_device *device, uint32_t id, uint64_t wanted)
{
    virtio->device = device;
    if (*reg(virtio, VIRTIO_MAGIC) != MAGIC || *reg(virtio, VIRTIO_VERSION) != 2 ||
        *reg(virtio, VIRTIO_DEVICE_ID) != id)
        return false;
    *reg(virtio, VIRTIO_STATUS) = 0;
    uint64_t deadline = time_now() + time_from_ms(RESET_MS);
    while (*reg(virtio, VIRTIO_STATUS) != 0)
        if (time_now() > deadline)
            return false;
    *reg(virtio, VIRTIO_STATUS) = STATUS_ACKNOWLEDGE;
    *reg(virtio, VIRTIO_STATUS) = STATUS_ACKNOWLEDGE | STATUS_DRIVER;
    virtio->features = negotiate(virtio, wanted | VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC |
                                             VIRTIO_F_EVENT_IDX);
    uint32_t status = STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK;
    *reg(virtio, VIRTIO_STATUS) = status;
    return (virtio->features & VIRTIO_F_VERSION_1) &&
           (*reg(virtio, VIRTIO_STATUS) & STATUS_FEATURES_OK);
}

bool virtio_ready(struct virtio *virtio)
{
    *reg(virtio, VIRTIO_STATUS) = STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK |
                                  STATUS_DRIVER_OK;
    return !virtio_needs_reset(virtio);
}

bool virtio_needs_reset(struct virtio *virtio)
{
    return *reg(virtio, VIRTIO_STATUS) & STATUS_NEEDS_RESET;
}

uint32_t virtio_acknowledge(struct virtio *virtio)
{
    uint32_t reasons = *reg(virtio, VIRTIO_INTERRUPT);
    if (reasons)
        *reg(virtio, VIRTIO_INTERRUPT_ACK) = reasons;
    return reasons;
}

uint8_t virtio_config8(struct virtio *virtio, unsigned offset)
{
    return *(volatile uint8_t *)reg(virtio, VIRTIO_CONFIG + offset);
}

uint32_t virtio_config32(struct virtio *virtio, unsigned offset)
{
    return *reg(virtio, VIRTIO_CONFIG + offset);
}

uint64_t virtio_config64(struct virtio *virtio, unsigned offset)
{
    return virtio_config32(virtio, offset) | (uint64_t)virtio_config32(virtio, offset + 4) << 32;
}

/* --- The ring --- */

#define INDIRECT_BYTES (RING_SIZE_MAX * RING_SEGMENTS_MAX * sizeof(struct ring_desc))
#define RING_PAGES     (3 + INDIRECT_BYTES / 4096)

static void write_address(struct virtio *virtio, unsigned offset, const void *address)
{
    *reg(virtio, offset) = (uint32_t)(uint64_t)address;
    *reg(virtio, offset + 4) = (uint32_t)((uint64_t)address >> 32);
}

bool ring_start(struct ring *ring, struct virtio *virtio, unsigned index)
{
    void *memory = ring->memory ? ring->memory : page_alloc(RING_PAGES);
    *reg(virtio, VIRTIO_QUEUE_SELECT) = index;
    uint32_t size = *reg(virtio, VIRTIO_QUEUE_SIZE_MAX);
    if (!memory || size == 0 || *reg(virtio, VIRTIO_QUEUE_READY) != 0)
        return false;
    memset(memory, 0, RING_PAGES * 4096);
    *ring = (struct ring){.virtio = virtio, .index = index, .memory = memory};
    ring->size = size < RING_SIZE_MAX ? size : RING_SIZE_MAX;
    ring->desc = memory;
    ring->avail = (void *)((char *)memory + 4096);
    ring->used = (void *)((char *)memory + 8192);
    if (virtio->features & VIRTIO_F_INDIRECT_DESC)
        ring->indirect = (void *)((char *)memory + 12288);
    for (unsigned i = 0; i < ring->size; i++)
        ring->desc[i].next = (uint16_t)(i + 1);
    ring->free_count = (uint16_t)ring->size;
    *reg(virtio, VIRTIO_QUEUE_SIZE) = ring->size;
    write_address(virtio, VIRTIO_QUEUE_DESC, ring->desc);
    write_address(virtio, VIRTIO_QUEUE_AVAIL, ring->avail);
    write_address(virtio, VIRTIO_QUEUE_USED, ring->used);
    barrier();
    *reg(virtio, VIRTIO_QUEUE_READY) = 1;
    return true;
}

static struct ring_desc describe(const struct ring_segment *segment, bool device_writes, bool last,
                                 uint16_t next)
{
    return (struct ring_desc){
        .gpa = (uint64_t)segment->base,
        .len = segment->len,
        .flags = (uint16_t)((device_writes ? DESC_WRITE : 0) | (last ? 0 : DESC_NEXT)),
        .next = next,
    };
}

static void fill_indirect(struct ring *ring, uint16_t head, const struct ring_segment *segments,
                          unsigned device_reads, unsigned count)
{
    struct ring_desc *table = &ring->indirect[head * RING_SEGMENTS_MAX];
    for (unsigned i = 0; i < count; i++)
        table[i] = describe(&segments[i], i >= device_reads, i + 1 == count, (uint16_t)(i + 1));
    struct ring_desc *desc = &ring->desc[head];
    ring->free_head = desc->next;
    ring->free_count--;
    desc->gpa = (uint64_t)table;
    desc->len = count * (uint32_t)sizeof(struct ring_desc);
    desc->flags = DESC_INDIRECT;
}

static void fill_chain(struct ring *ring, const struct ring_segment *segments,
                       unsigned device_reads, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct ring_desc *desc = &ring->desc[ring->free_head];
        uint16_t next = desc->next;
        *desc = describe(&segments[i], i >= device_reads, i + 1 == count, next);
        ring->free_head = next;
        ring->free_count--;
    }
}

bool ring_add(struct ring *ring, const struct ring_segment *segments, unsigned device_reads,
              unsigned device_writes, void *cookie)
{
    unsigned count = device_reads + device_writes;
    bool indirect = ring->indirect && count > 1;
    if (count > RING_SEGMENTS_MAX || (indirect ? 1 : count) > ring->free_count)
        return false;
    uint16_t head = ring->free_head;
    if (indirect)
        fill_indirect(ring, head, segments, device_reads, count);
    else
        fill_chain(ring, segments, device_reads, count);
    ring->cookie[head] = cookie;
    ring->avail->ring[ring->avail_next++ % ring->size] = head;
    barrier(); /* the entry is written before the index that publishes it */
    write16(&ring->avail->index, ring->avail_next);
    return true;
}

void ring_kick(struct ring *ring)
{
    uint16_t from = ring->kicked, to = ring->avail_next;
    if (from == to)
        return;
    ring->kicked = to;
    barrier(); /* the index is written before the device's wish is read */
    if (ring->virtio->features & VIRTIO_F_EVENT_IDX) {
        /* Section 2.7.7.1: has the index passed the event? */
        if ((uint16_t)(to - *avail_event(ring) - 1) >= (uint16_t)(to - from))
            return;
    } else if (read16(&ring->used->flags) & USED_NO_NOTIFY)
        return;
    *reg(ring->virtio, VIRTIO_QUEUE_NOTIFY) = ring->index;
}

static void release(struct ring *ring, uint16_t head)
{
    uint16_t last = head, count = 1;
    while (ring->desc[last].flags & DESC_NEXT) {
        last = ring->desc[last].next;
        count++;
    }
    ring->desc[last].next = ring->free_head;
    ring->free_head = head;
    ring->free_count = (uint16_t)(ring->free_count + count);
}

void *ring_take(struct ring *ring, uint32_t *len)
{
    if (ring->used_next == read16(&ring->used->index))
        return NULL;
    barrier(); /* the index is read before the entry */
    uint32_t head = ring->used->ring[ring->used_next % ring->size].head;
    if (len)
        *len = ring->used->ring[ring->used_next % ring->size].len;
    if (head >= ring->size || !ring->cookie[head])
        panic("virtio queue %u: the device returned buffer %u, which it was not given", ring->index,
              head);
    void *cookie = ring->cookie[head];
    ring->cookie[head] = NULL;
    ring->used_next++;
    if (!ring->quiet) {
        *used_event(ring) = ring->used_next;
        barrier();
    }
    release(ring, (uint16_t)head);
    return cookie;
}

void ring_interrupts(struct ring *ring, bool on)
{
    ring->quiet = !on;
    /* An event half the index space away is as good as never. */
    if (ring->virtio->features & VIRTIO_F_EVENT_IDX)
        *used_event(ring) = on ? ring->used_next : (uint16_t)(ring->used_next - 0x8000u);
    else
        write16(&ring->avail->flags, on ? 0 : AVAIL_NO_INTERRUPT);
    barrier();
}
