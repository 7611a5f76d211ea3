/*
 * Interrupts: when one is taken, which one, and at exactly which instruction.
 *
 * Privileged specification, "Supervisor Interrupt (sip and sie) Registers". The surprise: in vU an
 * interrupt is taken whatever sstatus.SIE says, and one that is pending when an instruction unmasks
 * it is taken before the next instruction.
 */
#include "external.h"
#include "harness.h"
#include "kernel.h"

#define STATUS_BITS (SSTATUS_SPP | SSTATUS_SPIE | SSTATUS_SIE)
#define SSI_AT(at)  .ended = IRQ(INTERRUPT_SOFTWARE), .offset = (at)
#define STI_AT(at)  .ended = IRQ(INTERRUPT_TIMER), .offset = (at)
#define SEEN(bits)  .status_mask = STATUS_BITS, .status = (bits)
#define SSIE        .sie = SIP_SSIP
#define SSIP        .sip = SIP_SSIP
#define SIE_ON      .sstatus = SSTATUS_SIE

#define ROWS(S)                                                                                    \
    S(int_s00, "interrupt-ssi-vs-sie0-ssie0", "csrsi sip, 2\n csrr a0, sip", .a0 = SIP_SSIP)       \
    S(int_s01, "interrupt-ssi-vs-sie0-ssie1", "csrsi sip, 2\n csrr a0, sip", SSIE, .a0 = SIP_SSIP) \
    S(int_s10, "interrupt-ssi-vs-sie1-ssie0", "csrsi sip, 2\n csrr a0, sip", SIE_ON,               \
      .a0 = SIP_SSIP)                                                                              \
    S(int_s11, "interrupt-ssi-vs-sie1-ssie1", "csrsi sip, 2\n li a0, 1", SSIE, SIE_ON, SSI_AT(4),  \
      SEEN(SSTATUS_SPP | SSTATUS_SPIE))                                                            \
    S(int_u00, "interrupt-ssi-vu-sie0-ssie0", "li a0, 1", .mode = MODE_U, SSIP, .a0 = 1, SEEN(0))  \
    S(int_u01, "interrupt-ssi-vu-sie0-ssie1", "li a0, 1", .mode = MODE_U, SSIP, SSIE, SSI_AT(0),   \
      SEEN(0))                                                                                     \
    S(int_u10, "interrupt-ssi-vu-sie1-ssie0", "li a0, 1", .mode = MODE_U, SSIP, SIE_ON, .a0 = 1,   \
      SEEN(SSTATUS_SPIE))                                                                          \
    S(int_u11, "interrupt-ssi-vu-sie1-ssie1", "li a0, 1", .mode = MODE_U, SSIP, SSIE, SIE_ON,      \
      SSI_AT(0), SEEN(SSTATUS_SPIE))                                                               \
    /* Every instruction that can unmask. */                                                       \
    S(int_m1, "interrupt-unmask-csrsi-sstatus", "nop\n csrsi sstatus, 2\n li a0, 1", SSIE, SSIP,   \
      SSI_AT(8), SEEN(SSTATUS_SPP | SSTATUS_SPIE))                                                 \
    S(int_m2, "interrupt-unmask-csrs-sstatus", "csrrs a0, sstatus, a1\n li a0, 1", SSIE, SSIP,     \
      .in = {0, SSTATUS_SIE}, .mask = SSTATUS_SIE, .a1 = SSTATUS_SIE, SSI_AT(4))                   \
    S(int_m3, "interrupt-unmask-csrw-sstatus", "csrw sstatus, a1\n li a0, 1", SSIE, SSIP,          \
      .in = {0, SSTATUS_SIE}, .a1 = SSTATUS_SIE, SSI_AT(4))                                        \
    S(int_m4, "interrupt-unmask-csrwi-sstatus", "csrwi sstatus, 2\n li a0, 1", SSIE, SSIP,         \
      SSI_AT(4))                                                                                   \
    S(int_m5, "interrupt-unmask-csrsi-sie", "csrsi sie, 2\n li a0, 1", SSIP, SIE_ON, SSI_AT(4))    \
    S(int_m6, "interrupt-unmask-csrw-sie", "csrw sie, a1\n li a0, 1", SSIP, SIE_ON,                \
      .in = {0, SIP_ALL}, .a1 = SIP_ALL, SSI_AT(4))                                                \
    S(int_m7, "interrupt-unmask-csrw-sip", "csrw sip, a1\n li a0, 1", SSIE, SIE_ON,                \
      .in = {0, SIP_SSIP}, .a1 = SIP_SSIP, SSI_AT(4))                                              \
    S(int_m8, "interrupt-unmask-csrrw-sip", "csrrw a0, sip, a1\n li a0, 1", SSIE, SIE_ON,          \
      .in = {5, SIP_SSIP}, .a1 = SIP_SSIP, SSI_AT(4))                                              \
    S(int_m9, "interrupt-unmask-sret-to-vs",                                                       \
      "la t0, 1f\n csrw sepc, t0\n csrw sstatus, a1\n sret\n nop\n nop\n 1: li a0, 1", SSIE, SSIP, \
      .in = {0, SSTATUS_SPP | SSTATUS_SPIE}, .a1 = SSTATUS_SPP | SSTATUS_SPIE, SSI_AT(28),         \
      SEEN(SSTATUS_SPP | SSTATUS_SPIE))                                                            \
    S(int_m10, "interrupt-unmask-sret-to-vu",                                                      \
      "la t0, 1f\n csrw sepc, t0\n csrw sstatus, x0\n sret\n nop\n nop\n 1: li a0, 1", SSIE, SSIP, \
      SSI_AT(28), SEEN(0))                                                                         \
    S(int_m11, "interrupt-masked-after-sret",                                                      \
      "la t0, 1f\n csrw sepc, t0\n csrw sstatus, a1\n sret\n nop\n nop\n 1: li a0, 1", SSIE, SSIP, \
      .in = {0, SSTATUS_SPP}, .a0 = 1, .a1 = SSTATUS_SPP)                                          \
    S(int_m12, "interrupt-unmask-stimecmp", "csrw stimecmp, x0\n li a0, 1", .sie = SIP_STIP,       \
      SIE_ON, STI_AT(4))                                                                           \
    S(int_m13, "interrupt-unmask-csrs-sie-timer", "csrs sie, a1\n li a0, 1", .sip = SIP_STIP,      \
      SIE_ON, .in = {0, SIP_STIP}, .a1 = SIP_STIP, STI_AT(4))                                      \
    S(int_m14, "interrupt-unmask-timer-by-sstatus", "csrsi sstatus, 2\n li a0, 1",                 \
      .sip = SIP_STIP, .sie = SIP_STIP, STI_AT(4))                                                 \
    S(int_m15, "interrupt-unmask-in-handler",                                                      \
      "la t0, 1f\n csrw stvec, t0\n ebreak\n nop\n 1: csrw stvec, a7\n csrsi sstatus, 2\n li a0, " \
      "1",                                                                                         \
      SSIE, SSIP, SSI_AT(28), SEEN(SSTATUS_SPP | SSTATUS_SPIE))                                    \
    /* What must not let an interrupt through. */                                                  \
    S(int_k1, "interrupt-cleared-before-unmask", "csrci sip, 2\n csrsi sstatus, 2\n li a0, 1",     \
      SSIE, SSIP, .a0 = 1)                                                                         \
    S(int_k2, "interrupt-masked-before-raise", "csrci sstatus, 2\n csrsi sip, 2\n li a0, 1", SSIE, \
      SIE_ON, .a0 = 1)                                                                             \
    S(int_k3, "interrupt-sie-cleared-before-raise", "csrci sie, 2\n csrsi sip, 2\n li a0, 1",      \
      SSIE, SIE_ON, .a0 = 1)                                                                       \
    S(int_k4, "interrupt-exception-masks",                                                         \
      "la t0, 1f\n csrw stvec, t0\n ebreak\n nop\n"                                                \
      "1: csrsi sip, 2\n csrr a0, sip\n csrw stvec, a7",                                           \
      SSIE, SIE_ON, .a0 = SIP_SSIP)                                                                \
    S(int_k5, "interrupt-timer-cleared-before-unmask",                                             \
      "csrw stimecmp, a1\n csrsi sstatus, 2\n"                                                     \
      "li a0, 1",                                                                                  \
      .sip = SIP_STIP, .sie = SIP_STIP, .in = {0, -1ul}, .a0 = 1, .a1 = -1ul)                      \
    S(int_k6, "interrupt-none-with-sie-all", "csrsi sstatus, 2\n li a0, 1", .sie = SIP_ALL,        \
      .a0 = 1)                                                                                     \
    /* Which interrupt comes first. */                                                             \
    S(int_p1, "interrupt-priority-ssi-over-sti", "csrsi sstatus, 2\n li a0, 1", .sie = SIP_ALL,    \
      .sip = SIP_SSIP | SIP_STIP, SSI_AT(4))                                                       \
    S(int_p2, "interrupt-priority-enabled-only", "csrsi sstatus, 2\n li a0, 1", .sie = SIP_STIP,   \
      .sip = SIP_SSIP | SIP_STIP, STI_AT(4))                                                       \
    S(int_p3, "interrupt-priority-vu", "li a0, 1", .mode = MODE_U, .sie = SIP_ALL,                 \
      .sip = SIP_SSIP | SIP_STIP, SSI_AT(0))                                                       \
    S(int_p4, "interrupt-then-next-interrupt",                                                     \
      "la t0, 1f\n csrw stvec, t0\n csrsi sstatus, 2\n nop\n"                                      \
      "1: csrw stvec, a7\n csrci sip, 2\n csrsi sstatus, 2\n li a0, 1",                            \
      .sie = SIP_ALL, .sip = SIP_SSIP | SIP_STIP, STI_AT(32))                                      \
    S(int_p5, "interrupt-before-exception", "ebreak", .mode = MODE_U, SSIE, SSIP, SSI_AT(0))       \
    /* wfi, and an interrupt that arrives by itself. */                                            \
    S(int_w1, "interrupt-wfi-pending", "wfi\n csrr a0, sip", .sie = SIP_STIP, .sip = SIP_STIP,     \
      .a0 = SIP_STIP)                                                                              \
    S(int_w2, "interrupt-wfi-wakes-with-sie0",                                                     \
      "rdtime t0\n li t1, 20000\n add t0, t0, t1\n csrw stimecmp, t0\n wfi\n csrr a0, sip",        \
      .sie = SIP_STIP, .a0 = SIP_STIP)                                                             \
    S(int_w3, "interrupt-wfi-then-taken",                                                          \
      "rdtime t0\n li t1, 20000\n add t0, t0, t1\n csrw stimecmp, t0\n wfi\n"                      \
      "csrr a0, sip\n csrsi sstatus, 2\n nop",                                                     \
      .sie = SIP_STIP, .a0 = SIP_STIP, STI_AT(32))                                                 \
    S(int_w4, "interrupt-wfi-taken-before-next",                                                   \
      "rdtime t0\n li t1, 20000\n add t0, t0, t1\n csrw stimecmp, t0\n csrsi sstatus, 2\n wfi\n"   \
      "li a0, 1",                                                                                  \
      .sie = SIP_STIP, STI_AT(OFFSET_ANY))                                                         \
    S(int_t1, "interrupt-timer-in-vu",                                                             \
      "rdtime t0\n li t1, 20000\n add t0, t0, t1\n csrw stimecmp, t0\n la t0, 1f\n csrw sepc, "    \
      "t0\n"                                                                                       \
      "csrw sstatus, x0\n sret\n 1: li t1, 2000000000\n 2: addi t1, t1, -1\n bnez t1, 2b",         \
      .sie = SIP_STIP, STI_AT(OFFSET_ANY), SEEN(0))                                                \
    S(int_t2, "interrupt-timer-in-vs",                                                             \
      "rdtime t0\n li t1, 20000\n add t0, t0, t1\n csrw stimecmp, t0\n csrsi sstatus, 2\n"         \
      "li t1, 2000000000\n 2: addi t1, t1, -1\n bnez t1, 2b",                                      \
      .sie = SIP_STIP, STI_AT(OFFSET_ANY), SEEN(SSTATUS_SPP | SSTATUS_SPIE))

