/*
 * Shadow page tables: filling. One leaf from what the guest's tables say, and its neighbours.
 *
 * Surprise: a table that was put aside is taken up again on the way to the leaf (shadow_renew.c).
 */
#include "engine/trap/shadow_internal.h"
#include "host/map.h"

#define PREFILL_GROUP 8u /* neighbours looked at around a 4 KiB fill */

/* Keeps PTE_SPLIT of an entry that names a table, and the table's origin, true when a page is put
 * below it. */
static void note_origin(struct shadow *shadow, uint64_t *entry, const uint64_t *table,
                        unsigned level, const struct shadow_page *page, bool fresh)
{
    uint64_t *origin = &shadow->page[pool_index(&shadow->pool, table)].origin;
    bool split = level == page->guest_level;
    if (split)
        *entry |= PTE_SPLIT;
    if (fresh)
        *origin = split ? page->guest_pte : 0;
    else if ((*entry & PTE_SPLIT) && level >= page->guest_level &&
             *origin != page->guest_pte * split)
        *origin = 0;
}

/* Notes in the tables above a page, and in its own, that the kernel may execute it. Not above the
 * shared table, which is not forgotten with a root. */
static void note_code(struct shadow *shadow, uint64_t *table, const struct shadow_page *page)
{
    for (unsigned level = shadow->host_levels - 1;; level--) {
        uint64_t entry = table[shadow_index(page->gva, level)];
        if (level < shadow->host_levels - 1 || !(entry & PTE_SHARED))
            shadow->page[pool_index(&shadow->pool, table)].code = true;
        if (level == page->level)
            return;
        table = shadow_table_of(entry);
    }
}

/* Takes up a table that was put aside, which the entry of this level names. */
static void attach(struct vcpu *vcpu, const struct shadow_lens *lens, uint64_t *entry,
                   unsigned level, uint64_t gva, bool shared, unsigned split)
{
    struct renewal renewal = {
        .vm = vcpu->vm, .satp = trap_of(vcpu)->space->satp, .lens = *lens, .shared = shared};
    if (shared)
        renewal.lens.view = VIEW_KERNEL; /* one table for all of the kernel's views */
    shadow_attach(&renewal, entry, level, gva, split);
}

/* The table that holds the page's entry in this root, made when absent. Null: no memory. *attached:
 * a table was taken up on the way. */
static uint64_t *table_for(struct vcpu *vcpu, struct shadow_root *root,
                           const struct shadow_lens *lens, const struct shadow_page *page,
                           bool *attached)
{
    struct vm *vm = vcpu->vm;
    struct shadow *shadow = shadow_of(vm);
    uint64_t *table = root->table;
    unsigned split = 0;
    bool in_shared = false;
    *attached = false;
    for (unsigned level = shadow->host_levels - 1; level > page->level; level--) {
        uint64_t *entry = &table[shadow_index(page->gva, level)];
        bool top = level == shadow->host_levels - 1;
        bool upper = (int64_t)page->gva < 0;
        if (shadow_is_aside(*entry)) {
            attach(vcpu, lens, entry, level, page->gva, in_shared, split);
            *attached = true;
        }
        if (top && (*entry & PTE_SHARED) && !(page->global && upper)) {
            *entry = 0; /* this space has kernel pages of its own: leave the shared table */
            if (upper && root == trap_of(vcpu)->root)
                trap_of(vcpu)->upper_tag = vcpu->csr.satp;
            shadow_tlb_flush(vm);
        }
        if ((*entry & PTE_V) && shadow_is_leaf(*entry)) {
            shadow_account(vm, *entry, level, -1);
            *entry = 0; /* a smaller page inside a superpage that is no longer one */
            shadow_tlb_flush(vm);
        }
        bool fresh = !(*entry & PTE_V);
        if (fresh) {
            uint64_t **shared = top ? shadow_shared_upper(vcpu, lens, page->gva, page->global)
                                    : NULL;
            uint64_t *child = shared && *shared ? *shared : shadow_take(vm);
            if (!child)
                return NULL;
            if (shared)
                *shared = child;
            else if (top && upper)
                shadow->private_upper = true;
            *entry = map_pointer_hpa(child) >> PAGE_SHIFT << PTE_PPN_SHIFT | PTE_V |
                     (shared ? PTE_SHARED : 0);
            shadow_mark(shadow, entry);
        }
        table = shadow_table_of(*entry);
        bool *fixed = &shadow->page[pool_index(&shadow->pool, table)].fixed;
        *fixed = shadow_is_fixed(vm, page->pte) && (fresh || *fixed);
        note_origin(shadow, entry, table, level, page, fresh);
        shadow->page[pool_index(&shadow->pool, table)].credit = SHADOW_CREDIT;
        in_shared |= top && (*entry & PTE_SHARED);
        if (!top && (*entry & PTE_SPLIT) && !split)
            split = level;
    }
    return table;
}

