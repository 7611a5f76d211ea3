/*
 * Shadow page tables: SFENCE.VMA (privileged specification, "Supervisor Memory-Management Fence
 * Instruction").
 *
 * Surprise: a fence keeps what is still true. After it every entry that the machine sees must agree
 * with the guest's tables, and that is what is checked (shadow_renew.c): cheaper than a fault for
 * each page that comes back. Other spaces' tables are not read, for only the current satp says that
 * they are tables: they are checked when they are chosen.
 */
#include "engine/trap/shadow_internal.h"
#include "host/map.h"

void shadow_renew_space(struct vcpu *vcpu, struct shadow_space *space)
{
    struct vm *vm = vcpu->vm;
    struct renewal renewal = {.vm = vm, .satp = space->satp};
    bool bare = vcpu_is_bare(vcpu); /* then nothing depends on tables */
    shadow_begin_work(vm);
    for (struct shadow_root *root = space->root; root < space->root + SHADOW_ROOTS && !bare;
         root++) {
        if (!root->table)
            continue;
        renewal.lens = shadow_lens_of(space, root);
        shadow_renew_table(&renewal, root->table, shadow_of(vm)->host_levels - 1, 0);
    }
    space->stale = false;
    if (renewal.changed)
        shadow_tlb_flush(vm);
}

/* The renewal of a shared table. One for another mode than the current has nothing to be compared
 * with. */
static struct renewal upper_renewal(struct vcpu *vcpu, unsigned index)
{
    bool current = !vcpu_is_bare(vcpu) && index / 2 == shadow_upper_index(vcpu->csr.satp, 0) / 2;
    return (struct renewal){
        .vm = vcpu->vm,
        .satp = current ? vcpu->csr.satp : 0,
        .lens = {.view = VIEW_KERNEL, .mxr = index & 1},
        .shared = true,
    };
}

static bool is_named(const struct shadow_space *space, bool by_asid, uint64_t asid)
{
    return space->used && (!by_asid || shadow_asid(space->satp) == asid);
}

static void fence_uppers(struct vcpu *vcpu)
{
    struct shadow *shadow = shadow_of(vcpu->vm);
    unsigned level = shadow->host_levels - 2;
    uint64_t first = -(1ul << (PAGE_SHIFT + 9 * (level + 1)));
    bool changed = false;
    for (unsigned i = 0; i < SHADOW_UPPERS; i++) {
        if (!shadow->upper[i])
            continue;
        struct renewal renewal = upper_renewal(vcpu, i);
        shadow_renew_table(&renewal, shadow->upper[i], level, first);
        changed |= renewal.changed;
    }
    if (changed)
        shadow_tlb_flush(vcpu->vm);
}

static void fence_tables(struct vcpu *vcpu, bool by_asid, uint64_t asid)
{
    struct shadow *shadow = shadow_of(vcpu->vm);
    if (!by_asid)
        fence_uppers(vcpu);
    for (unsigned i = 0; i < shadow->spaces; i++) {
        struct shadow_space *space = &shadow->space[i];
        if (!is_named(space, by_asid, asid))
            continue;
        if (space == trap_of(vcpu)->space)
            shadow_renew_space(vcpu, space);
        else
            space->stale = true;
    }
}

/* The entry that holds what the machine sees of a tree of tables for gva: a leaf, or the table of a
 * guest superpage. Null: nothing. *level: of the first table, and then of the entry. */
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
        table = shadow_table_of(*entry);
    }
}

/* An address in one space. Of another than the current nothing is known: what it holds goes. */
static bool fence_space(struct vcpu *vcpu, struct shadow_space *space, uint64_t gva,
                        const struct walk *walk)
{
    struct shadow *shadow = shadow_of(vcpu->vm);
    bool current = space == trap_of(vcpu)->space, changed = false;
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
        shadow_renew_found(&renewal, entry, level, gva, current ? walk : NULL);
        changed |= renewal.changed;
    }
    return changed;
}

static bool fence_upper(struct vcpu *vcpu, uint64_t gva, const struct walk *walk)
{
    struct shadow *shadow = shadow_of(vcpu->vm);
    bool changed = false;
    for (unsigned i = 0; i < SHADOW_UPPERS; i++) {
        unsigned level = shadow->host_levels - 2;
        uint64_t *table = shadow->upper[i];
        uint64_t *entry = table ? find_entry(shadow, table, &level, gva) : NULL;
        if (!entry)
            continue;
        struct renewal renewal = upper_renewal(vcpu, i);
        shadow_renew_found(&renewal, entry, level, gva, renewal.satp ? walk : NULL);
        changed |= renewal.changed;
    }
    return changed;
}

static void fence_address(struct vcpu *vcpu, uint64_t gva, bool by_asid, uint64_t asid)
{
    struct vm *vm = vcpu->vm;
    struct shadow *shadow = shadow_of(vm);
    bool upper = (int64_t)gva < 0, changed = false;
    if (shadow_index(gva, shadow->host_levels - 1) == MAP_ROOT_SLOT)
        return; /* no canonical guest address: nothing can be cached for it */
    struct walk walk;
    bool found = !vcpu_is_bare(vcpu) && walk_peek(vm, vcpu->csr.satp, gva, &walk);
    shadow_begin_work(vm);
    uint64_t set = *shadow_with_gib(shadow, gva);
    if (by_asid)
        set &= *shadow_with_asid(shadow, asid);
    if (upper && !shadow->private_upper)
        set = 0;
    for (struct shadow_space *space = shadow->space; set; set >>= 1, space++)
        if ((set & 1) && is_named(space, by_asid, asid) && !space->stale)
            changed |= fence_space(vcpu, space, gva, found ? &walk : NULL);
    if (upper && !by_asid)
        changed |= fence_upper(vcpu, gva, found ? &walk : NULL);
    if (changed)
        shadow_tlb_flush(vm);
    const struct shadow_space *current = trap_of(vcpu)->space;
    if (found && current && is_named(current, by_asid, asid))
        shadow_fill_early(vcpu, gva, &walk);
}

void shadow_fence(struct vcpu *vcpu, unsigned by, uint64_t gva, uint64_t asid)
{
    struct vm *vm = vcpu->vm;
    vm->stats.memory.flushes++;
    shadow_of(vm)
        ->flush_epoch++; /* devices, which are in no table here, are forgotten too (ahead.c) */
    if (!shadow_is_on(vm, SWITCH_FENCE))
        shadow_drop_all(vm);
    else if (by & FENCE_ADDRESS)
        fence_address(vcpu, gva, by & FENCE_ASID, asid);
    else
        fence_tables(vcpu, by & FENCE_ASID, asid);
}
