/* Loads and stores that the VMM carries out for the guest. */
#pragma once
#include <stdint.h>

#include "memory/walk.h"

struct vcpu;

/* The access at pc that faulted at gva, whose gpa is no RAM: a device's, or an access fault. */
void emulate_mmio(struct vcpu *vcpu, uint64_t gva, uint64_t gpa, enum access access);

/* The load at pc from code whose execute-only copy is mapped: reads the original. */
void emulate_patched_load(struct vcpu *vcpu, uint64_t gpa);
