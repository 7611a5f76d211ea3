/*
 * Two instructions in one another: an outer one of 32 bits begins two bytes before a privileged
 * one, so that the outer one's second half is the inner one's first half. Both are executed, the
 * inner one often enough that the VMM patches it; the outer one must stay what it is.
 *
 * docs/patching.md has the case that cannot be told from the code of the two pages: an indirect
 * jump into the middle.
 */
#include "bare.h"

#define ADDI    0x0513u     /* first half of addi a0, t1, imm */
#define LUI     0x0537u     /* first half of lui a0, imm: any second half will do */
#define JUMP    0x1020006fu /* jal x0, +0x102 */
#define ROUNDS  40u
#define OPERAND 0x1000u

static const uint32_t inner[] = {
    0x14002673, /* csrr a2, sscratch */
    0x14102673, /* csrr a2, sepc */
    0x10002673, /* csrr a2, sstatus */
    0x10017673, /* csrrci a2, sstatus, 2 */
    0x14061673, /* csrrw a2, sscratch, a2 */
    0x10016073, /* csrsi sstatus, 2 */
    0x18002673, /* csrr a2, satp */
};

static uint64_t enter(uint64_t pc)
{
    register uint64_t result __asm__("a0");
    register uint64_t target __asm__("a1") = pc;
    register uint64_t operand __asm__("t1") = OPERAND;
    /* The inner instruction's second half, when it is executed as an instruction, writes s0. */
    __asm__ volatile("jalr %1"
                     : "=r"(result), "+r"(target), "+r"(operand)
                     :
                     : "ra", "a2", "s0", "memory");
    csr_clear(CSR_SSTATUS, SSTATUS_SIE);
    return result;
}

/* The inner instruction is at `site`; the call enters the page at `entry`, and comes to the outer
 * instruction. */
static void check(const char *what, uint8_t *site, const uint8_t *entry, uint32_t insn)
{
    uint64_t expected = OPERAND + (insn >> 4 & 0xfff);
    bare_put_32(site, 0, insn);
    bare_put_32(site, 4, BARE_RET);
    __asm__ volatile("fence.i" : : : "memory");
    uint64_t before = enter((uint64_t)entry);
    for (unsigned i = 0; i < ROUNDS; i++)
        enter((uint64_t)site);
    uint64_t after = enter((uint64_t)entry);
    CHECK(before == expected && after == expected, "%s, %#x: %#lx, then %#lx, expected %#lx", what,
          insn, before, after, expected);
}

/* Two pages of C.NOP. */
static uint8_t *new_pages(void)
{
    uint8_t *page = bare_page();
    bare_page(); /* the second of the two */
    for (unsigned i = 0; i < 2 * PAGE_SIZE; i += 2)
        bare_put_16(page, i, 0x0001);
    return page;
}

int main(void)
{
    bare_paging();
    for (unsigned i = 0; i < sizeof(inner) / sizeof(inner[0]); i++) {
        uint8_t *page = new_pages();
        bare_put_16(page, 0, ADDI);
        check("at the start of a page", page + 2, page, inner[i]);

        page = new_pages();
        bare_put_16(page, 0x100, ADDI);
        check("behind another instruction", page + 0x102, page + 0xf0, inner[i]);

        page = new_pages();
        bare_put_16(page, PAGE_SIZE - 2, ADDI);
        check("over two pages", page + PAGE_SIZE, page + PAGE_SIZE - 16, inner[i]);

        page = new_pages();
        bare_put_32(page, 0x100, JUMP);
        bare_put_16(page, 0x200, LUI);
        bare_put_16(page, 0x202, ADDI);
        check("behind a jump", page + 0x204, page + 0x100, inner[i]);
    }
    return bare_failures != 0;
}
