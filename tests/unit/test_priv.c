/*
 * Privileged instructions (core/vm/priv.c, with csr.c and vcpu.c behind it), from their encodings
 * to pc, the registers and what the exit is counted as. Surprise: SRET is the one that does not go
 * on behind itself, and what is illegal goes nowhere at all: sepc is its own pc.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rig.h"
#include "rv.h"
#include "vm/csr.h"
#include "vm/priv.h"
#include "vm/run.h"

#define MRET         0x30200073u
#define EBREAK       0x00100073u
#define SINVAL_VMA   0x16000073u
#define SFENCE_INVAL 0x18100073u
#define HFENCE_VVMA  0x22000073u
#define CBO_ZERO     0x0045200fu
#define CSR_MSTATUS  0x300u
#define CSR_HSTATUS  0x600u
#define CSR_SCONTEXT 0x5a8u

static uint32_t sfence(unsigned rs1, unsigned rs2)
{
    return RV_SFENCE | rs2 << 20 | rs1 << 15;
}

void run_wfi(struct vcpu *vcpu, struct exit exit)
{
    rig_note("run_wfi %#lx %d", vcpu->pc, exit_class(exit));
}

static struct exit execute(uint32_t raw)
{
    struct insn insn = insn_decode(raw);
    return priv_execute(&rig.vcpu, &insn);
}

/* --- What is sensitive --- */

static const struct {
    const char *name;
    uint32_t raw;
    bool sensitive;
} kinds[] = {
    {"sret", RV_SRET, true},
    {"wfi", RV_WFI, true},
    {"sfence.vma", RV_SFENCE, true},
    {"sfence.vma a0, a1", RV_SFENCE | A1 << 20 | A0 << 15, true},
    {"mret", MRET, false},
    {"ecall", RV_ECALL, false},
    {"ebreak", EBREAK, false},
    {"fence.i", RV_FENCEI, false},
    {"sinval.vma", SINVAL_VMA, false},
    {"sfence.inval.ir", SFENCE_INVAL, false},
    {"hfence.vvma", HFENCE_VVMA, false},
    {"cbo.zero", CBO_ZERO, false},
    {"ld", 0x00053503, false},
    {"ret", 0x00008067, false},
    {"zeroes", 0, false},
    {"ones", UINT32_MAX, false},
};

static void test_sensitive(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROWS(kinds); i++) {
        struct insn insn = insn_decode(kinds[i].raw);
        rig_row(kinds[i].name);
        rig_equal(priv_is_sensitive(&insn), kinds[i].sensitive);
    }
}

static bool is_ours(unsigned csr)
{
    static const uint16_t ours[] = {CSR_SSTATUS, CSR_SIE,      CSR_STVEC,    CSR_SCOUNTEREN,
                                    CSR_SENVCFG, CSR_SSCRATCH, CSR_SEPC,     CSR_SCAUSE,
                                    CSR_STVAL,   CSR_SIP,      CSR_STIMECMP, CSR_SATP};
    for (unsigned i = 0; i < ROWS(ours); i++)
        if (ours[i] == csr)
            return true;
    return false;
}

/* Of all numbers, in all six forms: the supervisor's that exist. */
static void test_sensitive_csrs(void **state)
{
    (void)state;
    rig_row("csrs");
    for (unsigned csr = 0; csr < 4096; csr++)
        for (unsigned form = 0; form < 6; form++) {
            struct insn insn = insn_decode(rv_csr(1 + form % 3 + form / 3 * 4, A0, csr, A1));
            if (priv_is_sensitive(&insn) != is_ours(csr))
                fail_msg("csr %#x, form %u", csr, form);
        }
}

/* --- CSR accesses --- */

/* sscratch is 0xf0 and a1 0x3c before each; a0 is rd. */
static const struct {
    const char *name;
    uint32_t raw;
    uint64_t sscratch, a0;
} accesses[] = {
    {"csrrw", 0x14059573, 0x3c, 0xf0},  {"csrrs", 0x1405a573, 0xfc, 0xf0},
    {"csrrc", 0x1405b573, 0xc0, 0xf0},  {"csrrwi", 0x140fd573, 0x1f, 0xf0},
    {"csrrsi", 0x1400e573, 0xf1, 0xf0}, {"csrrci", 0x14087573, 0xe0, 0xf0},
    {"csrr", 0x14002573, 0xf0, 0xf0},   {"csrw", 0x14059073, 0x3c, 0x77},
};

static void test_csr(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROWS(accesses); i++) {
        rig_row(accesses[i].name);
        rig.vcpu.csr.sscratch = 0xf0;
        rig.vcpu.x[A0] = 0x77;
        rig.vcpu.x[A1] = 0x3c;
        rig_exit(execute(accesses[i].raw), EXIT_CSR, CSR_SSCRATCH);
        rig_equal(rig.vcpu.csr.sscratch, accesses[i].sscratch);
        rig_equal(rig.vcpu.x[A0], accesses[i].a0);
        rig_equal(rig.vcpu.x[0], 0);
        rig_equal(rig.vcpu.pc, RIG_PC + 4);
        rig_calls("");
    }
}

