/*
 * Address translation: superpages, malformed tables, addresses that are not canonical, memory that
 * is not there, accesses across two pages.
 *
 * Privileged specification, "Virtual Address Translation Process". The surprise: a misaligned
 * access whose second page is missing reports the second page's address, not its own.
 */
#include <string.h>

#include "space.h"

#define GVA      (SPACE_WINDOW + 0x5000)
#define GVA_2M   (SPACE_WINDOW + 0x20000000)
#define GVA_1G   0x200000000ul
#define NOWHERE  0x10200000ul
#define FIRMWARE 0x80000000ul
#define SIZE_2M  (1ul << 21)
#define SIZE_1G  (1ul << 30)

static uint64_t page_address(unsigned page)
{
    return (uint64_t)space_page[page];
}

/* --- Superpages --- */

/* Through a superpage of that level at gva: every access reaches page 0 and nothing else. */
static void superpage(unsigned level, uint64_t gva, uint64_t size, enum mode mode)
{
    uint64_t *root = space_reset();
    uint64_t gpa = page_address(0);
    uint64_t user = mode == MODE_U ? PTE_U : 0;
    *space_pte(root, gva, level) = PTE_LEAF(gpa & ~(size - 1), PTE_S_RWX | user);
    uint64_t at = gva + (gpa & (size - 1));
    space_try(root, ACCESS_STORE, mode, 0, at, ACCESS_DONE);
    expect("memory", space_page[0][0], SPACE_EBREAKS);
    space_try(root, ACCESS_LOAD, mode, 0, at, ACCESS_DONE);
    space_try(root, ACCESS_FETCH, mode, 0, at, ACCESS_DONE);
    *space_pte(root, gva, level) = PTE_LEAF(gpa & ~(size - 1), PTE_R | PTE_A | PTE_D | user);
    space_try(root, ACCESS_STORE, mode, 0, at, PAGE_FAULT);
    space_try(root, ACCESS_FETCH, mode, 0, at, PAGE_FAULT);
    space_try(root, ACCESS_LOAD, mode, 0, at, ACCESS_DONE);
}
static void superpage_2m(void)
{
    superpage(1, GVA_2M, SIZE_2M, MODE_S);
}
static void superpage_2m_user(void)
{
    superpage(1, GVA_2M, SIZE_2M, MODE_U);
}
static void superpage_1g(void)
{
    superpage(2, GVA_1G, SIZE_1G, MODE_S);
}
static void superpage_1g_user(void)
{
    superpage(2, GVA_1G, SIZE_1G, MODE_U);
}

static void misaligned_superpage(unsigned level, uint64_t gva, uint64_t size)
{
    uint64_t *root = space_reset();
    for (uint64_t off = PAGE_SIZE; off < size; off <<= 9) {
        *space_pte(root, gva, level) = PTE_LEAF((page_address(0) & ~(size - 1)) + off, PTE_S_RWX);
        space_try(root, ACCESS_LOAD, MODE_S, 0, gva + 0x1000, PAGE_FAULT);
        space_try(root, ACCESS_STORE, MODE_S, 0, gva + 0x2000, PAGE_FAULT);
        space_try(root, ACCESS_FETCH, MODE_S, 0, gva + 0x3000, PAGE_FAULT);
    }
}
static void misaligned_2m(void)
{
    misaligned_superpage(1, GVA_2M, SIZE_2M);
}
static void misaligned_1g(void)
{
    misaligned_superpage(2, GVA_1G, SIZE_1G);
}

/* --- Malformed tables --- */

/* Makes all three accesses to gva. */
static void all(uint64_t *root, uint64_t gva, enum outcome outcome)
{
    for (unsigned access = ACCESS_LOAD; access <= ACCESS_FETCH; access++)
        space_try(root, (enum access)access, MODE_S, 0, gva, outcome);
}

static void not_valid(void)
{
    for (unsigned level = 0; level < 3; level++) {
        uint64_t *root = space_reset();
        *space_pte(root, GVA, level) = PTE_LEAF(page_address(0), PTE_S_RWX) & ~PTE_V;
        all(root, GVA, PAGE_FAULT);
        *space_pte(root, GVA, level) = 0;
        all(root, GVA, PAGE_FAULT);
    }
}

