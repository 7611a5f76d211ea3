/* The hart for unit tests. See hart.h. */
#include "hart.h"

#include <string.h>

#include "host/hart.h"
#include "isa/riscv.h"

uint64_t hart_csr[HART_CSRS];
unsigned hart_wfis;
static struct hart real;
void (*hart_on_satp)(void);
void (*hart_on_wfi)(void);

void hart_reset(void)
{
    memset(hart_csr, 0, sizeof(hart_csr));
    real = (struct hart){.comparison = UINT64_MAX, .alarm = UINT64_MAX};
    hart_wfis = 0;
    hart_on_satp = hart_on_wfi = NULL;
}

struct hart *hart_this(void)
{
    return &real;
}

uint64_t csr_read(unsigned csr)
{
    return hart_csr[csr];
}

void csr_write(unsigned csr, uint64_t value)
{
    if (csr == CSR_SATP && hart_on_satp)
        hart_on_satp();
    hart_csr[csr] = value;
}

void csr_set(unsigned csr, uint64_t bits)
{
    csr_write(csr, hart_csr[csr] | bits);
}

void csr_clear(unsigned csr, uint64_t bits)
{
    csr_write(csr, hart_csr[csr] & ~bits);
}

void riscv_fence_i(void)
{
}

void riscv_wfi(void)
{
    hart_wfis++;
    if (hart_on_wfi)
        hart_on_wfi();
}
