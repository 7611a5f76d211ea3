/*
 * Loads and stores to a device, in every form an instruction can have.
 *
 * The device is the PLIC, which every board has at the same address (PLIC specification 1.0); its
 * registers are 32 bits wide and take no other width. The surprise: QEMU gives an access fault for
 * other widths, as it does for misaligned accesses.
 */
#include "external.h"
#include "harness.h"
#include "space.h"

#define PLIC                    0x0c000000ul
#define PRIORITY                (PLIC + 4 * 3)  /* of source 3, which nobody uses */
#define ENABLE                  (PLIC + 0x2080) /* of sources 0-31 for vS */
#define LOAD_FAULT(at, address) .ended = TRAP(CAUSE_LOAD_ACCESS), .offset = (at), .stval = (address)
#define STORE_FAULT(at, address) \
    .ended = TRAP(CAUSE_STORE_ACCESS), .offset = (at), .stval = (address)
#define AT(address) .in = {0, (address), 5}, .a1 = (address)

#define ROWS(S)                                                                                    \
    S(mmio_lw, "mmio-lw-sw", "sw a2, 0(a1)\n lw a0, 0(a1)\n sw x0, 0(a1)", AT(PRIORITY), .a0 = 5)  \
    S(mmio_lwu, "mmio-lwu", "sw a2, 4(a1)\n lwu a0, 4(a1)\n sw x0, 4(a1)", AT(PRIORITY), .a0 = 5)  \
    S(mmio_neg, "mmio-negative-offset", "sw a2, -4(a1)\n lw a0, -4(a1)\n sw x0, -4(a1)",           \
      AT(PRIORITY + 8), .a0 = 5)                                                                   \
    S(mmio_sign, "mmio-lw-sign",                                                                   \
      "lui t0, 0x80000\n lw t1, 0(a1)\n sw t0, 0(a1)\n lw a0, 0(a1)\n"                             \
      "sw t1, 0(a1)\n and a0, a0, t0",                                                             \
      AT(ENABLE), .a0 = 0xffffffff80000000)                                                        \
    S(mmio_usign, "mmio-lwu-sign",                                                                 \
      "lui t0, 0x80000\n lw t1, 0(a1)\n sw t0, 0(a1)\n"                                            \
      "lwu a0, 0(a1)\n sw t1, 0(a1)\n and a0, a0, t0",                                             \
      AT(ENABLE), .a0 = 0x80000000)                                                                \
    S(mmio_upper, "mmio-sw-ignores-upper-half",                                                    \
      "li t0, 0x700000003\n sw t0, 0(a1)\n"                                                        \
      "lw a0, 0(a1)\n sw x0, 0(a1)",                                                               \
      AT(PRIORITY), .a0 = 3)                                                                       \
    S(mmio_x0, "mmio-lw-to-x0", "sw a2, 0(a1)\n lw x0, 0(a1)\n mv a0, x0\n sw x0, 0(a1)",          \
      AT(PRIORITY), .a0 = 0)                                                                       \
    S(mmio_base, "mmio-lw-rd-is-base",                                                             \
      "mv t0, a1\n sw a2, 0(a1)\n lw t0, 0(t0)\n mv a0, t0\n"                                      \
      "sw x0, 0(a1)",                                                                              \
      AT(PRIORITY), .a0 = 5)                                                                       \
    S(mmio_clw, "mmio-c-lw-c-sw",                                                                  \
      ".option rvc\n c.sw a2, 4(a1)\n c.lw a0, 4(a1)\n c.li a2, 0\n"                               \
      "c.sw a2, 4(a1)",                                                                            \
      AT(PRIORITY), .a0 = 5)                                                                       \
    S(mmio_clw2, "mmio-c-lw-all-registers",                                                        \
      ".option rvc\n mv t0, s0\n mv t1, s1\n c.sw a2, 0(a1)\n c.lw s0, 0(a1)\n c.lw s1, 0(a1)\n"   \
      "c.lw a3, 0(a1)\n c.lw a4, 0(a1)\n c.lw a5, 0(a1)\n add a0, s0, s1\n add a0, a0, a3\n"       \
      "add a0, a0, a4\n add a0, a0, a5\n sw x0, 0(a1)\n mv s0, t0\n mv s1, t1",                    \
      AT(PRIORITY), .a0 = 25)                                                                      \
    S(mmio_clwsp, "mmio-c-lwsp-c-swsp",                                                            \
      ".option rvc\n mv t0, sp\n mv sp, a1\n c.swsp a2, 12(sp)\n"                                  \
      "c.lwsp a0, 12(sp)\n c.lwsp t1, 12(sp)\n c.swsp x0, 12(sp)\n mv sp, t0\n add a0, a0, t1",    \
      AT(PLIC), .a0 = 10)                                                                          \
    S(mmio_all, "mmio-lw-all-registers",                                                           \
      "sw a2, 0(a1)\n .irp r, ra,sp,gp,tp,t1,t2,s0,s1,a3,a4,a5,a6,a7,s2,s3,s4,s5,s6,s7,s8,s9,"     \
      "s10,s11,t3,t4,t5,t6\n mv t0, \\r\n lw \\r, 0(a1)\n add a0, a0, \\r\n mv \\r, t0\n .endr\n"  \
      "sw x0, 0(a1)",                                                                              \
      AT(PRIORITY), .a0 = 27 * 5)                                                                  \
    S(mmio_all_sw, "mmio-sw-all-registers",                                                        \
      ".irp r, ra,sp,gp,tp,t2,s0,s1,a3,a4,a5,a6,a7,s2,s3,s4,s5,s6,s7,s8,s9,"                       \
      "s10,s11,t3,t4,t5,t6\n mv t0, \\r\n li \\r, 3\n sw \\r, 0(a1)\n mv \\r, t0\n lw t1, 0(a1)\n" \
      "sw x0, 0(a1)\n add a0, a0, t1\n .endr",                                                     \
      AT(PRIORITY), .a0 = 26 * 3)                                                                  \
    S(mmio_user, "mmio-user", "sw a2, 0(a1)\n lw a0, 0(a1)\n sw x0, 0(a1)", .mode = MODE_U,        \
      AT(PRIORITY), .a0 = 5)                                                                       \
    /* Widths that the device does not take. */                                                    \
    S(mmio_lb, "mmio-lb", "lb a0, 0(a1)", AT(PRIORITY), LOAD_FAULT(0, PRIORITY))                   \
    S(mmio_lbu, "mmio-lbu", "nop\n lbu a0, 1(a1)", AT(PRIORITY), LOAD_FAULT(4, PRIORITY + 1))      \
    S(mmio_lh, "mmio-lh", "lh a0, 0(a1)", AT(PRIORITY), LOAD_FAULT(0, PRIORITY))                   \
    S(mmio_lhu, "mmio-lhu", "lhu a0, 2(a1)", AT(PRIORITY), LOAD_FAULT(0, PRIORITY + 2))            \
    S(mmio_ld, "mmio-ld", "ld a0, 0(a1)", AT(PLIC + 16), LOAD_FAULT(0, PLIC + 16))                 \
    S(mmio_sb, "mmio-sb", "sb a2, 0(a1)", AT(PRIORITY), STORE_FAULT(0, PRIORITY))                  \
    S(mmio_sh, "mmio-sh", "nop\n sh a2, 2(a1)", AT(PRIORITY), STORE_FAULT(4, PRIORITY + 2))        \
    S(mmio_sd, "mmio-sd", "sd a2, 0(a1)", AT(PLIC + 16), STORE_FAULT(0, PLIC + 16))                \
    S(mmio_cld, "mmio-c-ld", ".option rvc\n c.ld a0, 8(a1)\n c.nop", AT(PLIC + 16),                \
      LOAD_FAULT(0, PLIC + 24))                                                                    \
    S(mmio_csd, "mmio-c-sd", ".option rvc\n c.nop\n c.sd a2, 8(a1)", AT(PLIC + 16),                \
      STORE_FAULT(2, PLIC + 24))                                                                   \
    S(mmio_lw1, "mmio-lw-misaligned-1", "lw a0, 1(a1)", AT(PRIORITY), LOAD_FAULT(0, PRIORITY + 1)) \
    S(mmio_lw2, "mmio-lw-misaligned-2", "lw a0, 2(a1)", AT(PRIORITY), LOAD_FAULT(0, PRIORITY + 2)) \
    S(mmio_sw3, "mmio-sw-misaligned-3", "sw a2, 3(a1)", AT(PRIORITY),                              \
      STORE_FAULT(0, PRIORITY + 3))                                                                \
    S(mmio_cross, "mmio-lw-across-pages", "lw a0, -2(a1)", AT(PLIC + 0x1000),                      \
      LOAD_FAULT(0, PLIC + 0xffe))                                                                 \
    S(mmio_flw, "mmio-flw-fsw",                                                                    \
      ".option arch, +d\n fmv.w.x f0, a2\n fsw f0, 0(a1)\n"                                        \
      "flw f1, 0(a1)\n fmv.x.d a0, f1\n sw x0, 0(a1)",                                             \
      AT(PRIORITY), .sstatus = SSTATUS_FS_INITIAL, .a0 = 0xffffffff00000005)                       \
    S(mmio_fetch, "mmio-fetch", "jr a0", .in = {PRIORITY}, .a0 = PRIORITY, .offset = OFFSET_A0,    \
      .ended = TRAP(CAUSE_FETCH_ACCESS), .stval = PRIORITY)

