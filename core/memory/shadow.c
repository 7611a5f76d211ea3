/*
 * Shadow page tables: choosing and filling. See shadow.h for the views, shadow_drop.c for forgetting.
 *
 * Surprise: guest A and D are exact although the shadow's are always set, because a page is only mapped
 * once the guest's A is set, and without W until the guest's D is.
 */
#include "memory/shadow.h"

#include <string.h>

#include "cpu/inline.h"
#include "memory/map.h"
#include "memory/patch.h"
#include "memory/shadow_internal.h"
#include "panic.h"
#include "vm.h"

#define POOL_MAX      (0xfffful << PAGE_SHIFT) /* patch[] has 16 bits for a page of the pool */
#define PREFILL_GROUP 8u                       /* neighbours looked at around a 4 KiB fill */

/* --- The current address space ---------------------------------------------------------------- */

static struct shadow_space *find_space(struct vcpu *vcpu)
{
    struct shadow *shadow = vcpu->vm->shadow;
    struct shadow_space *oldest = NULL;
    for (unsigned i = 0; i < shadow->spaces; i++) {
        struct shadow_space *space = &shadow->space[i];
        if (space->used && space->satp == vcpu->csr.satp)
            return space;
        if (space != shadow->current && (!oldest || space->used < oldest->used))
            oldest = space;
    }
    if ((!oldest || oldest->used) && shadow->spaces < SHADOW_SPACES)
        oldest = &shadow->space[shadow->spaces++];
    if (oldest->used) {
        shadow_free_space(vcpu->vm, oldest);
        shadow->pool.stats->evictions++;
    }
    oldest->satp = vcpu->csr.satp;
    return oldest;
}

static bool is_bare(const struct vcpu *vcpu)
{
    return vcpu->csr.satp >> SATP_MODE_SHIFT == SATP_MODE_BARE;
}

/* Paging off has one view; SUM alone does not leave VIEW_KERNEL (see shadow.h). */
static enum shadow_view choose_view(const struct vcpu *vcpu, const struct shadow_space *space,
                                    bool mxr)
{
    if (vcpu->mode == VMODE_U || is_bare(vcpu))
        return VIEW_USER;
    bool stay = (vcpu->csr.sstatus & SSTATUS_SUM) &&
                vcpu->root == &space->root[shadow_root_index(VIEW_KERNEL_SUM, mxr)];
    return stay ? VIEW_KERNEL_SUM : VIEW_KERNEL;
}

static void install(struct vcpu *vcpu, struct shadow_root *root)
{
    struct shadow *shadow = vcpu->vm->shadow;
    uint64_t mode = shadow->host_levels == 4 ? SATP_MODE_SV48 : SATP_MODE_SV57;
    vcpu->root = root;
    csr_write(CSR_SATP, mode << SATP_MODE_SHIFT | (uint64_t)root->asid << SATP_ASID_SHIFT |
                            map_pointer_hpa(root->table) >> PAGE_SHIFT);
    shadow->pool.stats->root_switches++;
    shadow->pool.stats->tlb_flushes++;
}

static void use_root(struct vcpu *vcpu, enum shadow_view view, bool mxr)
{
    struct shadow *shadow = vcpu->vm->shadow;
    unsigned index = shadow_root_index(view, mxr);
    while (!shadow->current->root[index].table) {
        uint64_t *table = pool_take(&shadow->pool);
        if (!table) {
            shadow_evict(vcpu); /* may choose another slot for the current space */
            continue;
        }
        table[MAP_ROOT_SLOT] = shadow->host_entry;
        table[0] = view == VIEW_KERNEL ? inline_low_entry(vcpu) : 0;
        uint64_t slot = (uint64_t)(shadow->current - shadow->space);
        shadow->current->root[index] = (struct shadow_root){
            .table = table,
            .asid = (uint16_t)(1 + slot * SHADOW_ROOTS + index),
        };
    }
    struct shadow_root *root = &shadow->current->root[index];
    if (vcpu->root != root)
        install(vcpu, root);
}

void shadow_select(struct vcpu *vcpu)
{
    struct shadow *shadow = vcpu->vm->shadow;
    if (!shadow->current || !shadow->current->used || shadow->current->satp != vcpu->csr.satp) {
        shadow->current = find_space(vcpu);
        inline_note_space(vcpu);
    }
    shadow->current->used = ++shadow->clock;
    bool mxr = (vcpu->csr.sstatus & SSTATUS_MXR) && !is_bare(vcpu);
    use_root(vcpu, choose_view(vcpu, shadow->current, mxr), mxr);
    bool shared = vcpu->root->table[511] & PTE_SHARED;
    vcpu->upper_tag = shared ? vcpu->csr.satp >> SATP_MODE_SHIFT : vcpu->csr.satp;
    vcpu->view_stale = false;
}

