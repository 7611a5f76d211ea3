/*
 * Kernel code that switches interrupts, and is also data: at several addresses, in two spaces, for
 * vS and vU, over page borders, entered in the middle, rewritten, read.
 *
 * Unprivileged specification, "Zifencei". These are the checks of code.c and alias.c, with
 * instructions that a VMM may turn into something that depends on where the instructions are and on
 * what follows them.
 */
#include <string.h>

#include "make.h"

#define GVA    (SPACE_WINDOW + 0x5000)
#define ALIAS  (SPACE_WINDOW + 0x9000)
#define USER   (SPACE_WINDOW + 0x10000000)
#define BORDER (GVA + PAGE_SIZE)

#define SITES 10u
static uint32_t site(unsigned kind)
{
    static const uint32_t sites[SITES] = {
        MAKE_CSR(CSRRCI, 8, CSR_SSTATUS, 2),  MAKE_CSR(CSRRS, 0, CSR_SSTATUS, 15),
        MAKE_CSR(CSRRSI, 0, CSR_SSTATUS, 2),  MAKE_CSR(CSRRCI, 0, CSR_SSTATUS, 2),
        MAKE_CSR(CSRRS, 14, CSR_SSTATUS, 0),  MAKE_CSR(CSRRW, 4, CSR_SSCRATCH, 4),
        MAKE_CSR(CSRRC, 15, CSR_SSTATUS, 15), MAKE_CSR(CSRRS, 9, CSR_SEPC, 0),
        MAKE_CSR(CSRRW, 0, CSR_SSCRATCH, 9),  MAKE_CSR(CSRRS, 18, CSR_SSCRATCH, 0),
    };
    return sites[kind % SITES];
}

static struct start start_of(unsigned number)
{
    struct start start = {.sstatus = number & 1 ? SSTATUS_SIE : 0, .sscratch = 0x99000 + number};
    model_registers(start.x, number & 2);
    return start;
}

static char *page_of(const struct program *program)
{
    return (char *)((uint64_t)program->code & ~PAGE_MASK);
}

static bool check_at(const struct program *program, uint64_t gva, uint64_t satp, unsigned number)
{
    struct program here = *program;
    struct start start = start_of(number);
    here.satp = satp;
    here.gva = gva ? gva + ((uint64_t)program->code & PAGE_MASK) : 0;
    return model_check(&here, &start, number);
}

/* Programs in one page; each shows by auipc and jal where it runs, and has a dead register. */
static void fill_page(struct program *programs, unsigned count, unsigned seed)
{
    struct program page = make_program_at(count * 16, 0);
    for (unsigned i = 0; i < count; i++) {
        programs[i] = (struct program){.code = page.code + 64 * i};
        make_add(&programs[i], MAKE_STOP);
        make_add(&programs[i], site(i + seed));
        make_add(&programs[i], MAKE_AUIPC(6, 0));
        make_add(&programs[i], site(i / SITES + 2 * seed));
        make_add(&programs[i], MAKE_ADDI(5, 0, 3 + i % 3));
        make_add(&programs[i], MAKE_JAL(1, 1));
        make_add(&programs[i], site(i * 7 + seed));
        make_add(&programs[i], MAKE_LUI(7, 4));
        for (unsigned n = 0; n < 8; n++)
            make_add(&programs[i], EBREAK);
    }
    code_fence_i();
}

#define PROGRAMS 30u

/* One frame is executed at three addresses, in turn. */
static void aliases(void)
{
    struct program programs[PROGRAMS];
    uint64_t *root = space_reset(), satp = space_satp(root, 0);
    fill_page(programs, PROGRAMS, 0);
    space_map(root, GVA, page_of(programs), PTE_S_RWX);
    space_map(root, ALIAS, page_of(programs), PTE_S_RWX);
    harness_stay(satp);
    for (unsigned i = 0; i < PROGRAMS * 6; i++) {
        static const uint64_t gvas[] = {GVA, ALIAS, 0, ALIAS, GVA};
        check_at(&programs[i / 6], gvas[i % COUNT(gvas)], satp, i);
    }
}

/* Two spaces: one address with two frames, and one frame at two addresses, each unmapped in the
 * other space. */
