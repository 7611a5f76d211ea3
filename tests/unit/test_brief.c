/*
 * Brief exits (core/engine/trap/brief.c) beside the long way: whatever a brief exit does, the vcpu,
 * the page of virtual CSRs and the hart are as trap_handle() would have left them; and when it does
 * nothing, nothing has changed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "brief_rig.h"
#include "rv.h"

#define ROUNDS 20000u

/* pc of the kernel's SRET, of which the engine knows. */
static void know_return(void)
{
    rig.vcpu.pc = RIG_PC;
    brief_put_site(RIG_PC, RV_SRET);
    brief_note_return(&rig.vcpu, brief_site(RIG_PC));
}

static void test_call(void **state)
{
    unsigned done = 0;
    (void)state;
    srandom(1);
    for (unsigned i = 0; i < ROUNDS; i++) {
        brief_setup("call", VMODE_U);
        brief_fill();
        rig.vcpu.csr.stvec = RIG_STVEC | (random() & 1);
        if (random() & 1)
            brief_put_site(RIG_STVEC, rv_csr(RV_RW, 4, CSR_SSCRATCH, 4));
        done += brief_compare(brief_call_long);
    }
    rig_equal(done, ROUNDS);
    rig_equal(rig.vm.stats.brief[STATS_SYSCALL], 1);
    rig_equal(rig.vm.stats.brief[STATS_SRET], 0);
}

static void test_return(void **state)
{
    unsigned done = 0, to_kernel = 0;
    (void)state;
    srandom(2);
    for (unsigned i = 0; i < ROUNDS; i++) {
        brief_setup("return", VMODE_S);
        brief_fill();
        know_return();
        bool plain = !(inlined.page.sstatus & SSTATUS_SPP);
        rig_equal(brief_compare(brief_return_long), plain);
        done += plain;
        to_kernel += !plain;
    }
    assert_true(done > ROUNDS / 4 && to_kernel > ROUNDS / 4);
}

/* The handler's first instruction. */
static const struct {
    const char *name;
    uint32_t raw;
    bool done;
} swaps[] = {
    {"csrrw tp, sscratch, tp", 0x14021273, true},  {"csrrw sp, sscratch, sp", 0x14011173, true},
    {"csrrw a0, sscratch, a0", 0x14051573, true},  {"csrrw t6, sscratch, a0", 0x14051ff3, true},
    {"csrrw s0, sscratch, s0", 0x14041473, false}, /* a register that is not saved */
    {"csrrw a0, sscratch, s0", 0x14041573, false}, {"csrrw s0, sscratch, a0", 0x14051473, false},
    {"csrw sscratch, a0", 0x14051073, false},      {"csrrs a0, sscratch, a0", 0x14052573, false},
    {"csrrw a0, sepc, a0", 0x14151573, false},     {"csrrwi a0, sscratch, 1", 0x1400d573, false},
    {"addi a0, a0, 1", 0x00150513, false},
};

static void test_swap(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROWS(swaps); i++) {
        brief_setup(swaps[i].name, VMODE_U);
        rig.vcpu.csr.sscratch = 0x4711;
        rig.vcpu.x[10] = 0x1234;
        rig.vcpu.csr.stvec = RIG_STVEC;
        brief_put_site(RIG_STVEC, swaps[i].raw);
        assert_true(brief_compare(brief_call_long));
        rig_equal(rig.vcpu.pc, swaps[i].done ? RIG_STVEC + 4 : RIG_STVEC);
        rig_equal(own.swaps.epoch != 0, swaps[i].done);
        rig_equal(inlined.page.sscratch == 0x4711, !swaps[i].done);
    }
}

/* A swap that was known is not carried out when other code may be there, or for another space. */
static void test_swap_forgotten(void **state)
{
    (void)state;
    for (unsigned change = 0; change < 3; change++) {
        brief_setup("call", VMODE_U);
        rig.vcpu.csr.stvec = RIG_STVEC;
        brief_put_site(RIG_STVEC, 0x14021273);
        assert_true(brief_compare(brief_call_long));
        rig_equal(rig.vcpu.pc, RIG_STVEC + 4);
        rig.vcpu.mode = VMODE_U;
        shadow.code_epoch += change == 1;
        if (change == 2)
            rig.vcpu.csr.satp = shadow.space[0].satp = SATP + 1;
        trap_brief(&rig.vcpu);
        rig_equal(rig.vcpu.pc, change ? RIG_STVEC : RIG_STVEC + 4);
    }
}

