/*
 * The virtio-mmio transport, version 2: virtio 1.2, section 4.2; device status 2.1, feature bits
 * 2.2.
 *
 * The surprise: registers are 32 bits wide and nothing else. A byte or halfword access to them
 * reads 0 and writes nothing, a doubleword is two words; only the configuration space takes any
 * width. That is what QEMU's device does too, so a guest cannot tell the two apart by it.
 *
 * Nor by what it asks of a driver, which is less than the specification does: the steps of the
 * device status may come in any order, a driver may leave VERSION_1 or FEATURES_OK out (no feature
 * is in force then), and a queue that is in use is served from its first notification on, even
 * before DRIVER_OK. A driver that follows the specification does none of this and sees no
 * difference.
 */
#include "devices/paravirt/mmio.h"

#include <string.h>

#include "core/device.h"
#include "core/host/ends.h"
#include "devices/paravirt/paravirt.h"

#define REG_MAGIC               0x000u /* R: "virt" */
#define REG_VERSION             0x004u /* R: 2 */
#define REG_DEVICE_ID           0x008u /* R: what kind of device */
#define REG_VENDOR_ID           0x00cu /* R: who made it */
#define REG_DEVICE_FEATURES     0x010u /* R: 32 of the bits on offer */
#define REG_DEVICE_FEATURES_SEL 0x014u /* W: which 32 */
#define REG_DRIVER_FEATURES     0x020u /* W: 32 of the bits accepted */
#define REG_DRIVER_FEATURES_SEL 0x024u /* W: which 32 */
#define REG_QUEUE_SEL           0x030u /* W: the queue that the queue registers mean */
#define REG_QUEUE_NUM_MAX       0x034u /* R: largest size, 0 = no such queue */
#define REG_QUEUE_NUM           0x038u /* W: chosen size */
#define REG_QUEUE_READY         0x044u /* RW: 1 = in use */
#define REG_QUEUE_NOTIFY        0x050u /* W: index of a queue with new buffers */
#define REG_INTERRUPT_STATUS    0x060u /* R: why the line is high, INTERRUPT_* */
#define REG_INTERRUPT_ACK       0x064u /* W: bits of it to clear */
#define REG_STATUS              0x070u /* RW: STATUS_*; 0 resets */
#define REG_QUEUE_DESC          0x080u /* W: descriptor table, low and high word */
#define REG_QUEUE_DRIVER        0x090u /* W: available ring, low and high word */
#define REG_QUEUE_DEVICE        0x0a0u /* W: used ring, low and high word */
#define REG_SHM_SEL             0x0acu /* W: which shared memory; there is none */
#define REG_SHM_LEN             0x0b0u /* R: shared memory, two words; -1 = no such region */
#define REG_SHM_BASE            0x0b8u /* R: the same */
#define REG_CONFIG_GENERATION   0x0fcu /* R: changes when the configuration space does: never */
#define REG_CONFIG              0x100u /* RW: configuration space, to the end of the window */

#define MAGIC   0x74726976u
#define VERSION 2u
#define VENDOR  0x554d4551u /* "QEMU": there are drivers that look */
#define END     0x200u      /* of the registers and of the window */

/* Of the bits of section 2.1 those that mean something to the device. */
#define STATUS_DRIVER_OK   0x04u
#define STATUS_FEATURES_OK 0x08u
#define STATUS_NEEDS_RESET 0x40u /* set by the device */

#define INTERRUPT_USED   1u
#define INTERRUPT_CONFIG 2u

#define FEATURE_INDIRECT_DESC 28u
#define FEATURE_EVENT_IDX     29u
#define FEATURE_VERSION_1     32u
#define FEATURES_OF_TRANSPORT \
    (1ull << FEATURE_INDIRECT_DESC | 1ull << FEATURE_EVENT_IDX | 1ull << FEATURE_VERSION_1)

