/*
 * Shadow page tables: choosing a root, and faults. See shadow.h for the views, shadow_fill.c for
 * filling, shadow_drop.c, shadow_search.c, shadow_fence.c and shadow_renew.c for forgetting.
 *
 * Surprise: guest A and D are exact although the shadow's are always set, because a page is only
 * mapped once the guest's A is set, and without W until the guest's D is.
 */
#include "engine/trap/shadow.h"

#include <string.h>

#include "engine/trap/patch.h"
#include "engine/trap/shadow_internal.h"
#include "host/map.h"
#include "host/panic.h"
#include "vm/vm.h"

#define POOL_MAX   (0xfffful << PAGE_SHIFT) /* patch[] has 16 bits for a page of the pool */
#define COPIES_MAX 2048u                    /* so many may have to be dropped in one exit */

const char *const shadow_switch_names[] = {
    "prefill", "superpages", "cache", "shared", "fence", "retry", NULL,
};

/* --- The current address space --- */

RARE static void find_space(struct vcpu *vcpu)
{
    struct shadow *shadow = shadow_of(vcpu->vm);
    struct trap_vcpu *own = trap_of(vcpu);
    struct shadow_space *oldest = NULL;
    shadow->space_epoch++;
    if (!shadow_is_on(vcpu->vm, SWITCH_CACHE) && own->space && own->space->used)
        shadow_free_space(vcpu->vm, own->space);
    for (unsigned i = 0; i < shadow->spaces; i++) {
        struct shadow_space *space = &shadow->space[i];
        if (space->used && space->satp == vcpu->csr.satp) {
            shadow->stats->space_hits++;
            own->space = space;
            return;
        }
        if (space != own->space && (!oldest || space->used < oldest->used))
            oldest = space;
    }
    if ((!oldest || oldest->used) && shadow->spaces < SHADOW_SPACES)
        oldest = &shadow->space[shadow->spaces++];
    if (oldest->used) {
        shadow_free_space(vcpu->vm, oldest);
        shadow->stats->evictions++;
    }
    shadow->stats->space_misses++;
    *shadow_with_asid(shadow, shadow_asid(oldest->satp)) &= ~shadow_set_of(shadow, oldest);
    oldest->satp = vcpu->csr.satp;
    *shadow_with_asid(shadow, shadow_asid(oldest->satp)) |= shadow_set_of(shadow, oldest);
    own->space = oldest;
}

/* SUM alone does not leave VIEW_KERNEL (see shadow.h). */
static enum shadow_view choose_view(const struct vcpu *vcpu, const struct shadow_space *space,
                                    bool mxr)
{
    if (vcpu->mode == VMODE_U)
        return VIEW_USER;
    bool stay = (vcpu->csr.sstatus & SSTATUS_SUM) &&
                trap_of(vcpu)->root == &space->root[shadow_root_index(VIEW_KERNEL_SUM, mxr)];
    return stay ? VIEW_KERNEL_SUM : VIEW_KERNEL;
}

/* Sees to it that the vcpu has a root, even if all translations have just been forgotten. */
static void ensure_root(struct vcpu *vcpu)
{
    if (!trap_of(vcpu)->space)
        shadow_select(vcpu);
}

/* For a table. */
static void make_room(struct vcpu *vcpu)
{
    shadow_evict(vcpu->vm);
    ensure_root(vcpu);
}

/* A root of the current space, which is not built yet. Without memory for it room is made, and
 * nothing more: that may choose another slot for the space, and build its root. */
RARE static void build_root(struct vcpu *vcpu, unsigned index, enum shadow_view view)
{
    struct shadow *shadow = shadow_of(vcpu->vm);
    uint64_t *table = shadow_take(vcpu->vm);
    if (!table) {
        make_room(vcpu);
        return;
    }
    table[MAP_ROOT_SLOT] = shadow->host_entry;
    bool low = view == VIEW_KERNEL && !vcpu_is_bare(vcpu);
    table[0] = low ? shadow->low_entry : 0;
    uint64_t mode = shadow->host_levels == 4 ? SATP_MODE_SV48 : SATP_MODE_SV57;
    uint64_t slot = (uint64_t)(trap_of(vcpu)->space - shadow->space);
    uint64_t asid = 1 + slot * SHADOW_ROOTS + index;
    trap_of(vcpu)->space->root[index] = (struct shadow_root){
        .table = table,
        .satp = mode << SATP_MODE_SHIFT | asid << SATP_ASID_SHIFT |
                map_pointer_hpa(table) >> PAGE_SHIFT,
    };
    trap_of(vcpu)->flush = 1; /* orders the table's making before its use */
}

static inline void use_root(struct vcpu *vcpu, enum shadow_view view, bool mxr)
{
    const struct trap_vcpu *own = trap_of(vcpu);
    unsigned index = shadow_root_index(view, mxr);
    struct shadow_root *root = &own->space->root[index];
    for (; !root->table; root = &own->space->root[index]) /* in another space, perhaps */
        build_root(vcpu, index, view);
    if (own->root != root)
        shadow_install(vcpu, root);
}

