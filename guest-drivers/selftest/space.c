/*
 * Builds address spaces for the checks.
 *
 * Privileged specification, "Sv39" and "Sv48". The surprise: an Sv48 space is an Sv39 space below
 * one more table, so every check of Sv39 can be made with Sv48.
 */
#include <string.h>

#include "space.h"

#define ENTRIES               512u
#define TABLES                48u
#define RAM                   0x80000000ul
#define TOP_INDEX(gva, level) ((gva) >> (PAGE_SHIFT + 9 * (level)) & (ENTRIES - 1))

uint64_t space_page[SPACE_PAGES][PAGE_SIZE / 8] __attribute__((aligned(4096)));
static uint64_t tables[TABLES][ENTRIES] __attribute__((aligned(4096)));
static unsigned used;

static uint64_t *table_new(void)
{
    if (!expect("tables", used < TABLES, 1))
        used = 0;
    memset(tables[used], 0, sizeof(tables[used]));
    return tables[used++];
}

uint64_t *space_new(void)
{
    uint64_t *root = table_new();
    root[TOP_INDEX(RAM, 2)] = PTE_LEAF(RAM, PTE_S_RWX);
    return root;
}

uint64_t *space_reset(void)
{
    used = 0;
    memset(space_page, 0, sizeof(space_page));
    return space_new();
}

uint64_t space_satp(const uint64_t *root, uint64_t asid)
{
    return SATP_MODE_SV39 << SATP_MODE_SHIFT | asid << SATP_ASID_SHIFT |
           (uint64_t)root >> PAGE_SHIFT;
}

uint64_t space_satp48(const uint64_t *root)
{
    uint64_t *top = table_new();
    top[0] = PTE_LEAF((uint64_t)root, 0);
    uint64_t satp = SATP_MODE_SV48 << SATP_MODE_SHIFT | (uint64_t)top >> PAGE_SHIFT;
    csr_write(CSR_SATP, satp);
    bool accepted = csr_read(CSR_SATP) == satp;
    csr_write(CSR_SATP, 0);
    sfence_vma_all();
    return accepted ? satp : 0;
}

uint64_t *space_pte(uint64_t *root, uint64_t gva, unsigned level)
{
    uint64_t *table = root;
    for (unsigned at = 2; at > level; at--) {
        uint64_t *entry = &table[TOP_INDEX(gva, at)];
        if (!*entry)
            *entry = PTE_LEAF((uint64_t)table_new(), 0);
        table = (uint64_t *)(PTE_PPN(*entry) << PAGE_SHIFT);
    }
    return &table[TOP_INDEX(gva, level)];
}

void space_map(uint64_t *root, uint64_t gva, const void *gpa, uint64_t flags)
{
    *space_pte(root, gva, 0) = PTE_LEAF((uint64_t)gpa, flags);
}

void space_user_code(uint64_t *root, struct run *run)
{
    uint64_t first = (uint64_t)run->start & ~PAGE_MASK;
    for (uint64_t at = 0; at < 2 * PAGE_SIZE; at += PAGE_SIZE)
        space_map(root, SPACE_CODE + at, (void *)(first + at), PTE_R | PTE_X | PTE_U | PTE_A);
    run->pc = SPACE_CODE + ((uint64_t)run->start & PAGE_MASK);
    run->mode = MODE_U;
}

FRAGMENT(space_load, "ld a2, 0(a1)");
FRAGMENT(space_store, "sd a2, 0(a1)");
FRAGMENT(space_fetch, "jr a1");

void space_access(struct run *run, enum access access, uint64_t *root, uint64_t gva)
{
    static const struct {
        const char *start, *end;
    } fragments[] = {
        [ACCESS_LOAD] = {space_load, space_load_end},
        [ACCESS_STORE] = {space_store, space_store_end},
        [ACCESS_FETCH] = {space_fetch, space_fetch_end},
    };
    run->start = fragments[access].start;
    run->end = fragments[access].end;
    run->a[1] = gva;
    run->a[2] = access == ACCESS_STORE ? SPACE_EBREAKS : 0;
    if (run->mode == MODE_U)
        space_user_code(root, run);
    harness_run(run);
}

bool space_expect(const struct run *run, enum access access, uint64_t gva, enum outcome outcome)
{
    static const uint64_t causes[][3] = {
        [ACCESS_LOAD] = {END_DONE, TRAP(CAUSE_LOAD_PAGE), TRAP(CAUSE_LOAD_ACCESS)},
        [ACCESS_STORE] = {END_DONE, TRAP(CAUSE_STORE_PAGE), TRAP(CAUSE_STORE_ACCESS)},
        [ACCESS_FETCH] = {TRAP(CAUSE_BREAKPOINT), TRAP(CAUSE_FETCH_PAGE), TRAP(CAUSE_FETCH_ACCESS)},
    };
    uint64_t pc = run->pc ? run->pc : (uint64_t)run->start;
    if (outcome == ACCESS_DONE && access != ACCESS_FETCH)
        return expect_done(run) && expect("value", run->x[12], SPACE_EBREAKS);
    if (outcome == ACCESS_DONE) /* QEMU 10.0 may give an ebreak the stval of its other alias */
        return expect_end(run, causes[access][outcome], gva - pc, run->stval);
    return expect_end(run, causes[access][outcome], access == ACCESS_FETCH ? gva - pc : 0, gva);
}

bool space_try(uint64_t *root, enum access access, enum mode mode, uint64_t sstatus, uint64_t gva,
               enum outcome outcome)
{
    struct run run = {.mode = mode, .sstatus = sstatus, .satp = space_satp(root, 0)};
    space_access(&run, access, root, gva);
    return space_expect(&run, access, gva, outcome);
}
