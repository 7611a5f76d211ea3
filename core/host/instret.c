/*
 * Whether the counter instret (RISC-V unprivileged specification, "Zicntr") counts instructions.
 *
 * Surprise: QEMU's does so only with -icount. Without, it is the computer's clock, and nothing says
 * so. But of a loop it is known how many instructions it has: a clock that shows just that number,
 * for several lengths one after the other, is as good as impossible.
 */
#include "host/machine.h"

#define LENGTHS 4u /* stretches in a row that must all be exact, */
/* Rows of stretches that are tried: the firmware may take an interrupt in some. */
#define TRIES 16u
#define SHORT 61u /* rounds of the shortest stretch */

/* What instret says of so many rounds of two instructions, and of its first reading. */
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

bool host_counts_instructions(void)
{
    for (unsigned i = 0; i < TRIES; i++) {
        unsigned exact = 0;
        while (exact < LENGTHS && stretch(SHORT << exact) == 2 * (SHORT << exact) + 1)
            exact++;
        if (exact == LENGTHS)
            return true;
    }
    return false;
}
