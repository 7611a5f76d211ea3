/*
 * What is remembered about an address dies with the address's translation: after a fence, a change
 * of satp or of the mode, other code or another device is at the address, and nothing of what was
 * there before may show.
 */
#include "bare.h"

#define ECALL     0x00000073u
#define CSRR      0x10402673u /* csrr a2, sie */
#define MOVE      0x00060513u /* mv a0, a2 */
#define SAVE      0x10017673u /* csrrci a2, sstatus, 2 */
#define ZERO_T0   0x00000293u /* li t0, 0: what t0 holds before is never read */
#define LOAD      0x0005b503u /* ld a0, 0(a1) */
#define ROUNDS    40u         /* enough for a trampoline at PATCH=inline */
#define CODE_PAGE 16u
#define DATA_PAGE 17u
#define ASID(n)   ((uint64_t)(n) << SATP_ASID_SHIFT)
#define FUNCTION  (BARE_FREE + CODE_PAGE * PAGE_SIZE)
#define DEVICE    (BARE_FREE + DATA_PAGE * PAGE_SIZE)
#define EID_BASE  0x10u
#define SPEC_CALL 0u /* a function of EID_BASE */

static uint8_t *kernel_page, *user_page, *call_page;
static uint64_t other_root[512] __attribute__((aligned(4096)));

static uint64_t satp_of(const uint64_t *root, unsigned asid)
{
    return SATP_MODE_SV39 << SATP_MODE_SHIFT | ASID(asid) | (uint64_t)root >> PAGE_SHIFT;
}

/* --- Each way to make the hart forget FUNCTION and DEVICE, or to go elsewhere and back --- */

static void fence_all(void)
{
    sfence_vma_all();
}

static void fence_page(void)
{
    bare_fence_address(FUNCTION);
    bare_fence_address(DEVICE);
}

static void fence_asid(void)
{
    __asm__ volatile("sfence.vma x0, %0" : : "r"(0ul) : "memory");
}

/* Through another space that has this space's ASID. */
static void fence_elsewhere(void)
{
    csr_write(CSR_SATP, satp_of(other_root, 1));
    __asm__ volatile("sfence.vma x0, %0" : : "r"(0ul) : "memory");
    csr_write(CSR_SATP, satp_of(bare_root, 0));
}

static void fence_bare(void)
{
    csr_write(CSR_SATP, 0);
    sfence_vma_all();
    csr_write(CSR_SATP, satp_of(bare_root, 0));
}

static const struct {
    const char *name;
    void (*forget)(void);
} ways[] = {
    {"a fence of all", fence_all},
    {"a fence by address", fence_page},
    {"a fence by ASID", fence_asid},
    {"a fence by ASID from another space", fence_elsewhere},
    {"a fence with paging off", fence_bare},
};

/* --- Code --- */

static uint64_t call(uint64_t pc, uint64_t a0)
{
    register uint64_t result __asm__("a0") = a0;
    register uint64_t target __asm__("a1") = pc;
    register uint64_t function __asm__("a6") = SPEC_CALL;
    register uint64_t extension __asm__("a7") = EID_BASE;
    register uint64_t value __asm__("a2") = 0;
    __asm__ volatile("jalr %1"
                     : "+r"(result), "+r"(target), "+r"(value)
                     : "r"(function), "r"(extension)
                     : "ra", "memory");
    csr_clear(CSR_SSTATUS, SSTATUS_SIE);
    return result;
}

/* A function of two instructions. */
static uint8_t *code_of(uint32_t insn, uint32_t second)
{
    uint8_t *page = bare_page();
    bare_put_32(page, 0, insn);
    bare_put_32(page, 4, second);
    bare_put_32(page, 8, BARE_RET);
    __asm__ volatile("fence.i" : : : "memory");
    return page;
}

static void set_sie(unsigned round)
{
    csr_write(CSR_SIE, round % 2 ? 1ul << 9 : 1ul << 5);
}

