/*
 * Shadow page tables: comparing them with the guest's, which is what a fence asks for (privileged
 * specification, "Supervisor Memory-Management Fence Instruction").
 *
 * Surprise: comparing may be put off. A table that fences have compared for long without a fault
 * asking for it, or that one exit has no time for, is put aside: the entry that names it loses V. A
 * fault in it takes it up again, and that is when its at most 512 entries are compared; tables
 * below it stay aside until a fault asks for them.
 */
#include "engine/trap/shadow_internal.h"
#include "host/map.h"

#define FEW_GROUPS   8u /* of a level-0 table: so many cost no more to compare than to fill again */
#define TAKEN_UP_MAX 3u /* times that a table with more is taken up as a whole */

#define LOW_BITS ((1ul << PTE_PPN_SHIFT) - 1)

/* What follows from guest entries with the same rights. In one table most are such. */
struct pattern {
    uint64_t begin; /* the guest entry of RAM's first frame with these low bits */
    uint64_t size;  /* such entries lie in [begin, begin + size) */
    uint64_t more;  /* what the shadow's entry is more than the guest's */
};

/* What is left in a table, or in eight entries of it. */
enum left { LEFT_ASIDE = 1, LEFT_VALID = 2, LEFT_LEAF = 4 };

/* Whether a leaf is what follows from a guest's leaf of the same level that fits the pattern. It
 * leads to RAM: a window's address may be another frame's. */
static inline bool is_same(const struct pattern *pattern, uint64_t entry, uint64_t pte)
{
    uint64_t offset = pte - pattern->begin;
    return entry - pte == pattern->more && offset < pattern->size && !(offset & LOW_BITS);
}

/* The pattern that a guest's entry fits: of RAM that is not patched. global: G above the entry.
 * False: nothing may be there because of it. */
static bool expect(const struct renewal *renewal, struct pattern *pattern, uint64_t pte,
                   bool global)
{
    const struct vm_ram_range *ram = &renewal->vm->ram;
    if (!walk_is_cacheable(pte) || !shadow_in_view(&renewal->lens, pte) ||
        (renewal->shared && !global && !(pte & PTE_G)))
        return false;
    uint64_t low = pte & LOW_BITS, bits = shadow_rights(&renewal->lens, pte);
    pattern->begin = ram->first >> PAGE_SHIFT << PTE_PPN_SHIFT | low;
    pattern->size = (ram->gpa + ram->size - ram->first) >> PAGE_SHIFT << PTE_PPN_SHIFT;
    pattern->more = (bits | PTE_V | PTE_U | PTE_A | PTE_D) - low +
                    (ram->hpa_offset >> PAGE_SHIFT << PTE_PPN_SHIFT);
    return true;
}

static void forget(struct renewal *renewal, uint64_t *entry, unsigned level)
{
    shadow_forget_entry(renewal->vm, entry, level);
    renewal->vm->stats.memory.forgotten++;
    renewal->changed = true;
}

/* A leaf of this level: kept, replaced or cleared. walk: what the guest says now; null: nothing.
 * in_super: the entry above is marked as part of one guest superpage. */
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
                shadow_may_be_early(shadow_of(vm), page.pte);
    /* New code is filled by a fault, which notes it in the tables above (shadow.code). */
    if (!keep || (shadow_is_code(page.pte) && !shadow_is_code(*entry))) {
        forget(renewal, entry, level);
        return;
    }
    vm->stats.memory.kept++;
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
static bool is_bare(const struct renewal *renewal)
{
    return renewal->satp >> SATP_MODE_SHIFT == SATP_MODE_BARE;
}

static bool peek(const struct renewal *renewal, uint64_t gva, struct walk *walk)
{
    *walk = (struct walk){0};
    return !is_bare(renewal) && walk_peek(renewal->vm, renewal->satp, gva, walk);
}

/* --- Tables --- */

static void put_aside(struct renewal *renewal, uint64_t *entry)
{
    struct shadow *shadow = shadow_of(renewal->vm);
    *entry &= ~(uint64_t)PTE_V;
    shadow->code_epoch += shadow->page[pool_index(&shadow->pool, shadow_table_of(*entry))].code;
    renewal->vm->stats.memory.set_aside++;
    renewal->changed = true;
}

