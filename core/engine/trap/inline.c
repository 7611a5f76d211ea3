/*
 * PATCH=inline: the page of virtual CSRs, what is mapped when, and when inlining is given up.
 * The code is made in inline_code.c.
 *
 * Surprise: while trampolines are mapped the machine's FS is Off, whatever the guest's is (inline_fs).
 */
#include "engine/trap/inline.h"

#include <string.h>

#include "vm/csr.h"
#include "engine/trap/patch.h"
#include "engine/trap/shadow_internal.h"
#include "vm/vm.h"

#define ECALL      0x00000073u
#define SUPERPAGE  (2ul << 20) /* a fence may name any address of one */
#define LOSSES_MAX 16u         /* then it is not taken up again until the VM is reset */
#define CODE       (PTE_X | PTE_U | PTE_V | PTE_A | PTE_D)

static uint64_t entry_for(const void *page, uint64_t bits)
{
    return map_pointer_hpa(page) >> PAGE_SHIFT << PTE_PPN_SHIFT | bits;
}

static void map_entries(struct inlined *inlined, bool mapped)
{
    inlined->table[0][0] = mapped ? entry_for(inlined->low, CODE) : 0;
}

void inline_reset(struct vcpu *vcpu, unsigned levels)
{
    struct inlined *inlined = vcpu->inlined;
    if (!inlined)
        return;
    memset(inlined, 0, sizeof(*inlined));
    for (unsigned i = 0; i < INLINE_LOW / 4; i++)
        inlined->low[i] = ECALL; /* a guest that jumps there itself gets its fault: SETTLED_WILD */
    for (unsigned i = 0; i < INLINE_PAGES; i++)
        inlined->table[0][i] = entry_for(inlined->low + i * PAGE_SIZE / 4, CODE);
    for (unsigned level = 1; level < levels - 1; level++)
        inlined->table[level][0] = entry_for(inlined->table[level - 1], PTE_V);
}

static bool may_inline(const struct vcpu *vcpu)
{
    return vcpu->inlined && !vcpu->inlined->lost;
}

bool inline_has_low(const struct vcpu *vcpu)
{
    return may_inline(vcpu) && !vcpu->inlined->low_lost && vcpu->mode == VMODE_S;
}

uint64_t inline_low_entry(const struct vcpu *vcpu)
{
    if (!inline_has_low(vcpu))
        return 0;
    unsigned levels = vcpu->vm->shadow->host_levels;
    return entry_for(vcpu->inlined->table[levels - 2], PTE_V | PTE_SHARED);
}

bool inline_maps(const struct vcpu *vcpu, uint64_t gva, uint64_t *hpa)
{
    bool bare = vcpu->csr.satp >> SATP_MODE_SHIFT == SATP_MODE_BARE;
    if (!may_inline(vcpu) || vcpu->mode != VMODE_S || bare || gva < INLINE_TOP)
        return false;
    *hpa = map_pointer_hpa(&vcpu->inlined->page);
    return true;
}

void inline_map(struct vcpu *vcpu)
{
    uint64_t gpa, cause;
    if (inline_maps(vcpu, INLINE_TOP, &gpa))
        shadow_fault(vcpu, INLINE_TOP, ACCESS_STORE, &gpa, &cause);
}

void inline_map_low(struct vcpu *vcpu)
{
    struct inlined *inlined = vcpu->inlined;
    bool shared = vcpu->root->table[0] & PTE_SHARED;
    if (!inline_has_low(vcpu) || shadow_is_bare(vcpu) || inlined->float_open || shared)
        return;
    for (unsigned i = 0; i < INLINE_PAGES; i++) {
        const void *page = inlined->low + i * PAGE_SIZE / 4;
        shadow_put_fixed(vcpu, i * PAGE_SIZE, map_pointer_hpa(page), PTE_X);
    }
}

/* The entries alone: a jump into the middle of a site reaches nothing else. */
static void hide_entries(struct vcpu *vcpu)
{
    unsigned level;
    const uint64_t *entry = vcpu->root ? shadow_leaf(vcpu, 0, &level) : NULL;
    if (entry && shadow_is_fixed(vcpu->vm, *entry))
        shadow_drop_leaf(vcpu, 0);
}

/* --- Conflicts with the guest's own use ------------------------------------------------------------ */

void inline_note_space(struct vcpu *vcpu)
{
    if (vcpu->inlined)
        vcpu->inlined->check = true;
}

void inline_note_fence(struct vcpu *vcpu, bool by_address, uint64_t gva)
{
    if (vcpu->inlined && (!by_address || gva >= -SUPERPAGE || gva < SUPERPAGE))
        vcpu->inlined->check = true;
}

/* Whether the guest's tables have a page at gva that its kernel sees; user pages only if user is set. */
static bool guest_maps(struct vcpu *vcpu, uint64_t gva, bool user)
{
    struct walk_mode mode = {
        .satp = vcpu->csr.satp, .sum = true, .mxr = true, .probe = true, /* any leaf */
    };
    struct walk walk;
    return walk_guest(vcpu->vm, &mode, gva, ACCESS_LOAD, &walk) == 0 &&
           (user || !(walk.pte & PTE_U));
}