const struct device_register paravirt_registers[] = {
    {REG_MAGIC, "MagicValue", NULL, 0, 0},
    {REG_VERSION, "Version", NULL, 0, 0},
    {REG_DEVICE_ID, "DeviceID", NULL, 0, 0},
    {REG_VENDOR_ID, "VendorID", NULL, 0, 0},
    {REG_DEVICE_FEATURES, "DeviceFeatures", NULL, 0, 0},
    {REG_DEVICE_FEATURES_SEL, NULL, "DeviceFeaturesSel", 0, 0},
    {REG_DRIVER_FEATURES, NULL, "DriverFeatures", 0, 0},
    {REG_DRIVER_FEATURES_SEL, NULL, "DriverFeaturesSel", 0, 0},
    {REG_QUEUE_SEL, NULL, "QueueSel", 0, 0},
    {REG_QUEUE_NUM_MAX, "QueueNumMax", NULL, 0, 0},
    {REG_QUEUE_NUM, NULL, "QueueNum", 0, 0},
    {REG_QUEUE_READY, "QueueReady", "QueueReady", 0, 0},
    {REG_QUEUE_NOTIFY, NULL, "QueueNotify", 0, 0},
    {REG_INTERRUPT_STATUS, "InterruptStatus", NULL, 0, 0},
    {REG_INTERRUPT_ACK, NULL, "InterruptACK", 0, 0},
    {REG_STATUS, "Status", "Status", 0, 0},
    {REG_QUEUE_DESC, NULL, "QueueDescLow", 0, 0},
    {REG_QUEUE_DESC + 4, NULL, "QueueDescHigh", 0, 0},
    {REG_QUEUE_DRIVER, NULL, "QueueDriverLow", 0, 0},
    {REG_QUEUE_DRIVER + 4, NULL, "QueueDriverHigh", 0, 0},
    {REG_QUEUE_DEVICE, NULL, "QueueDeviceLow", 0, 0},
    {REG_QUEUE_DEVICE + 4, NULL, "QueueDeviceHigh", 0, 0},
    {REG_SHM_SEL, NULL, "SHMSel", 0, 0},
    {REG_SHM_LEN, "SHMLenLow", NULL, 0, 0},
    {REG_SHM_LEN + 4, "SHMLenHigh", NULL, 0, 0},
    {REG_SHM_BASE, "SHMBaseLow", NULL, 0, 0},
    {REG_SHM_BASE + 4, "SHMBaseHigh", NULL, 0, 0},
    {REG_CONFIG_GENERATION, "ConfigGeneration", NULL, 0, 0},
    {REG_CONFIG, "Config", "Config", END - REG_CONFIG, 1},
    {0, NULL, NULL, 0, 0},
};

static struct virtio_mmio *state_of(const struct device *dev)
{
    return dev->state;
}

/* The queue, if it is in use and the device may touch it: not before DRIVER_OK, unless the driver
 * has notified of it, which says as much (a boot loader's does in its probe, and waits). */
static struct ring *live_ring(const struct device *dev, unsigned queue)
{
    struct virtio_mmio *virtio = state_of(dev);
    bool begun = virtio->up || (virtio->early >> queue & 1);
    return begun && virtio->ring[queue].ready && !virtio_mmio_is_broken(dev) ? &virtio->ring[queue]
                                                                             : NULL;
}

static uint64_t offered(const struct device *dev, const struct virtio_model *model)
{
    uint64_t without = dev->end->ablate & ABLATE_NOTIFY ? 1ull << FEATURE_EVENT_IDX : 0;
    return (FEATURES_OF_TRANSPORT & ~without) | (model->features ? model->features(dev) : 0);
}

static void interrupt_set(struct device *dev, uint8_t bits)
{
    struct virtio_mmio *virtio = state_of(dev);
    virtio->interrupt = bits;
    device_set_irq(dev, bits != 0);
}

/* --- For the devices --- */

bool virtio_mmio_is_broken(const struct device *dev)
{
    return state_of(dev)->status & STATUS_NEEDS_RESET;
}

bool virtio_mmio_has(const struct device *dev, unsigned feature)
{
    return state_of(dev)->features >> feature & 1;
}

bool virtio_mmio_pop(struct device *dev, unsigned queue, struct ring_chain *chain)
{
    struct ring *ring = live_ring(dev, queue);
    enum ring_result result = ring ? ring_pop(dev->vm, ring, chain) : RING_EMPTY;
    if (result == RING_BROKEN)
        virtio_mmio_break(dev);
    return result == RING_CHAIN;
}

void virtio_mmio_ask(struct device *dev, unsigned queue, bool ask)
{
    struct ring *ring = &state_of(dev)->ring[queue];
    ring->asks = dev->end->ablate & ABLATE_NOTIFY ? RING_ASKS_ALWAYS
                 : ask                            ? RING_ASKS_WHEN_EMPTY
                                                  : RING_ASKS_NEVER;
    dev->unasked = ring->asks == RING_ASKS_NEVER;
}

void virtio_mmio_push(struct device *dev, unsigned queue, uint16_t head, uint32_t written)
{
    struct ring *ring = live_ring(dev, queue);
    if (ring && ring_push(dev->vm, ring, head, written) == RING_BROKEN)
        virtio_mmio_break(dev);
}

