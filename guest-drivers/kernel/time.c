/*
 * Time: the `time` counter, one deadline, and sleeping until something happened.
 *
 * The deadline is stimecmp where the ISA string has Sstc, else SBI set_timer. Nothing in the kernel
 * waits in any other way than time_wait(): every wait has an end and idles in wfi.
 */
#include "kernel.h"
#include "riscv.h"

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
    if (board.has_sstc) {
        csr_write(CSR_STIMECMP, deadline);
    } else {
        sbi_call(SBI_EXT_TIME, 0, deadline, 0, 0);
    }
}

void time_init(void)
{
    time_set(UINT64_MAX);
    csr_set(CSR_SIE, SIP_STIP);
}

void time_interrupt(void)
{
    time_set(UINT64_MAX); /* lowers the request; the waiter looks at the clock itself */
}

bool time_wait(bool (*done)(void *argument), void *argument, uint64_t deadline)
{
    bool were_on = interrupts_off();
    bool result = done(argument);
    if (!result) {
        time_set(deadline);
        while (!(result = done(argument)) && time_now() < deadline) {
            __asm__ volatile("wfi" : : : "memory");
            interrupts_on(); /* what woke us is taken here */
            interrupts_off();
        }
        time_set(UINT64_MAX);
    }
    if (were_on) {
        interrupts_on();
    }
    return result;
}
