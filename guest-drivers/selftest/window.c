/*
 * Between an instruction that switches interrupts and the one that overwrites a register, the
 * kernel changes what it is about to execute: by a store to its own code or to data beside it, by a
 * fence, by another page or space behind the same address. The instructions that come then may
 * read the register.
 *
 * Unprivileged specification, "Zifencei"; privileged specification, "Supervisor Memory-Management
 * Fence Instruction". The surprise: t0 is dead by the text that stands there when the first
 * instruction is executed, and alive by the one that is executed.
 */
#include "make.h"

#define GVA   (SPACE_WINDOW + 0x5000)
#define ALIAS (SPACE_WINDOW + 0x9000)
#define T0    0x123456789abcul

static struct program window(unsigned site, unsigned first)
{
    static const uint32_t sites[] = {
        MAKE_CSR(CSRRCI, 8, CSR_SSTATUS, 2), MAKE_CSR(CSRRS, 0, CSR_SSTATUS, 0),
        MAKE_CSR(CSRRSI, 0, CSR_SSTATUS, 2), MAKE_CSR(CSRRS, 8, CSR_SSTATUS, 0),
        MAKE_CSR(CSRRS, 0, CSR_SSTATUS, 9),
    };
    struct program p = make_program_at(64, first);
    make_add(&p, MAKE_STOP);
    make_add(&p, sites[site % COUNT(sites)]);
    return p;
}
#define WINDOWS 5u

static struct run run_of(const struct program *p, uint64_t gva, uint64_t satp, uint64_t x[32])
{
    for (unsigned n = 0; n < 32; n++)
        x[n] = 0;
    x[5] = T0;
    x[6] = x[7] = x[28] = x[29] = x[30] = x[31] = x[1] = 0x1000 + 2;
    return (struct run){.start = p->code,
                        .end = p->code + 4ul * p->length - 4,
                        .pc = gva,
                        .satp = satp,
                        .registers = x};
}

/* All candidates for a dead register are overwritten; `overwritten` in the place of that of t0. */
static void add_overwriting(struct program *p, uint32_t overwritten)
{
    static const unsigned others[] = {1, 6, 7, 28, 29, 30, 31, 10, 12, 13, 14, 15, 16, 17};
    make_add(p, overwritten);
    make_add(p, NOP);
    for (unsigned i = 0; i < COUNT(others); i++)
        make_add(p, MAKE_ADD(18, 18, others[i])); /* the others are read: t0 alone is dead */
    make_add(p, EBREAK);
}

/* A load where nothing is. It reads no register, as an ebreak may. */
#define FAULT    MAKE_LD(12, 0, 0x30)
#define READ_T0  MAKE_ADDI(11, 5, 0)
#define WRITE_T0 MAKE_ADDI(5, 0, 1)
#define STORE    0x00b52023u /* sw a1, 0(a0) */
#define FENCE_I  0x0000100fu
#define FENCE    0x12000073u /* sfence.vma */

/* An sw that replaces the instruction behind the fence.i, the fence.i, and that instruction. */
static void rewritten_ahead(void)
{
    for (unsigned i = 0; i < WINDOWS * 3; i++) {
        uint64_t *root = space_reset(), satp = space_satp(root, 0), x[32];
        struct program p = window(i, 64 * (i % 7));
        make_add(&p, STORE);
        make_add(&p, FENCE_I);
        add_overwriting(&p, WRITE_T0);
        code_fence_i();
        space_map(root, ALIAS, (char *)((uint64_t)p.code & ~PAGE_MASK), PTE_S_RW);
        struct run run = run_of(&p, 0, satp, x);
        /* Three times the sw stores to another page, the fourth time to the instruction. */
        for (unsigned again = 0; again < 4; again++) {
            x[10] = (i / WINDOWS == 1 ? ALIAS : (uint64_t)p.code & ~PAGE_MASK) +
                    ((uint64_t)p.code & PAGE_MASK) + 16;
            if (again < 3)
                x[10] = (uint64_t)space_page[again];
            x[11] = READ_T0;
            harness_run(&run);
            expect_done(&run);
        }
        expect_index("t0-read-by-new-code", i, run.x[11], T0);
    }
}

/* sd to data in the page of the code, then a trap: t0 must still be what it was. */
static void data_in_page(void)
{
    for (unsigned i = 0; i < WINDOWS * 4; i++) {
        uint64_t *root = space_reset(), satp = space_satp(root, 0), x[32];
        struct program p = window(i, 64 * (i % 7));
        make_add(&p, i / WINDOWS % 2 ? MAKE_SD(11, 10, 0) : STORE);
        make_add(&p, i / WINDOWS < 1 ? EBREAK : FAULT);
        add_overwriting(&p, WRITE_T0);
        code_fence_i();
        struct run run = run_of(&p, 0, satp, x);
        for (unsigned again = 0; again < 4; again++) {
            x[10] = again == 3 ? (uint64_t)p.code + 512 : (uint64_t)space_page[0];
            x[11] = again;
            harness_run(&run);
            expect_index("stopped", i, run.offset, 12);
            for (unsigned n = 1; n < 32; n++)
                if (n != 8)
                    expect_index("register-at-trap", n, run.x[n], x[n]);
        }
    }
}

