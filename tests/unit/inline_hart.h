/*
 * A vcpu with PATCH=inline and a hart that executes trampolines, for the tests of
 * core/engine/trap/inline_code.c and inline_body.c.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "engine/trap/inline.h"
#include "rv.h"
#include "vm/csr.h"
#include "vm/vm.h"

#define CODE   0xffffffff80200000ul /* a code page of the guest */
#define OFFSET 0x100u               /* of the site in it */
#define SITE   (CODE + OFFSET)
#define FRAME  77u
#define SPP_FS (SSTATUS_SPP | SSTATUS_FS_INITIAL | SSTATUS_UXL_64)

extern struct vm vm;
extern struct inlined inlined;
extern struct inline_code trampolines;
extern struct vcpu *const vcpu;
extern uint8_t code[PAGE_SIZE]; /* what the guest wrote in the page at CODE */
extern unsigned taken_back;     /* sites that inline_try has freed for others */
extern unsigned flushes;        /* of the TLB */

/* No sites, a page of ecalls (which read all registers), another value in each register; sstatus:
 * SPP_FS. */
int inline_setup(void **state);

/* sstatus as the guest reads it, for the VMM and in the page of virtual CSRs. */
void inline_set_sstatus(uint64_t value);

/* The VMM takes over what the page of virtual CSRs holds, as in a trap from vS. */
void inline_trap(void);

/* Puts an instruction in the code page. */
void inline_put(unsigned offset, uint32_t word);

/* Makes a trampoline for word at pc, in the place of the oldest if all are taken: the jump to it,
 * or 0. */
uint32_t inline_try(uint64_t pc, uint32_t word);

/* Where the jump of a site goes; its second half must trap. */
uint64_t inline_target(uint32_t jump);

/* One instruction of those that trampolines are made of. False: it is an ecall, which traps. */
bool inline_step(void);
