/* From the trap vector to the handler of a cause, and back. */
#pragma once
struct vcpu;

/* Set in stvec; returns to the guest through trap_return. (vector.S) */
void trap_entry(void);
void trace_entry(void); /* of a run that is traced: calls trace_handle (trace.h) */
_Noreturn void trap_return(struct vcpu *vcpu);

/* Handles one exit. Called by vector.S with the guest's registers saved; returns the vcpu to enter. */
struct vcpu *trap_handle(struct vcpu *vcpu);

/* Handles what the host's sip says is pending. For wfi and pause, where no trap announces it. */
void trap_host_interrupts(struct vcpu *vcpu);

/* Lets the hart sleep until an interrupt comes, and handles it. For wfi and pause. */
void trap_wait(struct vcpu *vcpu);
