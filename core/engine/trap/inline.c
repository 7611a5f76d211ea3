/*
 * PATCH=inline: the page of virtual CSRs, what is mapped when, and when inlining is given up.
 * The code is made in inline_code.c.
 *
 * Surprise: while trampolines are mapped the machine's FS is Off, whatever the guest's is
 * (inline_fs).
 */
#include "engine/trap/inline.h"

#include <string.h>

#include "engine/trap/patch.h"
#include "engine/trap/shadow_internal.h"
#include "isa/encode.h"
#include "vm/csr.h"
#include "vm/vm.h"

#define LOSSES_MAX 16u /* then it is not taken up again until the VM is reset */
#define CODE       (PTE_X | PTE_U | PTE_V | PTE_A | PTE_D)

static uint64_t entry_for(const void *page, uint64_t bits)
{
    return map_pointer_hpa(page) >> PAGE_SHIFT << PTE_PPN_SHIFT | bits;
}

static void map_entries(struct inlined *inlined, bool mapped)
{
    inlined->table[0][0] = mapped ? entry_for(inlined->code->low, CODE) : 0;
}

static bool may_inline(const struct vcpu *vcpu)
{
    return trap_of(vcpu)->inlined && !trap_of(vcpu)->inlined->lost;
}

bool inline_has_low(const struct vcpu *vcpu)
{
    return may_inline(vcpu) && !trap_of(vcpu)->inlined->low_lost && vcpu->mode == VMODE_S;
}

/* What roots of the guest's kernel have for gva 0 from now on. */
static void offer_low(struct vcpu *vcpu)
{
    const struct inlined *inlined = trap_of(vcpu)->inlined;
    struct shadow *shadow = shadow_of(vcpu->vm);
    bool may = !inlined->lost && !inlined->low_lost;
    shadow->low_entry = may ? entry_for(inlined->table[shadow->host_levels - 2], PTE_V | PTE_SHARED)
                            : 0;
}

/* Guest code that jumps to the low pages itself gets its own fault: FINISHED_WILD. */
static void reset_code(struct inline_code *code)
{
    memset(code, 0, sizeof(*code));
    for (unsigned i = 0; i < INLINE_LOW / 4; i++)
        code->low[i] = ENCODE_ECALL;
}

void inline_reset(struct vcpu *vcpu)
{
    struct inlined *inlined = trap_of(vcpu)->inlined;
    if (!inlined)
        return;
    struct inline_code *code = inlined->code;
    memset(inlined, 0, sizeof(*inlined));
    inlined->code = code;
    reset_code(code);
    for (unsigned i = 0; i < INLINE_PAGES; i++)
        inlined->table[0][i] = entry_for(code->low + i * PAGE_SIZE / 4, CODE);
    for (unsigned level = 1; level < shadow_of(vcpu->vm)->host_levels - 1; level++)
        inlined->table[level][0] = entry_for(inlined->table[level - 1], PTE_V);
    offer_low(vcpu);
}

bool inline_may_map(const struct vcpu *vcpu)
{
    return may_inline(vcpu) && vcpu->mode == VMODE_S && !vcpu_is_bare(vcpu);
}

void inline_map(struct vcpu *vcpu)
{
    if (inline_may_map(vcpu))
        shadow_put_fixed(vcpu, INLINE_TOP, map_pointer_hpa(&trap_of(vcpu)->inlined->page),
                         PTE_R | PTE_W);
}

void inline_map_low(struct vcpu *vcpu)
{
    struct inlined *inlined = trap_of(vcpu)->inlined;
    bool shared = trap_of(vcpu)->root->table[0] & PTE_SHARED;
    if (!inline_has_low(vcpu) || vcpu_is_bare(vcpu) || inlined->float_open || shared)
        return;
    inlined->hidden = false;
    for (unsigned i = 0; i < INLINE_PAGES; i++) {
        unsigned level;
        uint64_t gva = i * PAGE_SIZE;
        const void *page = inlined->code->low + gva / 4;
        const uint64_t *entry = shadow_leaf(vcpu, gva, &level);
        if (!entry || !shadow_is_fixed(vcpu->vm, *entry))
            shadow_put_fixed(vcpu, gva, map_pointer_hpa(page), PTE_X);
    }
}

/* The entries alone: a jump into the middle of a site reaches nothing else. */
static void hide_entries(struct vcpu *vcpu)
{
    unsigned level;
    const uint64_t *entry = trap_of(vcpu)->root ? shadow_leaf(vcpu, 0, &level) : NULL;
    if (!entry || !shadow_is_fixed(vcpu->vm, *entry))
        return;
    shadow_drop_leaf(vcpu, 0);
    trap_of(vcpu)->inlined->hidden = true;
}

/* --- Conflicts with the guest's own use --- */

