/*
 * Shadow page tables: looking for leaves. Those of one address, and those that map one frame of
 * RAM.
 *
 * Surprise: a search that would be too long is not made. What one exit may look at is limited
 * (shadow_begin_work), and beyond that every translation is dropped: what is sought is then nowhere
 * either.
 */
#include "engine/trap/shadow_internal.h"
#include "host/map.h"

/* All leaves that map a frame. */
struct search {
    struct vm *vm;
    uint64_t frame;
    bool any; /* one was there */
};

/* --- One frame --- */

/* Whether a leaf of this level lets the guest write the frame, or its kernel execute it. */
static bool maps_frame(const struct vm *vm, uint64_t pte, unsigned level, uint64_t frame)
{
    const struct shadow *shadow = shadow_of(vm);
    uint64_t hpa = PTE_PPN(pte) << PAGE_SHIFT;
    if (pte & PTE_PATCHED)
        return shadow->page[pool_index(&shadow->pool, map_hpa(hpa))].frame == frame;
    if (!(pte & PTE_COUNTED))
        return false;
    return (frame - shadow_frame(vm, hpa - vm->ram.hpa_offset)) >> 9 * level == 0;
}

/* So much of the search is done. False: it is too much. */
static bool spend(struct shadow *shadow, uint32_t groups)
{
    shadow->search_rest -= groups < shadow->search_rest ? groups : shadow->search_rest;
    return shadow->search_rest;
}

static void drop_leaf(struct search *search, uint64_t *entry, unsigned level)
{
    if (!maps_frame(search->vm, *entry, level, search->frame))
        return;
    shadow_forget_entry(search->vm, entry, level);
    search->any = true;
}

/* In a table and all below it, those put aside included. False: the search is too long. */
static bool drop_below(struct search *search, uint64_t *table, unsigned level)
{
    struct shadow *shadow = shadow_of(search->vm);
    bool top = level == shadow->host_levels - 1;
    struct shadow_groups groups = {shadow->page[pool_index(&shadow->pool, table)].groups, 0, 0};
    while (shadow_next_group(&groups)) {
        uint64_t *entry = table + 8ul * groups.group;
        if (!spend(shadow, 1))
            return false;
        for (const uint64_t *end = entry + 8; entry < end; entry++) {
            bool vmm = top && (entry == &table[MAP_ROOT_SLOT] || (*entry & PTE_SHARED));
            if (!*entry || vmm)
                continue;
            if (shadow_is_leaf(*entry))
                drop_leaf(search, entry, level);
            else if (!drop_below(search, shadow_table_of(*entry), level - 1))
                return false;
        }
    }
    return true;
}

/* A tree of the shadow's tables: that of a root, or a shared one. False: there is no such tree. */
static bool tree_at(struct shadow *shadow, unsigned index, uint64_t **table, unsigned *level)
{
    unsigned roots = shadow->spaces * SHADOW_ROOTS;
    *level = shadow->host_levels - (index < roots ? 1 : 2);
    *table = index < roots ? shadow->space[index / SHADOW_ROOTS].root[index % SHADOW_ROOTS].table
                           : shadow->upper[index - roots];
    return *table;
}

static unsigned trees(const struct shadow *shadow)
{
    return shadow->spaces * SHADOW_ROOTS + SHADOW_UPPERS;
}

void shadow_drop_frame(struct vm *vm, uint64_t frame)
{
    struct shadow *shadow = shadow_of(vm);
    struct search search = {vm, frame, false};
    bool done = true;
    shadow_begin_work(vm);
    shadow->stats->frame_drops++;
    for (unsigned i = 0; i < trees(shadow) && done; i++) {
        uint64_t *table;
        unsigned level;
        if (tree_at(shadow, i, &table, &level))
            done = drop_below(&search, table, level);
    }
    if (!done) {
        shadow_drop_all(vm);
        return;
    }
    if (!shadow->buried) { /* exactly, even if it was "many" */
        shadow->leaves[frame] = 0;
        shadow->block_leaves[frame >> 9] = 0;
    }
    if (search.any)
        shadow_tlb_flush(vm);
}

/* The leaf for gva in a tree, put aside or not, if it maps the frame. */
static void drop_at(struct search *search, uint64_t *table, unsigned level, uint64_t gva)
{
    for (unsigned top = shadow_of(search->vm)->host_levels - 1;; level--) {
        uint64_t *entry = &table[shadow_index(gva, level)];
        if (!*entry || (level == top && (*entry & PTE_SHARED)))
            return;
        if (shadow_is_leaf(*entry)) {
            drop_leaf(search, entry, level);
            return;
        }
        table = shadow_table_of(*entry);
    }
}

void shadow_drop_copy(struct vm *vm, uint64_t frame)
{
    struct shadow *shadow = shadow_of(vm);
    struct search search = {vm, frame, false};
    uint64_t gva = shadow->page[shadow->patch[frame] - 1u].gva;
    bool upper = (int64_t)gva < 0;
    if (gva == SHADOW_BOUND_TWICE) {
        shadow_drop_frame(vm, frame);
        return;
    }
    if (!gva)
        return;
    shadow_begin_work(vm);
    if (!spend(shadow, shadow->spaces * SHADOW_ROOTS)) {
        shadow_drop_all(vm);
        return;
    }
    for (unsigned i = 0; i < trees(shadow); i++) {
        uint64_t *table;
        unsigned level;
        if (tree_at(shadow, i, &table, &level) && (upper || level == shadow->host_levels - 1))
            drop_at(&search, table, level, gva);
    }
    if (search.any)
        shadow_tlb_flush(vm);
}

/* --- One address --- */

static uint64_t *leaf_in(const struct shadow *shadow, const struct shadow_root *root, uint64_t gva,
                         unsigned *level)
{
    if (!root || !root->table || !walk_is_canonical(gva, shadow->host_levels) ||
        shadow_index(gva, shadow->host_levels - 1) == MAP_ROOT_SLOT)
        return NULL;
    uint64_t *table = root->table;
    for (*level = shadow->host_levels - 1;; --*level) {
        uint64_t *entry = &table[shadow_index(gva, *level)];
        if (!(*entry & PTE_V))
            return NULL;
        if (shadow_is_leaf(*entry))
            return entry;
        table = shadow_table_of(*entry);
    }
}

uint64_t *shadow_leaf(const struct vcpu *vcpu, uint64_t gva, unsigned *level)
{
    return leaf_in(shadow_of(vcpu->vm), trap_of(vcpu)->root, gva, level);
}

uint64_t *shadow_user_leaf(const struct vcpu *vcpu, uint64_t gva, unsigned *level)
{
    bool mxr = vcpu->csr.sstatus & SSTATUS_MXR;
    const struct shadow_space *space = trap_of(vcpu)->space;
    return space ? leaf_in(shadow_of(vcpu->vm), &space->root[shadow_root_index(VIEW_USER, mxr)],
                           gva, level)
                 : NULL;
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
