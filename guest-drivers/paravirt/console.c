/*
 * Driver for a virtio console (virtio 1.2, section 5.3) with one port: queue 0 receives, queue 1
 * transmits.
 *
 * Output is sent in buffers of up to 512 bytes. The surprise: the driver asks for an interrupt for
 * a sent buffer only while output waits for a free buffer, so that a short line costs one
 * notification and nothing else.
 */
#include "ring.h"

#define SEND_SLOTS    8u
#define SEND_SIZE     512u
#define RECEIVE_SLOTS 16u
#define RECEIVE_SIZE  64u
#define POLL_MS       1000u

enum { QUEUE_RECEIVE, QUEUE_SEND };

struct slot {
    char bytes[SEND_SIZE];
    bool busy;
};

static struct virtio virtio;
static struct ring receive_ring, send_ring;
static struct slot send_slot[SEND_SLOTS];
static char receive_slot[RECEIVE_SLOTS][RECEIVE_SIZE];

static void reclaim(void)
{
    struct slot *slot;
    while ((slot = ring_take(&send_ring, NULL)) != NULL)
        slot->busy = false;
}

static struct slot *free_slot(void)
{
    for (unsigned i = 0; i < SEND_SLOTS; i++)
        if (!send_slot[i].busy)
            return &send_slot[i];
    return NULL;
}

/* Sends the output that waits; true if all of it found a slot. */
static bool send_waiting(void)
{
    struct slot *slot;
    reclaim();
    while ((slot = free_slot()) != NULL) {
        size_t len = console_output_take(slot->bytes, SEND_SIZE);
        if (len == 0)
            return true;
        struct ring_segment segment = {slot->bytes, (uint32_t)len};
        slot->busy = ring_add(&send_ring, &segment, 1, 0, slot);
    }
    return false;
}

static void output_ready(struct console *self)
{
    (void)self;
    bool all = send_waiting();
    ring_interrupts(&send_ring, !all);
    /* A buffer may have come back before the interrupt was asked for. */
    if (!all && send_waiting())
        ring_interrupts(&send_ring, false);
    ring_kick(&send_ring);
}

static void offer(char *buffer)
{
    struct ring_segment segment = {buffer, RECEIVE_SIZE};
    ring_add(&receive_ring, &segment, 0, 1, buffer);
}

static void interrupt(void *argument)
{
    virtio_acknowledge(&virtio);
    char *buffer;
    uint32_t len;
    while ((buffer = ring_take(&receive_ring, &len)) != NULL) {
        for (uint32_t i = 0; i < len && i < RECEIVE_SIZE; i++)
            console_input_put(buffer[i]);
        offer(buffer);
    }
    ring_kick(&receive_ring);
    output_ready(argument);
}

static bool is_idle(struct console *self)
{
    (void)self;
    reclaim();
    for (unsigned i = 0; i < SEND_SLOTS; i++)
        if (send_slot[i].busy)
            return false;
    return true;
}

static void write_polled(struct console *self, const char *bytes, size_t len)
{
    uint64_t deadline = time_now() + time_from_ms(POLL_MS);
    while (len > 0 && time_now() < deadline) {
        reclaim();
        struct slot *slot = free_slot();
        if (slot) {
            size_t part = len < SEND_SIZE ? len : SEND_SIZE;
            memcpy(slot->bytes, bytes, part);
            struct ring_segment segment = {slot->bytes, (uint32_t)part};
            slot->busy = ring_add(&send_ring, &segment, 1, 0, slot);
            ring_kick(&send_ring);
            bytes += part;
            len -= part;
        }
    }
    while (!is_idle(self) && time_now() < deadline) {
    }
}

static bool restart(struct console *self)
{
    if (!virtio_begin(&virtio, self->device, VIRTIO_ID_CONSOLE, 0) ||
        !ring_start(&receive_ring, &virtio, QUEUE_RECEIVE) ||
        !ring_start(&send_ring, &virtio, QUEUE_SEND) || !virtio_ready(&virtio))
        return false;
    for (unsigned i = 0; i < SEND_SLOTS; i++)
        send_slot[i].busy = false;
    ring_interrupts(&send_ring, false);
    for (unsigned i = 0; i < RECEIVE_SLOTS; i++)
        offer(receive_slot[i]);
    ring_kick(&receive_ring);
    return true;
}

/* console_start() routes the device's interrupt. */
struct console *virtio_console(struct board_device *device)
{
    static struct console virtio_port = {
        .name = "virtio console",
        .output_ready = output_ready,
        .write_polled = write_polled,
        .is_idle = is_idle,
        .interrupt = interrupt,
        .restart = restart,
    };
    virtio_port.device = device;
    return restart(&virtio_port) ? &virtio_port : NULL;
}
