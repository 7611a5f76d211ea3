/*
 * The phases of an exit that every engine's loop has: beginning, waiting, counting. What lies
 * between them is the engine's (engine/trap/trap.c).
 */
#pragma once
#include <stdbool.h>

#include "host/hart.h"
#include "isa/riscv.h"
#include "vm/exit.h"
#include "vm/vm.h"

/* The guest has stopped. */
static inline void run_begin(struct vcpu *vcpu)
{
    uint64_t instret = csr_read(CSR_INSTRET), time = csr_read(CSR_TIME);
    struct hart *hart = vcpu->hart;
    hart->begin_instret = instret;
    hart->begin_time = time;
    vcpu->vm->stats.guest_instructions += instret - hart->end_instret;
    hart->spent = false;
    hart->mode = vcpu->mode;
}

/* The host interrupted: the handler of the interrupt (sip's number), and what has
 * waited for one. */
struct exit run_interrupt(struct vcpu *vcpu, uint64_t number);

/* Lets the hart sleep until an interrupt comes, and handles it; with for_guest an interrupt of the
 * guest's own sources ends it, too (host_wait()). exit: what the exit is counted as, up to here.
 * For wfi and pause. */
void run_wait(struct vcpu *vcpu, struct exit exit, bool for_guest);

/* WFI, known to be in vS: sleeps until an interrupt is pending that sie enables. */
void run_wfi(struct vcpu *vcpu, struct exit exit);

/* The VM is paused by the control channel: sleeps until it is not. */
void run_pause(struct vcpu *vcpu, struct exit exit);

/* The exit, up to now, may be the longest. */
void run_note_longest(struct vcpu *vcpu, struct exit exit, uint64_t instret);

/* The guest goes on. */
static inline void run_end(struct vcpu *vcpu, struct exit exit)
{
    uint64_t instret = csr_read(CSR_INSTRET);
    struct hart *hart = vcpu->hart;
    struct stats *stats = &vcpu->vm->stats;
    uint64_t instructions = instret - hart->begin_instret;
    hart->end_instret = instret;
    if (stats_is_longest(stats, instructions))
        run_note_longest(vcpu, exit, instret);
    stats_exit(stats, exit, hart->mode, instructions, csr_read(CSR_TIME) - hart->begin_time);
}
