/*
 * Hart suspend (SBI specification 2.0, HSM): the answers to requests that cannot be met, and a
 * non-retentive suspend, which goes on at its resume address in the state that the specification,
 * or the firmware of QEMU's virt, gives a hart.
 */
#include "bare.h"

#define EID_HSM           0x48534dul
#define START             0ul
#define SUSPEND           3ul
#define RETENTIVE         0x00000000ul
#define PLATFORM          0x10000000ul
#define NON_RETENTIVE     0x80000000ul
#define NON_RETENTIVE_OWN 0x90000000ul

#define NOT_SUPPORTED     (-2l)
#define INVALID_PARAM     (-3l)
#define INVALID_ADDRESS   (-5l)
#define ALREADY_AVAILABLE (-6l)

#define WAIT 20000ul /* ticks of 100 ns */

extern uint8_t suspend_resumed[];
uint64_t suspend_saved[16], suspend_state[8];

/* void suspend_call(type, opaque): returns whichever way the SBI call ends; suspend_state[0] is
 * 1 if it ended by resuming. */
void suspend_call(uint64_t type, uint64_t opaque);
__asm__(".pushsection .text\n .option push\n .option norvc\n .balign 4\n .globl suspend_call\n "
        "suspend_call:\n"
        " la t0, suspend_saved\n sd ra, 0(t0)\n sd sp, 8(t0)\n sd gp, 16(t0)\n sd tp, 24(t0)\n"
        " sd s0, 32(t0)\n sd s1, 40(t0)\n sd s2, 48(t0)\n sd s3, 56(t0)\n sd s4, 64(t0)\n"
        " sd s5, 72(t0)\n sd s6, 80(t0)\n sd s7, 88(t0)\n sd s8, 96(t0)\n sd s9, 104(t0)\n"
        " sd s10, 112(t0)\n sd s11, 120(t0)\n la t0, suspend_state\n sd zero, 0(t0)\n"
        " mv a2, a1\n la a1, suspend_resumed\n li a6, 3\n li a7, 0x48534d\n ecall\n ret\n"
        " .balign 4\n .globl suspend_resumed\n suspend_resumed:\n la t0, suspend_state\n"
        " sd a0, 8(t0)\n sd a1, 16(t0)\n csrr t1, sstatus\n sd t1, 24(t0)\n csrr t1, satp\n"
        " sd t1, 32(t0)\n csrr t1, sie\n sd t1, 40(t0)\n csrr t1, stvec\n sd t1, 48(t0)\n"
        " csrr t1, sscratch\n sd t1, 56(t0)\n li t1, 1\n sd t1, 0(t0)\n"
        " la t0, suspend_saved\n ld ra, 0(t0)\n ld sp, 8(t0)\n ld gp, 16(t0)\n ld tp, 24(t0)\n"
        " ld s0, 32(t0)\n ld s1, 40(t0)\n ld s2, 48(t0)\n ld s3, 56(t0)\n ld s4, 64(t0)\n"
        " ld s5, 72(t0)\n ld s6, 80(t0)\n ld s7, 88(t0)\n ld s8, 96(t0)\n ld s9, 104(t0)\n"
        " ld s10, 112(t0)\n ld s11, 120(t0)\n ret\n .option pop\n .popsection\n");

static void answer(uint64_t function, uint64_t a0, uint64_t a1, int64_t error)
{
    int64_t got = bare_sbi(EID_HSM, function, a0, a1, 0, 0).error;
    CHECK(got == error, "hsm function %lu of %#lx at %#lx: %ld and not %ld", function, a0, a1, got,
          error);
}

