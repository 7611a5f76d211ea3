/*
 * Our own bug: cause, registers and a backtrace by the firmware's console, then QEMU ends with
 * status 4. Addresses are shown as offsets into the image, which is what addr2line wants.
 */
#include "host/panic.h"

#include <stdarg.h>
#include <stdio.h>

#include "host/log.h"
#include "host/machine.h"
#include "isa/riscv.h"

extern uint8_t image_start[], image_end[];

static struct host *machine_to_end;
static void (*show_guest)(void);

void panic_watch(struct host *host, void (*show)(void))
{
    machine_to_end = host;
    show_guest = show;
}

static _Noreturn void finish(void)
{
    if (machine_to_end)
        host_power_off(machine_to_end, 4);
    /* Before the machine is known: QEMU's finisher. */
    *(volatile uint32_t *)0x100000 = 4 << 16 | 0x3333;
    for (;;)
        __asm__ volatile("wfi");
}

void panic_say(const char *format, ...)
{
    char line[160];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    host_panic_puts(line);
}

void panic_show_registers(const char *whose, const uint64_t *x)
{
    panic_say("%s registers:\n", whose);
    for (unsigned i = 0; i < 32; i += 4)
        panic_say("  x%-2u %016lx %016lx %016lx %016lx\n", i, x[i], x[i + 1], x[i + 2], x[i + 3]);
}

static bool in_image(uint64_t address)
{
    return address >= (uint64_t)image_start && address < (uint64_t)image_end;
}

/* Frame pointers are not kept: every word of the stack that points into the text is shown. */
static void show_backtrace(const uint64_t *stack)
{
    panic_say("return addresses on the stack (offsets into trident.elf):");
    for (unsigned i = 0, shown = 0; i < 256 && shown < 16 && in_image((uint64_t)(stack + i)); i++) {
        if (in_image(stack[i]) && stack[i] < (uint64_t)stack) {
            panic_say(" %#lx", stack[i] - (uint64_t)image_start);
            shown++;
        }
    }
    panic_say("\n");
}

void panic_trap(const uint64_t *x)
{
    static bool again;
    if (again)
        finish();
    again = true;
    panic_say("\ntrident: PANIC: trap in the VMM: scause %#lx sepc trident+%#lx stval %#lx\n",
              csr_read(CSR_SCAUSE), csr_read(CSR_SEPC) - (uint64_t)image_start,
              csr_read(CSR_STVAL));
    panic_show_registers("VMM", x);
    show_backtrace((const uint64_t *)(x[2] & ~7ul));
    if (show_guest)
        show_guest();
    finish();
}

void panic(const char *format, ...)
{
    char line[200];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    panic_say("\ntrident: PANIC: %s\n", line);
    show_backtrace(__builtin_frame_address(0));
    if (show_guest)
        show_guest();
    finish();
}
