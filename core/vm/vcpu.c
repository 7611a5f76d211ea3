/*
 * The virtual hart: traps into vS, SRET, WFI, interrupt choice. Privileged specification, chapter
 * "Supervisor-Level ISA".
 */
#include "vm/vcpu.h"

#include <string.h>

#include "board/board.h"
#include "engine/trap/inline.h"
#include "vm/timer.h"
#include "engine/trap/trap.h"
#include "host/machine.h"
#include "engine/trap/shadow.h"
#include "isa/riscv.h"
#include "vm/vm.h"

#define COUNTEREN_ALL 0xfffffffful
#define COUNTEREN_SBI 7ul /* cycle, time and instret: what OpenSBI lets vU read at first */

static void set_mode(struct vcpu *vcpu, enum vmode mode)
{
    vcpu->mode = (uint8_t)mode;
    vcpu->view_stale = true;
    inline_mode_changed(vcpu);
}

/* The specification says what a0, a1, satp and SIE are; the rest is as OpenSBI leaves it. */
void vcpu_resume(struct vcpu *vcpu, uint64_t pc, uint64_t opaque)
{
    memset(vcpu->x, 0, sizeof(vcpu->x));
    vcpu->x[10] = vcpu->hartid;
    vcpu->x[11] = opaque;
    vcpu->pc = pc & ~1ul;
    vcpu->csr.sstatus = 0;
    inline_set_fs(vcpu, SSTATUS_FS);
    if ((pc & 3) < 2) /* WARL */
        vcpu->csr.stvec = pc;
    vcpu->csr.sscratch = 0;
    vcpu->csr.sie = 0;
    vcpu->csr.satp = 0;
    vcpu->csr.scounteren = COUNTEREN_SBI & vcpu->counters;
    vcpu->interrupts_stale = true;
    set_mode(vcpu, VMODE_S);
}

void vcpu_reset(struct vcpu *vcpu, uint64_t pc, uint64_t opaque)
{
    memset(&vcpu->csr, 0, sizeof(vcpu->csr));
    memset(vcpu->site, 0, sizeof(vcpu->site));
    vcpu->fault = vcpu->fault_before = (struct vcpu_fault){0};
    csr_write(CSR_SCOUNTEREN, COUNTEREN_ALL);
    vcpu->counters = csr_read(CSR_SCOUNTEREN);
    vcpu->host_sstatus = SSTATUS_SPIE | SSTATUS_UXL_64;
    vcpu->fs_hidden = false;
    vcpu->external = false;
    vcpu->alarm = UINT64_MAX;
    timer_set(vcpu, UINT64_MAX);
    vcpu_resume(vcpu, pc, opaque);
}

/* sstatus's part of taking a trap into vS, and where the handler is. */
static void enter_handler(struct vcpu *vcpu, uint64_t cause, uint64_t stval, uint64_t target)
{
    if (vcpu->inlined && vcpu->mode == VMODE_S)
        inline_restore(vcpu);
    uint64_t sstatus = vcpu->csr.sstatus & ~(SSTATUS_SPIE | SSTATUS_SIE | SSTATUS_SPP);
    if (vcpu->csr.sstatus & SSTATUS_SIE)
        sstatus |= SSTATUS_SPIE;
    if (vcpu->mode == VMODE_S)
        sstatus |= SSTATUS_SPP;
    vcpu->csr.sstatus = sstatus;
    vcpu->csr.sepc = vcpu->pc;
    vcpu->csr.scause = cause;
    vcpu->csr.stval = stval;
    vcpu->pc = target;
    if (vcpu->mode != VMODE_S)
        set_mode(vcpu, VMODE_S);
}

static void note_fault(struct vcpu *vcpu, uint64_t cause, uint64_t stval)
{
    struct vcpu_fault *last = &vcpu->fault;
    uint64_t stvec = vcpu->csr.stvec;
    if (last->sepc == vcpu->pc && last->cause == cause && last->stval == stval &&
        last->stvec == stvec) {
        last->count++;
        return;
    }
    vcpu->fault_before = *last;
    *last = (struct vcpu_fault){cause, vcpu->pc, stval, stvec, 1};
}

