/*
 * Shadow page tables: forgetting. Fences, eviction, and the counts that tell the patcher whether a frame
 * is mapped anywhere else.
 */
#include <string.h>

#include "cpu/inline.h"
#include "memory/shadow_internal.h"

void shadow_tlb_flush(struct vm *vm)
{
    vm->shadow->pool.stats->tlb_flushes++;
    vm->shadow->flush_epoch++;
    sfence_vma_all();
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

/* Gives back a table of this level and all below it. */
static void free_table(struct vm *vm, uint64_t *table, unsigned level)
{
    for (unsigned i = 0; i < 512; i++)
        if (table[i] & PTE_V)
            shadow_forget_entry(vm, &table[i], level);
    pool_give(&vm->shadow->pool, table);
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

/* Everything below a root but the VMM's entry and the shared kernel table. True if there was anything. */
static bool empty_root(struct vm *vm, uint64_t *root, bool keep_shared)
{
    bool any = false;
    for (unsigned i = 0; i < 512; i++) {
        bool shared = (root[i] & PTE_V) && (root[i] & PTE_SHARED);
        if (i == MAP_ROOT_SLOT || !(root[i] & PTE_V) || (shared && keep_shared))
            continue;
        shadow_forget_entry(vm, &root[i], vm->shadow->host_levels - 1);
        any = true;
    }
    return any;
}

static void free_roots(struct vm *vm, struct shadow_space *space)
{
    for (unsigned i = 0; i < SHADOW_ROOTS; i++) {
        struct shadow_root *root = &space->root[i];
        if (!root->table)
            continue;
        empty_root(vm, root->table, false);
        pool_give(&vm->shadow->pool, root->table);
        root->table = NULL;
    }
    space->used = 0;
}

void shadow_free_space(struct vm *vm, struct shadow_space *space)
{
    struct vcpu *vcpu = &vm->vcpu;
    if (vcpu->root >= space->root && vcpu->root < space->root + SHADOW_ROOTS) {
        vcpu->root = NULL; /* between two spaces: the one left may be the one to go */
        csr_write(CSR_SATP, vm->shadow->host_satp);
    }
    free_roots(vm, space);
    shadow_tlb_flush(vm);
}

void shadow_drop_all(struct vcpu *vcpu)
{
    struct vm *vm = vcpu->vm;
    struct shadow *shadow = vm->shadow;
    vcpu->root = NULL;
    csr_write(CSR_SATP, shadow->host_satp);
    for (unsigned i = 0; i < shadow->spaces; i++)
        if (shadow->space[i].used)
            free_roots(vm, &shadow->space[i]);
    for (unsigned i = 0; i < SHADOW_UPPERS; i++) {
        if (shadow->upper[i])
            free_table(vm, shadow->upper[i], shadow->host_levels - 2);
        shadow->upper[i] = NULL;
    }
    if (shadow->saturated) {
        uint64_t frames = vm->ram.size >> PAGE_SHIFT;
        memset(shadow->leaves, 0, frames);
        memset(shadow->block_leaves, 0, (frames + 511) >> 9);
        shadow->saturated = false;
    }
    shadow->current = NULL;
    shadow->pool.stats->flushes++;
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

uint64_t **shadow_shared_upper(struct vcpu *vcpu, uint64_t gva, bool global)
{
    uint64_t mode = vcpu->csr.satp >> SATP_MODE_SHIFT;
    bool upper = (int64_t)gva < 0;
    if (!upper || !global || vcpu->mode != VMODE_S || mode == SATP_MODE_BARE)
        return NULL;
    bool mxr = vcpu->csr.sstatus & SSTATUS_MXR;
    return &vcpu->vm->shadow->upper[2 * (mode == SATP_MODE_SV48) + mxr];
}

/* --- Fences ---------------------------------------------------------------------------------------- */

/* Drops what one table tree holds for gva. level: of the table. True if there was anything. */
static bool drop_address(struct vm *vm, uint64_t *table, unsigned level, uint64_t gva,
                         bool skip_shared)
{
    for (;; level--) {
        uint64_t *entry = &table[shadow_index(gva, level)];
        bool top = level == vm->shadow->host_levels - 1;
        if (!(*entry & PTE_V) || (top && (*entry & PTE_SHARED) && skip_shared))
            return false;
        if (shadow_is_leaf(*entry) || (*entry & PTE_SPLIT)) {
            shadow_forget_entry(vm, entry, level);
            return true;
        }
        table = map_hpa(PTE_PPN(*entry) << PAGE_SHIFT);
    }
}

static bool is_vmm_slot(const struct shadow *shadow, uint64_t gva)
{
    return shadow_index(gva, shadow->host_levels - 1) == MAP_ROOT_SLOT;
}

/* One space: an address, or all. Shared kernel pages are global and are dropped by the caller. */
static bool fence_space(struct vm *vm, struct shadow_space *space, bool by_address, uint64_t gva)
{
    bool any = false;
    for (unsigned i = 0; i < SHADOW_ROOTS; i++) {
        struct shadow_root *root = &space->root[i];
        if (!root->table)
            continue;
        any |= by_address ? drop_address(vm, root->table, vm->shadow->host_levels - 1, gva, true)
                          : empty_root(vm, root->table, true);
    }
    return any;
}

void shadow_fence(struct vcpu *vcpu, bool by_address, uint64_t gva, bool by_asid, uint64_t asid)
{
    struct vm *vm = vcpu->vm;
    struct shadow *shadow = vm->shadow;
    inline_note_fence(vcpu, by_address, gva);
    if (!by_address && !by_asid) {
        shadow_drop_all(vcpu);
        return;
    }
    if (by_address && is_vmm_slot(shadow, gva))
        return; /* no canonical guest address: nothing can be cached for it */
    bool any = false;
    for (unsigned i = 0; i < shadow->spaces; i++) {
        struct shadow_space *space = &shadow->space[i];
        bool named = !by_asid || ((space->satp >> SATP_ASID_SHIFT) & SATP_ASID_MASK) == asid;
        if (space->used && named)
            any |= fence_space(vm, space, by_address, gva);
    }
    if (!by_asid)
        for (unsigned i = 0; i < SHADOW_UPPERS; i++)
            if (shadow->upper[i] && (int64_t)gva < 0)
                any |= drop_address(vm, shadow->upper[i], shadow->host_levels - 2, gva, true);
    shadow->pool.stats->flushes++;
    if (any)
        shadow_tlb_flush(vm);
}

static uint64_t *leaf_in(const struct shadow *shadow, uint64_t *table, uint64_t gva,
                         unsigned *level)
{
    if (!table || is_vmm_slot(shadow, gva))
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