/* A process's ecall, a kernel's ecall and a kernel's CSR access take turns at one address. */
static void check_code(const char *way, void (*forget)(void))
{
    for (unsigned round = 0; round < 8; round++) {
        set_sie(round);
        uint64_t sie = csr_read(CSR_SIE);
        bare_map(CODE_PAGE, (uint64_t)user_page, PTE_R | PTE_X | PTE_U | PTE_A);
        forget();
        bare_user(FUNCTION, 0, 0);
        CHECK(bare_trapped.scause == CAUSE_ECALL_U, "%s: a process's ecall: scause %#lx", way,
              bare_trapped.scause);
        bare_map(CODE_PAGE, (uint64_t)kernel_page, PTE_R | PTE_X | PTE_A);
        forget();
        uint64_t read = call(FUNCTION, 1);
        CHECK(read == sie, "%s: csrr after a process's ecall: %#lx", way, read);
        bare_map(CODE_PAGE, (uint64_t)call_page, PTE_R | PTE_X | PTE_A);
        forget();
        CHECK(call(FUNCTION, 1) == 0, "%s: a call of the firmware after csrr", way);
        bare_map(CODE_PAGE, (uint64_t)kernel_page, PTE_R | PTE_X | PTE_A);
        forget();
        read = call(FUNCTION, 1);
        CHECK(read == sie, "%s: csrr after a call of the firmware: %#lx", way, read);
    }
    csr_write(CSR_SIE, 0);
}

/* A loop that reads a device, and finds RAM at its address. */
static void check_device(const char *way, void (*forget)(void))
{
    static volatile uint32_t word[PAGE_SIZE / 4] __attribute__((aligned(4096)));
    word[1] = 0x600df00d;
    bare_map(DATA_PAGE, BARE_PLIC, PTE_R | PTE_W | PTE_A | PTE_D);
    forget();
    bare_write(uint32_t, DEVICE + 4, 5);
    for (unsigned round = 0; round < 4; round++) {
        unsigned wrong = 0;
        bare_map(DATA_PAGE, BARE_PLIC, PTE_R | PTE_W | PTE_A | PTE_D);
        forget();
        for (unsigned i = 0; i < 100; i++) {
            if (i == 60) {
                bare_map(DATA_PAGE, (uint64_t)word, PTE_R | PTE_W | PTE_A | PTE_D);
                forget();
            }
            wrong += bare_read(uint32_t, DEVICE + 4) != (i < 60 ? 5 : 0x600df00d);
        }
        CHECK(!wrong, "%s: %u of 100 loads found what was there before", way, wrong);
    }
    bare_map(DATA_PAGE, BARE_PLIC, PTE_R | PTE_W | PTE_A | PTE_D);
    forget();
    bare_write(uint32_t, DEVICE + 4, 0);
}

/* With paging off vU shares vS's memory, and nothing else. */
static void check_paging_off(uint32_t insn)
{
    uint8_t *page = code_of(insn, ZERO_T0);
    csr_write(CSR_SATP, 0);
    for (unsigned i = 0; i < ROUNDS; i++)
        call((uint64_t)page, 0);
    bare_user((uint64_t)page, 0, 0);
    CHECK(bare_trapped.scause == CAUSE_ILLEGAL && bare_trapped.stval == insn &&
              bare_trapped.sepc == (uint64_t)page,
          "a process, paging off, %#x: scause %#lx, stval %#lx, sepc %#lx for %p", insn,
          bare_trapped.scause, bare_trapped.stval, bare_trapped.sepc, (void *)page);
    csr_write(CSR_SATP, satp_of(bare_root, 0));
    sfence_vma_all();
}

/* --- Two pages of code at one address --- */

/* The pages are in two spaces, and each has a place that switches interrupts off. */

#define SWITCH 0x100u
#define INNER  (SWITCH + 0x20)

