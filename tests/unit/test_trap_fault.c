/*
 * Page faults of the guest (core/engine/trap/trap.c): for each answer of the shadow page tables
 * what is done, in which order, and what the exit is counted as. Surprise: an instruction that is
 * needed for what follows cannot be known any more if the fault itself unmapped code; the guest
 * then runs it again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "trap_parts.h"

struct row {
    const char *name;
    uint64_t cause;
    struct parts parts;
    const char *calls;
    enum exit_class class;
    uint32_t detail;
};

static void check_rows(const struct row *rows, unsigned count, uint64_t stval)
{
    for (unsigned i = 0; i < count; i++) {
        parts_row(rows[i].name, &rows[i].parts);
        rig.vm.options.patch = PATCH_OFF; /* nothing runs ahead */
        rig.vcpu.x[10] = stval - 64;
        rig.vcpu.csr.sstatus = SSTATUS_SUM;
        struct exit exit = parts_trap(rows[i].cause, stval);
        rig_calls(rows[i].calls);
        rig_exit(exit, rows[i].class, rows[i].detail);
        if (rows[i].class == EXIT_GUEST_FAULT)
            rig_raised(rows[i].detail, stval + (rows[i].parts.read_fault != 0));
    }
}

/* --- The guest's own faults, and filled pages --- */

#define FETCH CAUSE_FETCH_PAGE
#define LOAD  CAUSE_LOAD_PAGE
#define STORE CAUSE_STORE_PAGE

static const struct row plain[] = {
    {"filled: fetch", FETCH, WITH(0), "shadow_fault fetch", EXIT_SHADOW_FILL, FETCH},
    {"filled: load", LOAD, WITH(0), "shadow_fault load", EXIT_SHADOW_FILL, LOAD},
    {"filled: store", STORE, WITH(0), "shadow_fault store", EXIT_SHADOW_FILL, STORE},
    {"guest's: fetch", FETCH, WITH(.answer = SHADOW_GUEST), "shadow_fault fetch; sync",
     EXIT_GUEST_FAULT, FETCH},
    {"guest's: load", LOAD, WITH(.answer = SHADOW_GUEST), "shadow_fault load; sync",
     EXIT_GUEST_FAULT, LOAD},
    {"guest's, code unmapped", LOAD, WITH(.answer = SHADOW_GUEST, .code_changes = true),
     "shadow_fault load; sync", EXIT_GUEST_FAULT, LOAD},
    {"guest's: store where it has no page", STORE, WITH(.answer = SHADOW_ABSENT),
     "shadow_fault store; sync", EXIT_GUEST_FAULT, STORE},
    {"guest's: store", STORE, WITH(.answer = SHADOW_GUEST, .code = CODE_SD),
     "shadow_fault store; sync", EXIT_GUEST_FAULT, STORE},
};

static void test_plain(void **state)
{
    (void)state;
    check_rows(plain, ROWS(plain), PARTS_STVAL);
}

/* Where trampolines are, the guest may have a page of its kernel's own behind them. */
static const struct row behind[] = {
    {"load", LOAD, WITH(.gives_way = true), "inline_give_way", EXIT_SHADOW_FILL, LOAD},
    {"store", STORE, WITH(.gives_way = true), "inline_give_way", EXIT_SHADOW_FILL, STORE},
    {"nothing is behind", LOAD, WITH(.answer = SHADOW_GUEST),
     "inline_give_way; shadow_fault load; sync", EXIT_GUEST_FAULT, LOAD},
    {"fetch", FETCH, WITH(.gives_way = true), "shadow_fault fetch", EXIT_SHADOW_FILL, FETCH},
};

static void test_behind(void **state)
{
    (void)state;
    check_rows(behind, ROWS(behind), 0x1040);
    check_rows(plain, 2, INLINE_LOW); /* the first address behind them */
}

/* --- CBO: faults as a store, and is permitted where a load is --- */

