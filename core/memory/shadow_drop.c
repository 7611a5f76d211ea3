/*
 * Shadow page tables: forgetting. Whole tables, eviction, and the counts that tell the patcher whether a frame
 * is mapped anywhere else. Fences are in shadow_fence.c.
 */
#include <string.h>

#include "memory/shadow_internal.h"

void shadow_tlb_flush(struct vm *vm)
{
    vm->shadow->pool.stats->tlb_flushes++;
    vm->shadow->flush_epoch++;
    vm->vcpu.flush = 1;
}

static void count_leaf(struct shadow *shadow, uint8_t *count, int delta)
{
    if (*count == UINT8_MAX)
        return;
    *count = (uint8_t)(*count + delta);
    shadow->saturated |= *count == UINT8_MAX;
}

void shadow_account(struct vm *vm, uint64_t pte, unsigned level, int delta)
{
    struct shadow *shadow = vm->shadow;
    if (!(pte & PTE_COUNTED))
        return;
    if (delta < 0 && (pte & PTE_X))
        shadow->code_epoch++;
    uint64_t hpa = PTE_PPN(pte) << PAGE_SHIFT;
    if (pte & PTE_PATCHED) {
        uint32_t frame = shadow->copy_frame[pool_index(&shadow->pool, map_hpa(hpa))];
        count_leaf(shadow, &shadow->leaves[frame], delta);
        return;
    }
    uint64_t gpa = hpa - vm->ram.hpa_offset;
    if (level == 0)
        count_leaf(shadow, &shadow->leaves[shadow_frame(vm, gpa)], delta);
    else if (level == 1)
        count_leaf(shadow, &shadow->block_leaves[(gpa - vm->ram.gpa) >> 21], delta);
    else
        shadow->giant_leaves += (uint64_t)(int64_t)delta;
}

/* Gives back a table of this level and all below it. What was never written is not looked at. */
static void free_table(struct vm *vm, uint64_t *table, unsigned level)
{
    uint64_t *groups = &vm->shadow->groups[pool_index(&vm->shadow->pool, table)];
    uint64_t *entry = table;
    for (uint64_t bits = *groups; bits; bits >>= 1, entry += 8)
        for (unsigned i = 0; i < 8 && (bits & 1); i++)
            if (entry[i] & PTE_V)
                shadow_forget_entry(vm, &entry[i], level);
    *groups = 0;
    pool_give_clean(&vm->shadow->pool, table);
}

void shadow_forget_entry(struct vm *vm, uint64_t *entry, unsigned level)
{
    uint64_t pte = *entry;
    *entry = 0;
    if (shadow_is_leaf(pte))
        shadow_account(vm, pte, level, -1);
    else if (!(pte & PTE_SHARED) || level != vm->shadow->host_levels - 1)
        free_table(vm, map_hpa(PTE_PPN(pte) << PAGE_SHIFT), level - 1);
}

/* A root, and everything below it but the VMM's entry, which is not marked. */
static void free_root(struct vm *vm, uint64_t *root)
{
    root[MAP_ROOT_SLOT] = 0;
    root[0] &= root[0] & PTE_SHARED ? 0 : ~0ul; /* trampolines (cpu/inline.h): nor is this one */
    free_table(vm, root, vm->shadow->host_levels - 1);
}

static void free_roots(struct vm *vm, struct shadow_space *space)
{
    for (unsigned i = 0; i < SHADOW_ROOTS; i++) {
        struct shadow_root *root = &space->root[i];
        if (!root->table)
            continue;
        free_root(vm, root->table);
        root->table = NULL;
    }
    space->used = 0;
    space->stale = false;
}

/* The machine walks no root that is given back. */
static void leave_root(struct vcpu *vcpu)
{
    vcpu->satp_installed = vcpu->vm->shadow->host_satp;
    csr_write(CSR_SATP, vcpu->satp_installed);
}

void shadow_free_space(struct vm *vm, struct shadow_space *space)
{
    struct vcpu *vcpu = &vm->vcpu;
    if (vcpu->root >= space->root && vcpu->root < space->root + SHADOW_ROOTS)
        vcpu->root = NULL; /* between two spaces: the one left may be the one to go */
    leave_root(vcpu);
    free_roots(vm, space);
    shadow_tlb_flush(vm);
}

void shadow_free_upper(struct vm *vm, unsigned index)
{
    struct shadow *shadow = vm->shadow;
    if (shadow->upper[index])
        free_table(vm, shadow->upper[index], shadow->host_levels - 2);
    shadow->upper[index] = NULL;
}

void shadow_drop_all(struct vcpu *vcpu)
{
    struct vm *vm = vcpu->vm;
    struct shadow *shadow = vm->shadow;
    vcpu->root = NULL;
    leave_root(vcpu);
    for (unsigned i = 0; i < shadow->spaces; i++)
        if (shadow->space[i].used)
            free_roots(vm, &shadow->space[i]);
    for (unsigned i = 0; i < SHADOW_UPPERS; i++)
        shadow_free_upper(vm, i);
    if (shadow->saturated) {
        uint64_t frames = vm->ram.size >> PAGE_SHIFT;
        memset(shadow->leaves, 0, frames);
        memset(shadow->block_leaves, 0, (frames + 511) >> 9);
        shadow->saturated = false;
    }
    shadow->current = NULL;
    shadow->private_upper = false;
    shadow->pool.stats->full_drops++;
    shadow_select(vcpu);
    shadow_tlb_flush(vm);
}