bool shadow_view_holds(const struct vcpu *vcpu)
{
    const struct shadow_space *space = vcpu->vm->shadow->current;
    if (!space || !space->used || space->satp != vcpu->csr.satp)
        return false;
    bool mxr = (vcpu->csr.sstatus & SSTATUS_MXR) && !is_bare(vcpu);
    return vcpu->root == &space->root[shadow_root_index(choose_view(vcpu, space, mxr), mxr)];
}

/* --- Filling ------------------------------------------------------------------------------------ */

/* One leaf to be put into the current root. */
struct leaf {
    uint64_t gva, pte; /* shadow entry, complete */
    unsigned level, guest_level;
    bool global; /* and of no user: may stand in the table that all kernel views share */
};

/* The table that holds gva's entry of this level in the current root, made when absent. Null: no memory. */
static uint64_t *table_for(struct vcpu *vcpu, const struct leaf *leaf)
{
    struct shadow *shadow = vcpu->vm->shadow;
    uint64_t *table = vcpu->root->table;
    for (unsigned level = shadow->host_levels - 1; level > leaf->level; level--) {
        uint64_t *entry = &table[shadow_index(leaf->gva, level)];
        bool top = level == shadow->host_levels - 1;
        bool upper = (int64_t)leaf->gva < 0;
        if (top && (*entry & PTE_SHARED) && !(leaf->global && upper)) {
            *entry = 0; /* this space has kernel pages of its own: leave the shared table */
            if (upper)
                vcpu->upper_tag = vcpu->csr.satp;
            shadow_tlb_flush(vcpu->vm);
        }
        if ((*entry & PTE_V) && shadow_is_leaf(*entry)) {
            shadow_account(vcpu->vm, *entry, level, -1);
            *entry = 0; /* a smaller page inside a superpage that is no longer one */
            shadow_tlb_flush(vcpu->vm);
        }
        if (!(*entry & PTE_V)) {
            uint64_t **shared = top ? shadow_shared_upper(vcpu, leaf->gva, leaf->global) : NULL;
            uint64_t *child = shared && *shared ? *shared : pool_take(&shadow->pool);
            if (!child)
                return NULL;
            if (shared)
                *shared = child;
            *entry = map_pointer_hpa(child) >> PAGE_SHIFT << PTE_PPN_SHIFT | PTE_V |
                     (shared ? PTE_SHARED : 0);
        }
        if (level == leaf->guest_level)
            *entry |= PTE_SPLIT;
        table = map_hpa(PTE_PPN(*entry) << PAGE_SHIFT);
    }
    return table;
}

/* Puts the leaf into the current root. Its entry, or null: no memory for a table. */
static uint64_t *put_leaf(struct vcpu *vcpu, const struct leaf *leaf)
{
    uint64_t *table = table_for(vcpu, leaf);
    if (!table)
        return NULL;
    uint64_t *entry = &table[shadow_index(leaf->gva, leaf->level)];
    if (*entry == leaf->pte) {
        shadow_tlb_flush(vcpu->vm); /* the machine had cached the invalid entry */
        return entry;
    }
    bool replaced = *entry & PTE_V;
    if (replaced)
        shadow_forget_entry(vcpu->vm, entry, leaf->level);
    *entry = leaf->pte;
    shadow_account(vcpu->vm, leaf->pte, leaf->level, 1);
    if (replaced)
        shadow_tlb_flush(vcpu->vm);
    return entry;
}

/* The largest page, not above limit, that lies wholly in RAM around gpa and holds no patched code. */
static unsigned ram_level(const struct vm *vm, uint64_t gpa, unsigned limit)
{
    for (unsigned level = limit < 2 ? limit : 2; level > 0; level--) {
        uint64_t size = 1ul << (PAGE_SHIFT + 9 * level);
        uint64_t begin = gpa & -size;
        if (begin < vm->ram.first || begin + size > vm->ram.gpa + vm->ram.size)
            continue;
        uint64_t block = (begin - vm->ram.gpa) >> 21;
        bool patched = false;
        for (uint64_t i = 0; i < size >> 21; i++)
            patched |= vm->shadow->block_patches[block + i] != 0;
        if (!patched)
            return level;
    }
    return 0;
}

