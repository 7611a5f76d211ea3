/*
 * Fences that put tables aside, what is buried, and how much work one exit does: shadow_renew.c,
 * shadow_drop.c, shadow_search.c. The random guest of shadow_guest.h runs with next to no work
 * allowed, so that all it maps is put aside and taken up again all the time; the single cases count
 * what is looked at.
 */
#include <stdlib.h>
#include <string.h>

#include "shadow_guest.h"

/* All that random programs do, while fences put aside nearly everything and searches are too
 * long. */
static void test_random_and_stingy(void **state)
{
    (void)state;
    stingy = true;
    for (unsigned seed = 11; seed < 14; seed++) {
        srand48(seed);
        run(4, PLENTY, 8, 20000);
        run(5, PLENTY, 8, 20000);
        assert_true(vm->stats.memory.set_aside > 1000);
        assert_true(vm->stats.memory.taken_up > 200);
    }
    srand48(14);
    run(5, 24, 8, 20000);
    run(4, 48, 100, 20000);
    stingy = false;
}

static void test_switches_and_stingy(void **state)
{
    (void)state;
    srand48(15);
    stingy = true;
    for (unsigned bit = 1; bit <= SWITCH_ALL + 1; bit <<= 1) {
        switches = bit <= SWITCH_ALL ? SWITCH_ALL & ~bit : 0;
        run(4, PLENTY, 8, 4000);
        run(5, 24, 8, 3000);
    }
    switches = SWITCH_ALL;
    stingy = false;
}

static void test_lawless_and_stingy(void **state)
{
    (void)state;
    srand48(16);
    lawless = stingy = true;
    run(4, PLENTY, 8, 10000);
    run(5, 24, 8, 10000);
    lawless = stingy = false;
}

/* --- A large space --- */

#define LARGE_TABLES 24u /* level-0 tables, of 512 pages each */
#define LARGE_BITS   (PTE_R | PTE_W | PTE_A | PTE_D)
#define LARGE_GPA    (RAM_GPA + 0x800000) /* the guest's tables */
#define REGION       (2ul << 20)
#define TARGETS      (RAM_GPA + 0x200000) /* 512 frames that each region maps */

/* A guest that maps LARGE_TABLES regions from address 0 on, all of them in the shadow too, and what
 * it mapped. */
static uint64_t start_large(uint64_t bits)
{
    start_small();
    uint64_t root = (vcpu->csr.satp & SATP_PPN_MASK) << PAGE_SHIFT;
    uint64_t middle = LARGE_GPA - PAGE_SIZE;
    store_entry(root, middle >> 12 << 10 | PTE_V);
    for (unsigned i = 0; i < LARGE_TABLES; i++) {
        uint64_t last = LARGE_GPA + i * PAGE_SIZE;
        store_entry(middle + 8 * i, last >> 12 << 10 | PTE_V);
        for (unsigned j = 0; j < 512; j++)
            store_entry(last + 8 * j, (TARGETS + j * PAGE_SIZE) >> 12 << 10 | PTE_V | bits);
    }
    shadow_fence(vcpu, FENCE_ALL, 0, 0);
    for (uint64_t va = 0; va < LARGE_TABLES * REGION; va += 8 * PAGE_SIZE) {
        next_exit();
        expect(va, ACCESS_LOAD, SHADOW_RETRY);
    }
    take_snapshot();
    check_counts();
    return LARGE_GPA;
}

static uint64_t compared(void)
{
    return vm->stats.memory.kept + vm->stats.memory.forgotten;
}

static void full_fence(void)
{
    next_exit();
    shadow_fence(vcpu, FENCE_ALL, 0, 0);
}

/* One fence compares no more than an exit may, and fences for nothing come to compare nothing. */
static void test_fence_does_not_grow(void **state)
{
    (void)state;
    start_large(LARGE_BITS);
    uint64_t before = compared();
    full_fence();
    assert_true(compared() - before <= 8 * (SHADOW_FENCE_GROUPS + 64));
    for (unsigned i = 0; i < 16; i++)
        full_fence();
    before = compared();
    uint64_t flushes = vm->stats.memory.tlb_flushes;
    full_fence();
    assert_int_equal(compared(), before);
    assert_int_equal(vm->stats.memory.tlb_flushes, flushes);
    assert_false(is_mapped(0, ACCESS_LOAD));
    check_counts();
}