/* A page of code replaces the one that is executed, at the same address: by a change of the
 * kernel's own table and a fence (a0: the entry, a1: what is put there), or by a write of satp
 * (a1). */
static void other_page(void)
{
    for (unsigned i = 0; i < WINDOWS * 2; i++) {
        bool by_satp = i / WINDOWS;
        uint64_t *root = space_reset(), *other = space_new(), x[32];
        uint64_t satps[] = {space_satp(root, 1), space_satp(other, 2)};
        struct program p[2] = {window(i, 64 * (i % 7)), window(i, 64 * (i % 7))};
        for (unsigned n = 0; n < 2; n++) {
            make_add(&p[n], by_satp ? CSRW(CSR_SATP, 11) : MAKE_SD(11, 10, 0));
            make_add(&p[n], by_satp ? NOP : FENCE);
            make_add(&p[n], FENCE_I); /* without it QEMU goes on with what it has translated */
            add_overwriting(&p[n], n ? READ_T0 : WRITE_T0);
        }
        code_fence_i();
        char *page[] = {(char *)((uint64_t)p[0].code & ~PAGE_MASK),
                        (char *)((uint64_t)p[1].code & ~PAGE_MASK)};
        space_map(other, GVA, page[1], PTE_S_RWX);
        uint64_t *entry = space_pte(root, GVA, 0);
        for (unsigned again = 0; again < 4; again++) {
            *entry = PTE_LEAF((uint64_t)page[0], PTE_S_RWX);
            struct run run = run_of(&p[1], GVA + ((uint64_t)p[0].code & PAGE_MASK), satps[0], x);
            run.any_register = true;
            x[10] = (uint64_t)entry;
            x[11] = by_satp ? satps[again & 1] : PTE_LEAF((uint64_t)page[again & 1], PTE_S_RWX);
            harness_run(&run);
            expect_done(&run);
            if (again & 1)
                expect_index("t0-read-by-other-page", i, run.x[11], T0);
        }
    }
}

/* The code behind the site is entered by a jump through t0, so that t0 holds what a call from the
 * site would have left there; then it traps. */
static void entered_by_address(void)
{
    for (unsigned i = 0; i < WINDOWS * 2; i++) {
        uint64_t *root = space_reset(), satp = space_satp(root, 0), x[32];
        struct program p = window(i, 64 * (i % 7));
        make_add(&p, i % 2 ? NOP : MAKE_ADDI(9, 0, 0));
        make_add(&p, FAULT);
        add_overwriting(&p, WRITE_T0);
        code_fence_i();
        struct run run = run_of(&p, 0, satp, x);
        for (unsigned again = 0; again < 3; again++)
            harness_run(&run);
        for (unsigned n = 1; n < 32; n++)
            x[n] = (uint64_t)p.code + 8;
        run.pc = (uint64_t)p.code + 8;
        harness_run(&run);
        expect_index("stopped", i, run.offset, 4);
        for (unsigned n = 1; n < 32; n++)
            if (n != 9)
                expect_index("register", n, run.x[n], x[n]);
    }
}

/* Several sites share one dead register; the trap comes behind each of them in turn. */
static void several(void)
{
    for (unsigned i = 0; i < WINDOWS * 4; i++) {
        uint64_t *root = space_reset(), satp = space_satp(root, 0), x[32];
        struct program p = window(i, 64 * (i % 7));
        for (unsigned n = 1; n < 5; n++) {
            struct program next = window(i + n * (i / WINDOWS), 0);
            make_add(&p, MAKE_STOP);
            make_add(&p, model_word(&next, 1));
        }
        make_add(&p, FAULT);
        add_overwriting(&p, WRITE_T0);
        code_fence_i();
        struct run run = run_of(&p, 0, satp, x);
        for (unsigned again = 0; again < 10; again++) {
            harness_run(&run);
            expect_index("stopped", i, run.offset, 40);
            for (unsigned n = 1; n < 32; n++)
                if (n != 8)
                    expect_index("register", n, run.x[n], x[n]);
        }
    }
}

static const struct check checks[] = {
    {"window-rewritten-ahead", rewritten_ahead}, {"window-data-in-page", data_in_page},
    {"window-other-page", other_page},           {"window-entered-by-address", entered_by_address},
    {"window-several-sites", several},
};

const struct subject window_subject = {.checks = checks, .check_count = COUNT(checks)};