void virtio_mmio_signal(struct device *dev, unsigned queue)
{
    struct ring *ring = live_ring(dev, queue);
    if (ring && ring_wants_interrupt(dev->vm, ring))
        interrupt_set(dev, state_of(dev)->interrupt | INTERRUPT_USED);
}

void virtio_mmio_break(struct device *dev)
{
    struct virtio_mmio *virtio = state_of(dev);
    /* 2.1.2: the driver hears of it only once it is up. */
    if (virtio->up && !virtio_mmio_is_broken(dev))
        interrupt_set(dev, virtio->interrupt | INTERRUPT_CONFIG);
    virtio->status |= STATUS_NEEDS_RESET;
}

/* --- Registers with an effect --- */

void virtio_mmio_reset(struct device *dev, const struct virtio_model *model)
{
    struct virtio_mmio *virtio = state_of(dev);
    for (unsigned queue = 0; queue < model->queues; queue++)
        if (virtio->ring[queue].ready)
            model->stop(dev, queue);
    memset(virtio, 0, sizeof(*virtio));
    device_set_irq(dev, false);
}

/* What the driver has accepted comes into force, as far as it is on offer. False: some of it is not
 * (2.2.2). */
static bool negotiate(struct device *dev, const struct virtio_model *model)
{
    struct virtio_mmio *virtio = state_of(dev);
    uint64_t offer = offered(dev, model);
    virtio->features = virtio->driver_features & offer;
    for (unsigned queue = 0; queue < model->queues; queue++) {
        virtio->ring[queue].indirect = virtio_mmio_has(dev, FEATURE_INDIRECT_DESC);
        virtio->ring[queue].event_idx = virtio_mmio_has(dev, FEATURE_EVENT_IDX);
    }
    return !(virtio->driver_features & ~offer) && !virtio->driver_features_beyond;
}

static void status_write(struct device *dev, const struct virtio_model *model, uint8_t value)
{
    struct virtio_mmio *virtio = state_of(dev);
    uint8_t risen = value & ~virtio->status;
    if (value == 0) {
        virtio_mmio_reset(dev, model);
        return;
    }
    if ((risen & STATUS_FEATURES_OK) && !negotiate(dev, model))
        value &= (uint8_t)~STATUS_FEATURES_OK;
    virtio->status = (uint8_t)((value & ~STATUS_NEEDS_RESET) |
                               (virtio->status & STATUS_NEEDS_RESET));
    if ((value & STATUS_DRIVER_OK) && !virtio->up) {
        virtio->up = true;
        dev->strategy->service(dev);
    }
}

static void features_write(struct virtio_mmio *virtio, uint32_t value)
{
    unsigned shift = 32 * virtio->driver_features_sel;
    if (virtio->driver_features_sel > 1) {
        virtio->driver_features_beyond |= value;
        return;
    }
    virtio->driver_features &= ~((uint64_t)UINT32_MAX << shift);
    virtio->driver_features |= (uint64_t)value << shift;
}

static void queue_ready_write(struct device *dev, const struct virtio_model *model, bool ready)
{
    struct virtio_mmio *virtio = state_of(dev);
    struct ring *ring = &virtio->ring[virtio->queue_sel];
    if (ring->ready == ready)
        return;
    if (!ready) {
        model->stop(dev, virtio->queue_sel);
        ring->ready = false;
        virtio->early &= (uint8_t)(0xffu ^ 1u << virtio->queue_sel);
    } else if (ring_start(dev->vm, ring, virtio_mmio_has(dev, FEATURE_INDIRECT_DESC),
                          virtio_mmio_has(dev, FEATURE_EVENT_IDX))) {
        dev->strategy->service(dev);
    } else {
        virtio_mmio_break(dev);
    }
}

static void word_write(uint64_t *at, bool high, uint32_t value)
{
    unsigned shift = high ? 32 : 0;
    *at = (*at & ~((uint64_t)UINT32_MAX << shift)) | (uint64_t)value << shift;
}

/* The registers of the selected queue. All but QueueReady are settled while it is in use. */
static void queue_write(struct device *dev, const struct virtio_model *model, uint64_t reg,
                        uint32_t value)
{
    struct virtio_mmio *virtio = state_of(dev);
    if (virtio->queue_sel >= model->queues)
        return;
    struct ring *ring = &virtio->ring[virtio->queue_sel];
    if (reg == REG_QUEUE_READY) {
        queue_ready_write(dev, model, value != 0);
        return;
    }
    if (ring->ready)
        return;
    switch (reg) {
    case REG_QUEUE_NUM:
        ring->num = value; /* judged by ring_start() */
        break;
    case REG_QUEUE_DESC:
    case REG_QUEUE_DESC + 4: word_write(&ring->desc_gpa, reg & 4, value); break;
    case REG_QUEUE_DRIVER:
    case REG_QUEUE_DRIVER + 4: word_write(&ring->driver_gpa, reg & 4, value); break;
    case REG_QUEUE_DEVICE:
    case REG_QUEUE_DEVICE + 4: word_write(&ring->device_gpa, reg & 4, value); break;
    }
}

