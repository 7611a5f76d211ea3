/*
 * satp: spaces and their ASIDs, paging on and off, modes that do not exist.
 *
 * Privileged specification, "Supervisor Address Translation and Protection Register". The surprise:
 * a switch between two spaces with their own ASIDs needs no fence, and must not need one.
 */
#include "space.h"

#define GVA (SPACE_WINDOW + 0x5000)
#define OLD 0x01d01d01d01d01d0ul
#define NEW 0x4e34e34e34e34e34ul

/* a0: address of the entry, a1: gva, a2: new entry. Loads a4 before and a5 after. */
FRAGMENT(satp_remap, "ld a4, 0(a1)\n sd a2, 0(a0)\n sfence.vma a1\n ld a5, 0(a1)");

/* To and fro between two spaces with two ASIDs, without a fence. a0, a1: satps; a2: gva. */
FRAGMENT(satp_switch, "li a5, 10\n 1: csrw satp, a0\n ld a3, 0(a2)\n csrw satp, a1\n ld a4, 0(a2)\n"
                      "add t0, t0, a3\n add t1, t1, a4\n addi a5, a5, -1\n bnez a5, 1b\n"
                      "csrw satp, a0");
static void two_spaces(uint64_t first_asid, uint64_t second_asid)
{
    uint64_t *first = space_reset(), *second = space_new();
    space_page[0][0] = OLD;
    space_page[1][0] = NEW;
    space_map(first, GVA, space_page[0], PTE_S_RW);
    space_map(second, GVA, space_page[1], PTE_S_RW);
    struct run run = RUN(
        satp_switch, .satp = space_satp(first, first_asid),
        .a = {space_satp(first, first_asid), space_satp(second, second_asid), GVA});
    harness_run(&run);
    expect_done(&run);
    expect("first", run.x[13], OLD);
    expect("second", run.x[14], NEW);
}
static void asid_switch(void)
{
    two_spaces(1, 2);
}
static void asid_switch_high(void)
{
    two_spaces(0xffff, 0x7fff);
}
static void asid_zero_switch(void)
{
    two_spaces(0, 1);
}

/* The same root under two ASIDs is one space: a change needs the fence for both. */
FRAGMENT(satp_one_root,
         "csrw satp, a0\n ld a4, 0(a2)\n csrw satp, a1\n ld a5, 0(a2)\n sd a6, 0(a3)\n"
         "sfence.vma a2\n ld a5, 0(a2)\n csrw satp, a0\n ld a4, 0(a2)");
static void one_root_two_asids(void)
{
    uint64_t *root = space_reset();
    space_page[0][0] = OLD;
    space_page[1][0] = NEW;
    space_map(root, GVA, space_page[0], PTE_S_RW);
    struct run run = RUN(satp_one_root, .satp = space_satp(root, 1),
                         .a = {space_satp(root, 1), space_satp(root, 2), GVA,
                               (uint64_t)space_pte(root, GVA, 0), 0, 0,
                               PTE_LEAF((uint64_t)space_page[1], PTE_S_RW)});
    harness_run(&run);
    expect_done(&run);
    expect("first", run.x[14], NEW);
    expect("second", run.x[15], NEW);
}

/* An ASID is given to another space. a0, a1: satps; a2: gva; a3: the ASID. */
FRAGMENT(satp_reuse, "csrw satp, a0\n ld a4, 0(a2)\n csrw satp, a1\n sfence.vma x0, a3\n"
                     "ld a5, 0(a2)");
FRAGMENT(satp_reuse_all,
         "csrw satp, a0\n ld a4, 0(a2)\n csrw satp, a1\n sfence.vma\n ld a5, 0(a2)");
static void reuse(const char *start, const char *end, uint64_t asid)
{
    uint64_t *first = space_reset(), *second = space_new();
    space_page[0][0] = OLD;
    space_page[1][0] = NEW;
    space_map(first, GVA, space_page[0], PTE_S_RW);
    space_map(second, GVA, space_page[1], PTE_S_RW);
    struct run run = {.start = start,
                      .end = end,
                      .satp = space_satp(first, asid),
                      .a = {space_satp(first, asid), space_satp(second, asid), GVA, asid}};
    harness_run(&run);
    expect_done(&run);
    expect("first", run.x[14], OLD);
    expect("second", run.x[15], NEW);
}
static void asid_reuse(void)
{
    reuse(satp_reuse, satp_reuse_end, 7);
}
static void asid_reuse_all(void)
{
    reuse(satp_reuse_all, satp_reuse_all_end, 0);
}