static void two_spaces(void)
{
    struct program first[PROGRAMS], second[PROGRAMS];
    uint64_t *root = space_reset(), *other = space_new();
    uint64_t satps[] = {space_satp(root, 1), space_satp(other, 2)};
    fill_page(first, PROGRAMS, 1);
    fill_page(second, PROGRAMS, 4);
    space_map(root, GVA, page_of(first), PTE_S_RWX);
    space_map(root, ALIAS, page_of(second), PTE_S_RWX);
    space_map(other, GVA, page_of(second), PTE_S_RWX);
    space_map(other, ALIAS + PAGE_SIZE, page_of(first), PTE_S_RWX);
    for (unsigned i = 0; i < PROGRAMS; i++)
        for (unsigned again = 0; again < 3; again++) {
            check_at(&first[i], GVA, satps[0], i);
            check_at(&second[i], GVA, satps[1], i + 100);
            check_at(&second[i], ALIAS, satps[0], i + 200);
            check_at(&first[i], ALIAS + PAGE_SIZE, satps[1], i + 300);
        }
}

/* Two frames are behind one address in turn, with each kind of fence between. */
static void remapped(void)
{
    struct program programs[2][PROGRAMS];
    uint64_t *root = space_reset(), satp = space_satp(root, 0);
    fill_page(programs[0], PROGRAMS, 2);
    fill_page(programs[1], PROGRAMS, 3);
    harness_stay(satp);
    for (unsigned i = 0; i < PROGRAMS * 4; i++) {
        space_map(root, GVA, page_of(programs[i % 2]), PTE_S_RWX);
        if (i % 4 < 2)
            __asm__ volatile("sfence.vma %0, x0" : : "r"(GVA) : "memory");
        else
            sfence_vma_all();
        check_at(&programs[i % 2][i / 4], GVA, satp, i);
        check_at(&programs[i % 2][i / 4], GVA, satp, i);
    }
}

/* In vU all of these instructions are illegal, and stval is the instruction that is written
 * there. */
static void user_alias(void)
{
    struct program programs[PROGRAMS];
    uint64_t *root = space_reset(), satp = space_satp(root, 0);
    fill_page(programs, PROGRAMS, 5);
    space_map(root, GVA, page_of(programs), PTE_S_RWX);
    space_map(root, USER, page_of(programs), PTE_R | PTE_X | PTE_U | PTE_A);
    for (unsigned i = 0; i < PROGRAMS * 2; i++) {
        const struct program *p = &programs[i / 2];
        check_at(p, GVA, satp, i);
        struct start start = start_of(0);
        struct run run = {.start = p->code,
                          .end = p->code - 4,
                          .pc = USER + ((uint64_t)p->code & PAGE_MASK),
                          .mode = MODE_U,
                          .satp = satp,
                          .registers = start.x};
        harness_run(&run);
        expect_end(&run, TRAP(CAUSE_ILLEGAL), 4, model_word(p, 1));
        for (unsigned n = 1; n < 32; n++)
            expect_index("user-register", n, run.x[n], start.x[n]);
    }
}

/* --- Borders --- */

#define BORDER_WORDS 8u

/* A program that begins `before` bytes before a page's end; its dead register is t0 if `dead`. */
static struct program at_border(unsigned kind, unsigned before, bool dead)
{
    struct program p = make_program_at(BORDER_WORDS, PAGE_SIZE - before);
    make_add(&p, site(kind));
    make_add(&p, MAKE_ADDI(6, 0, 1));
    make_add(&p, dead ? MAKE_ADDI(5, 0, 9) : MAKE_ADD(28, 5, 5));
    make_add(&p, site(kind / 2));
    make_add(&p, dead ? MAKE_LUI(7, 9) : MAKE_XOR(29, 7, 5));
    for (unsigned n = 0; n < 3; n++)
        make_add(&p, EBREAK);
    return p;
}

/* Sites in the last bytes of a page and over the page's end. The page behind it is replaced by
 * another one in turn, and t0 is dead in one of the two alone. */
