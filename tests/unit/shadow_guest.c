/*
 * A guest for the tests of shadow page tables, guest walk and code patching: random page tables,
 * address spaces and modes, whose memory accesses go through the tables that the shadow made and
 * through a TLB that forgets only when it is told to. What must be seen is what a model of the
 * machine (mmu.h) finds in the guest's own tables.
 *
 * The guest keeps the rule that a change of its tables is followed by a fence that covers it,
 * unless the change only grants more. Then nothing stale may ever be seen.
 */
#include "shadow_guest.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "hart.h"
#include "host/disk.h"
#include "host/hart.h"
#include "host/map.h"
#include "host/panic.h"

uint64_t map_offset;

void panic(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    fail_msg("the VMM panicked");
    abort();
}

/* --- The machine --- */

uint8_t *arena;
uint64_t lent_hpa;
struct vm *vm;
struct vcpu *vcpu;
struct trap_vcpu *own;
struct shadow *shadow;
static struct mmu_tlb tlb;
static unsigned long rounds; /* for messages */
unsigned switches = SWITCH_ALL;
bool stingy;
bool lawless;

bool host_writes_to(const struct host *host, uint64_t hpa, uint64_t len)
{
    assert_null(host);
    return lent_hpa && hpa < lent_hpa + PAGE_SIZE && lent_hpa < hpa + len;
}

uint64_t *host_memory(uint64_t hpa)
{
    return hpa - RAM_GPA < RAM_SIZE + VMM_SIZE ? (uint64_t *)(arena + (hpa - RAM_GPA)) : NULL;
}

uint64_t *guest_memory(uint64_t gpa)
{
    return gpa >= RAM_FIRST && gpa < RAM_GPA + RAM_SIZE ? host_memory(gpa) : NULL;
}

/* The VMM runs through the root that satp names: it must be a living table that maps the VMM. */
static void check_root_alive(void)
{
    uint64_t hpa = (hart_csr[CSR_SATP] & SATP_PPN_MASK) << PAGE_SHIFT;
    if (hart_csr[CSR_SATP] == shadow->host_satp || hart_csr[CSR_SATP] == 0)
        return;
    assert_int_equal(host_memory(hpa)[MAP_ROOT_SLOT], HOST_ENTRY);
    for (void *page = shadow->pool.free; page; page = *(void **)page)
        assert_ptr_not_equal(page, host_memory(hpa));
    for (void *page = shadow->pool.clean; page; page = *(void **)page)
        assert_ptr_not_equal(page, host_memory(hpa));
}

unsigned random_below(unsigned n)
{
    return (unsigned)(lrand48() % n);
}

bool chance(unsigned percent)
{
    return random_below(100) < percent;
}

/* This exit may do little work, and some tables have little credit left. */
static void limit_work(void)
{
    shadow_begin_work(vm);
    shadow->fence_rest = random_below(8);
    shadow->search_rest = chance(80) ? SHADOW_SEARCH : random_below(60);
    for (unsigned i = 0; i < 8 && shadow->pool.next; i++)
        shadow->page[random_below(shadow->pool.next)].credit = (uint16_t)random_below(4);
}

/* A new exit has begun: what an exit may spend, this one may again. */
void next_exit(void)
{
    vcpu->hart->end_instret++;
}

/* As trap_prepare() does (core/engine/trap/trap.c): what has forgotten all translations left no
 * root. */
static void prepare(void)
{
    if (vcpu->changed & VCPU_VIEW)
        shadow_select(vcpu);
}

/* As trap_prepare() and trap_return() do (core/engine/trap/vector.S). */
void enter_guest(void)
{
    prepare();
    vcpu->hart->satp = hart_csr[CSR_SATP] = own->satp;
    check_root_alive();
    if (own->flush)
        memset(&tlb, 0, sizeof(tlb));
    own->flush = 0;
    next_exit();
    if (stingy)
        limit_work();
}

/* --- The guest's tables --- */

struct table tables[TABLES];
static unsigned ntables;
unsigned root_of[2][ROOTS];
uint64_t frames[FRAMES];
unsigned patching;
static unsigned asids; /* in use: space s has ASIDs s, s + 2 * ROOTS, ... */
static uint8_t snapshot[TABLES * PAGE_SIZE];

static const unsigned top_indices[] = {0, 1, 255, 256, 511};
static const unsigned low_indices[] = {0, 3, 511};
static const unsigned page_indices[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 511};
#define GLOBAL_INDEX 511u
#define SOME(array)  ((array)[random_below(sizeof(array) / sizeof((array)[0]))])

static unsigned add_table(unsigned levels, unsigned level, bool global)
{
    assert_true(ntables < TABLES);
    tables[ntables] = (struct table){0x80200000ul + ntables * PAGE_SIZE, levels, level, global};
    return ntables++;
}

static bool is_table(uint64_t gpa)
{
    return gpa - tables[0].gpa < ntables * PAGE_SIZE;
}