static void notified(struct device *dev, const struct virtio_model *model, uint32_t queue)
{
    struct virtio_mmio *virtio = state_of(dev);
    dev->count.notifications++;
    if (queue >= model->queues || !virtio->ring[queue].ready)
        return;
    if (!virtio->up)
        virtio->early |= (uint8_t)(1u << queue);
    if (live_ring(dev, queue))
        dev->strategy->service(dev);
}

/* --- Dispatch --- */

static void register_write(struct device *dev, const struct virtio_model *model, uint64_t reg,
                           uint32_t value)
{
    struct virtio_mmio *virtio = state_of(dev);
    switch (reg) {
    case REG_DEVICE_FEATURES_SEL: virtio->device_features_sel = value; break;
    case REG_DRIVER_FEATURES: features_write(virtio, value); break;
    case REG_DRIVER_FEATURES_SEL: virtio->driver_features_sel = value; break;
    case REG_QUEUE_SEL: virtio->queue_sel = value; break;
    case REG_QUEUE_NOTIFY: notified(dev, model, value); break;
    case REG_INTERRUPT_ACK: interrupt_set(dev, virtio->interrupt & ~value); break;
    case REG_STATUS: status_write(dev, model, (uint8_t)value); break;
    default: /* a queue's register, or none that can be written */
        queue_write(dev, model, reg, value);
    }
}

static uint32_t register_read(const struct device *dev, const struct virtio_model *model,
                              uint64_t reg)
{
    const struct virtio_mmio *virtio = state_of(dev);
    bool queue_exists = virtio->queue_sel < model->queues;
    switch (reg) {
    case REG_MAGIC: return MAGIC;
    case REG_VERSION: return VERSION;
    case REG_DEVICE_ID: return model->device_id;
    case REG_VENDOR_ID: return VENDOR;
    case REG_DEVICE_FEATURES:
        if (virtio->device_features_sel > 1)
            return 0;
        return (uint32_t)(offered(dev, model) >> (32 * virtio->device_features_sel));
    case REG_QUEUE_NUM_MAX: return queue_exists ? RING_MAX_NUM : 0;
    case REG_QUEUE_READY: return queue_exists && virtio->ring[virtio->queue_sel].ready;
    case REG_INTERRUPT_STATUS: return virtio->interrupt;
    case REG_STATUS: return virtio->status;
    case REG_SHM_LEN:
    case REG_SHM_LEN + 4:
    case REG_SHM_BASE:
    case REG_SHM_BASE + 4: return UINT32_MAX;
    default: /* REG_CONFIG_GENERATION, what can only be written, what does not exist */ return 0;
    }
}

/* Behind the end of the configuration space all bits are ones, as on QEMU's board. */
static uint64_t config_read(const struct device *dev, const struct virtio_model *model,
                            uint64_t offset, unsigned width)
{
    uint8_t config[VIRTIO_MMIO_CONFIG_MAX] = {0};
    size_t size = model->config ? model->config(dev, config) : 0;
    uint64_t value = 0;
    if (offset + width > size)
        return UINT64_MAX >> (64 - 8 * width);
    memcpy(&value, config + offset, width);
    return value;
}

static void access_word(struct device *dev, const struct virtio_model *model, struct mmio *io)
{
    if (io->offset >= REG_CONFIG) {
        if (!io->store) /* nothing in it can be written */
            io->value = config_read(dev, model, io->offset - REG_CONFIG, io->width);
    } else if (io->width != 4) {
        io->value = 0;
    } else if (io->store) {
        register_write(dev, model, io->offset, (uint32_t)io->value);
    } else {
        io->value = register_read(dev, model, io->offset);
    }
}

bool virtio_mmio_access(struct device *dev, const struct virtio_model *model, struct mmio *io)
{
    struct mmio low = *io, high = *io;
    if (io->offset >= END)
        return false;
    if (io->width != 8) {
        access_word(dev, model, io);
        return true;
    }
    low.width = high.width = 4;
    low.value = (uint32_t)io->value;
    high.value = io->value >> 32;
    high.offset += 4;
    access_word(dev, model, &low);
    access_word(dev, model, &high);
    if (!io->store)
        io->value = low.value | high.value << 32;
    return true;
}
