/*
 * What each supervisor CSR keeps of what is written to it.
 *
 * Privileged specification, "Supervisor CSRs". The surprise: QEMU ignores a write of stvec with a
 * reserved mode as a whole, and one of satp with an unsupported mode likewise. Not compared, since
 * QEMU 10.0 deviates from the specification: bit 0 of sepc (stored and read back), and UXL = 3
 * (reserved, but kept).
 */
#include "harness.h"

#define ONES UINT64_MAX

/* Writes a0 to the CSR, reads it into a0, and leaves what was there. */
#define KEEPS(csr) "csrr t0, " csr "\n csrw " csr ", a0\n csrr a0, " csr "\n csrw " csr ", t0"

#define SSTATUS_WRITABLE \
    (SSTATUS_SIE | SSTATUS_SPIE | SSTATUS_SPP | SSTATUS_FS | SSTATUS_SUM | SSTATUS_MXR)

#define ROWS(S)                                                                                  \
    S(warl_sscratch, "warl-sscratch", KEEPS("sscratch"), .in = {ONES}, .a0 = ONES)               \
    S(warl_sepc1, "warl-sepc-ones", KEEPS("sepc"), .in = {ONES}, .mask = ~1ul, .a0 = ~1ul)       \
    S(warl_sepc0, "warl-sepc-zero", KEEPS("sepc"), .in = {0})                                    \
    S(warl_sepc2, "warl-sepc-halfword", KEEPS("sepc"), .in = {0x80200006}, .a0 = 0x80200006)     \
    S(warl_sepch, "warl-sepc-not-canonical", KEEPS("sepc"), .in = {0x8000000000000004},          \
      .a0 = 0x8000000000000004)                                                                  \
    S(warl_scause, "warl-scause", KEEPS("scause"), .in = {ONES}, .a0 = ONES)                     \
    S(warl_stval, "warl-stval", KEEPS("stval"), .in = {ONES}, .a0 = ONES)                        \
    S(warl_stvec0, "warl-stvec-direct", KEEPS("stvec"), .in = {0x123456780}, .a0 = 0x123456780)  \
    S(warl_stvec1, "warl-stvec-vectored", KEEPS("stvec"), .in = {0xfffffffffffffffd},            \
      .a0 = 0xfffffffffffffffd)                                                                  \
    S(warl_stvec2, "warl-stvec-mode-2",                                                          \
      "csrw stvec, a1\n csrw stvec, a0\n csrr a0, stvec\n"                                       \
      "csrw stvec, a7",                                                                          \
      .in = {0x222, 0x111}, .a0 = 0x111, .a1 = 0x111)                                            \
    S(warl_stvec3, "warl-stvec-mode-3",                                                          \
      "csrw stvec, a1\n csrw stvec, a0\n csrr a0, stvec\n"                                       \
      "csrw stvec, a7",                                                                          \
      .in = {0x223, 0x110}, .a0 = 0x110, .a1 = 0x110)                                            \
    S(warl_sstatus1, "warl-sstatus-ones",                                                        \
      "csrw sstatus, a0\n csrr a0, sstatus\n csrw sstatus, x0", .in = {ONES},                    \
      .mask = ~SSTATUS_UXL, .a0 = SSTATUS_WRITABLE | SSTATUS_SD)                                 \
    S(warl_sstatus0, "warl-sstatus-zero", "csrw sstatus, x0\n csrr a0, sstatus", .in = {ONES},   \
      .sstatus = SSTATUS_SUM | SSTATUS_FS, .a0 = SSTATUS_UXL_64)                                 \
    S(warl_sum, "warl-sstatus-sum",                                                              \
      "csrs sstatus, a1\n csrr a0, sstatus\n csrc sstatus, a1\n"                                 \
      "csrr a1, sstatus\n sub a0, a0, a1",                                                       \
      .in = {0, SSTATUS_SUM}, .a0 = SSTATUS_SUM, .a1 = SSTATUS_UXL_64 | SSTATUS_SPIE)            \
    S(warl_mxr, "warl-sstatus-mxr",                                                              \
      "csrs sstatus, a1\n csrr a0, sstatus\n csrc sstatus, a1\n"                                 \
      "csrr a1, sstatus\n sub a0, a0, a1",                                                       \
      .in = {0, SSTATUS_MXR}, .a0 = SSTATUS_MXR, .a1 = SSTATUS_UXL_64 | SSTATUS_SPIE)            \
    S(warl_spp, "warl-sstatus-spp",                                                              \
      "csrs sstatus, a1\n csrr a0, sstatus\n csrc sstatus, a1\n"                                 \
      "csrr a1, sstatus\n sub a0, a0, a1",                                                       \
      .in = {0, SSTATUS_SPP}, .a0 = SSTATUS_SPP, .a1 = SSTATUS_UXL_64 | SSTATUS_SPIE)            \
    S(warl_spie, "warl-sstatus-spie",                                                            \
      "csrci sstatus, 2\n csrc sstatus, a1\n csrr a0, sstatus\n"                                 \
      "csrs sstatus, a1\n csrr a1, sstatus",                                                     \
      .in = {0, SSTATUS_SPIE}, .a0 = SSTATUS_UXL_64, .a1 = SSTATUS_UXL_64 | SSTATUS_SPIE)        \
    S(warl_sie_bit, "warl-sstatus-sie",                                                          \
      "csrsi sstatus, 2\n csrrci a0, sstatus, 2\n"                                               \
      "csrr a1, sstatus",                                                                        \
      .a0 = SSTATUS_UXL_64 | SSTATUS_SPIE | SSTATUS_SIE, .a1 = SSTATUS_UXL_64 | SSTATUS_SPIE)    \
    S(warl_uxl, "warl-sstatus-uxl", "csrc sstatus, a1\n csrr a0, sstatus\n and a0, a0, a1",      \
      .in = {0, SSTATUS_UXL}, .a0 = SSTATUS_UXL_64, .a1 = SSTATUS_UXL)                           \
    S(warl_vsxs, "warl-sstatus-vs-xs", "csrs sstatus, a1\n csrr a0, sstatus\n and a0, a0, a1",   \
      .in = {0, SSTATUS_VS | SSTATUS_XS}, .a0 = 0, .a1 = SSTATUS_VS | SSTATUS_XS)                \
    S(warl_ube, "warl-sstatus-ube", "csrs sstatus, a1\n csrr a0, sstatus\n and a0, a0, a1",      \
      .in = {0, SSTATUS_UBE}, .a0 = 0, .a1 = SSTATUS_UBE)                                        \
    S(warl_sd, "warl-sstatus-sd-read-only",                                                      \
      "csrs sstatus, a1\n csrr a0, sstatus\n and a0, a0, a1", .in = {0, SSTATUS_SD}, .a0 = 0,    \
      .a1 = SSTATUS_SD)                                                                          \
    S(warl_mbits, "warl-sstatus-machine-bits",                                                   \
      "csrs sstatus, a1\n csrr a0, sstatus\n"                                                    \
      "and a0, a0, a1",                                                                          \
      .in = {0, 0x721888}, .a0 = 0, .a1 = 0x721888)                                              \
    S(warl_sie1, "warl-sie-ones", KEEPS("sie"), .in = {ONES}, .a0 = SIP_ALL)                     \
    S(warl_sie0, "warl-sie-zero", KEEPS("sie"), .in = {0}, .sie = SIP_ALL, .a0 = 0)              \
    S(warl_sies, "warl-sie-set-clear", "csrs sie, a0\n csrrc a0, sie, a1\n csrr a1, sie",        \
      .in = {SIP_ALL, SIP_STIP}, .a0 = SIP_ALL, .a1 = SIP_ALL & ~SIP_STIP)                       \
    S(warl_sip1, "warl-sip-ones", "csrw sip, a0\n csrr a0, sip\n csrw sip, x0\n csrr a1, sip",   \
      .in = {ONES}, .a0 = SIP_SSIP)                                                              \
    S(warl_sipi, "warl-sip-ssip-set-clear", "csrsi sip, 2\n csrrci a0, sip, 2\n csrr a1, sip",   \
      .a0 = SIP_SSIP)                                                                            \
    S(warl_sipt, "warl-sip-stip-read-only",                                                      \
      "csrw sip, x0\n csrr a0, sip\n csrc sip, a1\n"                                             \
      "csrr a1, sip",                                                                            \
      .in = {0, SIP_STIP}, .sip = SIP_STIP, .a0 = SIP_STIP, .a1 = SIP_STIP)                      \
    S(warl_sipe, "warl-sip-seip-read-only", "csrs sip, a1\n csrr a0, sip", .in = {0, SIP_SEIP},  \
      .a0 = 0, .a1 = SIP_SEIP)                                                                   \
    S(warl_scounteren, "warl-scounteren", KEEPS("scounteren"), .in = {ONES}, .mask = 7, .a0 = 7) \
    S(warl_scounteren0, "warl-scounteren-zero-cy-ir", KEEPS("scounteren"), .in = {2}, .a0 = 2)   \
    S(warl_scounterenh, "warl-scounteren-is-32-bits", KEEPS("scounteren"), .in = {ONES},         \
      .mask = 0xffffffff00000000, .a0 = 0)                                                       \
    S(warl_senvcfg1, "warl-senvcfg-ones", KEEPS("senvcfg"), .in = {ONES},                        \
      .a0 = SENVCFG_FIOM | SENVCFG_CBIE | SENVCFG_CBCFE | SENVCFG_CBZE)                          \
    S(warl_senvcfg0, "warl-senvcfg-zero", KEEPS("senvcfg"), .in = {0}, .senvcfg = 1, .a0 = 0)    \
    S(warl_stimecmp, "warl-stimecmp", KEEPS("stimecmp"), .in = {0xfedcba9876543210},             \
      .a0 = 0xfedcba9876543210)                                                                  \
    S(warl_satp57, "warl-satp-mode-sv57", KEEPS("satp"), .in = {0xa000000000080200}, .a0 = 0)    \
    S(warl_satp1, "warl-satp-mode-1", KEEPS("satp"), .in = {0x1000000000080200}, .a0 = 0)        \
    S(warl_satp7, "warl-satp-mode-7", KEEPS("satp"), .in = {0x7000000000080200}, .a0 = 0)        \
    S(warl_satp15, "warl-satp-ones", KEEPS("satp"), .in = {ONES}, .a0 = 0)                       \
    S(warl_satp0, "warl-satp-bare-with-asid", KEEPS("satp"), .in = {0x0fffffffffffffff},         \
      .mask = 1ul << 63)

ROWS(SNIPPET_CODE)
static const struct snippet snippets[] = {ROWS(SNIPPET_ROW)};

const struct subject warl_subject = {.snippets = snippets, .snippet_count = COUNT(snippets)};
