/*
 * SBI calls with a hart mask, on a machine of one hart: what a mask that also names absent harts
 * does, masks in memory at virtual addresses (the legacy calls), and what a mask that cannot be
 * read does.
 *
 * A fence is seen by what it ends: an old translation that is still in use. The bare machine keeps
 * an old translation as well, so each row first makes sure that it does.
 */
#include "bare.h"

#define LEGACY_SEND_IPI    0x04ul
#define LEGACY_FENCE_I     0x05ul
#define LEGACY_SFENCE      0x06ul
#define LEGACY_SFENCE_ASID 0x07ul
#define EID_BASE           0x10ul
#define EID_IPI            0x735049ul
#define EID_RFENCE         0x52464e43ul

#define INVALID_PARAM (-3l)
#define RW            (PTE_R | PTE_W | PTE_A | PTE_D)
#define ALL           (-1ul)
#define SEEN          3u  /* page whose translation shows whether there was a fence */
#define MASK          8u  /* page of a mask, somewhere else in memory */
#define BETWEEN       9u  /* page that follows MASK */
#define USER          12u /* page of vU */
#define NOTHING       20u /* page that is not mapped */

static uint64_t *before, *after;

static uint64_t seen(uint64_t page)
{
    return bare_read(uint64_t, BARE_FREE + (page << PAGE_SHIFT));
}

/* Maps another page at SEEN, and makes no fence. */
static void stale(const char *name, uint64_t mask)
{
    bare_map(SEEN, (uint64_t)before, RW);
    sfence_vma_all();
    CHECK(seen(SEEN) == 1, "%s, mask %#lx: not even the old page", name, mask);
    bare_map(SEEN, (uint64_t)after, RW);
}

/* An RFENCE call for the page at `at`, of ASID 0. */
static int64_t fence_page(uint64_t function, uint64_t mask, uint64_t base, uint64_t at)
{
    register uint64_t a4 __asm__("a4") = 0;
    register uint64_t a0 __asm__("a0") = mask;
    register uint64_t a1 __asm__("a1") = base;
    register uint64_t a2 __asm__("a2") = at;
    register uint64_t a3 __asm__("a3") = PAGE_SIZE;
    register uint64_t a6 __asm__("a6") = function;
    register uint64_t a7 __asm__("a7") = EID_RFENCE;
    __asm__ volatile("ecall"
                     : "+r"(a0), "+r"(a1)
                     : "r"(a2), "r"(a3), "r"(a4), "r"(a6), "r"(a7)
                     : "memory");
    return (int64_t)a0;
}

static void rfence(uint64_t function, uint64_t mask, uint64_t base, bool fences)
{
    stale("rfence", mask);
    int64_t error = fence_page(function, mask, base, BARE_FREE + (SEEN << PAGE_SHIFT));
    CHECK(error == 0, "rfence %lu, mask %#lx, base %#lx: error %ld", function, mask, base, error);
    CHECK(!fences || seen(SEEN) == 2, "rfence %lu, mask %#lx, base %#lx: nothing is fenced",
          function, mask, base);
}

static bool take_ipi(void)
{
    bool pending = csr_read(CSR_SIP) & SIP_SSIP;
    csr_clear(CSR_SIP, SIP_SSIP);
    return pending;
}

static void ipi(uint64_t mask, uint64_t base, bool sends)
{
    struct bare_sbi got = bare_sbi(EID_IPI, 0, mask, base, 0, 0);
    bool sent = take_ipi();
    CHECK(got.error == 0 && sent == sends, "ipi, mask %#lx, base %#lx: error %ld, sent %d", mask,
          base, got.error, sent);
}

/* A mask with none of the machine's harts: nothing happens, and firmwares answer differently. */
static void absent(void)
{
    struct bare_sbi first = bare_sbi(EID_IPI, 0, 1, 1, 0, 0);
    CHECK(!take_ipi(), "an ipi to hart 1 comes to hart 0");
    CHECK(first.error == 0 || first.error == INVALID_PARAM, "ipi to hart 1: error %ld",
          first.error);
    CHECK(bare_sbi(EID_IPI, 0, ALL, 64, 0, 0).error == first.error, "ipi to harts from 64 on");
    CHECK(bare_sbi(EID_IPI, 0, 0, 1, 0, 0).error == first.error, "ipi to none from 1 on");
    CHECK(fence_page(1, 1, 1, BARE_FREE) == first.error, "rfence of hart 1");
    CHECK(!take_ipi(), "an ipi to absent harts comes to hart 0");
    printf("answer for absent harts: %ld\n", first.error);
}

/* --- Masks in memory --- */

static void legacy_ipi(uint64_t address, bool sends, const char *name)
{
    struct bare_sbi got = bare_sbi(LEGACY_SEND_IPI, 0, address, 0, 0, 0);
    bool sent = take_ipi();
    CHECK(got.error == 0 && sent == sends, "legacy ipi, %s: answer %ld, sent %d", name, got.error,
          sent);
}

