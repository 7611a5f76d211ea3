/*
 * Shadow page tables, guest walk and code patching against a model: the guest of shadow_guest.h,
 * which does random things, and single cases. What fences cost, and tables that they put aside:
 * test_shadow_fence.c.
 */
#include <stdlib.h>
#include <string.h>

#include "shadow_guest.h"

static void test_sv39_on_sv48(void **state)
{
    (void)state;
    srand48(1);
    run(4, PLENTY, 8, 50000);
}

static void test_sv48_on_sv57(void **state)
{
    (void)state;
    srand48(2);
    run(5, PLENTY, 8, 50000);
}

/* A root, four tables below it and one more are all that a page needs. */
static void test_tiny_pool(void **state)
{
    (void)state;
    srand48(3);
    run(5, 16, 8, 30000);
    srand48(4);
    run(4, 12, 8, 30000);
}

static void test_more_spaces_than_slots(void **state)
{
    (void)state;
    srand48(5);
    run(5, PLENTY, 100, 20000);
    srand48(6);
    run(4, 48, 100, 20000);
}

/* The walk's own store of A and D is a store to the page like any other. */
static void test_table_in_a_patched_page(void **state)
{
    (void)state;
    start(4, PLENTY, 8);
    uint64_t root = tables[root_of[0][0]].gpa, middle = root + 64 * PAGE_SIZE;
    uint64_t last = middle + PAGE_SIZE;
    store_entry(root, middle >> 12 << 10 | PTE_V);
    store_entry(middle, last >> 12 << 10 | PTE_V);
    store_entry(last, frames[5] >> 12 << 10 | PTE_V | PTE_R | PTE_W);
    take_snapshot();
    access_memory(last + 64, ACCESS_FETCH); /* paging is off */
    patch_site(vcpu, last + 64, &(struct insn){0});
    assert_int_equal(shadow->copies, 1);

    struct walk_mode mode = {.satp = 8ul << 60 | root >> 12};
    struct walk walk;
    assert_int_equal(walk_guest(vm, &mode, 0x123, ACCESS_LOAD, &walk), 0);
    assert_int_equal(walk.gpa, frames[5] + 0x123);
    assert_int_equal(*guest_memory(last) & (PTE_A | PTE_D), PTE_A);
    assert_int_equal(shadow->copies, 0);
    check_counts();
    check_copies();
}

/* DMA that nobody sees: the copy goes when the original differs beside its sites, and stays for
 * them. */
static void test_verify_of_a_copy(void **state)
{
    static const uint32_t sites[] = {
        0x10200073, /* sret: its low half is an ecall's */
        0x12000073, /* sfence.vma: likewise */
        0x14002573, /* csrr a0, sscratch */
    };
    (void)state;
    start(4, PLENTY, 8);
    uint64_t page = tables[root_of[0][0]].gpa;
    for (unsigned i = 0; i < 3; i++) {
        uint64_t pc = page + 66 + 20 * i; /* not aligned to 4 */
        memcpy((uint8_t *)arena + (pc - RAM_GPA), &sites[i], sizeof(sites[i]));
    }
    take_snapshot();
    for (unsigned i = 0; i < 3; i++) {
        access_memory(page + 66 + 20 * i, ACCESS_FETCH);
        patch_site(vcpu, page + 66 + 20 * i, &(struct insn){0});
    }
    assert_int_equal(shadow->copies, 1);
    patch_verify(vm, page);
    assert_int_equal(shadow->copies, 1);
    *((uint8_t *)arena + (page - RAM_GPA) + 70) ^= 1; /* right behind the first site */
    patch_verify(vm, page);
    assert_int_equal(shadow->copies, 0);
}

/* Executes from a page and has it patched, paging off. Whether it is. */
static bool patch_page_at(uint64_t page)
{
    access_memory(page + 64, ACCESS_FETCH);
    patch_site(vcpu, page + 64, &(struct insn){0});
    return shadow->patch[(page - RAM_GPA) >> 12] != 0;
}

