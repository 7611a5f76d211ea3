/*
 * sret, and the trap handlers that end with it: nesting, stvec's modes, the SPP-SPIE-SIE stack.
 *
 * Privileged specification, "Trap-Return Instructions" and "Supervisor Status Register". The
 * fragments have their own stvec (a7 holds the harness's, which they put back before they end).
 * Not compared: sret with bit 0 of sepc set, which QEMU 10.0 takes to the odd address.
 */
#include "harness.h"

#define STATUS_BITS (SSTATUS_SPP | SSTATUS_SPIE | SSTATUS_SIE)

/* sret with the sstatus in a1 to a target that reports what it can see from its new mode. */
#define RETURN_S                                                        \
    "la t0, 1f\n csrw sepc, t0\n csrw sstatus, a1\n sret\n li a0, -1\n" \
    "1: csrr a0, sstatus\n csrci sstatus, 2\n mv a1, x0"
#define RETURN_U "la t0, 1f\n csrw sepc, t0\n csrw sstatus, a1\n sret\n li a0, -1\n 1: mv a1, x0"

#define SEEN_S(sie)  .mask = STATUS_BITS, .a0 = SSTATUS_SPIE | (sie)
#define SEEN_U(spie) .status_mask = STATUS_BITS, .status = (spie)

#define ROWS(S)                                                                                    \
    S(sret_s00, "sret-spp1-spie0-sie0", RETURN_S, .in = {0, SSTATUS_SPP}, SEEN_S(0))               \
    S(sret_s10, "sret-spp1-spie1-sie0", RETURN_S, .in = {0, SSTATUS_SPP | SSTATUS_SPIE},           \
      SEEN_S(SSTATUS_SIE))                                                                         \
    S(sret_s01, "sret-spp1-spie0-sie1", RETURN_S, .in = {0, SSTATUS_SPP | SSTATUS_SIE}, SEEN_S(0)) \
    S(sret_s11, "sret-spp1-spie1-sie1", RETURN_S,                                                  \
      .in = {0, SSTATUS_SPP | SSTATUS_SPIE | SSTATUS_SIE}, SEEN_S(SSTATUS_SIE))                    \
    S(sret_u00, "sret-spp0-spie0-sie0", RETURN_U, .in = {0, 0}, SEEN_U(0))                         \
    S(sret_u10, "sret-spp0-spie1-sie0", RETURN_U, .in = {0, SSTATUS_SPIE}, SEEN_U(SSTATUS_SPIE))   \
    S(sret_u01, "sret-spp0-spie0-sie1", RETURN_U, .in = {0, SSTATUS_SIE}, SEEN_U(0))               \
    S(sret_u11, "sret-spp0-spie1-sie1", RETURN_U, .in = {0, SSTATUS_SPIE | SSTATUS_SIE},           \
      SEEN_U(SSTATUS_SPIE))                                                                        \
    S(sret_sum, "sret-keeps-sum-mxr-fs", RETURN_S,                                                 \
      .in = {0, SSTATUS_SPP | SSTATUS_SUM | SSTATUS_MXR | SSTATUS_FS_INITIAL},                     \
      .a0 = SSTATUS_SPIE | SSTATUS_SUM | SSTATUS_MXR | SSTATUS_FS_INITIAL | SSTATUS_UXL_64)        \
    S(sret_half, "sret-sepc-bit-1",                                                                \
      ".option rvc\n la t0, 1f\n csrw sepc, t0\n csrw sstatus, a1\n sret\n c.nop\n"                \
      "1: c.li a0, 1\n mv a1, x0\n c.nop",                                                         \
      .in = {0, SSTATUS_SPP}, .a0 = 1)                                                             \
    S(sret_u_priv, "sret-user-has-no-privilege",                                                   \
      "la t0, 1f\n csrw sepc, t0\n csrw sstatus, x0\n"                                             \
      "sret\n 1: csrr a0, sscratch",                                                               \
      .ended = TRAP(CAUSE_ILLEGAL), .stval_is = STVAL_INSN, .offset = 20,                          \
      .status_mask = STATUS_BITS)                                                                  \
    S(sret_far, "sret-sepc-not-canonical", "csrw sepc, a0\n csrw sstatus, a1\n sret",              \
      .in = {0x8000000000000000, SSTATUS_SPP}, .a0 = 0x8000000000000000, .a1 = SSTATUS_SPP,        \
      .offset = OFFSET_A0, .ended = TRAP(CAUSE_FETCH_ACCESS), .stval = 0x8000000000000000,         \
      .status_mask = STATUS_BITS, .status = SSTATUS_SPP)                                           \
    S(sret_far_u, "sret-sepc-not-canonical-user", "csrw sepc, a0\n csrw sstatus, x0\n sret",       \
      .in = {0x4000000000000000}, .a0 = 0x4000000000000000, .offset = OFFSET_A0,                   \
      .ended = TRAP(CAUSE_FETCH_ACCESS), .stval = 0x4000000000000000, .status_mask = STATUS_BITS)  \
    /* Handlers of the fragment's own. */                                                          \
    S(sret_handler, "sret-handler-returns",                                                        \
      "la t0, 1f\n csrw stvec, t0\n li a1, 1\n ebreak\n"                                           \
      "addi a1, a1, 10\n j 2f\n .balign 4\n 1: csrr t1, sepc\n addi t1, t1, 4\n csrw sepc, t1\n"   \
      "csrr a0, scause\n addi a1, a1, 100\n sret\n 2: csrw stvec, a7",                             \
      .a0 = 3, .a1 = 111)                                                                          \
    S(sret_again, "sret-handler-retries",                                                          \
      "la t0, 1f\n csrw stvec, t0\n li a0, 0\n li a1, 0\n"                                         \
      "bnez a0, 2f\n 3: ebreak\n j 2f\n .balign 4\n 1: addi a1, a1, 1\n li t1, 5\n"                \
      "blt a1, t1, 4f\n csrr t1, sepc\n addi t1, t1, 4\n csrw sepc, t1\n 4: sret\n"                \
      "2: csrw stvec, a7",                                                                         \
      .a1 = 5)                                                                                     \
    S(sret_from_u, "sret-handler-of-user-trap",                                                    \
      "la t0, 1f\n csrw stvec, t0\n la t0, 2f\n csrw sepc, t0\n csrw sstatus, x0\n sret\n"         \
      "2: addi a1, a1, 1\n ecall\n addi a1, a1, 2\n ebreak\n .balign 4\n"                          \
      "1: csrr t1, scause\n slli a0, a0, 8\n or a0, a0, t1\n csrr t1, sepc\n addi t1, t1, 4\n"     \
      "csrw sepc, t1\n li t2, 3\n beq a1, t2, 3f\n sret\n 3: csrw stvec, a7",                      \
      .a0 = 0x803, .a1 = 3)                                                                        \
    S(sret_nested, "sret-nested-trap",                                                             \
      "la t0, 1f\n csrw stvec, t0\n csrsi sstatus, 2\n 5: ebreak\n 1: .balign 4\n"                 \
      "la t0, 2f\n csrw stvec, t0\n csrr a2, sstatus\n 4: ebreak\n .balign 4\n"                    \
      "2: csrr a0, sepc\n la t0, 4b\n sub a0, a0, t0\n csrr a1, sstatus\n csrw stvec, a7",         \
      .a0 = 0, .a1 = SSTATUS_SPP | SSTATUS_UXL_64)                                                 \
    S(sret_scratch, "sret-sscratch-survives-a-trap",                                               \
      "la t0, 1f\n csrw stvec, t0\n"                                                               \
      "csrw sscratch, a0\n li a0, 0\n ebreak\n .balign 4\n 1: csrr a0, sscratch\n csrw stvec, a7", \
      .in = {0x123456789}, .a0 = 0x123456789)                                                      \
    S(sret_swap, "sret-sscratch-swap-in-handler",                                                  \
      "la t0, 1f\n csrw stvec, t0\n csrw sscratch, a1\n"                                           \
      "ebreak\n .balign 4\n 1: csrrw a0, sscratch, a0\n csrr a1, sscratch\n csrw stvec, a7",       \
      .in = {0x111, 0x222}, .a0 = 0x222, .a1 = 0x111)                                              \
    S(sret_vec_exc, "sret-vectored-exception-to-base",                                             \
      "la t0, 1f\n addi t0, t0, 1\n csrw stvec, t0\n ebreak\n .balign 256\n"                       \
      "1: li a0, 1\n .rept 12\n addi a1, a1, 1\n .endr\n csrw stvec, a7",                          \
      .a0 = 1, .a1 = 12)                                                                           \
    S(sret_vec_ssi, "sret-vectored-software-interrupt",                                            \
      "la t0, 1f\n addi t0, t0, 1\n csrw stvec, t0\n csrsi sip, 2\n csrsi sie, 2\n"                \
      "csrsi sstatus, 2\n .balign 256\n"                                                           \
      "1: li a0, 1\n .rept 12\n addi a1, a1, 1\n .endr\n csrci sip, 2\n csrw stvec, a7",           \
      .a1 = 12)                                                                                    \
    S(sret_vec_sti, "sret-vectored-timer-interrupt",                                               \
      "la t0, 1f\n addi t0, t0, 1\n csrw stvec, t0\n li t1, 32\n csrs sie, t1\n"                   \
      "csrsi sstatus, 2\n .balign 256\n"                                                           \
      "1: li a0, 1\n .rept 12\n addi a1, a1, 1\n .endr\n csrw stvec, a7",                          \
      .sip = SIP_STIP, .a1 = 8)                                                                    \
    S(sret_stvec_u, "sret-stvec-direct-after-vectored",                                            \
      "la t0, 1f\n addi t1, t0, 1\n csrw stvec, t1\n csrw stvec, t0\n csrsi sip, 2\n"              \
      "csrsi sie, 2\n csrsi sstatus, 2\n .balign 256\n"                                            \
      "1: li a0, 1\n csrci sip, 2\n csrw stvec, a7",                                               \
      .a0 = 1)                                                                                     \
    S(sret_loop, "sret-a-hundred-round-trips",                                                     \
      "la t0, 1f\n csrw stvec, t0\n la t0, 2f\n csrw sepc, t0\n csrw sstatus, x0\n sret\n"         \
      "2: addi a1, a1, 1\n ecall\n j 2b\n .balign 4\n"                                             \
      "1: csrrw t1, sscratch, t2\n addi a0, a0, 1\n csrr t1, sepc\n addi t1, t1, 4\n"              \
      "csrw sepc, t1\n li t2, 100\n beq a0, t2, 3f\n sret\n 3: csrw stvec, a7",                    \
      .a0 = 100, .a1 = 100)

ROWS(SNIPPET_CODE)
static const struct snippet snippets[] = {ROWS(SNIPPET_ROW)};

const struct subject sret_subject = {.snippets = snippets, .snippet_count = COUNT(snippets)};
