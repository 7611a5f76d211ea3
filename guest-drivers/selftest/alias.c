/*
 * One page of code at several addresses: for vS and vU, to execute and to store.
 *
 * Unprivileged specification, "Zifencei". The surprise: nothing here is about one address; what a
 * store through one of them changes must be what is executed at all others after the fence.i.
 */
#include "code.h"

#define GVA   (SPACE_WINDOW + 0x5000)
#define ALIAS (SPACE_WINDOW + 0x9000)

/* Each use has a page of its own: a VMM may give up patching a page that is written again and
 * again. */
#define PAGES 16u
static uint32_t pages[PAGES][PAGE_SIZE / 4] __attribute__((aligned(4096)));
static uint32_t *code;

static void fill(void)
{
    static unsigned next;
    code = pages[next++ % PAGES];
    for (unsigned i = 0; i < PAGE_SIZE / 4; i++)
        code[i] = EBREAK;
}

/* The page is mapped once for vS and once for vU: its instruction is executed in vS and is
 * illegal in vU, in turn. */
static void user_and_supervisor(void)
{
    uint64_t *root = space_reset();
    fill();
    code[0] = CSRR(A1, CSR_SCOUNTEREN);
    code_fence_i();
    space_map(root, GVA, code, PTE_R | PTE_X | PTE_A);
    space_map(root, ALIAS, code, PTE_R | PTE_X | PTE_A | PTE_U);
    for (unsigned again = 0; again < 3; again++) {
        struct run run = code_execute(code, 4, GVA, space_satp(root, 0), 0);
        expect_done(&run);
        expect("a1", run.x[11], 7);
        struct run user = {.start = (char *)code,
                           .end = (char *)&code[1],
                           .pc = ALIAS,
                           .mode = MODE_U,
                           .satp = space_satp(root, 0),
                           .a = {0, 3}};
        harness_run(&user);
        expect_end(&user, TRAP(CAUSE_ILLEGAL), 0, CSRR(A1, CSR_SCOUNTEREN));
        expect("user-a1", user.x[11], 3);
    }
}
static void two_aliases(void)
{
    uint64_t *root = space_reset();
    fill();
    space_map(root, GVA, code, PTE_S_RWX);
    space_map(root, ALIAS, code, PTE_S_RWX);
    for (unsigned again = 0; again < 4; again++) {
        code[0] = again % 2 ? ADDI(A1, 0, 55) : CSRR(A1, CSR_SCOUNTEREN);
        code_fence_i();
        for (unsigned i = 0; i < 3; i++) {
            static const uint64_t gvas[] = {GVA, ALIAS, 0};
            struct run run = code_execute(code, 4, gvas[i], gvas[i] ? space_satp(root, 0) : 0, 0);
            expect_done(&run);
            expect("a1", run.x[11], again % 2 ? 55 : 7);
        }
    }
}

/* A store through one address while the code is executed at the other. a0: the code, a1: its
 * alias. */
FRAGMENT(alias_store, "jalr t0, a0\n mv a3, a2\n sw a4, 0(a1)\n fence.i\n jalr t0, a0");
static void store_through_alias(void)
{
    uint64_t *root = space_reset();
    fill();
    code[0] = CSRR(A2, CSR_SCOUNTEREN);
    code[1] = JR_T0;
    code_fence_i();
    space_map(root, GVA, code, PTE_R | PTE_X | PTE_A);
    space_map(root, ALIAS, code, PTE_S_RW);
    struct run run = RUN(alias_store, .satp = space_satp(root, 0),
                         .a = {GVA, ALIAS, 0, 0, CSRR(A2, CSR_SATP)});
    harness_run(&run);
    expect_done(&run);
    expect("first", run.x[13], 7);
    expect("second", run.x[12], space_satp(root, 0));
}

/* The same for an instruction that has never trapped, but shares its page with one that has.
 * From way 3 on, the alias is loaded from before it is stored to. */
FRAGMENT(alias_store_plain, "jalr t0, a0\n mv a3, a2\n beqz a5, 1f\n lw t1, 0(a1)\n 1: sw a4, "
                            "4(a1)\n fence.i\n addi a0, a0, 4\n"
                            "jalr t0, a0");
