/*
 * Traps of the guest kernel (privileged specification, 12.1): interrupts go to their drivers; an
 * exception is expected by somebody (trap_hook, trap_try) or ends the machine.
 *
 * The surprise: the log of `trace on` is kept in memory and printed after the command, because
 * printing takes interrupts, which would be logged in turn.
 */
#include <setjmp.h>
#include <stdarg.h>

#include "kernel.h"
#include "isa/riscv.h"

_Static_assert(offsetof(struct trap_frame, sepc) == 32 * 8, "trap_vector.S");
_Static_assert(offsetof(struct trap_frame, stval) == 35 * 8, "trap_vector.S");
_Static_assert(sizeof(struct trap_frame) == 36 * 8, "trap_vector.S");

#define STATUS_PANIC 101u
#define TRACE_MAX    128u

struct trace_entry {
    uint64_t time, scause, sepc, stval;
};

void trap_handle(struct trap_frame *frame);

bool (*trap_hook)(struct trap_frame *frame);

static struct trap_frame *try_seen; /* not null while trap_try() runs its function */
static jmp_buf try_return;
volatile uint64_t trap_interrupts;
static uint64_t exceptions;
static struct trace_entry trace[TRACE_MAX];
static uint64_t traced;
static bool tracing;

static const char *const exception_name[] = {
    [CAUSE_FETCH_MISALIGNED] = "instruction address misaligned",
    [CAUSE_FETCH_ACCESS] = "instruction access fault",
    [CAUSE_ILLEGAL] = "illegal instruction",
    [CAUSE_BREAKPOINT] = "breakpoint",
    [CAUSE_LOAD_MISALIGNED] = "load address misaligned",
    [CAUSE_LOAD_ACCESS] = "load access fault",
    [CAUSE_STORE_MISALIGNED] = "store address misaligned",
    [CAUSE_STORE_ACCESS] = "store access fault",
    [CAUSE_ECALL_U] = "environment call from U-mode",
    [CAUSE_ECALL_S] = "environment call from S-mode",
    [CAUSE_FETCH_PAGE] = "instruction page fault",
    [CAUSE_LOAD_PAGE] = "load page fault",
    [CAUSE_STORE_PAGE] = "store page fault",
};

static const char *const interrupt_name[] = {
    [INTERRUPT_SOFTWARE] = "software interrupt",
    [INTERRUPT_TIMER] = "timer interrupt",
    [INTERRUPT_EXTERNAL] = "external interrupt",
};

const char *trap_name(uint64_t scause)
{
    uint64_t code = scause & ~SCAUSE_INTERRUPT;
    const char *name = NULL;
    if (scause & SCAUSE_INTERRUPT)
        name = code < sizeof(interrupt_name) / sizeof(*interrupt_name) ? interrupt_name[code] : 0;
    else
        name = code < sizeof(exception_name) / sizeof(*exception_name) ? exception_name[code] : 0;
    return name ? name : "unknown cause";
}

void trap_init(void)
{
    csr_write(CSR_STVEC, (uint64_t)trap_vector);
    csr_set(CSR_SIE, SIP_SEIP | SIP_SSIP);
}

void interrupts_on(void)
{
    csr_set(CSR_SSTATUS, SSTATUS_SIE);
}

bool interrupts_off(void)
{
    uint64_t old;
    __asm__ volatile("csrrci %0, sstatus, 2" : "=r"(old) : : "memory");
    return old & SSTATUS_SIE;
}

static void log_trap(const struct trap_frame *frame)
{
    if (tracing)
        trace[traced++ % TRACE_MAX] = (struct trace_entry){time_now(), frame->scause, frame->sepc,
                                                           frame->stval};
}

static void handle_interrupt(struct trap_frame *frame)
{
    trap_interrupts++;
    time_spin_leave(frame);
    switch (frame->scause & ~SCAUSE_INTERRUPT) {
    case INTERRUPT_SOFTWARE: csr_clear(CSR_SIP, SIP_SSIP); break;
    case INTERRUPT_TIMER: time_interrupt(); break;
    case INTERRUPT_EXTERNAL: plic_interrupt(); break;
    default: panic("interrupt %lu has no handler", frame->scause & ~SCAUSE_INTERRUPT);
    }
}

/* Where the vector's sret goes after an exception under trap_try(). */
static void leave_try(void)
{
    longjmp(try_return, 1);
}

void trap_handle(struct trap_frame *frame)
{
    log_trap(frame);
    if (frame->scause & SCAUSE_INTERRUPT) {
        handle_interrupt(frame);
        return;
    }
    exceptions++;
    if (trap_hook && trap_hook(frame))
        return;
    if (try_seen) {
        *try_seen = *frame;
        try_seen = NULL;
        frame->sepc = (uint64_t)leave_try;
        return;
    }
    panic("%s at pc %#lx, stval %#lx, ra %#lx, sp %#lx, sstatus %#lx", trap_name(frame->scause),
          frame->sepc, frame->stval, frame->x[1], frame->x[2], frame->sstatus);
}

bool trap_try(void (*function)(uint64_t argument), uint64_t argument, struct trap_frame *seen)
{
    try_seen = seen;
    if (setjmp(try_return) != 0)
        return false;
    function(argument);
    try_seen = NULL;
    return true;
}

void trap_trace_set(bool on)
{
    tracing = on;
    traced = 0;
}

void trap_trace_print(void)
{
    if (!tracing)
        return;
    tracing = false;
    uint64_t from = traced > TRACE_MAX ? traced - TRACE_MAX : 0;
    if (from > 0)
        printf("trace: %lu earlier traps were not kept\n", from);
    for (uint64_t i = from; i < traced; i++) {
        const struct trace_entry *entry = &trace[i % TRACE_MAX];
        printf("trace: %12lu %s at %#lx, stval %#lx\n", entry->time, trap_name(entry->scause),
               entry->sepc, entry->stval);
    }
    trap_trace_set(true);
}

uint64_t trap_count_interrupts(void)
{
    return trap_interrupts;
}

uint64_t trap_count_exceptions(void)
{
    return exceptions;
}

void panic(const char *format, ...)
{
    static bool again;
    interrupts_off();
    if (!again) {
        again = true;
        console_polled();
        printf("\npanic: ");
        va_list arguments;
        va_start(arguments, format);
        vprintf(format, arguments);
        va_end(arguments);
        printf("\n");
    }
    machine_poweroff(STATUS_PANIC);
}
