/*
 * Offsets for assembly. Compiled to assembly only; the Makefile turns each ->NAME value into a
 * #define of offsets.h, so that trap.S owns no numbers.
 */
#include <stddef.h>

#include "vm/vcpu.h"

#define OFFSET(name, member) \
    __asm__ volatile(".ascii \"->" #name " %0\"" : : "i"(offsetof(struct vcpu, member)))

void offsets(void);

void offsets(void)
{
    OFFSET(VCPU_X, x);
    OFFSET(VCPU_PC, pc);
    OFFSET(VCPU_HOST_SSTATUS, host_sstatus);
    OFFSET(VCPU_HOST_STACK, host_stack);
    OFFSET(VCPU_SATP, satp);
    OFFSET(VCPU_SATP_INSTALLED, satp_installed);
    OFFSET(VCPU_FLUSH, flush);
}
