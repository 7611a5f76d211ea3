/* Loads and stores that the VMM carries out for the guest. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "cpu/decode.h"
#include "memory/walk.h"

struct vcpu;

/* The access at pc that faulted at gva, whose gpa is no RAM: a device's, or an access fault. */
void emulate_mmio(struct vcpu *vcpu, uint64_t gva, uint64_t gpa, enum access access);

/* A load or store that the VMM runs ahead over, whose page is not mapped RAM: carried out if it is a
 * device's, with nothing raised. False: it is not; the guest shall execute it itself. */
bool emulate_ahead(struct vcpu *vcpu, const struct insn *insn, uint64_t gva);

/* The load at pc from code whose execute-only copy is mapped: reads the original. */
void emulate_patched_load(struct vcpu *vcpu, uint64_t gpa);
