/*
 * The shell's table of commands: each row is a program. A new program is a file in this folder, a
 * declaration in programs.h and a row here. No program knows which driver, or which strategy of a
 * VMM, is below it.
 */
#include "programs.h"

#include "kernel.h"
#include "line.h"
#include "selftest/selftest.h"
#include "shell.h"

bool program_number(const char *what, const char *text, uint64_t max, uint64_t *value)
{
    unsigned base = text[0] == '0' && (text[1] == 'x' || text[1] == 'X') ? 16 : 10;
    const char *at = base == 16 ? text + 2 : text;
    uint64_t number = 0;
    bool good = *at != '\0';
    for (; *at && good; at++) {
        unsigned digit = *at >= '0' && *at <= '9'   ? (unsigned)(*at - '0')
                         : *at >= 'a' && *at <= 'f' ? (unsigned)(*at - 'a' + 10)
                         : *at >= 'A' && *at <= 'F' ? (unsigned)(*at - 'A' + 10)
                                                    : 99;
        good = digit < base && number <= (UINT64_MAX - digit) / base;
        number = number * base + digit;
    }
    if (!good || number > max) {
        printf("%s must be a number from 0 to %lu, not '%s'.\n", what, max, text);
        return false;
    }
    *value = number;
    return true;
}

struct disk *program_disk(void)
{
    if (!disk)
        printf("This machine has no disk.\n");
    return disk;
}

static int command_selftest(int count, char **arguments)
{
#ifdef HAVE_SELFTEST
    uint64_t effort = 1;
    bool numbered = count == 3 && program_number("effort", arguments[2], 10, &effort) && effort;
    if (count <= 2 || numbered)
        return selftest_main(count > 1 ? arguments[1] : "", (unsigned)effort) == 0 ? 0 : 1;
    printf("usage: selftest [name-prefix [effort 1 to 10]]\n");
#else
    (void)count, (void)arguments;
    printf("This kernel was built without the selftest.\n");
#endif
    return 1;
}

static int command_differences(int count, char **arguments)
{
    (void)count, (void)arguments;
#ifdef HAVE_SELFTEST
    return differences_main();
#else
    printf("This kernel was built without the selftest.\n");
    return 1;
#endif
}

static int command_help(int count, char **arguments);

const struct shell_command shell_commands[] = {
    {"help", "", "this list", command_help},
    {"selftest", "[name-prefix [effort]]", "check the hart against the specification",
     command_selftest},
    {"differences", "", "what can be seen of PATCH=inline", command_differences},
    {"disktest", "[sectors]", "check the disk; its content is restored", command_disktest},
    {"uarttest", "", "check the console device", command_uarttest},
    {"disk", "read|write|verify <sector> <count> [depth]",
     "move sectors; write and verify a pattern", command_disk},
    {"mem", "", "memory and device windows", command_mem},
    {"regs", "", "supervisor registers and trap counts", command_regs},
    {"trace", "on|off", "after each command, list the traps it took", command_trace},
    {"echo", "[text]", "print text", command_echo},
    {"sleep", "<milliseconds>", "idle", command_sleep},
    {"bench", "uart|input|interrupt <n> | disk read|write <bytes> <n> <depth> | trap | spin",
     "time a workload, marked for the VMM", command_bench},
    {"hostile", "jump|satp|sbi|mmio|dma", "misbehave, and report the answer", command_hostile},
    {"reboot", "", "reset the machine", command_reboot},
    {"poweroff", "[status]", "end the machine", command_poweroff},
    {NULL, NULL, NULL, NULL},
};

static int command_help(int count, char **arguments)
{
    (void)count, (void)arguments;
    for (const struct shell_command *at = shell_commands; at->name; at++)
        printf("%s %s\n        %s\n", at->name, at->usage, at->help);
    printf("%s\n", line_keys);
    return 0;
}