static void legacy_masks(void)
{
    static uint64_t mask[2];
    uint64_t identity = (uint64_t)mask, mapped = BARE_FREE + (MASK << PAGE_SHIFT);
    uint64_t *page = bare_page(), *next = bare_page();
    const uint64_t masks[] = {0, 1, 2, 3, ~1ul, ~0ul};
    bare_map(MASK, (uint64_t)page, RW);
    bare_map(BETWEEN, (uint64_t)next, RW);
    sfence_vma_all();
    for (unsigned i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
        mask[0] = page[0] = masks[i];
        legacy_ipi(identity, masks[i] & 1, "identity");
        legacy_ipi(mapped, masks[i] & 1, "mapped");
        stale("legacy", masks[i]);
        int64_t error = bare_sbi(LEGACY_SFENCE, 0, mapped, 0, 0, 0).error;
        CHECK(error == 0 && (!(masks[i] & 1) || seen(SEEN) == 2), "legacy sfence, mask %#lx: %ld",
              masks[i], error);
        stale("legacy", masks[i]);
        error = bare_sbi(LEGACY_SFENCE_ASID, 0, mapped, BARE_FREE, 16 * PAGE_SIZE, 0).error;
        CHECK(error == 0 && (!(masks[i] & 1) || seen(SEEN) == 2), "legacy asid, mask %#lx: %ld",
              masks[i], error);
        error = bare_sbi(LEGACY_FENCE_I, 0, mapped, 0, 0, 0).error;
        CHECK(error == 0, "legacy fence.i, mask %#lx: %ld", masks[i], error);
    }
    legacy_ipi(0, true, "null: all");
    stale("legacy null", 0);
    bare_sbi(LEGACY_SFENCE, 0, 0, 0, 0, 0);
    CHECK(seen(SEEN) == 2, "legacy sfence, null: nothing is fenced");
    page[511] = 0x0100000000000000; /* a mask in both pages, misaligned */
    next[0] = 0;
    legacy_ipi(mapped + PAGE_SIZE - 1, true, "over a page's end");
}

static uint64_t call(uint64_t eid, uint64_t address)
{
    return (uint64_t)bare_sbi(eid, 0, address, 0x111, 0x222, 0x333).error;
}

/* The ecall gets the trap that the kernel's own load of the mask would get, and nothing is done. */
static void faults(uint64_t eid, uint64_t address, uint64_t cause, const char *name)
{
    stale(name, 0);
    csr_clear(CSR_SIP, SIP_SSIP);
    CHECK(bare_try(call, eid, address), "legacy call %lu, %s: no trap", eid, name);
    CHECK(bare_trapped.scause == cause && bare_trapped.stval == address,
          "legacy call %lu, %s: scause %#lx, stval %#lx", eid, name, bare_trapped.scause,
          bare_trapped.stval);
    CHECK(bare_read(uint32_t, bare_trapped.sepc) == 0x73, "legacy call %lu, %s: sepc %#lx", eid,
          name, bare_trapped.sepc);
    CHECK(bare_trapped.sstatus & SSTATUS_SPP, "legacy call %lu, %s: not from vS", eid, name);
    CHECK(bare_trapped.x[10] == address && bare_trapped.x[11] == 0x111 && bare_trapped.x[17] == eid,
          "legacy call %lu, %s: registers have changed", eid, name);
    CHECK(!take_ipi(), "legacy call %lu, %s: an ipi was sent", eid, name);
}

static void unreadable(uint64_t eid)
{
    uint64_t user = BARE_FREE + (USER << PAGE_SHIFT), *mask = bare_page();
    bare_map(USER, (uint64_t)mask, RW | PTE_U);
    mask[0] = 1;
    sfence_vma_all();
    csr_clear(CSR_SSTATUS, SSTATUS_SUM);
    faults(eid, BARE_FREE + (NOTHING << PAGE_SHIFT), CAUSE_LOAD_PAGE, "not mapped");
    faults(eid, user, CAUSE_LOAD_PAGE, "vU's page");
    faults(eid, 0x4000000000, CAUSE_LOAD_PAGE, "not canonical");
    faults(eid, BARE_RAM, CAUSE_LOAD_ACCESS, "the firmware's memory");
    csr_set(CSR_SSTATUS, SSTATUS_SUM);
    CHECK(!bare_try(call, eid, user) && bare_returned == 0, "legacy call %lu, vU's page with SUM",
          eid);
    CHECK(take_ipi() == (eid == LEGACY_SEND_IPI), "legacy call %lu, vU's page with SUM: ipi", eid);
    csr_clear(CSR_SSTATUS, SSTATUS_SUM);
}

int main(void)
{
    before = bare_page();
    after = bare_page();
    before[0] = 1;
    after[0] = 2;
    bare_paging();
    const uint64_t masks[] = {1, 3, 0xff, ~0ul};
    for (unsigned i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
        ipi(masks[i], 0, true);
        for (uint64_t function = 0; function < 3; function++)
            rfence(function, masks[i], 0, function != 0);
    }
    ipi(0, 0, false);
    ipi(2, 0, false);
    ipi(~1ul, 0, false);
    ipi(0, ALL, true);
    ipi(2, ALL, true);
    rfence(1, 0, ALL, true);
    rfence(2, 2, ALL, true);
    rfence(1, 0, 0, false);
    rfence(2, ~1ul, 0, false);
    absent();
    legacy_masks();
    unreadable(LEGACY_SEND_IPI);
    unreadable(LEGACY_FENCE_I);
    unreadable(LEGACY_SFENCE);
    unreadable(LEGACY_SFENCE_ASID);
    return bare_failures != 0;
}