/* A pointer to the next table that has that bit set. */
static void pointer_with(uint64_t bit, enum outcome outcome)
{
    for (unsigned level = 1; level < 3; level++) {
        uint64_t *root = space_reset();
        space_page[0][0] = SPACE_EBREAKS;
        space_map(root, GVA, space_page[0], PTE_S_RWX);
        *space_pte(root, GVA, level) |= bit;
        all(root, GVA, outcome);
    }
}
static void pointer_a(void)
{
    pointer_with(PTE_A, PAGE_FAULT);
}
static void pointer_d(void)
{
    pointer_with(PTE_D, PAGE_FAULT);
}
static void pointer_u(void)
{
    pointer_with(PTE_U, PAGE_FAULT);
}
static void pointer_g(void)
{
    pointer_with(PTE_G, ACCESS_DONE);
}
static void pointer_rsw(void)
{
    pointer_with(3ul << 8, ACCESS_DONE);
}
static void pointer_reserved(void)
{
    for (unsigned bit = 54; bit < 64; bit++)
        pointer_with(1ul << bit, PAGE_FAULT);
}
static void pointer_at_last_level(void)
{
    uint64_t *root = space_reset();
    *space_pte(root, GVA, 0) = PTE_LEAF(page_address(0), 0);
    all(root, GVA, PAGE_FAULT);
}
static void leaf_reserved(void)
{
    for (unsigned bit = 54; bit < 64; bit++) {
        uint64_t *root = space_reset();
        space_map(root, GVA, space_page[0], PTE_S_RWX | 1ul << bit);
        all(root, GVA, PAGE_FAULT);
    }
}
static void leaf_rsw(void)
{
    uint64_t *root = space_reset();
    space_page[0][0] = SPACE_EBREAKS;
    space_map(root, GVA, space_page[0], PTE_S_RWX | 3ul << 8);
    all(root, GVA, ACCESS_DONE);
    expect("entry", *space_pte(root, GVA, 0), PTE_LEAF(page_address(0), PTE_S_RWX | 3ul << 8));
}

/* --- Addresses --- */

/* Sv39 has no such address, although 48 bits would hold it. */
static void not_canonical(void)
{
    static const uint64_t gvas[] = {
        0x0000004000000000, 0x0000008000000000 + GVA, 0x0000ffc000000000, 0x00007ffffffff000,
        0xffffffbffffff000, 0x8000000000000000 + GVA, 0xff00000000000000, 0x0001000000000000 + GVA,
    };
    for (unsigned i = 0; i < COUNT(gvas); i++) {
        uint64_t *root = space_reset();
        space_map(root, GVA, space_page[0], PTE_S_RWX);
        root[256] = root[511] = root[2];
        all(root, gvas[i], PAGE_FAULT);
    }
}
static void mapped_at(uint64_t gva, enum mode mode)
{
    uint64_t *root = space_reset();
    space_page[0][0] = SPACE_EBREAKS;
    space_map(root, gva, space_page[0], PTE_S_RWX | (mode == MODE_U ? PTE_U : 0));
    for (unsigned access = ACCESS_LOAD; access <= ACCESS_FETCH; access++)
        space_try(root, (enum access)access, mode, 0, gva, ACCESS_DONE);
}
static void page_zero(void)
{
    mapped_at(0, MODE_S);
    mapped_at(0, MODE_U);
}
static void top_page(void)
{
    mapped_at(0xfffffffffffff000, MODE_S);
    mapped_at(0xfffffffffffff000, MODE_U);
}
static void negative_half(void)
{
    mapped_at(0xffffffc000000000, MODE_S);
    mapped_at(0x0000003ffffff000, MODE_U);
}
static void unmapped_ends(void)
{
    all(space_reset(), 0, PAGE_FAULT);
    /* The last page is only fetched from: PATCH=inline shows vS something there (`differences`). */
    space_try(space_reset(), ACCESS_FETCH, MODE_S, 0, 0xfffffffffffff000, PAGE_FAULT);
    space_try(space_reset(), ACCESS_FETCH, MODE_S, 0, 0xfffffffffffffff8, PAGE_FAULT);
}

/* --- Memory that is not there --- */

static void leaf_to(uint64_t gpa)
{
    uint64_t *root = space_reset();
    space_map(root, GVA, (void *)gpa, PTE_S_RWX);
    all(root, GVA + 8, ACCESS_FAULT);
}
static void leaf_nowhere(void)
{
    leaf_to(NOWHERE);
}
static void leaf_firmware(void)
{
    leaf_to(FIRMWARE);
}
static void leaf_beyond(void)
{
    leaf_to(0x00fffffffffff000);
}
/* A table outside RAM: the specification says an access fault. QEMU 10.0 reports a page fault where
 * nothing is, and an access fault where the firmware is; either passes where nothing is. */
