/*
 * The ends of the address space are the guest's own, whatever a VMM may keep there: pages that are
 * mapped at the top and in the first 64 KiB, before and after kernel code has run, in one space and
 * not in another, by vS and vU; and faults where nothing is mapped.
 *
 * The surprise: a 12-bit offset from x0 reaches the last and the first 2 KiB with no register, so
 * these are the places where a VMM can hide something from a kernel.
 */
#include <string.h>

#include "make.h"

#define TOP   0xfffffffffffff000ul
#define OTHER (SPACE_WINDOW + 0x5000)

/* The ends, and what is next to them. */
static const uint64_t ends[] = {TOP, 0, 0x1000, 0x8000, 0xf000, 0x10000, TOP - 0x1000};

/* Switches interrupts off and on, accesses sscratch, and loads and stores at a0, by turns; a6
 * collects what is wrong. The divisions are MAKE_STOP (make.h). */
FRAGMENT(
    where_busy,
    "li t1, 10\n 1: div x0, x0, x0\n csrw sscratch, a1\n csrrci a2, sstatus, 2\n ld a3, 0(a0)\n"
    "csrsi sstatus, 2\n csrr a4, sscratch\n xor t2, a4, a1\n or a6, a6, t2\n"
    "csrrci a2, sstatus, 2\n sd a1, 8(a0)\n andi a2, a2, 2\n csrs sstatus, a2\n"
    "csrr t3, sscratch\n xor t2, t3, a1\n or a6, a6, t2\n ld t0, 8(a0)\n"
    "xor t2, t0, a1\n or a6, a6, t2\n addi a1, a1, 1\n addi t1, t1, -1\n"
    "bnez t1, 1b\n csrrci a2, sstatus, 2\n andi a2, a2, 2");

static void busy(uint64_t satp, uint64_t gva, const uint64_t *page, uint64_t sstatus)
{
    struct run run = RUN(where_busy, .satp = satp, .a = {gva, 0x7000}, .sstatus = sstatus);
    harness_run(&run);
    expect_done(&run);
    expect_index("wrong-bits-at", gva, run.x[16], 0);
    expect_index("load-at", gva, run.x[13], page[0]);
    expect_index("stored-at", gva, page[1], 0x7009);
    expect_index("sie-at", gva, run.x[12], 2);
}

/* No other word of the page may change. */
static void mark(uint64_t *page, uint64_t seed)
{
    for (unsigned i = 0; i < PAGE_SIZE / 8; i++)
        page[i] = seed * 0x100000001 + i;
}
static void expect_marked(const uint64_t *page, uint64_t seed)
{
    for (unsigned i = 0; i < PAGE_SIZE / 8; i++)
        if (i != 1)
            expect_index("word", i, page[i], seed * 0x100000001 + i);
}

static void mapped_before(void)
{
    for (unsigned i = 0; i < COUNT(ends); i++) {
        uint64_t *root = space_reset();
        mark(space_page[0], i);
        space_map(root, ends[i], space_page[0], PTE_S_RW);
        busy(space_satp(root, 0), ends[i], space_page[0], 0);
        expect_marked(space_page[0], i);
    }
}

static void fence(unsigned kind, uint64_t gva, uint64_t asid)
{
    switch (kind) {
    case 0: sfence_vma_all(); break;
    case 1: __asm__ volatile("sfence.vma %0, x0" : : "r"(gva) : "memory"); break;
    case 2: __asm__ volatile("sfence.vma x0, %0" : : "r"(asid) : "memory"); break;
    default: __asm__ volatile("sfence.vma %0, %1" : : "r"(gva), "r"(asid) : "memory"); break;
    }
}
#define FENCES 4u

/* The kernel has run for a while; then the page is mapped, with each kind of fence, and
 * unmapped. */
static void mapped_after(void)
{
    for (unsigned i = 0; i < COUNT(ends) * FENCES; i++) {
        uint64_t *root = space_reset(), gva = ends[i % COUNT(ends)], satp = space_satp(root, 3);
        mark(space_page[0], i);
        mark(space_page[1], i + 1);
        space_map(root, OTHER, space_page[1], PTE_S_RW);
        harness_stay(satp);
        busy(satp, OTHER, space_page[1], 0);
        space_map(root, gva, space_page[0], PTE_S_RW);
        fence(i / COUNT(ends), gva, 3);
        busy(satp, gva, space_page[0], 0);
        busy(satp, OTHER, space_page[1], 0);
        busy(satp, gva, space_page[0], SSTATUS_SUM);
        *space_pte(root, gva, 0) = 0;
        fence(i / COUNT(ends), gva, 3);
        busy(satp, OTHER, space_page[1], 0);
        enum access access = gva + 1 < 0x8001 ? ACCESS_LOAD : ACCESS_FETCH; /* see kernel_jump() */
        struct run run = {.satp = satp};
        space_access(&run, access, root, gva + 16);
        space_expect(&run, access, gva + 16, PAGE_FAULT);
        harness_stay(0);
        expect_marked(space_page[0], i);
        expect_marked(space_page[1], i + 1);
    }
}