ROWS(SNIPPET_CODE)
static const struct snippet snippets[] = {ROWS(SNIPPET_ROW)};

FRAGMENT(int_go, "csrsi sstatus, 2\n nop");
FRAGMENT(int_nop, "nop");
FRAGMENT(int_sip, "csrr a0, sip\n csrc sip, a0\n csrr a1, sip");
FRAGMENT(int_wfi, "wfi\n csrr a0, sip");
FRAGMENT(int_vector,
         "la t0, 1f\n addi t0, t0, 1\n csrw stvec, t0\n csrsi sstatus, 2\n .balign 256\n"
         "1: .rept 12\n addi a1, a1, 1\n .endr\n csrw stvec, a7");

/* Runs the fragment while the external interrupt is pending. */
static void with_external(struct run *run)
{
    external_take();
    if (expect("raised", external_raise(), 1)) {
        uint64_t end = csr_read(CSR_TIME) + 10000000;
        while (!(csr_read(CSR_SIP) & SIP_SEIP) && csr_read(CSR_TIME) < end)
            continue;
        harness_run(run);
    }
    expect("lowered", external_lower(), 1);
    expect("sip", csr_read(CSR_SIP) & SIP_SEIP, 0);
    external_give_back();
}

/*
 * All three interrupts at once are taken one after the other. The specification's order is SEI,
 * SSI, STI; QEMU 10.0 without AIA takes the lowest number first. Either order is right here, any
 * other is not.
 */
