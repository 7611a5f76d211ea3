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
    code->shorts = INLINE_BACKS - INLINE_LONG;
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

/* Whether the guest's tables have a page at gva. */
static bool guest_maps(struct vcpu *vcpu, uint64_t gva, struct walk *walk)
{
    struct walk_mode mode = {
        .satp = vcpu->csr.satp, .sum = true, .mxr = true, .probe = true, /* any leaf */
    };
    return walk_guest(vcpu->vm, &mode, gva, ACCESS_LOAD, walk) == 0;
}

/* Whether the guest's kernel may use a page where trampolines are, so that it would be missed. One
 * that is no code lies behind them as a guard page may, until it is used (inline_give_way()). */
static bool low_is_missed(struct vcpu *vcpu)
{
    uint64_t wanted = trap_of(vcpu)->inlined->low_used ? PTE_R | PTE_X : PTE_X;
    struct walk walk;
    bool global;
    const uint64_t *table = walk_table(vcpu->vm, vcpu->csr.satp, 0, 0, &global);
    if (!table) /* a superpage, or nothing */
        return guest_maps(vcpu, 0, &walk) && !(walk.pte & PTE_U);
    for (unsigned i = 0; i < INLINE_PAGES; i++) {
        uint64_t pte = __atomic_load_n(&table[i], __ATOMIC_RELAXED);
        if ((pte & PTE_V) && (pte & wanted) && !(pte & PTE_U))
            return true;
    }
    return false;
}

/* Inlined code would act on the guest's own pages, or would no longer: all copies are made anew. */
static void change(struct vcpu *vcpu, bool lost, bool low_lost)
{
    struct inlined *inlined = trap_of(vcpu)->inlined;
    bool less = lost > inlined->lost || low_lost > inlined->low_lost;
    /* Back and forth is dear, and so is half of it. */
    inlined->given_up = !less && inlined->losses >= LOSSES_MAX && !vcpu->vm->options.eager;
    inlined->lost = lost || inlined->given_up;
    inlined->low_lost = low_lost || inlined->given_up;
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
    struct walk walk;
    inlined->check = false;
    inlined->space_epoch = shadow_of(vcpu->vm)->space_epoch;
    bool bare = vcpu_is_bare(vcpu); /* no memory is there */
    bool top = !bare && guest_maps(vcpu, INLINE_TOP, &walk);
    bool low = top || (!bare && low_is_missed(vcpu));
    if (top != inlined->lost || low != inlined->low_lost)
        change(vcpu, top, low);
}

bool inline_give_way(struct vcpu *vcpu, uint64_t gva)
{
    struct inlined *inlined = trap_of(vcpu)->inlined;
    struct walk walk;
    if (!inline_has_low(vcpu) || vcpu_is_bare(vcpu) || !guest_maps(vcpu, gva, &walk) ||
        (walk.pte & PTE_U))
        return false;
    inlined->low_used = true;
    check_conflicts(vcpu);
    return true;
}

/* --- In and out --- */

HOT void inline_pull_page(struct vcpu *vcpu)
{
    const struct inline_page *page = &trap_of(vcpu)->inlined->page;
    struct vcsr *csr = &vcpu->csr;
    uint64_t changed = csr->sstatus ^ page->sstatus;
    csr->sstatus = inline_sstatus(page);
    if ((changed & SSTATUS_MXR) || ((changed & SSTATUS_SUM) && shadow_reaches_user(vcpu)))
        vcpu->changed |= VCPU_VIEW; /* against the rules */
    inline_pull_plain(csr, page);
}

HOT void inline_push_page(struct vcpu *vcpu)
{
    struct inlined *inlined = trap_of(vcpu)->inlined;
    if (inlined->check || inlined->space_epoch != shadow_of(vcpu->vm)->space_epoch)
        check_conflicts(vcpu);
    if (inlined->float_open)
        hide_entries(vcpu); /* this may be another root than before */
    inline_write_page(vcpu, shadow_reaches_user(vcpu), vcpu_sip(vcpu) & vcpu->csr.sie);
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
    trap_show_fs(own, own->fs_hidden ? 0 : fs);
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
