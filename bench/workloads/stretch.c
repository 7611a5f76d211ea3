/* See stretch.h. */
#define _GNU_SOURCE
#include "stretch.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <linux/fs.h>
#include <linux/perf_event.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "hint.h"

struct stretch_options stretch_options = {.disk = "/dev/trident"};

void stretch_fail(const char *what)
{
    fflush(stdout);
    perror(what);
    _exit(1);
}

/* --- Clocks --- */

long stretch_read_clock(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * STRETCH_SECOND + time.tv_nsec;
}

static uint64_t instret(void)
{
    uint64_t value;

    __asm__ volatile("rdinstret %0" : "=r"(value));
    return value;
}

static sigjmp_buf no_instret;

static void on_illegal(int number)
{
    (void)number;
    siglongjmp(no_instret, 1);
}

/* With a performance unit (native) the firmware holds the counter until an event uses it. */
static void start_counter(void)
{
    struct perf_event_attr attributes = {.type = PERF_TYPE_HARDWARE,
                                         .size = sizeof attributes,
                                         .config = PERF_COUNT_HW_INSTRUCTIONS};

    /* Of the processor, not of this process: what others do for it counts too. */
    syscall(SYS_perf_event_open, &attributes, -1, 0, -1, 0); /* stays open until the end */
}

/* Linux 6.6 and later let programs read the counter only if asked to (Documentation/admin-guide/
 * sysctl/kernel.rst, perf_user_access). */
static bool open_counter(void)
{
    int fd = open("/proc/sys/kernel/perf_user_access", O_WRONLY);
    volatile bool works = false;

    if (fd >= 0) {
        if (write(fd, "2", 1) != 1)
            perror("perf_user_access");
        close(fd);
    }
    start_counter();
    signal(SIGILL, on_illegal);
    if (sigsetjmp(no_instret, 1) == 0) {
        uint64_t before = instret();

        works = instret() != before;
    }
    signal(SIGILL, SIG_DFL);
    return works;
}

/* --- Beginning and end --- */

/* The answers to the marks are not to be echoed, which would cost as much as they do. */
static void set_echo(bool on)
{
    struct termios terminal;

    if (tcgetattr(STDIN_FILENO, &terminal) != 0)
        return;
    terminal.c_lflag = on ? terminal.c_lflag | ECHO : terminal.c_lflag & ~(tcflag_t)ECHO;
    tcsetattr(STDIN_FILENO, TCSANOW, &terminal);
}

int stretch_begin(const char *program, int argc, char **argv)
{
    struct stretch_options *options = &stretch_options;
    int first = 1;

    options->program = program;
    for (; first < argc && argv[first][0] == '-'; first++) {
        if (strcmp(argv[first], "--marks") == 0)
            options->marks = true;
        else if (strcmp(argv[first], "--counted") == 0)
            options->counted = true;
        else if (strcmp(argv[first], "--disk") == 0 && first + 1 < argc)
            options->disk = argv[++first];
        else {
            fprintf(stderr, "usage: %s [--marks] [--counted] [--disk FILE] [NAME]...\n", program);
            exit(2);
        }
    }
    options->can_count = options->counted && open_counter();
    if (options->counted && !options->can_count)
        fprintf(stderr, "%s: this guest does not let programs count instructions\n", program);
    set_echo(false);
    return first;
}

void stretch_end(void)
{
    set_echo(true);
}

bool stretch_is_wanted(const char *name, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        if (strcmp(name, argv[i]) == 0)
            return true;
    }
    return argc == 0;
}

/* --- The stretch --- */

static void mark(const char *text, const char *name, const char *what)
{
    char answer[8];

    if (!stretch_options.marks)
        return;
    printf("mark-%s %-16s %-7s\n", text, name, what); /* always as long, always as dear */
    fflush(stdout);
    CHECK(fgets(answer, sizeof answer, stdin));
}

/* Runs n operations; the ns that they take, as the fastest part of them did: what other programs on
 * the machine take from QEMU only ever adds. */
static double run_parts(void (*run)(long n), long n)
{
    double best = 0;

    for (int i = 0; i < STRETCH_PARTS; i++) {
        long begin = stretch_read_clock();
        double each;

        run(n / STRETCH_PARTS);
        each = (double)(stretch_read_clock() - begin) / (double)(n / STRETCH_PARTS);
        if (i == 0 || each < best)
            best = each;
    }
    return best;
}

struct stretch_cost stretch_measure(const char *name, const char *what, void (*run)(long n), long n,
                                    bool timed)
{
    struct stretch_cost cost = {0, 0};

    mark("begin", name, what);
    cost.instructions = stretch_options.can_count ? (long)instret() : 0;
    HINT(HINT_BEGIN);
    if (timed)
        cost.ns = run_parts(run, n);
    else
        run(n);
    HINT(HINT_END);
    cost.instructions = stretch_options.can_count ? (long)instret() - cost.instructions : 0;
    mark("end", name, what);
    return cost;
}

void stretch_do_nothing(long n)
{
    (void)n;
}

long stretch_read_size(int fd)
{
    struct stat status;
    unsigned long long size = 0;

    CHECK(fstat(fd, &status) == 0);
    if (S_ISBLK(status.st_mode))
        CHECK(ioctl(fd, BLKGETSIZE64, &size) == 0);
    return S_ISBLK(status.st_mode) ? (long)size : status.st_size;
}

void stretch_print_result(const char *first, long n, double ns, double instructions)
{
    printf("%s, \"n\": %ld, \"ns\": %.1f, ", first, n, ns);
    if (stretch_options.can_count)
        printf("\"instructions\": %.1f}", instructions);
    else
        printf("\"instructions\": null}");
}
