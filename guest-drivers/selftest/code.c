/*
 * Code that is also data: rewritten, read back, copied, straddling pages.
 *
 * Unprivileged specification, "Zifencei". These are the checks that a VMM which patches privileged
 * instructions has to fear: whatever it does to a page, a load must see what the guest wrote there,
 * and a store must be what is executed after the fence.i.
 */
#include <string.h>

#include "code.h"

#define GVA   (SPACE_WINDOW + 0x5000)
#define WORDS (PAGE_SIZE / 4)

/* A set is two pages that follow each other, and two more to copy to. Each check has a set of its
 * own, at `code`: a VMM may give up patching a page that is written again and again. */
#define SETS 16u
static uint32_t sets[SETS][4][WORDS] __attribute__((aligned(4096)));
static uint32_t (*code)[WORDS];

static void fill(void)
{
    static unsigned next;
    code = sets[next++ % SETS];
    for (unsigned i = 0; i < 4 * WORDS; i++)
        code[i / WORDS][i % WORDS] = EBREAK;
}

struct run code_execute(const void *at, uint64_t length, uint64_t gva, uint64_t satp, uint64_t a0)
{
    struct run run = {
        .start = at, .end = (const char *)at + length, .pc = gva, .satp = satp, .a = {a0}};
    harness_run(&run);
    return run;
}

static void rewrite(void)
{
    fill();
    for (unsigned i = 1; i < 20; i++) {
        code[0][0] = ADDI(A0, 0, i);
        code_fence_i();
        struct run run = code_execute(code[0], 4, 0, 0, 0);
        expect_done(&run);
        expect("a0", run.x[10], i);
    }
}

/* A CSR instruction is executed, then replaced by another one, then by one that is no CSR
 * instruction at all. */
static void rewrite_csr(void)
{
    static const struct {
        uint32_t second;
        uint64_t a1;
    } steps[] = {{CSRR(A1, CSR_SSCRATCH), 0x1234}, {CSRR(A1, CSR_SIE), 0},
                 {CSRR(A1, CSR_SSCRATCH), 0x1234}, {ADDI(A1, 0, 77), 77},
                 {CSRR(A1, CSR_SATP), 0},          {ADDI(A1, A0, 1), 0x1235}};
    fill();
    code[0][0] = CSRW(CSR_SSCRATCH, A0);
    for (unsigned i = 0; i < COUNT(steps); i++) {
        code[0][1] = steps[i].second;
        code_fence_i();
        for (unsigned again = 0; again < 3; again++) {
            struct run run = code_execute(code[0], 8, 0, 0, 0x1234);
            expect_done(&run);
            expect_index("a1-of-step", i, run.x[11], steps[i].a1);
        }
    }
}

/* The code replaces an instruction of its own: a store, a fence.i, a jump to it. */
FRAGMENT(code_store_jump, "jalr t0, a0\n sw a1, 0(a0)\n fence.i\n jalr t0, a0");
static void rewrite_inside(void)
{
    fill();
    code[0][0] = CSRR(A2, CSR_SCOUNTEREN);
    code[0][1] = 0x00028067; /* jr t0 */
    code_fence_i();
    struct run run = RUN(code_store_jump, .a = {(uint64_t)code[0], ADDI(A2, A2, 100)});
    harness_run(&run);
    expect_done(&run);
    expect("a2", run.x[12], 107);
}

static uint64_t checksum(const void *base, size_t width)
{
    uint64_t sum = 0;
    for (size_t at = 0; at < PAGE_SIZE; at += width) {
        const volatile void *p = (const char *)base + at;
        uint64_t value = width == 1   ? *(const volatile uint8_t *)p
                         : width == 2 ? *(const volatile uint16_t *)p
                         : width == 4 ? *(const volatile uint32_t *)p
                                      : *(const volatile uint64_t *)p;
        sum = (sum << 7 | sum >> 57) ^ value;
    }
    return sum;
}

/* A page full of CSR instructions, executed and read by every width, again and again. */
static void page_of_csrs(void)
{
    static const uint32_t csrs[] = {CSR_SSCRATCH, CSR_SEPC, CSR_SCAUSE, CSR_STVEC, CSR_SIE};
    fill();
    for (unsigned i = 0; i < WORDS - 1; i++)
        code[0][i] = i % 2 ? CSRW(CSR_SSCRATCH, A0) : CSRR(A1, csrs[i / 2 % COUNT(csrs)]);
    code_fence_i();
    uint64_t sums[4];
    for (unsigned round = 0; round < 4; round++) {
        for (unsigned i = 0; i < 4; i++) {
            uint64_t sum = checksum(code[0], 1u << i);
            if (round)
                expect_index("checksum-of-width", 1u << i, sum, sums[i]);
            sums[i] = sum;
        }
        struct run run = code_execute(code[0], PAGE_SIZE - 4, 0, 0, 5);
        expect_done(&run);
    }
    for (unsigned i = 0; i < WORDS - 1; i++)
        expect_index("word", i, code[0][i],
                     i % 2 ? CSRW(CSR_SSCRATCH, A0) : CSRR(A1, csrs[i / 2 % COUNT(csrs)]));
}

