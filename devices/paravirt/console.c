/*
 * virtio-console: virtio 1.2, section 5.3. One port, no feature of its own: queue 0 brings input to
 * the driver, queue 1 takes its output.
 *
 * The surprise: both queues may stop in the middle of a buffer. Output waits there until the host
 * has room, or until the guest has had its turn; an input buffer is kept, still empty, until
 * somebody types. So the chain and the position in it are device state. Input for which the driver
 * has no buffer stays in the host.
 */
#include "core/device.h"
#include "core/host/ends.h"
#include "devices/paravirt/mmio.h"
#include "devices/paravirt/paravirt.h"

#define PIECE 1024u /* bytes that are moved before the exit's cost is looked at */

enum { RECEIVE, TRANSMIT, QUEUES };
_Static_assert(QUEUES <= VIRTIO_MMIO_QUEUES, "VIRTIO_MMIO_QUEUES (mmio.h)");

/* The chain that a queue is busy with. */
struct position {
    bool held;
    unsigned segment; /* index in chain.segment */
    uint32_t offset;  /* bytes of it that are done */
    uint32_t moved;   /* bytes of the chain that are done */
    struct ring_chain chain;
};

struct console {
    struct virtio_mmio virtio; /* first: see mmio.h */
    struct position position[QUEUES];
};

static struct position *position_of(struct device *dev, unsigned queue)
{
    struct console *console = dev->state;
    return &console->position[queue];
}

/* The chain in work, or the next one. False: the queue has none. */
static bool chain_hold(struct device *dev, unsigned queue)
{
    struct position *at = position_of(dev, queue);
    if (!at->held) {
        if (!virtio_mmio_pop(dev, queue, &at->chain))
            return false;
        at->held = true;
        at->segment = queue == RECEIVE ? at->chain.readable : 0;
        at->offset = at->moved = 0;
    }
    return true;
}

static void chain_release(struct device *dev, unsigned queue, uint32_t written)
{
    struct position *at = position_of(dev, queue);
    at->held = false;
    dev->count.requests++;
    dev->count.bytes += at->moved;
    virtio_mmio_push(dev, queue, at->chain.head, written);
}

/* Moves bytes between the host and segments up to end. False: the host takes or gives no more, or
 * the rest follows later. */
static bool chain_move(struct device *dev, unsigned queue, unsigned end)
{
    struct host_console *host = dev->host;
    struct position *at = position_of(dev, queue);
    while (at->segment < end) {
        uint64_t gpa = at->chain.segment[at->segment].gpa + at->offset;
        uint32_t left = at->chain.segment[at->segment].len - at->offset;
        uint32_t len = left < PIECE ? left : PIECE;
        size_t moved = queue == RECEIVE ? host->read(host, vm_ram_for_write(dev->vm, gpa, len), len)
                                        : host->write(host, vm_ram(dev->vm, gpa, len), len);
        at->moved += (uint32_t)moved;
        at->offset += (uint32_t)moved;
        if (moved < len)
            return false;
        if (len == left) {
            at->segment++;
            at->offset = 0;
        }
        if (at->segment < end && device_yield(dev))
            return false;
    }
    return true;
}

/* Guest to host. Only a whole buffer is given back. */
static void transmit(struct device *dev)
{
    struct position *at = position_of(dev, TRANSMIT);
    while (chain_hold(dev, TRANSMIT) && chain_move(dev, TRANSMIT, at->chain.readable)) {
        chain_release(dev, TRANSMIT, 0);
        if (device_yield(dev))
            break;
    }
    virtio_mmio_signal(dev, TRANSMIT);
}

/* Host to guest. A buffer with anything in it is given back: the reader wants it now. */
static void receive(struct device *dev)
{
    struct position *at = position_of(dev, RECEIVE);
    while (chain_hold(dev, RECEIVE)) {
        unsigned end = at->chain.readable + at->chain.writable;
        bool full = chain_move(dev, RECEIVE, end);
        if (full || at->moved)
            chain_release(dev, RECEIVE, at->moved);
        if (!full || device_yield(dev))
            break;
    }
    virtio_mmio_signal(dev, RECEIVE);
}

static void console_service(struct device *dev)
{
    if (virtio_mmio_is_broken(dev))
        return;
    transmit(dev);
    receive(dev);
}

static void console_stop(struct device *dev, unsigned queue)
{
    position_of(dev, queue)->held = false;
}

static const struct virtio_model console_model = {
    .device_id = 3,
    .queues = QUEUES,
    .stop = console_stop,
};

static int console_attach(struct device *dev)
{
    virtio_mmio_reset(dev, &console_model);
    return 0;
}

static bool console_access(struct device *dev, struct mmio *io)
{
    return virtio_mmio_access(dev, &console_model, io);
}

const struct strategy paravirt_console = {
    .name = "paravirt/console",
    .compatible = "virtio,mmio",
    .node = "virtio_mmio",
    .registers = paravirt_registers,
    .size = 0x1000,
    .state_size = sizeof(struct console),
    .attach = console_attach,
    .access = console_access,
    .service = console_service,
};
