/*
 * Shadow page tables: SFENCE.VMA (privileged specification, "Supervisor Memory-Management Fence Instruction").
 *
 * Surprise: a fence keeps what is still true. After it every entry must agree with the guest's tables, and that
 * is what is checked here, table by table: cheaper than a fault for each page that comes back. Other spaces' tables
 * are not read, for only the current satp says that they are tables: they are checked when they are chosen.
 */
#include "cpu/inline.h"
#include "memory/map.h"
#include "memory/shadow_internal.h"

/* One pass over the tables of a root, or over a shared table. */
struct renewal {
    struct vm *vm;
    uint64_t satp;
    struct shadow_lens lens;
    bool shared;  /* a table of global kernel pages only */
    bool changed; /* something was dropped or became another: the machine's TLB must forget it */
    /* In a level-0 table most entries have the same rights: the low bits of one guest entry, and what a shadow entry
     * that follows from such a one is more than it. */
    uint64_t guest_bits, more;
};

#define LOW_BITS ((1ul << PTE_PPN_SHIFT) - 1)

/* Whether a shadow entry is what follows from a guest's level-0 entry, by what was seen before in its table. */
static inline bool is_same(const struct renewal *renewal, uint64_t entry, uint64_t pte)
{
    return entry - pte == renewal->more && (pte & LOW_BITS) == renewal->guest_bits &&
           shadow_is_ram(renewal->vm, PTE_PPN(pte) << PAGE_SHIFT); /* no window's address */
}

static void forget(struct renewal *renewal, uint64_t *entry, unsigned level)
{
    shadow_forget_entry(renewal->vm, entry, level);
    renewal->vm->stats.memory.forgotten++;
    renewal->changed = true;
}

/* A leaf of this level: kept, replaced or cleared. walk: what the guest says now; null: nothing. in_super: the
 * entry above is marked as part of one guest superpage. */
static void renew_leaf(struct renewal *renewal, uint64_t *entry, unsigned level, uint64_t gva,
                       const struct walk *walk, bool in_super)
{
    struct vm *vm = renewal->vm;
    struct shadow_page page;
    if (shadow_is_fixed(vm, *entry))
        return;
    bool keep = walk && (walk->pte & PTE_A) && shadow_in_view(&renewal->lens, walk->pte) &&
                shadow_is_backed(vm, walk->gpa) &&
                shadow_make_page(vm, &renewal->lens, gva, walk, &page) && page.level == level &&
                (in_super || page.guest_level == 0) && (page.global || !renewal->shared) &&
                shadow_may_be_early(vm->shadow, page.pte);
    if (!keep) {
        forget(renewal, entry, level);
        return;
    }
    vm->stats.memory.kept++;
    renewal->guest_bits = walk->pte & LOW_BITS;
    renewal->more = (page.pte & LOW_BITS) - renewal->guest_bits +
                    (vm->ram.hpa_offset >> PAGE_SHIFT << PTE_PPN_SHIFT);
    if (*entry == page.pte)
        return;
    shadow_forget_entry(vm, entry, level);
    *entry = page.pte;
    shadow_account(vm, page.pte, level, 1);
    renewal->changed = true;
}

/* The guest superpage above gva: as if it had been walked to. */
static struct walk inside(const struct walk *super, uint64_t gva)
{
    struct walk walk = *super;
    uint64_t mask = (1ul << (PAGE_SHIFT + 9 * super->level)) - 1;
    walk.gpa = (super->gpa & ~mask) | (gva & mask);
    return walk;
}

/* With a satp of mode Bare there are no tables that could tell. */
static bool peek(const struct renewal *renewal, uint64_t gva, struct walk *walk)
{
    *walk = (struct walk){0};
    return renewal->satp >> SATP_MODE_SHIFT != SATP_MODE_BARE &&
           walk_peek(renewal->vm, renewal->satp, gva, walk);
}

static bool renew_table(struct renewal *renewal, uint64_t *table, unsigned level, uint64_t gva,
                        const struct walk *super);