static const struct row cbos[] = {
    {"filled", STORE, WITH(.code = CODE_CBO_CLEAN, .answer = SHADOW_GUEST, .second = SHADOW_RETRY),
     "shadow_fault store; shadow_fault load", EXIT_SHADOW_FILL, STORE},
    {"guest's", STORE, WITH(.code = CODE_CBO_CLEAN, .answer = SHADOW_GUEST, .second = SHADOW_GUEST),
     "shadow_fault store; shadow_fault load; sync", EXIT_GUEST_FAULT, STORE},
    {"a device's", STORE,
     WITH(.code = CODE_CBO_CLEAN, .answer = SHADOW_GUEST, .second = SHADOW_MMIO),
     "shadow_fault store; shadow_fault load; sync", EXIT_GUEST_FAULT, STORE},
    {"a copy's", STORE,
     WITH(.code = CODE_CBO_CLEAN, .answer = SHADOW_GUEST, .second = SHADOW_PATCHED),
     "shadow_fault store; shadow_fault load; patch_drop 0x10000040", EXIT_SHADOW_FILL, STORE},
    {"the process's", STORE,
     WITH(.code = CODE_CBO_CLEAN, .answer = SHADOW_GUEST, .second = SHADOW_USER, .reaches = true),
     "shadow_fault store; shadow_fault load; ahead_reach", EXIT_SHADOW_FILL, STORE},
    {"the process's, another root", STORE,
     WITH(.code = CODE_CBO_CLEAN, .answer = SHADOW_GUEST, .second = SHADOW_USER),
     "shadow_fault store; shadow_fault load; ahead_reach; shadow_reach_user; shadow_fault load",
     EXIT_SHADOW_FILL, STORE},
    {"cbo.zero is a store", STORE, WITH(.code = CODE_CBO_ZERO, .answer = SHADOW_GUEST),
     "shadow_fault store; sync", EXIT_GUEST_FAULT, STORE},
    {"not known any more", STORE, WITH(.unknown = PATCH_AGAIN, .answer = SHADOW_GUEST),
     "shadow_fault store", EXIT_SHADOW_FILL, STORE},
    {"executed in a window", STORE, WITH(.unknown = CAUSE_FETCH_ACCESS, .answer = SHADOW_GUEST),
     "shadow_fault store; sync", EXIT_GUEST_FAULT, STORE},
    {"faulted as a load", LOAD, WITH(.code = CODE_CBO_CLEAN, .answer = SHADOW_GUEST),
     "shadow_fault load; sync", EXIT_GUEST_FAULT, LOAD},
};

static void test_cbo(void **state)
{
    (void)state;
    check_rows(cbos, ROWS(cbos), PARTS_STVAL);
}

/* --- Where no RAM is --- */

static const struct row devices[] = {
    {"fetch", FETCH, WITH(.answer = SHADOW_MMIO), "shadow_fault fetch; sync", EXIT_GUEST_FAULT,
     CAUSE_FETCH_ACCESS},
    {"load", LOAD, WITH(.code = CODE_LD, .answer = SHADOW_MMIO),
     "shadow_fault load; site_fetch; ahead_note_device; emulate_mmio load", EXIT_MMIO, 0},
    {"store", STORE, WITH(.code = CODE_SD, .answer = SHADOW_MMIO),
     "shadow_fault store; site_fetch; ahead_note_device; emulate_mmio store", EXIT_MMIO, 0},
    {"not known any more", LOAD, WITH(.lost = true, .answer = SHADOW_MMIO),
     "shadow_fault load; site_fetch", EXIT_PATCH, EXIT_PATCH_RUN_AGAIN},
    {"other code", LOAD, WITH(.code = CODE_ADD, .cannot_fault = true, .answer = SHADOW_MMIO),
     "shadow_fault load; site_fetch; site_run_again", EXIT_PATCH, EXIT_PATCH_RUN_AGAIN},
    {"code unmapped meanwhile", LOAD,
     WITH(.code = CODE_LD, .code_changes = true, .answer = SHADOW_MMIO), "shadow_fault load",
     EXIT_SHADOW_FILL, LOAD},
};

