/*
 * Shadow page tables: forgetting. Whole tables, eviction, and the counts that tell the patcher
 * whether a frame is mapped anywhere else. Fences are in shadow_fence.c.
 *
 * Surprise: what is forgotten is not given back at once, for that takes the longer the more the
 * guest has mapped. The table is buried with all below it, which is one step; when the pool is
 * asked for a page, one or two tables are dug up, and those that they named are buried in their
 * place. Until then their leaves count as if they were mapped.
 */
#include <string.h>

#include "engine/trap/shadow_internal.h"

/* shadow.buried, and origin of a buried table: (page of the pool + 1) << LEVEL_BITS | level. */
#define LEVEL_BITS 8u

void shadow_tlb_flush(struct vm *vm)
{
    vm->stats.memory.tlb_flushes++;
    shadow_of(vm)->flush_epoch++;
    for (unsigned i = 0; i < VM_VCPUS; i++)
        trap_of(vm->vcpus[i])->flush = 1;
}

static void count_leaf(uint8_t *count, int delta)
{
    if (*count != UINT8_MAX)
        *count = (uint8_t)(*count + delta);
}

static void count(struct vm *vm, uint64_t pte, unsigned level, int delta)
{
    struct shadow *shadow = shadow_of(vm);
    if (!(pte & PTE_COUNTED))
        return;
    uint64_t gpa = (PTE_PPN(pte) << PAGE_SHIFT) - vm->ram.hpa_offset;
    if (level == 0)
        count_leaf(&shadow->leaves[shadow_frame(vm, gpa)], delta);
    else if (level == 1)
        count_leaf(&shadow->block_leaves[(gpa - vm->ram.gpa) >> 21], delta);
    else
        shadow->giant_leaves += (uint64_t)(int64_t)delta;
}

void shadow_account(struct vm *vm, uint64_t pte, unsigned level, int delta)
{
    if (delta < 0 && shadow_is_code(pte))
        shadow_of(vm)->code_epoch++;
    count(vm, pte, level, delta);
}

/* --- Burying --- */

/* Forgets a table of this level and all below it. */
static void bury(struct shadow *shadow, uint64_t *table, unsigned level)
{
    uint32_t page = pool_index(&shadow->pool, table);
    shadow->code_epoch += shadow->page[page].code;
    if (!shadow->page[page].groups) {
        pool_give_clean(&shadow->pool, table);
        return;
    }
    shadow->page[page].origin = shadow->buried;
    shadow->buried = (page + 1ul) << LEVEL_BITS | level;
}

/* The table that an entry of this level names, if it is the entry's own. */
static void bury_below(struct shadow *shadow, uint64_t pte, unsigned level)
{
    if (!(pte & PTE_SHARED) || level != shadow->host_levels - 1)
        bury(shadow, shadow_table_of(pte), level - 1);
}

/* Gives back the table buried last, and buries those that it names. What was never written is not
 * looked at. */
static void dig_up(struct vm *vm)
{
    struct shadow *shadow = shadow_of(vm);
    uint32_t page = (uint32_t)(shadow->buried >> LEVEL_BITS) - 1;
    unsigned level = shadow->buried & ((1u << LEVEL_BITS) - 1);
    uint64_t *table = (uint64_t *)(shadow->pool.base + ((uint64_t)page << PAGE_SHIFT));
    struct shadow_groups groups = {shadow->page[page].groups, 0, 0};
    shadow->buried = shadow->page[page].origin;
    while (shadow_next_group(&groups)) {
        uint64_t *entry = table + 8ul * groups.group;
        for (const uint64_t *end = entry + 8; entry < end; entry++) {
            uint64_t pte = *entry;
            *entry = 0;
            if (shadow_is_leaf(pte))
                count(vm, pte, level, -1);
            else if (pte)
                bury_below(shadow, pte, level);
        }
    }
    shadow->page[page].groups = 0;
    pool_give_clean(&shadow->pool, table);
}

void *shadow_take(struct vm *vm)
{
    struct shadow *shadow = shadow_of(vm);
    for (unsigned i = 0; i < 2 && shadow->buried; i++)
        dig_up(vm);
    void *page = pool_take(&shadow->pool);
    if (page) {
        shadow->page[pool_index(&shadow->pool, page)].code = false;
        shadow->page[pool_index(&shadow->pool, page)].fixed = false;
        shadow->page[pool_index(&shadow->pool, page)].taken_up = 0;
    }
    return page;
}

