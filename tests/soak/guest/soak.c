/*
 * What the endurance tests run in a Linux guest, from system calls alone (Linux: UAPI unistd.h):
 *
 *   soak write PATH BLOCKS WRITERS   each 4 KiB block of PATH once, all over it; "ack N" after the
 *                                    fsync of block N has returned
 *   soak clock SECONDS               "clock N wall monotonic" in nanoseconds, after each second's sleep
 *
 * The surprise: block N is at place N * STRIDE, and its content follows from N, so that the test knows
 * what an image must hold from the numbers that it has read (tests/soak/kill.py).
 */
#include <stdint.h>

#define BLOCK  4096u
#define STRIDE 4001u /* odd, so that every place of 2^n is taken once */

/* Linux: include/uapi/asm-generic/unistd.h, fcntl.h; riscv64 */
#define SYS_OPENAT        56
#define SYS_WRITE         64
#define SYS_PWRITE        68
#define SYS_FSYNC         82
#define SYS_EXIT          93
#define SYS_NANOSLEEP     101
#define SYS_CLOCK_GETTIME 113
#define SYS_CLONE         220
#define SYS_WAIT4         260
#define AT_FDCWD          (-100)
#define O_RDWR            2
#define O_CREAT           0100
#define SIGCHLD           17
#define CLOCK_REALTIME    0
#define CLOCK_MONOTONIC   1

struct timespec {
    int64_t seconds, nanoseconds;
};

_Noreturn void soak_main(long *stack);

static long system_call(long number, long a, long b, long c, long d)
{
    register long a0 __asm__("a0") = a, a1 __asm__("a1") = b, a2 __asm__("a2") = c;
    register long a3 __asm__("a3") = d, a4 __asm__("a4") = 0, a7 __asm__("a7") = number;

    __asm__ volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a7) : "memory");
    return a0;
}

static _Noreturn void leave(int status)
{
    for (;;)
        system_call(SYS_EXIT, status, 0, 0, 0);
}

static char *put_text(char *end, const char *text)
{
    while (*text)
        *end++ = *text++;
    return end;
}

static char *put_number(char *end, uint64_t value)
{
    char digits[20];
    unsigned count = 0;

    do {
        digits[count++] = (char)('0' + value % 10);
    } while ((value /= 10) != 0);
    while (count > 0)
        *end++ = digits[--count];
    return end;
}

/* One line by one system call, so that the lines of several writers do not mix. */
static void say(const char *word, const uint64_t *numbers, unsigned count)
{
    char line[128];
    char *end = put_text(line, word);

    for (unsigned i = 0; i < count; i++) {
        *end++ = ' ';
        end = put_number(end, numbers[i]);
    }
    *end++ = '\n';
    system_call(SYS_WRITE, 1, (long)line, end - line, 0);
}

static uint64_t parse_number(const char *text)
{
    uint64_t value = 0;

    while (*text >= '0' && *text <= '9')
        value = value * 10 + (uint64_t)(*text++ - '0');
    return value;
}

/* --- Blocks --- */

/* Block N is xorshift64's numbers, begun by N + 1. */
static void fill(uint64_t *words, uint64_t n)
{
    uint64_t x = n + 1;

    for (unsigned i = 0; i < BLOCK / sizeof *words; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        words[i] = x;
    }
    words[0] = n;
}

static int write_blocks(const char *path, uint64_t first, uint64_t step, uint64_t blocks)
{
    static uint64_t words[BLOCK / sizeof(uint64_t)] __attribute__((aligned(4096)));
    long file = system_call(SYS_OPENAT, AT_FDCWD, (long)path, O_RDWR | O_CREAT, 0644);

    for (uint64_t n = first; file >= 0 && n < blocks; n += step) {
        long place = (long)(n * STRIDE % blocks * BLOCK);

        fill(words, n);
        if (system_call(SYS_PWRITE, file, (long)words, BLOCK, place) != BLOCK ||
            system_call(SYS_FSYNC, file, 0, 0, 0) != 0)
            break;
        say("ack", &n, 1);
        if (n + step >= blocks)
            return 0;
    }
    say("failed", &first, 1);
    return 1;
}

static int command_write(char **arguments)
{
    uint64_t blocks = parse_number(arguments[1]), writers = parse_number(arguments[2]);
    uint64_t writer = 0;
    int status = 0, failed = 0;

    while (writer < writers && system_call(SYS_CLONE, SIGCHLD, 0, 0, 0) != 0)
        writer++;
    if (writer < writers)
        return write_blocks(arguments[0], writer, writers, blocks);
    while (system_call(SYS_WAIT4, -1, (long)&status, 0, 0) > 0)
        failed |= status != 0;
    return failed;
}

/* --- Time --- */

static uint64_t clock_read(int clock)
{
    struct timespec time;

    system_call(SYS_CLOCK_GETTIME, clock, (long)&time, 0, 0);
    return (uint64_t)time.seconds * 1000000000u + (uint64_t)time.nanoseconds;
}

static int command_clock(char **arguments)
{
    const struct timespec second = {1, 0};
    uint64_t seconds = parse_number(arguments[0]);

    for (uint64_t n = 0; n <= seconds; n++) {
        if (n > 0)
            system_call(SYS_NANOSLEEP, (long)&second, 0, 0, 0);
        say("clock", (uint64_t[]){n, clock_read(CLOCK_REALTIME), clock_read(CLOCK_MONOTONIC)}, 3);
    }
    return 0;
}

/* The stack as the kernel leaves it: count, arguments, null. */
void soak_main(long *stack)
{
    char **arguments = (char **)(stack + 1);

    if (stack[0] == 5 && arguments[1][0] == 'w')
        leave(command_write(arguments + 2));
    if (stack[0] == 3 && arguments[1][0] == 'c')
        leave(command_clock(arguments + 2));
    say("usage: soak write PATH BLOCKS WRITERS | clock SECONDS", 0, 0);
    leave(2);
}

__asm__(".globl _start\n_start:\n\tmv a0, sp\n\tandi sp, sp, -16\n\ttail soak_main\n");
