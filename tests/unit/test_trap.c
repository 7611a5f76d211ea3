/*
 * The phases of an exit of the trap engine (core/engine/trap/trap.c): trap_handle() as a whole,
 * with every part beside it replaced. Which cause leads where, in which order the phases come, and
 * what the hart is told before the guest goes on. Surprise: an interrupt is taken before a root is
 * chosen, since taking it may change the mode.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "trap_parts.h"

#define TIMER    (SCAUSE_INTERRUPT | INTERRUPT_TIMER)
#define EXTERNAL (SCAUSE_INTERRUPT | INTERRUPT_EXTERNAL)

static void note_follow(struct vm *vm)
{
    (void)vm;
    rig_note("follow");
}

/* --- By cause --- */

static void test_guest_exceptions(void **state)
{
    static const uint64_t causes[] = {0, 1, 3, 4, 5, 6, 7};
    (void)state;
    for (unsigned i = 0; i < ROWS(causes); i++) {
        parts_row("guest's exception", NULL);
        rig_exit(parts_trap(causes[i], 0x1234), EXIT_EXCEPTION, causes[i]);
        rig_raised(causes[i], 0x1234);
        rig_calls("sync");
    }
}

static void test_interrupts(void **state)
{
    (void)state;
    for (uint64_t number = 1; number < 16; number += 4) {
        char calls[32];
        parts_row("interrupt", NULL);
        rig_exit(parts_trap(SCAUSE_INTERRUPT | number, 0), EXIT_INTERRUPT, number);
        snprintf(calls, sizeof(calls), "run_interrupt %lu", number);
        rig_calls(calls);
        rig_equal(rig.vcpu.pc, RIG_PC);
    }
}

/* ecall from S or M, reserved and custom causes: U-mode has none of them. */
static void test_unknown_causes(void **state)
{
    static const uint64_t causes[] = {9, 10, 11, 14, 16, 19, 24, 48, 63, 1ul << 62};
    (void)state;
    for (unsigned i = 0; i < ROWS(causes); i++) {
        parts_row("unknown cause", NULL);
        rig_equal(parts_panics(causes[i]), true);
        rig_calls("");
    }
    rig_equal(parts_panics(CAUSE_BREAKPOINT), false);
}

static const struct {
    const char *name;
    uint64_t cause;
    const char *calls;
} handled[] = {
    {"illegal", CAUSE_ILLEGAL, "site_read; patch_site; priv_execute"},
    {"ecall", CAUSE_ECALL_U, "priv_execute"},
    {"fetch", CAUSE_FETCH_PAGE, "shadow_fault fetch"},
    {"load", CAUSE_LOAD_PAGE, "shadow_fault load"},
    {"store", CAUSE_STORE_PAGE, "shadow_fault store"},
};

static void test_handlers(void **state)
{
    static const struct parts answers = {.code = CODE_CSRR, .sensitive = true};
    (void)state;
    for (unsigned i = 0; i < ROWS(handled); i++) {
        parts_row(handled[i].name, &answers);
        parts_trap(handled[i].cause, PARTS_STVAL);
        rig_calls(handled[i].calls);
        rig_equal(parts_state.own.scause, handled[i].cause);
        rig_equal(parts_state.own.stval, PARTS_STVAL);
    }
}

/* --- The order of the phases --- */

/* All phases have something to do: an interrupt of the guest's is due, and its process ran. */
static void test_order(void **state)
{
    static const struct parts answers = {.inlines = true};
    struct vm_board calls = rig_board;
    (void)state;
    calls.follow = note_follow;
    parts_row("order", &answers);
    rig.vm.calls = &calls;
    rig.vm.paused = rig.vm.has_put_off = true;
    rig.vcpu.external = true;
    rig.vcpu.mode = VMODE_U;
    rig.vcpu.changed = VCPU_INTERRUPTS;
    rig.vcpu.csr.sip = rig.vcpu.csr.sie = SIP_SSIP;
    rig_exit(parts_trap(EXTERNAL, 0), EXIT_INTERRUPT, INTERRUPT_EXTERNAL);
    rig_calls("follow; run_interrupt 9; run_pause 12; shadow_select 1; inline_show_fs; ahead_run; "
              "settle; inline_push_page");
    rig_equal(EXIT_INTERRUPT, 12);
    rig_raised(SCAUSE_INTERRUPT | INTERRUPT_SOFTWARE, 0);
    rig_equal(rig.vcpu.changed, 0);
}

