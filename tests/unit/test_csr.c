/*
 * The virtual supervisor CSRs (core/vm/csr.c) against a model: what each register keeps of a
 * written value as one table, and Zicsr's rules for all operations, operands and register overlaps.
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
#include "vm/csr.h"
#include "vm/engine.h"
#include "vm/timer.h"
#include "vm/vm.h"

/* An engine that keeps nothing of its own in the guest's registers. */
static void sync(struct vcpu *of)
{
    (void)of;
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
    vm.mmu_levels = 3;
    vm.vcpus[0] = vcpu;
    vcpu->vm = &vm;
    vcpu->hart = hart_this();
    vcpu_reset(vcpu, 0x80200000, 0);
    vcpu->counters = 0x7f; /* the machine has four besides CY, TM and IR */
    hart_csr[CSR_TIME] = 1000;
    vcpu->changed = 0;
    return 0;
}

static bool run(uint8_t op, unsigned csr, uint8_t rd, uint8_t rs1, bool immediate)
{
    struct insn insn = {
        .op = op,
        .csr = (uint16_t)csr,
        .rd = rd,
        .rs1 = rs1,
        .imm = immediate ? rs1 : 0,
        .immediate = immediate,
        .length = 4,
    };
    return csr_execute(vcpu, &insn);
}

static void put(unsigned csr, uint64_t value)
{
    vcpu->x[7] = value;
    assert_true(run(INSN_CSRRW, csr, 0, 7, false));
}

static uint64_t get(unsigned csr)
{
    assert_true(run(INSN_CSRRS, csr, 6, 0, false));
    return vcpu->x[6];
}

/* --- WARL: what is written and what is read --- */

#define UXL  (2ul << 32)
#define SD   (1ul << 63)
#define SV39 (8ul << 60)
#define SV48 (9ul << 60)

static const struct {
    unsigned csr;
    uint64_t before, written, read;
} warl[] = {
    {CSR_SSTATUS, 0, 0, UXL},
    {CSR_SSTATUS, 0, ~0ul, UXL | SD | 3ul << 18 | 3ul << 13 | 0x122},
    {CSR_SSTATUS, ~0ul, 0, UXL},
    {CSR_SSTATUS, 0, 1ul << 13, UXL | 1ul << 13},
    {CSR_SSTATUS, 0, 2ul << 13, UXL | 2ul << 13},
    {CSR_SSTATUS, 0, 3ul << 13, UXL | SD | 3ul << 13}, /* SD follows FS */
    {CSR_SSTATUS, 0, SD, UXL},
    {CSR_SSTATUS, 0, 1ul << 32, UXL}, /* UXL is 64 bits, always */
    {CSR_SSTATUS, 0, 3ul << 9 | 3ul << 15 | 1ul << 6,
     UXL}, /* no vectors, nothing in XS, no big-endian vU */
    {CSR_SSTATUS, 0, 1ul << 3 | 1ul << 7 | 3ul << 11, UXL}, /* M-mode's fields */
    {CSR_SIE, 0, ~0ul, 0x222},
    {CSR_SIE, ~0ul, 0, 0},
    {CSR_SIP, 0, ~0ul, 0x2}, /* SSIP alone */
    {CSR_SIP, 0x2, 0, 0},
    {CSR_STVEC, 0, 0x80000000, 0x80000000},
    {CSR_STVEC, 0, 0x80000001, 0x80000001},
    {CSR_STVEC, 0x1000, 0x80000002, 0x1000}, /* reserved modes leave all as it was */
    {CSR_STVEC, 0x1001, 0x80000003, 0x1001},
    {CSR_STVEC, 0, ~0ul << 2, ~0ul << 2},
    {CSR_SCOUNTEREN, 0, ~0ul, 0x7f},
    {CSR_SENVCFG, 0, ~0ul, 0xf1},
    {CSR_SSCRATCH, 0, ~0ul, ~0ul},
    {CSR_SEPC, 0, ~0ul, ~1ul},
    {CSR_SEPC, 0, 0x1003, 0x1002},
    {CSR_SCAUSE, 0, ~0ul, ~0ul},
    {CSR_STVAL, 0, 0xdeadbeefcafebabe, 0xdeadbeefcafebabe},
    {CSR_STIMECMP, 0, ~0ul, ~0ul},
    {CSR_SATP, 0, SV39 | 0xfffful << 44 | 0x80000, SV39 | 0xfffful << 44 | 0x80000},
    {CSR_SATP, SV39 | 5, 0, 0},
    {CSR_SATP, SV39 | 5, SV48 | 6, SV39 | 5}, /* no such mode: all as it was */
    {CSR_SATP, SV39 | 5, 10ul << 60 | 6, SV39 | 5},
    {CSR_SATP, SV39 | 5, 1ul << 60 | 6, SV39 | 5},
    {CSR_SATP, SV39 | 5, ~0ul, SV39 | 5},
};