static uint64_t random_leaf_address(unsigned level)
{
    static const uint64_t odd[] = {UART_GPA,           WINDOW_GPA, RAM_GPA,
                                   RAM_GPA + RAM_SIZE, 0x10002000, 1ul << 55};
    if (level == 0)
        return chance(85) ? SOME(frames) : SOME(odd);
    if (level > 1)
        return chance(50) ? RAM_GPA : 0; /* 1 GiB that holds RAM, or the devices; 512 GiB */
    return chance(80)   ? RAM_GPA + random_below(9) * (2ul << 20)
           : chance(50) ? UART_GPA
                        : SOME(frames);
}

static uint64_t random_leaf(const struct table *table)
{
    static const uint64_t permissions[] = {2, 6, 8, 10, 14, 14, 10};
    uint64_t address = random_leaf_address(table->level) & ((1ul << 56) - 1);
    if (table->level > 1)
        address &= -(1ul << (12 + 9 * table->level));
    uint64_t pte = address >> 12 << 10 | PTE_V | (chance(96) ? SOME(permissions) : 4);
    pte |= (chance(50) ? PTE_U : 0) | (chance(60) ? PTE_A : 0) | (chance(50) ? PTE_D : 0);
    pte |= table->global && chance(70) ? PTE_G : 0;
    return pte | (chance(3) ? 1ul << (54 + random_below(10)) : 0);
}

static uint64_t random_entry(const struct table *table)
{
    unsigned kind = random_below(100);
    bool root = table->level == table->levels - 1;
    if (kind < 8)
        return random_leaf(table) & ~(uint64_t)PTE_V;
    if (table->level == 0 || kind > (root ? 95 : 70))
        return random_leaf(table);
    unsigned child;
    do
        child = random_below(ntables);
    while (tables[child].levels != table->levels || tables[child].level != table->level - 1 ||
           tables[child].global != table->global);
    uint64_t gpa = chance(98) ? tables[child].gpa : chance(50) ? UART_GPA : RAM_GPA + RAM_SIZE;
    return gpa >> 12 << 10 | PTE_V | (table->global && chance(30) ? PTE_G : 0) |
           (chance(2) ? PTE_A : 0);
}

static unsigned random_index(const struct table *table)
{
    return table->level == table->levels - 1 ? SOME(top_indices)
           : table->level > 0                ? SOME(low_indices)
                                             : SOME(page_indices);
}

/* A store to guest memory that does not go through the shadow, as a device's. */
void store_entry(uint64_t gpa, uint64_t pte)
{
    uint64_t *entry = vm_ram_for_write(vm, gpa, 8);
    assert_non_null(entry);
    *entry = pte;
}

/* The root entry GLOBAL_INDEX is the same in all roots of a mode: what lies below may be global. */
static void put_entry(const struct table *table, unsigned index, uint64_t pte)
{
    if (table->level < table->levels - 1 || index != GLOBAL_INDEX) {
        store_entry(table->gpa + 8 * index, pte);
        return;
    }
    for (unsigned i = 0; i < ROOTS; i++)
        store_entry(tables[root_of[table->levels - 3][i]].gpa + 8 * index, pte);
}

static uint64_t random_for(const struct table *table, unsigned index)
{
    struct table as = *table;
    as.global |= table->level == table->levels - 1 && index == GLOBAL_INDEX;
    return random_entry(&as);
}

void take_snapshot(void)
{
    memcpy(snapshot, host_memory(tables[0].gpa), ntables * PAGE_SIZE);
}

static void make_tables(void)
{
    ntables = 0;
    for (unsigned levels = 3; levels <= 4; levels++) {
        for (unsigned i = 0; i < ROOTS; i++)
            root_of[levels - 3][i] = add_table(levels, levels - 1, false);
        for (unsigned level = 0; level < levels - 1; level++)
            for (unsigned i = 0; i < 6; i++)
                add_table(levels, level, i >= 4);
    }
    for (unsigned i = 0; i < FRAMES; i++) /* some next to each other, some in the tables' block */
        frames[i] = RAM_GPA + 0x300000 + (i / 3) * 0xc0000 + (i % 3) * PAGE_SIZE;
    frames[0] = RAM_FIRST;
    frames[1] = RAM_GPA + RAM_SIZE - PAGE_SIZE;
    frames[2] = tables[ntables - 1].gpa + 5 * PAGE_SIZE;
    frames[3] = tables[6].gpa; /* code and table in one page */
    frames[4] = tables[ntables - 3].gpa;
    for (unsigned i = 0; i < ntables; i++) {
        bool root = tables[i].level == tables[i].levels - 1;
        for (unsigned index = 0; index < 512; index++) {
            bool used = false;
            for (unsigned j = 0; j < sizeof(page_indices) / sizeof(page_indices[0]); j++)
                used |= tables[i].level == 0 && page_indices[j] == index;
            for (unsigned j = 0; j < 3; j++)
                used |= tables[i].level > 0 && !root && low_indices[j] == index;
            for (unsigned j = 0; j < 5; j++)
                used |= root && top_indices[j] == index;
            if (used)
                put_entry(&tables[i], index, random_for(&tables[i], index));
        }
    }
}