/* An exit that needs none of them. */
static void test_nothing_to_do(void **state)
{
    (void)state;
    parts_row("nothing to do", NULL);
    rig.vcpu.csr.sip = rig.vcpu.csr.sie = SIP_SSIP; /* due, and nothing has changed */
    rig.vcpu.csr.sstatus = SSTATUS_SIE;
    parts_trap(TIMER, 0);
    rig_calls("run_interrupt 5");
    rig_equal(rig.vcpu.pc, RIG_PC);
}

/* From the begin to the end an exit counts as one; what the guest did before is the guest's. */
static void test_counted(void **state)
{
    const struct stats_row *row = NULL;
    (void)state;
    parts_row("counted", NULL);
    rig_pass(1000, 50);
    parts_trap(TIMER, 0);
    rig_pass(400, 20);
    parts_trap(TIMER, 0);
    for (unsigned i = 0; i < STATS_ROWS; i++)
        if (rig.vm.stats.rows[i].count)
            row = &rig.vm.stats.rows[i];
    assert_non_null(row);
    rig_equal(row->count, 2);
    rig_equal(row->instructions, 200);
    rig_equal(row->ticks, 14);
    rig_equal(stats_row_mode(row), VMODE_S);
    rig_equal(rig.vm.stats.guest_instructions, 1400);
}

/* --- What is taken over --- */

static const struct {
    const char *name;
    bool inlines, lost, user;
    const char *calls;
} pages[] = {
    {"no inlining", false, false, false, "run_interrupt 5"},
    {"vS", true, false, false, "inline_pull_page; run_interrupt 5; ahead_run; inline_push_page"},
    {"vU", true, false, true, "run_interrupt 5"},
    {"the guest has the page", true, true, false, "run_interrupt 5; ahead_run; inline_push_page"},
};

static void test_virtual_csrs(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROWS(pages); i++) {
        struct parts answers = {.inlines = pages[i].inlines};
        parts_row(pages[i].name, &answers);
        parts_state.inlined.lost = pages[i].lost;
        rig.vcpu.mode = pages[i].user ? VMODE_U : VMODE_S;
        parts_trap(TIMER, 0);
        rig_calls(pages[i].calls);
    }
}

static const struct {
    const char *name;
    uint64_t real, before, after;
} dirt[] = {
    {"dirty", SSTATUS_SD | SSTATUS_FS, SSTATUS_FS_INITIAL, SSTATUS_FS},
    {"clean", SSTATUS_FS_INITIAL, SSTATUS_FS_INITIAL, SSTATUS_FS_INITIAL},
    {"off", 0, SSTATUS_FS, SSTATUS_FS}, /* hidden: the guest's stays as it is */
    {"dirty, and the rest", SSTATUS_SD, SSTATUS_SUM, SSTATUS_SUM | SSTATUS_FS},
};

static void test_float(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROWS(dirt); i++) {
        parts_row(dirt[i].name, NULL);
        hart_csr[CSR_SSTATUS] = dirt[i].real;
        rig.vcpu.csr.sstatus = dirt[i].before;
        parts_trap(TIMER, 0);
        rig_equal(rig.vcpu.csr.sstatus, dirt[i].after);
    }
}

/* The controller's output is only asked for while it is high, and where the guest changes it
 * unseen. */
static void test_follow(void **state)
{
    struct vm_board calls = rig_board;
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        parts_row("follow", NULL);
        calls.follow = i & 1 ? note_follow : NULL;
        rig.vm.calls = &calls;
        rig.vcpu.external = i & 2;
        parts_trap(TIMER, 0);
        rig_calls(i == 3 ? "follow; run_interrupt 5" : "run_interrupt 5");
    }
}

/* --- Before the guest goes on --- */

