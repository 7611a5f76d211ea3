/*
 * Traps whose handling depends on the instruction at pc (core/engine/trap/trap.c): illegal
 * instructions, ecalls of both modes, and trampolines. Surprise: what is at pc need not be what
 * trapped, since a device may have written the code meanwhile; what cannot have trapped so is run
 * again and never carried out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "isa/encode.h"
#include "trap_parts.h"

#define CODE_FADD 0x00b57553u
#define CODE_MRET 0x30200073u
#define CODE_JR   0x00008067u
#define AGAIN     "site_read; site_run_again"

/* --- Illegal instructions --- */

static const struct {
    const char *name;
    struct parts parts;
    bool user, stale; /* stval says another instruction */
    const char *calls;
    enum exit_class class;
    uint32_t detail;
} illegals[] = {
    {"sensitive", WITH(.code = CODE_CSRR, .sensitive = true), false, false,
     "site_read; patch_site; priv_execute", EXIT_CSR, CSR_SSCRATCH},
    {"sensitive, vU", WITH(.code = CODE_CSRR, .sensitive = true), true, false,
     "site_read; priv_execute", EXIT_CSR, CSR_SSCRATCH},
    {"not sensitive", WITH(.code = CODE_MRET), false, false, "site_read; priv_execute", EXIT_CSR,
     CSR_SSCRATCH},
    {"its stval is stale", WITH(.code = CODE_MRET), false, true, "site_read; priv_execute",
     EXIT_CSR, CSR_SSCRATCH},
    {"not known any more", WITH(.lost = true), false, false, "site_read", EXIT_PATCH,
     EXIT_PATCH_RUN_AGAIN},
    {"jumped into a site", WITH(.code = CODE_CSRR, .repairs = true), false, false, "", EXIT_PATCH,
     EXIT_PATCH_REPAIRED},
    {"vU has no sites", WITH(.code = CODE_MRET, .repairs = true), true, false,
     "site_read; priv_execute", EXIT_CSR, CSR_SSCRATCH},
    {"the FPU's", WITH(.code = CODE_FADD, .opens_float = true), false, false, "site_read",
     EXIT_PATCH, EXIT_PATCH_FLOAT},
    {"the FPU's, vU", WITH(.code = CODE_FADD, .opens_float = true), true, false,
     "site_read; priv_execute", EXIT_CSR, CSR_SSCRATCH},
    {"sensitive is not the FPU's", WITH(.code = CODE_CSRR, .sensitive = true, .opens_float = true),
     false, false, "site_read; patch_site; priv_execute", EXIT_CSR, CSR_SSCRATCH},
    {"a counter's", WITH(.code = CODE_RDTIME), false, false, "site_read", EXIT_PATCH,
     EXIT_PATCH_RIGHTS},
    {"a cache block's", WITH(.code = CODE_CBO_ZERO), false, false, "site_read", EXIT_PATCH,
     EXIT_PATCH_RIGHTS},
    {"a counter's, vU", WITH(.code = CODE_RDTIME), true, false, "site_read; priv_execute", EXIT_CSR,
     CSR_SSCRATCH},
    {"a load cannot be", WITH(.code = CODE_LD), false, true, AGAIN, EXIT_PATCH,
     EXIT_PATCH_RUN_AGAIN},
    {"a store cannot be", WITH(.code = CODE_SD), true, true, AGAIN, EXIT_PATCH,
     EXIT_PATCH_RUN_AGAIN},
    {"an add cannot be", WITH(.code = CODE_ADD), false, true, AGAIN, EXIT_PATCH,
     EXIT_PATCH_RUN_AGAIN},
    {"a jump cannot be", WITH(.code = CODE_JR), false, true, AGAIN, EXIT_PATCH,
     EXIT_PATCH_RUN_AGAIN},
    {"an ecall cannot be", WITH(.code = ENCODE_ECALL), false, true, AGAIN, EXIT_PATCH,
     EXIT_PATCH_RUN_AGAIN},
    {"a float load may be", WITH(.code = CODE_FLD), false, true, "site_read; priv_execute",
     EXIT_CSR, CSR_SSCRATCH},
    {"the hart says that it is", WITH(.code = CODE_ADD), false, false, "site_read; priv_execute",
     EXIT_CSR, CSR_SSCRATCH},
};

