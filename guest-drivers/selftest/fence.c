/*
 * Changes of page tables, and from when on they hold.
 *
 * Privileged specification, "Supervisor Memory-Management Fence Instruction". Everything here
 * happens inside one run, so that only the fence in the fragment can make the change visible; what
 * the specification leaves open (before the fence) is not asked.
 */
#include "space.h"

#define GVA       (SPACE_WINDOW + 0x5000)
#define GVA_2M    (SPACE_WINDOW + 0x20000000)
#define NEXT      (GVA + PAGE_SIZE)
#define ASID(n)   ((uint64_t)(n) << SATP_ASID_SHIFT)
#define ALL_ASIDS 0xfffful
#define OLD       0x01d01d01d01d01d0ul
#define NEW       0x4e34e34e34e34e34ul

/* a0: address of the entry, a1: gva, a2: new entry, a3: ASID. Loads a4 before and a5 after. */
#define REMAP(store, fence) "ld a4, 0(a1)\n" store "\n" fence "\n ld a5, 0(a1)"
FRAGMENT(fence_all, REMAP("sd a2, 0(a0)", "sfence.vma"));
FRAGMENT(fence_address, REMAP("sd a2, 0(a0)", "sfence.vma a1"));
FRAGMENT(fence_asid, REMAP("sd a2, 0(a0)", "sfence.vma x0, a3"));
FRAGMENT(fence_both, REMAP("sd a2, 0(a0)", "sfence.vma a1, a3"));
FRAGMENT(fence_inside, REMAP("sd a2, 0(a0)", "addi t0, a1, 2040\n sfence.vma t0, a3"));
FRAGMENT(fence_bytes, REMAP("srli t0, a2, 8\n srli t1, a2, 16\n srli t2, a2, 24\n sb a2, 0(a0)\n"
                            "sb t0, 1(a0)\n sb t1, 2(a0)\n sb t2, 3(a0)",
                            "sfence.vma a1"));
FRAGMENT(fence_halves, REMAP("srli t0, a2, 16\n sh a2, 0(a0)\n sh t0, 2(a0)", "sfence.vma a1"));
FRAGMENT(fence_words, REMAP("srli t0, a2, 32\n sw t0, 4(a0)\n sw a2, 0(a0)", "sfence.vma a1"));
FRAGMENT(fence_swap, REMAP("amoswap.d a6, a2, (a0)", "sfence.vma a1"));
FRAGMENT(fence_xor,
         REMAP("ld t0, 0(a0)\n xor t0, t0, a2\n amoxor.d t1, t0, (a0)", "sfence.vma a1"));
FRAGMENT(fence_sc, REMAP("1: lr.d t0, (a0)\n sc.d t0, a2, (a0)\n bnez t0, 1b", "sfence.vma a1"));
FRAGMENT(fence_csd, REMAP(".option rvc\n c.sd a2, 0(a0)\n c.nop\n .option norvc", "sfence.vma a1"));
FRAGMENT(fence_misaligned,
         REMAP("ld t0, -8(a0)\n srli t0, t0, 32\n slli t1, a2, 32\n or t0, t0, t1\n"
               "srli t1, a2, 32\n sd t0, -4(a0)\n sw t1, 4(a0)",
               "sfence.vma a1"));

