/*
 * The guest's devices as one table: which strategy provides which device, at which window, with
 * which interrupt. The only place in core/ that names strategies. Addresses are those of QEMU's
 * virt board where the device exists there; what else that board has is in windows.c.
 */
#include "board/board.h"

#include <errno.h>
#include <string.h>

#include "board/devices.h"
#include "board/lines.h"
#include "board/plic.h"
#include "board/plicmap.h"
#include "board/sbi.h"
#include "board/windows.h"
#include "devices/emulated/emulated.h"
#include "devices/paravirt/paravirt.h"
#include "devices/passthrough/passthrough.h"
#include "host/bounce.h"
#include "host/hart.h"
#include "host/io.h"
#include "host/log.h"
#include "host/machine.h"
#include "host/map.h"
#include "host/panic.h"

const struct device_register *const windows_transport_registers = paravirt_registers;

enum role { ROLE_UART, ROLE_DISK };

const char *const board_roles[VM_ROLES] = {[ROLE_UART] = "uart", [ROLE_DISK] = "disk"};

static const char *const disk_models[] = {"ahci", "ata", NULL};
const char *const *const board_models[VM_ROLES] = {[ROLE_DISK] = disk_models};

struct row {
    const struct strategy *strategy;
    uint64_t base;
    unsigned irq;
};

static const struct row uart_rows[] = {
    [WAY_EMULATED] = {&emulated_uart, 0x10000000, 10},
    [WAY_VIRTIO] = {&paravirt_console, 0x10002000, 2},
    [WAY_PASSTHROUGH] = {&passthrough_uart, 0x10000000, 10},
};

static const struct row disk_rows[] = {
    [WAY_EMULATED] = {&emulated_ahci, 0x10010000, 12},
    [WAY_VIRTIO] = {&paravirt_disk, 0x10001000, 1},
    [WAY_PASSTHROUGH] = {&passthrough_disk, 0x10001000, 1},
};

static const struct row ata_row = {&emulated_ata, 0x10020000, 13};

static const struct board_plic *const plics[] = {
    [PLIC_EMULATED] = &plic_emulated,
    [PLIC_MAPPED] = &plicmap_plic,
};

/* --- Set-up --- */

/* A device of a role; end: its host end, or null: the machine's own device in a window. */
static void add(struct vm *vm, enum role role, const struct row *row, void *host,
                struct host_end *end)
{
    struct device *dev = &vm->device[vm->devices];
    struct window window = {
        .base = row->base,
        .size = row->strategy->size,
        .access = device_access,
        .self = dev,
        .class = EXIT_MMIO,
        .index = (uint8_t)vm->devices,
    };
    if (vm->devices == VM_DEVICES || row->irq == 0 || row->irq >= VPLIC_SOURCES ||
        !window_add(vm, &window))
        panic("board: no room for the device \"%s\" with interrupt %u (VM_DEVICES %u, "
              "VPLIC_SOURCES %u, VM_WINDOWS %u)",
              board_roles[role], row->irq, VM_DEVICES, VPLIC_SOURCES, VM_WINDOWS);
    vm->devices++;
    *dev = (struct device){
        .strategy = row->strategy,
        .name = board_roles[role],
        .base = row->base,
        .irq = row->irq,
        .host = host,
        .end = end,
        .vm = vm,
    };
    if (end) {
        end->calls = &device_owner;
        end->owner = dev;
    }
}

static int add_uart(struct vm *vm)
{
    struct host *host = vm->host;
    enum device_way way = vm->options.way[ROLE_UART];
    if (way == WAY_PASSTHROUGH) {
        host->uart.registers = (uintptr_t)map_hpa(host->uart.hpa);
        add(vm, ROLE_UART, &uart_rows[way], &host->uart, NULL);
        return 0;
    }
    int status = host_console_start(host, vm->options.ablate);
    if (status == 0)
        add(vm, ROLE_UART, &uart_rows[way], &host->console.front, &host->console.front.end);
    return status;
}

static int add_disk(struct vm *vm)
{
    struct host *host = vm->host;
    struct host_window *window = host_find_virtio(host, VIRTIO_ID_BLOCK);
    enum device_way way = vm->options.way[ROLE_DISK];
    if (!window) {
        host_log("the machine has no virtio-blk device: the guest gets no disk");
        return 0;
    }
    const struct row *row = way == WAY_EMULATED && vm->options.model[ROLE_DISK] ? &ata_row
                                                                                : &disk_rows[way];
    if (way == WAY_PASSTHROUGH) {
        if (vm->ram.hpa_offset != 0) {
            host_log("the disk masters the bus: it can only be given to a guest whose physical "
                     "addresses are the host's");
            return -EINVAL;
        }
        window->registers = (uintptr_t)map_hpa(window->hpa);
        add(vm, ROLE_DISK, row, window, NULL);
        return 0;
    }
    int status = host_disk_start(host, window, vm->options.ablate);
    if (status == 0)
        add(vm, ROLE_DISK, row, &host->disk.front, &host->disk.front.end);
    return status;
}

/* One device for each role, if the machine has what it needs. */
static int (*const add_role[VM_ROLES])(struct vm *vm) = {
    [ROLE_UART] = add_uart,
    [ROLE_DISK] = add_disk,
};

_Static_assert(VM_ROLES <= VM_DEVICES, "VM_DEVICES (vm/vm.h): a device for each role");