static void test_device(void **state)
{
    (void)state;
    check_rows(devices, ROWS(devices), PARTS_STVAL);
}

#define DEVICE "shadow_fault load; site_fetch; ahead_note_device; emulate_mmio load"

/* With PATCH=cluster the kernel's next instructions follow, and the device is told so. */
static void test_device_more(void **state)
{
    static const struct parts answers = {.code = CODE_LD, .answer = SHADOW_MMIO};
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        parts_row("more", &answers);
        rig.vm.options.patch = i & 1 ? PATCH_CLUSTER : PATCH_ECALL;
        rig.vcpu.mode = i & 2 ? VMODE_S : VMODE_U;
        parts_trap(LOAD, PARTS_STVAL);
        rig_calls(i == 3 ? DEVICE " more; ahead_run" : DEVICE);
    }
}

/* --- The page of virtual CSRs --- */

/* Forms: ld a0, -1792(x0) and sd a0, -1792(x0); they fault at INLINE_TOP + 0x900. */
#define FORM_LD 0x90003503u
#define FORM_SD 0x90a03023u
#define PULL    "inline_pull_page; "
#define PUSH    "; inline_push_page"

static const struct row virtual_csrs[] = {
    {"maps: load", LOAD, WITH(.inlines = true, .maps = true), PULL "inline_map" PUSH,
     EXIT_SHADOW_FILL, LOAD},
    {"maps: store", STORE, WITH(.inlines = true, .maps = true), PULL "inline_map" PUSH,
     EXIT_SHADOW_FILL, STORE},
    {"no fetch", FETCH, WITH(.inlines = true, .maps = true), PULL "shadow_fault fetch" PUSH,
     EXIT_SHADOW_FILL, FETCH},
    {"read, not mapped", LOAD,
     WITH(.inlines = true, .code = CODE_CSRR, .form = FORM_LD, .answer = SHADOW_MMIO),
     PULL "shadow_fault load; site_fetch; priv_execute" PUSH, EXIT_CSR, CSR_SSCRATCH},
    {"written, not mapped", STORE,
     WITH(.inlines = true, .code = CODE_CSRR, .form = FORM_SD, .answer = SHADOW_MMIO),
     PULL "shadow_fault store; site_fetch; priv_execute" PUSH, EXIT_CSR, CSR_SSCRATCH},
    {"another kind", LOAD,
     WITH(.inlines = true, .code = CODE_LD, .form = FORM_SD, .answer = SHADOW_MMIO),
     PULL DEVICE PUSH, EXIT_MMIO, 0},
    {"another register",
     LOAD,
     {.inlines = true, .code = CODE_LD, .form = FORM_LD + (8u << 20), .answer = SHADOW_MMIO},
     PULL DEVICE PUSH,
     EXIT_MMIO,
     0},
    {"no form", LOAD, WITH(.inlines = true, .code = CODE_LD, .answer = SHADOW_MMIO),
     PULL DEVICE PUSH, EXIT_MMIO, 0},
    {"no inlining", LOAD, WITH(.code = CODE_LD, .form = FORM_LD, .answer = SHADOW_MMIO), DEVICE,
     EXIT_MMIO, 0},
};

static void test_virtual_csrs(void **state)
{
    (void)state;
    check_rows(virtual_csrs, ROWS(virtual_csrs), INLINE_TOP + 0x900);
}

/* Only the kernel has that page, and only at the top. */
static void test_no_virtual_csrs(void **state)
{
    struct parts answers = {.inlines = true, .code = CODE_LD, .answer = SHADOW_MMIO};
    (void)state;
    answers.form = FORM_LD;
    parts_row("vU", &answers);
    rig.vcpu.mode = VMODE_U;
    parts_trap(LOAD, INLINE_TOP + 0x900);
    rig_calls(DEVICE);
    answers.form = FORM_LD & 0x7fffffff; /* 0x100(x0) */
    parts_row("low", &answers);
    rig.vm.options.patch = PATCH_OFF;
    parts_trap(LOAD, 0x100);
    rig_calls(PULL "inline_give_way; " DEVICE PUSH);
}