/* Several fences of one exit share what it may compare. */
static void test_fences_of_one_exit(void **state)
{
    (void)state;
    start_large(LARGE_BITS);
    uint64_t before = compared();
    next_exit();
    for (unsigned i = 0; i < 100; i++)
        shadow_fence(vcpu, FENCE_ALL, 0, 0);
    assert_true(compared() - before <= 8 * (SHADOW_FENCE_GROUPS + 64));
    check_counts();
}

/* A table that is in use is not put aside: each of its faults gives it credit. */
static void test_in_use_stays(void **state)
{
    (void)state;
    uint64_t last = start_small(), bits = PTE_R | PTE_A;
    store_entry(last + 8 * 8, page_entry(5, bits));
    expect(0x8000, ACCESS_LOAD, SHADOW_RETRY);
    for (unsigned i = 0; i < SHADOW_CREDIT; i++) {
        assert_true(is_mapped(0x8000, ACCESS_LOAD));
        full_fence();
    }
    full_fence();
    assert_false(is_mapped(0x8000, ACCESS_LOAD));
    expect(0x8000, ACCESS_LOAD, SHADOW_RETRY);
    full_fence();
    assert_true(is_mapped(0x8000, ACCESS_LOAD));
}

/* What a fault takes up is as the guest's tables are then, and not as they were. */
static void test_taken_up_is_compared(void **state)
{
    (void)state;
    uint64_t table = start_large(LARGE_BITS);
    for (unsigned i = 0; i < 16; i++)
        full_fence();
    store_entry(table + 8 * 1, 0);
    store_entry(table + 8 * 2, (TARGETS + 9 * PAGE_SIZE) >> 12 << 10 | PTE_V | LARGE_BITS);
    store_entry(table + 8 * 3, TARGETS >> 12 << 10 | PTE_V | PTE_R | PTE_A);
    take_snapshot();
    full_fence();
    uint64_t before = compared();
    expect(0x5000, ACCESS_STORE, SHADOW_RETRY);
    assert_in_range(compared() - before, 500, 520);
    assert_int_equal(vm->stats.memory.taken_up, 3); /* a table of each level but the root */
    assert_false(is_mapped(0x1000, ACCESS_LOAD));
    assert_int_equal(machine(current_root(), 0x2000, ACCESS_STORE).address,
                     TARGETS + 9 * PAGE_SIZE);
    assert_true(is_mapped(0x3000, ACCESS_LOAD) && !is_mapped(0x3000, ACCESS_STORE));
    assert_true(is_mapped(511 * PAGE_SIZE, ACCESS_STORE));
    assert_false(is_mapped(REGION, ACCESS_LOAD)); /* its neighbour is still aside */
    check_counts();
    check_roots();
}

/* The table is gone when nothing in it holds any more, and when a superpage takes its place. */
static void test_taken_up_is_nothing(void **state)
{
    (void)state;
    uint64_t table = start_large(LARGE_BITS);
    for (unsigned i = 0; i < 16; i++)
        full_fence();
    uint64_t middle = table - PAGE_SIZE;
    store_entry(middle, 0);
    store_entry(middle + 8, RAM_GPA >> 12 << 10 | PTE_V | LARGE_BITS);
    store_entry(middle + 16, TARGETS >> 12 << 10 | PTE_V | LARGE_BITS);
    take_snapshot();
    full_fence();
    expect(0x5000, ACCESS_STORE, SHADOW_ABSENT);
    expect(REGION + RAM_FIRST - RAM_GPA, ACCESS_STORE,
           SHADOW_RETRY); /* page by page: not all RAM */
    assert_false(is_mapped(REGION, ACCESS_LOAD));
    expect(2 * REGION + 0x5000, ACCESS_STORE, SHADOW_RETRY);
    assert_true(is_mapped(2 * REGION + 0x1ff000, ACCESS_STORE));
    check_counts();
    check_roots();
}

/* A page that is no longer global, or now a process's, may not stay in the table that all spaces
 * share when that is taken up, through whichever view. */
