/*
 * The guest's board: which devices and other windows it has, how their interrupts reach the vcpus,
 * and how the guest starts.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "board/rtc.h"
#include "board/vplic.h"
#include "device.h"
#include "host/plic.h"
#include "vm/vm.h"

#define BOARD_FINISHER_BASE 0x00100000ul
#define BOARD_FINISHER_SIZE 0x00001000ul

/* The virtio-mmio transports, of which board.c's rows take some. */
#define BOARD_TRANSPORT_BASE 0x10001000ul
#define BOARD_TRANSPORT_SIZE 0x00001000ul
#define BOARD_TRANSPORTS     8u

_Static_assert(VPLIC_SOURCES <= HOST_IRQS, "struct board.given has a bit for each source");

/* How the guest's interrupt controller is provided: a row of struct board_plic. */
enum plic_way { PLIC_EMULATED, PLIC_MAPPED };

struct board;

struct board_plic {
    const char *name;
    /* Once, when the devices are known. 0, or a negative errno with a sentence logged.
     * May be null. */
    int (*init)(struct vm *vm);
    /* After the devices were reset. The same. May be null. */
    int (*reset)(struct vm *vm);
    /* The guest's access, as a window's (vm/window.h). */
    bool (*access)(struct vcpu *vcpu, void *self, struct mmio *io);
    /* The vcpus' external interrupts become what the controller says: after anything that may have
     * changed it. */
    void (*follow)(struct vm *vm);
    /* At each host interrupt. Returns when it is to be called again at the latest (ticks of the
     * time CSR). May be null. */
    uint64_t (*poll)(struct vm *vm);
    /* The guest uses the controller unseen: follow() is to be called at each exit, and a host
     * interrupt that is routed to the guest is not handled by the VMM. */
    bool unseen;
};

/* vm->board */
struct board {
    const struct board_plic *plic_row;
    struct vplic plic;
    uint32_t given[HOST_IRQS / 32]; /* host sources that are the guest's (PLIC_MAPPED) */
    unsigned routed[VPLIC_SOURCES]; /* host source behind a guest source, 0 = none */
    struct rtc rtc;
    uint64_t plic_poll_time; /* when the controller wants its next turn; UINT64_MAX: does not */
    uint64_t resume_time;    /* when unfinished devices go on; UINT64_MAX: there is none */
    bool returned; /* the SBI console has written a line feed's carriage return (sbi_console.c) */
};

/* What a role is called: in options, in the statistics, and in the device tree's aliases. */
extern const char *const board_roles[VM_ROLES];

/* What an emulated device of a role can be: names by vm_options.model, ending with a null; or null:
 * only one. */
extern const char *const *const board_models[VM_ROLES];

/* Makes the devices and windows from the options; their state is cut off at *free_hpa. 0, or a
 * negative errno with a sentence logged. */
int board_init(struct vm *vm, struct board *board, uint64_t *free_hpa);

/* Resets the interrupt controller and attaches every device. 0, or a negative errno with a sentence
 * logged. */
int board_reset(struct vm *vm);

/* Before the VM ends: goes on with unfinished devices until none is left, or too much time has
 * gone. */
void board_finish(struct vm *vm);