static void store_beside_csr(void)
{
    for (unsigned way = 0; way < 6; way++) {
        uint64_t *root = space_reset();
        fill();
        code[0] = CSRR(A2, CSR_SCOUNTEREN);
        code[1] = ADDI(A2, 0, 1);
        code[2] = JR_T0;
        code_fence_i();
        space_map(root, GVA, code, PTE_R | PTE_X | PTE_A);
        space_map(root, ALIAS, code, way % 3 == 2 ? PTE_S_RWX : PTE_S_RW);
        if (way % 3 == 1)
            space_map(root, GVA, code, PTE_S_RWX);
        struct run run = RUN(alias_store_plain, .satp = space_satp(root, 0),
                             .a = {GVA, ALIAS, 0, 0, ADDI(A2, 0, 2), way / 3});
        harness_run(&run);
        expect_done(&run);
        expect_index("first-of-way", way, run.x[13], 1);
        expect_index("second-of-way", way, run.x[12], 2);
    }
}
/* And with paging off, where there is but one address; by a store of one byte; by an atomic. */
FRAGMENT(alias_store_bare, "jalr t0, a0\n mv a3, a2\n sb a4, 7(a0)\n fence.i\n addi a1, a0, 4\n"
                           "jalr t0, a1\n mv a5, a2\n amoswap.w x0, a6, (a1)\n fence.i\n"
                           "jalr t0, a1");
static void store_beside_csr_bare(void)
{
    fill();
    code[0] = CSRR(A2, CSR_SCOUNTEREN);
    code[1] = ADDI(A2, 0, 1);
    code[2] = JR_T0;
    code_fence_i();
    struct run run = RUN(alias_store_bare, .a = {(uint64_t)code, 0, 0, 0, ADDI(A2, 0, 0x7f1) >> 24,
                                                 0, ADDI(A2, 0, 3)});
    harness_run(&run);
    expect_done(&run);
    expect("first", run.x[13], 1);
    expect("second", run.x[15], 0x7f1);
    expect("third", run.x[12], 3);
}

/* The user rewrites what the supervisor executes. */
FRAGMENT(alias_user_store, "sw a1, 0(a0)\n fence.i");
static void user_rewrites(void)
{
    uint64_t *root = space_reset();
    fill();
    space_map(root, GVA, code, PTE_S_RWX);
    space_map(root, ALIAS, code, PTE_U_RW);
    code[0] = CSRR(A1, CSR_SCOUNTEREN);
    code_fence_i();
    struct run run = code_execute(code, 4, GVA, space_satp(root, 0), 0);
    expect("first", run.x[11], 7);
    struct run user = RUN(alias_user_store, .satp = space_satp(root, 0),
                          .a = {ALIAS, CSRR(A1, CSR_SATP)});
    space_user_code(root, &user);
    harness_run(&user);
    expect_done(&user);
    run = code_execute(code, 4, GVA, space_satp(root, 0), 0);
    expect("second", run.x[11], space_satp(root, 0));
}

/* An execute-only page: its CSR instruction works, its bytes are out of reach, but for MXR. */
FRAGMENT(alias_execute_only, "jalr t0, a0\n csrs sstatus, a3\n lwu a4, 0(a0)\n csrc sstatus, a3\n"
                             "lwu a5, 0(a0)");
static void execute_only(void)
{
    uint64_t *root = space_reset();
    fill();
    code[0] = CSRR(A2, CSR_SCOUNTEREN);
    code[1] = JR_T0;
    code_fence_i();
    space_map(root, GVA, code, PTE_X | PTE_A);
    struct run run = RUN(alias_execute_only, .satp = space_satp(root, 0),
                         .a = {GVA, 0, 0, SSTATUS_MXR});
    harness_run(&run);
    expect_end(&run, TRAP(CAUSE_LOAD_PAGE), 16, GVA);
    expect("csrr", run.x[12], 7);
    expect("bytes", run.x[14], CSRR(A2, CSR_SCOUNTEREN));
}

static const struct check checks[] = {
    {"alias-user-and-supervisor", user_and_supervisor},
    {"alias-two", two_aliases},
    {"alias-store-csr", store_through_alias},
    {"alias-store-beside-csr", store_beside_csr},
    {"alias-store-beside-csr-bare", store_beside_csr_bare},
    {"alias-user-rewrites-supervisor", user_rewrites},
    {"alias-execute-only", execute_only},
};

const struct subject alias_subject = {.checks = checks, .check_count = COUNT(checks)};
