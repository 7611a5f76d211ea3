/*
 * A guest that says "stuck" and then never again gives up the hart of its own accord, in as many
 * ways as there are cases. No case ends; what is asked of the VMM is that its control channel
 * answers meanwhile (tests/system/test_stuck.py).
 */
#include "bare.h"

#define EID_HSM  0x48534dul
#define EID_SRST 0x53525354ul
#ifndef CASE
#define CASE 0 /* of cases[] */
#endif

#define HOLE             0x00123000ul /* gpa of no device */
#define PLIC_ENABLE      (BARE_PLIC + 0x2080ul)
#define PLIC_THRESHOLD   (BARE_PLIC + 0x201000ul)
#define PLIC_CLAIM       (BARE_PLIC + 0x201004ul)
#define PLIC_SOURCES     96u
#define UART_IRQ         10u
#define UART_IER         (BARE_UART + 1)
#define UART_LCR         (BARE_UART + 3)
#define UART_MCR         (BARE_UART + 4)
#define INSN_CSRR_SCAUSE 0x14202673u /* csrr a2, scause */
#define INSN_CSRRCI      0x10017673u /* csrrci a2, sstatus, 2 */

static void fault_at(uint64_t handler)
{
    csr_write(CSR_STVEC, handler);
    __asm__ volatile("ebreak");
}

static void handler_in_a_hole(void)
{
    fault_at(HOLE);
}

/* The PLIC's threshold is still the reset's: no source can wake the hart. */
static void wait(void)
{
    csr_write(CSR_SIE, 0);
    for (;;)
        __asm__ volatile("wfi");
}

static void spin(void)
{
    csr_clear(CSR_SSTATUS, SSTATUS_SIE);
    for (;;)
        ;
}

static void spin_privileged(void)
{
    for (;;)
        __asm__ volatile("csrrci t0, sstatus, 2; csrs sstatus, t0" : : : "t0");
}

/* The timer has rung, and its handler does nothing about it. */
static void timer_storm(void)
{
    csr_write(CSR_SIE, SIP_STIP);
    csr_write(CSR_STIMECMP, 0);
    __asm__ volatile("la t0, 1f; csrw stvec, t0; csrsi sstatus, 2; j .; .align 4; 1: sret"
                     :
                     :
                     : "t0");
}

static void suspend(void)
{
    csr_write(CSR_SIE, 0);
    for (;;)
        bare_sbi(EID_HSM, 3, 0, 0, 0, 0);
}

static void handler_above(void)
{
    fault_at(0xffff8000a0000180ul);
}

static void handler_faults(void)
{
    __asm__ volatile("la t0, 1f; csrw stvec, t0; ebreak; .align 4;"
                     "1: csrr t1, scause; csrr t1, sepc; ld t1, 0(zero); j 1b"
                     :
                     :
                     : "t0", "t1");
}

static void handler_in_a_device(void)
{
    fault_at(BARE_PLIC);
}

static void handler_low(void)
{
    fault_at(0x400);
}

/* Privileged code is written, and executed, and written again. */
static void write_code(void)
{
    uint8_t *page = bare_page();
    for (;;) {
        for (unsigned i = 0; i < 64; i++) {
            bare_put_32(page, 16 * i, INSN_CSRR_SCAUSE);
            bare_put_32(page, 16 * i + 4, INSN_CSRRCI);
            bare_put_32(page, 16 * i + 8, BARE_NOP);
            bare_put_32(page, 16 * i + 12, BARE_NOP);
        }
        bare_put_32(page, 1024, BARE_RET);
        __asm__ volatile("fence.i" : : : "memory");
        ((void (*)(void))page)();
    }
}

static void reboot(void)
{
    for (;;)
        bare_sbi(EID_SRST, 0, 1, 0, 0, 0);
}

static void loop_back(void)
{
    for (;;) {
        bare_write(uint8_t, UART_LCR, 3);
        bare_write(uint8_t, UART_MCR, 0x1f);
        bare_write(uint8_t, UART_IER, 0xf);
        bare_write(uint8_t, BARE_UART, 'A');
    }
}

/* Enables every source at the highest priority, with this threshold, while a source of the guest's
 * devices is pending. */
static void open_plic(unsigned threshold)
{
    for (unsigned source = 1; source < PLIC_SOURCES; source++)
        bare_write(uint32_t, BARE_PLIC + 4 * source, 7);
    for (unsigned word = 0; word < PLIC_SOURCES / 32; word++)
        bare_write(uint32_t, PLIC_ENABLE + 4 * word, ~0u);
    bare_write(uint32_t, PLIC_THRESHOLD, threshold);
    bare_write(uint8_t, UART_IER, 2);
}

static void wait_closed(void)
{
    open_plic(7);
    wait();
}

static void wait_pending(void)
{
    open_plic(0);
    wait();
}

static void wait_claimed(void)
{
    open_plic(0);
    (void)bare_read(uint32_t, PLIC_CLAIM);
    wait();
}

/* Claims whatever is pending, and completes sources that were not claimed. */
static void claim_all(void)
{
    open_plic(0);
    for (uint32_t source = 0;; source = (source + 1) % PLIC_SOURCES) {
        (void)bare_read(uint32_t, PLIC_CLAIM);
        bare_write(uint32_t, PLIC_CLAIM, source);
    }
}

static void (*const cases[])(void) = {
    /* Cases 0 to 11 need no UART. */
    handler_in_a_hole,
    wait,
    spin,
    spin_privileged,
    timer_storm,
    suspend,
    handler_above,
    handler_faults,
    handler_low,
    handler_in_a_device,
    write_code,
    reboot,
    /* Cases 12 to 16 use the UART. */
    loop_back,
    wait_closed,
    wait_pending,
    wait_claimed,
    claim_all,
};

int main(void)
{
    bare_paging();
    printf("stuck %u\n", CASE);
    cases[CASE]();
    return 1;
}
