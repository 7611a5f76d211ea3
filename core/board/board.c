/*
 * The guest's board as one table: which strategy provides which device, at which window, with which
 * interrupt. The only place in core/ that names strategies. Addresses are those of QEMU's virt board
 * where the device exists there.
 */
#include "board/board.h"

#include <errno.h>
#include <string.h>

#include "devices/emulated/emulated.h"
#include "devices/paravirt/paravirt.h"
#include "devices/passthrough/passthrough.h"
#include "board/plicmap.h"
#include "board/rtc.h"
#include "board/vplic.h"
#include "cpu/timer.h"
#include "host/bounce.h"
#include "host/io.h"
#include "host/log.h"
#include "host/machine.h"
#include "memory/map.h"
#include "memory/shadow.h"
#include "riscv.h"
#include "vm.h"

#define VIRTIO_ID_BLOCK 2u
#define RESUME_TICKS    1000u /* 0.1 ms at QEMU's 10 MHz: the guest's turn */

struct row {
    const char *name;
    const struct strategy *strategy;
    uint64_t base;
    unsigned irq;
};

static const struct row uart_rows[] = {
    [WAY_EMULATED] = {"uart", &emulated_uart, 0x10000000, 10},
    [WAY_VIRTIO] = {"uart", &paravirt_console, 0x10002000, 2},
    [WAY_PASSTHROUGH] = {"uart", &passthrough_uart, 0x10000000, 10},
};

static const struct row disk_rows[] = {
    [WAY_EMULATED] = {"disk", &emulated_ahci, 0x10010000, 12},
    [WAY_VIRTIO] = {"disk", &paravirt_disk, 0x10001000, 1},
    [WAY_PASSTHROUGH] = {"disk", &passthrough_disk, 0x10001000, 1},
};

static const struct row ata_row = {"disk", &emulated_ata, 0x10020000, 13};

/* --- Set-up ----------------------------------------------------------------------------------------- */

static struct device *add(struct vm *vm, const struct row *row, void *host)
{
    struct device *dev = &vm->device[vm->devices++];
    *dev = (struct device){
        .strategy = row->strategy,
        .name = row->name,
        .base = row->base,
        .irq = row->irq,
        .host = host,
        .vm = vm,
        .ablate = vm->options.ablate,
    };
    return dev;
}

static int add_uart(struct vm *vm)
{
    struct host *host = vm->host;
    const struct row *row = &uart_rows[vm->options.uart];
    if (vm->options.uart == WAY_PASSTHROUGH) {
        host->uart.registers = (uintptr_t)map_hpa(host->uart.hpa);
        add(vm, row, &host->uart);
        return 0;
    }
    int status = host_console_start(host);
    if (status < 0)
        return status;
    host->console.end.owner = add(vm, row, &host->console.end);
    return 0;
}

static int add_disk(struct vm *vm)
{
    struct host *host = vm->host;
    struct host_window *window = host_find_virtio(host, VIRTIO_ID_BLOCK);
    if (!window) {
        host_log("the machine has no virtio-blk device: the guest gets no disk");
        return 0;
    }
    const struct row *row = vm->options.disk == WAY_EMULATED && vm->options.disk_model == DISK_ATA
                                ? &ata_row
                                : &disk_rows[vm->options.disk];
    if (vm->options.disk == WAY_PASSTHROUGH) {
        if (vm->ram.hpa_offset != 0) {
            host_log("the disk masters the bus: it can only be given to a guest whose physical "
                     "addresses "
                     "are the host's");
            return -EINVAL;
        }
        window->registers = (uintptr_t)map_hpa(window->hpa);
        add(vm, row, window);
        return 0;
    }
    int status = host_disk_start(host, window, vm->options.ablate);
    if (status < 0)
        return status;
    host->disk.end.owner = add(vm, row, &host->disk.end);
    return 0;
}

static void guest_completed(struct vplic *plic, unsigned source, void *arg)
{
    struct vm *vm = arg;
    unsigned host_irq = vm->routed[source];
    if (!host_irq)
        return;
    vplic_set_line(plic, source, false);
    host_irq_complete(vm->host, host_irq); /* if its level still stands, it interrupts again */
}

int board_init(struct vm *vm, uint64_t *free_hpa)
{
    vm->plic.completed = guest_completed;
    vm->plic.arg = vm;
    int status = rtc_init(vm);
    if (status == 0)
        status = add_uart(vm);
    if (status == 0)
        status = add_disk(vm);
    if (status == 0 && vm->options.plic_mapped)
        status = plicmap_init(vm);
    if (vm->options.ablate & ABLATE_COPY) {
        vm->host->disk.bounce = map_hpa(*free_hpa);
        *free_hpa += BOUNCE_SIZE * BOUNCE_SLOTS;
    }
    for (unsigned i = 0; status == 0 && i < vm->devices; i++) {
        struct device *dev = &vm->device[i];
        dev->state = map_hpa(*free_hpa);
        memset(dev->state, 0, dev->strategy->state_size);
        *free_hpa += (dev->strategy->state_size + PAGE_MASK) & ~PAGE_MASK;
    }
    return status;
}

int board_reset(struct vm *vm)
{
    vm->resume_time = UINT64_MAX;
    vplic_reset(&vm->plic);
    rtc_reset(vm);
    for (unsigned i = 0; i < vm->devices; i++) {
        struct device *dev = &vm->device[i];
        dev->line = dev->unfinished = false;
        int status = dev->strategy->attach(dev);
        if (status < 0)
            return status;
    }
    return vm->options.plic_mapped ? plicmap_reset(vm) : 0;
}