void vcpu_raise(struct vcpu *vcpu, uint64_t cause, uint64_t stval)
{
    if (cause != CAUSE_ECALL_U)
        note_fault(vcpu, cause, stval);
    enter_handler(vcpu, cause, stval, vcpu->csr.stvec & ~3ul);
}

uint64_t vcpu_sip(const struct vcpu *vcpu)
{
    return vcpu->csr.sip | (timer_pending(vcpu) ? SIP_STIP : 0) | (vcpu->external ? SIP_SEIP : 0);
}

void vcpu_deliver_interrupt(struct vcpu *vcpu)
{
    vcpu->interrupts_stale = false;
    if (vcpu->mode == VMODE_S && !(vcpu->csr.sstatus & SSTATUS_SIE))
        return;
    uint64_t pending = vcpu_sip(vcpu) & vcpu->csr.sie;
    if (!pending)
        return;
    uint64_t number = pending & SIP_SEIP   ? INTERRUPT_EXTERNAL
                      : pending & SIP_SSIP ? INTERRUPT_SOFTWARE
                                           : INTERRUPT_TIMER;
    uint64_t base = vcpu->csr.stvec & ~3ul;
    bool vectored = vcpu->csr.stvec & 1;
    enter_handler(vcpu, SCAUSE_INTERRUPT | number, 0, vectored ? base + 4 * number : base);
}

void vcpu_set_external(struct vcpu *vcpu, bool level)
{
    vcpu->external = level;
    vcpu->interrupts_stale |= level;
}

void vcpu_sret(struct vcpu *vcpu)
{
    uint64_t sstatus = vcpu->csr.sstatus;
    enum vmode mode = sstatus & SSTATUS_SPP ? VMODE_S : VMODE_U;
    vcpu->csr.sstatus = (sstatus & ~(SSTATUS_SPP | SSTATUS_SIE)) | SSTATUS_SPIE |
                        (sstatus & SSTATUS_SPIE ? SSTATUS_SIE : 0);
    vcpu->pc = vcpu->csr.sepc;
    vcpu->interrupts_stale = true;
    if (mode != vcpu->mode)
        set_mode(vcpu, mode);
}

void vcpu_wfi(struct vcpu *vcpu)
{
    board_idle(vcpu->vm, true);
    while (!(vcpu_sip(vcpu) & vcpu->csr.sie)) {
        trap_wait(vcpu, !vcpu->external);
    }
    board_idle(vcpu->vm, false);
    vcpu->interrupts_stale = true;
}

/* What the real hart lets U-mode do follows the virtual mode: in vS everything that S-mode could. */
static void follow_mode(struct vcpu *vcpu)
{
    bool user = vcpu->mode == VMODE_U;
    uint64_t scounteren = user ? vcpu->csr.scounteren | vcpu->counters_given : COUNTEREN_ALL;
    uint64_t senvcfg = user ? vcpu->csr.senvcfg : SENVCFG_CBIE | SENVCFG_CBCFE | SENVCFG_CBZE;
    if (vcpu->host_scounteren != scounteren) {
        vcpu->host_scounteren = scounteren;
        csr_write(CSR_SCOUNTEREN, scounteren);
    }
    if (vcpu->host_senvcfg != senvcfg) {
        vcpu->host_senvcfg = senvcfg;
        csr_write(CSR_SENVCFG, senvcfg);
    }
}

void vcpu_prepare(struct vcpu *vcpu)
{
    if (vcpu->interrupts_stale)
        vcpu_deliver_interrupt(vcpu);
    if (vcpu->view_stale) {
        shadow_select(vcpu);
        follow_mode(vcpu);
    }
}

void vcpu_run(struct vcpu *vcpu)
{
    vcpu->host_scounteren = ~COUNTEREN_ALL; /* force the first write */
    vcpu->host_senvcfg = ~0ul;
    vcpu_prepare(vcpu);
    inline_push(vcpu);
    trap_return(vcpu);
}
