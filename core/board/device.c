/*
 * The seam's core side (device.h): counting, and what a strategy may ask for.
 *
 * Surprise: a device without an access function is the machine's own. Its registers normally do not
 * trap; with the option watch they do, are counted, and the access is passed on as it is.
 */
#include "device.h"

#include <errno.h>

#include "board/board.h"
#include "board/devices.h"
#include "board/lines.h"
#include "host/guard.h"
#include "host/hart.h"
#include "host/machine.h"
#include "host/map.h"
#include "vm/engine.h"
#include "vm/vm.h"

/* Carries the access out on the machine's own device, which the guest was given. As with a mapped
 * page the machine says what it answers: its device may be shorter than the window of its tree. */
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

bool device_access(struct vcpu *vcpu, void *self, struct mmio *io)
{
    struct device *dev = self;
    struct host_end *end = dev->end;
    if (io->store)
        dev->count.stores++;
    else
        dev->count.loads++;
    bool done = device_carry_out(dev, io);
    if (io->put_off)
        dev->put_off = vcpu->vm->has_put_off = true;
    if (end && end->settle && (end->settle(end) || vcpu->hart->alarm != UINT64_MAX))
        lines_set_alarm(vcpu->vm);
    return done;
}

/* --- What a strategy asks for --- */

bool device_yield(struct device *dev)
{
    if (!hart_is_spent())
        return false;
    dev->unfinished = true;
    for (unsigned i = 0; i < VM_VCPUS; i++)
        dev->vm->vcpus[i]->changed |= VCPU_INTERRUPTS; /* the guest goes on with them */
    lines_resume_soon(dev->vm);
    return true;
}

void device_set_irq(struct device *dev, bool level)
{
    if (!level && !dev->line)
        return;
    dev->count.irqs += level && !dev->line;
    dev->line = level;
    lines_set(dev->vm, dev->irq, level);
}

int vm_map(struct vm *vm, uint64_t gpa, uint64_t hpa, uint64_t size)
{
    vm->engine->expect_dma(vm);
    return vm->options.watch ? 0 : vm->engine->map(vm, gpa, hpa, size);
}

/* The host source is claimed and stays so until the guest completes its own (board.c). */
static bool routed_irq(void *argument, unsigned host_irq)
{
    struct device *dev = argument;
    (void)host_irq;
    dev->count.irqs++;
    lines_set(dev->vm, dev->irq, true);
    return false;
}

int vm_route_irq(struct device *dev, unsigned host_irq)
{
    struct board *board = dev->vm->board;
    if (board->plic_row->unseen)
        return 0; /* the guest claims it itself */
    board->routed[dev->irq] = host_irq;
    return host_irq_enable(dev->vm->host, host_irq, routed_irq, dev);
}

/* --- What a host end asks for --- */

static void notify(struct device *dev)
{
    if (dev->strategy->service)
        dev->strategy->service(dev);
}

static bool is_unfinished(const struct device *dev)
{
    return dev->unfinished;
}

static bool is_interrupting(const struct device *dev)
{
    return vplic_is_open(&dev->vm->board->plic, dev->irq, VPLIC_CONTEXT_S);
}

static void written(struct device *dev, const void *bytes, uint64_t len)
{
    vm_ram_written(dev->vm, bytes, len);
}

const struct host_owner device_owner = {
    .notify = notify,
    .yield = device_yield,
    .is_unfinished = is_unfinished,
    .is_interrupting = is_interrupting,
    .written = written,
};
