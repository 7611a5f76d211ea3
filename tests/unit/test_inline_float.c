/*
 * What the machine's FS is at PATCH=inline (core/engine/trap/inline.c), and when the FPU is opened.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "inline_hart.h"

#define FIXED (SSTATUS_SPIE | SSTATUS_UXL_64) /* what of the real hart's sstatus is always so */

static const struct {
    const char *name;
    bool inlines; /* PATCH=inline */
    bool lost, low_lost, open;
    enum vmode mode;
    uint64_t fs, shown; /* the guest's, and the machine's */
    bool stays_open;
} floats[] = {
    {"not inlined, vS", false, false, false, false, VMODE_S, SSTATUS_FS, SSTATUS_FS, false},
    {"not inlined, vU", false, false, false, false, VMODE_U, SSTATUS_FS, SSTATUS_FS, false},
    {"not inlined, off", false, false, false, false, VMODE_S, 0, 0, false},
    {"not inlined, initial", false, false, false, false, VMODE_S, SSTATUS_FS_INITIAL,
     SSTATUS_FS_INITIAL, false},
    {"hidden", true, false, false, false, VMODE_S, SSTATUS_FS, 0, false},
    {"vU", true, false, false, false, VMODE_U, SSTATUS_FS, SSTATUS_FS, false},
    {"given up", true, true, false, false, VMODE_S, SSTATUS_FS, SSTATUS_FS, false},
    {"no trampolines", true, false, true, false, VMODE_S, SSTATUS_FS, SSTATUS_FS, false},
    {"open", true, false, false, true, VMODE_S, SSTATUS_FS_INITIAL, SSTATUS_FS_INITIAL, true},
    {"closed by vS", true, false, false, true, VMODE_S, 0, 0, false},
    {"closed by vU", true, false, false, true, VMODE_U, SSTATUS_FS, SSTATUS_FS, false},
};

/* The machine's FS is the guest's, or Off while trampolines are mapped; of the rest of sstatus the
 * machine's is always the same, whatever the guest's is. */
static void test_float(void **state)
{
    for (unsigned i = 0; i < sizeof(floats) / sizeof(floats[0]); i++) {
        inline_setup(state);
        struct trap_vcpu *own = trap_of(vcpu);
        own->inlined = floats[i].inlines ? &inlined : NULL;
        own->sstatus = FIXED | (floats[i].shown ^ SSTATUS_FS);
        inlined.lost = floats[i].lost;
        inlined.low_lost = floats[i].low_lost;
        inlined.float_open = floats[i].open;
        vcpu->mode = (uint8_t)floats[i].mode;
        vcpu->csr.sstatus = SSTATUS_SPP | SSTATUS_SUM | floats[i].fs;
        vcpu->changed = VCPU_FS;
        inline_show_fs(vcpu);
        if (own->sstatus != (FIXED | floats[i].shown))
            fail_msg("%s: sstatus is %#lx", floats[i].name, own->sstatus);
        assert_int_equal(inlined.float_open, floats[i].stays_open);
        assert_int_equal(vcpu->csr.sstatus, SSTATUS_SPP | SSTATUS_SUM | floats[i].fs);
        assert_int_equal(vcpu->changed, 0);
    }
}

/* csrs sstatus, a0 by a kernel that wants the FPU opens it; other ways to change FS do not. */
static const struct {
    unsigned op;
    bool hidden;
    uint64_t fs;
    bool opens;
} wishes[] = {
    {RV_RS, true, SSTATUS_FS_INITIAL, true},   {RV_RS, true, 0, false},
    {RV_RS, false, SSTATUS_FS_INITIAL, false}, {RV_RW, true, SSTATUS_FS_INITIAL, false},
    {RV_RC, true, SSTATUS_FS_INITIAL, false},
};

static void test_float_expected(void **state)
{
    for (unsigned i = 0; i < sizeof(wishes) / sizeof(wishes[0]); i++) {
        inline_setup(state);
        struct insn insn = insn_decode(rv_csr(wishes[i].op, 0, CSR_SSTATUS, A0));
        trap_of(vcpu)->inlined = &inlined;
        trap_of(vcpu)->fs_hidden = wishes[i].hidden;
        vcpu->mode = VMODE_S;
        vcpu->csr.sstatus = wishes[i].fs;
        vcpu->changed = VCPU_FS;
        inline_expect_float(vcpu, &insn);
        assert_int_equal(inlined.float_open, wishes[i].opens);
        assert_int_equal(trap_of(vcpu)->fs_hidden, wishes[i].hidden && !wishes[i].opens);
        assert_int_equal(flushes, wishes[i].opens);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_float),
        cmocka_unit_test(test_float_expected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
