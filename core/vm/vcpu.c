/*
 * The virtual hart: traps into vS, SRET, WFI, interrupt choice. Privileged specification, chapter
 * "Supervisor-Level ISA".
 */
#include "vm/vcpu.h"

#include <string.h>

#include "isa/riscv.h"
#include "vm/engine.h"
#include "vm/timer.h"
#include "vm/vm.h"

#define COUNTEREN_SBI 7ul /* cycle, time and instret: what OpenSBI lets vU read at first */

static void set_mode(struct vcpu *vcpu, enum vmode mode)
{
    vcpu->mode = (uint8_t)mode;
    vcpu->changed |= VCPU_VIEW;
}

/* The specification says what a0, a1, satp and SIE are; the rest is as OpenSBI leaves it. */
void vcpu_resume(struct vcpu *vcpu, uint64_t pc, uint64_t opaque)
{
    memset(vcpu->x, 0, sizeof(vcpu->x));
    vcpu->x[10] = vcpu->hartid;
    vcpu->x[11] = opaque;
    vcpu->pc = pc & ~1ul;
    vcpu->csr.sstatus = SSTATUS_FS;
    vcpu->changed |= VCPU_FS;
    if ((pc & 3) < 2) /* WARL */
        vcpu->csr.stvec = pc;
    vcpu->csr.sscratch = 0;
    vcpu->csr.sie = 0;
    vcpu->csr.satp = 0;
    vcpu->csr.scounteren = COUNTEREN_SBI & vcpu->counters;
    vcpu->changed |= VCPU_INTERRUPTS;
    set_mode(vcpu, VMODE_S);
}

void vcpu_reset(struct vcpu *vcpu, uint64_t pc, uint64_t opaque)
{
    memset(&vcpu->csr, 0, sizeof(vcpu->csr));
    vcpu->fault = vcpu->fault_before = (struct vcpu_fault){0};
    vcpu->external = false;
    timer_set(vcpu, UINT64_MAX);
    vcpu_resume(vcpu, pc, opaque);
}

static inline void enter_handler(struct vcpu *vcpu, uint64_t cause, uint64_t stval, uint64_t target)
{
    vcpu->csr.sstatus = vcpu_sstatus_pushed(vcpu->csr.sstatus, vcpu->mode);
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

static inline void raise_fault(struct vcpu *vcpu, uint64_t cause, uint64_t stval)
{
    note_fault(vcpu, cause, stval);
    enter_handler(vcpu, cause, stval, vcpu->csr.stvec & ~3ul);
}

/* The registers are not all the guest's own. */
RARE static void raise_synced(struct vcpu *vcpu, uint64_t cause, uint64_t stval)
{
    vcpu->vm->engine->sync(vcpu);
    raise_fault(vcpu, cause, stval);
}

HOT void vcpu_raise(struct vcpu *vcpu, uint64_t cause, uint64_t stval)
{
    if (cause == CAUSE_ECALL_U)
        enter_handler(vcpu, cause, stval, vcpu->csr.stvec & ~3ul);
    else if (vcpu->borrowed && vcpu->mode == VMODE_S)
        raise_synced(vcpu, cause, stval);
    else
        raise_fault(vcpu, cause, stval);
}

HOT uint64_t vcpu_sip(const struct vcpu *vcpu)
{
    return vcpu->csr.sip | (timer_pending(vcpu) ? SIP_STIP : 0) | (vcpu->external ? SIP_SEIP : 0);
}

HOT void vcpu_deliver_interrupt(struct vcpu *vcpu)
{
    vcpu->changed &= (uint8_t)~VCPU_INTERRUPTS;
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
    if (vcpu->borrowed && vcpu->mode == VMODE_S)
        vcpu->vm->engine->sync(vcpu);
    enter_handler(vcpu, SCAUSE_INTERRUPT | number, 0, vectored ? base + 4 * number : base);
}

void vcpu_set_external(struct vcpu *vcpu, bool level)
{
    vcpu->external = level;
    vcpu->changed |= (level) ? VCPU_INTERRUPTS : 0;
}

HOT void vcpu_sret(struct vcpu *vcpu)
{
    uint64_t sstatus = vcpu->csr.sstatus;
    enum vmode mode = sstatus & SSTATUS_SPP ? VMODE_S : VMODE_U;
    vcpu->csr.sstatus = vcpu_sstatus_popped(sstatus);
    vcpu->pc = vcpu->csr.sepc;
    vcpu->changed |= VCPU_INTERRUPTS;
    if (mode != vcpu->mode)
        set_mode(vcpu, mode);
}
