/*
 * What a workload costs. A vendor SBI call before and after the workload lets a VMM count what the
 * workload alone costs; firmware that does not know the call answers NOT_SUPPORTED, which does not
 * matter.
 *
 * The surprise: QEMU's instret counts instructions only with -icount. Without -icount instret is
 * the computer's clock, and nothing says so. But it is known how many instructions a loop has: that
 * a clock shows just that number, for loops of several lengths one after the other, is as good as
 * impossible.
 */
#include "bench.h"
#include "kernel.h"
#include "isa/riscv.h"

#define MARK_BEGIN 0u
#define MARK_END   1u

/* instret counts if so many stretches in a row are exact, in one of so many tries: in the other
 * tries something may have come in between. */
#define LENGTHS 4u
#define TRIES   16u
#define SHORT   61u /* rounds of the shortest stretch */

struct bench_cost bench_now(void)
{
    return (struct bench_cost){time_now(), csr_read(CSR_INSTRET) - time_spun()};
}

struct bench_cost bench_since(struct bench_cost begin)
{
    struct bench_cost now = bench_now();
    return (struct bench_cost){now.ticks - begin.ticks, now.instructions - begin.instructions};
}

struct bench_cost bench_begin(void)
{
    sbi_call(SBI_EXT_TRIDENT, MARK_BEGIN, 0, 0, 0);
    return bench_now();
}

struct bench_cost bench_end(struct bench_cost begin)
{
    struct bench_cost cost = bench_since(begin);
    sbi_call(SBI_EXT_TRIDENT, MARK_END, 0, 0, 0);
    return cost;
}

/* How far instret goes on in so many rounds of two instructions, with its own first reading. */
static uint64_t stretch(uint64_t rounds)
{
    uint64_t begin, end;
    __asm__ volatile("csrr %0, instret\n"
                     "1: addi %2, %2, -1\n"
                     "bnez %2, 1b\n"
                     "csrr %1, instret"
                     : "=&r"(begin), "=&r"(end), "+r"(rounds)
                     :
                     : "memory");
    return end - begin;
}

static bool find_out(void)
{
    bool were_on = interrupts_off();
    unsigned exact = 0;
    for (unsigned i = 0; i < TRIES && exact < LENGTHS; i++) {
        exact = 0;
        while (exact < LENGTHS && stretch(SHORT << exact) == 2 * (SHORT << exact) + 1)
            exact++;
    }
    if (were_on)
        interrupts_on();
    return exact == LENGTHS;
}

bool bench_counts(void)
{
    static enum { UNKNOWN, COUNTS, IS_CLOCK } instret;
    if (instret == UNKNOWN)
        instret = find_out() ? COUNTS : IS_CLOCK;
    return instret == COUNTS;
}

void bench_print(struct bench_cost cost)
{
    printf("%lu ticks", cost.ticks);
    if (bench_counts())
        printf(", %lu instructions", cost.instructions);
    printf("\n");
}