/* --- Windows ------------------------------------------------------------------------------------------ */

static void exit_is(struct vcpu *vcpu, enum exit_class exit_class, uint32_t detail, bool store)
{
    vcpu->exit_class = (uint8_t)exit_class;
    vcpu->exit_detail = detail | (store ? 1u << 31 : 0);
}

/* The S context's output, after anything that may have changed it. */
static void update_external(struct vm *vm)
{
    if (vm->options.plic_mapped)
        plicmap_look(vm);
    else
        vcpu_set_external(&vm->vcpu, vplic_output(&vm->plic, VPLIC_CONTEXT_S));
}

void board_set_line(struct vm *vm, unsigned source, bool level)
{
    vplic_set_line(&vm->plic, source, level);
    update_external(vm);
}

/* Whether a device is to be served at a host interrupt. resume: unfinished ones have waited long enough. */
static bool wants_turn(struct device *dev, bool resume)
{
    if (!dev->unfinished)
        return dev->unasked;
    return resume && !device_yield(dev); /* the interrupt may have cost enough already */
}

void board_poll(struct vm *vm)
{
    if (vm->options.plic_mapped)
        host_plic_poll(vm->host);
    bool resume = vm->resume_time != UINT64_MAX && io_time() >= vm->resume_time;
    if (resume)
        vm->resume_time = UINT64_MAX; /* who is still unfinished then will say so */
    for (unsigned i = 0; i < vm->devices; i++) {
        struct device *dev = &vm->device[i];
        if (!wants_turn(dev, resume))
            continue;
        dev->unfinished = false;
        dev->strategy->service(dev);
        if (dev->host == &vm->host->disk.end)
            host_disk_settle(vm->host);
    }
    host_disk_look(vm->host);
    if (resume)
        control_poll(vm->host);
    board_set_alarm(vm);
}

void board_idle(struct vm *vm, bool idle)
{
    host_disk_idle(vm->host, idle);
    if (idle)
        board_poll(vm);
}

void board_set_alarm(struct vm *vm)
{
    uint64_t disk = host_disk_alarm(vm->host);
    timer_set_alarm(&vm->vcpu, disk < vm->resume_time ? disk : vm->resume_time);
}

void board_resume_soon(struct vm *vm)
{
    vm->resume_time = io_time() + RESUME_TICKS;
    board_set_alarm(vm);
}

void board_finish(struct vm *vm)
{
    uint64_t start = io_time();
    while (vm->resume_time != UINT64_MAX && io_time() - start < vm->host->timebase) {
        vm->vcpu.exit_time = io_time(); /* each piece is as good as an exit */
        board_poll(vm);
    }
}

void board_settle(struct vm *vm)
{
    vm->runs_ahead = false;
    if (!vm->deferred)
        return;
    vm->deferred = false;
    for (unsigned i = 0; i < vm->devices; i++) {
        struct device *dev = &vm->device[i];
        if (dev->deferred)
            dev->strategy->service(dev);
        dev->deferred = false;
    }
}

/* QEMU's sifive,test1: a store of 2 to 4 bytes; reads as zero. */
static bool access_finisher(struct vcpu *vcpu, struct mmio *io)
{
    exit_is(vcpu, EXIT_BOARD, (uint32_t)io->offset, io->store);
    if (io->width != 2 && io->width != 4)
        return false;
    if (!io->store) {
        io->value = 0;
        return true;
    }
    if (io->offset != 0)
        return true;
    switch (io->value & 0xffff) {
    case 0x5555: vm_end(vcpu->vm, VM_POWEROFF, 0);
    case 0x3333: vm_end(vcpu->vm, VM_POWEROFF, (io->value >> 16) & 0xff);
    case 0x7777: vm_end(vcpu->vm, VM_REBOOT, 0);
    default: return true;
    }
}

bool board_access(struct vcpu *vcpu, uint64_t gpa, struct mmio *io)
{
    struct vm *vm = vcpu->vm;
    struct device *dev = device_at(vm, gpa);
    if (dev) {
        io->offset = gpa - dev->base;
        exit_is(vcpu, EXIT_MMIO, (uint32_t)(dev - vm->device) << 16 | (uint32_t)io->offset,
                io->store);
        return device_access(dev, io);
    }
    if (gpa - VPLIC_BASE < VPLIC_SIZE) {
        io->offset = gpa - VPLIC_BASE;
        exit_is(vcpu, EXIT_PLIC, (uint32_t)io->offset >> 2, io->store);
        bool done = vm->options.plic_mapped ? plicmap_access(vm, io) : vplic_access(&vm->plic, io);
        if (vm->options.ablate & ABLATE_BATCH)
            host_disk_settle(vm->host); /* the guest may be through with an interrupt */
        update_external(vm);
        return done;
    }
    if (gpa - BOARD_FINISHER_BASE < BOARD_FINISHER_SIZE) {
        io->offset = gpa - BOARD_FINISHER_BASE;
        return access_finisher(vcpu, io);
    }
    if (gpa - RTC_BASE < RTC_SIZE) {
        io->offset = gpa - RTC_BASE;
        exit_is(vcpu, EXIT_BOARD, 1u << 16 | (uint32_t)io->offset, io->store);
        return rtc_access(vm, io);
    }
    return false;
}
