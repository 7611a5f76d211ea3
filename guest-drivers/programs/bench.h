/*
 * What the benches share: what a workload cost, and how it is told.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* What a workload cost the guest, the cost of all that runs below the guest included. */
struct bench_cost {
    uint64_t ticks;        /* of `time` */
    uint64_t instructions; /* retired, without those that spun; a clock unless bench_counts() */
};

/* The cost since boot. */
struct bench_cost bench_now(void);
/* The cost since begin, which bench_now() or bench_begin() gave. */
struct bench_cost bench_since(struct bench_cost begin);
/* bench_now() and bench_since(), which mark the workload's begin and end for the VMM, too. */
struct bench_cost bench_begin(void);
struct bench_cost bench_end(struct bench_cost begin);
/* Whether instret counts instructions (QEMU's -icount); else it is a clock and is not shown. */
bool bench_counts(void);
/* "<ticks> ticks, <instructions> instructions", the latter where they are counted; ends the
 * line. */
void bench_print(struct bench_cost cost);

/* The benches of files of their own; each prints its line. 0: success. */
int bench_trap(void);
int bench_input(uint64_t bytes);
int bench_interrupt(uint64_t count);
