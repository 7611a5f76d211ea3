/*
 * What every passed-through device has in common: a page and an interrupt.
 *
 * The surprise: protection goes by pages, so a window that shares its page with another device
 * would give that one away too. A window may be shorter than its page (QEMU's UART is 256 bytes),
 * but must begin it.
 */
#include <errno.h>

#include "core/host/ends.h"
#include "core/host/log.h"
#include "devices/passthrough/passthrough.h"

int passthrough_assign(struct device *dev)
{
    const struct host_window *window = dev->host;
    uint64_t size = dev->strategy->size;
    if (!window || window->size == 0) {
        host_log("%s: the machine has no such device to pass through", dev->strategy->name);
        return -ENODEV;
    }
    if (window->hpa % size != 0 || window->size > size || dev->base % size != 0) {
        host_log("%s: the window at 0x%lx of %lu bytes does not begin a page of its own, so it "
                 "cannot be mapped",
                 dev->strategy->name, (unsigned long)window->hpa, (unsigned long)window->size);
        return -EINVAL;
    }
    int error = vm_map(dev->vm, dev->base, window->hpa, size);
    if (error == 0)
        error = vm_route_irq(dev, window->irq);
    if (error < 0)
        host_log("%s: the window at 0x%lx or its interrupt %u cannot be given to the guest "
                 "(error %d)",
                 dev->strategy->name, (unsigned long)window->hpa, window->irq, -error);
    return error;
}