/* Shadow permissions of a guest leaf in the current view. */
static uint64_t permissions(const struct vcpu *vcpu, uint64_t pte)
{
    bool mxr = vcpu->csr.sstatus & SSTATUS_MXR;
    uint64_t bits = pte & (PTE_R | PTE_X);
    if (mxr && (pte & PTE_X))
        bits |= PTE_R;
    if ((pte & PTE_W) && (pte & PTE_D))
        bits |= PTE_W;
    if (vcpu->mode == VMODE_S && !is_bare(vcpu) && (pte & PTE_U))
        bits &= ~PTE_X;
    return bits;
}

/* Builds the leaf for gva; false when the page gives no permission in this view. */
static bool make_leaf(struct vcpu *vcpu, uint64_t gva, const struct walk *walk, struct leaf *leaf)
{
    struct vm *vm = vcpu->vm;
    uint64_t bits = permissions(vcpu, walk->pte);
    uint64_t hpa = walk->gpa + vm->ram.hpa_offset;
    const struct shadow_mapping *mapping = shadow_mapping_at(vm->shadow, walk->gpa);
    unsigned level = 0;

    if (mapping) {
        hpa = walk->gpa - mapping->gpa + mapping->hpa;
    } else {
        level = ram_level(vm, walk->gpa, walk->level);
        uint64_t frame = shadow_frame(vm, walk->gpa);
        bool kernel = vcpu->mode == VMODE_S || is_bare(vcpu);
        uint16_t copy = vm->shadow->patch[frame];
        if (copy && kernel && (bits & PTE_X)) {
            patch_bind(vm, frame, gva);
            hpa = map_pointer_hpa(vm->shadow->pool.base) + ((uint64_t)(copy - 1) << PAGE_SHIFT);
            bits = PTE_X | PTE_PATCHED;
        } else if (copy) {
            bits &= ~PTE_W;
        }
        if ((bits & PTE_W) || (kernel && (bits & PTE_X)))
            bits |= PTE_COUNTED;
    }
    if (!(bits & (PTE_R | PTE_X)))
        return false;
    uint64_t page_mask = (1ul << (PAGE_SHIFT + 9 * level)) - 1;
    *leaf = (struct leaf){
        .gva = gva & ~page_mask,
        .pte = (hpa & ~page_mask) >> PAGE_SHIFT << PTE_PPN_SHIFT | bits | PTE_V | PTE_U | PTE_A |
               PTE_D,
        .level = level,
        .guest_level = walk->level > level ? walk->level : 0,
        .global = walk->global && !(walk->pte & PTE_U),
    };
    return true;
}

/* Whether the current view may show a page with this U bit at all. */
static bool in_view(const struct vcpu *vcpu, uint64_t pte)
{
    if (vcpu->mode == VMODE_U)
        return pte & PTE_U;
    const struct shadow_space *space = vcpu->vm->shadow->current;
    unsigned index = (unsigned)(vcpu->root - space->root);
    return !(pte & PTE_U) || index / 2 == VIEW_KERNEL_SUM;
}

/* Fills the neighbours of a 4 KiB page whose guest entries already have A set: as a TLB may. They lie in
 * the same guest table and in the same shadow table, around entry. */
static void prefill(struct vcpu *vcpu, uint64_t gva, const struct walk *walk, bool shared,
                    uint64_t *entry)
{
    unsigned self = shadow_index(gva, 0);
    unsigned first = self & ~(PREFILL_GROUP - 1);
    for (unsigned i = first; i < first + PREFILL_GROUP; i++) {
        uint64_t pte = __atomic_load_n(&walk->table[i], __ATOMIC_RELAXED);
        uint64_t *slot = entry + ((int)i - (int)self);
        bool leaf_ok = (pte & PTE_V) && (pte & PTE_A) && (pte & (PTE_R | PTE_X)) &&
                       (pte & (PTE_R | PTE_W)) != PTE_W && !(pte & PTE_RESERVED);
        bool global = (walk->global && !(walk->pte & PTE_G)) || (pte & PTE_G);
        if (*slot || !leaf_ok || !in_view(vcpu, pte))
            continue;
        struct walk neighbour = {.gpa = PTE_PPN(pte) << PAGE_SHIFT, .pte = pte, .global = global};
        struct leaf leaf;
        if (!shadow_is_backed(vcpu->vm, neighbour.gpa) ||
            !make_leaf(vcpu, gva, &neighbour, &leaf) || leaf.global != shared)
            continue;
        *slot = leaf.pte;
        shadow_account(vcpu->vm, leaf.pte, 0, 1);
        vcpu->vm->shadow->pool.stats->prefills++;
    }
}

