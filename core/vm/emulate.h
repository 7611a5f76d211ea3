/* Loads and stores that the VMM carries out for the guest. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "isa/decode.h"
#include "vm/walk.h"

struct vcpu;

/* The instruction that trapped, at the vcpu's pc. False: it cannot be known any more, and the exit is dealt with:
 * the guest runs it again, or has got an access fault. Whoever changes a mapping or code fetches before. */
bool emulate_fetch(struct vcpu *vcpu, struct insn *insn);

/* What was fetched cannot have trapped as it did: a device that masters the bus has put other code there unseen, or
 * a copy has another half of it. The copy is dropped, and the guest runs what is there now. */
void emulate_again(struct vcpu *vcpu);

/* The access of insn, at pc, that faulted at gva, whose gpa is no RAM: a device's, or an access fault. */
void emulate_mmio(struct vcpu *vcpu, const struct insn *insn, uint64_t gva, uint64_t gpa,
                  enum access access);

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

/* The load at pc that faulted at gva, in code whose execute-only copy is mapped: reads the original. */
void emulate_patched_load(struct vcpu *vcpu, uint64_t gva, uint64_t gpa);
