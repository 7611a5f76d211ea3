/*
 * Guest page walk: privileged specification, "Virtual Address Translation Process" (Sv39, Sv48).
 *
 * Surprise: a table outside guest RAM is an access fault of the original access, not a page fault.
 */
#include "memory/walk.h"

#include <stddef.h>

#include "device.h"
#include "memory/patch.h"

bool walk_permits(uint64_t pte, const struct walk_mode *mode, enum access access)
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
    patch_drop(vm, table_gpa); /* a table may share its page with code */
    if (!__atomic_compare_exchange_n(entry, pte, wanted, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        return false;
    *pte = wanted;
    return true;
}

static bool is_canonical(uint64_t gva, unsigned levels)
{
    unsigned unused = 64 - (PAGE_SHIFT + 9 * levels);
    return (uint64_t)((int64_t)(gva << unused) >> unused) == gva;
}

uint64_t walk_guest(struct vm *vm, const struct walk_mode *mode, uint64_t gva, enum access access,
                    struct walk *walk)
{
    uint64_t satp_mode = mode->satp >> SATP_MODE_SHIFT;
    if (satp_mode == SATP_MODE_BARE) {
        *walk = (struct walk){
            .gpa = gva,
            .pte = PTE_V | PTE_R | PTE_W | PTE_X | PTE_A | PTE_D,
            .level = 2,
        };
        return 0;
    }
    unsigned levels = satp_mode == SATP_MODE_SV39 ? 3 : 4;
    if (!is_canonical(gva, levels))
        return walk_page_fault(access);

again:;
    uint64_t table_gpa = (mode->satp & SATP_PPN_MASK) << PAGE_SHIFT;
    bool global = false;
    for (unsigned level = levels; level-- > 0;) {
        unsigned shift = PAGE_SHIFT + 9 * level;
        uint64_t *table = vm_ram(vm, table_gpa, PAGE_SIZE);
        if (!table)
            return walk_access_fault(access);
        uint64_t *entry = &table[(gva >> shift) & 511];
        uint64_t pte = __atomic_load_n(entry, __ATOMIC_RELAXED);

        if (!(pte & PTE_V) || (pte & (PTE_R | PTE_W)) == PTE_W || (pte & PTE_RESERVED))
            return walk_page_fault(access);
        global |= (pte & PTE_G) != 0;
        if (!(pte & (PTE_R | PTE_X))) {
            if (pte & (PTE_U | PTE_A | PTE_D))
                return walk_page_fault(access);
            table_gpa = PTE_PPN(pte) << PAGE_SHIFT;
            continue;
        }
        uint64_t offset_mask = (1ul << shift) - 1;
        uint64_t leaf_gpa = PTE_PPN(pte) << PAGE_SHIFT;
        if ((leaf_gpa & offset_mask) || !walk_permits(pte, mode, access))
            return walk_page_fault(access);
        if (!mode->probe && !update_accessed(vm, table_gpa, entry, &pte, access))
            goto again;
        *walk = (struct walk){
            .gpa = leaf_gpa | (gva & offset_mask),
            .pte = pte,
            .table = level == 0 ? table : NULL,
            .level = (uint8_t)level,
            .global = global,
        };
        return 0;
    }
    return walk_page_fault(access);
}
