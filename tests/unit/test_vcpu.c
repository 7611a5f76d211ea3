/*
 * Traps into vS, SRET and the choice of the interrupt (core/vm/vcpu.c), every combination of
 * the bits that matter against the privileged specification's rules written out one by one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hart.h"
#include "host/hart.h"
#include "isa/riscv.h"
#include "vm/engine.h"
#include "vm/vcpu.h"
#include "vm/vm.h"

static unsigned syncs;

/* Before a trap from vS, if registers may hold something of the engine's. */
static void sync(struct vcpu *of)
{
    assert_int_equal(of->mode, VMODE_S);
    syncs++;
}

static const struct engine engine = {.name = "test", .sync = sync};

static struct vm vm;
static struct vcpu the_vcpu, *const vcpu = &the_vcpu;

static int setup(void **state)
{
    (void)state;
    hart_reset();
    memset(&vm, 0, sizeof(vm));
    memset(vcpu, 0, sizeof(*vcpu));
    vm.engine = &engine;
    vm.vcpus[0] = vcpu;
    vcpu->vm = &vm;
    vcpu->hart = hart_this();
    vcpu->hartid = 3;
    vcpu->counters = 0x7f;
    return 0;
}

/* --- A hart in the specification's words --- */

struct model {
    bool user, sie, spie, spp_is_s;
    uint64_t pc, sepc, scause, stval;
};

/* Bit n of a number that counts through all combinations. */
static bool bit(unsigned number, unsigned n)
{
    return number >> n & 1;
}

#define KEPT (SSTATUS_SUM | SSTATUS_MXR) /* no trap may touch these */

static struct model put_state(unsigned number)
{
    struct model model = {
        .user = bit(number, 0),
        .sie = bit(number, 1),
        .spie = bit(number, 2),
        .spp_is_s = bit(number, 3),
        .pc = 0x80201234,
        .sepc = 0x80209876,
        .scause = 0x55,
        .stval = 0x66,
    };
    vcpu->mode = model.user ? VMODE_U : VMODE_S;
    vcpu->csr.sstatus = KEPT | (model.sie ? 1ul << 1 : 0) | (model.spie ? 1ul << 5 : 0) |
                        (model.spp_is_s ? 1ul << 8 : 0);
    vcpu->pc = model.pc;
    vcpu->csr.sepc = model.sepc;
    vcpu->csr.scause = model.scause;
    vcpu->csr.stval = model.stval;
    vcpu->changed = 0;
    syncs = 0;
    return model;
}

static void model_trap(struct model *model, uint64_t cause, uint64_t stval, uint64_t handler)
{
    model->spp_is_s = !model->user;
    model->spie = model->sie;
    model->sie = false;
    model->user = false;
    model->sepc = model->pc;
    model->scause = cause;
    model->stval = stval;
    model->pc = handler;
}

static void assert_state(const struct model *model, bool was_user)
{
    assert_int_equal(vcpu->mode == VMODE_U, model->user);
    assert_int_equal(vcpu->csr.sstatus, KEPT | (uint64_t)model->sie << 1 |
                                            (uint64_t)model->spie << 5 |
                                            (uint64_t)model->spp_is_s << 8);
    assert_int_equal(vcpu->pc, model->pc);
    assert_int_equal(vcpu->csr.sepc, model->sepc);
    assert_int_equal(vcpu->csr.scause, model->scause);
    assert_int_equal(vcpu->csr.stval, model->stval);
    if (was_user != model->user)
        assert_true(vcpu->changed & VCPU_VIEW);
}

static void test_raise(void **state)
{
    (void)state;
    for (unsigned number = 0; number < 64; number++) {
        for (uint64_t cause = 0; cause < 16; cause++) {
            struct model model = put_state(number);
            bool was_user = model.user;
            vcpu->borrowed = bit(number, 5);
            vcpu->csr.stvec = 0x80400000 | bit(number, 4); /* vectored concerns interrupts alone */
            model_trap(&model, cause, 0x1234, 0x80400000);
            vcpu_raise(vcpu, cause, 0x1234);
            assert_state(&model, was_user);
            if (cause != CAUSE_ECALL_U) /* which vS does not cause */
                assert_int_equal(syncs, vcpu->borrowed && !was_user);
        }
    }
}

static void assert_fault(const struct vcpu_fault *fault, uint64_t cause, uint64_t sepc,
                         uint64_t stval, uint64_t count)
{
    assert_int_equal(fault->cause, cause);
    assert_int_equal(fault->sepc, sepc);
    assert_int_equal(fault->stval, stval);
    assert_int_equal(fault->count, count);
}

