/*
 * The guest of shadow_guest.h: what must hold of an access that the machine lets through, and of
 * the whole state of the shadow, counted again.
 */
#include "shadow_guest_internal.h"

#include <string.h>

#include "hart.h"

/* --- One access --- */

bool is_window(uint64_t gpa)
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

void check_allowed(const struct mmu_hart *hart, uint64_t va, enum access access, uint64_t hpa)
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

void check_accessed_dirty(const struct mmu_result *guest, enum access access)
{
    if (guest->leaf && !guest->cause)
        snapshot[(uint8_t *)guest->leaf - (uint8_t *)host_memory(tables[0].gpa)] |=
            (uint8_t)(PTE_A | (access == ACCESS_STORE ? PTE_D : 0));
    assert_memory_equal(snapshot, host_memory(tables[0].gpa), ntables * PAGE_SIZE);
}

void check_current_root(void)
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

void check_in_user_view(const struct mmu_hart *hart, uint64_t va, enum access access)
{
    assert_true(hart->sum && !hart->user && vm->options.patch == PATCH_CLUSTER);
    const struct shadow_root *root = &own->space->root[shadow_root_index(VIEW_USER, hart->mxr)];
    assert_int_equal(machine(map_pointer_hpa(root->table), va, access).cause, 0);
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

void check_space(uint64_t satp, uint64_t va)
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
