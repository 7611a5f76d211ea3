/*
 * Two instructions between which the plugin of `make attribute` counts (bench/attribute/plugin.c):
 * SLTI with x0 as its destination, which the unprivileged specification gives to custom hints. The
 * hart does nothing for them, at any privilege.
 */
#ifndef BENCH_HINT_H
#define BENCH_HINT_H

#define HINT_BEGIN 0x5a1 /* immediates, positive in 12 bits */
#define HINT_END   0x5a2

#define HINT_WORD(immediate) ((unsigned)(immediate) << 20 | 0x2013u) /* SLTI x0, x0, immediate */
#define HINT(immediate)      __asm__ volatile("slti x0, x0, %0" : : "i"(immediate) : "memory")

#endif
