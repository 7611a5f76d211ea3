/* Plain integer computation and jumps, carried out on registers in memory: x[0] to x[31]. */
#pragma once
#include <stdint.h>

#include "isa/decode.h"

/* Writes rd, unless it is x0. */
void interpret_set(uint64_t *x, uint8_t rd, uint64_t value);

/* One instruction from INSN_ALU_IMM to INSN_BRANCH, at pc: writes rd, and returns the pc that
 * follows (unprivileged ISA, RV64I). */
uint64_t interpret_plain(uint64_t *x, uint64_t pc, const struct insn *insn);

/* What a load of this width and sign puts into rd, from host memory; and a store's way there. */
uint64_t interpret_load(const void *from, const struct insn *insn);
void interpret_store(void *to, uint64_t value, unsigned width);
