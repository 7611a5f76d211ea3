/*
 * PATCH=inline: privileged instructions of the guest kernel that do not trap at all.
 *
 * A page of virtual CSRs lies at the guest's top page in its kernel views, where x0 and a 12-bit
 * offset reach it: a pure read or write of virtual state is one load or store there. What needs
 * more, such as reading sstatus and clearing SIE at once, jumps (jalr x0) to a trampoline: an entry
 * in page 0 and a body behind it, execute-only. It returns through a register that is dead at the
 * site (liveness.h).
 *
 * What the guest could write in the page is input: inline_pull() sanitizes it. docs/patching.md
 * tells the whole story, and what a guest could still notice.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/trap/shadow.h"
#include "engine/trap/trap.h"
#include "isa/decode.h"
#include "isa/riscv.h"
#include "vm/csr.h"
#include "vm/engine.h"

#define INLINE_TOP   0xfffffffffffff000ul /* gva of the page of virtual CSRs */
#define INLINE_PAGES 6u                   /* of trampolines, from gva 0 on */
#define INLINE_LOW   (INLINE_PAGES * PAGE_SIZE)
#define INLINE_NEAR  (2ul << 20) /* of both: a fence may name any address of a superpage */
#define INLINE_SITES 256u        /* whose entries are offsets from 512 on: see inline_code.c */
#define INLINE_LONG  32u         /* the last of them have long bodies */
#define INLINE_BACKS 208u        /* of them, all long ones too, that may lie at any address */
#define INLINE_HITS  16          /* traps of a site until it is worth a trampoline */

/* The page of virtual CSRs. Those from 0x900 to 0x9ff are for single instructions at a site: the
 * second half of such an instruction is illegal as a compressed one, so a jump into the middle
 * traps. */
struct inline_page {
    uint8_t out_of_reach[0x800];
    uint64_t saved[32]; /* by slot of a site: what its register held before */
    uint64_t sie;       /* SSTATUS_SIE or 0 */
    uint64_t sscratch, scause, stval;
    uint64_t sepc;        /* written by trampolines alone */
    uint64_t stvec, satp; /* read alone */
    uint64_t sstatus;     /* as the guest reads it, with SIE clear */
    uint64_t guarded;     /* what of sstatus only the VMM changes, shifted left by one: no SD */
    uint64_t pending;     /* not 0: an interrupt is due as soon as SIE is set */
    uint64_t scratch[2];  /* registers that a long body borrows */
    uint64_t back[INLINE_BACKS]; /* the pc behind a site, where LUI does not reach it */
    uint8_t rest[PAGE_SIZE - 0x960 - 8 * INLINE_BACKS];
};

_Static_assert(sizeof(struct inline_page) == PAGE_SIZE, "the page of virtual CSRs is one page");
_Static_assert(offsetof(struct inline_page, sie) == 0x900,
               "single instructions reach 0x900..0x9ff");

/* A site whose instruction jumps to a trampoline. */
struct inline_site {
    uint64_t pc; /* 0: free */
    uint32_t frame;
    uint16_t first, last; /* offsets in the page where dead may still hold the return address */
    uint8_t dead;         /* the register that the trampoline returns through, */
    uint8_t slot;         /* and where it saves it */
};

/* The trampolines of a VM. */
struct inline_code {
    uint32_t sites[2];       /* in use, by whether their bodies are long */
    uint32_t shorts;         /* so many short ones can be in use where the last one was made */
    uint32_t next[2];        /* the one to go next if all are */
    uint32_t dead_registers; /* of all sites */
    struct inline_site site[INLINE_SITES];
    uint32_t low[INLINE_LOW / 4] __attribute__((aligned(4096))); /* entries and bodies */
};

