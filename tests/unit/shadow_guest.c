/*
 * A guest for the tests of shadow page tables, guest walk and code patching: random page tables,
 * address spaces and modes, whose memory accesses go through the tables that the shadow made and
 * through a TLB that forgets only when it is told to. What must be seen is what a model of the
 * machine (mmu.h) finds in the guest's own tables.
 *
 * The guest keeps the rule that a change of its tables is followed by a fence that covers it,
 * unless the change only grants more. Then nothing stale may ever be seen.
 */
#include "shadow_guest_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hart.h"
#include "host/disk.h"
#include "host/hart.h"
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
unsigned long rounds;
unsigned switches = SWITCH_ALL;
bool stingy;
bool lawless;
unsigned patching;
unsigned asids;

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

void prepare(void)
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

/* --- One access of the guest --- */

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
    if (answer == SHADOW_GUEST || answer == SHADOW_ABSENT) {
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

/* --- Its start --- */

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