/* Whether all below a table stems from one guest superpage that is as it was. */
static bool is_unchanged(const struct renewal *renewal, const uint64_t *table,
                         const struct walk *super)
{
    const struct shadow *shadow = renewal->vm->shadow;
    return shadow->origin[pool_index(&shadow->pool, table)] == super->pte &&
           (super->global || !renewal->shared) && !shadow->unseen_writes;
}

/* An entry that names a table. It is cleared if nothing is left below it. */
static void renew_pointer(struct renewal *renewal, uint64_t *entry, unsigned level, uint64_t gva,
                          const struct walk *super)
{
    struct shadow *shadow = renewal->vm->shadow;
    struct walk walk;
    uint64_t *table = map_hpa(PTE_PPN(*entry) << PAGE_SHIFT);
    if (!super && (*entry & PTE_SPLIT)) {
        if (!peek(renewal, gva, &walk) || walk.level != level) {
            forget(renewal, entry, level);
            return;
        }
        if (is_unchanged(renewal, table, &walk)) {
            renewal->vm->stats.memory.kept++;
            return;
        }
        super = &walk;
    }
    if (!renew_table(renewal, table, level - 1, gva, super))
        forget(renewal, entry, level);
    else if (super == &walk)
        shadow->origin[pool_index(&shadow->pool, table)] = walk.pte;
}

/* An entry that is valid. False: it is cleared. super: the guest superpage that it stems from, or null. */
static bool renew_entry(struct renewal *renewal, uint64_t *entry, unsigned level, uint64_t gva,
                        const struct walk *super)
{
    bool top = level == renewal->vm->shadow->host_levels - 1;
    if (!shadow_is_leaf(*entry)) {
        if (!top || !(*entry & PTE_SHARED))
            renew_pointer(renewal, entry, level, gva, super);
        return *entry;
    }
    struct walk walk;
    bool found = true;
    if (super)
        walk = inside(super, gva);
    else
        found = peek(renewal, gva, &walk);
    renew_leaf(renewal, entry, level, gva, found ? &walk : NULL, super);
    return *entry;
}

/* Eight entries of a level-0 table, the first for gva. The guest's stand side by side too, if it has such a table.
 * False: none is left. */
static bool renew_group(struct renewal *renewal, uint64_t *entry, uint64_t gva,
                        const struct walk *table)
{
    const uint64_t *guest = table->table ? &table->table[shadow_index(gva, 0)] : NULL;
    unsigned kept = 0;
    bool any = false;
    for (unsigned i = 0; i < 8; i++) {
        if (!entry[i])
            continue;
        uint64_t pte = guest ? __atomic_load_n(&guest[i], __ATOMIC_RELAXED) : 0;
        if (is_same(renewal, entry[i], pte)) {
            kept++;
            continue;
        }
        struct walk walk = shadow_neighbour(table, pte);
        renew_leaf(renewal, &entry[i], 0, gva + ((uint64_t)i << PAGE_SHIFT),
                   walk_is_cacheable(pte) ? &walk : NULL, false);
        any |= entry[i] != 0;
    }
    renewal->vm->stats.memory.kept += kept;
    return any || kept;
}

/* Eight entries of any other table. */
static bool renew_entries(struct renewal *renewal, uint64_t *table, unsigned index, unsigned level,
                          uint64_t gva, const struct walk *super)
{
    bool top = level == renewal->vm->shadow->host_levels - 1, any = false;
    for (unsigned i = index; i < index + 8; i++) {
        uint64_t offset = (uint64_t)i << (PAGE_SHIFT + 9 * level);
        if (top && i >= 256)
            offset |= -(1ul << (PAGE_SHIFT + 9 * (level + 1)));
        if ((table[i] & PTE_V) && !(top && i == MAP_ROOT_SLOT))
            any |= renew_entry(renewal, &table[i], level, gva | offset, super);
    }
    return any;
}

/* All entries of a table of this level, the first of which is for gva. False: none is left. super: the guest
 * superpage that they all stem from, or null. */