/* --- Addresses and spaces --- */

static uint64_t canonical(uint64_t va, unsigned levels)
{
    unsigned unused = 64 - (12 + 9 * levels);
    return (uint64_t)((int64_t)(va << unused) >> unused);
}

static uint64_t random_va(unsigned levels)
{
    if (levels < 3 || chance(1)) { /* paging off, or nonsense */
        static const uint64_t odd[] = {0xffff800080200000, 0xff00000080200000, 0x8000000000,
                                       UART_GPA, 0};
        return chance(70)   ? SOME(frames) + random_below(PAGE_SIZE)
               : chance(50) ? WINDOW_GPA + 8
                            : SOME(odd);
    }
    uint64_t va = (uint64_t)SOME(top_indices) << (12 + 9 * (levels - 1));
    for (unsigned level = 1; level < levels - 1; level++)
        va |= (uint64_t)SOME(low_indices) << (12 + 9 * level);
    return canonical(va | (uint64_t)SOME(page_indices) << 12 | random_below(PAGE_SIZE), levels);
}

static unsigned space_levels(uint64_t satp)
{
    return satp >> 60 ? (unsigned)(satp >> 60) - 5 : 0;
}

static uint64_t random_satp(void)
{
    if (chance(6))
        return 0;
    unsigned asid = random_below(asids), space = asid % (2 * ROOTS), levels = 3 + space / ROOTS;
    if (levels == 4 && shadow->host_levels == 4)
        levels = 3;
    return (uint64_t)(levels + 5) << 60 | (uint64_t)asid << 44 |
           tables[root_of[levels - 3][space % ROOTS]].gpa >> 12;
}

static uint64_t satp_of(unsigned asid)
{
    unsigned space = asid % (2 * ROOTS), levels = shadow->host_levels == 4 ? 3 : 3 + space / ROOTS;
    return (uint64_t)(levels + 5) << 60 | (uint64_t)asid << 44 |
           tables[root_of[levels - 3][space % ROOTS]].gpa >> 12;
}

static struct mmu_hart current(void)
{
    return (struct mmu_hart){
        .satp = vcpu->csr.satp,
        .user = vcpu->mode == VMODE_U,
        .sum = vcpu->csr.sstatus & SSTATUS_SUM,
        .mxr = vcpu->csr.sstatus & SSTATUS_MXR,
    };
}

void set_mode(unsigned bits)
{
    vcpu->mode = bits & 1 ? VMODE_U : VMODE_S;
    vcpu->csr.sstatus = (bits & 2 ? SSTATUS_SUM : 0) | (bits & 4 ? SSTATUS_MXR : 0);
    shadow_select(vcpu);
}

/* --- One access of the guest --- */

static bool is_window(uint64_t gpa)
{
    return gpa - WINDOW_GPA < PAGE_SIZE;
}

/* Where the machine must end up for an access that the guest's tables allow. */
static uint64_t expected_hpa(const struct mmu_hart *hart, uint64_t gpa, enum access access)
{
    if (is_window(gpa))
        return gpa - WINDOW_GPA + WINDOW_HPA;
    uint16_t copy = shadow->patch[(gpa - RAM_GPA) >> 12];
    if (copy && !hart->user && access == ACCESS_FETCH)
        return map_pointer_hpa(shadow->pool.base) + (copy - 1) * PAGE_SIZE + gpa % PAGE_SIZE;
    return gpa;
}

struct mmu_result machine(uint64_t root_hpa, uint64_t va, enum access access)
{
    struct mmu_hart hart = {.satp = (uint64_t)(shadow->host_levels + 5) << 60 | root_hpa >> 12,
                            .user = true};
    return mmu_translate(&hart, va, access, host_memory);
}

uint64_t current_root(void)
{
    prepare();
    return map_pointer_hpa(own->root->table);
}

/* A leaf, with A and D as any space has set them: a global one in the root entry that all spaces
 * share stands in each root, and is one translation. */
static uint64_t leaf_of_all(const uint64_t *leaf)
{
    uint64_t pte = *leaf;
    for (unsigned i = 0; i < 2 * ROOTS && (pte & PTE_G); i++) {
        const struct table *of = &tables[root_of[i / ROOTS][i % ROOTS]];
        if (leaf != guest_memory(of->gpa + 8 * GLOBAL_INDEX))
            continue;
        for (unsigned other = 0; other < ROOTS; other++)
            pte |= *guest_memory(tables[root_of[i / ROOTS][other]].gpa + 8 * GLOBAL_INDEX) &
                   (PTE_A | PTE_D);
    }
    return pte;
}

