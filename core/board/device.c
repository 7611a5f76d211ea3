/*
 * The seam's core side (device.h): which device answers, counting, and what a strategy may ask for.
 *
 * Surprise: a device without an access function is the machine's own. Its registers normally do not trap;
 * with the option watch they do, are counted, and the access is passed on as it is.
 */
#include "device.h"

#include <errno.h>

#include "board/board.h"
#include "engine/trap/ahead.h"
#include "engine/trap/trap.h"
#include "host/guard.h"
#include "host/machine.h"
#include "host/plic.h"
#include "host/map.h"
#include "engine/trap/shadow.h"
#include "vm/vm.h"

static bool holds(const struct device *dev, uint64_t gpa)
{
    return gpa - dev->base < dev->strategy->size;
}

struct device *device_at(struct vm *vm, uint64_t gpa)
{
    struct device *recent = vm->recent;
    if (recent && holds(recent, gpa))
        return recent;
    for (unsigned i = 0; i < vm->devices; i++)
        if (holds(&vm->device[i], gpa))
            return vm->recent = &vm->device[i];
    return NULL;
}

/* Carries the access out on the machine's own device, which the guest was given. As with a mapped page the
 * machine says what it answers: its device may be shorter than the window of its tree. */
static bool pass_on(struct device *dev, struct mmio *io)
{
    const struct host_window *window = dev->host;
    uintptr_t port = (uintptr_t)map_hpa(window->hpa + io->offset);
    return io->store ? guard_store(port, io->width, io->value)
                     : guard_load(port, io->width, &io->value);
}

bool device_carry_out(struct device *dev, struct mmio *io)
{
    return dev->strategy->access ? dev->strategy->access(dev, io) : pass_on(dev, io);
}

bool device_access(struct device *dev, struct mmio *io)
{
    if (io->store)
        dev->count.stores++;
    else
        dev->count.loads++;
    bool done = device_carry_out(dev, io);
    if (dev->host == &dev->vm->host->disk.end &&
        (host_disk_settle(dev->vm->host) || dev->vm->vcpu.alarm != UINT64_MAX))
        board_set_alarm(dev->vm);
    return done;
}

bool device_irq_is_open(const struct device *dev)
{
    return vplic_is_open(&dev->vm->plic, dev->irq, VPLIC_CONTEXT_S);
}

bool device_may_defer(struct device *dev)
{
    if (!dev->vm->runs_ahead || (dev->ablate & ABLATE_COALESCE))
        return false;
    dev->deferred = dev->vm->deferred = true;
    return true;
}

bool device_yield(struct device *dev)
{
    if (!trap_is_spent(&dev->vm->vcpu))
        return false;
    dev->unfinished = true;
    ahead_stop(&dev->vm->vcpu);
    board_resume_soon(dev->vm);
    return true;
}

void device_set_irq(struct device *dev, bool level)
{
    if (!level && !dev->line)
        return;
    dev->count.irqs += level && !dev->line;
    dev->line = level;
    board_set_line(dev->vm, dev->irq, level);
}

int vm_map(struct vm *vm, uint64_t gpa, uint64_t hpa, uint64_t size)
{
    vm->shadow->unseen_writes = true;
    if (vm->options.watch)
        return 0;
    for (unsigned i = 0; i < SHADOW_MAPPINGS; i++) {
        struct shadow_mapping *mapping = &vm->shadow->mapping[i];
        if (mapping->size && mapping->gpa != gpa)
            continue;
        *mapping = (struct shadow_mapping){gpa, hpa, size};
        return 0;
    }
    return -ENOSPC;
}

/* The host source is claimed and stays so until the guest completes its own (guest_completed). */
static bool routed_irq(void *argument, unsigned host_irq)
{
    struct device *dev = argument;
    (void)host_irq;
    dev->count.irqs++;
    board_set_line(dev->vm, dev->irq, true);
    return false;
}

int vm_route_irq(struct device *dev, unsigned host_irq)
{
    if (dev->vm->options.plic_mapped)
        return 0; /* the guest claims it itself */
    dev->vm->routed[dev->irq] = host_irq;
    return host_irq_enable(dev->vm->host, host_irq, routed_irq, dev);
}
