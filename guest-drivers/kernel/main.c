/*
 * Start-up of the guest kernel, in order: device tree, console (polled, paging still off), paging,
 * interrupts, disk, then the commands of run= or the shell.
 */
#include "kernel.h"
#include "isa/riscv.h"

_Noreturn void kernel_main(uint64_t hart, const void *dtb);

static struct console *find_console(void)
{
    uint64_t wanted = board.standard_output.base;
    for (unsigned i = 0; i < board.virtios; i++)
        if (wanted == board.virtio[i].base)
            return virtio_console(&board.virtio[i]);
    if (board.uart.base)
        return uart_console(&board.uart);
    for (unsigned i = 0; i < board.virtios; i++) {
        struct console *found = virtio_console(&board.virtio[i]);
        if (found)
            return found;
    }
    return NULL;
}

static struct disk *find_disk(void)
{
    for (unsigned i = 0; i < board.virtios; i++) {
        struct disk *found = virtio_disk(&board.virtio[i]);
        if (found)
            return found;
    }
    if (board.ahci.base)
        return ahci_disk(&board.ahci);
    return board.ata.base ? ata_disk(&board.ata) : NULL;
}

static const char *find_script(void)
{
    for (const char *at = board.bootargs; (at = strstr(at, "run=")) != NULL; at++)
        if (at == board.bootargs || at[-1] == ' ')
            return at + 4;
    return NULL;
}

static void print_board(void)
{
    printf("Trident guest kernel\n");
    printf("console: %s at %#lx irq %u\n", console->name, console->device->base,
           console->device->irq);
    printf("memory: %lu MiB at %#lx, paging off\n", board.ram_size >> 20, board.ram_base);
}

void kernel_main(uint64_t hart, const void *dtb)
{
    board.hart = hart;
    const char *problem = board_read(dtb);
    if (problem)
        panic("%s", problem);
    page_init();
    struct console *found = find_console();
    if (!found)
        panic("the device tree names no console that answers");
    console_use(found);
    print_board();
    if (!page_enable())
        panic("satp does not take Sv39");
    printf("memory: paging on (Sv39), %lu pages free\n", page_free_count());

    trap_init();
    time_init();
    plic_init();
    console_start();
    interrupts_on();
    disk = find_disk();
    if (disk)
        printf("disk: %s at %#lx irq %u, %lu sectors, depth %u, serial \"%s\"\n", disk->name,
               disk->device->base, disk->device->irq, disk->sectors, disk->depth, disk->serial);
    else
        printf("disk: none\n");
    const char *script = find_script();
    if (script)
        shell_script(script);
    shell_interactive();
}