FRAGMENT(int_three, "la t0, 1f\n csrw stvec, t0\n csrsi sstatus, 2\n j 2f\n"
                    "1: csrr t1, scause\n slli a0, a0, 8\n andi t2, t1, 255\n or a0, a0, t2\n"
                    "li t2, 1\n sll t2, t2, t1\n csrc sie, t2\n sret\n 2: csrw stvec, a7");
static void priority_all(void)
{
    struct run run = RUN(int_three, .sie = SIP_ALL, .sip = SIP_SSIP | SIP_STIP);
    with_external(&run);
    expect_done(&run);
    if (run.x[10] != 0x010509)
        expect("order", run.x[10], 0x090105);
}
static void priority_sei_off(void)
{
    struct run run = RUN(int_go, .sie = SIP_SSIP | SIP_STIP, .sip = SIP_SSIP | SIP_STIP);
    with_external(&run);
    expect_end(&run, IRQ(INTERRUPT_SOFTWARE), 4, 0);
}
static void external_masked(void)
{
    struct run run = RUN(int_nop, .sie = SIP_SEIP);
    with_external(&run);
    expect_done(&run);
}
static void external_not_enabled(void)
{
    struct run run = RUN(int_go, .sie = SIP_SSIP | SIP_STIP);
    with_external(&run);
    expect_done(&run);
}
static void external_user(void)
{
    struct run run = RUN(int_nop, .mode = MODE_U, .sie = SIP_SEIP);
    with_external(&run);
    expect_end(&run, IRQ(INTERRUPT_EXTERNAL), 0, 0);
    expect("sstatus", run.seen_sstatus & STATUS_BITS, 0);
}
static void external_pending(void)
{
    struct run run = RUN(int_sip);
    with_external(&run);
    expect("sip", run.x[10], SIP_SEIP);
    expect("sip-after-clear", run.x[11], SIP_SEIP);
}
static void external_wfi(void)
{
    struct run run = RUN(int_wfi, .sie = SIP_SEIP);
    with_external(&run);
    expect("sip", run.x[10], SIP_SEIP);
}
static void external_vectored(void)
{
    struct run run = RUN(int_vector, .sie = SIP_SEIP);
    with_external(&run);
    expect_done(&run);
    expect("entry", run.x[11], 12 - INTERRUPT_EXTERNAL);
}

static const struct check checks[] = {
    {"interrupt-priority-all-three", priority_all},
    {"interrupt-priority-sei-not-enabled", priority_sei_off},
    {"interrupt-external-masked", external_masked},
    {"interrupt-external-not-enabled", external_not_enabled},
    {"interrupt-external-vu", external_user},
    {"interrupt-external-sip-read-only", external_pending},
    {"interrupt-external-wfi", external_wfi},
    {"interrupt-external-vectored", external_vectored},
};

const struct subject interrupt_subject = {snippets, COUNT(snippets), checks, COUNT(checks)};
