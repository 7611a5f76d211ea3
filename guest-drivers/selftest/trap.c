/*
 * Every synchronous trap that needs no page table: its cause, sepc, stval and sstatus.
 *
 * Privileged specification, "Supervisor Cause Register" and "Supervisor Trap Value Register".
 * The surprise: OpenSBI keeps illegal instructions and access faults to itself and passes them on,
 * so that natively the stval of the system instructions QEMU refuses at run time (mret, and sret,
 * wfi, sfence.vma in vU) is the stale value of an earlier trap: it is not compared.
 */
#include "harness.h"

#define ILLEGAL       .ended = TRAP(CAUSE_ILLEGAL), .stval_is = STVAL_INSN
#define ILLEGAL_STALE .ended = TRAP(CAUSE_ILLEGAL), .stval_is = STVAL_ANY

/* What the handler must see of the mode that trapped; SIE is always clear there. */
#define STATUS_BITS        (SSTATUS_SPP | SSTATUS_SPIE | SSTATUS_SIE)
#define FROM_U(interrupts) .mode = MODE_U, .status_mask = STATUS_BITS, .status = (interrupts)
#define FROM_S(interrupts) .status_mask = STATUS_BITS, .status = SSTATUS_SPP | (interrupts)

#define NOWHERE  0x10200000ul         /* no device and no RAM there on any of our boards */
#define BEYOND   0x00ff000000000000ul /* inside the 56 bits of a physical address, beyond all RAM */
#define TOO_WIDE 0x8000000000000000ul
#define FIRMWARE 0x80000000ul /* RAM that the firmware keeps to itself */

