/*
 * The shell: a table of commands, and the script of run=.
 *
 * It does not know which driver or strategy is below. A command returns a status; 0 is success.
 */
#include "kernel.h"
#include "line.h"
#include "isa/riscv.h"

#define WORDS_MAX 16

static bool failed; /* some command of the script did */
static bool in_script;

bool shell_number(const char *what, const char *text, uint64_t max, uint64_t *value)
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

static bool never(void *argument)
{
    (void)argument;
    return console_interrupted();
}

struct disk *shell_disk(void)
{
    if (!disk) {
        printf("This machine has no disk.\n");
    }
    return disk;
}

static int command_echo(int count, char **arguments)
{
    for (int i = 1; i < count; i++) {
        printf("%s%s", i > 1 ? " " : "", arguments[i]);
    }
    printf("\n");
    return 0;
}

static int command_sleep(int count, char **arguments)
{
    uint64_t ms;
    if (count != 2) {
        printf("usage: sleep <milliseconds>\n");
        return 1;
    }
    if (!shell_number("milliseconds", arguments[1], 3600000, &ms)) {
        return 1;
    }
    return time_wait(never, NULL, time_now() + time_from_ms(ms)) ? 1 : 0;
}

static int command_mem(int count, char **arguments)
{
    (void)count, (void)arguments;
    printf("RAM      %#lx..%#lx, %lu MiB\n", board.ram_base, board.ram_base + board.ram_size,
           board.ram_size >> 20);
    printf("free     %lu pages of 4 KiB\n", page_free_count());
    printf("satp     %#lx\n", csr_read(CSR_SATP));
    const struct {
        const char *name;
        const struct board_device *device;
    } rows[] = {{"uart", &board.uart},
                {"plic", &board.plic},
                {"finisher", &board.finisher},
                {"ahci", &board.ahci},
                {"ata", &board.ata}};
    for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (rows[i].device->base) {
            printf("%-9s%#lx, %#lx bytes, irq %u\n", rows[i].name, rows[i].device->base,
                   rows[i].device->size, rows[i].device->irq);
        }
    }
    for (unsigned i = 0; i < board.virtios; i++) {
        printf("virtio%u  %#lx, %#lx bytes, irq %u\n", i, board.virtio[i].base,
               board.virtio[i].size, board.virtio[i].irq);
    }
    return 0;
}

static int command_regs(int count, char **arguments)
{
    (void)count, (void)arguments;
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        {"sstatus", csr_read(CSR_SSTATUS)},
        {"sie", csr_read(CSR_SIE)},
        {"sip", csr_read(CSR_SIP)},
        {"stvec", csr_read(CSR_STVEC)},
        {"sscratch", csr_read(CSR_SSCRATCH)},
        {"sepc", csr_read(CSR_SEPC)},
        {"scause", csr_read(CSR_SCAUSE)},
        {"stval", csr_read(CSR_STVAL)},
        {"satp", csr_read(CSR_SATP)},
        {"scounteren", csr_read(CSR_SCOUNTEREN)},
        {"time", csr_read(CSR_TIME)},
        {"sp", (uint64_t)__builtin_frame_address(0)},
        {"hart", board.hart},
        {"interrupts", trap_count_interrupts()},
        {"exceptions", trap_count_exceptions()},
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        printf("%-10s 0x%016lx\n", rows[i].name, rows[i].value);
    }
    if (board.has_sstc) {
        printf("%-10s 0x%016lx\n", "stimecmp", csr_read(CSR_STIMECMP));
    }
    return 0;
}

static int command_trace(int count, char **arguments)
{
    bool on = count == 2 && strcmp(arguments[1], "on") == 0;
    if (!on && (count != 2 || strcmp(arguments[1], "off") != 0)) {
        printf("usage: trace on|off\n");
        return 1;
    }
    trap_trace_set(on);
    return 0;
}

static int command_selftest(int count, char **arguments)
{
#ifdef HAVE_SELFTEST
    uint64_t effort = 1;
    bool numbered = count == 3 && shell_number("effort", arguments[2], 10, &effort) && effort;
    if (count <= 2 || numbered) {
        return selftest_main(count > 1 ? arguments[1] : "", (unsigned)effort) == 0 ? 0 : 1;
    }
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

static int command_reboot(int count, char **arguments)
{
    (void)count, (void)arguments;
    machine_reboot();
}

static int command_poweroff(int count, char **arguments)
{
    uint64_t status = in_script && failed ? 1 : 0;
    if (count > 2) {
        printf("usage: poweroff [status]\n");
        return 1;
    }
    if (count == 2 && !shell_number("status", arguments[1], 255, &status)) {
        return 1;
    }
    machine_poweroff((unsigned)status);
}

static int command_help(int count, char **arguments);

static const struct shell_command commands[] = {
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
};
#define COMMANDS (sizeof(commands) / sizeof(*commands))

static int command_help(int count, char **arguments)
{
    (void)count, (void)arguments;
    for (unsigned i = 0; i < COMMANDS; i++) {
        printf("%s %s\n        %s\n", commands[i].name, commands[i].usage, commands[i].help);
    }
    printf("%s\n", line_keys);
    return 0;
}

int shell_run(char *line)
{
    char *words[WORDS_MAX];
    int count = 0;
    char *rest = NULL;
    for (char *word = strtok_r(line, " \t", &rest); word; word = strtok_r(NULL, " \t", &rest)) {
        if (count == WORDS_MAX) {
            printf("A command has at most %d words.\n", WORDS_MAX);
            return 1;
        }
        words[count++] = word;
    }
    if (count == 0) {
        return 0;
    }
    console_interrupt_clear();
    for (unsigned i = 0; i < COMMANDS; i++) {
        if (strcmp(words[0], commands[i].name) == 0) {
            int status = commands[i].run(count, words);
            trap_trace_print();
            return status;
        }
    }
    printf("%s: unknown command; 'help' lists them.\n", words[0]);
    return 1;
}

void shell_script(const char *script)
{
    char line[LINE_MAX];
    in_script = true;
    while (*script) {
        while (*script == ' ' || *script == ';') {
            script++;
        }
        int status;
        size_t len = strcspn(script, ";");
        size_t copied = len < LINE_MAX ? len : LINE_MAX - 1;
        memcpy(line, script, copied);
        script += len;
        while (copied > 0 && line[copied - 1] == ' ') {
            copied--;
        }
        line[copied] = '\0';
        if (copied == 0) {
            continue;
        }
        printf("# %s\n", line);
        if (len >= LINE_MAX) {
            printf("A command has at most %u characters.\n", LINE_MAX - 1);
            failed = true;
        } else if ((status = shell_run(line)) != 0) {
            printf("shell: '%.*s' ended with status %d\n", (int)copied, script - len, status);
            failed = true;
        }
    }
    machine_poweroff(failed ? 1 : 0);
}

void shell_interactive(void)
{
    char line[LINE_MAX];
    printf("Type 'help' for the commands.\n");
    for (;;) {
        console_interrupt_clear();
        if (line_read("trident> ", line)) {
            shell_run(line);
        }
    }
}
