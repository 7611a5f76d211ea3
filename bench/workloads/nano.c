/*
 * What single operations cost in a Linux guest: a static program that runs on any riscv64 Linux.
 *
 *   nano [--marks] [--counted] [--disk FILE] [OPERATION]...
 *
 * Prints between two marker lines a JSON list of {op, n, ns, instructions}, each per operation.
 * --counted: QEMU counts instructions (ICOUNT=1). Without it the instruction counter is a clock, and
 * "instructions" is null. --marks: each measured stretch stands between two lines on standard
 * output, each of which waits for a line on standard input: so the runner brackets the VMM's counters
 * (bench/workloads/nano.py).
 *
 * The surprise: what a stretch costs besides its operations (the marks, a loop that passes the
 * time) is measured by a stretch without them, and subtracted.
 */
#define _GNU_SOURCE
#include "nano_timer.h"
#include "stretch.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define PAGE     STRETCH_PAGE
#define MIB      (1 << 20)
#define SELF     "/proc/self/exe"
#define EXECUTED "--exit" /* what fork_exec runs: a nano that ends at once */

static int input_fd = -1, output_fd = -1, disk_fd = -1; /* opened by the set-ups */
static long disk_size;
static char *buffer; /* 1 MiB, aligned for direct reads */

/* --- Operations: each does the thing n times --- */

static void null_syscall(long n)
{
    while (n-- > 0)
        syscall(SYS_getppid);
}

static void open_zero(long n)
{
    (void)n;
    CHECK((input_fd = open("/dev/zero", O_RDONLY)) >= 0);
}

static void read_1(long n)
{
    while (n-- > 0)
        CHECK(read(input_fd, buffer, 1) == 1);
}

static void open_null(long n)
{
    (void)n;
    CHECK((output_fd = open("/dev/null", O_WRONLY)) >= 0);
}

static void write_1(long n)
{
    while (n-- > 0)
        CHECK(write(output_fd, buffer, 1) == 1);
}

static void close_both(void)
{
    if (input_fd >= 0)
        close(input_fd);
    if (output_fd >= 0)
        close(output_fd);
    input_fd = output_fd = -1;
}

static pid_t partner;          /* of pipe_rtt and ctx_switch */
static volatile int *yielding; /* shared with the partner: it is to go on */

static void end_partner(void)
{
    close_both();
    kill(partner, SIGKILL);
    CHECK(waitpid(partner, NULL, 0) == partner);
}

static void echo_bytes(int from, int to)
{
    char byte;

    while (read(from, &byte, 1) == 1 && write(to, &byte, 1) == 1)
        continue;
    _exit(0);
}

static void start_echo(long n)
{
    int there[2], back[2];

    (void)n;
    CHECK(pipe(there) == 0 && pipe(back) == 0);
    CHECK((partner = fork()) >= 0);
    if (partner == 0)
        echo_bytes(there[0], back[1]);
    close(there[0]);
    close(back[1]);
    output_fd = there[1];
    input_fd = back[0];
}

static void pipe_rtt(long n)
{
    while (n-- > 0)
        CHECK(write(output_fd, buffer, 1) == 1 && read(input_fd, buffer, 1) == 1);
}

/* With two processes of the same real-time priority, and no other, each yield is a switch. The
 * other one sleeps until there are switches to be made. */
static void set_policy(int policy, int priority)
{
    struct sched_param parameters = {.sched_priority = priority};

    CHECK(sched_setscheduler(0, policy, &parameters) == 0);
}

static void start_yielder(long n)
{
    int ends[2];
    char byte;

    (void)n;
    yielding = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(yielding != MAP_FAILED && pipe(ends) == 0);
    set_policy(SCHED_FIFO, 1);
    CHECK((partner = fork()) >= 0);
    while (partner == 0 && read(ends[0], &byte, 1) == 1) {
        while (*yielding)
            sched_yield();
    }
    close(ends[0]);
    output_fd = ends[1];
}