static const struct {
    const char *name;
    unsigned changed;
    bool inlines, due;
    const char *calls;
} prepared[] = {
    {"view", VCPU_VIEW, false, false, "shadow_select 1"},
    {"view, inlining", VCPU_VIEW, true, false, "shadow_select 1; inline_show_fs"},
    {"FS", VCPU_FS, false, false, "inline_show_fs"},
    {"interrupts, none due", VCPU_INTERRUPTS, false, false, ""},
    {"interrupts, inlining", VCPU_INTERRUPTS, true, false, ""},
    {"interrupts, one due", VCPU_INTERRUPTS, false, true, "sync"},
    {"interrupts and view", VCPU_INTERRUPTS | VCPU_VIEW, false, true, "sync; shadow_select 1"},
    {"due, and unchanged", VCPU_VIEW, false, true, "shadow_select 1"},
    {"all", VCPU_INTERRUPTS | VCPU_VIEW | VCPU_FS, true, true,
     "sync; shadow_select 1; inline_show_fs"},
};

static void test_prepare(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROWS(prepared); i++) {
        struct parts answers = {.inlines = prepared[i].inlines};
        bool taken = prepared[i].due && prepared[i].changed & VCPU_INTERRUPTS;
        parts_row(prepared[i].name, &answers);
        rig.vcpu.changed = (uint8_t)prepared[i].changed;
        rig.vcpu.csr.sstatus = SSTATUS_SIE;
        rig.vcpu.csr.sip = rig.vcpu.csr.sie = prepared[i].due ? SIP_SSIP : 0;
        trap_prepare(&rig.vcpu);
        rig_calls(prepared[i].calls);
        rig_equal(rig.vcpu.changed, 0);
        rig_equal(rig.vcpu.pc, taken ? RIG_STVEC : RIG_PC);
    }
}

#define NOT_WRITTEN 0x77ul

#define ALL (SENVCFG_CBIE | SENVCFG_CBCFE | SENVCFG_CBZE)

static const struct {
    const char *name;
    bool user, before;   /* the hart has it already */
    uint32_t more, left; /* own.more_rights, before and after */
    uint64_t given;      /* to vU, of cache block instructions */
    uint64_t scounteren, senvcfg;
} modes[] = {
    {"vU: what the guest and the firmware give", true, false, 0, 0, SENVCFG_CBZE, 5, SENVCFG_CBZE},
    {"vS: the same", false, false, 0, 0, SENVCFG_CBZE, 5, SENVCFG_CBZE},
    {"vS needs more: everything", false, false, 8, 7, SENVCFG_CBZE, 0xffffffff, ALL},
    {"and no longer", false, false, 1, 0, SENVCFG_CBZE, 5, SENVCFG_CBZE},
    {"vU while vS needs more", true, false, 8, 7, SENVCFG_CBZE, 5, SENVCFG_CBZE},
    {"vU again", true, true, 0, 0, SENVCFG_CBZE, 5, SENVCFG_CBZE},
    {"vS, CBO.INVAL is CBO.FLUSH in vU", false, false, 0, 1000, SENVCFG_CBIE_FLUSH, 0xffffffff,
     ALL},
};

static void test_rights(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROWS(modes); i++) {
        parts_row(modes[i].name, NULL);
        rig.vcpu.mode = modes[i].user ? VMODE_U : VMODE_S;
        rig.vcpu.csr.scounteren = 1;
        rig.vcpu.counters_given = 4;
        rig.vcpu.csr.senvcfg = modes[i].given;
        parts_state.own.more_rights = modes[i].more;
        hart_csr[CSR_SCOUNTEREN] = hart_csr[CSR_SENVCFG] = NOT_WRITTEN;
        rig.hart->scounteren = modes[i].before ? modes[i].scounteren : 0;
        rig.hart->senvcfg = modes[i].before ? modes[i].senvcfg : 0;
        rig.vcpu.changed = VCPU_VIEW;
        trap_prepare(&rig.vcpu);
        rig_equal(parts_state.own.more_rights, modes[i].left);
        rig_equal(rig.hart->scounteren, modes[i].scounteren);
        rig_equal(rig.hart->senvcfg, modes[i].senvcfg);
        rig_equal(hart_csr[CSR_SCOUNTEREN], modes[i].before ? NOT_WRITTEN : modes[i].scounteren);
        rig_equal(hart_csr[CSR_SENVCFG], modes[i].before ? NOT_WRITTEN : modes[i].senvcfg);
    }
}

