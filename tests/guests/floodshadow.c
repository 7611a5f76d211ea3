/*
 * A guest that maps as much as it can, so that the VMM's shadow tables are as many as may be, and
 * then does all that makes the VMM look through them: fences, new code, stores to code, code at two
 * addresses, superpages that change. No single exit may take long. The costs are instructions of
 * the machine, so the run needs ICOUNT=1.
 *
 * One of the guest's instructions may be several exits; that all of them together stay below the
 * bound of one exit says more than is asked.
 */
#include "bare.h"

#define LIMIT   1000000u /* instructions */
#define MIDDLES 8u       /* tables of 512 regions each, which all have the same 512 pages */
#define REGIONS 2800u
#define REGION  (2ul << 20)
#define FLOOD   (8ul << 30) /* where the first of them maps */
#define CODES   300u
#define CODE    (BARE_RAM + 0x1000000) /* pages of code, a row of them */
#define CODE_2  16u /* every second page of code is also mapped by bare_map(), from this page on */
#define BITS    (PTE_R | PTE_W | PTE_X | PTE_A | PTE_D)

static uint64_t middle[MIDDLES][512] __attribute__((aligned(4096)));
static uint64_t last[512] __attribute__((aligned(4096)));
static uint64_t other_root[512] __attribute__((aligned(4096)));

static uint64_t worst, begin;

static void start(void)
{
    begin = bare_time();
}

/* The thing whose cost is measured is done: start() was called before it. */
static void stop(const char *what)
{
    uint64_t cost = (bare_time() - begin) * 100;
    worst = cost > worst ? cost : worst;
    CHECK(cost <= LIMIT, "%s takes %lu instructions", what, (unsigned long)cost);
}

static uint64_t entry_of(const void *table)
{
    return (uint64_t)table >> PAGE_SHIFT << PTE_PPN_SHIFT | PTE_V;
}

/* The rights differ from page to page, so that no two neighbours are alike. */
static void map_flood(void)
{
    for (unsigned i = 0; i < 512; i++)
        last[i] = (CODE + 0x400000 + i * PAGE_SIZE) >> PAGE_SHIFT << PTE_PPN_SHIFT | PTE_V | PTE_R |
                  PTE_A | (i & 1 ? PTE_X : 0) | (i & 2 ? PTE_W | PTE_D : 0) | (i & 4 ? PTE_G : 0);
    for (unsigned i = 0; i < MIDDLES; i++) {
        bare_root[FLOOD / (1ul << 30) + i] = entry_of(middle[i]);
        for (unsigned j = 0; j < 512; j++)
            middle[i][j] = entry_of(last);
    }
}

static void touch_flood(void)
{
    for (uint64_t region = 0; region < REGIONS; region++)
        for (uint64_t page = 0; page < 512; page += 8)
            bare_read(uint8_t, FLOOD + region * REGION + page * PAGE_SIZE);
}

static uint64_t code_at(unsigned index)
{
    return CODE + (uint64_t)index * PAGE_SIZE;
}

/* csrr a0, sscratch; ret, with a privileged instruction that makes the VMM patch the page. */
static void put_code(unsigned index)
{
    bare_put_32((void *)code_at(index), 64, 0x14002573);
    bare_put_32((void *)code_at(index), 68, BARE_RET);
}

typedef uint64_t code_function(void);

static uint64_t call(uint64_t page)
{
    return ((code_function *)(page + 64))();
}

static void run_codes(const char *what)
{
    for (unsigned i = 0; i < CODES; i++) {
        csr_write(CSR_SSCRATCH, i);
        start();
        uint64_t is = call(code_at(i));
        stop(what);
        CHECK(is == i, "code %u answers %lu", i, (unsigned long)is);
    }
}

/* li a0, 1 in the place of the csrr. */
static void rewrite_codes(void)
{
    for (unsigned i = 0; i < CODES; i++) {
        start();
        bare_put_32((void *)code_at(i), 64, 0x00100513);
        stop("a store to code");
        __asm__ volatile("fence.i" : : : "memory");
        uint64_t is = call(code_at(i));
        CHECK(is == 1, "rewritten code %u answers %lu", i, (unsigned long)is);
    }
}

static void run_second_codes(void)
{
    for (unsigned i = 0; i < CODES; i += 2)
        bare_map(CODE_2 + i, code_at(i), BITS);
    sfence_vma_all();
    for (unsigned i = 0; i < CODES; i += 2) {
        csr_write(CSR_SSCRATCH, i);
        start();
        uint64_t is = call(BARE_FREE + (uint64_t)(CODE_2 + i) * PAGE_SIZE);
        stop("code at a second address");
        CHECK(is == i, "code %u answers %lu at its second address", i, (unsigned long)is);
    }
}

static void fence_all_ways(void)
{
    uint64_t own = csr_read(CSR_SATP);
    other_root[2] = bare_root[2];
    start();
    sfence_vma_all();
    stop("a fence");
    start();
    __asm__ volatile("sfence.vma x0, %0" : : "r"(0ul) : "memory");
    stop("a fence by ASID");
    start();
    bare_fence_address(FLOOD + 5 * REGION);
    stop("a fence by address");
    start();
    csr_write(CSR_SATP, SATP_MODE_SV39 << SATP_MODE_SHIFT | (uint64_t)other_root >> PAGE_SHIFT);
    sfence_vma_all();
    stop("another space");
    start();
    csr_write(CSR_SATP, own);
    stop("the space again");
    start();
    for (unsigned i = 0; i < 64; i++)
        sfence_vma_all();
    stop("64 fences in a row");
}

/* The superpage that the image lies in. The VMM maps it page by page where it has patched code. */
static void change_superpage(void)
{
    uint64_t old = bare_root[2];
    for (unsigned i = 0; i < 4; i++) {
        bare_root[2] = i & 1 ? old : old | PTE_G;
        start();
        bare_fence_address(BARE_RAM + 0x200000);
        stop("a superpage that changes");
    }
}

int main(void)
{
    bare_paging();
    map_flood();
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < CODES; i++)
            put_code(i);
        __asm__ volatile("fence.i" : : : "memory");
        sfence_vma_all();
        touch_flood();
        run_codes("new code");
        run_second_codes();
        touch_flood();
        rewrite_codes();
        touch_flood();
        fence_all_ways();
        change_superpage();
    }
    printf("the longest took %lu instructions\n", (unsigned long)worst);
    return bare_failures != 0;
}
