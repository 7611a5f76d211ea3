/*
 * Guest page walk: privileged specification, "Virtual Address Translation Process" (Sv39, Sv48).
 *
 * Surprise: a table outside guest RAM is an access fault of the original access, not a page fault.
 */
#include "vm/walk.h"

#include "host/map.h"
#include "vm/engine.h"
#include "vm/vm.h"

static bool permits(uint64_t pte, const struct walk_mode *mode, enum access access)
{
    if (pte & PTE_U) {
        if (!mode->user && (!mode->sum || access == ACCESS_FETCH))
            return false;
    } else if (mode->user) {
        return false;
    }
    switch (access) {
    case ACCESS_FETCH: return pte & PTE_X;
    case ACCESS_STORE: return pte & PTE_W;
    default: return (pte & PTE_R) || (mode->mxr && (pte & PTE_X));
    }
}

/* Sets A and D in memory unless the entry changed meanwhile; returns false to walk again. */
static bool update_accessed(struct vm *vm, uint64_t table_gpa, uint64_t *entry, uint64_t *pte,
                            enum access access)
{
    uint64_t wanted = *pte | PTE_A | (access == ACCESS_STORE ? PTE_D : 0);
    if (wanted == *pte)
        return true;
    vm->engine->ram_written(vm, table_gpa,
                            sizeof(*entry)); /* a table may share its page with code */
    if (!__atomic_compare_exchange_n(entry, pte, wanted, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        return false;
    *pte = wanted;
    return true;
}

/* How a search in the guest's tables ends. */
enum found { FOUND_LEAF, FOUND_NOTHING, FOUND_NO_MEMORY /* a table lies outside RAM */ };

/* Where the leaf of an address is. */
struct place {
    uint64_t table_gpa;
    uint64_t *table, *entry; /* the last table looked at, and its entry */
};

static unsigned levels_of(uint64_t satp)
{
    return satp >> SATP_MODE_SHIFT == SATP_MODE_SV39 ? 3 : 4;
}

/* Whether an entry that is no leaf leads to a table. */
static bool is_pointer(uint64_t pte)
{
    return (pte & PTE_V) && !(pte & (PTE_R | PTE_W | PTE_X | PTE_U | PTE_A | PTE_D | PTE_RESERVED));
}

static enum found find(struct vm *vm, uint64_t satp, uint64_t gva, struct walk *walk,
                       struct place *place)
{
    unsigned levels = levels_of(satp);
    *walk = (struct walk){0};
    if (!walk_is_canonical(gva, levels))
        return FOUND_NOTHING;
    place->table_gpa = (satp & SATP_PPN_MASK) << PAGE_SHIFT;
    for (unsigned level = levels; level-- > 0;) {
        unsigned shift = PAGE_SHIFT + 9 * level;
        if (!vm_is_ram(vm, place->table_gpa))
            return FOUND_NO_MEMORY;
        place->table = map_hpa(place->table_gpa + vm->ram.hpa_offset);
        if (level == 0)
            walk->table = place->table;
        place->entry = &place->table[(gva >> shift) & 511];
        uint64_t pte = __atomic_load_n(place->entry, __ATOMIC_RELAXED);

        if (!(pte & PTE_V) || (pte & (PTE_R | PTE_W)) == PTE_W || (pte & PTE_RESERVED))
            return FOUND_NOTHING;
        bool leaf = pte & (PTE_R | PTE_X);
        if (!leaf && (level == 0 || !is_pointer(pte)))
            return FOUND_NOTHING;
        walk->global |= (pte & PTE_G) != 0;
        if (!leaf) {
            place->table_gpa = PTE_PPN(pte) << PAGE_SHIFT;
            continue;
        }
        uint64_t offset_mask = (1ul << shift) - 1;
        uint64_t leaf_gpa = PTE_PPN(pte) << PAGE_SHIFT;
        if (leaf_gpa & offset_mask)
            return FOUND_NOTHING;
        walk->gpa = leaf_gpa | (gva & offset_mask);
        walk->pte = pte;
        walk->level = (uint8_t)level;
        return FOUND_LEAF;
    }
    return FOUND_NOTHING;
}

uint64_t walk_guest(struct vm *vm, const struct walk_mode *mode, uint64_t gva, enum access access,
                    struct walk *walk)
{
    if (mode->satp >> SATP_MODE_SHIFT == SATP_MODE_BARE) {
        *walk = (struct walk){
            .gpa = gva,
            .pte = PTE_V | PTE_R | PTE_W | PTE_X | PTE_A | PTE_D,
            .level = 2,
        };
        return 0;
    }
    for (;;) {
        struct place place;
        enum found found = find(vm, mode->satp, gva, walk, &place);
        if (found == FOUND_NO_MEMORY)
            return walk_access_fault(access);
        if (found == FOUND_NOTHING || !permits(walk->pte, mode, access))
            return walk_page_fault(access);
        if (mode->probe || update_accessed(vm, place.table_gpa, place.entry, &walk->pte, access))
            return 0;
    }
}

bool walk_peek(struct vm *vm, uint64_t satp, uint64_t gva, struct walk *walk)
{
    struct place place;
    return find(vm, satp, gva, walk, &place) == FOUND_LEAF;
}

const uint64_t *walk_table(struct vm *vm, uint64_t satp, uint64_t gva, unsigned level, bool *global)
{
    unsigned levels = levels_of(satp);
    uint64_t table_gpa = (satp & SATP_PPN_MASK) << PAGE_SHIFT;
    *global = false;
    if (!walk_is_canonical(gva, levels) || level >= levels)
        return NULL;
    for (unsigned at = levels - 1;; at--) {
        if (!vm_is_ram(vm, table_gpa))
            return NULL;
        const uint64_t *table = map_hpa(table_gpa + vm->ram.hpa_offset);
        if (at == level)
            return table;
        uint64_t pte = __atomic_load_n(&table[(gva >> (PAGE_SHIFT + 9 * at)) & 511],
                                       __ATOMIC_RELAXED);
        if (!is_pointer(pte))
            return NULL;
        *global |= (pte & PTE_G) != 0;
        table_gpa = PTE_PPN(pte) << PAGE_SHIFT;
    }
}
