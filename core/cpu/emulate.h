/* Loads and stores that the VMM carries out for the guest. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "cpu/decode.h"
#include "memory/walk.h"

struct vcpu;

/* The access at pc that faulted at gva, whose gpa is no RAM: a device's, or an access fault. */
void emulate_mmio(struct vcpu *vcpu, uint64_t gva, uint64_t gpa, enum access access);

/* Translates an aligned load or store that the VMM runs ahead over, whose page is not mapped RAM; sets A
 * and D. False: it is no device's, or it would fault; nothing has happened. */
bool emulate_translate(struct vcpu *vcpu, const struct insn *insn, uint64_t gva, uint64_t *gpa);

/* Carries out a decoded load or store at gpa, where no RAM is, and moves pc on. False: there is no such
 * register; nothing has been raised. */
bool emulate_device(struct vcpu *vcpu, const struct insn *insn, uint64_t gpa);

/* Reads width bytes (1..8) of RAM at gva as a load of the guest would, with its rights; sets A. 0, or the cause of
 * the fault that the load has, and *stval for it. What is no RAM, a device's register too, is an access fault. */
uint64_t emulate_read(struct vcpu *vcpu, uint64_t gva, unsigned width, uint64_t *value,
                      uint64_t *stval);

/* The load at pc from code whose execute-only copy is mapped: reads the original. */
void emulate_patched_load(struct vcpu *vcpu, uint64_t gpa);