static void test_warl(void **state)
{
    for (unsigned i = 0; i < sizeof(warl) / sizeof(warl[0]); i++) {
        setup(state);
        put(warl[i].csr, warl[i].before);
        put(warl[i].csr, warl[i].written);
        if (get(warl[i].csr) != warl[i].read)
            fail_msg("%s after %#lx, %#lx: %#lx, not %#lx", csr_name(warl[i].csr), warl[i].before,
                     warl[i].written, get(warl[i].csr), warl[i].read);
    }
}

static void test_satp_sv48_needs_sv57_host(void **state)
{
    (void)state;
    vm.mmu_levels = 4;
    put(CSR_SATP, SV48 | 6);
    assert_int_equal(get(CSR_SATP), SV48 | 6);
    put(CSR_SATP, 10ul << 60 | 7);
    assert_int_equal(get(CSR_SATP), SV48 | 6);
}

/* --- Zicsr --- */

static const unsigned all[] = {
    CSR_SSTATUS, CSR_SIE,    CSR_STVEC, CSR_SCOUNTEREN, CSR_SENVCFG,  CSR_SSCRATCH,
    CSR_SEPC,    CSR_SCAUSE, CSR_STVAL, CSR_SIP,        CSR_STIMECMP, CSR_SATP,
};
#define CSRS (sizeof(all) / sizeof(all[0]))

/* What the register reads after value was written over old, by the specification's words. */
static uint64_t kept(unsigned csr, uint64_t old, uint64_t value)
{
    switch (csr) {
    case CSR_SSTATUS: {
        uint64_t fs = value >> 13 & 3;
        return (value & 0xc0122) | fs << 13 | UXL | (fs == 3 ? SD : 0);
    }
    case CSR_SIE: return value & 0x222;
    case CSR_SIP: return (old & 0x220) | (value & 2);
    case CSR_STVEC: return value & 2 ? old : value;
    case CSR_SCOUNTEREN: return value & 0x7f;
    case CSR_SENVCFG: return value & 0xf1;
    case CSR_SEPC: return value & ~1ul;
    case CSR_SATP: return value >> 60 == 0 || value >> 60 == 8 ? value : old;
    default: return value;
    }
}

/* A value that hits the registers' fields more often than a random one. */
static uint64_t some_value(void)
{
    uint64_t value = (uint64_t)mrand48() << 32 ^ (uint64_t)mrand48();
    switch (lrand48() % 4) {
    case 0: return value & 0xc6322;
    case 1: return SV39 | (value & 0xfffffffffffff);
    default: return value;
    }
}

