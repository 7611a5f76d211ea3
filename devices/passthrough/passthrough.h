/*
 * The pass-through strategy: the machine's own device. Its register page is mapped into the guest
 * and its interrupt routed; no access traps and nothing is emulated.
 *
 * One row each of the guest's board (core/board). dev->host is the device's struct host_window.
 */
#pragma once
#include "core/device.h"

extern const struct strategy passthrough_uart; /* QEMU's 16550A */
extern const struct strategy passthrough_disk; /* QEMU's virtio-blk behind virtio-mmio */

/* Maps dev's host window at dev->base and routes its interrupt. -EINVAL with a sentence logged if a
 * page cannot hold the window alone, or the interrupt cannot be routed. */
int passthrough_assign(struct device *dev);