static void test_taken_up_is_global(void **state)
{
    (void)state;
    uint64_t last = start_small(), upper = -1ul << 30, bits = PTE_A | PTE_G;
    uint64_t root = (vcpu->csr.satp & SATP_PPN_MASK) << PAGE_SHIFT;
    store_entry(root + 8 * 511, *guest_memory(root));
    store_entry(last + 8 * 8, page_entry(5, bits));
    store_entry(last + 8 * 9, page_entry(6, bits));
    store_entry(last + 8 * 10, page_entry(7, bits));
    store_entry(last + 8 * 16, page_entry(8, PTE_A | PTE_U));
    expect(upper + 0x8000, ACCESS_LOAD, SHADOW_RETRY); /* and its neighbour */
    assert_true(is_mapped(upper + 0x9000, ACCESS_LOAD));
    assert_int_equal(vm->stats.memory.shared_fills, 1);
    for (unsigned i = 0; i <= SHADOW_CREDIT; i++)
        full_fence();
    assert_false(is_mapped(upper + 0x9000, ACCESS_LOAD));
    store_entry(last + 8 * 9, page_entry(6, PTE_A));
    store_entry(last + 8 * 10, page_entry(7, bits | PTE_U));
    full_fence();
    set_mode(2);
    expect(0x10000, ACCESS_LOAD, SHADOW_RETRY); /* the view of SUM */
    expect(upper + 0x8000, ACCESS_LOAD, SHADOW_RETRY);
    assert_int_equal(vm->stats.memory.shared_fills, 2);
    assert_true(is_mapped(upper + 0x8000, ACCESS_LOAD));
    set_mode(0);
    assert_true(is_mapped(upper + 0x8000, ACCESS_LOAD));
    assert_false(is_mapped(upper + 0x9000, ACCESS_LOAD));
    assert_false(is_mapped(upper + 0xa000, ACCESS_LOAD));
    check_counts();
}

/* A page that becomes code while tables that map it writable are aside: none of them comes back as
 * it was. */
static void test_patched_while_aside(void **state)
{
    (void)state;
    start_large(LARGE_BITS | PTE_X);
    for (unsigned i = 0; i < 16; i++)
        full_fence();
    expect(0x5000, ACCESS_FETCH, SHADOW_RETRY);
    next_exit();
    patch_site(vcpu, 0x5000, &(struct insn){0});
    assert_int_equal(shadow->copies, 1);
    check_counts();
    check_copies();
    for (unsigned i = 1; i < LARGE_TABLES; i++) {
        uint64_t va = i * REGION + 0x5000;
        expect(va + PAGE_SIZE, ACCESS_STORE, SHADOW_RETRY);
        assert_false(is_mapped(va, ACCESS_STORE));
        assert_int_equal(shadow->copies, 1);
    }
    expect(REGION + 0x5000, ACCESS_STORE, SHADOW_RETRY);
    assert_int_equal(shadow->copies, 0);
    check_counts();
}

/* Traces and sites of code that is put aside are no longer valid; those of other code are. */
static void test_code_that_is_put_aside(void **state)
{
    (void)state;
    uint64_t last = start_small();
    store_entry(last + 8 * 8, page_entry(5, PTE_R | PTE_X | PTE_A));
    expect(0x8000, ACCESS_FETCH, SHADOW_RETRY);
    uint64_t epoch = shadow->code_epoch;
    for (unsigned i = 0; i < SHADOW_CREDIT; i++)
        full_fence();
    assert_int_equal(shadow->code_epoch, epoch);
    full_fence();
    assert_int_not_equal(shadow->code_epoch, epoch);
    last = start_small();
    store_entry(last + 8 * 8, page_entry(5, PTE_R | PTE_W | PTE_A | PTE_D));
    expect(0x8000, ACCESS_LOAD, SHADOW_RETRY);
    epoch = shadow->code_epoch;
    for (unsigned i = 0; i < 2 * SHADOW_CREDIT; i++)
        full_fence();
    assert_false(is_mapped(0x8000, ACCESS_LOAD));
    assert_int_equal(shadow->code_epoch, epoch);
}

/* --- Forgetting --- */

/* All is forgotten in one step, and comes back to the pool two tables for each that is asked
 * for. */