#define ROWS(S)                                                                                    \
    S(trap_done, "trap-none", "li a0, 5", .a0 = 5, FROM_S(0))                                      \
    S(trap_ecall_u, "trap-ecall-from-user", "nop\n ecall", FROM_U(0), .offset = 4,                 \
      .ended = TRAP(CAUSE_ECALL_U))                                                                \
    S(trap_ecall_u1, "trap-ecall-from-user-sie", "ecall", FROM_U(SSTATUS_SPIE),                    \
      .sstatus = SSTATUS_SIE, .ended = TRAP(CAUSE_ECALL_U))                                        \
    S(trap_ebreak_u, "trap-ebreak-user", "ebreak", FROM_U(0), .ended = TRAP(CAUSE_BREAKPOINT),     \
      .stval_is = STVAL_PC)                                                                        \
    S(trap_ebreak_s, "trap-ebreak-supervisor", "nop\n ebreak", FROM_S(SSTATUS_SPIE), .offset = 4,  \
      .sstatus = SSTATUS_SIE, .ended = TRAP(CAUSE_BREAKPOINT), .stval_is = STVAL_PC)               \
    S(trap_cebreak_u, "trap-c-ebreak-user", ".option rvc\n c.nop\n c.ebreak\n c.nop", FROM_U(0),   \
      .offset = 2, .ended = TRAP(CAUSE_BREAKPOINT), .stval_is = STVAL_PC)                          \
    S(trap_cebreak_s, "trap-c-ebreak-supervisor", ".option rvc\n c.ebreak\n c.nop", FROM_S(0),     \
      .ended = TRAP(CAUSE_BREAKPOINT), .stval_is = STVAL_PC)                                       \
    S(trap_ill0, "trap-illegal-zero-halfword", ".2byte 0\n .2byte 1", ILLEGAL, FROM_S(0))          \
    S(trap_ill0u, "trap-illegal-zero-halfword-user", ".2byte 1\n .2byte 0", .offset = 2, ILLEGAL,  \
      FROM_U(0))                                                                                   \
    S(trap_ill16, "trap-illegal-16-bit", ".2byte 0x9c41\n .2byte 1", ILLEGAL, FROM_S(0))           \
    S(trap_ill16u, "trap-illegal-16-bit-user", ".2byte 0x8002\n .2byte 1", ILLEGAL, FROM_U(0))     \
    S(trap_ill32, "trap-illegal-32-bit", ".4byte 0x0000707b", ILLEGAL, FROM_S(0))                  \
    S(trap_ill32u, "trap-illegal-32-bit-user", "nop\n .4byte 0xdeadb07f", .offset = 4, ILLEGAL,    \
      FROM_U(0))                                                                                   \
    S(trap_ill_half, "trap-illegal-32-bit-on-halfword", ".2byte 1\n .4byte 0x0000707b\n .2byte 1", \
      .offset = 2, ILLEGAL, FROM_S(0))                                                             \
    S(trap_ill_ones, "trap-illegal-ones", ".4byte 0xffffffff", ILLEGAL, FROM_S(SSTATUS_SPIE),      \
      .sstatus = SSTATUS_SIE)                                                                      \
    S(trap_mret_s, "trap-mret-supervisor", "mret", ILLEGAL_STALE, FROM_S(0))                       \
    S(trap_mret_u, "trap-mret-user", "mret", ILLEGAL_STALE, FROM_U(0))                             \
    S(trap_sret_u, "trap-sret-user", "nop\n sret", .offset = 4, ILLEGAL_STALE, FROM_U(0))          \
    S(trap_wfi_u, "trap-wfi-user", "wfi", ILLEGAL_STALE, FROM_U(0))                                \
    S(trap_sfence_u, "trap-sfence-vma-user", "sfence.vma", ILLEGAL_STALE, FROM_U(0))               \
    S(trap_sfence_ua, "trap-sfence-vma-user-address", "sfence.vma a0, a1", ILLEGAL_STALE,          \
      FROM_U(0))                                                                                   \
    S(trap_dret, "trap-dret", ".4byte 0x7b200073", ILLEGAL_STALE, FROM_S(0))                       \
    S(trap_hfence, "trap-hfence-gvma", ".4byte 0x62000073", ILLEGAL, FROM_S(0))                    \
    S(trap_hlv, "trap-hlv-w", ".4byte 0x68054573", ILLEGAL, FROM_S(0))                             \
    S(trap_sys0, "trap-system-reserved", ".4byte 0x00300073", ILLEGAL, FROM_S(0))                  \
    S(trap_sys4, "trap-system-funct3-4", ".4byte 0x00004073", ILLEGAL, FROM_S(0))                  \
    S(trap_ecallrd, "trap-ecall-with-rd", ".4byte 0x000000f3", ILLEGAL, FROM_S(0))                 \
    S(trap_wfi_s, "trap-wfi-supervisor-pending", "wfi\n li a0, 1", .sie = SIP_SSIP,                \
      .sip = SIP_SSIP, .a0 = 1)                                                                    \
    S(trap_fencei, "trap-fence-i-user",                                                            \
      "fence.i\n fence\n fence.tso\n .4byte 0x0100000f\n li a0, 1", .mode = MODE_U, .a0 = 1)       \
    S(trap_fence_s, "trap-sfence-vma-bare",                                                        \
      "sfence.vma\n sfence.vma a0\n sfence.vma x0, a0\n"                                           \
      "sfence.vma a0, a1\n li a0, 1",                                                              \
      .a0 = 1)                                                                                     \
    /* Physical addresses where nothing is. */                                                     \
    S(trap_load_no, "trap-load-access-fault", "nop\n lw a0, 4(a1)", .in = {3, NOWHERE},            \
      .offset = 4, .ended = TRAP(CAUSE_LOAD_ACCESS), .stval = NOWHERE + 4, .a0 = 3, .a1 = NOWHERE, \
      FROM_S(0))                                                                                   \
    S(trap_loadb_no, "trap-load-byte-access-fault", "lbu a0, 3(a1)", .in = {3, NOWHERE},           \
      .ended = TRAP(CAUSE_LOAD_ACCESS), .stval = NOWHERE + 3, .a0 = 3, .a1 = NOWHERE, FROM_S(0))   \
    S(trap_load_uno, "trap-load-access-fault-user", "ld a0, 0(a1)", .in = {3, NOWHERE},            \
      .ended = TRAP(CAUSE_LOAD_ACCESS), .stval = NOWHERE, .a0 = 3, .a1 = NOWHERE, FROM_U(0))       \
    S(trap_load_far, "trap-load-access-fault-beyond-ram", "ld a0, 0(a1)", .in = {3, BEYOND},       \
      .ended = TRAP(CAUSE_LOAD_ACCESS), .stval = BEYOND, .a0 = 3, .a1 = BEYOND)                    \
    S(trap_load_wide, "trap-load-access-fault-too-wide", "ld a0, 0(a1)", .in = {3, TOO_WIDE},      \
      .ended = TRAP(CAUSE_LOAD_ACCESS), .stval = TOO_WIDE, .a0 = 3, .a1 = TOO_WIDE)                \
    S(trap_store_no, "trap-store-access-fault", "sw a0, -4(a1)", .in = {3, NOWHERE},               \
      .ended = TRAP(CAUSE_STORE_ACCESS), .stval = NOWHERE - 4, .a0 = 3, .a1 = NOWHERE, FROM_S(0))  \
    S(trap_store_uno, "trap-store-access-fault-user", "sb a0, 1(a1)", .in = {3, NOWHERE},          \
      .ended = TRAP(CAUSE_STORE_ACCESS), .stval = NOWHERE + 1, .a0 = 3, .a1 = NOWHERE, FROM_U(0))  \
    S(trap_store_far, "trap-store-access-fault-beyond-ram", "sd a0, 8(a1)", .in = {3, BEYOND},     \
      .ended = TRAP(CAUSE_STORE_ACCESS), .stval = BEYOND + 8, .a0 = 3, .a1 = BEYOND)               \
    S(trap_cload_no, "trap-compressed-load-access-fault", ".option rvc\n c.nop\n c.lw a0, 4(a1)",  \
      .in = {3, NOWHERE}, .offset = 2, .ended = TRAP(CAUSE_LOAD_ACCESS), .stval = NOWHERE + 4,     \
      .a0 = 3, .a1 = NOWHERE)                                                                      \
    S(trap_amo_no, "trap-amo-access-fault", "amoadd.w a0, a0, (a1)", .in = {3, NOWHERE},           \
      .ended = TRAP(CAUSE_STORE_ACCESS), .stval = NOWHERE, .a0 = 3, .a1 = NOWHERE)                 \
    S(trap_lr_no, "trap-lr-access-fault", "lr.d a0, (a1)", .in = {3, NOWHERE},                     \
      .ended = TRAP(CAUSE_LOAD_ACCESS), .stval = NOWHERE, .a0 = 3, .a1 = NOWHERE)                  \
    S(trap_sc_no, "trap-sc-without-memory", "sc.d a0, a0, (a1)", .in = {3, NOWHERE}, .a0 = 1,      \
      .a1 = NOWHERE)                                                                               \
    S(trap_sc_nou, "trap-sc-without-memory-user", "sc.w a0, a0, (a1)", .in = {3, NOWHERE},         \
      .mode = MODE_U, .a0 = 1, .a1 = NOWHERE)                                                      \
    S(trap_fetch_no, "trap-fetch-access-fault", "jr a0", .in = {NOWHERE}, .offset = OFFSET_A0,     \
      .ended = TRAP(CAUSE_FETCH_ACCESS), .stval = NOWHERE, .a0 = NOWHERE, FROM_S(0))               \
    S(trap_fetch_uno, "trap-fetch-access-fault-user", "jr a0", .in = {NOWHERE + 2},                \
      .offset = OFFSET_A0, .ended = TRAP(CAUSE_FETCH_ACCESS), .stval = NOWHERE + 2,                \
      .a0 = NOWHERE + 2, FROM_U(0))                                                                \
    S(trap_fetch_far, "trap-fetch-access-fault-too-wide", "jr a0", .in = {TOO_WIDE},               \
      .offset = OFFSET_A0, .ended = TRAP(CAUSE_FETCH_ACCESS), .stval = TOO_WIDE, .a0 = TOO_WIDE)   \
    S(trap_load_fw, "trap-load-firmware", "ld a0, 0(a1)", .in = {3, FIRMWARE},                     \
      .ended = TRAP(CAUSE_LOAD_ACCESS), .stval = FIRMWARE, .a0 = 3, .a1 = FIRMWARE)                \
    S(trap_store_fw, "trap-store-firmware", "sd a0, 0(a1)", .in = {3, FIRMWARE},                   \
      .ended = TRAP(CAUSE_STORE_ACCESS), .stval = FIRMWARE, .a0 = 3, .a1 = FIRMWARE)               \
    S(trap_fetch_fw, "trap-fetch-firmware", "jr a0", .in = {FIRMWARE}, .offset = OFFSET_A0,        \
      .ended = TRAP(CAUSE_FETCH_ACCESS), .stval = FIRMWARE, .a0 = FIRMWARE)                        \
    S(trap_load_fwu, "trap-load-firmware-user", "lbu a0, 0(a1)", .in = {3, FIRMWARE},              \
      .ended = TRAP(CAUSE_LOAD_ACCESS), .stval = FIRMWARE, .a0 = 3, .a1 = FIRMWARE, FROM_U(0))     \
    /* Cache block operations: vU's need senvcfg, vS's do not. */                                  \
    S(trap_cbo_u0, "trap-cbo-zero-user-locked", ".4byte 0x0045a00f", .in = {0, NOWHERE},           \
      .a1 = NOWHERE, ILLEGAL, .mode = MODE_U)                                                      \
    S(trap_cbo_f0, "trap-cbo-flush-user-locked", ".4byte 0x0025a00f", .in = {0, NOWHERE},          \
      .a1 = NOWHERE, ILLEGAL, .mode = MODE_U)                                                      \
    S(trap_cbo_i0, "trap-cbo-inval-user-locked", ".4byte 0x0005a00f", .in = {0, NOWHERE},          \
      .a1 = NOWHERE, ILLEGAL, .mode = MODE_U)

