/*
 * The guest's board besides its devices, as one table of windows: what QEMU's virt board has at
 * fixed addresses, and which of it a guest finds here. docs/devices.md says why for each.
 *
 * The surprise: a virtio-mmio transport without a device is there, too. It says "virt", version 2,
 * device 0, by which a guest that looks at all eight knows that it is empty; in the device tree it
 * is not named.
 */
#include "board/windows.h"

#include <stddef.h>

#include "board/board.h"
#include "vm/vm.h"

#define TRANSPORT_MAGIC   0x74726976u /* "virt" */
#define TRANSPORT_VERSION 2u
#define TRANSPORT_VENDOR  0x554d4551u /* "QEMU" */
#define TRANSPORT_END     0x200u      /* of the registers, in a window of BOARD_TRANSPORT_SIZE */

/* QEMU's sifive,test1: a store of 2 to 4 bytes; reads as zero. */
static bool access_finisher(struct vcpu *vcpu, void *self, struct mmio *io)
{
    (void)self;
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
static bool access_transport(struct vcpu *vcpu, void *self, struct mmio *io)
{
    (void)vcpu, (void)self;
    uint64_t offset = io->offset % BOARD_TRANSPORT_SIZE;
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

const struct device_register *windows_registers(unsigned window)
{
    switch (window) {
    case EXIT_WINDOW_FINISHER: return finisher_registers;
    case EXIT_WINDOW_RTC: return rtc_registers;
    case EXIT_WINDOW_VIRTIO: return windows_transport_registers;
    default: return NULL;
    }
}

/* What is not there for a guest. */
static bool access_nothing(struct vcpu *vcpu, void *self, struct mmio *io)
{
    (void)vcpu, (void)self, (void)io;
    return false;
}

#define ABSENT access_nothing, NULL, EXIT_BOARD, EXIT_WINDOWS

/* Where one address is in two windows, the lower row answers. */
static const struct window windows[] = {
    /* What virt has, and a guest does not find here. None of it is in the guest's device tree. */
    {0x00001000, 0x0000f000, ABSENT}, /* mask ROM: how the machine itself starts */
    {0x02000000, 0x00010000, ABSENT}, /* CLINT: M-mode's, closed natively, too */
    {0x03000000, 0x00010000, ABSENT}, /* PCIe: I/O ports */
    {0x10100000, 0x00000018, ABSENT}, /* fw_cfg: the VMM's own, with the guest's image in it */
    {0x20000000, 0x04000000, ABSENT}, /* flash, empty */
    {0x30000000, 0x10000000, ABSENT}, /* PCIe: configuration */
    {0x40000000, 0x40000000, ABSENT}, /* PCIe: memory */
    {BOARD_TRANSPORT_BASE, BOARD_TRANSPORTS *BOARD_TRANSPORT_SIZE, access_transport, NULL,
     EXIT_BOARD, EXIT_WINDOW_VIRTIO},
    {BOARD_FINISHER_BASE, BOARD_FINISHER_SIZE, access_finisher, NULL, EXIT_BOARD,
     EXIT_WINDOW_FINISHER},
    {RTC_BASE, RTC_SIZE, rtc_access, NULL, EXIT_BOARD, EXIT_WINDOW_RTC},
};

void windows_add(struct vm *vm)
{
    struct board *board = vm->board;
    const struct window plic = {VPLIC_BASE,   VPLIC_SIZE, board->plic_row->access,
                                &board->plic, EXIT_PLIC,  0};
    for (unsigned i = 0; i < sizeof(windows) / sizeof(windows[0]); i++)
        window_add(vm, &windows[i]);
    window_add(vm, &plic);
}