/* The last fault, how often in a row, and the one before it; system calls are none. */
static void test_faults_are_noted(void **state)
{
    (void)state;
    vcpu_reset(vcpu, 0x80200000, 0);
    assert_int_equal(vcpu->fault.count, 0);
    vcpu->csr.stvec = 0;
    vcpu_raise(vcpu, CAUSE_ILLEGAL, 0x30200073);
    assert_fault(&vcpu->fault, CAUSE_ILLEGAL, 0x80200000, 0x30200073, 1);
    assert_int_equal(vcpu->fault_before.count, 0);
    for (uint64_t i = 1; i <= 1000; i++) {
        vcpu_raise(vcpu, CAUSE_FETCH_ACCESS, 0);
        assert_fault(&vcpu->fault, CAUSE_FETCH_ACCESS, 0, 0, i);
        assert_fault(&vcpu->fault_before, CAUSE_ILLEGAL, 0x80200000, 0x30200073, 1);
    }
    vcpu_raise(vcpu, CAUSE_ECALL_U, 0);
    assert_fault(&vcpu->fault, CAUSE_FETCH_ACCESS, 0, 0, 1000);
    vcpu_raise(vcpu, CAUSE_FETCH_ACCESS, 4); /* each word of it counts */
    assert_fault(&vcpu->fault, CAUSE_FETCH_ACCESS, 0, 4, 1);
    assert_fault(&vcpu->fault_before, CAUSE_FETCH_ACCESS, 0, 0, 1000);
    vcpu->csr.stvec = 0x80400000;
    vcpu_raise(vcpu, CAUSE_FETCH_ACCESS, 4);
    assert_fault(&vcpu->fault, CAUSE_FETCH_ACCESS, 0, 4, 1);
    assert_int_equal(vcpu->fault.stvec, 0x80400000);
    vcpu_reset(vcpu, 0x80200000, 0);
    assert_int_equal(vcpu->fault.count + vcpu->fault_before.count, 0);
}

static void test_sret(void **state)
{
    (void)state;
    for (unsigned number = 0; number < 16; number += 2) { /* from vS */
        struct model model = put_state(number);
        vcpu_sret(vcpu);
        model.user = !model.spp_is_s;
        model.sie = model.spie;
        model.spie = true;
        model.spp_is_s = false;
        model.pc = model.sepc;
        assert_state(&model, false);
        assert_true(vcpu->changed & VCPU_INTERRUPTS); /* it may have unmasked one */
    }
}

/* --- Interrupts --- */

static uint64_t lines(unsigned number) /* three bits: software, timer, external */
{
    return (uint64_t)bit(number, 0) << 1 | (uint64_t)bit(number, 1) << 5 |
           (uint64_t)bit(number, 2) << 9;
}

static void set_pending(unsigned number)
{
    vcpu->csr.sip = lines(number) & SIP_SSIP;
    vcpu->csr.stimecmp = 100;
    hart_csr[CSR_TIME] = bit(number, 1) ? 100 : 99;
    vcpu->external = bit(number, 2);
}

static void test_interrupt_choice(void **state)
{
    static const unsigned order[] = {9, 1, 5}; /* SEI, SSI, STI */
    (void)state;
    for (unsigned number = 0; number < 1u << 12; number++) {
        struct model model = put_state(number);
        bool was_user = model.user, vectored = bit(number, 10);
        vcpu->borrowed = bit(number, 11);
        set_pending(number >> 4);
        vcpu->csr.sie = lines(number >> 7);
        vcpu->csr.stvec = 0x80400000 | vectored;
        vcpu->changed = VCPU_INTERRUPTS;

        assert_int_equal(vcpu_sip(vcpu), lines(number >> 4));
        uint64_t due = lines(number >> 4) & lines(number >> 7);
        unsigned taken = 0;
        for (unsigned i = 3; i-- > 0;)
            taken = due >> order[i] & 1 ? order[i] : taken;
        bool takes = taken && (model.user || model.sie);
        if (takes)
            model_trap(&model, 1ul << 63 | taken, 0, 0x80400000 + (vectored ? 4 * taken : 0));
        vcpu_deliver_interrupt(vcpu);
        assert_false(vcpu->changed & VCPU_INTERRUPTS);
        assert_state(&model, was_user);
        assert_int_equal(syncs, takes && vcpu->borrowed && !was_user);
    }
}

