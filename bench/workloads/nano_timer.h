/* nano's operation timer_irq: what nano.c's table and its measuring ask of it. */
#ifndef BENCH_NANO_TIMER_H
#define BENCH_NANO_TIMER_H

/* The timers, before and after. n is not used: there are as many as there are. */
void nano_timer_open(long n);
void nano_timer_close(void);

/* Lets all of them expire, and passes the time meanwhile. */
void nano_timer_irq(long n);

/* The same with timers that do not expire: the stretch that is subtracted. */
void nano_timer_none(long n);

/* Timer interrupts of the machine so far. */
long nano_timer_count(void);

/* ns that one of so many took in the last nano_timer_irq(): the median of the longest holes in which
 * the program did not run. */
double nano_timer_ns(long interrupts);

#endif
