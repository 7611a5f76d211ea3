/*
 * A thousand fences in a row, over an address space in which 38,400 pages have been used: with
 * PATCH=cluster the VMM itself carries out the instructions that follow a trap.
 */
#include "flood.h"

#define REGION   (2ul << 20)
#define REGIONS  600u
#define WINDOW   0x200000000ul /* root entries 8 to 15 */
#define EVERY    8u            /* one page in so many is used */
#define FENCES   1000u
#define DATA     0x88000000ul
#define PAGES    512u
#define SFENCE   0x12000073u /* sfence.vma */
#define CSRR_SIE 0x10402673u /* csrr a2, sie */

static uint64_t tables[8][PAGES] __attribute__((aligned(4096)));
static uint64_t pages[PAGES] __attribute__((aligned(4096)));
static uint32_t code[1024] __attribute__((aligned(4096)));

static uint64_t entry(const void *memory, uint64_t bits)
{
    return (uint64_t)memory >> PAGE_SHIFT << PTE_PPN_SHIFT | PTE_V | bits;
}

static void map(void)
{
    for (unsigned i = 0; i < PAGES; i++)
        pages[i] = entry((const void *)(DATA + PAGE_SIZE * i), PTE_R | PTE_W | PTE_A | PTE_D);
    for (unsigned i = 0; i < 8; i++) {
        bare_root[8 + i] = entry(tables[i], 0);
        for (unsigned j = 0; j < PAGES; j++)
            tables[i][j] = entry(pages, 0);
    }
    code[0] = CSRR_SIE; /* its trap makes the VMM carry on with what follows */
    for (unsigned i = 1; i <= FENCES; i++)
        code[i] = SFENCE;
    code[FENCES + 1] = BARE_RET;
    __asm__ volatile("fence.i" : : : "memory");
}

static void use(void)
{
    for (unsigned i = 0; i < REGIONS; i++)
        for (unsigned j = 0; j < PAGES; j += EVERY)
            bare_read(uint8_t, WINDOW + REGION * i + PAGE_SIZE * j);
}

int main(void)
{
    bare_paging();
    map();
    bare_write(uint64_t, DATA, 0x5a);
    for (unsigned round = 0; flood_goes_on(round, 2); round++) {
        use();
        ((void (*)(void))code)();
        pages[0] = entry((const void *)(DATA + PAGE_SIZE), PTE_R | PTE_A);
        bare_fence_address(WINDOW + REGION);
        CHECK(bare_read(uint8_t, WINDOW + REGION) == 0, "a fence by address was not obeyed");
        pages[0] = entry((const void *)DATA, PTE_R | PTE_W | PTE_A | PTE_D);
        ((void (*)(void))code)();
        CHECK(bare_read(uint8_t, WINDOW + REGION) == 0x5a, "a thousand fences were not obeyed");
    }
    return bare_failures != 0;
}