/* Whether a fence may still compare a table, or must put it aside. */
static bool may_compare(const struct renewal *renewal, const uint64_t *table)
{
    const struct shadow *shadow = shadow_of(renewal->vm);
    return shadow->fence_rest && shadow->page[pool_index(&shadow->pool, table)].credit;
}

/* A fence has looked at so many groups of a table; if they held leaves, the table must prove its
 * use some day. */
static inline void charge(struct renewal *renewal, const uint64_t *table, uint32_t groups,
                          bool leaves)
{
    struct shadow *shadow = shadow_of(renewal->vm);
    uint16_t *credit = &shadow->page[pool_index(&shadow->pool, table)].credit;
    shadow->fence_rest -= groups < shadow->fence_rest ? groups : shadow->fence_rest;
    if (leaves)
        *credit = (uint16_t)(groups < *credit ? *credit - groups : 0);
}

/* How a table is compared. */
struct pass {
    uint64_t *table;
    unsigned level;
    bool top;                 /* it is a root */
    bool alone;               /* what is below it is put aside */
    bool asked;               /* guest and global were looked for */
    bool global;              /* G on the way to guest */
    uint64_t gva;             /* of its first entry */
    const struct walk *super; /* the guest superpage that all in it stems from, or null */
    const uint64_t *guest;    /* the guest's table of the same addresses, if there is one */
    struct pattern pattern;
};

/* Before the first leaf of a table is compared. */
static void ask_guest(const struct renewal *renewal, struct pass *pass)
{
    pass->asked = true;
    pass->global = false;
    pass->guest = NULL;
    pass->pattern.begin = pass->pattern.size = pass->pattern.more = 0; /* none */
    if (!pass->super && !is_bare(renewal))
        pass->guest = walk_table(renewal->vm, renewal->satp, pass->gva, pass->level, &pass->global);
}

static unsigned renew_table(struct renewal *renewal, uint64_t *table, unsigned level, uint64_t gva,
                            const struct walk *super, bool alone);

/* Whether all below a table stems from one guest superpage that is as it was. */
static bool is_unchanged(const struct renewal *renewal, const uint64_t *table,
                         const struct walk *super)
{
    const struct shadow *shadow = shadow_of(renewal->vm);
    return shadow->page[pool_index(&shadow->pool, table)].origin == super->pte &&
           (super->global || !renewal->shared) && !shadow->unseen_writes;
}

/* An entry that names a table. It is cleared if nothing is left below it, and put aside if nothing
 * that is in use is. */
static inline __attribute__((always_inline)) void renew_pointer(struct renewal *renewal,
                                                                uint64_t *entry, unsigned level,
                                                                uint64_t gva,
                                                                const struct walk *super)
{
    struct shadow *shadow = shadow_of(renewal->vm);
    struct walk walk;
    uint64_t *table = shadow_table_of(*entry);
    if (shadow->page[pool_index(&shadow->pool, table)].fixed)
        return;
    if (!may_compare(renewal, table)) {
        put_aside(renewal, entry);
        return;
    }
    if (!super && (*entry & PTE_SPLIT)) {
        if (!peek(renewal, gva, &walk) || walk.level != level) {
            forget(renewal, entry, level);
            return;
        }
        if (is_unchanged(renewal, table, &walk)) {
            renewal->vm->stats.memory.kept++;
            charge(renewal, table, 1, true);
            return;
        }
        super = &walk;
    }
    unsigned left = renew_table(renewal, table, level - 1, gva, super, false);
    if (super == &walk)
        shadow->page[pool_index(&shadow->pool, table)].origin = walk.pte;
    if (!left)
        forget(renewal, entry, level);
    else if (!(left & LEFT_VALID))
        put_aside(renewal, entry);
}

/* Whether a leaf is what follows from the guest's entry of the same table, in the common case. */
static inline bool fits(const struct renewal *renewal, struct pass *pass, uint64_t entry,
                        uint64_t pte)
{
    return is_same(&pass->pattern, entry, pte) ||
           (expect(renewal, &pass->pattern, pte, pass->global) &&
            is_same(&pass->pattern, entry, pte));
}

