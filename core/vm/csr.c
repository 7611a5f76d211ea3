/*
 * Virtual S-mode CSRs: privileged specification, chapter "Supervisor-Level ISA", and Sstc.
 *
 * Deliberately absent: sedeleg, sideleg (N extension), scontext, vector and hypervisor CSRs, and
 * everything of M-mode: illegal instruction, as on the machine that the guest's device tree
 * describes. fflags, frm, fcsr, cycle, time and instret are the hardware's own and only trap when
 * they are illegal.
 */
#include "vm/csr.h"

#include <stddef.h>

#include "isa/riscv.h"
#include "vm/timer.h"
#include "vm/vm.h"

#define SSTATUS_VIEW     (SSTATUS_SUM | SSTATUS_MXR)
#define SENVCFG_WRITABLE (SENVCFG_FIOM | SENVCFG_CBIE | SENVCFG_CBCFE | SENVCFG_CBZE)

/* One CSR. A null hook means plain: the value lies in struct vcsr, and a write keeps the writable
 * bits. */
struct csr {
    const char *name;
    size_t offset; /* in struct vcsr */
    uint64_t writable;
    uint64_t (*read)(struct vcpu *vcpu);
    void (*write)(struct vcpu *vcpu, uint64_t value);
};

HOT static uint64_t read_sstatus(struct vcpu *vcpu)
{
    return csr_sstatus(vcpu);
}

HOT static void write_sstatus(struct vcpu *vcpu, uint64_t value)
{
    uint64_t changed = vcpu->csr.sstatus ^ value;
    vcpu->csr.sstatus = value & VCSR_SSTATUS;
    vcpu->changed |= ((changed & SSTATUS_VIEW) != 0) ? VCPU_VIEW : 0;
    vcpu->changed |= ((changed & SSTATUS_FS) != 0) ? VCPU_FS : 0;
    vcpu->changed |= ((changed & value & SSTATUS_SIE) != 0) ? VCPU_INTERRUPTS : 0;
}

static void write_sie(struct vcpu *vcpu, uint64_t value)
{
    vcpu->csr.sie = value & SIP_ALL;
    vcpu->changed |= VCPU_INTERRUPTS;
}

static uint64_t read_sip(struct vcpu *vcpu)
{
    return vcpu_sip(vcpu);
}

static void write_sip(struct vcpu *vcpu, uint64_t value)
{
    vcpu->csr.sip = value & SIP_SSIP;
    vcpu->changed |= VCPU_INTERRUPTS;
}

static void write_stvec(struct vcpu *vcpu, uint64_t value)
{
    if ((value & 3) < 2) /* modes 2 and 3 are reserved: the write is ignored, as QEMU does */
        vcpu->csr.stvec = value;
}

static void write_right(struct vcpu *vcpu, uint64_t *csr, uint64_t value)
{
    vcpu->changed |= (*csr != value) ? VCPU_RIGHTS : 0;
    *csr = value;
}

/* CY, TM, IR and the machine's programmable counters. */
static void write_scounteren(struct vcpu *vcpu, uint64_t value)
{
    write_right(vcpu, &vcpu->csr.scounteren, value & vcpu->counters);
}

static void write_senvcfg(struct vcpu *vcpu, uint64_t value)
{
    write_right(vcpu, &vcpu->csr.senvcfg, value & SENVCFG_WRITABLE);
}

/* WARL: a mode that is not supported leaves the whole register unchanged. */
static void write_satp(struct vcpu *vcpu, uint64_t value)
{
    uint64_t mode = value >> SATP_MODE_SHIFT;
    bool sv48 = mode == SATP_MODE_SV48 && vcpu->vm->mmu_levels > 3;
    if (mode != SATP_MODE_BARE && mode != SATP_MODE_SV39 && !sv48)
        return;
    vcpu->changed |= (vcpu->csr.satp != value) ? VCPU_VIEW : 0;
    vcpu->csr.satp = value;
}

#define PLAIN(field, mask) #field, offsetof(struct vcsr, field), mask

/* Indexed by the low byte of the number: all supervisor CSRs are 0x1xx. */
static const struct csr csrs[256] = {
    [CSR_SSTATUS & 0xff] = {"sstatus", 0, 0, read_sstatus, write_sstatus},
    [CSR_SIE & 0xff] = {PLAIN(sie, SIP_ALL), NULL, write_sie},
    [CSR_STVEC & 0xff] = {PLAIN(stvec, UINT64_MAX), NULL, write_stvec},
    [CSR_SCOUNTEREN & 0xff] = {PLAIN(scounteren, UINT32_MAX), NULL, write_scounteren},
    [CSR_SENVCFG & 0xff] = {PLAIN(senvcfg, UINT64_MAX), NULL, write_senvcfg},
    [CSR_SSCRATCH & 0xff] = {PLAIN(sscratch, UINT64_MAX), NULL, NULL},
    [CSR_SEPC & 0xff] = {PLAIN(sepc, ~1ul), NULL, NULL}, /* IALIGN = 16 */
    [CSR_SCAUSE & 0xff] = {PLAIN(scause, UINT64_MAX), NULL, NULL},
    [CSR_STVAL & 0xff] = {PLAIN(stval, UINT64_MAX), NULL, NULL},
    [CSR_SIP & 0xff] = {"sip", 0, 0, read_sip, write_sip},
    [CSR_STIMECMP & 0xff] = {PLAIN(stimecmp, UINT64_MAX), NULL, timer_set},
    [CSR_SATP & 0xff] = {PLAIN(satp, UINT64_MAX), NULL, write_satp},
};

static const struct csr *find(unsigned csr)
{
    const struct csr *row = &csrs[csr & 0xff];
    return csr >> 8 == 1 && row->name ? row : NULL;
}

const char *csr_name(unsigned csr)
{
    const struct csr *row = find(csr);
    return row ? row->name : NULL;
}

static uint64_t read_csr(struct vcpu *vcpu, const struct csr *row)
{
    return row->read ? row->read(vcpu) : *(uint64_t *)((uint8_t *)&vcpu->csr + row->offset);
}

static void write_csr(struct vcpu *vcpu, const struct csr *row, uint64_t value)
{
    if (row->write)
        row->write(vcpu, value);
    else
        *(uint64_t *)((uint8_t *)&vcpu->csr + row->offset) = value & row->writable;
}

HOT bool csr_execute(struct vcpu *vcpu, const struct insn *insn)
{
    const struct csr *row = find(insn->csr);
    if (!row)
        return false;
    uint64_t operand = insn->immediate ? (uint64_t)insn->imm : vcpu->x[insn->rs1];
    bool writes = insn->op == INSN_CSRRW || (insn->immediate ? insn->imm != 0 : insn->rs1 != 0);
    uint64_t old = 0;
    if (insn->rd || insn->op != INSN_CSRRW)
        old = read_csr(vcpu, row);
    if (writes)
        write_csr(vcpu, row,
                  insn->op == INSN_CSRRW   ? operand
                  : insn->op == INSN_CSRRS ? old | operand
                                           : old & ~operand);
    if (insn->rd)
        vcpu->x[insn->rd] = old;
    return true;
}