/* What the machine lets through must be what the guest's tables say, with A and D already set. */
static void check_allowed(const struct mmu_hart *hart, uint64_t va, enum access access,
                          uint64_t hpa)
{
    struct mmu_result guest = mmu_translate(hart, va, access, guest_memory);
    if (lawless) /* any memory of its own, then, but no copy to write or read */
        assert_true((hpa & ~PAGE_MASK) == WINDOW_HPA || guest_memory(hpa) ||
                    (access == ACCESS_FETCH && !hart->user && hpa >= VMM_HPA));
    if (lawless)
        return;
    if (guest.cause)
        fail_msg("round %lu: satp %#lx user %d sum %d mxr %d: access %d to %#lx is allowed but "
                 "should be cause %lu",
                 rounds, hart->satp, hart->user, hart->sum, hart->mxr, (int)access, va,
                 guest.cause);
    assert_int_equal(hpa, expected_hpa(hart, guest.address, access));
    if (guest.leaf) {
        assert_true(leaf_of_all(guest.leaf) & PTE_A);
        assert_true(access != ACCESS_STORE || (leaf_of_all(guest.leaf) & PTE_D));
    }
    if (access == ACCESS_STORE && !is_window(guest.address))
        assert_int_equal(shadow->patch[(guest.address - RAM_GPA) >> 12], 0);
}

/* The guest's tables are as before but for A, and D of a store, in the leaf. */
static void check_accessed_dirty(const struct mmu_result *guest, enum access access)
{
    if (guest->leaf && !guest->cause)
        snapshot[(uint8_t *)guest->leaf - (uint8_t *)host_memory(tables[0].gpa)] |=
            (uint8_t)(PTE_A | (access == ACCESS_STORE ? PTE_D : 0));
    assert_memory_equal(snapshot, host_memory(tables[0].gpa), ntables * PAGE_SIZE);
}

static void check_current_root(void)
{
    prepare();
    assert_non_null(own->root);
    unsigned index = (unsigned)(own->root - own->space->root);
    bool bare = vcpu->csr.satp == 0, user = vcpu->mode == VMODE_U;
    assert_int_equal(own->space->satp, vcpu->csr.satp);
    assert_in_range(index, 0, SHADOW_ROOTS - 1);
    assert_int_equal(index / 2 == VIEW_USER, user);
    if (index / 2 == VIEW_KERNEL_SUM)
        assert_true(vcpu->csr.sstatus & SSTATUS_SUM);
    assert_int_equal(index & 1, !bare && (vcpu->csr.sstatus & SSTATUS_MXR));
    enter_guest();
    assert_int_equal((hart_csr[CSR_SATP] & SATP_PPN_MASK) << 12, current_root());
    assert_int_equal(hart_csr[CSR_SATP], own->root->satp);
    unsigned slot = (unsigned)(own->space - shadow_of(vm)->space); /* an ASID for each root */
    assert_int_equal(hart_csr[CSR_SATP] >> 44 & 0xffff, 1 + slot * SHADOW_ROOTS + index);
}

/* The kernel's access is one that SUM permits, and its process's root has the page now. */
static void check_in_user_view(const struct mmu_hart *hart, uint64_t va, enum access access)
{
    assert_true(hart->sum && !hart->user && vm->options.patch == PATCH_CLUSTER);
    const struct shadow_root *root = &own->space->root[shadow_root_index(VIEW_USER, hart->mxr)];
    assert_int_equal(machine(map_pointer_hpa(root->table), va, access).cause, 0);
}

/* The shadow's answer to a fault of the machine. True: the access is over, by a fault or
 * emulation. */
static bool answered(uint64_t va, enum access access)
{
    struct mmu_hart hart = current();
    struct mmu_result guest = mmu_translate(&hart, va, access, guest_memory);
    uint64_t gpa = 0, cause = 0;
    enum shadow_answer answer = shadow_fault(vcpu, va, access, &gpa, &cause);
    check_accessed_dirty(&guest, access);
    check_current_root();
    if (answer == SHADOW_GUEST) {
        assert_int_not_equal(guest.cause, 0);
        assert_int_equal(cause, guest.cause);
        return true;
    }
    assert_int_equal(guest.cause, 0);
    if (answer == SHADOW_USER) {
        check_in_user_view(&hart, va, access);
        shadow_reach_user(vcpu);
        return false;
    }
    bool backed = is_window(guest.address) || guest_memory(guest.address);
    assert_int_equal(answer == SHADOW_MMIO, !backed);
    if (answer == SHADOW_RETRY) { /* what was asked for is there now */
        assert_int_equal(machine(current_root(), va, access).cause, 0);
        return false;
    }
    assert_int_equal(gpa, guest.address);
    if (answer == SHADOW_PATCHED) {
        assert_int_equal(access, ACCESS_LOAD);
        assert_int_not_equal(shadow->patch[(gpa - RAM_GPA) >> 12], 0);
    }
    return true;
}

static void act(uint64_t va, enum access access, uint64_t hpa)
{
    uint64_t *memory = host_memory(hpa & ~7ul);
    if (access == ACCESS_STORE && memory && !is_table(hpa)) /* tables change by mutate() alone */
        *memory = (uint64_t)mrand48();
    if (access == ACCESS_FETCH && vcpu->mode == VMODE_S && chance(patching)) {
        patch_site(vcpu, va & ~1ul, &(struct insn){0});
        if (chance(50))
            patch_repair(vcpu, va & ~1ul);
    }
}