static void test_illegal(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROWS(illegals); i++) {
        parts_row(illegals[i].name, &illegals[i].parts);
        rig.vcpu.mode = illegals[i].user ? VMODE_U : VMODE_S;
        struct exit exit = parts_trap(CAUSE_ILLEGAL,
                                      illegals[i].stale ? 0x4711 : illegals[i].parts.code);
        rig_calls(illegals[i].calls);
        rig_exit(exit, illegals[i].class, illegals[i].detail);
        rig_equal(rig.vcpu.pc, RIG_PC);
    }
}

/* For tests of the trampolines each site gets one at once, but only if it became a site. */
static void test_eager(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        bool inlines = i & 1, patches = i & 2, eager = i & 4;
        struct parts answers = {
            .code = CODE_CSRR, .sensitive = true, .inlines = inlines, .patches = patches};
        parts_row("eager", &answers);
        rig.vm.options.patch = PATCH_ECALL;
        rig.vm.options.eager = eager;
        parts_state.inlined.lost = true; /* no page is pulled */
        parts_trap(CAUSE_ILLEGAL, CODE_CSRR);
        rig_calls(i == 7    ? "site_read; patch_site; patch_promote; priv_execute; inline_push_page"
                  : inlines ? "site_read; patch_site; priv_execute; inline_push_page"
                            : "site_read; patch_site; priv_execute");
    }
}

/* QEMU 10.0 reports a wfi in the last four bytes of a page one page too far. */
#define LAST (RIG_PC / PAGE_SIZE * PAGE_SIZE + PAGE_SIZE - 4) /* of a page */

static const struct {
    const char *name;
    uint64_t pc, stval;
    uint32_t before, here; /* code at a page before pc, and at pc */
    bool corrected;
} wfis[] = {
    {"a page too far", LAST, ENCODE_WFI, ENCODE_WFI, CODE_ADD, true},
    {"two bytes further", LAST + 2, ENCODE_WFI, ENCODE_WFI, CODE_ADD, true},
    {"is where it says", LAST, ENCODE_WFI, ENCODE_WFI, ENCODE_WFI, false},
    {"no wfi before", LAST, ENCODE_WFI, CODE_ADD, CODE_ADD, false},
    {"before is not known", LAST, ENCODE_WFI, 0, CODE_ADD, false},
    {"not at the end of a page", LAST - 4, ENCODE_WFI, ENCODE_WFI, CODE_ADD, false},
    {"at its begin", LAST + 4, ENCODE_WFI, ENCODE_WFI, CODE_ADD, false},
    {"not reported as wfi", LAST, CODE_MRET, ENCODE_WFI, CODE_MRET, false},
};

static void test_correct_wfi(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROWS(wfis); i++) {
        struct parts answers = {.code = wfis[i].here, .before = wfis[i].before, .sensitive = true};
        parts_row(wfis[i].name, &answers);
        rig.vcpu.mode = VMODE_U;
        rig.vcpu.pc = wfis[i].pc;
        /* The parts have one code for pc, wherever that is now; it is read again behind the
         * correction. */
        parts_trap(CAUSE_ILLEGAL, wfis[i].stval);
        rig_equal(rig.vcpu.pc, wfis[i].pc - (wfis[i].corrected ? PAGE_SIZE : 0));
    }
}

/* --- ecall --- */

/* A process's is the guest's own, whatever else is known of its pc. */
static void test_ecall_of_user(void **state)
{
    static const struct parts answers = {.code = CODE_CSRR, .sensitive = true};
    (void)state;
    parts_row("vU", &answers);
    rig.vcpu.mode = VMODE_U;
    rig_exit(parts_trap(CAUSE_ECALL_U, PARTS_STVAL), EXIT_SYSCALL, 0);
    rig_calls("shadow_select 1");
    rig_raised(CAUSE_ECALL_U, 0);
}