/* A leaf of any table but one of level 0 that the guest has too. */
static void renew_one(struct renewal *renewal, struct pass *pass, uint64_t *entry, uint64_t gva)
{
    struct walk walk;
    bool found = true;
    if (!pass->asked)
        ask_guest(renewal, pass);
    unsigned index = shadow_index(gva, pass->level);
    uint64_t pte = pass->guest ? __atomic_load_n(&pass->guest[index], __ATOMIC_RELAXED) : 0;
    if (fits(renewal, pass, *entry, pte)) {
        renewal->vm->stats.memory.kept++;
        return;
    }
    if (pass->super)
        walk = inside(pass->super, gva);
    else
        found = peek(renewal, gva, &walk);
    renew_leaf(renewal, entry, pass->level, gva, found ? &walk : NULL, pass->super);
}

/* An entry of such a table that is not 0. What is left of it. */
__attribute__((noinline)) static unsigned renew_entry(struct renewal *renewal, struct pass *pass,
                                                      uint64_t *entry)
{
    uint64_t pte = *entry, index = (uint64_t)(entry - pass->table);
    uint64_t gva = pass->gva | index << (PAGE_SHIFT + 9 * pass->level);
    if (pass->top && index == MAP_ROOT_SLOT)
        return 0;
    if (pass->top && index > MAP_ROOT_SLOT)
        gva |= -(1ul << (PAGE_SHIFT + 9 * (pass->level + 1)));
    if (shadow_is_leaf(pte))
        renew_one(renewal, pass, entry, gva);
    else if (!(pte & PTE_V) || (pass->top && (pte & PTE_SHARED)))
        ; /* it stays as it is */
    else if (pass->alone)
        *entry = pte & ~(uint64_t)PTE_V; /* the machine does not see it yet */
    else
        renew_pointer(renewal, entry, pass->level, gva, pass->super);
    if (!*entry)
        return 0;
    return *entry & PTE_V ? shadow_is_leaf(pte) ? LEFT_VALID | LEFT_LEAF : LEFT_VALID : LEFT_ASIDE;
}

/* An entry of a level-0 table that does not fit the pattern, and what the guest's is. False: it is
 * cleared. */
static bool renew_unlike(struct renewal *renewal, struct pass *pass, uint64_t *entry, uint64_t pte)
{
    if (expect(renewal, &pass->pattern, pte, pass->global) &&
        is_same(&pass->pattern, *entry, pte)) {
        renewal->vm->stats.memory.kept++;
        return true;
    }
    const struct walk above = {.global = pass->global};
    struct walk walk = shadow_neighbour(&above, pte);
    uint64_t gva = pass->gva + ((uint64_t)(entry - pass->table) << PAGE_SHIFT);
    renew_leaf(renewal, entry, 0, gva, walk_is_cacheable(pte) ? &walk : NULL, false);
    return *entry;
}

/* Eight entries of a level-0 table. The guest's stand side by side, if it has such a table. False:
 * none is left. */
static bool renew_group(struct renewal *renewal, struct pass *pass, uint64_t *entry)
{
    static const uint64_t none[8];
    const uint64_t *guest = pass->guest ? pass->guest + (entry - pass->table) : none;
    struct pattern pattern = pass->pattern; /* in registers */
    unsigned kept = 0, others = 0;
    for (const uint64_t *end = entry + 8; entry < end; entry++, guest++) {
        if (!*entry)
            continue;
        uint64_t pte = __atomic_load_n(guest, __ATOMIC_RELAXED);
        if (is_same(&pattern, *entry, pte)) {
            kept++;
        } else {
            others += renew_unlike(renewal, pass, entry, pte);
            pattern = pass->pattern;
        }
    }
    renewal->vm->stats.memory.kept += kept;
    return kept + others;
}

/* A level-0 table that stems from no superpage. What is left in it. */
static unsigned renew_last(struct renewal *renewal, uint64_t *table, uint64_t gva, bool alone)
{
    struct shadow *shadow = shadow_of(renewal->vm);
    uint64_t *groups = &shadow->page[pool_index(&shadow->pool, table)].groups;
    struct pass pass; /* not by an initializer, which would be a call of memset */
    pass.table = table;
    pass.level = 0;
    pass.gva = gva;
    pass.super = NULL;
    ask_guest(renewal, &pass);
    uint32_t looked = 0;
    struct shadow_groups left = {*groups, 0, 0};
    for (; shadow_next_group(&left); looked++)
        if (!renew_group(renewal, &pass, table + 8ul * left.group))
            *groups &= ~(1ul << left.group);
    if (!alone)
        charge(renewal, table, looked, true);
    return *groups ? LEFT_VALID : 0;
}