/* Inlined code would act on the guest's own pages, or would no longer: all copies are made anew. */
static void change(struct vcpu *vcpu, bool lost, bool low_lost)
{
    struct inlined *inlined = vcpu->inlined;
    bool less = lost > inlined->lost || low_lost > inlined->low_lost;
    if (!less && inlined->losses >= LOSSES_MAX && !vcpu->vm->options.eager)
        return; /* back and forth is dear */
    inlined->lost = lost;
    inlined->low_lost = low_lost;
    inlined->losses += less;
    vcpu->vm->stats.memory.inline_lost += less;
    shadow_drop_all(vcpu); /* first: then no copy is looked for */
    patch_drop_all(vcpu->vm);
    inline_mode_changed(vcpu);
}

RARE static void check_conflicts(struct vcpu *vcpu)
{
    struct inlined *inlined = vcpu->inlined;
    inlined->check = false;
    bool bare = vcpu->csr.satp >> SATP_MODE_SHIFT == SATP_MODE_BARE; /* no memory is there */
    bool top = !bare && guest_maps(vcpu, INLINE_TOP, true), low = top;
    for (uint64_t gva = 0; gva < INLINE_LOW && !low && !bare; gva += PAGE_SIZE)
        low = guest_maps(vcpu, gva, false);
    if (top != inlined->lost || low != inlined->low_lost)
        change(vcpu, top, low);
}

/* --- In and out -------------------------------------------------------------------------------------- */

/* What trampolines change in sstatus without the VMM: SUM only towards what the root permits anyway. */
static uint64_t guarded(const struct vcpu *vcpu)
{
    uint64_t free = SSTATUS_FS | SSTATUS_SPIE | SSTATUS_SPP;
    if (!shadow_reaches_user(vcpu))
        free |= SSTATUS_SUM;
    return ~free << 1;
}

void inline_pull_page(struct vcpu *vcpu)
{
    const struct inline_page *page = &vcpu->inlined->page;
    struct vcsr *csr = &vcpu->csr;
    uint64_t changed = csr->sstatus ^ page->sstatus;
    csr->sstatus = (page->sstatus & CSR_SSTATUS_KEPT & ~SSTATUS_SIE) | (page->sie & SSTATUS_SIE);
    if (vcpu->fs_hidden)
        vcpu->fs_behind = page->sstatus & SSTATUS_FS;
    if ((changed & SSTATUS_MXR) || ((changed & SSTATUS_SUM) && shadow_reaches_user(vcpu)))
        vcpu->view_stale = true; /* against the rules */
    csr->sepc = page->sepc & ~1ul;
    csr->sscratch = page->sscratch;
    csr->scause = page->scause;
    csr->stval = page->stval;
}

void inline_push_page(struct vcpu *vcpu)
{
    if (vcpu->inlined->check)
        check_conflicts(vcpu);
    if (vcpu->inlined->float_open)
        hide_entries(vcpu); /* this may be another root than before */
    struct inline_page *page = &vcpu->inlined->page;
    const struct vcsr *csr = &vcpu->csr;
    page->sie = csr->sstatus & SSTATUS_SIE;
    page->sscratch = csr->sscratch;
    page->scause = csr->scause;
    page->stval = csr->stval;
    page->sepc = csr->sepc;
    page->stvec = csr->stvec;
    page->satp = csr->satp;
    page->sstatus = csr_sstatus(vcpu) & ~SSTATUS_SIE;
    page->guarded = guarded(vcpu);
    page->pending = vcpu_sip(vcpu) & csr->sie;
}

/* --- FS ------------------------------------------------------------------------------------------------ */

uint64_t inline_fs(const struct vcpu *vcpu)
{
    return vcpu->fs_hidden ? vcpu->fs_behind : vcpu->host_sstatus & SSTATUS_FS;
}

static void set_visible_fs(struct vcpu *vcpu, uint64_t fs)
{
    vcpu->host_sstatus = (vcpu->host_sstatus & ~SSTATUS_FS) | (fs & SSTATUS_FS);
}

void inline_set_fs(struct vcpu *vcpu, uint64_t fs)
{
    if (vcpu->fs_hidden)
        vcpu->fs_behind = fs & SSTATUS_FS;
    else
        set_visible_fs(vcpu, fs);
    if (vcpu->inlined && vcpu->inlined->float_open && !(fs & SSTATUS_FS))
        inline_mode_changed(vcpu);
}

void inline_mode_changed(struct vcpu *vcpu)
{
    struct inlined *inlined = vcpu->inlined;
    if (!inlined)
        return;
    bool kernel = vcpu->mode == VMODE_S;
    uint64_t fs = inline_fs(vcpu);
    if (inlined->float_open && (!kernel || !fs)) {
        inlined->float_open = false;
        map_entries(inlined, true);
    }
    bool hide = kernel && !inlined->lost && !inlined->low_lost && !inlined->float_open;
    set_visible_fs(vcpu, hide ? 0 : fs);
    vcpu->fs_hidden = hide;
    vcpu->fs_behind = fs;
}

bool inline_open_float(struct vcpu *vcpu)
{
    if (!vcpu->fs_hidden || !vcpu->fs_behind)
        return false;
    vcpu->inlined->float_open = true;
    map_entries(vcpu->inlined, false);
    shadow_tlb_flush(vcpu->vm);
    inline_mode_changed(vcpu);
    return true;
}