/* One space maps the page, the other does not: they run in turn, and nobody else touches the
 * page. */
static void two_spaces(void)
{
    for (unsigned i = 0; i < COUNT(ends) * 2; i++) {
        uint64_t *root = space_reset(), *second = space_new(), gva = ends[i / 2];
        mark(space_page[0], i);
        mark(space_page[1], i + 1);
        space_map(root, gva, space_page[0], PTE_S_RW);
        space_map(second, OTHER, space_page[1], PTE_S_RW);
        uint64_t asid = i % 2;
        for (unsigned again = 0; again < 3; again++) {
            busy(space_satp(second, 2 * asid), OTHER, space_page[1], 0);
            busy(space_satp(root, asid), gva, space_page[0], 0);
        }
        expect_marked(space_page[0], i);
        expect_marked(space_page[1], i + 1);
    }
}

/* The kernel itself goes from one space to the other and back, without a fence, as ASIDs allow. a0:
 * the page, a1: the satp that maps it, a2: the satp that does not. */
FRAGMENT(
    where_switch,
    "li s2, 40\n 1: csrw sscratch, s2\n csrrci s3, sstatus, 2\n csrw satp, a1\n div x0, x0, x0\n"
    "ld a3, 0(a0)\n sd s2, 8(a0)\n csrsi sstatus, 2\n ld a4, 8(a0)\n"
    "csrw satp, a2\n csrrci s3, sstatus, 2\n csrr s4, sscratch\n"
    "xor a4, a4, s2\n xor s4, s4, s2\n or a6, a6, a4\n or a6, a6, s4\n"
    "csrsi sstatus, 2\n addi s2, s2, -1\n bnez s2, 1b");
static void without_fence(void)
{
    for (unsigned i = 0; i < COUNT(ends); i++) {
        uint64_t *root = space_reset(), *second = space_new();
        mark(space_page[0], i + 1);
        space_map(root, ends[i], space_page[0], PTE_S_RW);
        uint64_t satps[] = {space_satp(root, 1), space_satp(second, 2)};
        struct run run = RUN(where_switch, .satp = satps[1], .any_register = true,
                             .a = {ends[i], satps[0], satps[1]});
        harness_run(&run);
        expect_done(&run);
        expect_index("load-at", ends[i], run.x[13], space_page[0][0]);
        expect_index("wrong-bits-at", ends[i], run.x[16], 0);
        expect_index("stored-at", ends[i], space_page[0][1], 1);
        expect_marked(space_page[0], i + 1);
    }
}

/* The same in a page of 2 MiB, to which only what it holds already is stored. */
FRAGMENT(where_big, "csrrci a2, sstatus, 2\n ld a3, 0(a0)\n sd a3, 0(a0)\n csrsi sstatus, 2\n"
                    "csrrci a2, sstatus, 2\n ld a3, 0(a0)\n andi a2, a2, 2");
static void superpages(void)
{
    static const uint64_t gvas[] = {0xffffffffffe00000, 0};
    const uint64_t size = 1ul << 21;
    for (unsigned i = 0; i < COUNT(gvas) * 2; i++) {
        uint64_t *root = space_reset(), gpa = (uint64_t)space_page & ~(size - 1);
        uint64_t gva = gvas[i / 2], satp = space_satp(root, 0);
        struct run run = RUN(where_big, .satp = satp, .a = {OTHER});
        space_map(root, OTHER, space_page[1], PTE_S_RW);
        if (i % 2)
            harness_run(&run);
        *space_pte(root, gva, 1) = PTE_LEAF(gpa, PTE_S_RW);
        for (uint64_t at = 0; at < size;
             at += at < 16 * PAGE_SIZE ? PAGE_SIZE : size / 2 - PAGE_SIZE) {
            uint64_t offset = gva ? size - 8 - at : at;
            run.a[0] = gva + offset;
            harness_run(&run);
            expect_done(&run);
            expect_index("load-at", run.a[0], run.x[13], *(uint64_t *)(gpa + offset));
            expect("sie", run.x[12], 2);
        }
    }
}