ROWS(SNIPPET_CODE)
static const struct snippet snippets[] = {ROWS(SNIPPET_ROW)};

static uint64_t memory[32] __attribute__((aligned(64)));

/* Loads and stores that QEMU carries out at any alignment. */
FRAGMENT(trap_misaligned, "lh a2, 1(a0)\n lw a3, 3(a0)\n ld a4, 5(a0)\n sh a1, 17(a0)\n"
                          "sw a1, 21(a0)\n sd a1, 27(a0)");
static void misaligned(enum mode mode)
{
    for (unsigned i = 0; i < 32; i++)
        memory[i] = 0x0706050403020180ul + i * 0x0808080808080808ul;
    struct run run = RUN(trap_misaligned, .mode = mode,
                         .a = {(uint64_t)memory, 0xb8b7b6b5b4b3b2b1});
    harness_run(&run);
    expect_done(&run);
    expect("lh", run.x[12], 0x0201);
    expect("lw", run.x[13], 0x06050403);
    expect("ld", run.x[14], 0x0c0b0a0988070605);
    const uint8_t *byte = (const uint8_t *)memory;
    expect("sh-low", byte[17], 0xb1);
    expect("sh-high", byte[18], 0xb2);
    expect("sw-low", byte[21], 0xb1);
    expect("sw-high", byte[24], 0xb4);
    expect("sd-low", byte[27], 0xb1);
    expect("sd-high", byte[34], 0xb8);
}
static void misaligned_s(void)
{
    misaligned(MODE_S);
}
static void misaligned_u(void)
{
    misaligned(MODE_U);
}

