/*
 * The timer: stimecmp (Sstc), SBI's set_timer, and the counters.
 *
 * Privileged specification, "Supervisor Timer Register (stimecmp)"; SBI specification, "Timer
 * Extension". STIP is the comparison and nothing else: no write to sip changes it. Not asked:
 * rdtime in vU with scounteren.TM clear, which OpenSBI 1.5 emulates all the same.
 */
#include "harness.h"

#define NEVER    UINT64_MAX
#define SBI_TIME "li a7, 0x54494d45\n li a6, 0\n ecall\n"
#define SOON     "rdtime t0\n li t1, 20000\n add t0, t0, t1\n"
/* Waits until STIP is set, or ten seconds have passed. a0: sip, a1: whether time was below t0. */
#define WAIT                                                                               \
    "li t1, 100000000\n add t1, t1, t0\n li t2, 0x20\n 1: csrr a0, sip\n and a0, a0, t2\n" \
    "rdtime t3\n bnez a0, 2f\n bltu t3, t1, 1b\n 2: sltu a1, t3, t0"

#define ROWS(S)                                                                                   \
    S(timer_past, "timer-stimecmp-past", "csrw stimecmp, x0\n csrr a0, sip", .a0 = SIP_STIP)      \
    S(timer_never, "timer-stimecmp-never", "csrw stimecmp, a1\n csrr a0, sip", .in = {0, NEVER},  \
      .a1 = NEVER)                                                                                \
    S(timer_now, "timer-stimecmp-now", "rdtime t0\n csrw stimecmp, t0\n csrr a0, sip",            \
      .a0 = SIP_STIP)                                                                             \
    S(timer_rearm, "timer-stimecmp-rearm-clears",                                                 \
      "csrr a0, sip\n csrw stimecmp, a1\n csrr a1, sip", .sip = SIP_STIP, .in = {0, NEVER},       \
      .a0 = SIP_STIP)                                                                             \
    S(timer_again, "timer-stimecmp-to-and-fro",                                                   \
      "1: csrw stimecmp, x0\n csrr t0, sip\n"                                                     \
      "add a0, a0, t0\n csrw stimecmp, a1\n csrr t0, sip\n add a0, a0, t0\n addi a2, a2, -1\n"    \
      "bnez a2, 1b\n li a1, 0",                                                                   \
      .in = {0, NEVER, 10}, .a0 = 10 * SIP_STIP)                                                  \
    S(timer_sip, "timer-sip-write-is-ignored", "csrw sip, x0\n csrc sip, a1\n csrr a0, sip",      \
      .sip = SIP_STIP, .in = {0, SIP_STIP}, .a0 = SIP_STIP, .a1 = SIP_STIP)                       \
    S(timer_comes, "timer-stimecmp-arrives", SOON "csrw stimecmp, t0\n" WAIT, .a0 = SIP_STIP)     \
    S(timer_top, "timer-stimecmp-is-unsigned", "csrw stimecmp, a1\n csrr a0, sip",                \
      .in = {0, 0x8000000000000000}, .a0 = 0, .a1 = 0x8000000000000000)                           \
    S(timer_sbi_past, "timer-sbi-past", "li a0, 0\n" SBI_TIME "mv a1, a0\n csrr a0, sip",         \
      .a0 = SIP_STIP)                                                                             \
    S(timer_sbi_never, "timer-sbi-never", "li a0, -1\n" SBI_TIME "mv a1, a0\n csrr a0, sip",      \
      .sip = SIP_STIP, .a0 = 0)                                                                   \
    S(timer_sbi_comes, "timer-sbi-arrives", SOON "mv a0, t0\n" SBI_TIME WAIT, .a0 = SIP_STIP)     \
    S(timer_sbi_cmp, "timer-sbi-sets-stimecmp",                                                   \
      "mv a0, a2\n" SBI_TIME "mv a1, a0\n"                                                        \
      "csrr a0, stimecmp",                                                                        \
      .in = {0, 0, 0x7654321012345678}, .a0 = 0x7654321012345678)                                 \
    S(timer_sbi_after, "timer-stimecmp-after-sbi",                                                \
      "li a0, 0\n" SBI_TIME "csrr a0, sip\n"                                                      \
      "li t0, -1\n csrw stimecmp, t0\n csrr a1, sip",                                             \
      .a0 = SIP_STIP)                                                                             \
    S(timer_int, "timer-interrupt-rearmed-in-handler",                                            \
      "la t0, 1f\n csrw stvec, t0\n li t2, 2000000000\n csrsi sstatus, 2\n 2: addi t2, t2, -1\n " \
      "bnez t2, 2b\n j 3f\n"                                                                      \
      "1: addi a0, a0, 1\n rdtime t0\n addi t0, t0, 500\n csrw stimecmp, t0\n li t0, 5\n"         \
      "beq a0, t0, 3f\n sret\n 3: csrw stvec, a7",                                                \
      .sip = SIP_STIP, .sie = SIP_STIP, .a0 = 5)                                                  \
    S(timer_mono, "timer-time-does-not-go-back",                                                  \
      "li t2, 2000\n rdtime t0\n 1: rdtime t1\n"                                                  \
      "sltu t3, t1, t0\n add a0, a0, t3\n mv t0, t1\n addi t2, t2, -1\n bnez t2, 1b",             \
      .a0 = 0)                                                                                    \
    S(timer_mono_u, "timer-time-does-not-go-back-user",                                           \
      "li t2, 2000\n rdtime t0\n 1: rdtime t1\n"                                                  \
      "sltu t3, t1, t0\n add a0, a0, t3\n mv t0, t1\n addi t2, t2, -1\n bnez t2, 1b",             \
      .mode = MODE_U, .a0 = 0)                                                                    \
    S(timer_runs, "timer-time-advances",                                                          \
      "li t2, 100000000\n rdtime t0\n 1: rdtime t1\n"                                             \
      "addi t2, t2, -1\n beqz t2, 2f\n beq t0, t1, 1b\n li a0, 1\n 2: nop",                       \
      .a0 = 1)                                                                                    \
    S(timer_modes, "timer-time-same-in-both-modes",                                               \
      "rdtime t0\n la t1, 1f\n csrw sepc, t1\n"                                                   \
      "csrw sstatus, x0\n sret\n 1: rdtime t1\n sltu a0, t1, t0\n li t2, 100000000\n"             \
      "sub t1, t1, t0\n sltu a1, t1, t2",                                                         \
      .a0 = 0, .a1 = 1)                                                                           \
    S(timer_cycle, "timer-cycle-advances",                                                        \
      "rdcycle t0\n nop\n nop\n nop\n rdcycle t1\n"                                               \
      "sltu a0, t0, t1",                                                                          \
      .a0 = 1)                                                                                    \
    S(timer_instret, "timer-instret-advances",                                                    \
      "rdinstret t0\n nop\n nop\n nop\n rdinstret t1\n"                                           \
      "sltu a0, t0, t1",                                                                          \
      .a0 = 1)                                                                                    \
    S(timer_instret_u, "timer-instret-advances-user",                                             \
      "rdinstret t0\n nop\n nop\n nop\n"                                                          \
      "rdinstret t1\n sltu a0, t0, t1",                                                           \
      .mode = MODE_U, .a0 = 1)

ROWS(SNIPPET_CODE)
static const struct snippet snippets[] = {ROWS(SNIPPET_ROW)};

const struct subject timer_subject = {.snippets = snippets, .snippet_count = COUNT(snippets)};
