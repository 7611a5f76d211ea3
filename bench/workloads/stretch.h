/*
 * What the measuring programs of a Linux guest share: their options, a clock, the instruction
 * counter, and the measured stretch between two marks.
 */
#ifndef BENCH_STRETCH_H
#define BENCH_STRETCH_H

#include <stdbool.h>

#define STRETCH_PAGE   4096
#define STRETCH_SECOND 1000000000l
#define STRETCH_PARTS  5 /* of a measured stretch; divides every n */

struct stretch_options {
    const char *program; /* its name, for messages and result markers */
    const char *disk;    /* what the disk operations read */
    bool marks;          /* stand still at the marks */
    bool counted;        /* QEMU counts instructions: each takes the same time */
    bool can_count;      /* and programs may read how many there were */
};

struct stretch_cost {
    double ns;         /* of one operation: the fastest part's; 0 where it was not timed */
    long instructions; /* of all of them; 0 where they are not counted */
};

extern struct stretch_options stretch_options;

/* Prints what errno means, after `what`, and ends the program with status 1. */
void stretch_fail(const char *what);

#define CHECK(condition)              \
    do {                              \
        if (!(condition))             \
            stretch_fail(#condition); \
    } while (0)

/* CLOCK_MONOTONIC in ns. */
long stretch_read_clock(void);

/* Reads [--marks] [--counted] [--disk FILE] and prepares counter and terminal; the index of the
 * first other argument. A wrong option ends the program with status 2. */
int stretch_begin(const char *program, int argc, char **argv);

/* Gives the terminal back as it was. */
void stretch_end(void);

/* Whether name is among the arguments; with none, everything is. */
bool stretch_is_wanted(const char *name, int argc, char **argv);

/* Runs n operations between two marks NAME WHAT, in STRETCH_PARTS parts that are timed (n is a
 * multiple), or, if not timed, in one. They also stand between two hints (hint.h). */
struct stretch_cost stretch_measure(const char *name, const char *what, void (*run)(long n), long n,
                                    bool timed);

/* An operation that does nothing: what a stretch costs besides its operations. */
void stretch_do_nothing(long n);

/* Bytes of a file or block device that is open. */
long stretch_read_size(int fd);

/* One line of the result: first is its opening brace and the fields that name it. */
void stretch_print_result(const char *first, long n, double ns, double instructions);

#endif
