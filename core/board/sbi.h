/* The SBI that the guest calls: a server for one hart. */
#pragma once
#include "vm/exit.h"

struct vcpu;

/* Carries out the call in a7, a6, a0..a5 and puts the answer into a0, a1. pc is already past the
 * ecall. Returns what the exit is counted as: the call (EXIT_SBI_CALL), of a legacy call the EID
 * alone. */
struct exit sbi_call(struct vcpu *vcpu);
