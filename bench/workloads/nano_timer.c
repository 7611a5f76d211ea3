/*
 * The timer's interrupt as an operation of nano's: 400 timers that expire one after the other while
 * the program does nothing else.
 */
#define _GNU_SOURCE
#include "nano_timer.h"

#include "stretch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define SECOND STRETCH_SECOND
#define TIMERS 400
#define PERIOD 250000l     /* ns from one's expiry to the next one's */
#define ARMED  40000000l   /* ns in which all of them can be armed */
#define SPIN   120000000ul /* rounds that pass the time until they have expired: 0.2 s and more */

static int timer_fd[TIMERS];
static long holes[TIMERS]; /* ns in which nano_timer_irq did not run, the longest of them */

/* Timers that nobody waits for: their expiry is an interrupt and nothing else. A timer that repeats
 * would start again only when somebody has seen it, so each is for once. */
static void arm_timers(long delay)
{
    struct itimerspec once = {0};

    for (long i = 0; i < TIMERS; i++) {
        long at = stretch_read_clock() + delay + (i * PERIOD);

        once.it_value = (struct timespec){.tv_sec = at / SECOND, .tv_nsec = at % SECOND};
        CHECK(timerfd_settime(timer_fd[i], TFD_TIMER_ABSTIME, &once, NULL) == 0);
    }
}

void nano_timer_open(long n)
{
    (void)n;
    for (long i = 0; i < TIMERS; i++)
        CHECK((timer_fd[i] = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK)) >= 0);
}

void nano_timer_close(void)
{
    for (long i = 0; i < TIMERS; i++)
        close(timer_fd[i]);
}

/* In an instruction count the interrupts are what passing the time costs more with them. */
static void spin(void)
{
    for (unsigned long i = 0; i < SPIN; i++)
        __asm__ volatile("");
}

static int by_length(const void *a, const void *b)
{
    long x = *(const long *)a, y = *(const long *)b;

    return (x < y) - (x > y);
}

/* In time they are the holes in which the program did not run. The median leaves out those in which
 * the whole machine did not. */
static void watch_clock(void)
{
    long end = stretch_read_clock() + ARMED + (TIMERS + 1) * PERIOD, last = stretch_read_clock();

    memset(holes, 0, sizeof holes); /* in no order but for the shortest, which is the first */
    while (last < end) {
        long time = stretch_read_clock(), hole = time - last;

        last = time;
        if (hole <= holes[0])
            continue;
        holes[0] = hole;
        for (int i = 1; i < TIMERS; i++) {
            if (holes[i] < holes[0]) {
                hole = holes[0];
                holes[0] = holes[i];
                holes[i] = hole;
            }
        }
        last = stretch_read_clock();
    }
    qsort(holes, TIMERS, sizeof holes[0], by_length);
}

static void pass_time(void)
{
    if (stretch_options.counted)
        spin();
    else
        watch_clock();
}

void nano_timer_irq(long n)
{
    (void)n;
    arm_timers(ARMED);
    pass_time();
}

void nano_timer_none(long n)
{
    (void)n;
    arm_timers(SECOND * 3600);
    pass_time();
}

/* From the line "10:  1234  RISC-V INTC  5 Edge  riscv-timer". */
long nano_timer_count(void)
{
    char line[256];
    long count = -1;
    FILE *file = fopen("/proc/interrupts", "r");

    CHECK(file);
    while (fgets(line, sizeof line, file)) {
        if (strstr(line, "riscv-timer"))
            sscanf(line, " %*[^:]: %ld", &count);
    }
    fclose(file);
    CHECK(count >= 0);
    return count;
}

double nano_timer_ns(long interrupts)
{
    return (double)holes[(interrupts < TIMERS ? interrupts : TIMERS) / 2];
}