/* Which of the satp's ASID and which gva of the entry the fragment uses. */
static void remap(const char *start, const char *end, uint64_t asid)
{
    uint64_t *root = space_reset();
    space_page[0][0] = OLD;
    space_page[1][0] = NEW;
    space_map(root, GVA, space_page[0], PTE_S_RW);
    struct run run = {.start = start,
                      .end = end,
                      .satp = space_satp(root, asid),
                      .a = {(uint64_t)space_pte(root, GVA, 0), GVA,
                            PTE_LEAF((uint64_t)space_page[1], PTE_S_RW), asid}};
    harness_run(&run);
    expect_done(&run);
    expect("before", run.x[14], OLD);
    expect("after", run.x[15], NEW);
}
#define REMAPS(R)                                              \
    R(fence_all, "fence-remap-all", 0)                         \
    R(fence_address, "fence-remap-address", 0)                 \
    R(fence_asid, "fence-remap-asid", 5)                       \
    R(fence_both, "fence-remap-address-and-asid", 5)           \
    R(fence_inside, "fence-remap-address-inside-page", 0xffff) \
    R(fence_bytes, "fence-entry-by-byte-stores", 0)            \
    R(fence_halves, "fence-entry-by-halfword-stores", 0)       \
    R(fence_words, "fence-entry-by-word-stores", 0)            \
    R(fence_swap, "fence-entry-by-amoswap", 0)                 \
    R(fence_xor, "fence-entry-by-amoxor", 0)                   \
    R(fence_sc, "fence-entry-by-sc", 0)                        \
    R(fence_csd, "fence-entry-by-compressed-store", 0)         \
    R(fence_misaligned, "fence-entry-by-misaligned-store", 0)