/* At SWITCH is such a place, followed by a load, which may trap, while t0 is still to be
 * overwritten: that is done at `end`. Another such place is at INNER, which is in between if `end`
 * is behind it. */
static uint8_t *switch_page(unsigned end)
{
    uint8_t *page = bare_page();
    for (unsigned at = 0; at < end; at += 4)
        bare_put_32(page, at, BARE_NOP);
    bare_put_32(page, SWITCH, SAVE);
    bare_put_32(page, SWITCH + 4, LOAD);
    if (end > INNER)
        bare_put_32(page, INNER, SAVE);
    bare_put_32(page, end, ZERO_T0);
    bare_put_32(page, end + 4, BARE_RET);
    return page;
}

static uint64_t held; /* what t0 holds before the switch */

static uint64_t call_switch(uint64_t pc, uint64_t loaded)
{
    register uint64_t t0 __asm__("t0") = held;
    register uint64_t result __asm__("a0") = 0;
    register uint64_t where __asm__("a1") = loaded;
    register uint64_t target __asm__("a3") = pc;
    __asm__ volatile("jalr ra, 0(%2)"
                     : "+r"(result), "+r"(where), "+r"(target), "+r"(t0)
                     :
                     : "ra", "a2", "memory");
    return result;
}

static void call_often(uint64_t pc)
{
    static uint64_t loaded;
    for (unsigned i = 0; i < ROUNDS; i++)
        call_switch(pc, (uint64_t)&loaded);
}

static void check_spaces(void)
{
    static uint64_t space[2][512] __attribute__((aligned(4096)));
    static uint64_t middle[2][512] __attribute__((aligned(4096)));
    static uint64_t last[2][512] __attribute__((aligned(4096)));
    static const unsigned ends[2] = {SWITCH + 8, INNER + 0x20};
    for (unsigned i = 0; i < 2; i++) {
        uint64_t page = (uint64_t)switch_page(ends[i]);
        memcpy(space[i], bare_root, sizeof(space[i]));
        space[i][1] = (uint64_t)middle[i] >> PAGE_SHIFT << PTE_PPN_SHIFT | PTE_V;
        middle[i][0] = (uint64_t)last[i] >> PAGE_SHIFT << PTE_PPN_SHIFT | PTE_V;
        last[i][0] = page >> PAGE_SHIFT << PTE_PPN_SHIFT | PTE_V | PTE_R | PTE_X | PTE_A;
    }
    __asm__ volatile("fence.i" : : : "memory");
    held = 0x100;
    csr_write(CSR_SATP, satp_of(space[0], 2));
    call_often(BARE_FREE + SWITCH);
    csr_write(CSR_SATP, satp_of(space[1], 3));
    call_often(BARE_FREE + INNER);
    call_often(BARE_FREE + SWITCH);
    for (unsigned i = 0; i < 4; i++) {
        csr_write(CSR_SATP, satp_of(space[i % 2], 2 + i % 2));
        held = 0x200 + i;
        bool trapped = bare_try(call_switch, BARE_FREE + SWITCH, 8);
        CHECK(trapped && bare_trapped.x[5] == held, "space %u: t0 is %#lx at the trap, not %#lx",
              i % 2, bare_trapped.x[5], held);
    }
    csr_write(CSR_SATP, satp_of(bare_root, 0));
    sfence_vma_all();
}

int main(void)
{
    bare_paging();
    memcpy(other_root, bare_root, sizeof(other_root));
    kernel_page = code_of(CSRR, MOVE);
    user_page = code_of(ECALL, BARE_NOP);
    call_page = code_of(ECALL, BARE_NOP);
    for (unsigned i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        check_code(ways[i].name, ways[i].forget);
        check_device(ways[i].name, ways[i].forget);
    }
    check_paging_off(CSRR);
    check_paging_off(SAVE);
    check_spaces();
    return bare_failures != 0;
}
