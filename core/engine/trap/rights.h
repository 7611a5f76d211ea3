/*
 * What the real hart lets U-mode do: counters (scounteren) and cache block instructions (senvcfg).
 * In vU it is what the guest's kernel has given its processes, in vS everything that S-mode could.
 *
 * Both CSRs are dear to write. So the kernel keeps what its processes have until it needs more,
 * which is a trap, and then has it for a while.
 */
#pragma once
#include <stdbool.h>

#include "engine/trap/trap.h"
#include "isa/decode.h"

/* The VM is reset. */
void rights_reset(struct vcpu *vcpu);

/* Shows the hart what the vcpu's mode may do, if that has changed. */
void rights_change(struct vcpu *vcpu);

/* The same after a change of mode alone. */
static inline void rights_show(struct vcpu *vcpu)
{
    if (trap_of(vcpu)->more_rights)
        rights_change(vcpu);
}

/* insn is illegal in vS. True: perhaps only for want of a right, which the kernel has from now on;
 * it is to be run again. */
bool rights_extend(struct vcpu *vcpu, const struct insn *insn);