/* What is not plain goes the long way. */
static void no_space(void)
{
    own.space = NULL;
}

static void other_space(void)
{
    rig.vcpu.csr.satp++;
}

static void stale_space(void)
{
    own.space->stale = true;
}

static void freed_space(void)
{
    own.space->used = 0;
}

static void no_roots(void)
{
    memset(own.space->root, 0, sizeof(own.space->root));
}

static void mxr(void)
{
    rig.vcpu.csr.sstatus |= SSTATUS_MXR;
}

static void work_is_left(void)
{
    rig.vcpu.changed = VCPU_INTERRUPTS;
}

static void lost(void)
{
    inlined.lost = true;
}

static void low_lost(void)
{
    inlined.low_lost = true;
}

static void to_be_checked(void)
{
    inlined.check = true;
}

static void float_is_open(void)
{
    inlined.float_open = true;
}

static void other_spaces(void)
{
    shadow.space_epoch++;
}

static void timed(void)
{
    brief_end(&rig.vcpu);
}

static void external(void)
{
    rig.vcpu.external = true;
}

static void pending(void)
{
    inlined.page.pending = SIP_STIP;
}

static void moved(void)
{
    shadow.code_epoch++;
}

static void other_code(void)
{
    rig.vcpu.pc += 4;
}

static void page_mxr(void)
{
    inlined.page.sstatus |= SSTATUS_MXR;
}

static const struct {
    const char *name;
    void (*make)(void);
    bool call, back; /* of which way it is */
} unplain[] = {
    {"no space", no_space, true, true},
    {"another space", other_space, true, true},
    {"a stale space", stale_space, true, true},
    {"a space that was freed", freed_space, true, true},
    {"roots that are not built", no_roots, true, true},
    {"MXR", mxr, true, true},
    {"MXR by a trampoline", page_mxr, false, true},
    {"work is left", work_is_left, true, true},
    {"no inlining", lost, true, true},
    {"no trampolines", low_lost, true, true},
    {"the guest's tables may have changed", to_be_checked, true, true},
    {"the FPU is open", float_is_open, true, true},
    {"the space has changed", other_spaces, true, true},
    {"exits are timed", timed, true, true},
    {"an external interrupt", external, true, false},
    {"an interrupt is due", pending, false, true},
    {"code has changed", moved, false, true},
    {"another instruction", other_code, false, true},
};

static void test_unplain(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROWS(unplain); i++) {
        for (enum vmode mode = VMODE_U; mode <= VMODE_S; mode++) {
            brief_setup(unplain[i].name, mode);
            rig.vcpu.csr.stvec = RIG_STVEC;
            inlined.page.sstatus &= ~SSTATUS_SPP;
            know_return();
            if (!(mode == VMODE_S ? unplain[i].back : unplain[i].call))
                continue;
            unplain[i].make();
            rig_equal(trap_brief(&rig.vcpu).done, 0);
        }
    }
}

/* Only a known SRET, and only at PATCH=inline without a timeline and without times. */
static void test_start(void **state)
{
    (void)state;
    brief_setup("return", VMODE_S);
    rig_equal(own.brief, true);
    brief_put_site(RIG_PC, rv_csr(RV_RW, 0, CSR_SSCRATCH, 10));
    brief_note_return(&rig.vcpu, brief_site(RIG_PC));
    rig_equal(own.returns.epoch, 0);
    rig.vm.timed = true;
    brief_start(&rig.vcpu);
    rig_equal(own.brief, false);
    know_return();
    rig_equal(own.returns.epoch, 0);
    rig.vm.timed = false;
    own.inlined = NULL;
    brief_start(&rig.vcpu);
    rig_equal(own.brief, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_call),    cmocka_unit_test(test_return),
        cmocka_unit_test(test_swap),    cmocka_unit_test(test_swap_forgotten),
        cmocka_unit_test(test_unplain), cmocka_unit_test(test_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
