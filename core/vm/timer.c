/*
 * Sstc: "Supervisor-mode timer extension". The host's one comparison serves the guest's and the VMM's own alarm;
 * the host's STIE is on only while one of them is ahead.
 */
#include "vm/timer.h"

#include "isa/riscv.h"
#include "vm/vm.h"

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void timer_set(struct vcpu *vcpu, uint64_t stimecmp)
{
    vcpu->csr.stimecmp = stimecmp;
    vcpu->interrupts_stale = true;
    csr_write(CSR_STIMECMP, sooner(stimecmp, vcpu->alarm));
    csr_set(CSR_SIE, SIP_STIP);
}

bool timer_pending(const struct vcpu *vcpu)
{
    return csr_read(CSR_TIME) >= vcpu->csr.stimecmp;
}

/* Of the guest's comparison and the alarm, what is still ahead. */
static void set_next(struct vcpu *vcpu)
{
    uint64_t next = vcpu->alarm;
    if (timer_pending(vcpu))
        vcpu->interrupts_stale = true; /* the host's interrupt will no longer tell */
    else
        next = sooner(vcpu->csr.stimecmp, next);
    csr_write(CSR_STIMECMP, next);
    if (next == UINT64_MAX)
        csr_clear(CSR_SIE, SIP_STIP);
    else
        csr_set(CSR_SIE, SIP_STIP);
}

void timer_set_alarm(struct vcpu *vcpu, uint64_t time)
{
    if (vcpu->alarm == time)
        return;
    vcpu->alarm = time;
    set_next(vcpu);
}

void timer_fired(struct vcpu *vcpu)
{
    vcpu->interrupts_stale = true;
    csr_clear(CSR_SIE, SIP_STIP);
    if (vcpu->alarm == UINT64_MAX)
        return;
    if (csr_read(CSR_TIME) >= vcpu->alarm)
        vcpu->alarm = UINT64_MAX;
    set_next(vcpu);
}