/* With one hart, QEMU does an AMO as a load and a store. Up to 10.0.2 the load's cause comes
 * first; 10.0.13 gives the one that the specification has for AMOs ("Supervisor Cause
 * Register"). */
static const struct answer amo_causes[] = {
    {TRAP(CAUSE_LOAD_MISALIGNED), "QEMU 10.0.2"},
    {TRAP(CAUSE_STORE_MISALIGNED), "QEMU 10.0.13"},
    {0, NULL},
};
FRAGMENT(trap_amo_misaligned, "amoadd.w a2, a1, (a0)");
FRAGMENT(trap_lr_misaligned, "lr.w a2, (a0)");
FRAGMENT(trap_sc_alone, "sc.d a2, a1, (a0)");
static void amo(enum mode mode, uint64_t address)
{
    struct run run = RUN(trap_amo_misaligned, .mode = mode, .a = {address});
    harness_run(&run);
    if (expect_answer("scause-plus-1", run.ended, amo_causes))
        expect_end(&run, run.ended, 0, address);
}
static void amo_misaligned(void)
{
    amo(MODE_S, (uint64_t)memory + 1);
}
static void lr_misaligned(void)
{
    struct run run = RUN(trap_lr_misaligned, .a = {(uint64_t)memory + 2});
    harness_run(&run);
    expect_end(&run, TRAP(CAUSE_LOAD_MISALIGNED), 0, (uint64_t)memory + 2);
}
static void amo_misaligned_u(void)
{
    amo(MODE_U, (uint64_t)memory + 6);
}
/* A trap's handler may keep a reservation, but there was none for the other address. */
static void sc_alone(void)
{
    memory[0] = 5;
    struct run run = RUN(trap_sc_alone, .mode = MODE_U, .a = {(uint64_t)memory, 6});
    harness_run(&run);
    expect_done(&run);
    expect("sc", run.x[12], 1);
    expect("memory", memory[0], 5);
}

/* A failing SC may be treated like a store where memory is protected (unprivileged
 * specification, "A" extension). */