void shadow_forget_entry(struct vm *vm, uint64_t *entry, unsigned level)
{
    uint64_t pte = *entry;
    *entry = 0;
    if (shadow_is_leaf(pte))
        shadow_account(vm, pte, level, -1);
    else if (pte)
        bury_below(shadow_of(vm), pte, level);
}

/* A root, and everything below it but the VMM's entry, which is not marked. */
static void bury_root(struct shadow *shadow, uint64_t *root)
{
    root[MAP_ROOT_SLOT] = 0;
    root[0] &= root[0] & PTE_SHARED
                   ? 0
                   : ~0ul; /* trampolines (engine/trap/inline.h): nor is this one */
    bury(shadow, root, shadow->host_levels - 1);
}

static void bury_roots(struct shadow *shadow, struct shadow_space *space)
{
    for (unsigned i = 0; i < SHADOW_ROOTS; i++) {
        struct shadow_root *root = &space->root[i];
        if (!root->table)
            continue;
        bury_root(shadow, root->table);
        root->table = NULL;
    }
    for (unsigned i = 0; i < SHADOW_BUCKETS; i++)
        shadow->with_gib[i] &= ~shadow_set_of(shadow, space);
    space->used = 0;
    space->stale = false;
}

/* The machine walks no root that is given back. */
static void leave_root(struct vcpu *vcpu)
{
    vcpu->hart->satp = shadow_of(vcpu->vm)->host_satp;
    csr_write(CSR_SATP, vcpu->hart->satp);
}

void shadow_free_space(struct vm *vm, struct shadow_space *space)
{
    for (unsigned i = 0; i < VM_VCPUS; i++) {
        struct trap_vcpu *own = trap_of(vm->vcpus[i]);
        if (own->root >= space->root && own->root < space->root + SHADOW_ROOTS)
            own->root = NULL; /* between two spaces: the one left may be the one to go */
        leave_root(vm->vcpus[i]);
    }
    bury_roots(shadow_of(vm), space);
    shadow_tlb_flush(vm);
}

void shadow_drop_all(struct vm *vm)
{
    struct shadow *shadow = shadow_of(vm);
    for (unsigned i = 0; i < VM_VCPUS; i++) {
        struct trap_vcpu *own = trap_of(vm->vcpus[i]);
        own->root = NULL;
        own->space = NULL;
        vm->vcpus[i]->changed |= VCPU_VIEW;
        leave_root(vm->vcpus[i]);
    }
    for (unsigned i = 0; i < shadow->spaces; i++)
        if (shadow->space[i].used)
            bury_roots(shadow, &shadow->space[i]);
    for (unsigned i = 0; i < SHADOW_UPPERS; i++) {
        if (shadow->upper[i])
            bury(shadow, shadow->upper[i], shadow->host_levels - 2);
        shadow->upper[i] = NULL;
    }
    for (uint32_t i = 0; i < shadow->copies; i++)
        shadow->page[shadow->copy_list[i]].gva = 0; /* executed nowhere */
    shadow->private_upper = false;
    shadow->stats->full_drops++;
    shadow_tlb_flush(vm);
}

void shadow_reset(struct vm *vm)
{
    uint64_t frames = vm->ram.size >> PAGE_SHIFT;
    shadow_drop_all(vm);
    while (shadow_of(vm)->buried)
        dig_up(vm);
    memset(shadow_of(vm)->leaves, 0, frames); /* those that were many, too */
    memset(shadow_of(vm)->block_leaves, 0, (frames + 511) >> 9);
}

static bool is_current(const struct vm *vm, const struct shadow_space *space)
{
    for (unsigned i = 0; i < VM_VCPUS; i++)
        if (trap_of(vm->vcpus[i])->space == space)
            return true;
    return false;
}

void shadow_evict(struct vm *vm)
{
    struct shadow *shadow = shadow_of(vm);
    struct shadow_space *oldest = NULL;
    for (unsigned i = 0; i < shadow->spaces; i++) {
        struct shadow_space *space = &shadow->space[i];
        if (space->used && !is_current(vm, space) && (!oldest || space->used < oldest->used))
            oldest = space;
    }
    shadow->stats->evictions++;
    if (oldest)
        shadow_free_space(vm, oldest);
    else
        shadow_drop_all(vm);
}

uint64_t **shadow_shared_upper(struct vcpu *vcpu, const struct shadow_lens *lens, uint64_t gva,
                               bool global)
{
    struct vm *vm = vcpu->vm;
    if ((int64_t)gva >= 0 || !global || lens->view == VIEW_USER || !shadow_is_on(vm, SWITCH_SHARED))
        return NULL;
    return &shadow_of(vm)->upper[shadow_upper_index(vcpu->csr.satp, lens->mxr)];
}