/* What raises nothing new is not looked at again; a level that falls is gone. */
static void test_external_line(void **state)
{
    (void)state;
    vcpu_set_external(vcpu, true);
    assert_true(vcpu->changed & VCPU_INTERRUPTS);
    assert_int_equal(vcpu_sip(vcpu) & SIP_SEIP, SIP_SEIP);
    vcpu->changed = 0;
    vcpu_set_external(vcpu, false);
    assert_int_equal(vcpu->changed, 0);
    assert_int_equal(vcpu_sip(vcpu) & SIP_SEIP, 0);
}

/* --- Reset --- */

static void test_reset(void **state)
{
    (void)state;
    memset(vcpu->x, 0xff, sizeof(vcpu->x));
    memset(&vcpu->csr, 0xff, sizeof(vcpu->csr));
    put_state(0xf);
    vcpu->external = true;
    vcpu_reset(vcpu, 0x80200000, 0x8f000000);
    for (unsigned i = 0; i < 32; i++)
        assert_int_equal(vcpu->x[i], i == 10 ? 3 : i == 11 ? 0x8f000000 : 0);
    assert_int_equal(vcpu->pc, 0x80200000);
    assert_int_equal(vcpu->mode, VMODE_S);
    assert_int_equal(vcpu->csr.satp, 0);
    assert_int_equal(vcpu->csr.sstatus, SSTATUS_FS);
    assert_int_equal(vcpu->csr.sie, 0);
    assert_int_equal(vcpu_sip(vcpu), 0);
    assert_int_equal(vcpu->csr.stvec, 0x80200000);
    assert_int_equal(vcpu->csr.scounteren, 7);
    assert_int_equal(vcpu->changed, VCPU_VIEW | VCPU_FS | VCPU_INTERRUPTS);
}

/* What is pending, the timer and the VMM's alarm go on; stvec takes no reserved mode. */
static void test_resume(void **state)
{
    (void)state;
    memset(vcpu->x, 0xff, sizeof(vcpu->x));
    put_state(0xf);
    vcpu->csr.sip = SIP_SSIP;
    vcpu->csr.sie = SIP_ALL;
    vcpu->csr.satp = SATP_MODE_SV39 << SATP_MODE_SHIFT | 0x80000;
    vcpu->csr.stvec = 0x80400000;
    vcpu->csr.sscratch = vcpu->csr.scause = vcpu->csr.senvcfg = 1;
    vcpu->csr.scounteren = 0;
    vcpu->csr.stimecmp = 123;
    vcpu->hart->alarm = 456;
    vcpu->external = true;
    vcpu->changed = 0;
    vcpu_resume(vcpu, 0x80200102, 0x4711);
    for (unsigned i = 0; i < 32; i++)
        assert_int_equal(vcpu->x[i], i == 10 ? 3 : i == 11 ? 0x4711 : 0);
    assert_int_equal(vcpu->pc, 0x80200102);
    assert_int_equal(vcpu->mode, VMODE_S);
    assert_int_equal(vcpu->csr.sstatus, SSTATUS_FS);
    assert_int_equal(vcpu->csr.sie, 0);
    assert_int_equal(vcpu->csr.satp, 0);
    assert_int_equal(vcpu->csr.sscratch, 0);
    assert_int_equal(vcpu->csr.stvec, 0x80400000);
    assert_int_equal(vcpu->csr.scounteren, 7);
    assert_int_equal(vcpu->csr.scause, 1);
    assert_int_equal(vcpu->csr.senvcfg, 1);
    assert_int_equal(vcpu->csr.sip, SIP_SSIP);
    assert_int_equal(vcpu->csr.stimecmp, 123);
    assert_int_equal(vcpu->hart->alarm, 456);
    assert_true(vcpu->external);
    assert_int_equal(vcpu->changed, VCPU_VIEW | VCPU_FS | VCPU_INTERRUPTS);
    vcpu_resume(vcpu, 0x80200104, 0);
    assert_int_equal(vcpu->csr.stvec, 0x80200104);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_raise, setup),
        cmocka_unit_test_setup(test_faults_are_noted, setup),
        cmocka_unit_test_setup(test_sret, setup),
        cmocka_unit_test_setup(test_interrupt_choice, setup),
        cmocka_unit_test_setup(test_external_line, setup),
        cmocka_unit_test_setup(test_reset, setup),
        cmocka_unit_test_setup(test_resume, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
