/* Loads and stores that the VMM carries out for the guest. The instruction has been fetched and
 * decoded. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "isa/decode.h"
#include "vm/exit.h"
#include "vm/walk.h"

struct vcpu;
struct window;

static inline bool emulate_is_load(const struct insn *insn)
{
    return insn->op == INSN_LOAD || insn->op == INSN_FLOAT_LOAD;
}

static inline bool emulate_is_store(const struct insn *insn)
{
    return insn->op == INSN_STORE || insn->op == INSN_FLOAT_STORE;
}

/* The address that a load or store goes to. */
static inline uint64_t emulate_address(const struct vcpu *vcpu, const struct insn *insn)
{
    return vcpu->x[insn->rs1] + (uint64_t)(int64_t)insn->imm;
}

/* The access of insn, at pc, that faulted at gva, whose gpa is no RAM: a device's, or an access
 * fault. more: the guest's next accesses follow in the same exit (struct mmio). */
struct exit emulate_mmio(struct vcpu *vcpu, const struct insn *insn, uint64_t gva, uint64_t gpa,
                         enum access access, bool more);

/* Carries out a decoded load or store at gpa, where no RAM is, and moves pc on. Null: there is no
 * such register; nothing has been raised. Else whose it is. */
const struct window *emulate_access(struct vcpu *vcpu, const struct insn *insn, uint64_t gpa,
                                    bool more);

/* Reads width bytes (1..8) of RAM at gva as a load of the guest would, with its rights; sets A. 0,
 * or the cause of the fault that the load has, and *stval for it. What is no RAM, a device's
 * register too, is an access fault. */
uint64_t emulate_read(struct vcpu *vcpu, uint64_t gva, unsigned width, uint64_t *value,
                      uint64_t *stval);

/* Ends a load of a value, zero-extended from its width: rd, or an f register (a narrower value
 * NaN-boxed, FS dirty); moves pc on. */
void emulate_finish_load(struct vcpu *vcpu, const struct insn *insn, uint64_t value);

/* The guest's own page or access fault. */
static inline struct exit emulate_fault(struct vcpu *vcpu, uint64_t cause, uint64_t stval)
{
    vcpu_raise(vcpu, cause, stval);
    return exit_of(EXIT_GUEST_FAULT, cause);
}