ROWS(SNIPPET_CODE)
static const struct snippet snippets[] = {ROWS(SNIPPET_ROW)};

FRAGMENT(mmio_ldsp, ".option rvc\n mv sp, a1\n c.nop\n c.ldsp a0, 8(sp)");
FRAGMENT(mmio_sdsp, ".option rvc\n mv sp, a1\n c.nop\n c.sdsp a0, 8(sp)");
static void ldsp_sdsp(void)
{
    struct run load = RUN(mmio_ldsp, .a = {0, PLIC + 16}, .any_register = true);
    harness_run(&load);
    expect_end(&load, TRAP(CAUSE_LOAD_ACCESS), 4, PLIC + 24);
    struct run store = RUN(mmio_sdsp, .a = {0, PLIC + 16}, .any_register = true);
    harness_run(&store);
    expect_end(&store, TRAP(CAUSE_STORE_ACCESS), 4, PLIC + 24);
}

/*
 * Atomics: whether a device takes them is the platform's choice. QEMU carries them out, a VMM may
 * refuse them with the access fault. Both answers are right; some of one and some of the other are
 * not.
 */
static void atomic(const char *start, const char *end, uint64_t fault, uint64_t seen, uint64_t left)
{
    volatile uint32_t *priority = (volatile uint32_t *)PRIORITY;
    *priority = 2;
    struct run run = {.start = start, .end = end, .a = {77, PRIORITY, 5}};
    harness_run(&run);
    if (run.ended == END_DONE) {
        expect("a0", run.x[10], seen);
        expect("register-after", *priority, left);
    } else {
        expect_end(&run, fault, 0, PRIORITY);
        expect("a0-after-fault", run.x[10], 77);
        expect("register-after-fault", *priority, 2);
    }
    *priority = 0;
}
FRAGMENT(mmio_amoadd, "amoadd.w a0, a2, (a1)");
FRAGMENT(mmio_amoswap, "amoswap.w a0, a2, (a1)");
FRAGMENT(mmio_lr, "lr.w a0, (a1)");
FRAGMENT(mmio_lrsc, "lr.w a0, (a1)\n sc.w a0, a2, (a1)");
static void amoadd(void)
{
    atomic(mmio_amoadd, mmio_amoadd_end, TRAP(CAUSE_STORE_ACCESS), 2, 7);
}
static void amoswap(void)
{
    atomic(mmio_amoswap, mmio_amoswap_end, TRAP(CAUSE_STORE_ACCESS), 2, 5);
}
static void lr(void)
{
    atomic(mmio_lr, mmio_lr_end, TRAP(CAUSE_LOAD_ACCESS), 2, 2);
}
static void lr_sc(void)
{
    atomic(mmio_lrsc, mmio_lrsc_end, TRAP(CAUSE_LOAD_ACCESS), 0, 5);
}
/* A load of 8 bytes at an address that is 4 mod 8, which QEMU makes two loads of 4 bytes. */
FRAGMENT(mmio_ld4, "ld a0, 0(a1)");
static void two_words(void)
{
    volatile uint32_t *priority = (volatile uint32_t *)PRIORITY;
    priority[0] = 2;
    priority[1] = 3;
    struct run run = RUN(mmio_ld4, .a = {77, PRIORITY});
    harness_run(&run);
    if (run.ended == END_DONE) {
        expect("a0", run.x[10], 0x300000002);
    } else {
        expect_end(&run, TRAP(CAUSE_LOAD_ACCESS), 0, PRIORITY);
        expect("a0-after-fault", run.x[10], 77);
    }
    priority[0] = priority[1] = 0;
}

