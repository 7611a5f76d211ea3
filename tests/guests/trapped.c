/*
 * An instruction that traps is the one that is carried out. A page of code holds a page-table entry
 * too; a load or store through that entry sets its A bit, which changes the page of code. By then
 * the entry that maps the code names another page, without a fence: the hart may go on with the old
 * page or execute the other one, but each instruction is of one of them as a whole.
 */
#include "bare.h"

#define CODE      0x10u /* offset of the access in a page of code */
#define ENTRY     256u  /* index in the page of code as a level-0 table: offset 0x800 */
#define CODE_PAGE 16u   /* where the code is mapped (bare_map) */
#define TABLE     8u    /* which 2 MiB the page of code is the table of */

#define CSRR     0x14002673u /* csrr a2, sscratch */
#define LW       0x00052603u /* lw a2, 0(a0) */
#define FLW      0x00052507u /* flw fa0, 0(a0) */
#define SW       0x00a52023u /* sw a0, 0(a0) */
#define FSW      0x00a52027u /* fsw fa0, 0(a0) */
#define CBO      0x0015200fu /* cbo.clean (a0) */
#define GADDRESS (BARE_FREE + TABLE * (2ul << 20) + ENTRY * PAGE_SIZE)

static uint8_t *code_page(uint32_t access)
{
    uint8_t *page = bare_page();
    bare_put_32(page, 0, CSRR);
    bare_put_32(page, 4, BARE_RET);
    bare_put_32(page, CODE, access);
    bare_put_32(page, CODE + 4, BARE_RET);
    return page;
}

static bool call(uint64_t pc, uint64_t a0)
{
    uint64_t (*code)(uint64_t, uint64_t) = (void *)pc;
    return bare_try(code, a0, 0);
}

static uint64_t leaf(uint64_t gpa, uint64_t bits)
{
    return gpa >> PAGE_SHIFT << PTE_PPN_SHIFT | PTE_V | bits;
}

/* The code of `first` accesses gpa while the page `other` is mapped at the code's address. */
static void check(uint32_t first, uint32_t other, uint64_t gpa, uint64_t bits)
{
    uint8_t *page = code_page(first), *hidden = code_page(other);
    uint64_t entry = leaf(gpa, bits), *above = (uint64_t *)(PTE_PPN(bare_root[1]) << PAGE_SHIFT);
    memcpy(page + ENTRY * 8, &entry, sizeof(entry));
    above[TABLE] = (uint64_t)page >> PAGE_SHIFT << PTE_PPN_SHIFT | PTE_V;
    uint64_t pc = bare_map(CODE_PAGE, (uint64_t)page, PTE_R | PTE_X | PTE_A);
    __asm__ volatile("fence.i" : : : "memory");
    sfence_vma_all();
    for (unsigned i = 0; i < 3; i++)
        CHECK(!call(pc, 0), "a trap, scause %#lx", bare_trapped.scause);
    csr_clear(CSR_SSTATUS, SSTATUS_FS);
    bare_map(CODE_PAGE, (uint64_t)hidden, PTE_R | PTE_X | PTE_A);
    bool trapped = call(pc + CODE, GADDRESS);
    bool is_float = other == FLW || other == FSW;
    CHECK(!trapped ||
              (is_float && bare_trapped.scause == CAUSE_ILLEGAL && bare_trapped.stval == other),
          "%#x, then %#x: scause %#lx, stval %#lx", first, other, bare_trapped.scause,
          bare_trapped.stval);
    sfence_vma_all();
}

/* CBO.CLEAN is permitted where a load is, also in code that the VMM patches. */
static void check_cbo(void)
{
    uint8_t *page = code_page(BARE_NOP), *clean = code_page(CBO);
    uint64_t pc = bare_map(CODE_PAGE, (uint64_t)page, PTE_R | PTE_X | PTE_A);
    __asm__ volatile("fence.i" : : : "memory");
    sfence_vma_all();
    for (unsigned i = 0; i < 3; i++)
        CHECK(!call(pc, 0), "a trap, scause %#lx", bare_trapped.scause);
    CHECK(!call((uint64_t)clean + CODE, pc), "cbo.clean of code: scause %#lx, stval %#lx",
          bare_trapped.scause, bare_trapped.stval);
}

int main(void)
{
    static const uint32_t others[] = {FLW, FSW, SW, LW, CSRR, BARE_NOP, BARE_RET};
    bare_paging();
    for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        check(LW, others[i], BARE_PLIC, PTE_R | PTE_W);
        check(SW, others[i], BARE_PLIC, PTE_R | PTE_W);
        uint8_t *patched = code_page(BARE_NOP);
        __asm__ volatile("fence.i" : : : "memory");
        for (unsigned j = 0; j < 3; j++)
            call((uint64_t)patched, 0);
        if (others[i] != SW && others[i] != FSW)
            check(LW, others[i], (uint64_t)patched, PTE_R | PTE_X);
    }
    check_cbo();
    return bare_failures != 0;
}