static void global(void)
{
    uint64_t *first = space_reset(), *second = space_new();
    space_page[0][0] = OLD;
    space_map(first, GVA, space_page[0], PTE_S_RW | PTE_G);
    space_map(second, GVA, space_page[0], PTE_S_RW | PTE_G);
    struct run run = RUN(satp_switch, .satp = space_satp(first, 1),
                         .a = {space_satp(first, 1), space_satp(second, 2), GVA});
    harness_run(&run);
    expect_done(&run);
    expect("first", run.x[13], OLD);
    expect("second", run.x[14], OLD);
    struct run change = RUN(satp_remap, .satp = space_satp(first, 1),
                            .a = {(uint64_t)space_pte(first, GVA, 0), GVA,
                                  PTE_LEAF((uint64_t)space_page[1], PTE_S_RW | PTE_G)});
    space_page[1][0] = NEW;
    harness_run(&change);
    expect("remapped", change.x[15], NEW);
}

/* Paging on, off, on: the same address means another page each time. */
FRAGMENT(satp_on_off, "csrw satp, x0\n sfence.vma\n ld a3, 0(a1)\n csrw satp, a0\n sfence.vma\n"
                      "ld a4, 0(a1)\n csrw satp, x0\n sfence.vma\n ld a5, 0(a1)");
static void on_off(void)
{
    uint64_t *root = space_reset();
    space_page[0][0] = OLD;
    space_page[1][0] = NEW;
    /* The kernel's RAM as 4 KiB pages, the page under test swapped with its neighbour. */
    uint64_t first = (uint64_t)space_page[0];
    uint64_t base = first & ~0x3ffffffful;
    *space_pte(root, first, 2) = 0;
    for (uint64_t at = base; at < base + (1ul << 30); at += 1ul << 21)
        if ((at ^ first) >> 21 != 0)
            *space_pte(root, at, 1) = PTE_LEAF(at, PTE_S_RWX);
    for (uint64_t at = first & ~0x1ffffful, end = at + (1ul << 21); at < end; at += PAGE_SIZE)
        space_map(root, at, at == first ? (void *)space_page[1] : (void *)at, PTE_S_RWX);
    struct run run = RUN(satp_on_off, .a = {space_satp(root, 3), first});
    harness_run(&run);
    expect_done(&run);
    expect("off", run.x[13], OLD);
    expect("on", run.x[14], NEW);
    expect("off-again", run.x[15], OLD);
}

FRAGMENT(satp_same_satp,
         "csrr a3, satp\n ld a4, 0(a2)\n csrw satp, a3\n ld a5, 0(a2)\n csrr a1, satp");
static void same_satp(void)
{
    uint64_t *root = space_reset();
    space_page[0][0] = OLD;
    space_map(root, GVA, space_page[0], PTE_S_RW);
    struct run run = RUN(satp_same_satp, .satp = space_satp(root, 0xabc), .a = {0, 0, GVA});
    harness_run(&run);
    expect_done(&run);
    expect("satp", run.x[13], space_satp(root, 0xabc));
    expect("after", run.x[15], OLD);
    expect("satp-after", run.x[11], space_satp(root, 0xabc));
}

/* A write of an unsupported mode changes nothing, not even with paging on. */
FRAGMENT(satp_bad_satp, "csrr a3, satp\n csrw satp, a1\n csrr a4, satp\n ld a5, 0(a2)");
static void unsupported_mode(void)
{
    static const uint64_t modes[] = {1, 2, 7, 10, 11, 15};
    for (unsigned i = 0; i < COUNT(modes); i++) {
        uint64_t *root = space_reset();
        space_page[0][0] = OLD;
        space_map(root, GVA, space_page[0], PTE_S_RW);
        struct run run = RUN(satp_bad_satp, .satp = space_satp(root, 9),
                             .a = {0, modes[i] << SATP_MODE_SHIFT | 0x80300, GVA});
        harness_run(&run);
        expect_done(&run);
        expect_index("satp-of-mode", modes[i], run.x[14], space_satp(root, 9));
        expect("load", run.x[15], OLD);
    }
}

static const struct check checks[] = {
    {"satp-asid-switch", asid_switch},
    {"satp-asid-switch-high", asid_switch_high},
    {"satp-asid-switch-zero", asid_zero_switch},
    {"satp-one-root-two-asids", one_root_two_asids},
    {"satp-asid-reuse", asid_reuse},
    {"satp-asid-reuse-all", asid_reuse_all},
    {"satp-global", global},
    {"satp-paging-on-off", on_off},
    {"satp-same-value", same_satp},
    {"satp-unsupported-mode", unsupported_mode},
};

const struct subject satp_subject = {.checks = checks, .check_count = COUNT(checks)};
