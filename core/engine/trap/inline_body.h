/* The bodies of trampolines (PATCH=inline): what inline_code.c puts into the low pages. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "isa/decode.h"

struct vcpu;

#define INLINE_SHORT_WORDS 16u
#define INLINE_LONG_WORDS  36u

/* What a trampoline does. */
enum inline_kind {
    INLINE_NONE,
    INLINE_SET,     /* csrsi sstatus, SIE */
    INLINE_RESTORE, /* csrs sstatus, rs1: where rs1 is 0 or SIE */
    INLINE_SAVE,    /* csrrci rd, sstatus, SIE */
    INLINE_READ,    /* csrr rd, sstatus */
    INLINE_SEPC,    /* csrw sepc, rs1 */
    INLINE_CHANGE,  /* csrrw, csrrs, csrrc rd, sstatus, rs1: of what is not guarded */
};

/* Whether LUI and ADDI make this value: it lies within 2 GiB of 0 on either side. */
static inline bool inline_is_near(uint64_t value)
{
    return value + 0x80000800 < 1ul << 32 && value + 0x80000000 < 1ul << 32;
}

/* What kind of trampoline carries out insn, given what its register operand holds now. */
enum inline_kind inline_kind_of(const struct vcpu *vcpu, const struct insn *insn);

/* Where a body goes, and which registers it has. */
struct inline_place {
    uint32_t *word;
    unsigned words; /* INLINE_SHORT_WORDS, or for INLINE_CHANGE INLINE_LONG_WORDS */
    uint64_t back;  /* what it returns with, */
    unsigned at;    /* and the number of the place that holds this, unless LUI reaches it */
    unsigned dead;  /* the register that it returns through, */
    unsigned slot;  /* and the number of the place where what it held is saved */
};

/* Writes all words of the body: insn by its kind, the way back, and the slow way, which ends in an
 * ecall. */
void inline_write_body(const struct inline_place *place, enum inline_kind kind,
                       const struct insn *insn);