static const struct {
    const char *name;
    struct parts parts;
    const char *calls;
    enum exit_class class;
    uint32_t detail;
    unsigned behind; /* pc */
} ecalls[] = {
    {"a sensitive instruction's", WITH(.code = CODE_CSRR, .sensitive = true), "priv_execute",
     EXIT_CSR, CSR_SSCRATCH, 0},
    {"one that changes FS", WITH(.code = CODE_CSRR, .sensitive = true, .changes_fs = true),
     "priv_execute; inline_expect_float; inline_show_fs", EXIT_CSR, CSR_SSCRATCH, 0},
    {"a call of the firmware", WITH(.code = ENCODE_ECALL), "call 0x80200104", EXIT_SBI, 0x10, 4},
    {"other code", WITH(.code = CODE_ADD), "site_run_again", EXIT_PATCH, EXIT_PATCH_RUN_AGAIN, 0},
};

static void test_ecall(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROWS(ecalls); i++) {
        parts_row(ecalls[i].name, &ecalls[i].parts);
        rig_exit(parts_trap(CAUSE_ECALL_U, 0), ecalls[i].class, ecalls[i].detail);
        rig_calls(ecalls[i].calls);
        rig_equal(rig.vcpu.pc, RIG_PC + ecalls[i].behind);
        rig_equal(parts_site()->hits, 0);
    }
}

/* When a patched site is worth a trampoline. */
static const struct {
    const char *name;
    int32_t hits;   /* before */
    uint32_t sites; /* taken */
    bool eager, promotes;
    bool tried;
    int32_t after;
} hits[] = {
    {"first", 0, 0, false, true, false, 1},
    {"last but one", INLINE_HITS - 2, 0, false, true, false, INLINE_HITS - 1},
    {"often enough", INLINE_HITS - 1, 0, false, true, true, 0},
    {"cannot be", INLINE_HITS - 1, 0, false, false, true, -8192},
    {"much later", -8192, 0, false, true, false, -8191},
    {"another must go", INLINE_HITS - 1, INLINE_SITES, false, true, false, INLINE_HITS},
    {"worth that", 4 * INLINE_HITS - 1, INLINE_SITES, false, true, true, 0},
    {"eager", 0, 0, true, true, true, 0},
};

static void test_hits(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROWS(hits); i++) {
        struct parts answers = {
            .code = CODE_CSRR, .sensitive = true, .inlines = true, .promotes = hits[i].promotes};
        parts_row(hits[i].name, &answers);
        rig.vm.options.patch = PATCH_ECALL; /* nothing runs ahead */
        rig.vm.options.eager = hits[i].eager;
        parts_site()->hits = hits[i].hits;
        parts_state.code.sites[0] = hits[i].sites;
        parts_state.code.shorts = INLINE_SITES - INLINE_LONG;
        rig_exit(parts_trap(CAUSE_ECALL_U, 0), EXIT_CSR, CSR_SSCRATCH);
        rig_calls(hits[i].tried ? "inline_pull_page; patch_promote; priv_execute; inline_push_page"
                                : "inline_pull_page; priv_execute; inline_push_page");
        rig_equal((uint32_t)parts_site()->hits, (uint32_t)hits[i].after);
    }
}

/* --- Trampolines --- */

#define LOW    0x400ul /* a pc in a trampoline */
#define FINISH "inline_finish"
#define TIMER  (SCAUSE_INTERRUPT | INTERRUPT_TIMER)

