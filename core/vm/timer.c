/* The guest's timer: privileged specification, "Sstc". */
#include "vm/timer.h"

#include "host/hart.h"

void timer_set(struct vcpu *vcpu, uint64_t stimecmp)
{
    vcpu->csr.stimecmp = stimecmp;
    vcpu->changed |= VCPU_INTERRUPTS;
    hart_compare(vcpu->hart, stimecmp);
}
