/*
 * The guest's board: which windows it has, who answers there, and how it starts.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "device.h"

struct vcpu;
struct vm;

#define BOARD_FINISHER_BASE 0x00100000ul
#define BOARD_FINISHER_SIZE 0x00001000ul

/* The virtio-mmio transports, of which board.c's rows take some. */
#define BOARD_TRANSPORT_BASE 0x10001000ul
#define BOARD_TRANSPORT_SIZE 0x00001000ul
#define BOARD_TRANSPORTS     8u

/* Makes the device rows from the options; their state is cut off at *free_hpa. 0, or a negative errno with a sentence logged. */
int board_init(struct vm *vm, uint64_t *free_hpa);

/* Resets the vPLIC and attaches every device. 0, or a negative errno with a sentence logged. */
int board_reset(struct vm *vm);

/* Drives a source of the guest's PLIC, up to the vcpu's external interrupt. */
void board_set_line(struct vm *vm, unsigned source, bool level);

/* The vcpu's external interrupt becomes what the PLIC's S context says: after anything that may have changed it. */
void board_follow_plic(struct vm *vm);

/* Serves the devices whose guest was told not to notify, those that are unfinished, and the disk whose completions wait. At host
 * interrupts. */
void board_poll(struct vm *vm);

/* The guest begins to idle (and then board_poll's work is done once more), or is through with it. */
void board_idle(struct vm *vm, bool idle);

/* A device is unfinished: board_poll() goes on with it when the guest has had its turn. */
void board_resume_soon(struct vm *vm);

/* Goes on with unfinished devices until none is left, or too much time has gone. Before the VM ends. */
void board_finish(struct vm *vm);

/* The VMM's alarm is the time at which the host's disk or an unfinished device wants its next turn. To be called
 * when the disk had one. */
void board_set_alarm(struct vm *vm);

/* Ends a run of the guest's instructions in the VMM: serves the devices that have put something off. */
void board_settle(struct vm *vm);

/* What the registers of a transport without a device are called: as those of one with a device. */
extern const struct device_register *const board_transport_registers;

/* What the registers of enum exit_window are called; null: no such window. */
const struct device_register *board_registers(unsigned window);

/* One decoded, aligned access at gpa by the window that holds it. False: access fault. */
bool board_access(struct vcpu *vcpu, uint64_t gpa, struct mmio *io);
