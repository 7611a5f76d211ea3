/* Plain integer computation and jumps of the guest, carried out by the VMM. */
#pragma once
#include <stdint.h>

#include "isa/decode.h"

struct vcpu;

/* Writes rd, unless it is x0. */
void interpret_set(struct vcpu *vcpu, uint8_t rd, uint64_t value);

/* One instruction from INSN_ALU_IMM to INSN_BRANCH: rd and pc (unprivileged ISA, RV64I). */
void interpret_plain(struct vcpu *vcpu, const struct insn *insn);

/* What a load of this width and sign puts into rd, from host memory; and a store's way there. */
uint64_t interpret_load(const void *from, const struct insn *insn);
void interpret_store(void *to, uint64_t value, unsigned width);
