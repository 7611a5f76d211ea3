/*
 * What PATCH=inline must not make dearer: a kernel that inlining fits badly. The guest says what a
 * round takes; tests/system/test_cheap.py compares the levels. It needs ICOUNT=1: then the time CSR
 * counts instructions by the hundred.
 *
 * CASE 1: f registers are saved and restored between two places that switch interrupts, as at a
 * switch of threads. CASE 2 and 3: the process's stack has a guard page below it, without U, at an
 * address where the VMM's trampolines lie, and the kernel has a space of its own. In CASE 2 the
 * guard page is executable. In CASE 3 it is not, and the kernel uses it in the end.
 */
#ifndef CASE
#define CASE 1
#endif
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

#if CASE == 1
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
#else
static uint64_t process_root[512] __attribute__((aligned(4096)));
static uint64_t process_low[512] __attribute__((aligned(4096)));
static uint64_t process_lowest[512] __attribute__((aligned(4096)));
static uint64_t kernel_satp, process_satp;
static uint64_t *guard;

static uint64_t entry_of(const void *table)
{
    return (uint64_t)table >> PAGE_SHIFT << PTE_PPN_SHIFT | PTE_V;
}

static uint64_t leaf_of(const void *page, uint64_t bits)
{
    return entry_of(page) | PTE_R | PTE_W | PTE_A | PTE_D | bits;
}

/* The process has code at 0, a guard page at 0x1000 and a stack at 0x2000; the kernel and the
 * board's devices are where they are for the kernel. */
static void start(void)
{
    uint32_t *code = bare_page();
    *code = 0x00000073u; /* ecall */
    guard = bare_page();
    memcpy(process_root, bare_root, sizeof(process_root));
    process_low[0] = entry_of(process_lowest);
    process_lowest[0] = leaf_of(code, PTE_U | PTE_X);
    process_lowest[1] = leaf_of(guard, CASE == 2 ? PTE_X : 0);
    process_lowest[2] = leaf_of(bare_page(), PTE_U);
    process_root[0] = entry_of(process_low);
    kernel_satp = csr_read(CSR_SATP);
    process_satp = SATP_MODE_SV39 << SATP_MODE_SHIFT | (uint64_t)process_root >> PAGE_SHIFT;
}

static void enter(uint64_t satp)
{
    csr_write(CSR_SATP, satp);
    sfence_vma_all();
}

static void round(void)
{
    enter(process_satp);
    bare_user(0, 0, 0);
    enter(kernel_satp);
    for (unsigned i = 0; i < 4; i++)
        toggle();
}
#endif

#if CASE == 3
#define AT ((volatile uint64_t *)0x1008)

/* The kernel's own page is there for it, with trampolines in use before and after. */
static void use_guard(void)
{
    for (unsigned i = 0; i < 100; i++) {
        guard[1] = i;
        enter(process_satp);
        toggle();
        uint64_t seen = *AT;
        *AT = ~seen;
        toggle();
        enter(kernel_satp);
        if (seen != i || guard[1] != ~seen)
            printf("FAIL: %lu was %lu, and is %lx\n", (unsigned long)i, (unsigned long)seen,
                   (unsigned long)guard[1]);
    }
}
#else
static void use_guard(void)
{
}
#endif

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
    use_guard();
    return 0;
}