/* Each of vS at LOW; a finished one goes on behind its site. */
static const struct {
    const char *name;
    uint64_t cause;
    struct parts parts;
    const char *calls;
    enum exit_class class;
    uint32_t detail;
} trampolines[] = {
    {"interrupted", TIMER, WITH(.low = true, .finished_pc = RIG_PC), FINISH "; run_interrupt 5",
     EXIT_INTERRUPT, INTERRUPT_TIMER},
    {"the page is not mapped", CAUSE_STORE_PAGE, WITH(.low = true, .finished_pc = RIG_PC),
     FINISH "; inline_map", EXIT_PATCH, EXIT_PATCH_TRAMPOLINE},
    {"it is not mapped", CAUSE_FETCH_PAGE, WITH(.low = true, .finished_pc = RIG_PC),
     FINISH "; inline_map_low", EXIT_PATCH, EXIT_PATCH_TRAMPOLINE},
    {"left to the VMM", CAUSE_BREAKPOINT,
     WITH(.low = true, .finished = FINISHED_SLOW, .finished_pc = RIG_PC, .code = CODE_CSRR,
          .sensitive = true),
     FINISH "; site_fetch; priv_execute", EXIT_CSR, CSR_SSCRATCH},
    {"left, and other code", CAUSE_BREAKPOINT,
     WITH(.low = true, .finished = FINISHED_SLOW, .finished_pc = RIG_PC, .code = CODE_ADD),
     FINISH "; site_fetch", EXIT_PATCH, EXIT_PATCH_TRAMPOLINE},
    {"left, and not known", CAUSE_BREAKPOINT,
     WITH(.low = true, .finished = FINISHED_SLOW, .finished_pc = RIG_PC, .lost = true,
          .sensitive = true),
     FINISH "; site_fetch", EXIT_PATCH, EXIT_PATCH_RUN_AGAIN},
    {"left, but interrupted", TIMER,
     WITH(.low = true, .finished = FINISHED_SLOW, .finished_pc = RIG_PC),
     FINISH "; run_interrupt 5", EXIT_INTERRUPT, INTERRUPT_TIMER},
    {"wild, interrupted", TIMER, WITH(.low = true, .finished = FINISHED_WILD),
     FINISH "; run_interrupt 5", EXIT_INTERRUPT, INTERRUPT_TIMER},
    {"wild, not mapped", CAUSE_FETCH_PAGE, WITH(.low = true, .finished = FINISHED_WILD),
     FINISH "; shadow_fault fetch", EXIT_SHADOW_FILL, CAUSE_FETCH_PAGE},
    {"none are mapped", CAUSE_FETCH_PAGE, WITH(.low = false), "shadow_fault fetch",
     EXIT_SHADOW_FILL, CAUSE_FETCH_PAGE},
};

static void test_trampoline(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROWS(trampolines); i++) {
        parts_row(trampolines[i].name, &trampolines[i].parts);
        rig.vcpu.pc = LOW;
        struct exit exit = parts_trap(trampolines[i].cause, LOW);
        rig_calls(trampolines[i].calls);
        rig_exit(exit, trampolines[i].class, trampolines[i].detail);
        rig_equal(rig.vcpu.pc, trampolines[i].parts.finished_pc ? RIG_PC : LOW);
    }
}

/* A wild jump executes what a trampoline happens to be: the guest gets the fault that its own
 * tables say, or its new page is found. */
static void test_wild(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct parts answers = {.low = true,
                                .inlines = true,
                                .finished = FINISHED_WILD,
                                .fetch_fault = i ? CAUSE_FETCH_PAGE : 0};
        parts_row(i ? "no page of the guest's" : "a page of the guest's", &answers);
        rig.vm.options.patch = PATCH_OFF;
        parts_state.inlined.lost = true;
        rig.vcpu.pc = LOW;
        rig_exit(parts_trap(CAUSE_ILLEGAL, 0), EXIT_EXCEPTION, i ? CAUSE_FETCH_PAGE : 0);
        rig_calls(i ? FINISH "; sync; inline_push_page" : FINISH "; inline_push_page");
        rig_equal(parts_state.inlined.check, !i);
        if (i)
            rig_raised_at(LOW, CAUSE_FETCH_PAGE, LOW);
        else
            rig_equal(rig.vcpu.pc, LOW);
    }
}

/* The first address behind them is the guest's. */
static void test_where_they_end(void **state)
{
    static const struct parts answers = {.low = true};
    (void)state;
    parts_row("behind", &answers);
    rig.vcpu.pc = INLINE_LOW;
    parts_trap(CAUSE_FETCH_PAGE, INLINE_LOW);
    rig_calls("shadow_fault fetch");
    rig.vcpu.pc = INLINE_LOW - 2;
    parts_trap(CAUSE_FETCH_PAGE, INLINE_LOW - 2);
    rig_calls("inline_finish; inline_map_low");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_illegal),        cmocka_unit_test(test_eager),
        cmocka_unit_test(test_correct_wfi),    cmocka_unit_test(test_ecall_of_user),
        cmocka_unit_test(test_ecall),          cmocka_unit_test(test_hits),
        cmocka_unit_test(test_trampoline),     cmocka_unit_test(test_wild),
        cmocka_unit_test(test_where_they_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