static void table_at(uint64_t gpa, bool qemu_page_fault)
{
    for (unsigned level = 1; level < 3; level++)
        for (unsigned access = ACCESS_LOAD; access <= ACCESS_FETCH; access++) {
            uint64_t *root = space_reset();
            *space_pte(root, GVA, level) = PTE_LEAF(gpa, 0);
            struct run run = {.satp = space_satp(root, 0)};
            space_access(&run, (enum access)access, root, GVA);
            bool page = run.ended > TRAP(CAUSE_ECALL_S) && qemu_page_fault;
            space_expect(&run, (enum access)access, GVA, page ? PAGE_FAULT : ACCESS_FAULT);
        }
}
static void table_nowhere(void)
{
    table_at(NOWHERE, true);
}
static void table_firmware(void)
{
    table_at(FIRMWARE, false);
}
static void table_beyond(void)
{
    table_at(0x00fffffffffff000, true);
}

/* --- Across two pages --- */

/* The two pages are neighbours in gva, but not in gpa, in either order. */
static void crossing(enum access access, unsigned present, uint64_t stval)
{
    uint64_t *root = space_reset();
    for (unsigned i = 0; i < 2; i++)
        if (present >> i & 1)
            space_map(root, GVA + i * PAGE_SIZE, space_page[3 - 2 * i], PTE_S_RW);
    struct run run = {.satp = space_satp(root, 0)};
    memset(space_page[1], 0x11, PAGE_SIZE);
    memset(space_page[3], 0x33, PAGE_SIZE);
    space_access(&run, access, root, GVA + PAGE_SIZE - 3);
    if (present != 3) {
        expect_end(&run, access == ACCESS_LOAD ? TRAP(CAUSE_LOAD_PAGE) : TRAP(CAUSE_STORE_PAGE), 0,
                   stval);
        expect("first-page", space_page[3][511], 0x3333333333333333);
    } else if (access == ACCESS_LOAD) {
        expect("loaded", run.x[12], 0x1111111111333333);
    } else {
        expect("first-page", space_page[3][511], SPACE_EBREAKS << 40 | 0x3333333333);
        expect("second-page", space_page[1][0], SPACE_EBREAKS >> 24 | 0x111111ul << 40);
    }
}
static void crossing_load(void)
{
    crossing(ACCESS_LOAD, 3, 0);
}
static void crossing_store(void)
{
    crossing(ACCESS_STORE, 3, 0);
}
static void crossing_load_second(void)
{
    crossing(ACCESS_LOAD, 1, GVA + PAGE_SIZE);
}
static void crossing_store_second(void)
{
    crossing(ACCESS_STORE, 1, GVA + PAGE_SIZE);
}
static void crossing_load_first(void)
{
    crossing(ACCESS_LOAD, 2, GVA + PAGE_SIZE - 3);
}
static void crossing_store_first(void)
{
    crossing(ACCESS_STORE, 2, GVA + PAGE_SIZE - 3);
}

static const struct check checks[] = {
    {"paging-superpage-2m", superpage_2m},
    {"paging-superpage-2m-user", superpage_2m_user},
    {"paging-superpage-1g", superpage_1g},
    {"paging-superpage-1g-user", superpage_1g_user},
    {"paging-superpage-2m-misaligned", misaligned_2m},
    {"paging-superpage-1g-misaligned", misaligned_1g},
    {"paging-entry-not-valid", not_valid},
    {"paging-pointer-with-a", pointer_a},
    {"paging-pointer-with-d", pointer_d},
    {"paging-pointer-with-u", pointer_u},
    {"paging-pointer-with-g", pointer_g},
    {"paging-pointer-with-rsw", pointer_rsw},
    {"paging-pointer-reserved-bits", pointer_reserved},
    {"paging-pointer-at-last-level", pointer_at_last_level},
    {"paging-leaf-reserved-bits", leaf_reserved},
    {"paging-leaf-rsw", leaf_rsw},
    {"paging-not-canonical", not_canonical},
    {"paging-page-zero", page_zero},
    {"paging-top-page", top_page},
    {"paging-both-halves", negative_half},
    {"paging-ends-unmapped", unmapped_ends},
    {"paging-leaf-to-nowhere", leaf_nowhere},
    {"paging-leaf-to-firmware", leaf_firmware},
    {"paging-leaf-beyond-ram", leaf_beyond},
    {"paging-table-nowhere", table_nowhere},
    {"paging-table-in-firmware", table_firmware},
    {"paging-table-beyond-ram", table_beyond},
    {"paging-crossing-load", crossing_load},
    {"paging-crossing-store", crossing_store},
    {"paging-crossing-load-second-missing", crossing_load_second},
    {"paging-crossing-store-second-missing", crossing_store_second},
    {"paging-crossing-load-first-missing", crossing_load_first},
    {"paging-crossing-store-first-missing", crossing_store_first},
};

const struct subject paging_subject = {.checks = checks, .check_count = COUNT(checks)};
