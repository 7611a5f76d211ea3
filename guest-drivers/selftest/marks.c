/*
 * The bits A and D: which access sets them, in which entry, and that a failing access sets none.
 *
 * Privileged specification, "Virtual Address Translation Process", step 9. QEMU sets them itself
 * (Svadu). The surprise: a store to a page that may only be read marks it neither accessed nor
 * dirty.
 */
#include "space.h"

#define GVA    (SPACE_WINDOW + 0x5000)
#define GVA_2M (SPACE_WINDOW + 0x20000000)
#define GVA_1G 0x200000000ul
#define AD     (PTE_A | PTE_D)

static uint64_t page_address(unsigned page)
{
    return (uint64_t)space_page[page];
}

/* One access to a page with those flags; A and D of the entry afterwards. */
static void marks(unsigned level, enum access access, enum mode mode, uint64_t flags,
                  enum outcome outcome, uint64_t expected)
{
    uint64_t *root = space_reset();
    uint64_t size = 1ul << (PAGE_SHIFT + 9 * level);
    uint64_t gva = level == 2 ? GVA_1G : GVA_2M;
    uint64_t gpa = page_address(0);
    uint64_t *pte = space_pte(root, gva, level);
    uint64_t leaf = PTE_LEAF(gpa & ~(size - 1), flags);
    *pte = leaf;
    space_page[0][0] = SPACE_EBREAKS;
    space_try(root, access, mode, 0, gva + (gpa & (size - 1)), outcome);
    expect("entry", *pte & ~AD, leaf & ~AD);
    expect("a-d", *pte & AD, expected);
}

#define RWX (PTE_R | PTE_W | PTE_X)
#define MARKS(name, ...)    \
    static void name(void)  \
    {                       \
        marks(__VA_ARGS__); \
    }
MARKS(a_by_load, 0, ACCESS_LOAD, MODE_S, RWX, ACCESS_DONE, PTE_A)
MARKS(a_by_fetch, 0, ACCESS_FETCH, MODE_S, RWX, ACCESS_DONE, PTE_A)
MARKS(ad_by_store, 0, ACCESS_STORE, MODE_S, RWX, ACCESS_DONE, AD)
MARKS(d_by_store, 0, ACCESS_STORE, MODE_S, RWX | PTE_A, ACCESS_DONE, AD)
MARKS(d_stays_load, 0, ACCESS_LOAD, MODE_S, RWX | PTE_A, ACCESS_DONE, PTE_A)
MARKS(a_by_user_load, 0, ACCESS_LOAD, MODE_U, RWX | PTE_U, ACCESS_DONE, PTE_A)
MARKS(a_by_user_fetch, 0, ACCESS_FETCH, MODE_U, RWX | PTE_U, ACCESS_DONE, PTE_A)
MARKS(ad_by_user_store, 0, ACCESS_STORE, MODE_U, RWX | PTE_U, ACCESS_DONE, AD)
MARKS(ad_2m_load, 1, ACCESS_LOAD, MODE_S, RWX, ACCESS_DONE, PTE_A)
MARKS(ad_2m_store, 1, ACCESS_STORE, MODE_S, RWX, ACCESS_DONE, AD)
MARKS(ad_1g_load, 2, ACCESS_LOAD, MODE_U, RWX | PTE_U, ACCESS_DONE, PTE_A)
MARKS(ad_1g_store, 2, ACCESS_STORE, MODE_U, RWX | PTE_U, ACCESS_DONE, AD)
MARKS(ad_none_store, 0, ACCESS_STORE, MODE_S, PTE_R, PAGE_FAULT, 0)
MARKS(ad_none_store_a, 0, ACCESS_STORE, MODE_S, PTE_R | PTE_A, PAGE_FAULT, PTE_A)
MARKS(ad_none_fetch, 0, ACCESS_FETCH, MODE_S, PTE_R | PTE_W, PAGE_FAULT, 0)
MARKS(ad_none_load, 0, ACCESS_LOAD, MODE_S, PTE_X, PAGE_FAULT, 0)
MARKS(ad_none_mode, 0, ACCESS_STORE, MODE_S, RWX | PTE_U, PAGE_FAULT, 0)
MARKS(ad_none_user, 0, ACCESS_STORE, MODE_U, RWX, PAGE_FAULT, 0)

/* A first load sets A; the store behind it must still set D. AMOs set both. */
FRAGMENT(paging_load_store, "ld a2, 0(a1)\n ld a3, 0(a0)\n sd a2, 0(a1)\n ld a4, 0(a0)\n"
                            "sd a5, 0(a0)\n sfence.vma\n amoadd.d a2, x0, (a1)\n ld a5, 0(a0)");
static void load_then_store(void)
{
    uint64_t *root = space_reset();
    uint64_t *pte = space_pte(root, GVA, 0);
    *pte = PTE_LEAF(page_address(0), PTE_R | PTE_W);
    struct run run = RUN(paging_load_store, .satp = space_satp(root, 0),
                         .a = {(uint64_t)pte, GVA, 0, 0, 0, *pte});
    harness_run(&run);
    expect_done(&run);
    expect("after-load", run.x[13] & AD, PTE_A);
    expect("after-store", run.x[14] & AD, AD);
    expect("after-amo", run.x[15] & AD, AD);
}

static const struct check checks[] = {
    {"paging-a-by-load", a_by_load},
    {"paging-a-by-fetch", a_by_fetch},
    {"paging-ad-by-store", ad_by_store},
    {"paging-d-by-store", d_by_store},
    {"paging-d-not-by-load", d_stays_load},
    {"paging-a-by-user-load", a_by_user_load},
    {"paging-a-by-user-fetch", a_by_user_fetch},
    {"paging-ad-by-user-store", ad_by_user_store},
    {"paging-a-2m-by-load", ad_2m_load},
    {"paging-ad-2m-by-store", ad_2m_store},
    {"paging-a-1g-by-user-load", ad_1g_load},
    {"paging-ad-1g-by-user-store", ad_1g_store},
    {"paging-ad-not-by-failed-store", ad_none_store},
    {"paging-d-not-by-failed-store", ad_none_store_a},
    {"paging-a-not-by-failed-fetch", ad_none_fetch},
    {"paging-a-not-by-failed-load", ad_none_load},
    {"paging-ad-not-by-supervisor-on-user", ad_none_mode},
    {"paging-ad-not-by-user-on-supervisor", ad_none_user},
    {"paging-ad-load-then-store", load_then_store},
};

const struct subject marks_subject = {.checks = checks, .check_count = COUNT(checks)};
