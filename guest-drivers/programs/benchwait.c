/*
 * `bench input` and `bench interrupt`: events that come to the guest without its asking.
 */
#include "bench.h"
#include "kernel.h"

#define WARM_UP   24u  /* bytes before `bench input` */
#define PERIOD_US 100u /* from arming the timer to its interrupt */

/* Whoever has the other end of the console sends as many bytes as this asks for, and the bench
 * ends when all of them are here. The bench begins after WARM_UP bytes, when a VMM has learned
 * what pays. */
int bench_input(uint64_t bytes)
{
    printf("bench input: send %lu\n", bytes + WARM_UP);
    console_flush();
    struct bench_cost begin = {0};
    uint64_t got = 0;
    while (got < bytes + WARM_UP && console_read_byte() >= 0)
        begin = ++got == WARM_UP ? bench_begin() : begin;
    struct bench_cost cost = bench_end(begin);
    printf("bench input: %lu bytes, ", got > WARM_UP ? got - WARM_UP : 0);
    bench_print(cost);
    return got == bytes + WARM_UP ? 0 : 1;
}

/* Takes the timer's interrupts, one at a time, in a kernel that is awake. The cost's ticks: how
 * late the handler was, in all; its instructions: from arming the timer to the return from its
 * interrupt. */
int bench_interrupt(uint64_t count)
{
    uint64_t late = 0;
    uint64_t period = board.timebase * PERIOD_US / 1000000;
    console_flush();
    struct bench_cost begin = bench_begin();
    for (uint64_t i = 0; i < count; i++) {
        uint64_t taken = trap_interrupts;
        uint64_t deadline = time_now() + period;
        time_set(deadline);
        time_spin(taken);
        late += time_of_interrupt() - deadline;
    }
    uint64_t instructions = bench_end(begin).instructions;
    printf("bench interrupt: %lu interrupts, ", count);
    bench_print((struct bench_cost){late, instructions});
    return 0;
}