/* --- Going on --- */

/* The exit is a host interrupt, or with fill a page fault that was filled. Running ahead leaves a
 * root to be chosen. */
static const struct {
    const char *name;
    enum patch_level patch;
    bool user, fill, put_off;
    const char *calls; /* behind the handler's */
} goings[] = {
    {"off", PATCH_OFF, false, false, false, ""},
    {"ecall", PATCH_ECALL, false, false, false, ""},
    {"cluster", PATCH_CLUSTER, false, false, false, "; ahead_run; shadow_select 1"},
    {"vU", PATCH_CLUSTER, true, false, false, ""},
    {"a filled page", PATCH_CLUSTER, false, true, false, ""},
    {"put off", PATCH_CLUSTER, false, false, true, "; ahead_run; settle; shadow_select 1"},
    {"put off, a filled page", PATCH_CLUSTER, false, true, true, "; settle"},
    {"put off, vU", PATCH_CLUSTER, true, false, true, "; settle"},
};

static void test_go_on(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROWS(goings); i++) {
        struct parts answers = {.changes = VCPU_VIEW};
        char calls[96];
        parts_row(goings[i].name, &answers);
        rig.vm.options.patch = goings[i].patch;
        rig.vcpu.mode = goings[i].user ? VMODE_U : VMODE_S;
        rig.vm.has_put_off = goings[i].put_off;
        parts_trap(goings[i].fill ? CAUSE_LOAD_PAGE : TIMER, PARTS_STVAL);
        snprintf(calls, sizeof(calls), "%s%s",
                 goings[i].fill ? "shadow_fault load" : "run_interrupt 5", goings[i].calls);
        rig_calls(calls);
    }
}

/* A handler that is known to begin with a swap has that done, and nothing runs ahead. */
static void test_handler_begins(void **state)
{
    static const struct parts answers = {.inlines = true};
    (void)state;
    for (unsigned known = 0; known < 2; known++) {
        parts_row("a handler begins", &answers);
        rig.vm.options.patch = PATCH_INLINE;
        rig.vcpu.mode = VMODE_U;
        rig.vcpu.changed = VCPU_INTERRUPTS;
        rig.vcpu.csr.sip = rig.vcpu.csr.sie = SIP_SSIP;
        rig.vcpu.csr.sscratch = 0x4711;
        rig.vcpu.x[4] = 0x1234;
        parts_state.shadow.code_epoch = 5;
        parts_state.own.swaps = (struct trap_known){RIG_STVEC, 0, known ? 5 : 4, 4, 4};
        parts_trap(TIMER, 0);
        rig_equal(rig.vcpu.pc, known ? RIG_STVEC + 4 : RIG_STVEC);
        rig_equal(rig.vcpu.x[4], known ? 0x4711 : 0x1234);
        rig_equal(rig.vcpu.csr.sscratch, known ? 0x1234 : 0x4711);
        rig_calls(known ? "run_interrupt 5; shadow_select 1; inline_show_fs; inline_push_page"
                        : "run_interrupt 5; shadow_select 1; inline_show_fs; ahead_run; "
                          "inline_push_page");
    }
}

static void change_view(void)
{
    rig.vcpu.changed |= VCPU_VIEW;
}

/* What a device does when it settles is seen before the guest goes on. */
static void test_settled(void **state)
{
    (void)state;
    parts_row("settled", NULL);
    rig.vm.options.patch = PATCH_CLUSTER;
    rig.vm.has_put_off = true;
    rig.on_settle = change_view;
    parts_trap(TIMER, 0);
    rig_calls("run_interrupt 5; ahead_run; settle; shadow_select 1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_guest_exceptions),
        cmocka_unit_test(test_interrupts),
        cmocka_unit_test(test_unknown_causes),
        cmocka_unit_test(test_handlers),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_nothing_to_do),
        cmocka_unit_test(test_counted),
        cmocka_unit_test(test_virtual_csrs),
        cmocka_unit_test(test_float),
        cmocka_unit_test(test_follow),
        cmocka_unit_test(test_prepare),
        cmocka_unit_test(test_rights),
        cmocka_unit_test(test_handler_begins),
        cmocka_unit_test(test_go_on),
        cmocka_unit_test(test_settled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
