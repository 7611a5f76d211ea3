/*
 * Driver's side of virtio-mmio (virtio specification 1.2, section 4.2) and of split queues (2.7).
 *
 * The surprise: with EVENT_IDX there is always one more race. After "interrupt me at this one" is
 * written, the used index is read again.
 */
#include "host/virtio.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "host/io.h"
#include "host/map.h"

#define REG_MAGIC               0x000 /* "virt" */
#define REG_VERSION             0x004 /* 2 */
#define REG_DEVICE_ID           0x008 /* 0: an empty slot */
#define REG_DEVICE_FEATURES     0x010
#define REG_DEVICE_FEATURES_SEL 0x014 /* which 32 bits */
#define REG_DRIVER_FEATURES     0x020
#define REG_DRIVER_FEATURES_SEL 0x024
#define REG_QUEUE_SEL           0x030
#define REG_QUEUE_NUM_MAX       0x034
#define REG_QUEUE_NUM           0x038
#define REG_QUEUE_READY         0x044
#define REG_QUEUE_NOTIFY        0x050
#define REG_INTERRUPT_ACK       0x064
#define REG_STATUS              0x070
#define REG_QUEUE_DESC          0x080 /* low, then high half, as the next two */
#define REG_QUEUE_DRIVER        0x090
#define REG_QUEUE_DEVICE        0x0a0

#define MAGIC         0x74726976u
#define INTERRUPT_ALL 3u /* used buffers, configuration change */

/* Device status */
#define STATUS_ACKNOWLEDGE 1u
#define STATUS_DRIVER      2u
#define STATUS_DRIVER_OK   4u
#define STATUS_FEATURES_OK 8u

#define RESET_TICKS 50000000u /* 5 s at QEMU's 10 MHz */

uint32_t virtio_device_id(uintptr_t registers)
{
    if (io_read32(registers + REG_MAGIC) != MAGIC || io_read32(registers + REG_VERSION) != 2)
        return 0;
    return io_read32(registers + REG_DEVICE_ID);
}

int virtio_reset(uintptr_t registers)
{
    uint64_t start = io_time();
    io_write32(registers + REG_STATUS, 0);
    while (io_read32(registers + REG_STATUS) != 0) {
        if (io_time() - start > RESET_TICKS)
            return -EIO;
    }
    io_fence();
    return 0;
}

int virtio_start(uintptr_t registers, uint64_t wanted, uint64_t *agreed)
{
    const uint64_t required = VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX;
    uint32_t status = STATUS_ACKNOWLEDGE | STATUS_DRIVER;
    uint64_t offered = 0;
    if (virtio_reset(registers) < 0)
        return -EIO;
    io_write32(registers + REG_STATUS, status);
    for (unsigned half = 0; half < 2; half++) {
        io_write32(registers + REG_DEVICE_FEATURES_SEL, half);
        offered |= (uint64_t)io_read32(registers + REG_DEVICE_FEATURES) << 32 * half;
    }
    *agreed = offered & (wanted | required);
    for (unsigned half = 0; half < 2; half++) {
        io_write32(registers + REG_DRIVER_FEATURES_SEL, half);
        io_write32(registers + REG_DRIVER_FEATURES, (uint32_t)(*agreed >> 32 * half));
    }
    io_write32(registers + REG_STATUS, status | STATUS_FEATURES_OK);
    if ((*agreed & required) != required ||
        !(io_read32(registers + REG_STATUS) & STATUS_FEATURES_OK))
        return -ENOTSUP;
    return 0;
}

static void write_address(uintptr_t address, const volatile void *memory)
{
    uint64_t hpa = map_pointer_hpa((const void *)memory);
    io_write32(address, (uint32_t)hpa);
    io_write32(address + 4, (uint32_t)(hpa >> 32));
}

int virtio_queue_start(struct virtio_queue *queue, uintptr_t registers, unsigned index,
                       unsigned limit)
{
    uint32_t max;
    memset(queue, 0, sizeof(*queue));
    queue->registers = registers;
    queue->index = index;
    queue->patience = 1;
    io_write32(registers + REG_QUEUE_SEL, index);
    max = io_read32(registers + REG_QUEUE_NUM_MAX);
    if (max == 0)
        return -ENODEV;
    queue->size = (uint16_t)(max < limit ? max : limit);
    io_write32(registers + REG_QUEUE_NUM, queue->size);
    write_address(registers + REG_QUEUE_DESC, queue->memory.desc);
    write_address(registers + REG_QUEUE_DRIVER, &queue->memory.avail);
    write_address(registers + REG_QUEUE_DEVICE, &queue->memory.used);
    io_fence();
    io_write32(registers + REG_QUEUE_READY, 1);
    return 0;
}

void virtio_ready(uintptr_t registers)
{
    io_write32(registers + REG_STATUS, io_read32(registers + REG_STATUS) | STATUS_DRIVER_OK);
}

void virtio_acknowledge(uintptr_t registers)
{
    io_write32(registers + REG_INTERRUPT_ACK, INTERRUPT_ALL);
}

/* The two event words lie behind the rings as they were sized for this queue. */
static volatile uint16_t *used_event(struct virtio_queue *queue)
{
    char *ring = (char *)queue->memory.avail.ring;
    return (volatile uint16_t *)(ring + queue->size * sizeof(queue->memory.avail.ring[0]));
}

static uint16_t avail_event(struct virtio_queue *queue)
{
    char *ring = (char *)queue->memory.used.ring;
    return *(volatile uint16_t *)(ring + queue->size * sizeof(queue->memory.used.ring[0]));
}

void virtio_queue_put(struct virtio_queue *queue, uint16_t head)
{
    volatile uint16_t *index = &queue->memory.avail.index;
    uint16_t next = *index;
    queue->memory.avail.ring[next % queue->size] = head;
    io_fence();
    *index = (uint16_t)(next + 1);
}

void virtio_queue_notify(struct virtio_queue *queue, uint16_t index)
{
    io_fence();
    /* If the device asked to hear of an index that was passed since the last look. */
    if ((uint16_t)(index - avail_event(queue) - 1) < (uint16_t)(index - queue->notified))
        io_write32(queue->registers + REG_QUEUE_NOTIFY, queue->index);
    queue->notified = index;
}

void virtio_queue_push(struct virtio_queue *queue, uint16_t head)
{
    virtio_queue_put(queue, head);
    virtio_queue_kick(queue);
}

void virtio_queue_wait_for(struct virtio_queue *queue, uint16_t patience)
{
    queue->patience = patience;
    *used_event(queue) = (uint16_t)(queue->used_next + patience - 1);
    io_fence();
}

bool virtio_queue_pop(struct virtio_queue *queue, uint32_t *head, uint32_t *len)
{
    if (virtio_queue_waiting(queue) == 0) {
        virtio_queue_wait_for(queue, queue->patience);
        if (!virtio_queue_due(queue))
            return false;
    }
    io_fence();
    *head = queue->memory.used.ring[queue->used_next % queue->size].id;
    *len = queue->memory.used.ring[queue->used_next % queue->size].len;
    queue->used_next++;
    return true;
}