/* All entries of a table of this level, the first of which is for gva. What is left in it. super:
 * the guest superpage that they all stem from, or null. alone: not what is below it. */
static unsigned renew_table(struct renewal *renewal, uint64_t *table, unsigned level, uint64_t gva,
                            const struct walk *super, bool alone)
{
    if (level == 0 && !super)
        return renew_last(renewal, table, gva, alone);
    struct shadow *shadow = shadow_of(renewal->vm);
    uint64_t *groups = &shadow->page[pool_index(&shadow->pool, table)].groups;
    struct pass pass;
    pass.table = table;
    pass.level = level;
    pass.gva = gva;
    pass.super = super;
    pass.alone = alone;
    pass.top = level == shadow->host_levels - 1;
    pass.asked = false;
    unsigned left = 0;
    uint32_t looked = 0;
    for (struct shadow_groups some = {*groups, 0, 0}; shadow_next_group(&some); looked++) {
        uint64_t *entry = table + 8ul * some.group;
        unsigned these = 0;
        for (const uint64_t *end = entry + 8; entry < end; entry++)
            if (*entry)
                these |= renew_entry(renewal, &pass, entry);
        if (!these)
            *groups &= ~(1ul << some.group);
        left |= these;
    }
    if (!alone)
        charge(renewal, table, super ? 8 * looked : looked, left & LEFT_LEAF);
    return left & (LEFT_VALID | LEFT_ASIDE);
}

bool shadow_renew_table(struct renewal *renewal, uint64_t *table, unsigned level, uint64_t gva)
{
    return renew_table(renewal, table, level, gva, NULL, false);
}

void shadow_renew_found(struct renewal *renewal, uint64_t *entry, unsigned level, uint64_t gva,
                        const struct walk *walk)
{
    uint64_t first = gva & -(1ul << (PAGE_SHIFT + 9 * level));
    if (shadow_is_leaf(*entry))
        renew_leaf(renewal, entry, level, first, walk, false);
    else
        renew_pointer(renewal, entry, level, first, NULL);
}

/* Whether a level-0 table is better forgotten than taken up: it holds much, and was put aside and
 * taken up before, so only a part of it may be in use. What is, comes back. */
static bool is_sparse(struct shadow *shadow, const uint64_t *table)
{
    uint32_t page = pool_index(&shadow->pool, table);
    uint64_t groups = shadow->page[page].groups;
    unsigned count = 0;
    for (; groups && count <= FEW_GROUPS; count++)
        groups &= groups - 1;
    return count > FEW_GROUPS && ++shadow->page[page].taken_up >= TAKEN_UP_MAX;
}

void shadow_attach(struct renewal *renewal, uint64_t *entry, unsigned level, uint64_t gva,
                   unsigned split)
{
    struct shadow *shadow = shadow_of(renewal->vm);
    uint64_t *table = shadow_table_of(*entry);
    uint64_t first = gva & -(1ul << (PAGE_SHIFT + 9 * level));
    struct walk walk = {0};
    unsigned of = split ? split : *entry & PTE_SPLIT ? level : 0;
    if (of && (!peek(renewal, first, &walk) || walk.level != of)) {
        forget(renewal, entry, level);
        return;
    }
    if (!of && level == 1 && is_sparse(shadow, table)) {
        forget(renewal, entry, level);
        return;
    }
    bool unchanged = of == level && !split && is_unchanged(renewal, table, &walk);
    if (!unchanged && !renew_table(renewal, table, level - 1, first, of ? &walk : NULL, true)) {
        forget(renewal, entry, level);
        return;
    }
    if (of == level && !split)
        shadow->page[pool_index(&shadow->pool, table)].origin = walk.pte;
    shadow->page[pool_index(&shadow->pool, table)].credit = SHADOW_CREDIT;
    *entry |= PTE_V;
    renewal->vm->stats.memory.taken_up++;
}
