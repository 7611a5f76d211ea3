/*
 * The guest's devices as one table: which strategy provides which device, at which window, with which
 * interrupt. The only place in core/ that names strategies. Addresses are those of QEMU's virt board
 * where the device exists there; what else that board has is in windows.c.
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
#include "vm/timer.h"
#include "host/bounce.h"
#include "host/io.h"
#include "host/log.h"
#include "host/machine.h"
#include "host/map.h"
#include "engine/trap/shadow.h"
#include "host/panic.h"
#include "isa/riscv.h"
#include "vm/vm.h"

const struct device_register *const board_transport_registers = paravirt_registers;

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
    if (vm->devices == VM_DEVICES || row->irq == 0 || row->irq >= VPLIC_SOURCES)
        panic("board: no room for the device \"%s\" with interrupt %u (VM_DEVICES %u, "
              "VPLIC_SOURCES %u)",
              row->name, row->irq, VM_DEVICES, VPLIC_SOURCES);
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

/* One device for each role, if the machine has what it needs. */
static int (*const roles[])(struct vm *vm) = {add_uart, add_disk};

_Static_assert(sizeof(roles) / sizeof(roles[0]) <= VM_DEVICES,
               "VM_DEVICES (vm.h): a device for each role");
_Static_assert(
    VM_DEVICES + 1 <= SHADOW_MAPPINGS,
    "SHADOW_MAPPINGS (engine/trap/shadow.h): every device passed through, and the PLIC's page");

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
    for (unsigned i = 0; status == 0 && i < sizeof(roles) / sizeof(roles[0]); i++)
        status = roles[i](vm);
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

/* --- Interrupts, and work that waits -------------------------------------------------------------- */

void board_follow_plic(struct vm *vm)
{
    if (vm->options.plic_mapped)
        plicmap_look(vm);
    else
        vcpu_set_external(&vm->vcpu, vplic_output(&vm->plic, VPLIC_CONTEXT_S));
}

void board_set_line(struct vm *vm, unsigned source, bool level)
{
    if (vplic_set_line(&vm->plic, source, level))
        board_follow_plic(vm);
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
        plicmap_poll(vm);
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
    else if (vm->options.plic_mapped)
        board_set_alarm(vm); /* it may have rung meanwhile */
}

void board_set_alarm(struct vm *vm)
{
    uint64_t next = host_disk_alarm(vm->host);
    next = vm->resume_time < next ? vm->resume_time : next;
    if (vm->options.plic_mapped && vm->plic_look_time < next)
        next = vm->plic_look_time;
    timer_set_alarm(&vm->vcpu, next);
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
