/*
 * Two MMUs in software for test_shadow.c, written from the privileged specification's "Virtual
 * Address Translation Process" alone: the guest's, which says what an access must do, and the
 * machine's, which says what the shadow tables let through.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "vm/walk.h"

struct mmu_hart {
    uint64_t satp;
    bool user, sum, mxr;
};

struct mmu_result {
    uint64_t cause;   /* 0: the access is allowed */
    uint64_t address; /* of the byte */
    uint64_t *leaf;   /* null: no paging */
    uint64_t path[5]; /* addresses of the entries looked at, from the root on */
    unsigned steps, level;
};

static inline uint64_t mmu_fault(enum access access, bool page)
{
    static const uint8_t causes[3][2] = {{1, 12}, {5, 13}, {7, 15}}; /* fetch, load, store */
    return causes[access][page];
}

static inline bool mmu_may(uint64_t pte, const struct mmu_hart *hart, enum access access)
{
    bool r = pte >> 1 & 1, w = pte >> 2 & 1, x = pte >> 3 & 1, u = pte >> 4 & 1;
    if (hart->user && !u)
        return false;
    if (!hart->user && u && (access == ACCESS_FETCH || !hart->sum))
        return false;
    return access == ACCESS_FETCH ? x : access == ACCESS_STORE ? w : r || (hart->mxr && x);
}

/* memory(address) is a pointer to the table entry there, or null where there is no RAM. */
static inline struct mmu_result mmu_translate(const struct mmu_hart *hart, uint64_t va,
                                              enum access access,
                                              uint64_t *(*memory)(uint64_t address))
{
    unsigned mode = hart->satp >> 60;
    struct mmu_result result = {.address = va};
    if (mode == 0)
        return result;
    unsigned levels = mode - 5; /* 8: three, 9: four, 10: five */
    unsigned top = 12 + 9 * levels;
    uint64_t sign = va >> (top - 1);
    if (sign != 0 && sign != UINT64_MAX >> (top - 1)) {
        result.cause = mmu_fault(access, true);
        return result;
    }
    uint64_t table = (hart->satp & 0xfffffffffff) * 4096;
    for (unsigned i = levels; i-- > 0;) {
        uint64_t address = table + 8 * (va >> (12 + 9 * i) & 0x1ff);
        uint64_t *entry = memory(address);
        if (!entry) {
            result.cause = mmu_fault(access, false);
            return result;
        }
        result.path[result.steps++] = address;
        uint64_t pte = *entry, ppn = pte >> 10 & 0xfffffffffff;
        bool valid = (pte & 1) && !((pte & 4) && !(pte & 2)) && pte >> 54 == 0;
        if (valid && !(pte & 0xa) && i > 0 && !(pte & 0xd0)) {
            table = ppn * 4096;
            continue;
        }
        bool leaf = valid && (pte & 0xa) && ppn % (1ul << 9 * i) == 0;
        if (!leaf || !mmu_may(pte, hart, access)) {
            result.cause = mmu_fault(access, true);
            return result;
        }
        result.leaf = entry;
        result.level = i;
        result.address = ppn * 4096 + va % (4096ul << 9 * i);
        return result;
    }
    return result; /* not reached: level 0 is a leaf or a fault */
}

/* --- A TLB that keeps what it may: until an sfence.vma, by ASID --- */

#define MMU_TLB 128u

struct mmu_tlb {
    struct {
        bool valid;
        uint16_t asid;
        uint64_t page, hpa, pte;
    } entry[MMU_TLB];
};

static inline unsigned mmu_tlb_slot(uint64_t satp, uint64_t va)
{
    return ((va >> 12) ^ (va >> 21) * 5 ^ (va >> 30) * 11 ^ (satp >> 44 & 0xffff) * 7) % MMU_TLB;
}

/* The page's address, or all ones: not cached with this permission. The machine's U-mode. */
static inline uint64_t mmu_tlb_find(const struct mmu_tlb *tlb, uint64_t satp, uint64_t va,
                                    enum access access)
{
    const struct mmu_hart user = {.user = true};
    unsigned slot = mmu_tlb_slot(satp, va);
    bool hit = tlb->entry[slot].valid && tlb->entry[slot].asid == (satp >> 44 & 0xffff) &&
               tlb->entry[slot].page == va >> 12 && mmu_may(tlb->entry[slot].pte, &user, access);
    return hit ? tlb->entry[slot].hpa : UINT64_MAX;
}

/* Whether the page is cached: then a permission that it lacks is a fault, without a look at the
 * tables. */
static inline bool mmu_tlb_refuses(const struct mmu_tlb *tlb, uint64_t satp, uint64_t va)
{
    unsigned slot = mmu_tlb_slot(satp, va);
    return tlb->entry[slot].valid && tlb->entry[slot].asid == (satp >> 44 & 0xffff) &&
           tlb->entry[slot].page == va >> 12;
}

static inline void mmu_tlb_put(struct mmu_tlb *tlb, uint64_t satp, uint64_t va, uint64_t hpa,
                               uint64_t pte)
{
    unsigned slot = mmu_tlb_slot(satp, va);
    tlb->entry[slot].valid = true;
    tlb->entry[slot].asid = satp >> 44 & 0xffff;
    tlb->entry[slot].page = va >> 12;
    tlb->entry[slot].hpa = hpa & ~0xffful;
    tlb->entry[slot].pte = pte;
}
