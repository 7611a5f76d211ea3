/*
 * `bench trap`: what the operations that a VMM must carry out cost, in retired instructions that
 * the guest sees: under a VMM the instructions of the VMM and of the firmware, too.
 *
 * Each operation is done R and then 2 R times, and the difference counts: what is done once
 * (patching, first faults, the reading of the counter) is not in the difference. The surprise: the
 * operation is done R times before that, not counted, since a VMM learns some things only after
 * hundreds of traps.
 */
#include "bench.h"
#include "kernel.h"
#include "isa/riscv.h"

#define ROUNDS 1000u
#define WINDOW 0x1000000000ul /* 1 GiB where the kernel maps nothing */

void op_none(uint64_t rounds, uint64_t argument);
void op_rdtime(uint64_t rounds, uint64_t argument);
void op_csrr(uint64_t rounds, uint64_t argument);
void op_csrw(uint64_t rounds, uint64_t argument);
void op_sie(uint64_t rounds, uint64_t argument);
void op_sret(uint64_t rounds, uint64_t argument);
void op_ecall(uint64_t rounds, uint64_t argument);
void op_fault(uint64_t rounds, uint64_t argument);
void op_load(uint64_t rounds, uint64_t argument);
void op_sbi(uint64_t rounds, uint64_t argument);
extern const char op_ecall_user[], op_ecall_user_end[];

struct operation {
    const char *name;
    void (*run)(uint64_t rounds, uint64_t argument);
    uint64_t argument;
};

static uint64_t middle[PAGE_SIZE / 8] __attribute__((aligned(4096)));
static uint64_t leaves[PAGE_SIZE / 8] __attribute__((aligned(4096)));
static uint64_t user_page[PAGE_SIZE / 8] __attribute__((aligned(4096)));
static uint64_t touched_page[PAGE_SIZE / 8] __attribute__((aligned(4096)));

static uint64_t entry_of(const void *page, uint64_t flags)
{
    return (uint64_t)page >> PAGE_SHIFT << PTE_PPN_SHIFT | flags | PTE_V;
}

/* Maps the window by one entry of the kernel's root, with the user page as the window's first page;
 * that entry. */
static uint64_t *map_window(void)
{
    uint64_t *root = (uint64_t *)(page_kernel_satp() << PAGE_SHIFT);
    memcpy(user_page, op_ecall_user, (size_t)(op_ecall_user_end - op_ecall_user));
    __asm__ volatile("fence.i" ::: "memory");
    leaves[0] = entry_of(user_page, PTE_R | PTE_X | PTE_U | PTE_A);
    middle[0] = entry_of(leaves, 0);
    root[WINDOW >> 30] = entry_of(middle, 0);
    sfence_vma_all();
    return &root[WINDOW >> 30];
}

/* What R rounds cost: the cost of 2 R rounds less that of R rounds. The 2 R rounds are marked
 * for the VMM's own statistics. */
static struct bench_cost measure(const struct operation *operation)
{
    operation->run(ROUNDS, operation->argument);
    struct bench_cost begin = bench_now();
    operation->run(ROUNDS, operation->argument);
    struct bench_cost once = bench_since(begin);
    begin = bench_begin();
    operation->run(2 * ROUNDS, operation->argument);
    struct bench_cost twice = bench_end(begin);
    return (struct bench_cost){twice.ticks - once.ticks, twice.instructions - once.instructions};
}

int bench_trap(void)
{
    const uint64_t fault[] = {WINDOW + PAGE_SIZE, (uint64_t)&leaves[1],
                              entry_of(touched_page, PTE_R | PTE_A)};
    const struct operation operations[] = {
        {"nothing", op_none, 0},
        {"rdtime", op_rdtime, 0},
        {"csrr sscratch", op_csrr, 0},
        {"csrw sscratch", op_csrw, 0},
        {"csrci, csrsi sstatus.SIE", op_sie, 0},
        {"csrw sepc, csrs sstatus, sret", op_sret, 0},
        {"ecall from U, csrr, csrw, sret", op_ecall, WINDOW},
        {"page fault, 2 sfence.vma, sret", op_fault, (uint64_t)fault},
        {"load from the PLIC", op_load, board.plic.base + 4},
        {"SBI get_spec_version", op_sbi, 0},
    };
    enum { COUNT = sizeof(operations) / sizeof(*operations) };
    console_flush();
    uint64_t sie = csr_read(CSR_SIE);
    csr_write(CSR_SIE, 0);
    uint64_t *window = map_window();
    struct bench_cost cost[COUNT];
    for (unsigned i = 0; i < COUNT; i++)
        cost[i] = measure(&operations[i]);
    *window = 0;
    sfence_vma_all();
    csr_write(CSR_SIE, sie);
    interrupts_on();
    for (unsigned i = 1; i < COUNT; i++) {
        printf("bench trap: %s: %u rounds", operations[i].name, ROUNDS);
        if (bench_counts())
            printf(", %ld instructions", (int64_t)(cost[i].instructions - cost[0].instructions));
        printf(", %ld ticks\n", (int64_t)(cost[i].ticks - cost[0].ticks));
    }
    return 0;
}