#define GVA (SPACE_WINDOW + 0x7000)

FRAGMENT(mmio_mapped, "sw a2, 0(a1)\n lw a3, 0(a1)\n sw x0, 0(a1)\n lw a4, 0(a1)");
static void mapped(enum mode mode)
{
    uint64_t *root = space_reset();
    space_map(root, GVA, (void *)PLIC, mode == MODE_U ? PTE_U_RW : PTE_S_RW);
    struct run run = RUN(mmio_mapped, .satp = space_satp(root, 0),
                         .a = {0, GVA + PRIORITY - PLIC, 6});
    if (mode == MODE_U)
        space_user_code(root, &run);
    harness_run(&run);
    expect_done(&run);
    expect("written", run.x[13], 6);
    expect("cleared", run.x[14], 0);
}
static void mapped_s(void)
{
    mapped(MODE_S);
}
static void mapped_u(void)
{
    mapped(MODE_U);
}
/* A store needs a page that may be written, device or not, and sets D only then. */
static void mapped_read_only(void)
{
    uint64_t *root = space_reset();
    space_map(root, GVA, (void *)PLIC, PTE_R | PTE_A);
    struct run run = RUN(mmio_mapped, .satp = space_satp(root, 0),
                         .a = {0, GVA + PRIORITY - PLIC, 6});
    harness_run(&run);
    expect_end(&run, TRAP(CAUSE_STORE_PAGE), 0, GVA + PRIORITY - PLIC);
    expect("entry", *space_pte(root, GVA, 0), PTE_LEAF(PLIC, PTE_R | PTE_A));
}
static void mapped_a_d(void)
{
    uint64_t *root = space_reset();
    space_map(root, GVA, (void *)PLIC, PTE_R | PTE_W);
    struct run run = RUN(mmio_mapped, .satp = space_satp(root, 0),
                         .a = {0, GVA + PRIORITY - PLIC, 6});
    harness_run(&run);
    expect_done(&run);
    expect("entry", *space_pte(root, GVA, 0), PTE_LEAF(PLIC, PTE_S_RW));
}
static void mapped_supervisor_only(void)
{
    uint64_t *root = space_reset();
    space_map(root, GVA, (void *)PLIC, PTE_S_RW);
    space_try(root, ACCESS_LOAD, MODE_U, 0, GVA + 12, PAGE_FAULT);
    space_map(root, GVA, (void *)PLIC, PTE_U_RW);
    space_try(root, ACCESS_STORE, MODE_S, 0, GVA + 12, PAGE_FAULT);
}
static void mapped_superpage(void)
{
    uint64_t *root = space_reset();
    *space_pte(root, 0, 2) = PTE_LEAF(0, PTE_S_RW);
    struct run run = RUN(mmio_mapped, .satp = space_satp(root, 0), .a = {0, PRIORITY, 6});
    harness_run(&run);
    expect_done(&run);
    expect("written", run.x[13], 6);
}
/* The instruction that accesses the device lies across two pages. */
static uint16_t two_pages[PAGE_SIZE] __attribute__((aligned(4096)));
static void straddling_instruction(void)
{
    uint16_t *at = &two_pages[PAGE_SIZE / 2 - 1];
    at[0] = 0xa023; /* sw a2, 0(a1) */
    at[1] = 0x00c5;
    at[2] = 0x4188; /* c.lw a0, 0(a1) */
    at[3] = 0x9002; /* c.ebreak */
    __asm__ volatile("fence.i" : : : "memory");
    struct run run = {.start = (char *)at, .end = (char *)&at[3], .a = {0, PRIORITY, 4}};
    harness_run(&run);
    expect_done(&run);
    expect("a0", run.x[10], 4);
    *(volatile uint32_t *)PRIORITY = 0;
}

static const struct check checks[] = {
    {"mmio-c-ldsp-c-sdsp", ldsp_sdsp},
    {"mmio-amoadd", amoadd},
    {"mmio-amoswap", amoswap},
    {"mmio-lr", lr},
    {"mmio-lr-sc", lr_sc},
    {"mmio-ld-of-two-words", two_words},
    {"mmio-mapped", mapped_s},
    {"mmio-mapped-user", mapped_u},
    {"mmio-mapped-read-only", mapped_read_only},
    {"mmio-mapped-sets-a-d", mapped_a_d},
    {"mmio-mapped-wrong-mode", mapped_supervisor_only},
    {"mmio-mapped-by-superpage", mapped_superpage},
    {"mmio-straddling-instruction", straddling_instruction},
};

const struct subject mmio_subject = {snippets, COUNT(snippets), checks, COUNT(checks)};