static void borders(void)
{
    /* 2: the site is in both pages; 4: it is the last word of the first page. */
    static const unsigned befores[] = {2, 4, 6, 8, 12, 22};
    for (unsigned i = 0; i < SITES * COUNT(befores); i++) {
        unsigned before = befores[i / SITES];
        uint64_t *root = space_reset(), satp = space_satp(root, 0);
        struct program dead = at_border(i, before, true), read = at_border(i, before, false);
        uint64_t pages[] = {(uint64_t)page_of(&dead), (uint64_t)page_of(&read)};
        code_fence_i();
        space_map(root, GVA, (void *)pages[0], PTE_S_RWX);
        harness_stay(satp);
        for (unsigned again = 0; again < 4; again++) {
            space_map(root, BORDER, (void *)(pages[again % 2] + PAGE_SIZE), PTE_S_RWX);
            __asm__ volatile("sfence.vma %0, x0" : : "r"(BORDER) : "memory");
            check_at(again % 2 ? &read : &dead, GVA, satp, i);
            if (before > 8)
                break; /* parts of two programs together are a third program */
        }
        harness_stay(0);
    }
}

/* The second page is not mapped: the instruction at its begin faults, or the second half of the one
 * that lies across. */
static void missing(void)
{
    for (unsigned i = 0; i < SITES * 4; i++) {
        unsigned before = 2 * (1 + i / SITES);
        uint64_t *root = space_reset(), satp = space_satp(root, 0);
        struct program p = at_border(i, before, true);
        code_fence_i();
        space_map(root, GVA, page_of(&p), PTE_S_RWX);
        struct start start = start_of(i);
        for (unsigned again = 0; again < 3; again++) {
            struct program here = {p.code, before / 4, GVA + PAGE_SIZE - before, satp};
            if (before % 4 == 0) {
                model_check(&here, &start, i);
                continue;
            }
            struct run run;
            start.entry = before / 4;
            model_run(&run, &here, &start);
            expect_end(&run, TRAP(CAUSE_FETCH_PAGE), 0, BORDER);
            expect_index("t0-of", i, run.x[5], start.x[5]);
        }
        check_at(&p, 0, 0, i);
    }
}

/* --- In the middle --- */

/* The high half of an instruction that names sstatus is c.addi4spn s0 where rs1 is 0 or 1, and a
 * hint that does nothing where rs1 is 2 to 5. The instruction is entered at both halves, in
 * turn. */
static void middle(void)
{
    for (unsigned i = 0; i < 24; i++) {
        struct program p = make_program_at(8, 16 * i);
        unsigned rs = i % 6, rd = i / 6 * 5;
        make_add(&p, MAKE_CSR(i % 2 ? CSRRS : CSRRCI, rd, CSR_SSTATUS, rs));
        make_add(&p, MAKE_ADDI(5, 0, 1));
        make_add(&p, EBREAK);
        code_fence_i();
        uint64_t *root = space_reset(), satp = space_satp(root, 0);
        struct start start = start_of(i);
        harness_stay(satp);
        for (unsigned again = 0; again < 4; again++) {
            check_at(&p, 0, satp, i);
            struct run run = {.start = p.code,
                              .end = p.code + 8,
                              .pc = (uint64_t)p.code + 2,
                              .satp = satp,
                              .registers = start.x};
            harness_run(&run);
            expect_index("middle-end-of", i, run.offset, 6);
            for (unsigned n = 1; n < 32; n++)
                expect_index("middle-register", n, run.x[n],
                             n == 5             ? 1
                             : n == 8 && rs < 2 ? start.x[2] + 32
                                                : start.x[n]);
        }
        harness_stay(0);
    }
}

/* --- Rewritten --- */

FRAGMENT(text_store, "sw a1, 0(a0)\n fence.i");
FRAGMENT(text_store_half, "sh a1, 0(a0)\n srli a1, a1, 16\n sh a1, 2(a0)\n fence.i");

/* One word of a program changes: by a store in C, through an alias, in halves, by vU; then the
 * program runs. */
static void store(unsigned way, uint64_t *root, struct program *p, unsigned index, uint32_t word)
{
    uint64_t offset = ((uint64_t)p->code & PAGE_MASK) + 4ul * index;
    struct run run = RUN(text_store, .satp = space_satp(root, 0), .a = {ALIAS + offset, word});
    struct run half = RUN(text_store_half, .satp = space_satp(root, 0),
                          .a = {(uint64_t)p->code + 4ul * index, word});
    switch (way) {
    case 0:
        make_set(p, index, word);
        code_fence_i();
        return;
    case 1: break;
    case 2: run = half; break;
    default: run.a[0] = USER + offset; space_user_code(root, &run);
    }
    harness_run(&run);
    expect_done(&run);
}

