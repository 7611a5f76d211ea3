/* What shadow.c (filling), shadow_drop.c (forgetting) and patch.c share. */
#pragma once
#include "memory/map.h"
#include "memory/shadow.h"
#include "vm.h"

/* Software bits. Leaves: PTE_PATCHED (shadow.h), PTE_COUNTED: it is in the leaves[] counts.
 * Tables: PTE_SHARED: the shared table of global kernel pages; PTE_SPLIT: everything below stems from one
 * guest superpage of this level, so a fence for any address in it drops all. */
#define PTE_COUNTED (1ul << 9)
#define PTE_SHARED  (1ul << 8)
#define PTE_SPLIT   (1ul << 9)

static inline unsigned shadow_index(uint64_t gva, unsigned level)
{
    return (gva >> (PAGE_SHIFT + 9 * level)) & 511;
}

static inline bool shadow_is_leaf(uint64_t pte)
{
    return pte & (PTE_R | PTE_X);
}

static inline uint64_t shadow_frame(const struct vm *vm, uint64_t gpa)
{
    return (gpa - vm->ram.gpa) >> PAGE_SHIFT;
}

static inline bool shadow_is_ram(const struct vm *vm, uint64_t gpa)
{
    return gpa >= vm->ram.first && gpa < vm->ram.gpa + vm->ram.size;
}

static inline const struct shadow_mapping *shadow_mapping_at(const struct shadow *shadow,
                                                             uint64_t gpa)
{
    for (unsigned i = 0; i < SHADOW_MAPPINGS; i++)
        if (gpa - shadow->mapping[i].gpa < shadow->mapping[i].size)
            return &shadow->mapping[i];
    return NULL;
}

/* Whether gpa can be mapped: guest RAM or a host window given to the guest. */
static inline bool shadow_is_backed(const struct vm *vm, uint64_t gpa)
{
    return shadow_is_ram(vm, gpa) || shadow_mapping_at(vm->shadow, gpa);
}

static inline struct walk_mode shadow_walk_mode(const struct vcpu *vcpu)
{
    return (struct walk_mode){
        .satp = vcpu->csr.satp,
        .user = vcpu->mode == VMODE_U,
        .sum = vcpu->csr.sstatus & SSTATUS_SUM,
        .mxr = vcpu->csr.sstatus & SSTATUS_MXR,
    };
}

/* Adds delta to the counts of what a leaf maps. */
void shadow_account(struct vm *vm, uint64_t pte, unsigned level, int delta);

/* Clears an entry of this level and gives back all below it. */
void shadow_forget_entry(struct vm *vm, uint64_t *entry, unsigned level);

/* Gives back all tables of a space; it is free afterwards. */
void shadow_free_space(struct vm *vm, struct shadow_space *space);

/* Makes room in the pool: the least recently used other space, else everything. */
void shadow_evict(struct vcpu *vcpu);

/* Where the shared table for gva's upper half is kept, or null when gva's leaf cannot be shared. */
uint64_t **shadow_shared_upper(struct vcpu *vcpu, uint64_t gva, bool global);
