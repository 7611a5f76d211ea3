/*
 * What every paravirtual device shares: the virtio-mmio transport, version 2 (virtio 1.2, section
 * 4.2), and the life of a device behind it (sections 2.1, 2.2, 3.1).
 *
 * A device's state begins with struct virtio_mmio. Its strategy's service function does all of its
 * work: the transport calls it when the driver notifies and when a queue comes to life.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/paravirt/ring.h"

struct device;
struct mmio;

#define VIRTIO_MMIO_QUEUES     2u  /* at most, per device */
#define VIRTIO_MMIO_CONFIG_MAX 64u /* bytes of configuration space, at most */
_Static_assert(VIRTIO_MMIO_QUEUES <= 8, "struct virtio_mmio.early has a bit for each");

/* What distinguishes one device from another. */
struct virtio_model {
    uint32_t device_id; /* virtio 1.2, section 5 */
    unsigned queues;

    /* The device's own feature bits (0 to 23); the transport adds its own. Null: none. */
    uint64_t (*features)(const struct device *dev);

    /* Fills the configuration space, returns its length. Null: it has none. */
    size_t (*config)(const struct device *dev, uint8_t config[VIRTIO_MMIO_CONFIG_MAX]);

    /* A queue dies: lets go of every chain of it, and touches guest memory no more. */
    void (*stop)(struct device *dev, unsigned queue);
};

/* Plain data; zero after reset. */
struct virtio_mmio {
    uint8_t status; /* section 2.1: as the driver wrote it, but for FEATURES_OK and NEEDS_RESET */
    uint8_t interrupt; /* InterruptStatus; the line is high while it is not 0 */
    bool up;           /* DRIVER_OK has been set since the reset */
    uint8_t early;     /* bit per queue: in use, and notified of before that */
    uint32_t device_features_sel, driver_features_sel, queue_sel;
    uint64_t driver_features;        /* as the driver wrote them */
    uint32_t driver_features_beyond; /* accepted above bit 63, where we offer none */
    uint64_t features;               /* in force: none before FEATURES_OK is written */
    struct ring ring[VIRTIO_MMIO_QUEUES];
};

/* Device reset: stops all queues, lowers the line, forgets what the driver set. */
void virtio_mmio_reset(struct device *dev, const struct virtio_model *model);

/* One register access, for strategy->access. What the specification forbids to the driver reads as
 * 0 and is ignored when written, as on QEMU's board. False behind the registers' end, which is
 * there too. */
bool virtio_mmio_access(struct device *dev, const struct virtio_model *model, struct mmio *io);

/* Has the driver broken a rule that leaves the device no way on? Then the device rests until it is
 * reset. */
bool virtio_mmio_is_broken(const struct device *dev);

/* Is this feature bit in force? */
bool virtio_mmio_has(const struct device *dev, unsigned feature);

/* Takes the next chain of a queue. False: none, or the queue is not to be served. A broken ring
 * breaks the device. */
bool virtio_mmio_pop(struct device *dev, unsigned queue, struct ring_chain *chain);

/* Shall the driver be asked to notify when the queue is found empty? If not, the device must be
 * sure to be served again; besides, it is when the guest idles and at the host's interrupts. */
void virtio_mmio_ask(struct device *dev, unsigned queue, bool ask);

/* Gives a chain back, see ring_push(). Nothing happens if the queue is not to be served. */
void virtio_mmio_push(struct device *dev, unsigned queue, uint16_t head, uint32_t written);

/* After one or several pushes: raises the interrupt if the driver wants to know. */
void virtio_mmio_signal(struct device *dev, unsigned queue);

/* The driver broke a rule that leaves the device no way on: DEVICE_NEEDS_RESET. All queues rest
 * until the driver resets the device. */
void virtio_mmio_break(struct device *dev);