static void one_access(unsigned csr)
{
    static const uint8_t ops[] = {INSN_CSRRW, INSN_CSRRS, INSN_CSRRC};
    static const uint8_t registers[] = {0, 5, 6, 31};
    uint8_t op = ops[lrand48() % 3], rd = registers[lrand48() % 4], rs1 = registers[lrand48() % 4];
    bool immediate = lrand48() & 1;
    for (unsigned i = 1; i < 32; i++)
        vcpu->x[i] = some_value();
    /* SEIP and STIP of sip come and go behind its back. */
    vcpu->external = lrand48() & 1;
    hart_csr[CSR_TIME] = lrand48() & 1 ? ~0ul : 0;

    struct vcpu before = *vcpu;
    uint64_t old = get(csr);
    *vcpu = before;
    uint64_t operand = immediate ? rs1 : vcpu->x[rs1];
    uint64_t base = csr == CSR_SIP ? old & 2 : old;
    uint64_t value = op == INSN_CSRRW   ? operand
                     : op == INSN_CSRRS ? base | operand
                                        : base & ~operand;
    bool writes = op == INSN_CSRRW || rs1 != 0;

    vcpu->changed = 0;
    assert_true(run(op, csr, rd, rs1, immediate));
    assert_int_equal(vcpu->x[0], 0);
    for (unsigned i = 1; i < 32; i++)
        assert_int_equal(vcpu->x[i], i == rd ? old : before.x[i]);
    if (!writes) {
        assert_memory_equal(&vcpu->csr, &before.csr, sizeof(before.csr));
        assert_int_equal(vcpu->changed, 0);
        return;
    }
    uint64_t now = kept(csr, old, value);
    bool view = (csr == CSR_SSTATUS && ((old ^ now) & 0xc0000)) || (csr == CSR_SATP && old != now);
    bool may_unmask = (csr == CSR_SSTATUS && (now & ~old & 2)) || csr == CSR_SIE ||
                      csr == CSR_SIP || csr == CSR_STIMECMP;
    bool fs = csr == CSR_SSTATUS && ((old ^ now) & SSTATUS_FS);
    bool rights = (csr == CSR_SCOUNTEREN || csr == CSR_SENVCFG) && old != now;
    assert_int_equal((vcpu->changed & VCPU_VIEW) != 0, view);
    assert_int_equal((vcpu->changed & VCPU_RIGHTS) != 0, rights);
    assert_int_equal((vcpu->changed & VCPU_FS) != 0, fs);
    if (may_unmask)
        assert_true(vcpu->changed & VCPU_INTERRUPTS);
    /* stimecmp decides STIP: it was read before; sip's own view of it moves with it */
    assert_int_equal(get(csr), now);
    for (unsigned i = 0; i < CSRS; i++) {
        if (all[i] == csr || (csr == CSR_STIMECMP && all[i] == CSR_SIP))
            continue;
        uint64_t other = get(all[i]);
        struct vcpu after = *vcpu;
        *vcpu = before;
        assert_int_equal(get(all[i]), other);
        *vcpu = after;
    }
}

static void test_zicsr(void **state)
{
    (void)state;
    srand48(1);
    for (unsigned i = 0; i < 40000; i++)
        one_access(all[lrand48() % CSRS]);
}

static void test_unknown(void **state)
{
    (void)state;
    unsigned known = 0;
    for (unsigned csr = 0; csr < 4096; csr++) {
        bool listed = false;
        for (unsigned i = 0; i < CSRS; i++)
            listed |= all[i] == csr;
        known += listed;
        assert_int_equal(csr_name(csr) != NULL, listed);
        if (listed)
            continue;
        struct vcpu before = *vcpu;
        assert_false(run(INSN_CSRRW, csr, 5, 6, false));
        assert_false(run(INSN_CSRRS, csr, 5, 0, false));
        assert_false(run(INSN_CSRRC, csr, 0, 31, true));
        assert_memory_equal(&before, vcpu, sizeof(before));
    }
    assert_int_equal(known, CSRS);
}

/* --- Where a register is more than memory --- */

/* SD and the engine follow FS; what the real hart made of it, the engine puts here
 * (test_trap.c). */
static void test_fs(void **state)
{
    (void)state;
    put(CSR_SSTATUS, 0);
    assert_int_equal(vcpu->csr.sstatus & SSTATUS_FS, 0);
    assert_int_equal(vcpu->changed, VCPU_FS);
    vcpu->csr.sstatus |= SSTATUS_FS; /* the guest computed: the hart marks it dirty */
    vcpu->changed = 0;
    assert_int_equal(get(CSR_SSTATUS), UXL | SD | SSTATUS_FS);
    assert_int_equal(vcpu->changed, 0);
    put(CSR_SSTATUS, 1ul << 13);
    assert_int_equal(vcpu->csr.sstatus, 1ul << 13);
    assert_int_equal(vcpu->changed, VCPU_FS);
}

