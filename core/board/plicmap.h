/*
 * PLIC=mapped: the guest owns the host's S context. Its page of registers (threshold, claim, complete) is
 * mapped into the guest; the other registers stay emulated and are passed on, for the guest's sources alone.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct mmio;
struct vm;

/* Checks that every source of the guest is one of the machine's, and gives the devices the machine's
 * numbers. 0, or -EINVAL with a sentence logged. */
int plicmap_init(struct vm *vm);

/* Gives the guest a context as after power-on, and its page. After the devices were reset. 0, or a
 * negative errno with a sentence logged. */
int plicmap_reset(struct vm *vm);

/* One guest access that trapped, offset relative to VPLIC_BASE. False: access fault. */
bool plicmap_access(struct vm *vm, struct mmio *io);

/* The vcpu's external interrupt is the host's: looks at it, and has the host interrupt the guest only for a
 * change that the vcpu has not seen. Call it whenever the guest may have claimed. */
void plicmap_look(struct vm *vm);

/* Handles the VMM's own sources, which do not interrupt the guest, and says when the next look is due
 * (vm->plic_look_time): a guest may go on without a trap. Call it at each interrupt. */
void plicmap_poll(struct vm *vm);
