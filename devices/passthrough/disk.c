/*
 * The machine's own virtio-blk (virtio specification 1.2, sections 4.2 and 5.2), given to the
 * guest.
 *
 * The surprise: the device masters the bus with the addresses that the guest's driver writes, and
 * nobody translates or checks them. So guest-physical must equal host-physical, and a guest that
 * has this disk can write all of the machine's memory: docs/caveats.md. The board sees to it.
 */
#include <errno.h>

#include "core/host/ends.h"
#include "core/host/log.h"
#include "core/host/virtio.h"
#include "devices/paravirt/paravirt.h"
#include "devices/passthrough/passthrough.h"

static int attach(struct device *dev)
{
    const struct host_window *window = dev->host;
    /* After a reset of the guest the disk may still write into what was its memory. */
    if (window && virtio_reset(window->registers) < 0) {
        host_log("%s: the device does not reset", dev->strategy->name);
        return -EIO;
    }
    return passthrough_assign(dev);
}

const struct strategy passthrough_disk = {
    .name = "passthrough/disk",
    .compatible = "virtio,mmio",
    .node = "virtio_mmio",
    .registers = paravirt_registers,
    .size = 4096,
    .attach = attach,
};
