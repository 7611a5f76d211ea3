/*
 * Who may access which page how: all of R, W, X and U, by load, store and fetch, from vS and vU,
 * with SUM and MXR. There is one line for each way of asking, with sixteen pages behind it.
 *
 * Privileged specification, "Virtual Address Translation Process", steps 4 to 8. The surprise: vS
 * may never execute a page with U, not even with SUM.
 */
#include "space.h"

#define GVA (SPACE_WINDOW + 0x5000)

static enum outcome allowed(uint64_t pte, enum access access, enum mode mode, uint64_t sstatus)
{
    bool readable = pte & PTE_R, writable = pte & PTE_W, executable = pte & PTE_X;
    bool right[] = {
        [ACCESS_LOAD] = readable || (executable && (sstatus & SSTATUS_MXR)),
        [ACCESS_STORE] = writable,
        [ACCESS_FETCH] = executable,
    };
    if ((!readable && !executable) || (writable && !readable) || !right[access])
        return PAGE_FAULT;
    if (mode == MODE_U)
        return (pte & PTE_U) ? ACCESS_DONE : PAGE_FAULT;
    if (!(pte & PTE_U))
        return ACCESS_DONE;
    return access != ACCESS_FETCH && (sstatus & SSTATUS_SUM) ? ACCESS_DONE : PAGE_FAULT;
}

static void matrix(enum access access, enum mode mode, uint64_t sstatus, bool sv48)
{
    uint64_t *root = space_reset();
    uint64_t satp = sv48 ? space_satp48(root) : space_satp(root, 0);
    if (!satp)
        return; /* the hart has no Sv48 */
    for (unsigned i = 0; i < 16; i++) {
        uint64_t flags = (uint64_t)i << 1; /* R, W, X, U are bits 1 to 4 */
        space_page[0][0] = access == ACCESS_STORE ? 0 : SPACE_EBREAKS;
        space_map(root, GVA, space_page[0], flags | PTE_A | PTE_D);
        struct run run = {.mode = mode, .sstatus = sstatus, .satp = satp};
        space_access(&run, access, root, GVA);
        enum outcome outcome = allowed(flags, access, mode, sstatus);
        space_expect(&run, access, GVA, outcome);
        bool written = access != ACCESS_STORE || outcome == ACCESS_DONE;
        expect_index("memory-of-page", flags, space_page[0][0], written ? SPACE_EBREAKS : 0);
    }
}

#define SUM SSTATUS_SUM
#define MXR SSTATUS_MXR

/* One function per line of the table. */
#define LINES(L)                                        \
    L(load, ACCESS_LOAD, vs, MODE_S, plain, 0)          \
    L(load, ACCESS_LOAD, vs, MODE_S, sum, SUM)          \
    L(load, ACCESS_LOAD, vs, MODE_S, mxr, MXR)          \
    L(load, ACCESS_LOAD, vs, MODE_S, both, SUM | MXR)   \
    L(load, ACCESS_LOAD, vu, MODE_U, plain, 0)          \
    L(load, ACCESS_LOAD, vu, MODE_U, sum, SUM)          \
    L(load, ACCESS_LOAD, vu, MODE_U, mxr, MXR)          \
    L(load, ACCESS_LOAD, vu, MODE_U, both, SUM | MXR)   \
    L(store, ACCESS_STORE, vs, MODE_S, plain, 0)        \
    L(store, ACCESS_STORE, vs, MODE_S, sum, SUM)        \
    L(store, ACCESS_STORE, vs, MODE_S, mxr, MXR)        \
    L(store, ACCESS_STORE, vs, MODE_S, both, SUM | MXR) \
    L(store, ACCESS_STORE, vu, MODE_U, plain, 0)        \
    L(store, ACCESS_STORE, vu, MODE_U, sum, SUM)        \
    L(store, ACCESS_STORE, vu, MODE_U, mxr, MXR)        \
    L(store, ACCESS_STORE, vu, MODE_U, both, SUM | MXR) \
    L(fetch, ACCESS_FETCH, vs, MODE_S, plain, 0)        \
    L(fetch, ACCESS_FETCH, vs, MODE_S, sum, SUM)        \
    L(fetch, ACCESS_FETCH, vs, MODE_S, mxr, MXR)        \
    L(fetch, ACCESS_FETCH, vs, MODE_S, both, SUM | MXR) \
    L(fetch, ACCESS_FETCH, vu, MODE_U, plain, 0)        \
    L(fetch, ACCESS_FETCH, vu, MODE_U, sum, SUM)        \
    L(fetch, ACCESS_FETCH, vu, MODE_U, mxr, MXR)        \
    L(fetch, ACCESS_FETCH, vu, MODE_U, both, SUM | MXR)