/* What a vcpu has of its own. */
struct inlined {
    struct inline_code *code;
    uint32_t losses;      /* how often one of these came about: */
    bool lost;            /* the current address space uses the top page itself: no inlining */
    bool low_lost;        /* the same of the low pages: no trampolines */
    bool given_up;        /* both, for good: until the VM is reset */
    bool low_used;        /* the guest's kernel has used a page of its own there that is no code */
    bool check;           /* its tables may have changed there: to be looked at */
    bool float_open;      /* the guest's kernel uses the FPU: trampolines are unmapped */
    bool hidden;          /* for that, from a root with tables of its own for the low pages */
    uint64_t space_epoch; /* the shadow's, when that was last looked at */
    struct inline_page page __attribute__((aligned(4096)));
    uint64_t table[4][512] __attribute__((aligned(4096))); /* shadow tables that map low */
};

/* What a trampoline returns with. Bit 0, which JALR ignores, tells it from an address of the
 * guest's. */
#define INLINE_BACK(pc) (((pc) + 4) | 1)

/* Builds the tables; nothing is inlined yet. Also at VM reset. Does
 * nothing without PATCH=inline. */
void inline_reset(struct vcpu *vcpu);

/* Whether the page of virtual CSRs may be mapped now. */
bool inline_may_map(const struct vcpu *vcpu);

/* Whether gva lies in it besides. */
static inline bool inline_maps(const struct vcpu *vcpu, uint64_t gva)
{
    return gva >= INLINE_TOP && inline_may_map(vcpu);
}

/* Maps that page in the current root, if it may be. */
void inline_map(struct vcpu *vcpu);

/* Maps the trampolines in the current root, which has other pages of the guest in this part, and so
 * tables of its own. */
void inline_map_low(struct vcpu *vcpu);

/* A load or store of vS has faulted at gva, where trampolines may be. True: the guest has a page of
 * its kernel's own there; the trampolines give way to it, and the guest is to try again. */
bool inline_give_way(struct vcpu *vcpu, uint64_t gva);

/* Whether trampolines may be mapped in the vcpu's mode. */
bool inline_has_low(const struct vcpu *vcpu);

/* Virtual CSRs from the page, after an exit from vS; and into it, before an entry to vS. While
 * there is no inlining, the page is written all the same, until that is given up for good: nobody
 * sees it. */
void inline_pull_page(struct vcpu *vcpu);
void inline_push_page(struct vcpu *vcpu);

/* The pc is in a trampoline: carries out the rest of it, and takes over what it wrote. */
enum inline_finished {
    FINISHED,      /* done: pc is behind the site */
    FINISHED_SLOW, /* pc is at the site, whose instruction the VMM must carry out */
    FINISHED_WILD, /* it was no trampoline: the guest jumped there */
};
enum inline_finished inline_finish(struct vcpu *vcpu);

/* Before a trap is injected in vS: a register that still holds a trampoline's return address,
 * though the guest's kernel has not written it again, gets back what it held. */
void inline_restore(struct vcpu *vcpu);

/* A fence: the guest's tables at the top or the low pages may be others. */
static inline void inline_note_fence(struct vcpu *vcpu, unsigned by, uint64_t gva)
{
    struct inlined *inlined = trap_of(vcpu)->inlined;
    if (inlined && (!(by & FENCE_ADDRESS) || gva + INLINE_NEAR < 2 * INLINE_NEAR))
        inlined->check = true;
}

/* Shows the machine the guest's sstatus.FS, or Off. While trampolines are mapped FS is Off in vS: a
 * jump into the middle of a site is then an illegal instruction, and the guest's first FPU
 * instruction too, which opens the FPU. To be called when the mode or FS has changed, before the
 * guest goes on. */
void inline_show_fs(struct vcpu *vcpu);
bool inline_open_float(struct vcpu *vcpu);

/* insn has changed FS. A kernel that sets FS and nothing else is about to use the FPU, which is
 * opened: otherwise its first FPU instruction would trap for that. */
void inline_expect_float(struct vcpu *vcpu, const struct insn *insn);

