/* From the trap vector to the handler of a cause, and back. */
#pragma once
#include <stdbool.h>

#include "vm/vcpu.h"
#include "isa/riscv.h"

/* What an exit may cost before the rest of its work is left for later: 0.4 ms at QEMU's 10 MHz, which is
 * 400,000 instructions where they are counted. A single step that follows is far from the other half of 1,000,000. */
#define TRAP_TICKS 4000u

/* Set in stvec; returns to the guest through trap_return. (vector.S) */
void trap_entry(void);
void trace_entry(void); /* of a run that is traced: calls trace_handle (trace.h) */
_Noreturn void trap_return(struct vcpu *vcpu);

/* Handles one exit. Called by vector.S with the guest's registers saved; returns the vcpu to enter. */
struct vcpu *trap_handle(struct vcpu *vcpu);

/* Handles what the host's sip says is pending. For wfi and pause, where no trap announces it. */
void trap_host_interrupts(struct vcpu *vcpu);

/* Whether the exit being handled has cost so much that the guest, interrupts and the control channel are to have
 * their turn before it goes on. */
static inline bool trap_is_spent(const struct vcpu *vcpu)
{
    return csr_read(CSR_TIME) - vcpu->exit_time >= TRAP_TICKS;
}

/* Lets the hart sleep until an interrupt comes, and handles it; with for_guest an interrupt of the guest's own sources
 * ends it, too (host_wait()). For wfi and pause. */
void trap_wait(struct vcpu *vcpu, bool for_guest);
