/* The guest's timer (Sstc). Its comparison is also the real hart's while it lies ahead
 * (host/hart.h). */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "vm/vcpu.h"

/* Writes stimecmp; also what SBI TIME's set_timer does on a machine with Sstc. */
void timer_set(struct vcpu *vcpu, uint64_t stimecmp);

/* STIP: time >= stimecmp. */
static inline bool timer_pending(const struct vcpu *vcpu)
{
    return csr_read(CSR_TIME) >= vcpu->csr.stimecmp;
}