/* There is no copy that could become stale of a page that the host's disk is writing to. */
static void test_no_copy_while_the_disk_writes(void **state)
{
    (void)state;
    start(4, PLENTY, 8);
    patching = 0;
    assert_true(patch_page_at(frames[5]));
    vm_ram_written(vm, host_memory(frames[5]), 512); /* the disk is given the request */
    lent_hpa = frames[5];
    assert_int_equal(shadow->copies, 0);
    assert_false(patch_page_at(frames[5]));
    patch_cover(vcpu, frames[5] + 64);
    assert_int_equal(shadow->copies, 0);
    assert_true(patch_page_at(frames[6]));
    lent_hpa = 0; /* and has finished it */
    assert_true(patch_page_at(frames[5]));
    vm_ram_written(vm, host_memory(VMM_HPA), 2 * PAGE_SIZE); /* not the guest's */
    assert_int_equal(shadow->copies, 2);
    check_counts();
    check_copies();
}

/* What is written goes, and nothing else, whatever the range. */
static void test_written_ranges(void **state)
{
    (void)state;
    srand48(9);
    start(4, PLENTY, 8);
    patching = 0;
    for (unsigned round = 0; round < 300; round++) {
        uint64_t patched[12], from = RAM_FIRST + random_below(RAM_SIZE - 0x60000);
        uint64_t len = 1 + random_below(round % 2 ? 3 * PAGE_SIZE : 8ul << 20);
        if (len > RAM_GPA + RAM_SIZE - from)
            len = RAM_GPA + RAM_SIZE - from;
        for (unsigned i = 0; i < 12; i++) {
            patched[i] = frames[random_below(FRAMES)];
            assert_true(patch_page_at(patched[i]));
        }
        if (chance(50))
            vm_ram_written(vm, (uint8_t *)arena + (from - RAM_GPA), len);
        else
            assert_non_null(vm_ram_for_write(vm, from, len));
        for (unsigned i = 0; i < 12; i++) {
            bool hit = patched[i] < from + len && from < patched[i] + PAGE_SIZE;
            assert_int_equal(shadow->patch[(patched[i] - RAM_GPA) >> 12] == 0, hit);
        }
        check_counts();
        patch_reset(vm);
        assert_int_equal(shadow->copies, 0);
    }
}

/* Each saving alone off, and all: nothing changes but the cost. */
static void test_switches(void **state)
{
    (void)state;
    srand48(8);
    for (unsigned bit = 1; bit <= SWITCH_ALL + 1; bit <<= 1) {
        switches = bit <= SWITCH_ALL ? SWITCH_ALL & ~bit : 0;
        run(4, PLENTY, 8, 6000);
        run(5, 24, 8, 3000);
    }
    switches = SWITCH_ALL;
}

/* What a process's page fault was about is there when it runs again: if A allows it, and W only
 * with D. */
static void test_retry_needs_no_fault(void **state)
{
    static const struct {
        uint64_t bits;
        bool loads, stores;
    } cases[] = {
        {PTE_U | PTE_W | PTE_A | PTE_D, true, true}, {PTE_U | PTE_W | PTE_A, true, false},
        {PTE_U | PTE_W | PTE_D, false, false},       {PTE_U | PTE_A | PTE_D, true, false},
        {PTE_W | PTE_A | PTE_D, false, false},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t last = start_small();
        set_mode(1);
        expect(0x3000, ACCESS_STORE, SHADOW_ABSENT);
        set_mode(0); /* the guest's handler */
        store_entry(last + 8 * 3, page_entry(5, cases[i].bits));
        set_mode(1);
        assert_int_equal(is_mapped(0x3000, ACCESS_LOAD), cases[i].loads);
        assert_int_equal(is_mapped(0x3000, ACCESS_STORE), cases[i].stores);
        assert_int_equal(vm->stats.memory.fills, 0);
        check_counts();
    }
}

/* Not for another process, and only once. */
static void test_retry_of_another(void **state)
{
    (void)state;
    uint64_t last = start_small(), satp = vcpu->csr.satp;
    set_mode(1);
    expect(0x3000, ACCESS_LOAD, SHADOW_ABSENT);
    set_mode(0);
    store_entry(last + 8 * 3, page_entry(5, PTE_U | PTE_A));
    vcpu->csr.satp = satp ^ 1ul << 44; /* the same tables by another ASID */
    set_mode(1);
    assert_false(is_mapped(0x3000, ACCESS_LOAD));
    vcpu->csr.satp = satp;
    set_mode(1);
    assert_false(is_mapped(0x3000, ACCESS_LOAD));
}

