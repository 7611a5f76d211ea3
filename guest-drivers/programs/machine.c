/*
 * The programs that show the machine or end it: `mem`, `regs`, `trace`, `echo`, `sleep`, `reboot`,
 * `poweroff`.
 */
#include "kernel.h"
#include "programs.h"
#include "isa/riscv.h"
#include "shell.h"

int command_echo(int count, char **arguments)
{
    for (int i = 1; i < count; i++)
        printf("%s%s", i > 1 ? " " : "", arguments[i]);
    printf("\n");
    return 0;
}

static bool is_interrupted(void *argument)
{
    (void)argument;
    return console_interrupted();
}

int command_sleep(int count, char **arguments)
{
    if (count != 2) {
        printf("usage: sleep <milliseconds>\n");
        return 1;
    }
    uint64_t ms;
    if (!program_number("milliseconds", arguments[1], 3600000, &ms))
        return 1;
    return time_wait(is_interrupted, NULL, time_now() + time_from_ms(ms)) ? 1 : 0;
}

int command_mem(int count, char **arguments)
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
    for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (rows[i].device->base)
            printf("%-9s%#lx, %#lx bytes, irq %u\n", rows[i].name, rows[i].device->base,
                   rows[i].device->size, rows[i].device->irq);
    for (unsigned i = 0; i < board.virtios; i++)
        printf("virtio%u  %#lx, %#lx bytes, irq %u\n", i, board.virtio[i].base,
               board.virtio[i].size, board.virtio[i].irq);
    return 0;
}

int command_regs(int count, char **arguments)
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
    for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        printf("%-10s 0x%016lx\n", rows[i].name, rows[i].value);
    if (board.has_sstc)
        printf("%-10s 0x%016lx\n", "stimecmp", csr_read(CSR_STIMECMP));
    return 0;
}

int command_trace(int count, char **arguments)
{
    bool on = count == 2 && strcmp(arguments[1], "on") == 0;
    if (!on && (count != 2 || strcmp(arguments[1], "off") != 0)) {
        printf("usage: trace on|off\n");
        return 1;
    }
    trap_trace_set(on);
    return 0;
}

int command_reboot(int count, char **arguments)
{
    (void)count, (void)arguments;
    machine_reboot();
}

int command_poweroff(int count, char **arguments)
{
    uint64_t status = shell_script_failed() ? 1 : 0;
    if (count > 2) {
        printf("usage: poweroff [status]\n");
        return 1;
    }
    if (count == 2 && !program_number("status", arguments[1], 255, &status))
        return 1;
    machine_poweroff((unsigned)status);
}
