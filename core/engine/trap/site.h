/*
 * The instruction at pc: one service for all whose exit needs to know it, with one cache of decoded
 * instructions.
 *
 * An exit is handled on the instruction that trapped, through the translation that it was executed
 * through. Whoever changes a mapping or code asks before.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "engine/trap/shadow.h"
#include "engine/trap/trap.h"
#include "isa/decode.h"
#include "vm/exit.h"
#include "vm/walk.h"

#define SITES 2048u /* by a hash of pc; a power of two */

/* An instruction of the guest's kernel that trapped lately: the guest's own, whatever a copy has in
 * its place. Valid while epoch is the shadow's, which counts up when kernel code is unmapped
 * anywhere; if it is no ecall or what stands for one, also only while the copy's version is the
 * same. (An ecall of vU is not looked up: no copy is in its view.) */
struct site {
    uint64_t pc, tag, epoch; /* tag: trap_code_tag */
    struct insn insn;
    int32_t hits;     /* ecalls that trapped there */
    bool sensitive;   /* insn is */
    uint32_t version; /* of the copy that its page is, when it was decoded, */
    /* And now; null: the page is no copy, so that a store to it would not be seen. */
    const uint32_t *versions;
};

static inline struct site *site_slot(const struct vcpu *vcpu)
{
    return &trap_of(vcpu)->site[(vcpu->pc >> 1 ^ vcpu->pc >> 12) & (SITES - 1)];
}

static inline bool site_holds(const struct vcpu *vcpu, const struct site *site)
{
    return site->pc == vcpu->pc && site->epoch == shadow_of(vcpu->vm)->code_epoch &&
           site->tag == trap_code_tag(vcpu);
}

/* Decodes what is at pc, and remembers it in the slot. */
void site_renew(struct vcpu *vcpu, struct site *site);

/* What the guest's kernel has at pc, where an ecall trapped: an ecall, or what an ecall stands for
 * in a copy. */
static inline struct site *site_of_ecall(struct vcpu *vcpu)
{
    struct site *site = site_slot(vcpu);
    if (!site_holds(vcpu, site))
        site_renew(vcpu, site);
    return site;
}

/* The instruction that trapped, at the vcpu's pc, until the next call. Null: it cannot be known any
 * more, and the exit is dealt with, and is *exit: the guest runs it again, or has got an access
 * fault. site_fetch() remembers it, for what is likely to trap there again. */
const struct insn *site_read(struct vcpu *vcpu, struct exit *exit);
const struct insn *site_fetch(struct vcpu *vcpu, struct exit *exit);

/* What was fetched cannot have trapped as it did: a device that masters the bus has put other code
 * there unseen, or a copy has another half of it. The copy is dropped, and the guest runs what is
 * there now. */
struct exit site_run_again(struct vcpu *vcpu);

/* Whether insn may have faulted with such an access at gva. What the decoder does not know may be
 * an extension's load or store. */
bool site_may_have_faulted(const struct vcpu *vcpu, const struct insn *insn, uint64_t gva,
                           enum access access);
