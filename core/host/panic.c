/*
 * Our own bug: cause, registers and a backtrace by the firmware's console, then QEMU ends with status 4.
 * Addresses are shown as offsets into the image, which is what addr2line wants.
 */
#include "host/panic.h"

#include <stdarg.h>
#include <stdio.h>

#include "vm/vcpu.h"
#include "host/log.h"
#include "host/machine.h"
#include "isa/riscv.h"
#include "vm/vm.h"

extern uint8_t image_start[], image_end[];
void trap_panic(const uint64_t *x);

static const struct vcpu *watched;

void panic_watch(const struct vcpu *vcpu)
{
    watched = vcpu;
}

static _Noreturn void finish(void)
{
    if (watched)
        host_power_off(watched->vm->host, 4);
    *(volatile uint32_t *)0x100000 = 4 << 16 |
                                     0x3333; /* before the machine is known: QEMU's finisher */
    for (;;)
        __asm__ volatile("wfi");
}

static void say(const char *format, ...)
{
    char line[160];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    host_panic_puts(line);
}

static void show_registers(const char *whose, const uint64_t *x)
{
    say("%s registers:\n", whose);
    for (unsigned i = 0; i < 32; i += 4)
        say("  x%-2u %016lx %016lx %016lx %016lx\n", i, x[i], x[i + 1], x[i + 2], x[i + 3]);
}

static bool in_image(uint64_t address)
{
    return address >= (uint64_t)image_start && address < (uint64_t)image_end;
}

/* Frame pointers are not kept: every word of the stack that points into the text is shown. */
static void show_backtrace(const uint64_t *stack)
{
    say("return addresses on the stack (offsets into trident.elf):");
    for (unsigned i = 0, shown = 0; i < 256 && shown < 16 && in_image((uint64_t)(stack + i)); i++) {
        if (in_image(stack[i]) && stack[i] < (uint64_t)stack) {
            say(" %#lx", stack[i] - (uint64_t)image_start);
            shown++;
        }
    }
    say("\n");
}

static void show_guest(void)
{
    if (!watched)
        return;
    say("guest: v%c pc %#lx satp %#lx sstatus %#lx, last exit scause %#lx stval %#lx\n",
        watched->mode == VMODE_S ? 'S' : 'U', watched->pc, watched->csr.satp, watched->csr.sstatus,
        watched->scause, watched->stval);
    show_registers("guest", watched->x);
}

/* Called by vector.S when the VMM itself trapped. */
void trap_panic(const uint64_t *x)
{
    static bool again;
    if (again)
        finish();
    again = true;
    say("\ntrident: PANIC: trap in the VMM: scause %#lx sepc trident+%#lx stval %#lx\n",
        csr_read(CSR_SCAUSE), csr_read(CSR_SEPC) - (uint64_t)image_start, csr_read(CSR_STVAL));
    show_registers("VMM", x);
    show_backtrace((const uint64_t *)(x[2] & ~7ul));
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
    say("\ntrident: PANIC: %s\n", line);
    show_backtrace(__builtin_frame_address(0));
    show_guest();
    finish();
}