/* Each kind of site becomes each other kind, and the instruction behind it then reads the register
 * that was dead. */
static void rewritten(void)
{
    for (unsigned i = 0; i < SITES * SITES; i += 11 - harness_effort) {
        unsigned way = (i / 3 + i) % 4;
        struct program p = make_program_at(10, 24 * (i % 9));
        uint64_t *root = space_reset(), satp = space_satp(root, 0);
        make_add(&p, site(i));
        make_add(&p, MAKE_ADDI(5, 0, 1));
        make_add(&p, site(i / SITES));
        make_add(&p, EBREAK);
        code_fence_i();
        space_map(root, GVA, page_of(&p), PTE_R | PTE_X | PTE_A);
        space_map(root, ALIAS, page_of(&p), PTE_S_RW);
        space_map(root, USER, page_of(&p), PTE_U_RW);
        const uint32_t changes[][2] = {
            {0, site(i / SITES)}, {0, site(i)}, {1, MAKE_ADD(6, 5, 5)}, {0, MAKE_ADDI(4, 0, 4)},
            {0, site(i + 3)},     {2, EBREAK},  {1, site(i + 5)},       {0, EBREAK},
        };
        for (unsigned change = 0; change < COUNT(changes); change++) {
            check_at(&p, GVA, satp, i);
            check_at(&p, change % 2 ? 0 : GVA, satp, i);
            store(way, root, &p, changes[change][0], changes[change][1]);
        }
        check_at(&p, GVA, satp, i);
    }
}

/* A page is rewritten again and again, until a VMM that counts that gives up on the page. */
static void rewritten_often(void)
{
    struct program p = make_program_at(10, 64);
    uint64_t *root = space_reset(), satp = space_satp(root, 0);
    for (unsigned n = 0; n < 4; n++)
        make_add(&p, EBREAK);
    for (unsigned i = 0; i < 40; i++) {
        for (unsigned n = 0; n < 3; n++)
            make_set(&p, n, n == 1 ? MAKE_ADDI(5, 0, i) : site(i * 3 + n));
        code_fence_i();
        for (unsigned again = 0; again < 3; again++)
            check_at(&p, 0, again == 2 ? 0 : satp, i);
    }
}

/* --- Read --- */

/* A load of every width at every address of the code sees what was written, whenever it is made. */
static void read_back(void)
{
    struct program programs[PROGRAMS];
    static char kept[PAGE_SIZE];
    uint64_t *root = space_reset(), satp = space_satp(root, 0);
    fill_page(programs, PROGRAMS, 7);
    memcpy(kept, page_of(programs), PAGE_SIZE);
    space_map(root, GVA, page_of(programs), PTE_S_RWX);
    space_map(root, ALIAS, page_of(programs), PTE_R | PTE_A);
    harness_stay(satp);
    const unsigned step = harness_effort > 1 ? 1 : 4;
    for (unsigned i = 0; i < PROGRAMS; i += step) {
        check_at(&programs[i], i % 2 ? GVA : 0, satp, i);
        static const uint64_t gvas[] = {GVA, ALIAS, 0};
        const char *at = gvas[i % 3] ? (const char *)gvas[i % 3] : page_of(programs);
        expect_index("differs-after", i, (uint64_t)memcmp(at, kept, PAGE_SIZE), 0);
        for (unsigned n = 1; n < 64; n += 7) {
            uint64_t saw, right;
            memcpy(&right, kept + 64 * i + n, 8);
            __asm__ volatile("ld %0, 0(%1)" : "=r"(saw) : "r"(at + 64 * i + n));
            expect_index("misaligned-at", n, saw, right);
        }
    }
}

static const struct check checks[] = {
    {"text-aliases", aliases},
    {"text-two-spaces", two_spaces},
    {"text-remapped", remapped},
    {"text-user-alias", user_alias},
    {"text-borders", borders},
    {"text-second-page-missing", missing},
    {"text-middle", middle},
    {"text-rewritten", rewritten},
    {"text-rewritten-often", rewritten_often},
    {"text-read-back", read_back},
};

const struct subject text_subject = {.checks = checks, .check_count = COUNT(checks)};