static void test_timer(void **state)
{
    (void)state;
    hart_csr[CSR_TIME] = 1000;
    put(CSR_STIMECMP, 1001);
    assert_int_equal(hart_csr[CSR_STIMECMP], 1001);
    assert_int_equal(hart_csr[CSR_SIE], SIP_STIP);
    assert_int_equal(get(CSR_SIP), 0);
    hart_csr[CSR_TIME] = 1001;
    assert_int_equal(get(CSR_SIP), SIP_STIP);
    put(CSR_SIP, 0); /* STIP is read-only: the comparison decides */
    assert_int_equal(get(CSR_SIP), SIP_STIP);
    put(CSR_STIMECMP, ~0ul);
    assert_int_equal(get(CSR_SIP), 0);
}

/* The VMM's alarm and the guest's comparison share the host's. */
static void test_alarm(void **state)
{
    (void)state;
    struct hart *hart = vcpu->hart;
    hart_csr[CSR_TIME] = 1000;
    put(CSR_STIMECMP, 3000);
    assert_false(hart_set_alarm(hart, 2000));
    assert_int_equal(hart_csr[CSR_STIMECMP], 2000);
    put(CSR_STIMECMP, 4000);
    assert_int_equal(hart_csr[CSR_STIMECMP], 2000);
    put(CSR_STIMECMP, 1500);
    assert_int_equal(hart_csr[CSR_STIMECMP], 1500);
    hart_csr[CSR_TIME] = 1500;
    hart_timer_fired(hart); /* the guest's: the alarm is still ahead */
    assert_int_equal(hart_csr[CSR_STIMECMP], 2000);
    assert_int_equal(hart_csr[CSR_SIE], SIP_STIP);
    assert_int_equal(get(CSR_SIP), SIP_STIP);
    put(CSR_STIMECMP, 5000);
    hart_csr[CSR_TIME] = 2000;
    hart_timer_fired(hart); /* the alarm, once: the guest sees nothing of it */
    assert_int_equal(get(CSR_SIP), 0);
    assert_int_equal(hart_csr[CSR_STIMECMP], 5000);
    assert_int_equal(hart_csr[CSR_SIE], SIP_STIP);
    assert_false(hart_set_alarm(hart, 6000));
    assert_false(hart_set_alarm(hart, UINT64_MAX)); /* withdrawn */
    assert_int_equal(hart_csr[CSR_STIMECMP], 5000);
    hart_csr[CSR_TIME] = 5000;
    hart_timer_fired(hart);
    assert_int_equal(hart_csr[CSR_SIE], 0);  /* nothing is ahead */
    assert_true(hart_set_alarm(hart, 7000)); /* the guest's is due: it is delivered now or never */
    assert_int_equal(hart_csr[CSR_STIMECMP], 7000);
    assert_int_equal(hart_csr[CSR_SIE], SIP_STIP);
    assert_true(hart_set_alarm(hart, UINT64_MAX));
    assert_int_equal(hart_csr[CSR_SIE], 0);
}

/* A set of SSIP must not turn the device's SEIP into memory. */
static void test_sip_read_modify_write(void **state)
{
    (void)state;
    vcpu->external = true;
    vcpu->x[5] = SIP_SSIP;
    assert_true(run(INSN_CSRRS, CSR_SIP, 6, 5, false));
    assert_int_equal(vcpu->x[6], SIP_SEIP);
    assert_int_equal(get(CSR_SIP), SIP_SEIP | SIP_SSIP);
    vcpu->external = false;
    assert_int_equal(get(CSR_SIP), SIP_SSIP);
    assert_true(run(INSN_CSRRC, CSR_SIP, 0, 2, true));
    assert_int_equal(get(CSR_SIP), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_warl, setup),
        cmocka_unit_test_setup(test_satp_sv48_needs_sv57_host, setup),
        cmocka_unit_test_setup(test_zicsr, setup),
        cmocka_unit_test_setup(test_unknown, setup),
        cmocka_unit_test_setup(test_fs, setup),
        cmocka_unit_test_setup(test_timer, setup),
        cmocka_unit_test_setup(test_alarm, setup),
        cmocka_unit_test_setup(test_sip_read_modify_write, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
