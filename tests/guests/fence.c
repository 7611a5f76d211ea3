/*
 * What SFENCE.VMA costs when much is mapped, and that the fence still does its work then
 * (privileged specification, "Supervisor Memory-Management Fence Instruction").
 *
 * The costs are instructions of the machine, so the run needs ICOUNT=1: then the time CSR counts
 * them by the hundred. Natively each cost is next to nothing; of a native
 * run it is the answers that are looked at.
 */
#include "bare.h"

#define TIMES   200u
#define SILENT  3000u /* a wfi takes less than that more than a CSR access, if nobody talks */
#define REGIONS 64u   /* of 512 pages, which lead to FRAMES frames in turn */
#define FRAMES  4096u
#define FRAME   (BARE_RAM + 0x800000)
#define BITS    (PTE_R | PTE_W | PTE_A | PTE_D)

static uint64_t other_root[512] __attribute__((aligned(4096))); /* the image alone */
static uint64_t own_satp, other_satp;
static uint64_t talk; /* talk_of() */

/* How many pages are mapped, and what one fence may cost then, in instructions. */
static const struct {
    unsigned pages;
    uint64_t limit;
} steps[] = {{8, 5000}, {512, 8000}, {4096, 10000}, {32768, 20000}};

static uint64_t frame_of(unsigned page)
{
    return FRAME + (uint64_t)(page % FRAMES) * PAGE_SIZE;
}

static uint64_t address_of(unsigned page)
{
    return BARE_FREE + (uint64_t)page * PAGE_SIZE;
}

static void fences(void)
{
    sfence_vma_all();
}

static void switches(void)
{
    csr_write(CSR_SATP, other_satp);
    sfence_vma_all();
    csr_write(CSR_SATP, own_satp);
    sfence_vma_all();
}

static void waits(void)
{
    __asm__ volatile("wfi");
}

static void reads(void)
{
    csr_read(CSR_SSCRATCH);
}

/* As a kernel that fences at each trap: it touches a few of its pages in between. */
static void traps(void)
{
    sfence_vma_all();
    for (unsigned i = 0; i < 4; i++)
        bare_read(uint8_t, address_of(i));
}

/* Instructions that one of TIMES calls takes. */
static uint64_t cost_of(void (*function)(void))
{
    uint64_t begin = bare_time();
    for (unsigned i = 0; i < TIMES; i++)
        function();
    return (bare_time() - begin) * 100 / TIMES;
}

/* What the firmware takes for an illegal instruction that accesses no CSR, before the VMM has it:
 * OpenSBI from 1.6 on says so on its console, a character at a time. It is none of the VMM's. */
static uint64_t talk_of(void)
{
    csr_set(CSR_SIE, SIP_SSIP);
    csr_set(CSR_SIP, SIP_SSIP); /* a wfi waits for nothing */
    uint64_t wait = cost_of(waits), read = cost_of(reads);
    csr_clear(CSR_SIP, SIP_SSIP);
    csr_clear(CSR_SIE, SIP_SSIP);
    return wait > read + SILENT ? wait - read : 0;
}

static void check_costs(unsigned pages, uint64_t limit)
{
    uint64_t fence = cost_of(fences) - talk, two = cost_of(switches) - 2 * talk;
    uint64_t trap = cost_of(traps) - talk;
    printf("%u pages: %lu for a fence, %lu for two with satp, %lu with accesses\n", pages,
           (unsigned long)fence, (unsigned long)two, (unsigned long)trap);
    CHECK(fence <= limit, "a fence takes %lu, more than %lu", (unsigned long)fence,
          (unsigned long)limit);
    CHECK(two <= 2 * limit, "two with satp take %lu, more than %lu", (unsigned long)two,
          (unsigned long)(2 * limit));
    CHECK(trap <= limit, "one with accesses takes %lu, more than %lu", (unsigned long)trap,
          (unsigned long)limit);
}

/* What each page has at its first word: the number of its frame. */
static void mark_frames(void)
{
    for (unsigned i = 0; i < FRAMES; i++)
        bare_write(uint32_t, frame_of(i), i);
}

/* After a fence each page is where its entry says, however long it has been left alone. */
static void check_moved(unsigned pages, unsigned by)
{
    for (unsigned page = 0; page < pages; page += 97)
        bare_map(page, frame_of(page + by), BITS);
    sfence_vma_all();
    for (unsigned page = 0; page < pages; page++) {
        uint32_t is = bare_read(uint32_t, address_of(page));
        unsigned should = (page + (page % 97 ? 0 : by)) % FRAMES;
        CHECK(is == should, "page %u leads to frame %u and not %u", page, is, should);
    }
    for (unsigned page = 0; page < pages; page += 97)
        bare_map(page, frame_of(page), BITS);
    sfence_vma_all();
}

/* A page that may no longer be written is not, and one that is gone is. */
static void check_less(unsigned pages)
{
    unsigned last = pages - 1;
    bare_map(last, frame_of(last), BITS & ~(uint64_t)(PTE_W | PTE_D));
    *bare_entry(last - 1) = 0;
    csr_write(CSR_SATP, other_satp);
    sfence_vma_all();
    csr_write(CSR_SATP, own_satp);
    CHECK(!bare_try(bare_load, address_of(last), 4), "page %u is not readable", last);
    CHECK(bare_try(bare_store_32, address_of(last), last), "page %u is writable", last);
    CHECK(bare_try(bare_load, address_of(last - 1), 4), "page %u is mapped", last - 1);
    bare_map(last, frame_of(last), BITS);
    bare_map(last - 1, frame_of(last - 1), BITS);
    sfence_vma_all();
}

int main(void)
{
    bare_paging();
    own_satp = csr_read(CSR_SATP);
    other_root[2] = bare_root[2];
    other_satp = SATP_MODE_SV39 << SATP_MODE_SHIFT | (uint64_t)other_root >> PAGE_SHIFT;
    mark_frames();
    talk = talk_of();
    if (talk)
        printf("the firmware takes %lu to say that an instruction is illegal\n",
               (unsigned long)talk);
    unsigned mapped = 0;
    for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        for (; mapped < steps[i].pages; mapped++)
            bare_map(mapped, frame_of(mapped), BITS);
        sfence_vma_all();
        for (unsigned page = 0; page < mapped; page++)
            bare_write(uint32_t, address_of(page), page % FRAMES);
        check_costs(mapped, steps[i].limit);
        check_moved(mapped, 5);
        check_less(mapped);
    }
    return bare_failures != 0;
}