static void guest_completed(struct vplic *plic, unsigned source, void *arg)
{
    struct vm *vm = arg;
    unsigned host_irq = vm->board->routed[source];
    if (!host_irq)
        return;
    vplic_set_line(plic, source, false);
    host_irq_complete(vm->host, host_irq); /* if its level still stands, it interrupts again */
}

/* --- Turns --- */

/* Whether a device is to be served at a host interrupt. resume: unfinished ones have waited long
 * enough. */
static bool wants_turn(struct device *dev, bool resume)
{
    if (!dev->unfinished)
        return dev->unasked;
    return resume && !device_yield(dev); /* the interrupt may have cost enough already */
}

/* Serves the devices whose guest was told not to notify, and those that are unfinished. */
static void serve_devices(struct vm *vm, bool resume)
{
    for (unsigned i = 0; i < vm->devices; i++) {
        struct device *dev = &vm->device[i];
        if (!wants_turn(dev, resume))
            continue;
        dev->unfinished = false;
        dev->strategy->service(dev);
        if (dev->end && dev->end->settle)
            dev->end->settle(dev->end);
    }
}

static void look_at_ends(struct vm *vm)
{
    for (unsigned i = 0; i < vm->devices; i++) {
        struct host_end *end = vm->device[i].end;
        if (end && end->look)
            end->look(end);
    }
}

static void poll(struct vm *vm)
{
    struct board *board = vm->board;
    if (board->plic_row->poll)
        board->plic_poll_time = board->plic_row->poll(vm);
    bool resume = board->resume_time != UINT64_MAX && io_time() >= board->resume_time;
    if (resume)
        board->resume_time = UINT64_MAX; /* who is still unfinished then will say so */
    serve_devices(vm, resume);
    look_at_ends(vm);
    if (resume)
        channel_poll(vm->host);
    lines_set_alarm(vm);
}

static void wake(struct vm *vm)
{
    if (vm->board->resume_time != UINT64_MAX)
        poll(vm);
}

static void idle(struct vm *vm, bool idle)
{
    for (unsigned i = 0; i < vm->devices; i++) {
        struct host_end *end = vm->device[i].end;
        if (end && end->idle)
            end->idle(end, idle);
    }
    if (idle)
        poll(vm);
    else if (vm->board->plic_row->poll)
        lines_set_alarm(vm); /* it may have rung meanwhile */
}

static void settle(struct vm *vm)
{
    vm->has_put_off = false;
    for (unsigned i = 0; i < vm->devices; i++) {
        struct device *dev = &vm->device[i];
        if (dev->put_off)
            dev->strategy->service(dev);
        dev->put_off = false;
    }
}

static void follow(struct vm *vm)
{
    vm->board->plic_row->follow(vm);
}

static const struct vm_board calls = {
    .poll = poll, .wake = wake, .idle = idle, .settle = settle, .call = sbi_call};
static const struct vm_board calls_unseen = {
    .poll = poll, .wake = wake, .idle = idle, .settle = settle, .call = sbi_call, .follow = follow};

void board_finish(struct vm *vm)
{
    uint64_t start = io_time();
    settle(vm);
    while (vm->board->resume_time != UINT64_MAX && io_time() - start < vm->host->timebase) {
        hart_this()->begin_time = io_time(); /* each piece is as good as an exit */
        poll(vm);
    }
}

/* --- Start --- */

/* Memory for what the devices keep, behind each other in whole pages; zeroed. */
static void place_state(struct vm *vm, uint64_t *free_hpa)
{
    for (unsigned i = 0; i < vm->devices; i++) {
        struct device *dev = &vm->device[i];
        dev->state = map_hpa(*free_hpa);
        memset(dev->state, 0, dev->strategy->state_size);
        *free_hpa += (dev->strategy->state_size + PAGE_MASK) & ~PAGE_MASK;
    }
}

int board_init(struct vm *vm, struct board *board, uint64_t *free_hpa)
{
    vm->board = board;
    board->plic_row = plics[vm->options.plic];
    vm->calls = board->plic_row->unseen ? &calls_unseen : &calls;
    board->plic.completed = guest_completed;
    board->plic.arg = vm;
    board->plic_poll_time = board->resume_time = UINT64_MAX;
    windows_add(vm);
    int status = rtc_init(vm);
    for (unsigned i = 0; status == 0 && i < VM_ROLES; i++)
        status = add_role[i](vm);
    if (status == 0 && board->plic_row->init)
        status = board->plic_row->init(vm);
    if (vm->options.ablate & ABLATE_COPY) {
        vm->host->disk.bounce = map_hpa(*free_hpa);
        *free_hpa += BOUNCE_SIZE * BOUNCE_SLOTS;
    }
    place_state(vm, free_hpa);
    return status;
}

int board_reset(struct vm *vm)
{
    struct board *board = vm->board;
    board->resume_time = UINT64_MAX;
    vplic_reset(&board->plic);
    rtc_reset(vm);
    for (unsigned i = 0; i < vm->devices; i++) {
        struct device *dev = &vm->device[i];
        dev->line = dev->unfinished = dev->put_off = false;
        int status = dev->strategy->attach(dev);
        if (status < 0)
            return status;
    }
    return board->plic_row->reset ? board->plic_row->reset(vm) : 0;
}