RARE void shadow_retry(struct vcpu *vcpu)
{
    struct trap_vcpu *own = trap_of(vcpu);
    uint64_t gva = own->fault_gva;
    own->fault_gva = SHADOW_NO_FAULT;
    struct walk walk;
    if (own->fault_satp == vcpu->csr.satp && !vcpu_is_bare(vcpu) &&
        walk_peek(vcpu->vm, vcpu->csr.satp, gva, &walk))
        shadow_fill_early(vcpu, gva, &walk);
}

/* The space of the vcpu's satp, in line with the guest's tables. */
RARE static void choose_space(struct vcpu *vcpu)
{
    struct trap_vcpu *own = trap_of(vcpu);
    if (!own->space || !own->space->used || own->space->satp != vcpu->csr.satp)
        find_space(vcpu);
    if (own->space->stale)
        shadow_renew_space(vcpu, own->space);
}

HOT void shadow_select(struct vcpu *vcpu)
{
    struct trap_vcpu *own = trap_of(vcpu);
    const struct shadow_space *space = own->space;
    if (!space || !space->used || space->satp != vcpu->csr.satp || space->stale)
        choose_space(vcpu);
    own->space->used = ++shadow_of(vcpu->vm)->clock;
    bool mxr = (vcpu->csr.sstatus & SSTATUS_MXR) && !vcpu_is_bare(vcpu);
    use_root(vcpu, choose_view(vcpu, own->space, mxr), mxr);
    own->upper_tag = shadow_upper_tag(vcpu, own->root);
    vcpu->changed &= (uint8_t)~VCPU_VIEW;
    if (vcpu->mode == VMODE_U && own->fault_gva != SHADOW_NO_FAULT)
        shadow_retry(vcpu);
}

HOT bool shadow_view_holds(const struct vcpu *vcpu)
{
    const struct shadow_space *space = trap_of(vcpu)->space;
    if (!space || !space->used || space->satp != vcpu->csr.satp)
        return false;
    bool mxr = (vcpu->csr.sstatus & SSTATUS_MXR) && !vcpu_is_bare(vcpu);
    return trap_of(vcpu)->root ==
           &space->root[shadow_root_index(choose_view(vcpu, space, mxr), mxr)];
}

HOT bool shadow_reaches_user(const struct vcpu *vcpu)
{
    const struct shadow_space *space = trap_of(vcpu)->space;
    return space &&
           trap_of(vcpu)->root >= &space->root[shadow_root_index(VIEW_KERNEL_SUM, false)] &&
           trap_of(vcpu)->root <= &space->root[shadow_root_index(VIEW_KERNEL_SUM, true)];
}

HOT bool shadow_may_reach(const struct vcpu *vcpu)
{
    return (vcpu->csr.sstatus & SSTATUS_SUM) && vcpu->mode == VMODE_S &&
           vcpu->vm->options.patch >= PATCH_CLUSTER && !vcpu_is_bare(vcpu) &&
           !shadow_reaches_user(vcpu);
}

/* --- Faults --- */

/* Fills what walk leads to in the vcpu's view; evicts while there is no memory for it. */
static void fill(struct vcpu *vcpu, uint64_t gva, const struct walk *walk)
{
    struct vm *vm = vcpu->vm;
    bool sum = vcpu->mode == VMODE_S && !vcpu_is_bare(vcpu) && (walk->pte & PTE_U);
    ensure_root(vcpu);
    for (;;) {
        if (sum)
            use_root(vcpu, VIEW_KERNEL_SUM, vcpu->csr.sstatus & SSTATUS_MXR);
        struct shadow_lens lens = shadow_lens_of(trap_of(vcpu)->space, trap_of(vcpu)->root);
        struct shadow_page page;
        if (!shadow_make_page(vm, &lens, gva, walk, &page))
            panic("shadow: %#lx is permitted by the guest's entry %#lx but has no leaf", gva,
                  walk->pte);
        bool same;
        if (shadow_fill(vcpu, trap_of(vcpu)->root, walk, &page, &same)) {
            if (same)
                shadow_tlb_flush(vm); /* the machine had cached another entry */
            break;
        }
        make_room(vcpu);
    }
    vm->stats.memory.fills++;
}

/* Whether the kernel's access is one to its process's page, which its root does not reach yet.
 * Fills the page in the process's own root. */
static bool fill_user(struct vcpu *vcpu, uint64_t gva, const struct walk *walk)
{
    struct vm *vm = vcpu->vm;
    if (!(walk->pte & PTE_U) || !shadow_may_reach(vcpu))
        return false;
    ensure_root(vcpu);
    bool mxr = vcpu->csr.sstatus & SSTATUS_MXR, same;
    unsigned index = shadow_root_index(VIEW_USER, mxr);
    if (!trap_of(vcpu)->space->root[index].table) /* of a process that has not begun yet */
        build_root(vcpu, index, VIEW_USER);
    struct shadow_root *root = &trap_of(vcpu)->space->root[index];
    struct shadow_lens lens = shadow_lens_of(trap_of(vcpu)->space, root);
    struct shadow_page page;
    return root->table && shadow_make_page(vm, &lens, gva, walk, &page) &&
           shadow_fill(vcpu, root, walk, &page, &same);
}