/* Puts the page into a root. Its entry, or null: no memory for a table. */
static uint64_t *put_page(struct vcpu *vcpu, struct shadow_root *root,
                          const struct shadow_lens *lens, const struct shadow_page *page,
                          bool *same)
{
    struct vm *vm = vcpu->vm;
    struct shadow *shadow = shadow_of(vm);
    bool attached;
    *shadow_with_gib(shadow, page->gva) |= shadow_set_of(shadow, trap_of(vcpu)->space);
    uint64_t *table = table_for(vcpu, root, lens, page, &attached);
    if (!table)
        return NULL;
    uint64_t *entry = &table[shadow_index(page->gva, page->level)];
    *same = *entry == page->pte && !attached;
    if (*entry == page->pte)
        return entry;
    bool replaced = *entry;
    if (replaced)
        shadow_forget_entry(vm, entry, page->level);
    *entry = page->pte;
    shadow_mark(shadow, entry);
    shadow_account(vm, page->pte, page->level, 1);
    if (shadow_is_code(page->pte))
        note_code(shadow, root->table, page);
    if (replaced)
        shadow_tlb_flush(vm);
    return entry;
}

/* Fills the neighbours of a 4 KiB page whose guest entries already have A set: as a TLB may. They
 * lie in the same guest table and in the same shadow table, around entry. Whether there is code
 * among them. */
static bool prefill(struct vm *vm, const struct shadow_lens *lens, uint64_t gva,
                    const struct walk *walk, bool shared, uint64_t *entry)
{
    unsigned self = shadow_index(gva, 0);
    unsigned first = self & ~(PREFILL_GROUP - 1);
    bool code = false;
    for (unsigned i = first; i < first + PREFILL_GROUP; i++) {
        uint64_t pte = __atomic_load_n(&walk->table[i], __ATOMIC_RELAXED);
        uint64_t *slot = entry + ((int)i - (int)self);
        if (*slot || !walk_is_cacheable(pte) || !shadow_in_view(lens, pte))
            continue;
        struct walk neighbour = shadow_neighbour(walk, pte);
        struct shadow_page page;
        uint64_t its_gva = gva + ((uint64_t)i - self) * PAGE_SIZE;
        if (!shadow_is_backed(vm, neighbour.gpa) ||
            !shadow_make_page(vm, lens, its_gva, &neighbour, &page) || page.global != shared ||
            !shadow_may_be_early(shadow_of(vm), page.pte))
            continue;
        *slot = page.pte;
        shadow_mark(shadow_of(vm), slot);
        shadow_account(vm, page.pte, 0, 1);
        code |= shadow_is_code(page.pte);
        vm->stats.memory.prefills++;
    }
    return code;
}

uint64_t *shadow_fill(struct vcpu *vcpu, struct shadow_root *root, const struct walk *walk,
                      const struct shadow_page *page, bool *same)
{
    struct vm *vm = vcpu->vm;
    struct shadow_lens lens = shadow_lens_of(trap_of(vcpu)->space, root);
    uint64_t *entry = put_page(vcpu, root, &lens, page, same);
    if (!entry)
        return NULL;
    vm->stats.memory.superpages += page->level > 0;
    vm->stats.memory.shared_fills += shadow_shared_upper(vcpu, &lens, page->gva, page->global) !=
                                     NULL;
    if (walk->table && page->level == 0 && shadow_is_on(vm, SWITCH_PREFILL) &&
        prefill(vm, &lens, page->gva, walk, page->global, entry))
        note_code(shadow_of(vm), root->table, page);
    return entry;
}

void shadow_fill_early(struct vcpu *vcpu, uint64_t gva, const struct walk *walk)
{
    struct vm *vm = vcpu->vm;
    struct shadow_space *space = trap_of(vcpu)->space;
    struct shadow_root *root = trap_of(vcpu)->root;
    if (!shadow_is_on(vm, SWITCH_RETRY) || !(walk->pte & PTE_A) || !shadow_is_backed(vm, walk->gpa))
        return;
    if (walk->pte & PTE_U)
        root = &space->root[shadow_root_index(VIEW_USER, vcpu->csr.sstatus & SSTATUS_MXR)];
    struct shadow_lens lens = shadow_lens_of(space, root);
    struct shadow_page page;
    bool same;
    if (root->table && shadow_in_view(&lens, walk->pte) &&
        shadow_make_page(vm, &lens, gva, walk, &page) &&
        shadow_may_be_early(shadow_of(vm), page.pte) && put_page(vcpu, root, &lens, &page, &same) &&
        !same)
        vm->stats.memory.early_fills++;
}