/* Code that reads its own CSR instruction, misaligned and atomically too. */
FRAGMENT(code_read_self, "csrw sscratch, a1\n 1: csrr a2, sscratch\n la t0, 1b\n lw a3, 0(t0)\n"
                         "lhu a4, 2(t0)\n lbu a5, 3(t0)\n ld a6, -4(t0)\n amoor.w a0, x0, (t0)\n"
                         "lr.w a1, (t0)");
static void read_self(void)
{
    struct run run = RUN(code_read_self, .a = {0, 99});
    for (unsigned again = 0; again < 3; again++) {
        harness_run(&run);
        expect_done(&run);
        uint32_t word = CSRR(A2, CSR_SSCRATCH);
        expect("csrr", run.x[12], 99);
        expect("lw", run.x[13], word);
        expect("lhu", run.x[14], word >> 16);
        expect("lbu", run.x[15], word >> 24);
        expect("ld", run.x[16], (uint64_t)word << 32 | CSRW(CSR_SSCRATCH, A1));
        expect("amoor", run.x[10], word);
        expect("lr", run.x[11], word);
        run.a[1] = 99;
    }
}

/* The second half of csrw satp,a0 is c.addi a6,-31: both are entered in turn. */
static void middle_of_csr(void)
{
    fill();
    code[0][0] = CSRW(CSR_SATP, A0);
    code_fence_i();
    for (unsigned again = 0; again < 3; again++) {
        struct run whole = {
            .start = (char *)code[0], .end = (char *)code[0] + 4, .a = {0, 0, 0, 0, 0, 0, 100}};
        harness_run(&whole);
        expect_done(&whole);
        expect("a6-after-whole", whole.x[16], 100);
        struct run half = {
            .start = (char *)code[0] + 2, .end = (char *)code[0] + 4, .a = {0, 0, 0, 0, 0, 0, 100}};
        harness_run(&half);
        expect_done(&half);
        expect("a6-after-half", half.x[16], 69);
    }
}

/* A CSR instruction with its halves in two pages. */
static void put_straddling(uint32_t instruction, uint32_t *first, uint32_t *second)
{
    first[WORDS - 1] = (first[WORDS - 1] & 0xffff) | instruction << 16;
    second[0] = instruction >> 16 | 0x90020000u; /* c.ebreak behind it */
}
#define STRADDLE (PAGE_SIZE - 2)
static void straddling(void)
{
    fill();
    put_straddling(CSRR(A1, CSR_SSCRATCH), code[0], code[1]);
    code[0][WORDS - 2] = CSRW(CSR_SSCRATCH, A0);
    code[0][WORDS - 1] = (code[0][WORDS - 1] & 0xffff0000) | 0x0001; /* c.nop */
    code_fence_i();
    for (unsigned again = 1; again < 4; again++) {
        struct run run = code_execute(&code[0][WORDS - 2], 10, 0, 0, again);
        expect_done(&run);
        expect("a1", run.x[11], again);
    }
    expect("first-half", code[0][WORDS - 1] >> 16, CSRR(A1, CSR_SSCRATCH) & 0xffff);
    expect("second-half", code[1][0] & 0xffff, CSRR(A1, CSR_SSCRATCH) >> 16);
}
static void straddling_mapped(void)
{
    uint64_t *root = space_reset();
    fill();
    put_straddling(CSRR(A1, CSR_SSCRATCH), code[3], code[1]);
    code_fence_i();
    space_map(root, GVA, code[3], PTE_S_RWX);
    space_map(root, GVA + PAGE_SIZE, code[1], PTE_S_RWX);
    csr_write(CSR_SSCRATCH, 0);
    for (unsigned again = 0; again < 3; again++) {
        struct run run = code_execute((char *)code[3] + STRADDLE, 4, GVA + STRADDLE,
                                      space_satp(root, 0), 0);
        expect_done(&run);
    }
    /* Only the instruction's second half changes: first it names another CSR, then another page is
     * behind the same address. */
    put_straddling(CSRR(A1, CSR_SATP), code[3], code[1]);
    code_fence_i();
    struct run run = code_execute((char *)code[3] + STRADDLE, 4, GVA + STRADDLE,
                                  space_satp(root, 0), 0);
    expect("satp", run.x[11], space_satp(root, 0));
    put_straddling(CSRR(A1, CSR_SCOUNTEREN), code[3], code[2]);
    code_fence_i();
    space_map(root, GVA + PAGE_SIZE, code[2], PTE_S_RWX);
    run = code_execute((char *)code[3] + STRADDLE, 4, GVA + STRADDLE, space_satp(root, 0), 0);
    expect("scounteren", run.x[11], 7);
}
static void straddling_missing(void)
{
    uint64_t *root = space_reset();
    fill();
    put_straddling(CSRR(A1, CSR_SSCRATCH), code[0], code[1]);
    code_fence_i();
    space_map(root, GVA, code[0], PTE_S_RWX);
    struct run run = code_execute((char *)code[0] + STRADDLE, 4, GVA + STRADDLE,
                                  space_satp(root, 0), 0);
    expect_end(&run, TRAP(CAUSE_FETCH_PAGE), 0, GVA + PAGE_SIZE);
}
static void last_word(void)
{
    fill();
    code[0][WORDS - 1] = CSRR(A1, CSR_SCOUNTEREN);
    code_fence_i();
    for (unsigned again = 0; again < 3; again++) {
        struct run run = code_execute(&code[0][WORDS - 1], 4, 0, 0, 0);
        expect_done(&run);
        expect("a1", run.x[11], 7);
    }
}