void shadow_reach_user(struct vcpu *vcpu)
{
    ensure_root(vcpu);
    use_root(vcpu, VIEW_KERNEL_SUM, vcpu->csr.sstatus & SSTATUS_MXR);
}

void shadow_put_fixed(struct vcpu *vcpu, uint64_t gva, uint64_t hpa, uint64_t rights)
{
    struct shadow_page page = {
        .gva = gva,
        .pte = hpa >> PAGE_SHIFT << PTE_PPN_SHIFT | rights | PTE_V | PTE_U | PTE_A | PTE_D,
        .global = (int64_t)gva < 0,
    };
    struct walk none = {0};
    bool same;
    while (!shadow_fill(vcpu, trap_of(vcpu)->root, &none, &page, &same))
        make_room(vcpu);
    if (same)
        shadow_tlb_flush(vcpu->vm);
}

enum shadow_answer shadow_fault(struct vcpu *vcpu, uint64_t gva, enum access access, uint64_t *gpa,
                                uint64_t *cause)
{
    struct vm *vm = vcpu->vm;
    struct walk_mode mode = walk_mode_of(vcpu);
    struct walk walk;
    *cause = walk_guest(vm, &mode, gva, access, &walk);
    if (*cause) {
        if (mode.user) {
            trap_of(vcpu)->fault_gva = gva;
            trap_of(vcpu)->fault_satp = vcpu->csr.satp;
        }
        return walk.pte ? SHADOW_GUEST : SHADOW_ABSENT;
    }
    *gpa = walk.gpa;
    if (!shadow_is_backed(vm, walk.gpa))
        return SHADOW_MMIO;

    if (!shadow_mapping_at(shadow_of(vm), walk.gpa) &&
        shadow_of(vm)->patch[shadow_frame(vm, walk.gpa)]) {
        bool kernel = vcpu->mode == VMODE_S;
        bool executable = (walk.pte & PTE_X) && !((walk.pte & PTE_U) && mode.satp && !mode.user);
        if (access == ACCESS_STORE)
            patch_drop(vm, walk.gpa);
        else if (access == ACCESS_FETCH && shadow_of(vm)->unseen_writes)
            patch_verify(vm, walk.gpa);
        else if (access == ACCESS_LOAD && kernel && executable)
            return SHADOW_PATCHED;
    }

    if (fill_user(vcpu, gva, &walk))
        return SHADOW_USER;
    fill(vcpu, gva, &walk);
    return SHADOW_RETRY;
}

uint64_t shadow_fetch_fault(struct vcpu *vcpu, uint64_t gva)
{
    struct walk_mode mode = walk_mode_of(vcpu);
    struct walk walk;
    mode.probe = true;
    uint64_t cause = walk_guest(vcpu->vm, &mode, gva, ACCESS_FETCH, &walk);
    return cause ? cause : shadow_is_backed(vcpu->vm, walk.gpa) ? 0 : CAUSE_FETCH_ACCESS;
}

/* Cuts bytes from the front of a range for a table; zeroed. */
static void *cut(uint8_t **base, uint64_t bytes)
{
    void *table = *base;
    memset(table, 0, bytes);
    *base += (bytes + PAGE_MASK) & ~PAGE_MASK;
    return table;
}

void shadow_init(struct vm *vm, const struct engine_memory *memory, uint64_t *used)
{
    uint64_t frames = vm->ram.size >> PAGE_SHIFT;
    uint64_t blocks = (frames + 511) >> 9;
    uint8_t *end = (uint8_t *)memory->base + memory->size;
    uint8_t *next = (uint8_t *)memory->base + *used;
    struct shadow *shadow = cut(&next, sizeof(*shadow));
    shadow->leaves = cut(&next, frames);
    shadow->patch = cut(&next, frames * sizeof(*shadow->patch));
    shadow->drops = cut(&next, frames);
    shadow->block_leaves = cut(&next, blocks);
    shadow->block_patches = cut(&next, blocks * sizeof(*shadow->block_patches));
    shadow->page = cut(&next, (memory->size >> PAGE_SHIFT) * sizeof(*shadow->page));
    shadow->copy_list = cut(&next, COPIES_MAX * sizeof(*shadow->copy_list));
    shadow->stats = &vm->stats.memory;
    shadow->code_epoch = 1;
    shadow->flush_epoch = 1;
    shadow->exit = UINT64_MAX; /* none yet */
    shadow->host_satp = memory->satp;
    shadow->host_entry = memory->map_entry;
    shadow->host_levels = memory->satp >> SATP_MODE_SHIFT == SATP_MODE_SV48 ? 4 : 5;
    uint64_t left = (uint64_t)(end - next);
    pool_reset(&shadow->pool, next, left < POOL_MAX ? left : POOL_MAX, &vm->stats.memory.pool);
    shadow->copies_limit = shadow->pool.pages / 2 < COPIES_MAX ? shadow->pool.pages / 2
                                                               : COPIES_MAX;
    vm->engine_state = shadow;
    *used = (uint64_t)(next - (uint8_t *)memory->base);
}
