/* Sstc: "Supervisor-mode timer extension". The host's own STIE is on only while the comparison is ahead. */
#include "cpu/timer.h"

#include "riscv.h"
#include "vm.h"

void timer_set(struct vcpu *vcpu, uint64_t stimecmp)
{
    vcpu->csr.stimecmp = stimecmp;
    vcpu->interrupts_stale = true;
    csr_write(CSR_STIMECMP, stimecmp);
    csr_set(CSR_SIE, SIP_STIP);
}

bool timer_pending(const struct vcpu *vcpu)
{
    return csr_read(CSR_TIME) >= vcpu->csr.stimecmp;
}

void timer_fired(struct vcpu *vcpu)
{
    csr_clear(CSR_SIE, SIP_STIP);
    vcpu->interrupts_stale = true;
}