/* The page of virtual CSRs, which stands in the guest's address space and not in its tables. */
static void put_inline_page(struct vcpu *vcpu, uint64_t hpa)
{
    struct leaf leaf = {
        .gva = INLINE_TOP,
        .pte = hpa >> PAGE_SHIFT << PTE_PPN_SHIFT | PTE_R | PTE_W | PTE_V | PTE_U | PTE_A | PTE_D,
        .global = true,
    };
    while (!put_leaf(vcpu, &leaf))
        shadow_evict(vcpu);
}

enum shadow_answer shadow_fault(struct vcpu *vcpu, uint64_t gva, enum access access, uint64_t *gpa,
                                uint64_t *cause)
{
    struct vm *vm = vcpu->vm;
    struct walk_mode mode = shadow_walk_mode(vcpu);
    struct walk walk;
    if (access != ACCESS_FETCH && inline_maps(vcpu, gva, gpa)) {
        put_inline_page(vcpu, *gpa);
        return SHADOW_RETRY;
    }
    *cause = walk_guest(vm, &mode, gva, access, &walk);
    if (*cause)
        return SHADOW_GUEST;
    *gpa = walk.gpa;
    if (!shadow_is_backed(vm, walk.gpa))
        return SHADOW_MMIO;

    if (!shadow_mapping_at(vm->shadow, walk.gpa) && vm->shadow->patch[shadow_frame(vm, walk.gpa)]) {
        bool kernel = vcpu->mode == VMODE_S || is_bare(vcpu);
        bool executable = (walk.pte & PTE_X) && !((walk.pte & PTE_U) && mode.satp && !mode.user);
        if (access == ACCESS_STORE)
            patch_drop(vm, walk.gpa);
        else if (access == ACCESS_FETCH && vm->shadow->unseen_writes)
            patch_verify(vm, walk.gpa);
        else if (access == ACCESS_LOAD && kernel && executable)
            return SHADOW_PATCHED;
    }

    bool needs_sum = vcpu->mode == VMODE_S && !is_bare(vcpu) && (walk.pte & PTE_U);
    struct leaf leaf;
    uint64_t *entry;
    for (;;) {
        if (needs_sum)
            use_root(vcpu, VIEW_KERNEL_SUM, mode.mxr);
        if (!make_leaf(vcpu, gva, &walk, &leaf))
            panic(
                "shadow: access %d to %#lx is permitted by the guest's entry %#lx but has no leaf",
                (int)access, gva, walk.pte);
        entry = put_leaf(vcpu, &leaf);
        if (entry)
            break;
        shadow_evict(vcpu);
    }
    vm->shadow->pool.stats->fills++;
    if (walk.table && leaf.level == 0)
        prefill(vcpu, gva, &walk, leaf.global, entry);
    return SHADOW_RETRY;
}

/* Cuts bytes from the front of a range for a table; zeroed. */
static void *cut(uint8_t **base, uint64_t bytes)
{
    void *table = *base;
    memset(table, 0, bytes);
    *base += (bytes + PAGE_MASK) & ~PAGE_MASK;
    return table;
}

void shadow_init(struct vm *vm, void *base, uint64_t size, uint64_t host_satp, uint64_t host_entry)
{
    uint64_t frames = vm->ram.size >> PAGE_SHIFT;
    uint64_t blocks = (frames + 511) >> 9;
    uint8_t *end = (uint8_t *)base + size;
    uint8_t *next = base;
    struct shadow *shadow = cut(&next, sizeof(*shadow));
    shadow->leaves = cut(&next, frames);
    shadow->patch = cut(&next, frames * sizeof(*shadow->patch));
    shadow->drops = cut(&next, frames);
    shadow->block_leaves = cut(&next, blocks);
    shadow->block_patches = cut(&next, blocks * sizeof(*shadow->block_patches));
    shadow->copy_jumps = cut(&next, size >> PAGE_SHIFT);
    shadow->copy_frame = cut(&next, (size >> PAGE_SHIFT) * sizeof(*shadow->copy_frame));
    shadow->code_epoch = 1;
    shadow->flush_epoch = 1;
    shadow->host_satp = host_satp;
    shadow->host_entry = host_entry;
    shadow->host_levels = host_satp >> SATP_MODE_SHIFT == SATP_MODE_SV48 ? 4 : 5;
    uint64_t left = (uint64_t)(end - next);
    pool_reset(&shadow->pool, next, left < POOL_MAX ? left : POOL_MAX, &vm->stats.memory);
    shadow->copies_limit = shadow->pool.pages / 2;
    vm->shadow = shadow;
}