/* Through the TLB, then the tables, then a fault and again: a permitted access gets there. */
void access_memory(uint64_t va, enum access access)
{
    for (unsigned tries = 0; tries < 4; tries++) {
        struct mmu_hart hart = current();
        enter_guest();
        uint64_t satp = hart_csr[CSR_SATP], hpa = mmu_tlb_find(&tlb, satp, va, access);
        if (hpa == UINT64_MAX && !mmu_tlb_refuses(&tlb, satp, va)) {
            struct mmu_result result = machine((satp & SATP_PPN_MASK) << 12, va, access);
            if (!result.cause) {
                hpa = result.address & ~PAGE_MASK;
                mmu_tlb_put(&tlb, satp, va, hpa, *result.leaf);
            }
        }
        if (hpa != UINT64_MAX) {
            check_allowed(&hart, va, access, hpa | (va & PAGE_MASK));
            act(va, access, hpa | (va & PAGE_MASK));
            return;
        }
        if (answered(va, access))
            return;
    }
    fail_msg("round %lu: access %d to %#lx does not get through", rounds, (int)access, va);
}

/* --- Changes of the guest's tables, each with its fence --- */

static bool is_pointer(uint64_t pte)
{
    return (pte & PTE_V) && !(pte & (PTE_R | PTE_X));
}

static void check_space(uint64_t satp, uint64_t va);

/* Fences every address whose walk meets an entry, then looks whether the old translation is
 * gone. */
static void fence_addresses(uint64_t entry_gpa, unsigned level, bool global, bool by_asid)
{
    static struct {
        uint64_t satp, va;
    } hit[2048];
    unsigned hits = 0;
    for (unsigned asid = 0; asid < asids; asid++) {
        struct mmu_hart hart = {.satp = satp_of(asid)};
        unsigned levels = space_levels(hart.satp);
        for (unsigned i = 0; i < 5 * 3 * 3 * 11; i++) {
            uint64_t va = (uint64_t)top_indices[i % 5] << (12 + 9 * (levels - 1)) |
                          (uint64_t)low_indices[i / 5 % 3] << 21 |
                          (uint64_t)page_indices[i / 45] << 12;
            if (levels == 4)
                va |= (uint64_t)low_indices[i / 15 % 3] << 30;
            va = canonical(va, levels);
            struct mmu_result result = mmu_translate(&hart, va, ACCESS_LOAD, guest_memory);
            bool met = false;
            for (unsigned step = 0; step < result.steps; step++)
                met |= result.path[step] == entry_gpa;
            if (!met)
                continue;
            if (hits < 2048)
                hit[hits++].satp = hart.satp, hit[hits - 1].va = va;
            uint64_t mask = (4096ul << 9 * level) - 1; /* any address in the page will do */
            va = (va & ~mask) | ((uint64_t)mrand48() & mask);
            shadow_fence(vcpu, FENCE_ADDRESS | (by_asid && !global ? FENCE_ASID : 0), va, asid);
        }
    }
    for (unsigned i = 0; i < hits; i++)
        check_space(hit[i].satp, hit[i].va);
}

static void fence_all(bool global)
{
    if (global || chance(20)) {
        shadow_fence(vcpu, FENCE_ALL, 0, 0);
        return;
    }
    for (unsigned asid = 0; asid < asids; asid++)
        shadow_fence(vcpu, FENCE_ASID, 0, asid);
}

static void mutate(void)
{
    const struct table *table = &tables[random_below(ntables)];
    unsigned index = random_index(table);
    uint64_t gpa = table->gpa + 8 * index, old = *guest_memory(gpa), new = random_for(table, index);
    bool root = table->level == table->levels - 1;
    bool global = table->global || (root && index == GLOBAL_INDEX);
    if (lawless) {
        put_entry(table, index, new);
        take_snapshot();
        return;
    }
    bool was_leaf = (old & PTE_V) && (old & (PTE_R | PTE_X));
    if (was_leaf && chance(30)) { /* more rights: no fence is needed */
        new = old | (old & PTE_R && chance(50) ? PTE_W : 0) | (chance(50) ? PTE_X : 0);
        put_entry(table, index, new);
    } else if (!(old & PTE_V) && chance(50)) {
        put_entry(table, index, new);
    } else if (!is_pointer(old) && !is_pointer(new) && !(root && index == GLOBAL_INDEX) &&
               chance(70)) {
        put_entry(table, index, new);
        fence_addresses(gpa, table->level, global, chance(50));
    } else {
        put_entry(table, index, new);
        fence_all(global);
    }
    take_snapshot();
}

/* --- The whole state --- */

struct recount {
    uint8_t leaves[RAM_SIZE >> 12], blocks[RAM_SIZE >> 21];
    uint64_t giants, pages;
};