/* The same gvas under a fourth level: the top page is below the last entry of the top table. */
static void four_levels(void)
{
    for (unsigned i = 0; i < COUNT(ends) * 2; i++) {
        uint64_t *root = space_reset(), satp = space_satp48(root), gva = ends[i / 2];
        if (!satp)
            return;
        uint64_t *top = (uint64_t *)((satp & SATP_PPN_MASK) << PAGE_SHIFT);
        top[511] = PTE_LEAF((uint64_t)root, 0);
        mark(space_page[0], i);
        mark(space_page[1], i + 1);
        space_map(root, OTHER, space_page[1], PTE_S_RW);
        harness_stay(satp);
        busy(satp, OTHER, space_page[1], 0);
        space_map(root, gva, space_page[0], PTE_S_RW);
        fence(i % 2, gva, 0);
        busy(satp, gva, space_page[0], 0);
        harness_stay(0);
        expect_marked(space_page[0], i);
    }
}

/* --- Users --- */

/* A user's page at the ends: the kernel reaches it with SUM, and only so; the user always. */
static void user_page(void)
{
    for (unsigned i = 0; i < COUNT(ends); i++) {
        uint64_t *root = space_reset(), gva = ends[i], satp = space_satp(root, 0);
        space_map(root, OTHER, space_page[1], PTE_S_RW);
        busy(satp, OTHER, space_page[1], 0);
        space_map(root, gva, space_page[0], PTE_U_RW | PTE_X);
        for (unsigned again = 0; again < 2; again++) {
            space_page[0][0] = SPACE_EBREAKS;
            space_try(root, ACCESS_LOAD, MODE_S, SSTATUS_SUM, gva, ACCESS_DONE);
            space_try(root, ACCESS_STORE, MODE_S, SSTATUS_SUM, gva, ACCESS_DONE);
            space_try(root, ACCESS_LOAD, MODE_S, 0, gva + 8, PAGE_FAULT);
            space_try(root, ACCESS_STORE, MODE_S, 0, gva + 16, PAGE_FAULT);
            if (gva != 0x1000)
                space_try(root, ACCESS_FETCH, MODE_S, SSTATUS_SUM, gva, PAGE_FAULT);
            space_try(root, ACCESS_FETCH, MODE_U, 0, gva, ACCESS_DONE);
            space_try(root, ACCESS_LOAD, MODE_U, 0, gva, ACCESS_DONE);
            busy(satp, gva, space_page[0], SSTATUS_SUM);
            busy(satp, OTHER, space_page[1], 0);
        }
    }
}

/* Nothing is mapped at the ends: the user faults as always, after the kernel has run, with any
 * sstatus. */
static void user_faults(void)
{
    static const uint64_t statuses[] = {0, SSTATUS_SUM, SSTATUS_MXR, SSTATUS_SIE};
    uint64_t *root = space_reset();
    space_map(root, OTHER, space_page[1], PTE_S_RW);
    for (unsigned i = 0; i < COUNT(ends) * COUNT(statuses); i++) {
        busy(space_satp(root, 0), OTHER, space_page[1], 0);
        uint64_t gva = ends[i % COUNT(ends)], sstatus = statuses[i / COUNT(ends)];
        for (unsigned access = ACCESS_LOAD; access <= ACCESS_FETCH; access++)
            for (uint64_t at = 0; at < PAGE_SIZE; at += PAGE_SIZE / 2 - 8)
                space_try(root, (enum access)access, MODE_U, sstatus, gva + at, PAGE_FAULT);
    }
}

/* --- The kernel, where nothing is --- */

/* NULL and what is near it: loads, stores and fetches of vS, after its code has run. */
static void kernel_null(unsigned levels)
{
    static const uint64_t small[] = {0,      8,      0x40,   0x100,  0x7f8,  0x800,  0xff8,
                                     0x1000, 0x2000, 0x7ff0, 0x8000, 0xfff8, 0x10000};
    static const uint64_t statuses[] = {0, SSTATUS_SUM, SSTATUS_MXR, SSTATUS_SUM | SSTATUS_MXR};
    uint64_t *root = space_reset();
    space_map(root, OTHER, space_page[1], PTE_S_RW);
    uint64_t satp = levels == 4 ? space_satp48(root) : space_satp(root, 0);
    if (!satp)
        return;
    for (unsigned i = 0; i < COUNT(small) * COUNT(statuses); i++) {
        busy(satp, OTHER, space_page[1], 0);
        for (unsigned access = ACCESS_LOAD; access <= ACCESS_STORE; access++) {
            uint64_t gva = small[i % COUNT(small)];
            struct run run = {.satp = satp, .sstatus = statuses[i / COUNT(small)]};
            space_access(&run, (enum access)access, root, gva);
            space_expect(&run, (enum access)access, gva, PAGE_FAULT);
        }
    }
}
static void kernel_null_39(void)
{
    kernel_null(3);
}
static void kernel_null_48(void)
{
    kernel_null(4);
}