static const struct answer sc_protected[] = {
    {END_DONE, "QEMU 10.0.2"},
    {TRAP(CAUSE_STORE_ACCESS), "QEMU 10.0.13"},
    {0, NULL},
};
static void sc_firmware(void)
{
    struct run run = RUN(trap_sc_alone, .a = {FIRMWARE, 6, 7});
    harness_run(&run);
    bool done = run.ended == END_DONE;
    if (expect_answer("scause-plus-1", run.ended, sc_protected) && !done)
        expect_end(&run, run.ended, 0, FIRMWARE);
    expect("sc", run.x[12], done ? 1 : 7);
}

FRAGMENT(trap_lrsc, "1: lr.d a2, (a0)\n add a3, a2, a1\n sc.d a4, a3, (a0)\n bnez a4, 1b\n"
                    "amoswap.w a5, a1, (a0)\n amomaxu.d a6, a1, (a0)");
static void lrsc(void)
{
    memory[0] = 0x100000000;
    struct run run = RUN(trap_lrsc, .mode = MODE_U, .a = {(uint64_t)memory, 0x77});
    harness_run(&run);
    expect_done(&run);
    expect("lr", run.x[12], 0x100000000);
    expect("amoswap", run.x[15], 0x77);
    expect("amomaxu", run.x[16], 0x100000077);
    expect("memory", memory[0], 0x100000077);
}

FRAGMENT(trap_cbo, ".4byte 0x0045200f"); /* cbo.zero (a0) */
static void cbo(enum mode mode, uint64_t senvcfg)
{
    for (unsigned i = 0; i < 32; i++)
        memory[i] = i + 1;
    struct run run = RUN(trap_cbo, .mode = mode, .senvcfg = senvcfg, .a = {(uint64_t)(memory + 9)});
    harness_run(&run);
    expect_done(&run);
    for (unsigned i = 0; i < 32; i++)
        expect_index("word", i, memory[i], i / 8 == 1 ? 0 : i + 1);
}
static void cbo_s(void)
{
    cbo(MODE_S, SENVCFG_CBZE);
}
static void cbo_s_locked(void)
{
    cbo(MODE_S, 0);
}
static void cbo_u(void)
{
    cbo(MODE_U, SENVCFG_CBZE);
}

FRAGMENT(trap_cbo_clean, ".4byte 0x0025200f\n .4byte 0x0015200f\n .4byte 0x0005200f");
static void cbo_flush(enum mode mode, uint64_t senvcfg)
{
    memory[3] = 33;
    struct run run = RUN(trap_cbo_clean, .mode = mode, .a = {(uint64_t)memory}, .senvcfg = senvcfg);
    harness_run(&run);
    expect_done(&run);
    expect("memory", memory[3], 33);
}
static void cbo_flush_u(void)
{
    cbo_flush(MODE_U, SENVCFG_CBCFE | SENVCFG_CBIE);
}
static void cbo_flush_s_locked(void)
{
    cbo_flush(MODE_S, 0);
}
static void cbo_flush_s_other(void)
{
    cbo_flush(MODE_S, 1ul << 4); /* in U-mode CBO.INVAL does what CBO.FLUSH does */
}

FRAGMENT(trap_jalr_odd, "addi a0, a0, 13\n jalr a1, a0, 0\n li a2, 1\n li a2, 2");
static void jalr_odd(void)
{
    struct run run = RUN(trap_jalr_odd, .a = {(uint64_t)trap_jalr_odd});
    harness_run(&run);
    expect_done(&run);
    expect("a2", run.x[12], 2);
    expect("link", run.x[11], (uint64_t)trap_jalr_odd + 8);
}

static const struct check checks[] = {
    {"trap-misaligned-supervisor", misaligned_s},
    {"trap-misaligned-user", misaligned_u},
    {"trap-misaligned-amo", amo_misaligned},
    {"trap-misaligned-lr", lr_misaligned},
    {"trap-misaligned-amo-user", amo_misaligned_u},
    {"trap-sc-without-lr", sc_alone},
    {"trap-sc-firmware", sc_firmware},
    {"trap-lr-sc-amo-user", lrsc},
    {"trap-cbo-zero-supervisor", cbo_s},
    {"trap-cbo-zero-user", cbo_u},
    {"trap-cbo-flush-clean-inval-user", cbo_flush_u},
    {"trap-cbo-zero-supervisor-locked-for-user", cbo_s_locked},
    {"trap-cbo-flush-clean-inval-supervisor-locked-for-user", cbo_flush_s_locked},
    {"trap-cbo-flush-clean-inval-supervisor-inval-flushes-for-user", cbo_flush_s_other},
    {"trap-jalr-clears-bit-0", jalr_odd},
};

const struct subject trap_subject = {snippets, COUNT(snippets), checks, COUNT(checks)};