static bool renew_table(struct renewal *renewal, uint64_t *table, unsigned level, uint64_t gva,
                        const struct walk *super)
{
    struct shadow *shadow = renewal->vm->shadow;
    uint64_t *groups = &shadow->groups[pool_index(&shadow->pool, table)];
    bool by_table = level == 0 && !super;
    struct walk walk;
    renewal->guest_bits = ~0ul;
    if (by_table)
        peek(renewal, gva, &walk);
    uint64_t bits = *groups;
    for (unsigned i = 0; bits; i += 8, bits >>= 1) {
        if (!(bits & 1))
            continue;
        bool left = by_table
                        ? renew_group(renewal, table + i, gva + ((uint64_t)i << PAGE_SHIFT), &walk)
                        : renew_entries(renewal, table, i, level, gva, super);
        if (!left)
            *groups &= ~(1ul << (i / 8));
    }
    return *groups;
}

static bool renew_root(struct vm *vm, struct shadow_space *space, struct shadow_root *root)
{
    struct renewal renewal = {.vm = vm, .satp = space->satp, .lens = shadow_lens_of(space, root)};
    if (root->table)
        renew_table(&renewal, root->table, vm->shadow->host_levels - 1, 0, NULL);
    return renewal.changed;
}

void shadow_renew_space(struct vcpu *vcpu, struct shadow_space *space)
{
    bool changed = false, bare = shadow_is_bare(vcpu); /* then nothing depends on tables */
    for (unsigned i = 0; i < SHADOW_ROOTS && !bare; i++)
        changed |= renew_root(vcpu->vm, space, &space->root[i]);
    space->stale = false;
    if (changed)
        shadow_tlb_flush(vcpu->vm);
}

/* The renewal of a shared table. One for another mode than the current has nothing to be compared with. */
static struct renewal upper_renewal(struct vcpu *vcpu, unsigned index)
{
    bool current = !shadow_is_bare(vcpu) && index / 2 == shadow_upper_index(vcpu->csr.satp, 0) / 2;
    return (struct renewal){
        .vm = vcpu->vm,
        .satp = current ? vcpu->csr.satp : 0,
        .lens = {.view = VIEW_KERNEL, .mxr = index & 1},
        .shared = true,
    };
}

static bool is_named(const struct shadow_space *space, bool by_asid, uint64_t asid)
{
    uint64_t own = space->satp >> SATP_ASID_SHIFT & SATP_ASID_MASK;
    return space->used && (!by_asid || own == asid);
}

static void fence_tables(struct vcpu *vcpu, bool by_asid, uint64_t asid)
{
    struct shadow *shadow = vcpu->vm->shadow;
    unsigned level = shadow->host_levels - 2;
    bool changed = false;
    for (unsigned i = 0; i < SHADOW_UPPERS && !by_asid; i++) {
        struct renewal renewal = upper_renewal(vcpu, i);
        uint64_t first = -(1ul << (PAGE_SHIFT + 9 * (level + 1)));
        if (shadow->upper[i])
            renew_table(&renewal, shadow->upper[i], level, first, NULL);
        changed |= renewal.changed;
    }
    if (changed)
        shadow_tlb_flush(vcpu->vm);
    for (unsigned i = 0; i < shadow->spaces; i++) {
        struct shadow_space *space = &shadow->space[i];
        if (!is_named(space, by_asid, asid))
            continue;
        if (space == shadow->current)
            shadow_renew_space(vcpu, space);
        else
            space->stale = true;
    }
}

/* The entry that holds what a tree of tables has for gva: a leaf, or the table of a guest superpage. Null: nothing.
 * *level: of the first table, and then of the entry. */
static uint64_t *find_entry(const struct shadow *shadow, uint64_t *table, unsigned *level,
                            uint64_t gva)
{
    for (;; --*level) {
        uint64_t *entry = &table[shadow_index(gva, *level)];
        bool top = *level == shadow->host_levels - 1;
        if (!(*entry & PTE_V) || (top && (*entry & PTE_SHARED)))
            return NULL;
        if (shadow_is_leaf(*entry) || (*entry & PTE_SPLIT))
            return entry;
        table = map_hpa(PTE_PPN(*entry) << PAGE_SHIFT);
    }
}

