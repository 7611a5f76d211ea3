/* What shadow.c (choosing, faults), shadow_fill.c (filling), shadow_drop.c (forgetting),
 * shadow_search.c (one frame), shadow_fence.c (fences), shadow_renew.c (comparing) and patch.c
 * share. */
#pragma once
#include "engine/trap/shadow.h"
#include "engine/trap/trap.h"
#include "host/hart.h"
#include "host/map.h"
#include "vm/vm.h"

/* Software bits. Leaves: PTE_PATCHED (shadow.h), PTE_COUNTED: it is in the leaves[] counts.
 * Tables: PTE_SHARED: the shared table of global kernel pages; PTE_SPLIT: everything below stems
 * from one guest superpage of this level, so a fence for any address in it drops all. An entry that
 * is not 0 and has V clear names a table that was put aside. */
#define PTE_COUNTED (1ul << 9)
#define PTE_SHARED  (1ul << 8)
#define PTE_SPLIT   (1ul << 9)

static inline unsigned shadow_index(uint64_t gva, unsigned level)
{
    return (gva >> (PAGE_SHIFT + 9 * level)) & 511;
}

/* The sets of spaces (struct shadow) that an address, and a satp, belong to. */
static inline uint64_t *shadow_with_gib(struct shadow *shadow, uint64_t gva)
{
    return &shadow->with_gib[(gva >> 30) % SHADOW_BUCKETS];
}

static inline uint64_t *shadow_with_asid(struct shadow *shadow, uint64_t asid)
{
    return &shadow->with_asid[asid % SHADOW_BUCKETS];
}

static inline uint64_t shadow_asid(uint64_t satp)
{
    return satp >> SATP_ASID_SHIFT & SATP_ASID_MASK;
}

/* A set with this space alone. */
static inline uint64_t shadow_set_of(const struct shadow *shadow, const struct shadow_space *space)
{
    return 1ul << (space - shadow->space);
}

static inline bool shadow_is_leaf(uint64_t pte)
{
    return pte & (PTE_R | PTE_X);
}

/* Whether an entry names a table that a fence put aside: the machine does not see it, and before it
 * does again the table is compared with the guest's (shadow_attach). */
static inline bool shadow_is_aside(uint64_t pte)
{
    return pte && !(pte & PTE_V);
}

/* pool_page.gva of a copy that is executed at several addresses. */
#define SHADOW_BOUND_TWICE UINT64_MAX

/* Whether the guest's kernel executes what a leaf maps: traces and sites are remembered of it
 * (code_epoch). */
static inline bool shadow_is_code(uint64_t pte)
{
    return (pte & PTE_X) && (pte & (PTE_COUNTED | PTE_PATCHED));
}

static inline uint64_t *shadow_table_of(uint64_t pte)
{
    return map_hpa(PTE_PPN(pte) << PAGE_SHIFT);
}

static inline uint64_t shadow_frame(const struct vm *vm, uint64_t gpa)
{
    return (gpa - vm->ram.gpa) >> PAGE_SHIFT;
}

/* The window given to the guest that holds gpa, which is no RAM; or null. */
static inline const struct shadow_mapping *shadow_mapping_at(const struct shadow *shadow,
                                                             uint64_t gpa)
{
    for (unsigned i = 0; i < SHADOW_MAPPINGS; i++)
        if (gpa - shadow->mapping[i].gpa < shadow->mapping[i].size)
            return &shadow->mapping[i];
    return NULL;
}

/* Whether gpa can be mapped: guest RAM or a host window given to the guest. */
static inline bool shadow_is_backed(const struct vm *vm, uint64_t gpa)
{
    return vm_is_ram(vm, gpa) || shadow_mapping_at(shadow_of(vm), gpa);
}

/* Whether a leaf was made by shadow_put_fixed(): it maps the page of virtual
 * CSRs, or trampolines. */
static inline bool shadow_is_fixed(const struct vm *vm, uint64_t pte)
{
    const struct shadow *shadow = shadow_of(vm);
    return (PTE_PPN(pte) << PAGE_SHIFT) - shadow->fixed_hpa < shadow->fixed_size;
}

static inline bool shadow_is_on(const struct vm *vm, unsigned shadow_switch)
{
    return vm->options.shadow & shadow_switch;
}

/* Notes that an entry of a table was written, so that whoever empties the table finds it. */
static inline void shadow_mark(struct shadow *shadow, const uint64_t *entry)
{
    shadow->page[pool_index(&shadow->pool, entry)].groups |= 1ul << ((uint64_t)entry / 64 % 64);
}