static void test_buried(void **state)
{
    (void)state;
    start_large(LARGE_BITS);
    uint64_t pages = vm->stats.memory.pool.pages;
    shadow_drop_all(vm);
    assert_int_equal(vm->stats.memory.pool.pages,
                     pages - 1); /* an empty root was given back at once, */
    shadow_select(vcpu);
    /* and two tables when the new root was asked for. */
    assert_int_equal(vm->stats.memory.pool.pages, pages - 3 + 1);
    check_counts();
    assert_int_not_equal(shadow->leaves[(TARGETS - RAM_GPA) >> 12], 0);
    for (unsigned i = 0; shadow->buried; i++) {
        assert_true(i < pages);
        void *page = shadow_take(vm);
        for (unsigned word = 0; word < PAGE_SIZE / 8; word++)
            assert_int_equal(((uint64_t *)page)[word], 0);
        pool_give_clean(&shadow->pool, page);
    }
    assert_int_equal(vm->stats.memory.pool.pages, 1);
    assert_int_equal(shadow->leaves[(TARGETS - RAM_GPA) >> 12], 0);
    check_counts();
}

/* A search that would be too long drops everything instead, and a copy that was executed at two
 * addresses is gone all the same. */
static void test_search_that_is_too_long(void **state)
{
    (void)state;
    start_large(LARGE_BITS);
    uint64_t drops = vm->stats.memory.full_drops;
    next_exit();
    shadow_begin_work(vm);
    shadow_drop_frame(vm, (TARGETS - RAM_GPA) >> 12);
    assert_int_equal(vm->stats.memory.full_drops, drops);
    assert_false(is_mapped(0, ACCESS_LOAD));
    assert_true(is_mapped(0x1000, ACCESS_LOAD));
    uint64_t rest = shadow->search_rest;
    assert_true(rest < SHADOW_SEARCH - LARGE_TABLES * 64);
    while (vm->stats.memory.full_drops == drops) {
        assert_true(shadow->search_rest != 0);
        shadow_drop_frame(vm, (TARGETS + PAGE_SIZE - RAM_GPA) >> 12); /* the same exit */
    }
    assert_false(is_mapped(0x2000, ACCESS_LOAD));
    check_counts();
}

/* A device's store to all of RAM drops all copies, without a search for each. */
static void test_store_to_many_copies(void **state)
{
    (void)state;
    start_small();
    vcpu->csr.satp = 0;
    set_mode(0);
    unsigned copies = shadow->copies_limit;
    for (unsigned i = 0; i < copies; i++) {
        next_exit();
        expect(TARGETS + i * PAGE_SIZE, ACCESS_FETCH, SHADOW_RETRY);
        patch_site(vcpu, TARGETS + i * PAGE_SIZE, &(struct insn){0});
    }
    assert_int_equal(shadow->copies, copies);
    check_copies();
    next_exit();
    uint64_t searches = vm->stats.memory.frame_drops;
    assert_non_null(vm_ram_for_write(vm, TARGETS + 3 * PAGE_SIZE, 2 * PAGE_SIZE));
    assert_int_equal(shadow->copies, copies - 2);
    check_copies();
    assert_non_null(vm_ram_for_write(vm, RAM_FIRST, RAM_SIZE - (RAM_FIRST - RAM_GPA)));
    assert_int_equal(shadow->copies, 0);
    assert_int_equal(vm->stats.memory.frame_drops, searches);
    for (unsigned i = 0; i < copies; i++)
        assert_false(is_mapped(TARGETS + i * PAGE_SIZE, ACCESS_FETCH));
    check_counts();
    check_copies();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_and_stingy),       cmocka_unit_test(test_switches_and_stingy),
        cmocka_unit_test(test_lawless_and_stingy),      cmocka_unit_test(test_fence_does_not_grow),
        cmocka_unit_test(test_fences_of_one_exit),      cmocka_unit_test(test_in_use_stays),
        cmocka_unit_test(test_taken_up_is_compared),    cmocka_unit_test(test_taken_up_is_nothing),
        cmocka_unit_test(test_taken_up_is_global),      cmocka_unit_test(test_patched_while_aside),
        cmocka_unit_test(test_code_that_is_put_aside),  cmocka_unit_test(test_buried),
        cmocka_unit_test(test_search_that_is_too_long), cmocka_unit_test(test_store_to_many_copies),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
