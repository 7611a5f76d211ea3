/*
 * The guest of shadow_guest.h: runs of random things, among them changes of its tables, each with
 * the fence that covers it.
 */
#include "shadow_guest_internal.h"

#include <stdlib.h>

/* --- Changes of the guest's tables, each with its fence --- */

static bool is_pointer(uint64_t pte)
{
    return (pte & PTE_V) && !(pte & (PTE_R | PTE_X));
}

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

/* --- Runs --- */

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