/* Whether the guest's tables have a page at gva that its kernel sees; user pages only if user is
 * set. */
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
    struct inlined *inlined = trap_of(vcpu)->inlined;
    bool less = lost > inlined->lost || low_lost > inlined->low_lost;
    if (!less && inlined->losses >= LOSSES_MAX && !vcpu->vm->options.eager)
        return; /* back and forth is dear */
    inlined->lost = lost;
    inlined->low_lost = low_lost;
    inlined->losses += less;
    vcpu->vm->stats.memory.inline_lost += less;
    offer_low(vcpu);
    shadow_drop_all(vcpu->vm); /* first: then no copy is looked for */
    patch_drop_all(vcpu->vm);
    shadow_select(vcpu);
    inline_show_fs(vcpu);
}

RARE static void check_conflicts(struct vcpu *vcpu)
{
    struct inlined *inlined = trap_of(vcpu)->inlined;
    inlined->check = false;
    inlined->space_epoch = shadow_of(vcpu->vm)->space_epoch;
    bool bare = vcpu_is_bare(vcpu); /* no memory is there */
    bool top = !bare && guest_maps(vcpu, INLINE_TOP, true), low = top;
    for (uint64_t gva = 0; gva < INLINE_LOW && !low && !bare; gva += PAGE_SIZE)
        low = guest_maps(vcpu, gva, false);
    if (top != inlined->lost || low != inlined->low_lost)
        change(vcpu, top, low);
}

/* --- In and out --- */

/* What trampolines change in sstatus without the VMM: SUM only towards what the root permits
 * anyway. */
static uint64_t guarded(const struct vcpu *vcpu)
{
    uint64_t free = SSTATUS_FS | SSTATUS_SPIE | SSTATUS_SPP;
    if (!shadow_reaches_user(vcpu))
        free |= SSTATUS_SUM;
    return ~free << 1;
}

HOT void inline_pull_page(struct vcpu *vcpu)
{
    const struct inline_page *page = &trap_of(vcpu)->inlined->page;
    struct vcsr *csr = &vcpu->csr;
    uint64_t changed = csr->sstatus ^ page->sstatus;
    csr->sstatus = (page->sstatus & VCSR_SSTATUS & ~SSTATUS_SIE) | (page->sie & SSTATUS_SIE);
    if ((changed & SSTATUS_MXR) || ((changed & SSTATUS_SUM) && shadow_reaches_user(vcpu)))
        vcpu->changed |= VCPU_VIEW; /* against the rules */
    csr->sepc = page->sepc & ~1ul;
    csr->sscratch = page->sscratch;
    csr->scause = page->scause;
    csr->stval = page->stval;
}

HOT void inline_push_page(struct vcpu *vcpu)
{
    struct inlined *inlined = trap_of(vcpu)->inlined;
    if (inlined->check || inlined->space_epoch != shadow_of(vcpu->vm)->space_epoch)
        check_conflicts(vcpu);
    if (inlined->float_open)
        hide_entries(vcpu); /* this may be another root than before */
    struct inline_page *page = &inlined->page;
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

enum inline_finished inline_finish(struct vcpu *vcpu)
{
    struct inlined *inlined = trap_of(vcpu)->inlined;
    inlined->page.sstatus = csr_sstatus(vcpu) & ~SSTATUS_SIE; /* FS may have become Dirty since */
    enum inline_finished finished = inline_carry_out(vcpu);
    vcpu->changed |= VCPU_FS;
    inline_pull(vcpu);
    return finished;
}

/* --- FS --- */

static void show(struct trap_vcpu *own, uint64_t fs)
{
    own->sstatus = (own->sstatus & ~SSTATUS_FS) | (fs & SSTATUS_FS);
}

HOT void inline_show_fs(struct vcpu *vcpu)
{
    struct trap_vcpu *own = trap_of(vcpu);
    struct inlined *inlined = own->inlined;
    bool kernel = vcpu->mode == VMODE_S;
    uint64_t fs = vcpu->csr.sstatus & SSTATUS_FS;
    vcpu->changed &= (uint8_t)~VCPU_FS;
    if (inlined && inlined->float_open && (!kernel || !fs)) {
        inlined->float_open = false;
        map_entries(inlined, true);
        if (inlined->hidden && kernel)
            inline_map_low(vcpu);
    }
    own->fs_hidden = inlined && kernel && !inlined->lost && !inlined->low_lost &&
                     !inlined->float_open;
    show(own, own->fs_hidden ? 0 : fs);
}

bool inline_open_float(struct vcpu *vcpu)
{
    struct trap_vcpu *own = trap_of(vcpu);
    if (!own->fs_hidden || !(vcpu->csr.sstatus & SSTATUS_FS))
        return false;
    own->inlined->float_open = true;
    map_entries(own->inlined, false);
    shadow_tlb_flush(vcpu->vm);
    inline_show_fs(vcpu);
    return true;
}

void inline_expect_float(struct vcpu *vcpu, const struct insn *insn)
{
    if (insn->op == INSN_CSRRS)
        inline_open_float(vcpu);
}