/* Of what tables a tree consists. Of buried ones it is no longer known whose they were. */
enum tree { TREE_USER, TREE_KERNEL, TREE_BURIED };

/* A copy is not counted: where it is mapped follows from pool_page.gva. */
static bool is_counted(uint64_t pte, enum tree tree)
{
    uint64_t hpa = PTE_PPN(pte) << 12;
    if (hpa == WINDOW_HPA || (pte & PTE_PATCHED))
        return false;
    return tree == TREE_BURIED ? pte & PTE_COUNTED
                               : (pte & PTE_W) || (tree == TREE_KERNEL && (pte & PTE_X));
}

static void check_copy_leaf(uint64_t pte)
{
    if (!(pte & PTE_PATCHED))
        return;
    uint32_t page = pool_index(&shadow->pool, host_memory(PTE_PPN(pte) << 12));
    assert_int_equal(shadow->patch[shadow->page[page].frame], page + 1);
    assert_int_not_equal(shadow->page[page].gva, 0);
}

static bool count_table(struct recount *count, const uint64_t *table, unsigned level,
                        enum tree tree)
{
    uint32_t page = pool_index(&shadow->pool, table);
    bool code = false;
    count->pages++;
    for (unsigned i = 0; i < 512; i++) {
        uint64_t pte = table[i], hpa = PTE_PPN(pte) << 12;
        bool top = level == shadow->host_levels - 1;
        if (!pte || (top && (i == MAP_ROOT_SLOT || (pte & PTE_SHARED))))
            continue;
        assert_true(shadow->page[page].groups >> (i / 8) & 1);
        if (!shadow_is_leaf(pte)) {
            if (tree != TREE_BURIED) /* what it names is buried when it is dug up */
                code |= count_table(count, (uint64_t *)host_memory(hpa), level - 1, tree);
            continue;
        }
        if (tree != TREE_BURIED)
            check_copy_leaf(pte);
        code |= shadow_is_code(pte);
        if (!is_counted(pte, tree))
            continue;
        if (level == 0)
            count->leaves[(hpa - RAM_GPA) >> 12]++;
        else if (level == 1)
            count->blocks[(hpa - RAM_GPA) >> 21]++;
        else
            count->giants++;
    }
    assert_true(shadow->page[page].code || !code || tree == TREE_BURIED);
    return code;
}

/* A table that is buried, and those that it names. */
static void count_buried(struct recount *count, const uint64_t *table, unsigned level)
{
    count_table(count, table, level, TREE_BURIED);
    for (unsigned i = 0; i < 512; i++)
        if (table[i] && !shadow_is_leaf(table[i]) &&
            !(level == shadow->host_levels - 1 && (table[i] & PTE_SHARED)))
            count_buried(count, host_memory(PTE_PPN(table[i]) << 12), level - 1);
}

void check_counts(void)
{
    static struct recount count;
    memset(&count, 0, sizeof(count));
    for (unsigned i = 0; i < SHADOW_SPACES; i++) {
        const struct shadow_space *space = &shadow->space[i];
        for (unsigned r = 0; r < SHADOW_ROOTS; r++) {
            if (!space->root[r].table)
                continue;
            assert_int_not_equal(space->used, 0);
            assert_int_equal(space->root[r].table[MAP_ROOT_SLOT], HOST_ENTRY);
            count_table(&count, space->root[r].table, shadow->host_levels - 1,
                        r / 2 != VIEW_USER ? TREE_KERNEL : TREE_USER);
        }
    }
    for (unsigned i = 0; i < SHADOW_UPPERS; i++)
        if (shadow->upper[i])
            count_table(&count, shadow->upper[i], shadow->host_levels - 2, TREE_KERNEL);
    for (uint64_t next = shadow->buried; next;) {
        uint32_t page = (uint32_t)(next >> 8) - 1;
        count_buried(&count, (uint64_t *)(shadow->pool.base + ((uint64_t)page << 12)), next & 0xff);
        next = shadow->page[page].origin;
    }
    for (unsigned i = 0; i < sizeof(count.leaves); i++) /* or it is "many" */
        assert_true(count.leaves[i] == shadow->leaves[i] || shadow->leaves[i] == UINT8_MAX);
    for (unsigned i = 0; i < sizeof(count.blocks); i++)
        assert_true(count.blocks[i] == shadow->block_leaves[i] ||
                    shadow->block_leaves[i] == UINT8_MAX);
    assert_int_equal(count.giants, shadow->giant_leaves);
    assert_int_equal(count.pages + shadow->copies, vm->stats.memory.pool.pages);
    assert_in_range(vm->stats.memory.pool.pages, 1, shadow->pool.pages);
}

/* Every copy equals its original but for ECALLs, of which one may begin in another's middle, and is
 * known to the tables by frame. */