/* --- Code whose copy is execute-only --- */

static const struct row copies[] = {
    {"load", LOAD, WITH(.code = CODE_LD, .answer = SHADOW_PATCHED),
     "shadow_fault load; site_fetch; emulate_read 0x40000040 8; emulate_finish_load 0x4711; "
     "patch_note_load 0x10000040",
     EXIT_PATCH, EXIT_PATCH_LOAD},
    {"load that faults", LOAD,
     WITH(.code = CODE_LD, .read_fault = CAUSE_LOAD_PAGE, .answer = SHADOW_PATCHED),
     "shadow_fault load; site_fetch; emulate_read 0x40000040 8; sync", EXIT_GUEST_FAULT,
     CAUSE_LOAD_PAGE},
    {"lr", LOAD, WITH(.code = CODE_LR, .answer = SHADOW_PATCHED),
     "shadow_fault load; site_fetch; patch_drop 0x10000040", EXIT_PATCH, EXIT_PATCH_LOAD},
    {"other code", LOAD, WITH(.code = CODE_ADD, .cannot_fault = true, .answer = SHADOW_PATCHED),
     "shadow_fault load; site_fetch; site_run_again", EXIT_PATCH, EXIT_PATCH_RUN_AGAIN},
    {"not known any more", LOAD, WITH(.lost = true, .answer = SHADOW_PATCHED),
     "shadow_fault load; site_fetch", EXIT_PATCH, EXIT_PATCH_RUN_AGAIN},
    {"code unmapped meanwhile", LOAD,
     WITH(.code = CODE_LD, .code_changes = true, .answer = SHADOW_PATCHED), "shadow_fault load",
     EXIT_SHADOW_FILL, LOAD},
};

static void test_copy(void **state)
{
    (void)state;
    check_rows(copies, ROWS(copies), PARTS_STVAL);
}

/* --- The kernel's access to its process's page --- */

static const struct row users[] = {
    {"found by the tables, carried out", LOAD, WITH(.answer = SHADOW_USER, .reaches = true),
     "shadow_fault load; ahead_reach", EXIT_SHADOW_FILL, LOAD},
    {"found by the tables, another root", STORE,
     WITH(.answer = SHADOW_USER, .second = SHADOW_RETRY),
     "shadow_fault store; ahead_reach; shadow_reach_user; shadow_fault store", EXIT_SHADOW_FILL,
     STORE},
    {"guessed", LOAD, WITH(.may_reach = true, .reaches = true), "ahead_reach", EXIT_SHADOW_FILL,
     LOAD},
    {"guessed wrong", LOAD, WITH(.may_reach = true), "ahead_reach; shadow_fault load",
     EXIT_SHADOW_FILL, LOAD},
    {"no fetch", FETCH, WITH(.may_reach = true, .reaches = true), "shadow_fault fetch",
     EXIT_SHADOW_FILL, FETCH},
};

static void test_user(void **state)
{
    (void)state;
    check_rows(users, ROWS(users), PARTS_STVAL);
}

static void test_without_sum(void **state)
{
    static const struct parts answers = {.may_reach = true, .reaches = true};
    (void)state;
    parts_row("without SUM", &answers);
    parts_trap(LOAD, PARTS_STVAL);
    rig_calls("shadow_fault load");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),        cmocka_unit_test(test_behind),
        cmocka_unit_test(test_cbo),          cmocka_unit_test(test_device),
        cmocka_unit_test(test_virtual_csrs), cmocka_unit_test(test_device_more),
        cmocka_unit_test(test_copy),         cmocka_unit_test(test_without_sum),
        cmocka_unit_test(test_user),         cmocka_unit_test(test_no_virtual_csrs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