/* Renews it. walk: what the guest says of gva now, or null. */
static bool renew_found(struct renewal *renewal, uint64_t *entry, unsigned level, uint64_t gva,
                        const struct walk *walk)
{
    uint64_t first = gva & -(1ul << (PAGE_SHIFT + 9 * level));
    if (shadow_is_leaf(*entry))
        renew_leaf(renewal, entry, level, first, walk, false);
    else
        renew_pointer(renewal, entry, level, first, NULL);
    return renewal->changed;
}

/* An address in one space. Of another than the current nothing is known: what it holds goes. */
static bool fence_space(struct vcpu *vcpu, struct shadow_space *space, uint64_t gva,
                        const struct walk *walk)
{
    struct shadow *shadow = vcpu->vm->shadow;
    bool current = space == shadow->current, changed = false;
    for (unsigned i = 0; i < SHADOW_ROOTS; i++) {
        struct shadow_root *root = &space->root[i];
        unsigned level = shadow->host_levels - 1;
        uint64_t *entry = root->table ? find_entry(shadow, root->table, &level, gva) : NULL;
        if (!entry)
            continue;
        struct renewal renewal = {
            .vm = vcpu->vm,
            .satp = current ? space->satp : 0,
            .lens = shadow_lens_of(space, root),
        };
        changed |= renew_found(&renewal, entry, level, gva, current ? walk : NULL);
    }
    return changed;
}

static bool fence_upper(struct vcpu *vcpu, uint64_t gva, const struct walk *walk)
{
    struct shadow *shadow = vcpu->vm->shadow;
    bool changed = false;
    for (unsigned i = 0; i < SHADOW_UPPERS; i++) {
        unsigned level = shadow->host_levels - 2;
        uint64_t *table = shadow->upper[i];
        uint64_t *entry = table ? find_entry(shadow, table, &level, gva) : NULL;
        if (!entry)
            continue;
        struct renewal renewal = upper_renewal(vcpu, i);
        changed |= renew_found(&renewal, entry, level, gva, renewal.satp ? walk : NULL);
    }
    return changed;
}

static void fence_address(struct vcpu *vcpu, uint64_t gva, bool by_asid, uint64_t asid)
{
    struct vm *vm = vcpu->vm;
    struct shadow *shadow = vm->shadow;
    bool upper = (int64_t)gva < 0, changed = false;
    if (shadow_index(gva, shadow->host_levels - 1) == MAP_ROOT_SLOT)
        return; /* no canonical guest address: nothing can be cached for it */
    struct walk walk;
    bool found = !shadow_is_bare(vcpu) && walk_peek(vm, vcpu->csr.satp, gva, &walk);
    for (unsigned i = 0; i < shadow->spaces && (!upper || shadow->private_upper); i++) {
        struct shadow_space *space = &shadow->space[i];
        if (is_named(space, by_asid, asid) && !space->stale)
            changed |= fence_space(vcpu, space, gva, found ? &walk : NULL);
    }
    if (upper && !by_asid)
        changed |= fence_upper(vcpu, gva, found ? &walk : NULL);
    if (changed)
        shadow_tlb_flush(vm);
    if (found && is_named(shadow->current, by_asid, asid))
        shadow_fill_early(vcpu, gva, &walk);
}

void shadow_fence(struct vcpu *vcpu, bool by_address, uint64_t gva, bool by_asid, uint64_t asid)
{
    struct vm *vm = vcpu->vm;
    vm->stats.memory.flushes++;
    inline_note_fence(vcpu, by_address, gva);
    vm->shadow
        ->flush_epoch++; /* devices, which are in no table here, are forgotten too (cpu/ahead.c) */
    if (!shadow_is_on(vm, SWITCH_FENCE))
        shadow_drop_all(vcpu);
    else if (by_address)
        fence_address(vcpu, gva, by_asid, asid);
    else
        fence_tables(vcpu, by_asid, asid);
}