void shadow_evict(struct vcpu *vcpu)
{
    struct shadow *shadow = vcpu->vm->shadow;
    struct shadow_space *oldest = NULL;
    for (unsigned i = 0; i < shadow->spaces; i++) {
        struct shadow_space *space = &shadow->space[i];
        if (space->used && space != shadow->current && (!oldest || space->used < oldest->used))
            oldest = space;
    }
    shadow->pool.stats->evictions++;
    if (oldest)
        shadow_free_space(vcpu->vm, oldest);
    else
        shadow_drop_all(vcpu);
}

uint64_t **shadow_shared_upper(struct vcpu *vcpu, const struct shadow_lens *lens, uint64_t gva,
                               bool global)
{
    struct vm *vm = vcpu->vm;
    if ((int64_t)gva >= 0 || !global || lens->view == VIEW_USER || !shadow_is_on(vm, SWITCH_SHARED))
        return NULL;
    return &vm->shadow->upper[shadow_upper_index(vcpu->csr.satp, lens->mxr)];
}

/* --- One frame ------------------------------------------------------------------------------------- */

/* Whether a leaf of this level lets the guest write the frame, or its kernel execute it. */
static bool maps_frame(const struct vm *vm, uint64_t pte, unsigned level, uint64_t frame)
{
    const struct shadow *shadow = vm->shadow;
    uint64_t hpa = PTE_PPN(pte) << PAGE_SHIFT;
    if (!(pte & PTE_COUNTED))
        return false;
    if (pte & PTE_PATCHED)
        return shadow->copy_frame[pool_index(&shadow->pool, map_hpa(hpa))] == frame;
    return (frame - shadow_frame(vm, hpa - vm->ram.hpa_offset)) >> 9 * level == 0;
}

static bool drop_frame_below(struct vm *vm, uint64_t *table, unsigned level, uint64_t frame)
{
    struct shadow *shadow = vm->shadow;
    bool top = level == shadow->host_levels - 1, any = false;
    uint64_t *entry = table;
    for (uint64_t bits = shadow->groups[pool_index(&shadow->pool, table)]; bits; bits >>= 1) {
        for (uint64_t *end = entry + 8; entry < end; entry++) {
            bool vmm = top && entry == &table[MAP_ROOT_SLOT];
            if (!(*entry & PTE_V) || vmm || (top && (*entry & PTE_SHARED)))
                continue;
            if (!shadow_is_leaf(*entry)) {
                any |= drop_frame_below(vm, map_hpa(PTE_PPN(*entry) << PAGE_SHIFT), level - 1,
                                        frame);
            } else if (maps_frame(vm, *entry, level, frame)) {
                shadow_forget_entry(vm, entry, level);
                any = true;
            }
        }
    }
    return any;
}

void shadow_drop_frame(struct vm *vm, uint64_t frame)
{
    struct shadow *shadow = vm->shadow;
    bool any = false;
    for (unsigned i = 0; i < shadow->spaces * SHADOW_ROOTS; i++) {
        struct shadow_root *root = &shadow->space[i / SHADOW_ROOTS].root[i % SHADOW_ROOTS];
        if (root->table)
            any |= drop_frame_below(vm, root->table, shadow->host_levels - 1, frame);
    }
    for (unsigned i = 0; i < SHADOW_UPPERS; i++)
        if (shadow->upper[i])
            any |= drop_frame_below(vm, shadow->upper[i], shadow->host_levels - 2, frame);
    shadow->leaves[frame] = 0; /* exactly, even if it was "many" */
    shadow->block_leaves[frame >> 9] = 0;
    shadow->pool.stats->frame_drops++;
    if (any)
        shadow_tlb_flush(vm);
}

static uint64_t *leaf_in(const struct shadow *shadow, uint64_t *table, uint64_t gva,
                         unsigned *level)
{
    unsigned unused = 64 - (PAGE_SHIFT + 9 * shadow->host_levels);
    bool canonical = (uint64_t)((int64_t)(gva << unused) >> unused) == gva;
    if (!table || !canonical || shadow_index(gva, shadow->host_levels - 1) == MAP_ROOT_SLOT)
        return NULL;
    for (*level = shadow->host_levels - 1;; --*level) {
        uint64_t *entry = &table[shadow_index(gva, *level)];
        if (!(*entry & PTE_V))
            return NULL;
        if (shadow_is_leaf(*entry))
            return entry;
        table = map_hpa(PTE_PPN(*entry) << PAGE_SHIFT);
    }
}

uint64_t *shadow_leaf(const struct vcpu *vcpu, uint64_t gva, unsigned *level)
{
    return leaf_in(vcpu->vm->shadow, vcpu->root->table, gva, level);
}

uint64_t *shadow_user_leaf(const struct vcpu *vcpu, uint64_t gva, unsigned *level)
{
    bool mxr = vcpu->csr.sstatus & SSTATUS_MXR;
    const struct shadow *shadow = vcpu->vm->shadow;
    uint64_t *table = shadow->current->root[shadow_root_index(VIEW_USER, mxr)].table;
    return leaf_in(shadow, table, gva, level);
}

void shadow_drop_leaf(struct vcpu *vcpu, uint64_t gva)
{
    unsigned level;
    uint64_t *entry = shadow_leaf(vcpu, gva, &level);
    if (entry) {
        shadow_forget_entry(vcpu->vm, entry, level);
        shadow_tlb_flush(vcpu->vm);
    }
}
