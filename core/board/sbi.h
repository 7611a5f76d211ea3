/* The SBI that the guest calls: a server for one hart. */
#pragma once
#include <stdint.h>

struct vcpu;

/* Carries out the call in a7, a6, a0..a5 and puts the answer into a0, a1. pc is already past the ecall. */
void sbi_call(struct vcpu *vcpu);

/* The call as a detail of the statistics: EID << 8 | FID, of a legacy call the EID alone. */
uint32_t sbi_detail(const struct vcpu *vcpu);
