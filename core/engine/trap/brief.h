/*
 * Brief exits: a system call of the guest's process, and the return from it, at PATCH=inline. Each
 * is a change of mode and of root that asks nothing of the rest of the VMM, so it gets along with
 * the registers that a call may overwrite, and without clocks: it is counted, and not timed.
 *
 * A handler often begins with a swap of a register and sscratch. No register is dead there, so it
 * cannot be inlined: it is carried out with the system call.
 *
 * What is not so plain goes the long way (trap_handle), which gives the same result.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "engine/trap/site.h"
#include "engine/trap/trap.h"

/* Set in stvec in place of trap_entry, where there are brief exits: saves what a call may
 * overwrite, and calls trap_brief if the guest made an ecall. (vector.S) */
void trap_brief_entry(void);

struct brief {
    struct vcpu *vcpu;
    uint64_t done; /* not 0: the guest can go on; else nothing has happened */
};

/* An exit by an ecall. For assembly. */
struct brief trap_brief(struct vcpu *vcpu);

/* Where the engine is used so that an exit can be brief: from the VM's reset on, until somebody
 * asks for the time of each (vm->timed). */
void brief_start(struct vcpu *vcpu);

/* The guest's handler is about to begin. True: its first instruction was known to be a swap of a
 * register and sscratch, and is carried out. */
bool brief_swap(struct vcpu *vcpu);

/* The guest's kernel has returned to its process by the instruction of site. */
void brief_note_return(struct vcpu *vcpu, const struct site *site);

/* The exits are to be timed, all of them, from now on. */
void brief_end(struct vcpu *vcpu);