#define AS_FUNCTION(how, access, who, mode, with, sstatus) \
    static void how##_##who##_##with(void)                 \
    {                                                      \
        matrix(access, mode, sstatus, false);              \
    }
#define AS_ROW(how, access, who, mode, with, sstatus) \
    {"permission-" #how "-" #who "-" #with, how##_##who##_##with},

LINES(AS_FUNCTION)

static void sv48(void)
{
    static const uint64_t statuses[] = {0, SUM, MXR, SUM | MXR};
    for (unsigned i = 0; i < 4; i++)
        for (unsigned access = ACCESS_LOAD; access <= ACCESS_FETCH; access++) {
            matrix(access, MODE_S, statuses[i], true);
            matrix(access, MODE_U, statuses[i], true);
        }
}

/* SUM and MXR work at once, with no fence, in the middle of straight code. */
FRAGMENT(permission_toggle_sum,
         "csrs sstatus, a3\n ld a2, 0(a1)\n sd a2, 8(a1)\n csrc sstatus, a3\n"
         "ld a4, 0(a1)");
static void toggle_sum(void)
{
    uint64_t *root = space_reset();
    space_page[0][0] = 7;
    space_map(root, GVA, space_page[0], PTE_U_RW);
    struct run run = RUN(permission_toggle_sum, .satp = space_satp(root, 0), .a = {0, GVA, 0, SUM});
    harness_run(&run);
    expect_end(&run, TRAP(CAUSE_LOAD_PAGE), 16, GVA);
    expect("stored", space_page[0][1], 7);
}

FRAGMENT(permission_toggle_mxr, "csrs sstatus, a3\n ld a2, 0(a1)\n csrc sstatus, a3\n"
                                "ld a4, 0(a1)");
static void toggle_mxr(void)
{
    uint64_t *root = space_reset();
    space_page[0][0] = 7;
    space_map(root, GVA, space_page[0], PTE_X | PTE_A);
    struct run run = RUN(permission_toggle_mxr, .satp = space_satp(root, 0), .a = {0, GVA, 0, MXR});
    harness_run(&run);
    expect_end(&run, TRAP(CAUSE_LOAD_PAGE), 12, GVA);
    expect("loaded", run.x[12], 7);
}

/* What one access has shown to be allowed says nothing of another kind of access to the page. */
FRAGMENT(permission_load_store, "ld a2, 0(a1)\n sd a2, 0(a1)");
FRAGMENT(permission_load_fetch, "ld a2, 0(a1)\n jr a1");
FRAGMENT(permission_store_fetch, "sd a2, 0(a1)\n jr a1");
FRAGMENT(permission_fetch_load, "jalr t0, a1\n ld a2, 0(a1)");
FRAGMENT(permission_fetch_store, "jalr t0, a1\n sd a2, 0(a1)");
#define JR_T0 0x00028067ul /* jr t0 */

static void second_access(struct run run, bool user, uint64_t flags, uint64_t sstatus,
                          uint64_t cause)
{
    uint64_t *root = space_reset();
    space_page[0][0] = JR_T0;
    __asm__ volatile("fence.i" : : : "memory");
    space_map(root, GVA, space_page[0], flags | PTE_A | PTE_D);
    run.satp = space_satp(root, 0);
    run.sstatus = sstatus;
    run.a[1] = GVA;
    run.a[2] = JR_T0;
    if (user)
        space_user_code(root, &run);
    uint64_t pc = user ? run.pc : (uint64_t)run.start;
    harness_run(&run);
    expect_end(&run, TRAP(cause), cause == CAUSE_FETCH_PAGE ? GVA - pc : 4, GVA);
    expect("memory", space_page[0][0], JR_T0);
}
static void load_then_store(void)
{
    struct run run = RUN(permission_load_store);
    second_access(run, false, PTE_R | PTE_X, 0, CAUSE_STORE_PAGE);
    second_access(run, true, PTE_R | PTE_X | PTE_U, 0, CAUSE_STORE_PAGE);
}
static void load_then_fetch(void)
{
    struct run run = RUN(permission_load_fetch);
    second_access(run, false, PTE_R | PTE_W, 0, CAUSE_FETCH_PAGE);
    second_access(run, true, PTE_R | PTE_W | PTE_U, 0, CAUSE_FETCH_PAGE);
}
static void store_then_fetch(void)
{
    struct run run = RUN(permission_store_fetch);
    second_access(run, false, PTE_R | PTE_W, 0, CAUSE_FETCH_PAGE);
    second_access(run, true, PTE_R | PTE_W | PTE_U, 0, CAUSE_FETCH_PAGE);
}
static void sum_then_fetch(void)
{
    struct run load = RUN(permission_load_fetch), store = RUN(permission_store_fetch);
    second_access(load, false, PTE_R | PTE_W | PTE_X | PTE_U, SUM, CAUSE_FETCH_PAGE);
    second_access(store, false, PTE_R | PTE_W | PTE_X | PTE_U, SUM, CAUSE_FETCH_PAGE);
}
static void fetch_then_load(void)
{
    struct run run = RUN(permission_fetch_load);
    second_access(run, false, PTE_X, 0, CAUSE_LOAD_PAGE);
    second_access(run, true, PTE_X | PTE_U, 0, CAUSE_LOAD_PAGE);
}
static void fetch_then_store(void)
{
    struct run run = RUN(permission_fetch_store);
    second_access(run, false, PTE_R | PTE_X, 0, CAUSE_STORE_PAGE);
    second_access(run, true, PTE_R | PTE_X | PTE_U, 0, CAUSE_STORE_PAGE);
}

/* vS has just used a page of its own; vU of the same space must still not reach it. And the
 * other way round. */
FRAGMENT(permission_to_user, "ld a2, 0(a1)\n csrw sepc, a3\n csrw sstatus, x0\n sret");
FRAGMENT(permission_user_part, "ld a4, 0(a0)\n ld a5, 0(a1)");
static void supervisor_then_user(void)
{
    uint64_t *root = space_reset();
    space_page[0][0] = 7;
    space_page[1][0] = 9;
    space_map(root, GVA, space_page[0], PTE_S_RW);
    space_map(root, GVA + PAGE_SIZE, space_page[1], PTE_U_RW);
    struct run user = RUN(permission_user_part);
    space_user_code(root, &user);
    struct run run = RUN(permission_to_user, .satp = space_satp(root, 0),
                         .a = {GVA + PAGE_SIZE, GVA, 0, user.pc});
    harness_run(&run);
    expect("supervisor-load", run.x[12], 7);
    expect("user-load", run.x[14], 9);
    expect("scause", run.ended, TRAP(CAUSE_LOAD_PAGE));
    expect("sepc", run.sepc, user.pc + 4);
    expect("stval", run.stval, GVA);
}

FRAGMENT(reach_cbo_code, "csrr t1, sscratch\n .4byte 0x0015a00f"); /* cbo.clean (a1) */
static void reach_cbo(void)
{
    uint64_t *root = space_reset();
    space_map(root, GVA, space_page[0], PTE_R | PTE_U | PTE_A);
    struct run user = RUN(permission_user_part, .satp = space_satp(root, 0), .a = {GVA, GVA});
    space_user_code(root, &user);
    harness_stay(user.satp);
    harness_run(&user);
    expect_done(&user);
    struct run run = RUN(reach_cbo_code, .satp = user.satp, .sstatus = SUM, .a = {0, GVA});
    harness_run(&run);
    expect_done(&run);
    harness_stay(0);
}
FRAGMENT(reach_io_code,
         ".rept 120\n nop\n .endr\n 1: lwu t0, 0(a0)\n sw t0, 0(a1)\n addi a0, a0, 4\n"
         "addi a1, a1, 4\n bltu a0, a2, 1b\n csrr t1, sscratch");
static void reach_io(void)
{
    uint64_t *root = space_reset();
    space_map(root, GVA, space_page[0], PTE_U_RW);
    space_map(root, GVA + 0x4000, (void *)0x0c000000ul, PTE_S_RW);
    struct run user = RUN(permission_user_part, .satp = space_satp(root, 0), .a = {GVA, GVA});
    space_user_code(root, &user);
    harness_stay(user.satp);
    harness_run(&user);
    expect_done(&user);
    for (unsigned i = 0; i < 4; i++) {
        struct run run = RUN(reach_io_code, .satp = user.satp, .sstatus = SUM,
                             .a = {GVA + 0x4000, GVA, GVA + 0x4000 + 4 * 90});
        harness_run(&run);
        expect_index("ended", i, run.ended, END_DONE);
        expect_index("a0", i, run.x[10], GVA + 0x4000 + 4 * 90);
    }
    harness_stay(0);
}

static const struct check checks[] = {
    {"reach-cbo", reach_cbo},
    {"reach-io", reach_io},
    LINES(AS_ROW){"permission-sv48-all", sv48},
    {"permission-sum-toggle", toggle_sum},
    {"permission-mxr-toggle", toggle_mxr},
    {"permission-load-then-store", load_then_store},
    {"permission-load-then-fetch", load_then_fetch},
    {"permission-store-then-fetch", store_then_fetch},
    {"permission-sum-then-fetch", sum_then_fetch},
    {"permission-fetch-then-load", fetch_then_load},
    {"permission-fetch-then-store", fetch_then_store},
    {"permission-supervisor-page-then-user", supervisor_then_user},
};

const struct subject permission_subject = {.checks = checks, .check_count = COUNT(checks)};