void check_copies(void)
{
    unsigned copies = 0;
    unsigned blocks[RAM_SIZE >> 21] = {0};
    for (unsigned frame = 0; frame < RAM_SIZE >> 12; frame++) {
        if (!shadow->patch[frame])
            continue;
        unsigned page = shadow->patch[frame] - 1u;
        const uint8_t *copy = shadow->pool.base + page * PAGE_SIZE;
        const uint8_t *original = arena + frame * PAGE_SIZE;
        copies++;
        blocks[frame >> 9]++;
        assert_int_equal(shadow->page[page].frame, frame);
        for (unsigned i = 0; i < PAGE_SIZE; i += 2) {
            if (memcmp(copy + i, original + i, 2) == 0)
                continue;
            uint16_t half, before = 0;
            memcpy(&half, copy + i, 2);
            if (i)
                memcpy(&before, copy + i - 2, 2);
            assert_true(half == 0x73 || (half == 0 && before == 0x73));
        }
    }
    assert_int_equal(copies, shadow->copies);
    for (unsigned i = 0; i < copies; i++)
        assert_int_equal(shadow->page[shadow->copy_list[i]].slot, i);
    for (unsigned i = 0; i < RAM_SIZE >> 21; i++)
        assert_int_equal(blocks[i], shadow->block_patches[i]);
}

/* Root r of a space lets nothing through that its view must not. */
static void check_root(const struct shadow_space *space, unsigned r, uint64_t va,
                       enum access access)
{
    struct mmu_hart hart = {
        .satp = space->satp,
        .user = r / 2 == VIEW_USER,
        .sum = r / 2 == VIEW_KERNEL_SUM,
        .mxr = r & 1,
    };
    struct mmu_result result = machine(map_pointer_hpa(space->root[r].table), va, access);
    if (!result.cause)
        check_allowed(&hart, va, access, result.address);
}

static void check_space(uint64_t satp, uint64_t va)
{
    for (unsigned i = 0; i < SHADOW_SPACES; i++)
        for (unsigned r = 0; r < SHADOW_ROOTS; r++)
            for (unsigned access = 0; access < 3; access++)
                if (shadow->space[i].root[r].table && shadow->space[i].satp == satp &&
                    !shadow->space[i].stale)
                    check_root(&shadow->space[i], r, va, (enum access)access);
}

void check_roots(void)
{
    for (unsigned i = 0; i < SHADOW_SPACES; i++) {
        const struct shadow_space *space = &shadow->space[i];
        for (unsigned r = 0; r < SHADOW_ROOTS; r++)
            for (unsigned n = 0; n < 60 && space->root[r].table && !space->stale; n++)
                check_root(space, r, random_va(space_levels(space->satp)),
                           (enum access)random_below(3));
    }
}

/* --- Runs --- */

/* Of the trap engine's, what writes to RAM ask for. */
static const struct engine engine = {.name = "test", .ram_written = patch_drop_range};

void start(unsigned host_levels, unsigned pool_pages, unsigned in_use)
{
    hart_reset();
    memset(arena, 0, RAM_SIZE + VMM_SIZE);
    memset(vm, 0, sizeof(*vm));
    memset(vcpu, 0, sizeof(*vcpu));
    memset(own, 0, sizeof(*own));
    memset(&tlb, 0, sizeof(tlb));
    vm->ram = (struct vm_ram_range){.gpa = RAM_GPA, .size = RAM_SIZE, .first = RAM_FIRST};
    vm->options.patch = PATCH_ECALL;
    vm->options.shadow = switches;
    vm->engine = &engine;
    vm->vcpus[0] = vcpu;
    vcpu->vm = vm;
    vcpu->hart = hart_this();
    vcpu->engine = own;
    own->fault_gva = SHADOW_NO_FAULT;
    const struct engine_memory memory = {
        .base = map_hpa(VMM_HPA),
        .size = VMM_SIZE,
        .satp = (uint64_t)(host_levels + 5) << 60 | 0x12345,
        .map_entry = HOST_ENTRY,
    };
    uint64_t used = 0;
    shadow_init(vm, &memory, &used);
    shadow = shadow_of(vm);
    assert_true(pool_pages <= shadow->pool.pages);
    shadow->pool.pages = pool_pages;
    shadow->copies_limit = pool_pages / 2;
    shadow->mapping[0] = (struct shadow_mapping){WINDOW_GPA, WINDOW_HPA, PAGE_SIZE};
    asids = in_use;
    make_tables();
    take_snapshot();
    hart_on_satp = check_root_alive;
    set_mode(0);
}

static void device_write(void)
{
    uint64_t gpa = SOME(frames) + random_below(PAGE_SIZE / 2), len = 1 + random_below(PAGE_SIZE);
    if (is_table(gpa) || is_table(gpa + len - 1))
        return;
    uint8_t *bytes = vm_ram_for_write(vm, gpa, len);
    if (gpa + len > RAM_GPA + RAM_SIZE) {
        assert_null(bytes);
        return;
    }
    assert_non_null(bytes);
    for (uint64_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)lrand48();
}