/* The groups of a table that are to be looked at, from the first on: {pool_page.groups}. */
struct shadow_groups {
    uint64_t bits; /* of those that follow */
    unsigned next; /* the group of bit 0 */
    unsigned group;
};

/* The next one is in groups->group. False: there is none. */
static inline bool shadow_next_group(struct shadow_groups *groups)
{
    uint64_t bits = groups->bits;
    unsigned group = groups->next;
    if (!bits)
        return false;
    if (!(bits & 1)) {
        for (; !(bits & 0xff); bits >>= 8)
            group += 8;
        for (; !(bits & 1); bits >>= 1)
            group++;
    }
    groups->group = group;
    groups->next = group + 1;
    groups->bits = bits >> 1;
    return true;
}

/* What one root, or the shared table, may show: the shadow's rights follow from it and the guest's
 * entry. */
struct shadow_lens {
    enum shadow_view view;
    bool mxr;
    bool bare; /* guest paging is off */
};

static inline struct shadow_lens shadow_lens_of(const struct shadow_space *space,
                                                const struct shadow_root *root)
{
    unsigned index = (unsigned)(root - space->root);
    return (struct shadow_lens){
        .view = (enum shadow_view)(index / 2),
        .mxr = index & 1,
        .bare = space->satp >> SATP_MODE_SHIFT == SATP_MODE_BARE,
    };
}

/* Whether a lens may show a guest leaf with this U bit at all. */
static inline bool shadow_in_view(const struct shadow_lens *lens, uint64_t pte)
{
    if (lens->bare || lens->view == VIEW_KERNEL_SUM)
        return true;
    return (lens->view == VIEW_USER) == ((pte & PTE_U) != 0);
}

/* A root of the current space for this view, with MXR clear, if it can be entered as it is; else
 * null, and shadow_select() sees to it. */
static inline struct shadow_root *shadow_ready_root(const struct vcpu *vcpu, enum shadow_view view)
{
    struct shadow_space *space = trap_of(vcpu)->space;
    if (!space || !space->used || space->stale || space->satp != vcpu->csr.satp)
        return NULL;
    struct shadow_root *root = &space->root[shadow_root_index(view, false)];
    return root->table ? root : NULL;
}

/* The guest goes on in this root. */
static inline void shadow_install(struct vcpu *vcpu, struct shadow_root *root)
{
    struct stats_memory *stats = shadow_of(vcpu->vm)->stats;
    trap_of(vcpu)->root = root;
    trap_of(vcpu)->satp = root->satp;
    stats->root_switches++;
    stats->tlb_flushes++;
}

/* trap_vcpu.upper_tag in a root. */
static inline uint64_t shadow_upper_tag(const struct vcpu *vcpu, const struct shadow_root *root)
{
    uint64_t satp = vcpu->csr.satp;
    return root->table[511] & PTE_SHARED ? satp >> SATP_MODE_SHIFT : satp;
}

/* What a leaf of RAM that is not patched lets the guest do: R, W, X, and PTE_COUNTED if that is
 * counted. */
static inline uint64_t shadow_rights(const struct shadow_lens *lens, uint64_t pte)
{
    uint64_t bits = pte & (PTE_R | PTE_X);
    bool kernel = lens->view != VIEW_USER || lens->bare;
    if (lens->mxr && (pte & PTE_X))
        bits |= PTE_R;
    if ((pte & PTE_W) && (pte & PTE_D))
        bits |= PTE_W;
    if (lens->view != VIEW_USER && (pte & PTE_U))
        bits &= ~PTE_X;
    return (bits & PTE_W) || (kernel && (bits & PTE_X)) ? bits | PTE_COUNTED : bits;
}

/* What another entry of walk's level-0 table leads to. */
static inline struct walk shadow_neighbour(const struct walk *walk, uint64_t pte)
{
    bool above = walk->global && !(walk->pte & PTE_G);
    return (struct walk){
        .gpa = PTE_PPN(pte) << PAGE_SHIFT, .pte = pte, .global = above || (pte & PTE_G)};
}

/* Whether a leaf may be there before it is asked for: a patched copy is compared with its original
 * when it is fetched from, if a device may have written unseen. */
static inline bool shadow_may_be_early(const struct shadow *shadow, uint64_t pte)
{
    return !(pte & PTE_PATCHED) || !shadow->unseen_writes;
}

