/* Privileged instructions of the guest: CSR accesses, SRET, WFI, fences. */
#pragma once
#include <stdbool.h>

#include "isa/decode.h"
#include "vm/exit.h"

struct vcpu;

/* Whether this is an instruction that traps in U-mode and that the VMM carries out for vS. */
bool priv_is_sensitive(const struct insn *insn);

/* Carries out an instruction that trapped as illegal, at pc: advances pc, or gives the guest its
 * illegal instruction exception (from vU, always: what U-mode may do did not trap). Returns what it
 * was. */
struct exit priv_execute(struct vcpu *vcpu, const struct insn *insn);