/* By an address, hardly ever of all; sometimes by an ASID. */
static void random_fence(void)
{
    unsigned by = (chance(98) ? FENCE_ADDRESS : 0) | (chance(50) ? FENCE_ASID : 0);
    uint64_t va = chance(90) ? random_va(3 + random_below(2)) : (uint64_t)mrand48() << 30;
    shadow_fence(vcpu, by, va, random_below(asids + 2));
}

static void one_round(void)
{
    /* With more spaces than slots there are more switches, and less that empties the slots. */
    bool many = asids > SHADOW_SPACES;
    switch (many && chance(90) ? 3 + random_below(2) + 5 * random_below(2) : random_below(40)) {
    case 0:
    case 1:
    case 2: set_mode(random_below(8)); return;
    case 3:
    case 4:
        vcpu->csr.satp = random_satp();
        shadow_select(vcpu);
        return;
    case 5: mutate(); return;
    case 6: /* a fence for no reason, by anything */ random_fence(); return;
    case 7:
        if (chance(30))
            device_write();
        return;
    default:
        vm->options.patch = chance(50) ? PATCH_CLUSTER : PATCH_ECALL;
        access_memory(random_va(space_levels(vcpu->csr.satp)), (enum access)random_below(3));
        check_current_root();
    }
}

/* What a switch turns off does not happen, and what it leaves on does. */
static void expect_use(unsigned bit, uint64_t count, bool sure)
{
    if (!(switches & bit))
        assert_int_equal(count, 0);
    else if (sure)
        assert_int_not_equal(count, 0);
}

void run(unsigned host_levels, unsigned pool_pages, unsigned in_use, unsigned long count)
{
    start(host_levels, pool_pages, in_use);
    patching = 12;
    for (rounds = 0; rounds < count; rounds++) {
        one_round();
        prepare();
        if (rounds % 64 == 0) {
            check_counts();
            check_roots();
        }
        if (rounds % 512 == 0)
            check_copies();
        if (rounds % 20000 == 19999) { /* the VM starts anew */
            shadow_reset(vm);
            patch_reset(vm);
            assert_int_equal(vm->stats.memory.pool.pages, 0);
            prepare();
            check_counts();
            assert_int_equal(vm->stats.memory.pool.pages, 1);
            assert_int_equal(shadow->copies, 0);
        }
    }
    /* The run has seen what it is for. */
    const struct stats_memory *memory = &vm->stats.memory;
    assert_true(memory->fills > count / 20);
    bool sure = count >= 10000 && in_use <= SHADOW_SPACES; /* there was time for it */
    expect_use(SWITCH_PREFILL, memory->prefills, sure);
    expect_use(SWITCH_SUPERPAGES, memory->superpages, sure);
    expect_use(SWITCH_CACHE, memory->space_hits, sure);
    expect_use(SWITCH_SHARED, memory->shared_fills, sure);
    expect_use(SWITCH_RETRY, memory->early_fills, sure);
    expect_use(SWITCH_FENCE, memory->kept, sure);
    expect_use(SWITCH_FENCE, memory->forgotten, sure);
    if (count >= 10000)
        assert_true(memory->patched_sites > 10 && memory->dropped_patches > 5);
    if (count >= 10000 && (pool_pages < 40 || in_use > SHADOW_SPACES))
        assert_true(memory->evictions > 20);
}

/* --- A small guest --- */

uint64_t start_small(void)
{
    switches = SWITCH_ALL;
    start(4, PLENTY, 8);
    uint64_t root = tables[root_of[0][0]].gpa, middle = root + 64 * PAGE_SIZE;
    uint64_t last = middle + PAGE_SIZE;
    memset(host_memory(root), 0, PAGE_SIZE);
    store_entry(root, middle >> 12 << 10 | PTE_V);
    store_entry(middle, last >> 12 << 10 | PTE_V);
    vcpu->csr.satp = 8ul << 60 | 7ul << 44 | root >> 12;
    set_mode(0);
    take_snapshot();
    return last;
}

uint64_t page_entry(unsigned frame, uint64_t bits)
{
    return frames[frame] >> 12 << 10 | PTE_V | PTE_R | bits;
}

bool is_mapped(uint64_t va, enum access access)
{
    return machine(current_root(), va, access).cause == 0;
}

void expect(uint64_t va, enum access access, enum shadow_answer answer)
{
    uint64_t gpa, cause;
    assert_int_equal(shadow_fault(vcpu, va, access, &gpa, &cause), answer);
}

int set_up(void **state)
{
    (void)state;
    arena = aligned_alloc(2ul << 20, RAM_SIZE + VMM_SIZE);
    vm = malloc(sizeof(*vm));
    vcpu = malloc(sizeof(*vcpu));
    own = malloc(sizeof(*own));
    map_offset = (uint64_t)arena - RAM_GPA;
    return arena && vm && vcpu && own ? 0 : -1;
}

int tear_down(void **state)
{
    (void)state;
    free(arena);
    free(own);
    free(vcpu);
    free(vm);
    return 0;
}