static void answers(void)
{
    uint64_t here = (uint64_t)suspend_resumed;
    answer(SUSPEND, 1, here, INVALID_PARAM);
    answer(SUSPEND, PLATFORM - 1, here, INVALID_PARAM);
    answer(SUSPEND, PLATFORM, here, NOT_SUPPORTED);
    answer(SUSPEND, NON_RETENTIVE - 1, here, NOT_SUPPORTED);
    answer(SUSPEND, NON_RETENTIVE + 1, here, INVALID_PARAM);
    answer(SUSPEND, NON_RETENTIVE_OWN, here, NOT_SUPPORTED);
    answer(SUSPEND, NON_RETENTIVE_OWN, BARE_RAM, INVALID_ADDRESS);
    answer(SUSPEND, NON_RETENTIVE, BARE_RAM, INVALID_ADDRESS);
    answer(SUSPEND, NON_RETENTIVE, BARE_UART, INVALID_ADDRESS);
    answer(START, bare_hart, BARE_RAM, INVALID_ADDRESS);
    answer(START, bare_hart, here, ALREADY_AVAILABLE);
    answer(START, 1, BARE_RAM, INVALID_PARAM);
}

/* Arms the timer: it is pending after WAIT ticks. */
static uint64_t timer(void)
{
    uint64_t due = bare_time() + WAIT;
    csr_write(CSR_STIMECMP, due);
    csr_write(CSR_SIE, SIP_STIP);
    return due;
}

/* Sleeps until the timer is pending, and does not take it. */
static void retentive(void)
{
    uint64_t due = timer();
    int64_t error = bare_sbi(EID_HSM, SUSPEND, RETENTIVE, BARE_RAM, 7, 0).error;
    CHECK(error == 0 && bare_time() >= due, "retentive: error %ld, %lu ticks too soon", error,
          due - bare_time());
    CHECK(csr_read(CSR_SIE) == SIP_STIP && csr_read(CSR_SIP) == SIP_STIP, "retentive: sip %#lx",
          csr_read(CSR_SIP));
}

static void non_retentive(uint64_t opaque)
{
    uint64_t vector = csr_read(CSR_STVEC);
    /* Pending and not enabled: this interrupt does not wake the hart, and stays pending. */
    csr_set(CSR_SIP, SIP_SSIP);
    csr_set(CSR_SSTATUS, SSTATUS_SUM | SSTATUS_MXR | SSTATUS_SPIE | SSTATUS_SPP);
    csr_clear(CSR_SSTATUS, SSTATUS_FS);
    csr_write(CSR_SSCRATCH, 5);
    csr_write(CSR_SCOUNTEREN, 0);
    uint64_t due = timer(), *s = suspend_state;
    suspend_call(NON_RETENTIVE, opaque);
    csr_write(CSR_STVEC, vector);
    CHECK(s[0] == 1, "it did not go on at its address");
    CHECK(bare_time() >= due, "it woke %lu ticks too soon", due - bare_time());
    CHECK(s[1] == bare_hart && s[2] == opaque, "a0 %#lx, a1 %#lx", s[1], s[2]);
    CHECK((s[3] & ~SSTATUS_UXL) == (SSTATUS_SD | SSTATUS_FS), "sstatus %#lx", s[3]);
    CHECK(s[4] == 0 && s[5] == 0 && s[7] == 0, "satp %#lx, sie %#lx, sscratch %#lx", s[4], s[5],
          s[7]);
    CHECK(s[6] == (uint64_t)suspend_resumed, "stvec %#lx", s[6]);
    CHECK(csr_read(CSR_SCOUNTEREN) == 7, "scounteren %#lx", csr_read(CSR_SCOUNTEREN));
    CHECK(csr_read(CSR_SIP) == (SIP_STIP | SIP_SSIP), "sip %#lx", csr_read(CSR_SIP));
    csr_clear(CSR_SIP, SIP_SSIP);
}

int main(void)
{
    answers();
    retentive();
    non_retentive(0x4711);
    for (uint64_t i = 0; i < 20; i++) {
        bare_paging();
        CHECK(bare_read(uint64_t,
                        bare_map(i, (uint64_t)&suspend_state & ~PAGE_MASK, PTE_R | PTE_A)) ==
                  bare_read(uint64_t, (uint64_t)&suspend_state & ~PAGE_MASK),
              "paging after %lu suspends", i);
        retentive();
        non_retentive(~i);
    }
    return bare_failures != 0;
}