#define AS_FUNCTION(id, name, asid) \
    static void remap_##id(void)    \
    {                               \
        remap(id, id##_end, asid);  \
    }
#define AS_ROW(id, name, asid) {name, remap_##id},
REMAPS(AS_FUNCTION)

/* The entry becomes `after` in the middle of the fragment; the second load must then fault. */
static void taken_away(uint64_t after)
{
    uint64_t *root = space_reset();
    space_page[0][0] = OLD;
    space_map(root, GVA, space_page[0], PTE_S_RW);
    struct run run = RUN(fence_address, .satp = space_satp(root, 0),
                         .a = {(uint64_t)space_pte(root, GVA, 0), GVA, after});
    harness_run(&run);
    expect("before", run.x[14], OLD);
    expect_end(&run, TRAP(CAUSE_LOAD_PAGE), 12, GVA);
}
static void unmap(void)
{
    taken_away(0);
    taken_away(PTE_LEAF((uint64_t)space_page[0], PTE_S_RW) & ~PTE_V);
}
static void to_user(void)
{
    taken_away(PTE_LEAF((uint64_t)space_page[0], PTE_U_RW));
}
static void to_execute_only(void)
{
    taken_away(PTE_LEAF((uint64_t)space_page[0], PTE_X | PTE_A));
}

FRAGMENT(fence_store, "sd a2, 0(a1)\n sd a3, 0(a0)\n sfence.vma a1\n sd a4, 0(a1)\n ld a5, 0(a0)");
static void to_read_only(void)
{
    uint64_t *root = space_reset();
    space_map(root, GVA, space_page[0], PTE_S_RW);
    struct run run = RUN(fence_store, .satp = space_satp(root, 0),
                         .a = {(uint64_t)space_pte(root, GVA, 0), GVA, OLD,
                               PTE_LEAF((uint64_t)space_page[0], PTE_R | PTE_A | PTE_D), NEW});
    harness_run(&run);
    expect_end(&run, TRAP(CAUSE_STORE_PAGE), 12, GVA);
    expect("memory", space_page[0][0], OLD);
}
static void d_again(void)
{
    uint64_t *root = space_reset();
    space_map(root, GVA, space_page[0], PTE_S_RW);
    struct run run = RUN(fence_store, .satp = space_satp(root, 0),
                         .a = {(uint64_t)space_pte(root, GVA, 0), GVA, OLD,
                               PTE_LEAF((uint64_t)space_page[0], PTE_R | PTE_W | PTE_A), NEW});
    harness_run(&run);
    expect_done(&run);
    expect("a-d", run.x[15] & (PTE_A | PTE_D), PTE_A | PTE_D);
    expect("memory", space_page[0][0], NEW);
}
FRAGMENT(fence_a_again,
         "ld a4, 0(a1)\n sd a2, 0(a0)\n sfence.vma a1\n ld a4, 0(a1)\n ld a5, 0(a0)");
static void a_again(void)
{
    uint64_t *root = space_reset();
    space_map(root, GVA, space_page[0], PTE_S_RW);
    struct run run = RUN(fence_a_again, .satp = space_satp(root, 0),
                         .a = {(uint64_t)space_pte(root, GVA, 0), GVA,
                               PTE_LEAF((uint64_t)space_page[0], PTE_R | PTE_W)});
    harness_run(&run);
    expect_done(&run);
    expect("a-d", run.x[15] & (PTE_A | PTE_D), PTE_A);
}

/* A fence for one page must do for that page, and the neighbour must go on working. */
FRAGMENT(fence_neighbour,
         "ld t0, 0(a1)\n ld t1, 0(a3)\n sd a2, 0(a0)\n sfence.vma a1\n ld a4, 0(a1)\n"
         "ld a5, 0(a3)");
static void neighbour(void)
{
    uint64_t *root = space_reset();
    space_page[0][0] = OLD;
    space_page[1][0] = NEW;
    space_page[2][0] = 22;
    space_map(root, GVA, space_page[0], PTE_S_RW);
    space_map(root, NEXT, space_page[2], PTE_S_RW);
    struct run run = RUN(fence_neighbour, .satp = space_satp(root, 0),
                         .a = {(uint64_t)space_pte(root, GVA, 0), GVA,
                               PTE_LEAF((uint64_t)space_page[1], PTE_S_RW), NEXT});
    harness_run(&run);
    expect_done(&run);
    expect("changed", run.x[14], NEW);
    expect("neighbour", run.x[15], 22);
}

/* An entry that points to a last-level table changes: the whole 2 MiB is other memory then. */
static void table_change(bool to_superpage)
{
    uint64_t *root = space_reset();
    uint64_t gpa = (uint64_t)space_page[0];
    uint64_t at = GVA_2M + (gpa & 0x1fffff);
    space_page[0][0] = OLD;
    space_page[1][0] = NEW;
    space_map(root, at, space_page[1], PTE_S_RW);
    uint64_t *above = space_pte(root, GVA_2M, 1);
    uint64_t table = *above, superpage = PTE_LEAF(gpa & ~0x1ffffful, PTE_S_RW);
    *above = to_superpage ? table : superpage;
    struct run run = RUN(fence_all, .satp = space_satp(root, 0),
                         .a = {(uint64_t)above, at, to_superpage ? superpage : table});
    harness_run(&run);
    expect_done(&run);
    expect("before", run.x[14], to_superpage ? NEW : OLD);
    expect("after", run.x[15], to_superpage ? OLD : NEW);
}
static void superpage_split(void)
{
    table_change(false);
}
static void superpage_merge(void)
{
    table_change(true);
}

/* The table itself is written through another address: a0 is a gva that maps it. */
static void through_alias(void)
{
    uint64_t *root = space_reset();
    space_page[0][0] = OLD;
    space_page[1][0] = NEW;
    space_map(root, GVA, space_page[0], PTE_S_RW);
    uint64_t pte = (uint64_t)space_pte(root, GVA, 0);
    space_map(root, NEXT, (void *)(pte & ~PAGE_MASK), PTE_S_RW);
    struct run run = RUN(
        fence_address, .satp = space_satp(root, 0),
        .a = {NEXT + (pte & PAGE_MASK), GVA, PTE_LEAF((uint64_t)space_page[1], PTE_S_RW)});
    harness_run(&run);
    expect_done(&run);
    expect("after", run.x[15], NEW);
}

/* vU writes the entry (the entry's table is mapped for vU), and vS fences. */
FRAGMENT(fence_user_store, "sd a2, 0(a0)");
FRAGMENT(fence_then_load, "ld a5, 0(a1)");
static void by_user(void)
{
    uint64_t *root = space_reset();
    space_page[0][0] = OLD;
    space_page[1][0] = NEW;
    space_map(root, GVA, space_page[0], PTE_U_RW);
    uint64_t pte = (uint64_t)space_pte(root, GVA, 0);
    space_map(root, NEXT, (void *)(pte & ~PAGE_MASK), PTE_U_RW);
    struct run load = RUN(fence_then_load, .satp = space_satp(root, 0), .a = {0, GVA});
    space_user_code(root, &load);
    harness_run(&load);
    expect("before", load.x[15], OLD);
    struct run store = RUN(
        fence_user_store, .satp = space_satp(root, 0),
        .a = {NEXT + (pte & PAGE_MASK), GVA, PTE_LEAF((uint64_t)space_page[1], PTE_U_RW)});
    space_user_code(root, &store);
    harness_run(&store);
    expect_done(&store);
    space_user_code(root, &load);
    harness_run(&load);
    expect("after", load.x[15], NEW);
}

/* What was a table becomes memory again, and what was memory becomes a table. */
static void table_becomes_data(void)
{
    uint64_t *root = space_reset();
    space_page[0][0] = SPACE_EBREAKS;
    space_map(root, GVA, space_page[0], PTE_S_RWX);
    space_try(root, ACCESS_LOAD, MODE_S, 0, GVA, ACCESS_DONE);
    uint64_t *old_table = (uint64_t *)((uint64_t)space_pte(root, GVA, 0) & ~PAGE_MASK);
    for (unsigned i = 0; i < PAGE_SIZE / 8; i++)
        space_page[3][i] = old_table[i];
    *space_pte(root, GVA, 1) = PTE_LEAF((uint64_t)space_page[3], 0);
    old_table[GVA >> PAGE_SHIFT & 511] = 0;
    space_try(root, ACCESS_LOAD, MODE_S, 0, GVA, ACCESS_DONE);
    space_page[3][GVA >> PAGE_SHIFT & 511] = 0;
    space_try(root, ACCESS_LOAD, MODE_S, 0, GVA, PAGE_FAULT);
    for (unsigned i = 0; i < PAGE_SIZE / 8; i++)
        old_table[i] = i;
    expect("data", old_table[77], 77);
    space_map(root, GVA, space_page[0], PTE_S_RWX);
    space_try(root, ACCESS_FETCH, MODE_S, 0, GVA, ACCESS_DONE);
}

/* Hundreds of pages, each with its own content, twice over: more than a small cache keeps. */
FRAGMENT(fence_sum, "1: ld t0, 0(a1)\n add a3, a3, t0\n add a1, a1, a2\n addi a4, a4, -1\n"
                    "bnez a4, 1b");
static void many_pages(void)
{
    uint64_t *root = space_reset();
    for (unsigned i = 0; i < SPACE_PAGES; i++)
        space_page[i][0] = 1ul << (8 * i);
    for (uint64_t i = 0; i < 512; i++)
        space_map(root, GVA_2M + i * PAGE_SIZE, space_page[i % SPACE_PAGES], PTE_S_RW);
    for (unsigned round = 0; round < 2; round++) {
        struct run run = RUN(fence_sum, .satp = space_satp(root, round),
                             .a = {0, GVA_2M, PAGE_SIZE, 0, 512});
        harness_run(&run);
        expect_done(&run);
        expect_index("sum-of-round", round, run.x[13], 0x4040404040404040);
    }
}

static const struct check checks[] = {
    REMAPS(AS_ROW){"fence-unmap", unmap},
    {"fence-becomes-user", to_user},
    {"fence-becomes-execute-only", to_execute_only},
    {"fence-becomes-read-only", to_read_only},
    {"fence-d-cleared-is-set-again", d_again},
    {"fence-a-cleared-is-set-again", a_again},
    {"fence-neighbour", neighbour},
    {"fence-superpage-split", superpage_split},
    {"fence-superpage-merge", superpage_merge},
    {"fence-entry-through-alias", through_alias},
    {"fence-entry-by-user", by_user},
    {"fence-table-becomes-data", table_becomes_data},
    {"fence-many-pages", many_pages},
};

const struct subject fence_subject = {.checks = checks, .check_count = COUNT(checks)};