/* --- SFENCE.VMA --- */

static const struct {
    const char *name;
    unsigned rs1, rs2;
    uint64_t a0, a1;
    const char *calls;
    unsigned by;
} fences[] = {
    {"all", 0, 0, 0x5000, 7, "fence 0 0 0", FENCE_ALL},
    {"address", A0, 0, 0x5000, 7, "fence 1 0x5000 0", FENCE_ADDRESS},
    {"space", 0, A1, 0x5000, 7, "fence 2 0 0x7", FENCE_ASID},
    {"both", A0, A1, 0x5000, 7, "fence 3 0x5000 0x7", FENCE_ADDRESS | FENCE_ASID},
    {"address 0", A0, 0, 0, 7, "fence 1 0 0", FENCE_ADDRESS}, /* the register's number counts */
    {"space 0", 0, A1, 0x5000, 0, "fence 2 0 0", FENCE_ASID},
    {"any address", A0, 0, 0xffffffffffffffff, 0, "fence 1 0xffffffffffffffff 0", FENCE_ADDRESS},
    {"16 bits of the space", 0, A1, 0, 0xabc12345, "fence 2 0 0x2345", FENCE_ASID},
    {"one register", A0, A0, 0x15000, 0, "fence 3 0x15000 0x5000", FENCE_ADDRESS | FENCE_ASID},
};

static void test_fence(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROWS(fences); i++) {
        rig_row(fences[i].name);
        rig.vcpu.x[A0] = fences[i].a0;
        rig.vcpu.x[A1] = fences[i].a1;
        rig_exit(execute(sfence(fences[i].rs1, fences[i].rs2)), EXIT_FENCE, fences[i].by);
        rig_calls(fences[i].calls);
        rig_equal(rig.vcpu.pc, RIG_PC + 4);
    }
}

/* --- SRET, WFI --- */

static void test_sret(void **state)
{
    (void)state;
    for (unsigned user = 0; user < 2; user++) {
        rig_row(user ? "to vU" : "to vS");
        rig.vcpu.csr.sstatus = SSTATUS_SPIE | (user ? 0 : SSTATUS_SPP);
        rig.vcpu.csr.sepc = 0x4712;
        rig_exit(execute(RV_SRET), EXIT_SRET, 0);
        rig_equal(rig.vcpu.pc, 0x4712);
        rig_equal(rig.vcpu.mode, user ? VMODE_U : VMODE_S);
        rig_equal(rig.vcpu.csr.sstatus, SSTATUS_SPIE | SSTATUS_SIE);
        rig_calls("");
    }
}

/* It sleeps at its own pc, and is over when it goes on. */
static void test_wfi(void **state)
{
    (void)state;
    rig_row("wfi");
    rig_exit(execute(RV_WFI), EXIT_WFI, 0);
    rig_calls("run_wfi 0x80200100 3");
    rig_equal(EXIT_WFI, 3);
    rig_equal(rig.vcpu.pc, RIG_PC + 4);
}

/* --- What is illegal --- */

static const struct {
    const char *name;
    uint32_t raw;
    bool user_only; /* vS may */
} illegals[] = {
    {"csrr sstatus", 0x10002573, true},
    {"csrw sscratch", 0x14059073, true},
    {"sret", RV_SRET, true},
    {"wfi", RV_WFI, true},
    {"sfence.vma", RV_SFENCE, true},
    {"csrr mstatus", 0x30002573, false},
    {"csrr hstatus", 0x60002573, false},
    {"csrw scontext", 0x5a859073, false},
    {"csrr cycle", 0xc0002573, false}, /* it traps where the hart does not let it */
    {"csrr fcsr", 0x00302573, false},  /* FS is off */
    {"mret", MRET, false},
    {"sinval.vma", SINVAL_VMA, false},
    {"sfence.inval.ir", SFENCE_INVAL, false},
    {"hfence.vvma", HFENCE_VVMA, false},
    {"zeroes", 0, false},
    {"fadd.s", 0x00000053, false},
    {"c.fld", 0x2000, false},
};

static void test_illegal(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROWS(illegals); i++)
        for (enum vmode mode = VMODE_U; mode <= VMODE_S; mode++) {
            if (illegals[i].user_only && mode == VMODE_S)
                continue;
            rig_row(illegals[i].name);
            rig.vcpu.mode = (uint8_t)mode;
            rig.vcpu.x[A0] = rig.vcpu.x[A1] = 0x77;
            rig_exit(execute(illegals[i].raw), EXIT_EXCEPTION, CAUSE_ILLEGAL);
            rig_raised(CAUSE_ILLEGAL, illegals[i].raw);
            rig_equal(rig.vcpu.mode, VMODE_S);
            rig_equal(rig.vcpu.x[A0], 0x77);
            rig_equal(rig.vcpu.csr.sscratch, 0);
            rig_calls(mode == VMODE_S ? "sync" : "");
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sensitive), cmocka_unit_test(test_sensitive_csrs),
        cmocka_unit_test(test_csr),       cmocka_unit_test(test_fence),
        cmocka_unit_test(test_sret),      cmocka_unit_test(test_wfi),
        cmocka_unit_test(test_illegal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