/* --- Data and code in one page --- */

FRAGMENT(code_with_data, "li a5, 100\n 1: csrrw a2, sscratch, a5\n la t0, 2f\n lw a3, 0(t0)\n"
                         "add a3, a3, a5\n sw a3, 0(t0)\n csrrs a4, sscratch, x0\n sub a4, a4, a5\n"
                         "add a0, a0, a4\n addi a5, a5, -1\n bnez a5, 1b\n lw a1, 0(t0)\n"
                         "sw x0, 0(t0)\n j 3f\n 2: .4byte 0\n 3: nop");
static void data_beside_code(void)
{
    for (unsigned again = 0; again < 2; again++) {
        struct run run = RUN(code_with_data);
        harness_run(&run);
        expect_done(&run);
        expect("sum", run.x[11], 5050);
        expect("sscratch-difference", run.x[10], 0);
    }
}
static void copy_of_executed(void)
{
    fill();
    code[0][0] = CSRW(CSR_SSCRATCH, A0);
    code[0][1] = CSRR(A1, CSR_SSCRATCH);
    code_fence_i();
    struct run run = code_execute(code[0], 8, 0, 0, 3);
    expect("original", run.x[11], 3);
    memcpy(code[2], code[0], PAGE_SIZE);
    code_fence_i();
    run = code_execute(code[2], 8, 0, 0, 4);
    expect_done(&run);
    expect("copy", run.x[11], 4);
    expect("equal", (uint64_t)memcmp(code[2], code[0], PAGE_SIZE), 0);
}

/* A real ecall between CSR instructions is still the guest's: an SBI call from vS, cause 8 from
 * vU. */
static void ecall_beside_csr(void)
{
    fill();
    code[0][0] = CSRW(CSR_SSCRATCH, A2);
    code[0][1] = ECALL;
    code[0][2] = CSRR(A2, CSR_SSCRATCH);
    code_fence_i();
    for (unsigned again = 0; again < 3; again++) {
        struct run run = {.start = (char *)code[0],
                          .end = (char *)&code[0][3],
                          .a = {0x10, 0, 66, 0, 0, 0, 3, 0x10}}; /* SBI probe of BASE */
        harness_run(&run);
        expect_done(&run);
        expect("error", run.x[10], 0);
        expect("value", run.x[11], 1);
        expect("sscratch", run.x[12], 66);
        struct run user = {
            .start = (char *)&code[0][1], .end = (char *)&code[0][3], .mode = MODE_U};
        harness_run(&user);
        expect_end(&user, TRAP(CAUSE_ECALL_U), 0, 0);
    }
}

static const struct check checks[] = {
    {"code-rewrite", rewrite},
    {"code-rewrite-csr", rewrite_csr},
    {"code-rewrite-inside", rewrite_inside},
    {"code-page-of-csrs", page_of_csrs},
    {"code-read-self", read_self},
    {"code-middle-of-csr", middle_of_csr},
    {"code-csr-straddling", straddling},
    {"code-csr-straddling-mapped", straddling_mapped},
    {"code-csr-straddling-second-missing", straddling_missing},
    {"code-csr-last-word-of-page", last_word},
    {"code-data-beside-csr", data_beside_code},
    {"code-copy-of-executed-page", copy_of_executed},
    {"code-ecall-beside-csr", ecall_beside_csr},
};

const struct subject code_subject = {.checks = checks, .check_count = COUNT(checks)};
