/*
 * What PATCH=inline must not make dearer: f registers are saved and restored between two places
 * that switch interrupts, as at a switch of threads. The guest says what a round takes;
 * tests/system/test_cheap.py compares the levels. It needs ICOUNT=1: then the time CSR counts
 * instructions by the hundred.
 */
#include "bare.h"

#define WARM   200u
#define ROUNDS 1000u

/* Switches interrupts off and on, with registers behind it that are dead. */
void toggle(void);
__asm__(".balign 4096\n"
        "toggle:\n"
        "    csrrci a5, sstatus, 2\n"
        "    nop\n"
        "    csrs sstatus, a5\n"
        "    li t0, 0\n"
        "    li t1, 0\n"
        "    li t2, 0\n"
        "    li a5, 0\n"
        "    ret\n");

static uint64_t area[2];

/* Saves two f registers and restores them, with the FPU on for as long as that takes. */
void float_switch(uint64_t *to);
__asm__(".option push\n"
        ".option arch, +f, +d\n"
        ".balign 4096\n"
        "float_switch:\n"
        "    li t1, 0x2000\n"
        "    csrs sstatus, t1\n"
        "    fsd f0, 0(a0)\n"
        "    fsd f8, 8(a0)\n"
        "    fld f0, 0(a0)\n"
        "    fld f8, 8(a0)\n"
        "    li t1, 0x6000\n"
        "    csrc sstatus, t1\n"
        "    li t1, 0\n"
        "    ret\n"
        ".option pop\n");

static void start(void)
{
    csr_clear(CSR_SSTATUS, SSTATUS_FS);
}

static void round(void)
{
    toggle();
    toggle();
    float_switch(area);
    toggle();
    toggle();
}

int main(void)
{
    bare_paging();
    start();
    for (unsigned i = 0; i < WARM; i++)
        round();
    uint64_t begin = bare_time();
    for (unsigned i = 0; i < ROUNDS; i++)
        round();
    printf("a round takes %lu instructions\n",
           (unsigned long)((bare_time() - begin) * 100 / ROUNDS));
    return 0;
}