static inline void inline_pull(struct vcpu *vcpu)
{
    const struct inlined *inlined = trap_of(vcpu)->inlined;
    if (inlined && vcpu->mode == VMODE_S && !inlined->lost)
        inline_pull_page(vcpu);
}

static inline void inline_push(struct vcpu *vcpu)
{
    const struct inlined *inlined = trap_of(vcpu)->inlined;
    if (inlined && vcpu->mode == VMODE_S && !inlined->given_up)
        inline_push_page(vcpu);
}

/* --- The page's contents --- */

/* The virtual sstatus that the page holds. */
static inline uint64_t inline_sstatus(const struct inline_page *page)
{
    return (page->sstatus & VCSR_SSTATUS & ~SSTATUS_SIE) | (page->sie & SSTATUS_SIE);
}

/* The other virtual CSRs that the guest may have written there. */
static inline void inline_pull_plain(struct vcsr *csr, const struct inline_page *page)
{
    csr->sepc = page->sepc & ~1ul;
    csr->sscratch = page->sscratch;
    csr->scause = page->scause;
    csr->stval = page->stval;
}

/* Virtual CSRs into the page. Trampolines change sstatus without the VMM: SUM only towards what the
 * root permits anyway. pending: the interrupts that are due as soon as SIE is set. */
static inline void inline_write_page(struct vcpu *vcpu, bool reaches_user, uint64_t pending)
{
    struct inline_page *page = &trap_of(vcpu)->inlined->page;
    const struct vcsr *csr = &vcpu->csr;
    uint64_t free = SSTATUS_FS | SSTATUS_SPIE | SSTATUS_SPP | (reaches_user ? 0 : SSTATUS_SUM);
    page->sie = csr->sstatus & SSTATUS_SIE;
    page->sscratch = csr->sscratch;
    page->scause = csr->scause;
    page->stval = csr->stval;
    page->sepc = csr->sepc;
    page->stvec = csr->stvec;
    page->satp = csr->satp;
    page->sstatus = csr_sstatus(vcpu) & ~SSTATUS_SIE;
    page->guarded = ~free << 1;
    page->pending = pending;
}

/* Whether inlining is as it was when the guest's kernel ran last: nothing has to be looked at, and
 * trampolines are mapped in its root and FS is hidden. */
static inline bool inline_is_settled(const struct vcpu *vcpu)
{
    const struct inlined *inlined = trap_of(vcpu)->inlined;
    bool unsettled = inlined->lost | inlined->low_lost | inlined->check | inlined->float_open;
    return !unsettled && inlined->space_epoch == shadow_of(vcpu->vm)->space_epoch;
}

/* --- Code (inline_code.c) --- */

/* The one instruction that replaces insn, or 0: there is none. */
uint32_t inline_form(const struct insn *insn);

/* Makes a trampoline for insn at pc; page: the code page as the guest wrote it. Returns the
 * instruction that jumps there, or 0: its kind has none, no register is dead, or all sites are
 * taken. Then and only then *oldest is not null: the site that has to be freed first. */
uint32_t inline_make(struct vcpu *vcpu, uint64_t pc, const struct insn *insn, const uint8_t *page,
                     uint32_t frame, struct inline_site **oldest);

/* Carries out what the trampolines do from pc on. */
enum inline_finished inline_carry_out(struct vcpu *vcpu);

/* Whether word, found at offset of a copy of frame, is the jump of a site. */
bool inline_is_jump(const struct inline_code *code, uint32_t word, uint32_t frame, unsigned offset);

/* So many traps make a site worth a trampoline: more when another one must go for it. */
static inline int32_t inline_threshold(const struct inline_code *code)
{
    bool room = code->sites[0] < code->shorts && code->sites[1] < INLINE_LONG;
    return room ? INLINE_HITS : 4 * INLINE_HITS;
}

/* Gives back a site. */
void inline_free(struct inline_code *code, struct inline_site *site);
