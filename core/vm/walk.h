/*
 * Walk of the guest's own page tables (privileged specification, "Virtual Address Translation
 * Process"), with the checks of SUM, MXR and U, and A and D set in the guest's table.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "isa/riscv.h"
#include "vm/vcpu.h"

enum access { ACCESS_FETCH, ACCESS_LOAD, ACCESS_STORE };

/* The part of the guest's state that translation depends on. */
struct walk_mode {
    uint64_t satp;
    bool user; /* vU */
    bool sum, mxr;
    bool probe; /* only look: A and D stay as they are */
};

/* Of an access that the guest makes now. */
static inline struct walk_mode walk_mode_of(const struct vcpu *vcpu)
{
    return (struct walk_mode){
        .satp = vcpu->csr.satp,
        .user = vcpu->mode == VMODE_U,
        .sum = vcpu->csr.sstatus & SSTATUS_SUM,
        .mxr = vcpu->csr.sstatus & SSTATUS_MXR,
    };
}

struct walk {
    uint64_t gpa;    /* of the byte asked for */
    uint64_t pte;    /* the leaf, with A and D as they are after the access */
    uint64_t *table; /* the level-0 guest table that held the leaf, or null: for prefilling */
    uint8_t level;   /* 0: 4 KiB, 1: 2 MiB, 2: 1 GiB, 3: 512 GiB */
    bool global;     /* G on the way */
};

/* Translates gva. 0, or the cause of the exception that the guest gets. With paging off: a leaf of
 * level 2 that permits everything. Sets A (and D for a store) atomically in the guest's table. */
uint64_t walk_guest(struct vm *vm, const struct walk_mode *mode, uint64_t gva, enum access access,
                    struct walk *walk);

/* What the guest's tables say of gva now, whoever may use it: true if there is a leaf. Changes
 * nothing. The level-0 table is in walk->table even if its entry is no leaf. Not for satp's mode
 * Bare. */
bool walk_peek(struct vm *vm, uint64_t satp, uint64_t gva, struct walk *walk);

/* The guest's table of a level that translates gva, or null: there is none. *global: G on the way
 * to it. Not for satp's mode Bare. */
const uint64_t *walk_table(struct vm *vm, uint64_t satp, uint64_t gva, unsigned level,
                           bool *global);

/* Whether a level-0 entry is a leaf that may be cached: valid, well-formed, and its A set. */
static inline bool walk_is_cacheable(uint64_t pte)
{
    return (pte & PTE_V) && (pte & PTE_A) && (pte & (PTE_R | PTE_X)) &&
           (pte & (PTE_R | PTE_W)) != PTE_W && !(pte & PTE_RESERVED);
}

/* Whether gva is canonical for page tables of so many levels. */
static inline bool walk_is_canonical(uint64_t gva, unsigned levels)
{
    unsigned unused = 64 - (PAGE_SHIFT + 9 * levels);
    return (uint64_t)((int64_t)(gva << unused) >> unused) == gva;
}

/* The exceptions of an access: page fault and access fault. */
static inline uint64_t walk_page_fault(enum access access)
{
    return access == ACCESS_FETCH  ? CAUSE_FETCH_PAGE
           : access == ACCESS_LOAD ? CAUSE_LOAD_PAGE
                                   : CAUSE_STORE_PAGE;
}

static inline uint64_t walk_access_fault(enum access access)
{
    return access == ACCESS_FETCH  ? CAUSE_FETCH_ACCESS
           : access == ACCESS_LOAD ? CAUSE_LOAD_ACCESS
                                   : CAUSE_STORE_ACCESS;
}
