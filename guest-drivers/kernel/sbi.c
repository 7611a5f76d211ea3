/*
 * Calls to the firmware (RISC-V SBI specification 2.0) and the machine's end.
 *
 * The surprise: the test finisher is tried first, since an SBI "system failure" ends QEMU with
 * status 0, and only the finisher carries a status out.
 */
#include "kernel.h"

#define FINISHER_FAIL  0x3333u /* the status is in the upper half */
#define FINISHER_PASS  0x5555u
#define FINISHER_RESET 0x7777u

#define SRST_SHUTDOWN    0u
#define SRST_COLD_REBOOT 1u

struct sbi_result sbi_call(uint64_t extension, uint64_t function, uint64_t a0, uint64_t a1,
                           uint64_t a2)
{
    register uint64_t r0 __asm__("a0") = a0;
    register uint64_t r1 __asm__("a1") = a1;
    register uint64_t r2 __asm__("a2") = a2;
    register uint64_t r6 __asm__("a6") = function;
    register uint64_t r7 __asm__("a7") = extension;
    __asm__ volatile("ecall" : "+r"(r0), "+r"(r1) : "r"(r2), "r"(r6), "r"(r7) : "memory");
    return (struct sbi_result){(int64_t)r0, (int64_t)r1};
}

static _Noreturn void finish(uint32_t finisher, uint32_t reset_type, uint32_t reason)
{
    interrupts_off();
    if (board.finisher.base) {
        *(volatile uint32_t *)board.finisher.base = finisher;
        /* The machine stops a moment later; until then SRST would replace the status by its own. */
        for (uint64_t start = time_now(); time_now() - start < board.timebase;) {
        }
    }
    sbi_call(SBI_EXT_SRST, 0, reset_type, reason, 0);
    for (;;)
        __asm__ volatile("wfi");
}

void machine_poweroff(unsigned status)
{
    console_flush();
    finish(status == 0 ? FINISHER_PASS : status << 16 | FINISHER_FAIL, SRST_SHUTDOWN, status != 0);
}

void machine_reboot(void)
{
    console_flush();
    finish(FINISHER_RESET, SRST_COLD_REBOOT, 0);
}
