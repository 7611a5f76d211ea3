/*
 * Brief exits. See brief.h.
 *
 * Surprise: neither way looks for interrupts. Before a system call none is due, or it would have
 * been taken, and in the handler SIE is clear. Before the return the page of virtual CSRs says what
 * was due when the kernel was entered last, and what has become due since interrupts the hart as
 * soon as the guest goes on.
 */
#include "engine/trap/brief.h"

#include "engine/trap/inline.h"
#include "engine/trap/rights.h"
#include "engine/trap/shadow_internal.h"
#include "engine/trap/site.h"
#include "vm/vm.h"

/* Those that a brief exit saves and restores: bits. */
#define BRIEF_REGISTERS 0xf003fcf6u

void brief_start(struct vcpu *vcpu)
{
    struct trap_vcpu *own = trap_of(vcpu);
    own->brief = own->inlined && !vcpu->vm->timed && !vcpu->vm->timeline;
    own->swaps = own->returns = (struct trap_known){0};
}

void brief_end(struct vcpu *vcpu)
{
    trap_of(vcpu)->brief = false;
    trap_of(vcpu)->returns.epoch = 0;
}

/* --- Instructions that are known --- */

static inline bool is_known(const struct vcpu *vcpu, const struct trap_known *known)
{
    return known->pc == vcpu->pc && known->epoch == shadow_of(vcpu->vm)->code_epoch &&
           known->tag == trap_code_tag(vcpu);
}

static void learn(struct trap_known *known, const struct site *site)
{
    *known = (struct trap_known){site->pc, site->tag, site->epoch, site->insn.rd, site->insn.rs1};
}

void brief_note_return(struct vcpu *vcpu, const struct site *site)
{
    if (trap_of(vcpu)->brief && site->insn.op == INSN_SRET)
        learn(&trap_of(vcpu)->returns, site);
}

static bool is_brief_register(unsigned reg)
{
    return BRIEF_REGISTERS >> reg & 1;
}

/* Whether the handler that begins at pc is known to begin with a swap. */
RARE static bool learn_swap(struct vcpu *vcpu)
{
    const struct site *site = site_slot(vcpu);
    const struct insn *insn = &site->insn;
    bool swaps = site_holds(vcpu, site) && insn->op == INSN_CSRRW && !insn->immediate &&
                 insn->csr == CSR_SSCRATCH && insn->rd && is_brief_register(insn->rd) &&
                 is_brief_register(insn->rs1);
    if (swaps)
        learn(&trap_of(vcpu)->swaps, site);
    return swaps;
}

bool brief_swap(struct vcpu *vcpu)
{
    const struct trap_known *swaps = &trap_of(vcpu)->swaps;
    if (!is_known(vcpu, swaps) && !learn_swap(vcpu))
        return false;
    uint64_t before = vcpu->csr.sscratch;
    vcpu->csr.sscratch = vcpu->x[swaps->rs1];
    vcpu->x[swaps->rd] = before;
    vcpu->pc += 4;
    return true;
}

/* --- The two ways --- */

/* The guest goes on in another mode, and in its root. */
static inline void go_on(struct vcpu *vcpu, enum vmode mode, struct shadow_root *root, uint64_t fs)
{
    struct trap_vcpu *own = trap_of(vcpu);
    vcpu->mode = (uint8_t)mode;
    own->upper_tag = shadow_upper_tag(vcpu, root);
    own->fs_hidden = mode == VMODE_S;
    trap_show_fs(own, fs);
    shadow_install(vcpu, root);
    rights_show(vcpu);
}

/* ECALL in vU. */
static inline bool call(struct vcpu *vcpu)
{
    struct vcsr *csr = &vcpu->csr;
    struct shadow_root *root = shadow_ready_root(vcpu, VIEW_KERNEL);
    if (!root || (csr->sstatus & SSTATUS_MXR) || vcpu->external)
        return false;
    trap_take_float(vcpu);
    csr->sstatus = vcpu_sstatus_pushed(csr->sstatus, VMODE_U);
    csr->sepc = vcpu->pc;
    csr->scause = CAUSE_ECALL_U;
    csr->stval = 0;
    vcpu->pc = csr->stvec & ~3ul;
    go_on(vcpu, VMODE_S, root, 0);
    brief_swap(vcpu);
    inline_write_page(vcpu, false, 0);
    vcpu->vm->stats.brief[STATS_SYSCALL]++;
    return true;
}

/* SRET of vS to vU. */
static inline bool give_back(struct vcpu *vcpu)
{
    struct vcsr *csr = &vcpu->csr;
    const struct inline_page *page = &trap_of(vcpu)->inlined->page;
    struct shadow_root *root = shadow_ready_root(vcpu, VIEW_USER);
    uint64_t sstatus = inline_sstatus(page);
    bool plain = !((sstatus | csr->sstatus) & SSTATUS_MXR) && !(sstatus & SSTATUS_SPP);
    if (!root || !plain || page->pending)
        return false;
    csr->sstatus = vcpu_sstatus_popped(sstatus);
    inline_pull_plain(csr, page);
    vcpu->pc = csr->sepc;
    go_on(vcpu, VMODE_U, root, sstatus);
    if (trap_of(vcpu)->fault_gva != SHADOW_NO_FAULT)
        shadow_retry(vcpu);
    vcpu->vm->stats.brief[STATS_SRET]++;
    return true;
}

HOT struct brief trap_brief(struct vcpu *vcpu)
{
    const struct trap_vcpu *own = trap_of(vcpu);
    if (vcpu->mode == VMODE_S ? !is_known(vcpu, &own->returns) : !own->brief)
        return (struct brief){vcpu, false};
    if (vcpu->changed || !inline_is_settled(vcpu))
        return (struct brief){vcpu, false};
    return (struct brief){vcpu, vcpu->mode == VMODE_S ? give_back(vcpu) : call(vcpu)};
}