static void end_yielder(void)
{
    end_partner();
    set_policy(SCHED_OTHER, 0);
    munmap((void *)yielding, PAGE);
}

static void ctx_switch(long n)
{
    *yielding = 1;
    CHECK(write(output_fd, buffer, 1) == 1);
    for (; n > 0; n -= 2) /* to the other, and back */
        sched_yield();
    *yielding = 0;
    sched_yield(); /* it goes to sleep */
}

static char *pages;
static long page_count, page_touched;

static char *map_pages(long n)
{
    char *start = mmap(NULL, (size_t)n * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                       -1, 0);

    CHECK(start != MAP_FAILED);
    return start;
}

static void touch(char *start, long n)
{
    for (long i = 0; i < n; i++)
        *(volatile char *)(start + i * PAGE) = 1;
}

static void map_for_faults(long n)
{
    page_count = n;
    page_touched = 0;
    pages = map_pages(n);
    madvise(pages, (size_t)n * PAGE, MADV_NOHUGEPAGE);
}

static void page_fault(long n)
{
    touch(pages + page_touched * PAGE, n);
    page_touched += n;
}

static void unmap_faulted(void)
{
    CHECK(munmap(pages, (size_t)page_count * PAGE) == 0);
}

static void mmap_16(long n)
{
    while (n-- > 0) {
        char *start = map_pages(16);

        touch(start, 16);
        CHECK(munmap(start, 16 * PAGE) == 0);
    }
}