/* Jumps to NULL and near it: a call through a null pointer, and others. Jumps of vS from 0x200
 * to 0x4400 are not tried where vS has nothing mapped to execute: PATCH=inline has code of its
 * own there (`differences`). */
static void kernel_jump(void)
{
    static const uint64_t targets[] = {0,       2,       4,           8,       0x10,    0xfffe,
                                       0x10000, 0x10002, TOP - 0x800, TOP + 8, TOP + 2, -2ul,
                                       0x1fe,   0x5000,  0x4ffe,      0x8000};
    uint64_t *root = space_reset();
    space_map(root, OTHER, space_page[1], PTE_S_RW);
    for (unsigned i = 0; i < COUNT(targets); i++) {
        busy(space_satp(root, 0), OTHER, space_page[1], 0);
        struct run run = {.satp = space_satp(root, 0), .sstatus = i % 2 ? SSTATUS_SIE : 0};
        space_access(&run, ACCESS_FETCH, root, targets[i]);
        space_expect(&run, ACCESS_FETCH, targets[i], PAGE_FAULT);
    }
}

/* Compressed, atomic, floating-point and odd accesses at NULL. */
FRAGMENT(where_lw, ".option rvc\n c.lw a2, 0(a0)\n c.nop");
FRAGMENT(where_sb, "sb a2, 0(a0)");
FRAGMENT(where_amo, "amoadd.d a2, a1, (a0)");
FRAGMENT(where_lr, "lr.w a2, (a0)");
FRAGMENT(where_lh, "lh a2, 0(a0)");
static void kernel_null_forms(void)
{
    static const struct {
        const char *start, *end;
        uint64_t cause;
    } forms[] = {
        {where_lw, where_lw_end, CAUSE_LOAD_PAGE},    {where_sb, where_sb_end, CAUSE_STORE_PAGE},
        {where_amo, where_amo_end, CAUSE_STORE_PAGE}, {where_lr, where_lr_end, CAUSE_LOAD_PAGE},
        {where_lh, where_lh_end, CAUSE_LOAD_PAGE},
    };
    static const uint64_t places[] = {0, 0x1004, 0x80, 0xf010};
    uint64_t *root = space_reset();
    space_map(root, OTHER, space_page[1], PTE_S_RW);
    busy(space_satp(root, 0), OTHER, space_page[1], 0);
    for (unsigned i = 0; i < COUNT(forms) * COUNT(places); i++) {
        uint64_t gva = places[i / COUNT(forms)] & ~7ul;
        struct run run = {.start = forms[i % COUNT(forms)].start,
                          .end = forms[i % COUNT(forms)].end,
                          .satp = space_satp(root, 0),
                          .a = {gva, 0, 33}};
        harness_run(&run);
        expect_end(&run, TRAP(forms[i % COUNT(forms)].cause), 0, gva);
        expect_index("a2-of-form", i, run.x[12], 33);
    }
}

/* --- Code there --- */

/* A kernel whose own code is at the ends of the address space. */
static void kernel_code(void)
{
    for (unsigned i = 0; i < COUNT(ends); i++) {
        struct program p = make_program_at(40, 8 * i);
        for (unsigned n = 0; n < 30; n++)
            make_add(&p, n % 3 == 0   ? MAKE_CSR(CSRRCI, 8 + n % 2, CSR_SSTATUS, 2)
                         : n % 3 == 1 ? MAKE_AUIPC(18 + n % 8, 0)
                                      : MAKE_CSR(CSRRW, 9, CSR_SSCRATCH, 18));
        make_add(&p, EBREAK);
        code_fence_i();
        uint64_t *root = space_reset();
        space_map(root, ends[i], (char *)((uint64_t)p.code & ~PAGE_MASK), PTE_S_RWX);
        p.satp = space_satp(root, 0);
        p.gva = ends[i] + ((uint64_t)p.code & PAGE_MASK);
        struct start start = {.sscratch = i};
        model_registers(start.x, 0);
        struct program low = p;
        for (unsigned again = 0; again < 3; again++) {
            model_check(&p, &start, i);
            low.gva = 0; /* the same frame at its own address */
            model_check(&low, &start, i);
        }
    }
}

static const struct check checks[] = {
    {"where-mapped-before", mapped_before},  {"where-mapped-after", mapped_after},
    {"where-two-spaces", two_spaces},        {"where-satp-without-fence", without_fence},
    {"where-superpages", superpages},        {"where-four-levels", four_levels},
    {"where-user-page", user_page},          {"where-user-faults", user_faults},
    {"where-null-sv39", kernel_null_39},     {"where-null-sv48", kernel_null_48},
    {"where-null-forms", kernel_null_forms}, {"where-jump", kernel_jump},
    {"where-kernel-code", kernel_code},
};

const struct subject where_subject = {.checks = checks, .check_count = COUNT(checks)};
