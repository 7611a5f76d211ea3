/*
 * The hart for unit tests: what core/isa/riscv.h and core/host/hart.h leave to the test where the
 * build is not for RISC-V. hart_this() is one struct hart.
 */
#pragma once
#include <stdint.h>

#define HART_CSRS 4096u

extern uint64_t hart_csr[HART_CSRS]; /* as last written */
extern unsigned hart_wfis;           /* how often the code under test has waited */

/* Called, where not null, before satp changes, and by every wfi. */
extern void (*hart_on_satp)(void);
extern void (*hart_on_wfi)(void);

/* All registers 0, no callbacks; the struct hart as hart_start() leaves it. */
void hart_reset(void);