static void wait_for(pid_t child)
{
    int status;

    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void fork_exit(long n)
{
    while (n-- > 0) {
        pid_t child = fork();

        CHECK(child >= 0);
        if (child == 0)
            _exit(0);
        wait_for(child);
    }
}

static void fork_exec(long n)
{
    while (n-- > 0) {
        pid_t child = fork();

        CHECK(child >= 0);
        if (child == 0) {
            execl(SELF, "nano", EXECUTED, (char *)NULL);
            _exit(127);
        }
        wait_for(child);
    }
}

static volatile long delivered;

static void on_signal(int number)
{
    (void)number;
    delivered++;
}

static void catch_signal(long n)
{
    (void)n;
    delivered = 0;
    signal(SIGUSR1, on_signal);
}

static void deliver(long n)
{
    pid_t self = getpid();
    long end = delivered + n;

    for (long i = 0; i < n; i++)
        kill(self, SIGUSR1);
    CHECK(delivered == end);
}

static void open_disk(long n)
{
    (void)n;
    CHECK((disk_fd = open(stretch_options.disk, O_RDONLY | O_DIRECT)) >= 0);
    disk_size = stretch_read_size(disk_fd);
}

static void close_disk(void)
{
    close(disk_fd);
}

static void read_disk(long n, long size)
{
    if (disk_size < size)
        errno = ENOSPC;
    CHECK(disk_size >= size);
    for (long i = 0; i < n; i++)
        CHECK(pread(disk_fd, buffer, (size_t)size, i % (disk_size / size) * size) == size);
}

static void pread_4k(long n)
{
    read_disk(n, PAGE);
}

static void pread_1m(long n)
{
    read_disk(n, MIB);
}

/* 63 characters and a newline, until the terminal has sent them. */
static void console_line(long n)
{
    char line[65];

    for (long i = 0; i < n; i++) {
        snprintf(line, sizeof line, "%-63ld\n", i);
        CHECK(write(STDOUT_FILENO, line, 64) == 64);
        if (isatty(STDOUT_FILENO))
            CHECK(tcdrain(STDOUT_FILENO) == 0);
    }
}

/* --- The table --- */

static const struct op {
    const char *name;
    long n;
    void (*run)(long n);
    void (*setup)(long n);
    void (*end)(void);
    void (*without)(long n); /* the stretch that is subtracted; default: nothing */
} ops[] = {
    {"null_syscall", 5000, null_syscall, NULL, NULL, NULL},
    {"read_1", 5000, read_1, open_zero, close_both, NULL},
    {"write_1", 5000, write_1, open_null, close_both, NULL},
    {"pipe_rtt", 1000, pipe_rtt, start_echo, end_partner, NULL},
    {"ctx_switch", 2000, ctx_switch, start_yielder, end_yielder, NULL},
    {"page_fault", 2000, page_fault, map_for_faults, unmap_faulted, NULL},
    {"mmap_16", 200, mmap_16, NULL, NULL, NULL},
    {"fork_exit", 100, fork_exit, NULL, NULL, NULL},
    {"fork_exec", 50, fork_exec, NULL, NULL, NULL},
    {"timer_irq", 0, nano_timer_irq, nano_timer_open, nano_timer_close,
     nano_timer_none}, /* n: as many as there were */
    {"signal", 2000, deliver, catch_signal, NULL, NULL},
    {"pread_4k", 500, pread_4k, open_disk, close_disk, NULL},
    {"pread_1m", 20, pread_1m, open_disk, close_disk, NULL},
    {"console_line", 50, console_line, NULL, NULL, NULL},
};

/* --- Measuring --- */

struct result {
    const struct op *op;
    long n;
    double ns, instructions;
};

/* One stretch; in *interrupts the timer interrupts in it, where these are what is measured. */
static struct stretch_cost stretch(const struct op *op, const char *what, void (*run)(long n),
                                   long *interrupts)
{
    bool timers = run == nano_timer_irq || run == nano_timer_none;
    long before = timers ? nano_timer_count() : 0;
    struct stretch_cost cost = stretch_measure(op->name, what, run, op->n, !timers);

    *interrupts = timers ? nano_timer_count() - before : 0;
    return cost;
}

static struct result measure(const struct op *op)
{
    struct stretch_cost without = {0, 0}, with = {0, 0};
    struct result result = {op, op->n, 0, 0};
    long interrupts = 0, others = 0;

    if (op->setup)
        op->setup(op->n);
    if (op->end != unmap_faulted) /* warm up, but for pages that are touched once */
        op->run(op->n / 10 + 2);
    /* Timers are for once: on a host that stood still so long that they all expired together,
     * again. */
    for (int tries = 0; tries < 3 && (tries == 0 || (result.n == 0 && interrupts <= others));
         tries++) {
        without = stretch(op, "without", op->without ? op->without : stretch_do_nothing, &others);
        with = stretch(op, "with", op->run, &interrupts);
    }
    if (op->end)
        op->end();
    if (result.n == 0)
        result.n = interrupts - others;
    CHECK(result.n > 0);
    result.ns = with.ns;
    if (op->run == nano_timer_irq)
        result.ns = nano_timer_ns(interrupts);
    result.instructions = (double)(with.instructions - without.instructions) / (double)result.n;
    return result;
}

static void print_results(const struct result *results, int count)
{
    printf("nano-json-begin\n[");
    for (int i = 0; i < count; i++) {
        char first[64];

        snprintf(first, sizeof first, "%s\n{\"op\": \"%s\"", i ? "," : "", results[i].op->name);
        stretch_print_result(first, results[i].n, results[i].ns, results[i].instructions);
    }
    printf("\n]\nnano-json-end\n");
    if (!stretch_options.counted)
        printf("nano: instructions are counted with ICOUNT=1 only\n");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct result results[sizeof ops / sizeof ops[0]];
    int first, count = 0;

    if (argc > 1 && strcmp(argv[1], EXECUTED) == 0)
        return 0;
    first = stretch_begin("nano", argc, argv);
    CHECK((buffer = aligned_alloc(PAGE, MIB)));
    memset(buffer, 0, MIB);
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        if (stretch_is_wanted(ops[i].name, argc - first, argv + first))
            results[count++] = measure(&ops[i]);
    }
    print_results(results, count);
    stretch_end();
    return count == 0;
}