/* One leaf to be put into a root. */
struct shadow_page {
    uint64_t gva, pte; /* shadow entry, complete */
    uint64_t guest_pte;
    unsigned level, guest_level;
    bool global; /* and of no user: may stand in the table that all kernel views share */
};

/* Builds the leaf for gva; false when the guest's leaf gives no permission through this lens. */
bool shadow_make_page(struct vm *vm, const struct shadow_lens *lens, uint64_t gva,
                      const struct walk *walk, struct shadow_page *page);

/* Fills a page of the current space that walk led to, and its neighbours. Its entry, or null: no
 * memory for a table. *same: the entry was there already. */
uint64_t *shadow_fill(struct vcpu *vcpu, struct shadow_root *root, const struct walk *walk,
                      const struct shadow_page *page, bool *same);

/* Fills the page that the guest is about to need, as a TLB may: its A is set, and if it becomes
 * writable its D. walk: from walk_peek for the current satp. Kernel pages go into the current root,
 * user pages into the user's if there is one. */
void shadow_fill_early(struct vcpu *vcpu, uint64_t gva, const struct walk *walk);

/* What may be spent, of work that a guest can lengthen. One group: eight entries that are looked
 * at. */
/* Groups that fences compare of a table until it must prove its use by a fault. */
#define SHADOW_CREDIT       256u
#define SHADOW_FENCE_GROUPS 256u  /* that all fences of an exit compare; the rest is put aside */
#define SHADOW_SEARCH       2048u /* groups that searches of an exit look at; then all is dropped */

/* Sees to it that the two rests are the current exit's. */
static inline void shadow_begin_work(struct vm *vm)
{
    struct shadow *shadow = shadow_of(vm);
    uint64_t exit = hart_this()->end_instret;
    if (shadow->exit == exit)
        return;
    shadow->exit = exit;
    shadow->fence_rest = SHADOW_FENCE_GROUPS;
    shadow->search_rest = SHADOW_SEARCH;
}

/* One pass over the tables of a root, or over a shared table: what they are compared by, and what
 * came of it. */
struct renewal {
    struct vm *vm;
    uint64_t satp; /* 0: nothing is known of the guest's tables */
    struct shadow_lens lens;
    bool shared; /* a table of global kernel pages only */
    /* Something was dropped, put aside or became another: the machine's TLB must forget it. */
    bool changed;
};

/* Compares a table of this level, the first entry of which is for gva, and all below it that is in
 * use. False: nothing is left in it. */
bool shadow_renew_table(struct renewal *renewal, uint64_t *table, unsigned level, uint64_t gva);

/* Compares one entry, as found for gva: a leaf, or the table of a guest superpage. walk: what the
 * guest says of gva now; null: nothing. */
void shadow_renew_found(struct renewal *renewal, uint64_t *entry, unsigned level, uint64_t gva,
                        const struct walk *walk);

/* Lets the machine see a table again that was put aside: what no longer holds in it is dropped, and
 * the entry is cleared if nothing is left. gva: any address below the entry. split: the level of
 * the PTE_SPLIT entry that is above it, or 0. */
void shadow_attach(struct renewal *renewal, uint64_t *entry, unsigned level, uint64_t gva,
                   unsigned split);

/* Brings what a space holds in line with the guest's tables, which its satp, the current one,
 * names. */
void shadow_renew_space(struct vcpu *vcpu, struct shadow_space *space);

/* Adds delta to the counts of what a leaf maps. */
void shadow_account(struct vm *vm, uint64_t pte, unsigned level, int delta);

/* Clears an entry of this level and buries all below it. */
void shadow_forget_entry(struct vm *vm, uint64_t *entry, unsigned level);

/* Buries all tables of a space; it is free afterwards. */
void shadow_free_space(struct vm *vm, struct shadow_space *space);

/* Makes room in the pool: the least recently used other space, else everything. */
void shadow_evict(struct vm *vm);

/* Where the shared table for gva's upper half is kept, or null when gva's leaf cannot be shared. */
uint64_t **shadow_shared_upper(struct vcpu *vcpu, const struct shadow_lens *lens, uint64_t gva,
                               bool global);

/* Index of that table: by 2 * Sv48 + MXR. */
static inline unsigned shadow_upper_index(uint64_t satp, bool mxr)
{
    return 2u * (satp >> SATP_MODE_SHIFT == SATP_MODE_SV48) + mxr;
}
