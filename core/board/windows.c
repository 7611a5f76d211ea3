/*
 * The guest's board as one table of windows: what QEMU's virt board has at fixed addresses, and which of it a
 * guest finds here. The devices of board.c come before it: each takes its window out of what is below.
 * docs/devices.md says why for each.
 *
 * The surprise: a virtio-mmio transport without a device is there, too. It says "virt", version 2, device 0,
 * by which a guest that looks at all eight knows that it is empty; in the device tree it is not named.
 */
#include "board/board.h"
#include "board/plicmap.h"
#include "board/rtc.h"
#include "board/vplic.h"
#include "host/machine.h"
#include "vm/vm.h"

#define TRANSPORT_MAGIC   0x74726976u /* "virt" */
#define TRANSPORT_VERSION 2u
#define TRANSPORT_VENDOR  0x554d4551u /* "QEMU" */
#define TRANSPORT_END     0x200u      /* of the registers, in a window of BOARD_TRANSPORT_SIZE */

/* A window of the board. access: one guest access, io->offset relative to base; false, or none: access fault. */
struct window {
    uint64_t base, size;
    bool (*access)(struct vcpu *vcpu, struct mmio *io);
};

static void exit_is(struct vcpu *vcpu, enum exit_class exit_class, uint32_t detail)
{
    vcpu->exit_class = (uint8_t)exit_class;
    vcpu->exit_detail = detail;
}

static void exit_is_board(struct vcpu *vcpu, enum exit_window window, const struct mmio *io)
{
    exit_is(vcpu, EXIT_BOARD, stats_access_detail(window, io->offset, io->store));
}

static bool access_plic(struct vcpu *vcpu, struct mmio *io)
{
    struct vm *vm = vcpu->vm;
    exit_is(vcpu, EXIT_PLIC, (uint32_t)io->offset >> 2 | (io->store ? STATS_STORE : 0));
    bool done = vm->options.plic_mapped ? plicmap_access(vm, io) : vplic_access(&vm->plic, io);
    if (vm->options.ablate & ABLATE_BATCH)
        host_disk_settle(vm->host); /* the guest may be through with an interrupt */
    board_follow_plic(vm);
    return done;
}

static bool access_rtc(struct vcpu *vcpu, struct mmio *io)
{
    exit_is_board(vcpu, EXIT_WINDOW_RTC, io);
    return rtc_access(vcpu->vm, io);
}

/* QEMU's sifive,test1: a store of 2 to 4 bytes; reads as zero. */
static bool access_finisher(struct vcpu *vcpu, struct mmio *io)
{
    exit_is_board(vcpu, EXIT_WINDOW_FINISHER, io);
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

/* The first bytes of a register of a transport without a device. */
static uint32_t load_transport(uint64_t offset)
{
    switch (offset) {
    case 0x0: return TRANSPORT_MAGIC;
    case 0x4: return TRANSPORT_VERSION;
    case 0xc: return TRANSPORT_VENDOR;
    default: return 0; /* the device's type above all */
    }
}

/* QEMU's virtio-mmio with nothing at its bus: loads of any width, stores are ignored. */
static bool access_transport(struct vcpu *vcpu, struct mmio *io)
{
    uint64_t offset = io->offset % BOARD_TRANSPORT_SIZE;
    exit_is_board(vcpu, EXIT_WINDOW_VIRTIO, io);
    if (offset >= TRANSPORT_END)
        return false;
    if (!io->store)
        io->value = (load_transport(offset) | (uint64_t)load_transport(offset + 4) << 32) &
                    (UINT64_MAX >> (64 - 8 * io->width));
    return true;
}

static const struct device_register finisher_registers[] = {
    {0, NULL, "status", 0, 0},
    {0, NULL, NULL, 0, 0},
};

const struct device_register *board_registers(unsigned window)
{
    switch (window) {
    case EXIT_WINDOW_FINISHER: return finisher_registers;
    case EXIT_WINDOW_RTC: return rtc_registers;
    case EXIT_WINDOW_VIRTIO: return board_transport_registers;
    default: return NULL;
    }
}

/* The one that is accessed most is looked for first. */
static const struct window windows[] = {
    {VPLIC_BASE, VPLIC_SIZE, access_plic},
    {RTC_BASE, RTC_SIZE, access_rtc},
    {BOARD_FINISHER_BASE, BOARD_FINISHER_SIZE, access_finisher},
    {BOARD_TRANSPORT_BASE, BOARD_TRANSPORTS *BOARD_TRANSPORT_SIZE, access_transport},
    /* What else virt has. None of it is in the guest's device tree. */
    {0x00001000, 0x0000f000, NULL}, /* mask ROM: how the machine itself starts */
    {0x02000000, 0x00010000, NULL}, /* CLINT: M-mode's, closed natively, too */
    {0x03000000, 0x00010000, NULL}, /* PCIe: I/O ports */
    {0x10100000, 0x00000018,
     NULL}, /* fw_cfg: the VMM's own channel, with the guest's image in it */
    {0x20000000, 0x04000000, NULL}, /* flash, empty */
    {0x30000000, 0x10000000, NULL}, /* PCIe: configuration */
    {0x40000000, 0x40000000, NULL}, /* PCIe: memory */
};

bool board_access(struct vcpu *vcpu, uint64_t gpa, struct mmio *io)
{
    struct vm *vm = vcpu->vm;
    struct device *dev = device_at(vm, gpa);
    if (dev) {
        io->offset = gpa - dev->base;
        exit_is(vcpu, EXIT_MMIO,
                stats_access_detail((unsigned)(dev - vm->device), io->offset, io->store));
        return device_access(dev, io);
    }
    for (unsigned i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
        const struct window *window = &windows[i];
        if (gpa - window->base >= window->size)
            continue;
        io->offset = gpa - window->base;
        return window->access && window->access(vcpu, io);
    }
    return false;
}
