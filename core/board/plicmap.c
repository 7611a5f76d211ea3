/*
 * PLIC=mapped. The surprise: a claim by the guest is not seen, so "external interrupt pending" may
 * be out of date while it is true. That does no harm: whatever the guest does to be interrupted
 * traps while an interrupt is pending, and each trap looks again. While it is false it is right,
 * because then the host's interrupt is unmasked and traps.
 */
#include "board/plicmap.h"

#include <errno.h>

#include "host/guard.h"
#include "host/io.h"
#include "host/log.h"
#include "host/machine.h"
#include "host/map.h"

#define LOOKS_A_SECOND 20u

#define PENDING 0x001000u
#define ENABLE  (0x002000u + 0x80u * VPLIC_CONTEXT_S)
#define CONTEXT (0x200000u + 0x1000u * VPLIC_CONTEXT_S)

/* The vcpu's external interrupt is the host's: looks at it, and has the host interrupt the guest
 * only for a change that the vcpu has not seen. */
static void follow(struct vm *vm)
{
    bool level = csr_read(CSR_SIP) & SIP_SEIP;
    vcpu_set_external(vm->vcpus[0], level);
    if (level)
        csr_clear(CSR_SIE, SIP_SEIP);
    else
        csr_set(CSR_SIE, SIP_SEIP);
}

/* The VMM's own sources do not interrupt the guest, and a guest may go on without a trap: they are
 * looked at some times a second in any case. */
static uint64_t poll(struct vm *vm)
{
    uint64_t now = io_time(), next = vm->board->plic_poll_time;
    host_plic_poll(vm->host);
    return next == UINT64_MAX || now >= next ? now + vm->host->timebase / LOOKS_A_SECOND : next;
}

static void output_changed(void *argument)
{
    follow(argument);
}

static void add_source(struct vm *vm, unsigned irq)
{
    vm->board->given[irq / 32] |= 1u << irq % 32;
}

static bool has_source(const struct vm *vm, uint64_t irq)
{
    return irq < VPLIC_SOURCES && vm->board->given[irq / 32] >> irq % 32 & 1;
}

static int init(struct vm *vm)
{
    struct host *host = vm->host;
    for (unsigned i = 0; i < VM_ROLES; i++) {
        if (vm->options.way[i] != WAY_PASSTHROUGH) {
            host_log("plic=mapped: the guest has a device that is not the machine's own");
            return -EINVAL;
        }
    }
    if (host->plic_machine == host->plic_context || (host->rtc.hpa && host->rtc.irq != RTC_IRQ)) {
        host_log("plic=mapped: this machine's interrupt controller is not like QEMU's -M virt");
        return -EINVAL;
    }
    for (unsigned i = 0; i < vm->devices; i++) {
        const struct host_window *window = vm->device[i].host;
        vm->device[i].irq = window->irq;
        if (window->irq == 0 || window->irq >= VPLIC_SOURCES) {
            host_log("plic=mapped: the guest's controller has no source %u", window->irq);
            return -EINVAL;
        }
        add_source(vm, window->irq);
    }
    if (host->rtc.hpa)
        add_source(vm, RTC_IRQ);
    host->plic.output = output_changed;
    host->plic.output_argument = vm;
    return 0;
}

static int reset(struct vm *vm)
{
    int status = vm_map(vm, VPLIC_BASE + CONTEXT, host_plic_page(vm->host), PAGE_SIZE);
    if (status < 0) {
        host_log("plic=mapped: the controller's page cannot be mapped (error %d)", -status);
        return status;
    }
    host_plic_reset_given(vm->host, vm->board->given);
    follow(vm);
    return 0;
}

/* WATCH=1: the page that would be mapped. */
static bool access_page(struct vm *vm, struct mmio *io)
{
    uintptr_t address = (uintptr_t)map_hpa(host_plic_page(vm->host) + io->offset - CONTEXT);
    return io->store ? guard_store(address, io->width, io->value)
                     : guard_load(address, io->width, &io->value);
}

static bool access_registers(struct vm *vm, struct mmio *io)
{
    uint64_t irq = io->offset / 4, word;
    if (io->offset >= CONTEXT && io->offset < CONTEXT + PAGE_SIZE)
        return access_page(vm, io);
    if (!vplic_access(&vm->board->plic, io))
        return false;
    if (io->store && has_source(vm, irq))
        host_plic_set_priority(vm->host, (unsigned)irq, vm->board->plic.priority[irq]);
    word = (io->offset - ENABLE) / 4;
    if (io->store && word < VPLIC_WORDS)
        host_plic_set_enable(vm->host, (unsigned)word,
                             vm->board->plic.enable[VPLIC_CONTEXT_S][word] &
                                 vm->board->given[word]);
    word = (io->offset - PENDING) / 4;
    if (!io->store && word < VPLIC_WORDS)
        io->value = host_plic_pending(vm->host, (unsigned)word) & vm->board->given[word];
    return true;
}

static bool access(struct vcpu *vcpu, void *self, struct mmio *io)
{
    bool done = access_registers(vcpu->vm, io);
    (void)self;
    follow(vcpu->vm);
    return done;
}

const struct board_plic plicmap_plic = {
    .name = "mapped",
    .init = init,
    .reset = reset,
    .access = access,
    .follow = follow,
    .poll = poll,
    .unseen = true,
};
