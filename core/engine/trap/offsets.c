/*
 * Offsets for assembly. Compiled to assembly only; the Makefile turns each ->NAME value into a
 * #define of offsets.h, so that vector.S owns no numbers.
 */
#include <stddef.h>

#include "engine/trap/trap.h"
#include "host/hart.h"

#define OFFSET(name, type, member) \
    __asm__ volatile(".ascii \"->" #name " %0\"" : : "i"(offsetof(struct type, member)))

void offsets(void);

void offsets(void)
{
    OFFSET(VCPU_X, vcpu, x);
    OFFSET(VCPU_PC, vcpu, pc);
    OFFSET(VCPU_HART, vcpu, hart);
    OFFSET(VCPU_ENGINE, vcpu, engine);
    OFFSET(VCPU_MODE, vcpu, mode);
    OFFSET(HART_STACK, hart, stack);
    OFFSET(HART_SATP, hart, satp);
    OFFSET(TRAP_SSTATUS, trap_vcpu, sstatus);
    OFFSET(TRAP_SATP, trap_vcpu, satp);
    OFFSET(TRAP_FLUSH, trap_vcpu, flush);
    OFFSET(TRAP_RETURN_PC, trap_vcpu, returns.pc);
}