/* A fence keeps what still holds, forgets the rest, and fetches what it names. */
static void test_fence_keeps_what_holds(void **state)
{
    (void)state;
    uint64_t last = start_small(), bits = PTE_W | PTE_A | PTE_D;
    for (unsigned i = 1; i <= 4; i++)
        store_entry(last + 8 * i, page_entry(i + 4, bits));
    expect(0x1000, ACCESS_STORE, SHADOW_RETRY); /* and its neighbours */
    uint64_t flushes = vm->stats.memory.tlb_flushes;
    shadow_fence(vcpu, FENCE_ALL, 0, 0);
    assert_int_equal(vm->stats.memory.kept, 4);
    assert_int_equal(vm->stats.memory.tlb_flushes, flushes); /* nothing was dropped */

    store_entry(last + 8 * 1, 0);
    store_entry(last + 8 * 2, page_entry(6, bits & ~(uint64_t)PTE_D));
    store_entry(last + 8 * 3, page_entry(10, bits));
    shadow_fence(vcpu, FENCE_ASID, 0, 7);
    assert_true(vm->stats.memory.tlb_flushes > flushes);
    assert_false(is_mapped(0x1000, ACCESS_LOAD));
    assert_true(is_mapped(0x2000, ACCESS_LOAD) && !is_mapped(0x2000, ACCESS_STORE));
    struct mmu_result third = machine(current_root(), 0x3000, ACCESS_STORE);
    assert_int_equal(third.address, frames[10]);
    assert_true(is_mapped(0x4000, ACCESS_STORE));

    store_entry(last + 8 * 1, page_entry(5, bits));
    shadow_fence(vcpu, FENCE_ADDRESS, 0x1000, 0);
    assert_true(is_mapped(0x1000, ACCESS_STORE));
    check_counts();
}

/* Another space is not looked at before it is chosen, and then it is. */
static void test_fence_of_another_space(void **state)
{
    (void)state;
    uint64_t last = start_small(), satp = vcpu->csr.satp;
    store_entry(last + 8, page_entry(5, PTE_A));
    store_entry(last + 16, page_entry(6, PTE_A));
    expect(0x1000, ACCESS_LOAD, SHADOW_RETRY);
    vcpu->csr.satp = 0;
    set_mode(0);
    store_entry(last + 8, page_entry(7, PTE_A));
    shadow_fence(vcpu, FENCE_ASID, 0, 7);
    assert_int_equal(vm->stats.memory.kept, 0);
    vcpu->csr.satp = satp;
    set_mode(0);
    assert_int_equal(vm->stats.memory.kept, 2);
    assert_int_equal(machine(current_root(), 0x1000, ACCESS_LOAD).address, frames[7]);
    check_counts();
}

/* Tables that change under the shadow's feet: its books and the VMM's memory stay in order. */
static void test_lawless(void **state)
{
    (void)state;
    srand48(7);
    lawless = true;
    run(4, PLENTY, 8, 20000);
    run(5, 24, 8, 20000);
    lawless = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sv39_on_sv48),
        cmocka_unit_test(test_sv48_on_sv57),
        cmocka_unit_test(test_tiny_pool),
        cmocka_unit_test(test_more_spaces_than_slots),
        cmocka_unit_test(test_table_in_a_patched_page),
        cmocka_unit_test(test_verify_of_a_copy),
        cmocka_unit_test(test_no_copy_while_the_disk_writes),
        cmocka_unit_test(test_written_ranges),
        cmocka_unit_test(test_switches),
        cmocka_unit_test(test_retry_needs_no_fault),
        cmocka_unit_test(test_retry_of_another),
        cmocka_unit_test(test_fence_keeps_what_holds),
        cmocka_unit_test(test_fence_of_another_space),
        cmocka_unit_test(test_lawless),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
