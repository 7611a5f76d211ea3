/*
 * Time: the `time` counter, one deadline, and sleeping until something happened.
 *
 * The deadline is stimecmp where the ISA string has Sstc, else SBI set_timer. Nothing in the kernel
 * waits in any other way than time_wait(): every wait has an end and idles in wfi.
 *
 * The surprise: a bench that counts instructions lets the kernel spin instead. Whether a request is
 * done before the wfi or after it is chance, and the cost differs; an interrupt always finds a
 * spinning kernel at the same place, and the rounds that the kernel spun are counted and taken off.
 */
#include "kernel.h"
#include "isa/riscv.h"

#define SPIN_COST 2u          /* instructions of a round of time_spin_loop() */
#define SPIN_MAX  (1ul << 32) /* rounds, so that each wait has an end */

uint64_t time_spin_loop(const volatile uint64_t *interrupts, uint64_t taken, uint64_t rounds);
extern const char time_spin_odd[], time_spin_end[];

static bool spinning;
static uint64_t spun; /* instructions */
static uint64_t interrupt_time;

uint64_t time_now(void)
{
    return csr_read(CSR_TIME);
}

uint64_t time_from_ms(uint64_t ms)
{
    return ms > UINT64_MAX / board.timebase ? UINT64_MAX / 2 : ms * board.timebase / 1000;
}

uint64_t time_to_us(uint64_t ticks)
{
    return ticks / board.timebase * 1000000 + ticks % board.timebase * 1000000 / board.timebase;
}

void time_set(uint64_t deadline)
{
    if (board.has_sstc)
        csr_write(CSR_STIMECMP, deadline);
    else
        sbi_call(SBI_EXT_TIME, 0, deadline, 0, 0);
}

void time_init(void)
{
    time_set(UINT64_MAX);
    csr_set(CSR_SIE, SIP_STIP);
}

void time_interrupt(void)
{
    interrupt_time = time_now();
    time_set(UINT64_MAX); /* lowers the request; the waiter looks at the clock itself */
}

void time_spin_set(bool on)
{
    spinning = on;
}

uint64_t time_spun(void)
{
    return spun;
}

uint64_t time_of_interrupt(void)
{
    return interrupt_time;
}

void time_spin(uint64_t taken)
{
    spun += (SPIN_MAX - time_spin_loop(&trap_interrupts, taken, SPIN_MAX)) * SPIN_COST;
}

void time_spin_leave(struct trap_frame *frame)
{
    uint64_t begin = (uint64_t)time_spin_loop, end = (uint64_t)time_spin_end;
    if (frame->sepc - begin < end - begin) {
        spun -= frame->sepc == (uint64_t)time_spin_odd; /* half a round was not executed */
        frame->sepc = end;
    }
}

/* Called with interrupts off; they are taken meanwhile. */
static void wait_for_interrupt(void)
{
    uint64_t taken = trap_interrupts;
    if (!spinning)
        __asm__ volatile("wfi" : : : "memory");
    interrupts_on(); /* the interrupt that has woken the hart is taken here */
    if (spinning)
        time_spin(taken);
    interrupts_off();
}

bool time_wait(bool (*done)(void *argument), void *argument, uint64_t deadline)
{
    bool were_on = interrupts_off();
    bool result = done(argument);
    if (!result) {
        time_set(deadline);
        while (!(result = done(argument)) && time_now() < deadline)
            wait_for_interrupt();
        time_set(UINT64_MAX);
    }
    if (were_on)
        interrupts_on();
    return result;
}
