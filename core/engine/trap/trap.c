/*
 * Why the guest stopped: one table from scause to a handler, and the phases of an exit
 * (trap_handle).
 *
 * Surprise: illegal instruction is not delegated by OpenSBI and arrives through M-mode, and an
 * illegal mret leaves a stale stval behind: the instruction is always fetched at sepc, and before
 * anything changes.
 */
#include "engine/trap/trap.h"

#include "engine/trap/ahead.h"
#include "engine/trap/brief.h"
#include "engine/trap/inline.h"
#include "engine/trap/patch.h"
#include "engine/trap/rights.h"
#include "engine/trap/shadow.h"
#include "engine/trap/site.h"
#include "host/panic.h"
#include "isa/encode.h"
#include "isa/riscv.h"
#include "vm/emulate.h"
#include "vm/priv.h"
#include "vm/run.h"
#include "vm/vm.h"

/* Hits of a site that got no trampoline: it is tried again so much later. */
#define HITS_LATER (-8192)

/* --- Exceptions --- */

static struct exit handle_guest_exception(struct vcpu *vcpu)
{
    const struct trap_vcpu *own = trap_of(vcpu);
    vcpu_raise(vcpu, own->scause, own->stval);
    return exit_of(EXIT_EXCEPTION, own->scause);
}

/* QEMU 10.0 reports an illegal wfi in the last four bytes of a page at a pc one page too high;
 * stval is right. (It moves pc on before it looks whether wfi is allowed, and restores it page by
 * page.) */
static void correct_wfi(struct vcpu *vcpu)
{
    struct patch_code here, before;
    uint64_t pc = vcpu->pc - PAGE_SIZE;
    if (trap_of(vcpu)->stval == ENCODE_WFI && (pc & PAGE_MASK) >= PAGE_SIZE - 4 &&
        patch_fetch(vcpu, pc, &before) == 0 && before.raw == ENCODE_WFI &&
        (patch_fetch(vcpu, vcpu->pc, &here) != 0 || here.raw != ENCODE_WFI))
        vcpu->pc = pc;
}

/* Whether insn is never illegal, in no state of the hart. If it is not what stval says either, it
 * has come there since. (stval alone does not tell: see the head.) */
static bool cannot_be_illegal(const struct vcpu *vcpu, const struct insn *insn)
{
    bool integer = insn->op == INSN_LOAD || insn->op == INSN_STORE || insn->op >= INSN_FENCE_I;
    bool trap = insn->op == INSN_ECALL || insn->op == INSN_EBREAK;
    return (integer || trap) && insn->raw != trap_of(vcpu)->stval;
}

static struct exit handle_illegal(struct vcpu *vcpu)
{
    struct exit exit;
    correct_wfi(vcpu);
    if (vcpu->mode == VMODE_S && patch_repair(vcpu, vcpu->pc))
        return exit_of(EXIT_PATCH, EXIT_PATCH_REPAIRED);
    const struct insn *insn = site_read(vcpu, &exit);
    if (!insn)
        return exit;
    if (vcpu->mode == VMODE_S && rights_extend(vcpu, insn))
        return exit_of(EXIT_PATCH, EXIT_PATCH_RIGHTS);
    bool sensitive = priv_is_sensitive(insn);
    if (!sensitive && vcpu->mode == VMODE_S && inline_open_float(vcpu))
        return exit_of(EXIT_PATCH, EXIT_PATCH_FLOAT); /* perhaps it was the FPU's: run again */
    if (cannot_be_illegal(vcpu, insn))
        return site_run_again(vcpu);
    bool site = vcpu->mode == VMODE_S && sensitive && patch_site(vcpu, vcpu->pc, insn);
    if (site && trap_of(vcpu)->inlined && vcpu->vm->options.eager)
        patch_promote(vcpu, vcpu->pc, insn);
    return priv_execute(vcpu, insn);
}

/* A patched site of PATCH=inline that traps often does so no longer, if that can be. */
static void count_hit(struct vcpu *vcpu, struct site *site, const struct inlined *inlined)
{
    if (++site->hits >= inline_threshold(inlined->code) || vcpu->vm->options.eager)
        site->hits = patch_promote(vcpu, vcpu->pc, &site->insn) ? 0 : HITS_LATER;
}

HOT static struct exit handle_ecall(struct vcpu *vcpu)
{
    if (vcpu->mode == VMODE_U) { /* no copy is in its view: it is the guest's own */
        vcpu_raise(vcpu, CAUSE_ECALL_U, 0);
        return exit_of(EXIT_SYSCALL, 0);
    }
    struct site *site = site_of_ecall(vcpu);
    if (site->sensitive) {
        const struct inlined *inlined = trap_of(vcpu)->inlined;
        if (inlined)
            count_hit(vcpu, site, inlined);
        struct exit exit = priv_execute(vcpu, &site->insn);
        if (vcpu->changed & VCPU_FS)
            inline_expect_float(vcpu, &site->insn);
        if (vcpu->mode == VMODE_U)
            brief_note_return(vcpu, site);
        return exit;
    }
    if (site->insn.op != INSN_ECALL) /* DMA that the VMM did not see put other code there */
        return site_run_again(vcpu);
    vcpu->pc += 4;
    return vcpu->vm->calls->call(vcpu);
}

/* --- Page faults --- */

/* CBO.CLEAN, CBO.FLUSH and CBO.INVAL are permitted where a load is, but fault as stores (Zicbom): a
 * store that is not permitted is such a one, perhaps, and is then answered as a load. */
static enum shadow_answer answer_cbo(struct vcpu *vcpu, enum access *access, uint64_t *gpa)
{
    struct patch_code code;
    uint64_t cause;
    uint64_t unknown = patch_fetch(vcpu, vcpu->pc, &code);
    if (unknown)
        return unknown == PATCH_AGAIN ? SHADOW_RETRY : SHADOW_GUEST;
    if ((code.raw & ENCODE_CBO_MASK) != ENCODE_CBO || code.raw >> 20 == 4) /* .zero stores */
        return SHADOW_GUEST;
    enum shadow_answer answer = shadow_fault(vcpu, trap_of(vcpu)->stval, ACCESS_LOAD, gpa, &cause);
    if (answer == SHADOW_PATCHED) {
        patch_drop(vcpu->vm, *gpa); /* the page becomes readable, then it is run again */
        return SHADOW_RETRY;
    }
    *access = ACCESS_LOAD;
    return answer == SHADOW_RETRY || answer == SHADOW_USER ? answer : SHADOW_GUEST;
}

/* Whether insn is inlined as a load or store that faults so: with paging off the page of virtual
 * CSRs is not mapped. */
static bool is_inlined(const struct vcpu *vcpu, const struct insn *insn, enum access access)
{
    uint64_t stval = trap_of(vcpu)->stval;
    if (!trap_of(vcpu)->inlined || vcpu->mode != VMODE_S || stval < INLINE_TOP)
        return false;
    struct insn form = insn_decode(inline_form(insn));
    return form.op == (access == ACCESS_LOAD ? INSN_LOAD : INSN_STORE) &&
           stval == (uint64_t)(int64_t)form.imm;
}

/* Whether an exit of the guest's kernel is worth going on with its next instructions. */
static bool goes_ahead(const struct vcpu *vcpu)
{
    return vcpu->vm->options.patch >= PATCH_CLUSTER && vcpu->mode == VMODE_S;
}

/* An access where no RAM is. exit: the page fault, as far as it is one. */
static struct exit handle_no_ram(struct vcpu *vcpu, uint64_t gpa, enum access access,
                                 struct exit exit)
{
    uint64_t stval = trap_of(vcpu)->stval;
    if (access == ACCESS_FETCH)
        return emulate_fault(vcpu, CAUSE_FETCH_ACCESS, stval);
    const struct insn *insn = site_fetch(vcpu, &exit);
    if (!insn)
        return exit;
    if (is_inlined(vcpu, insn, access))
        return priv_execute(vcpu, insn);
    if (!site_may_have_faulted(vcpu, insn, stval, access))
        return site_run_again(vcpu);
    ahead_note_device(vcpu, vcpu->pc);
    return emulate_mmio(vcpu, insn, stval, gpa, access, goes_ahead(vcpu));
}

/* The load that faulted at stval, in code whose execute-only copy is mapped: it
 * reads the original. */
static struct exit handle_patched_load(struct vcpu *vcpu, uint64_t gpa, struct exit exit)
{
    struct vm *vm = vcpu->vm;
    const struct insn *insn = site_fetch(vcpu, &exit);
    if (!insn)
        return exit;
    if (!site_may_have_faulted(vcpu, insn, trap_of(vcpu)->stval, ACCESS_LOAD))
        return site_run_again(vcpu);
    if (!emulate_is_load(
            insn)) { /* too rare to emulate: the page becomes readable, then it is run again */
        patch_drop(vm, gpa);
        return exit;
    }
    uint64_t value, stval;
    uint64_t cause = emulate_read(vcpu, emulate_address(vcpu, insn), insn->width, &value, &stval);
    if (cause)
        return emulate_fault(vcpu, cause, stval);
    emulate_finish_load(vcpu, insn, value);
    patch_note_load(vm, gpa);
    return exit;
}

/* As shadow_fault(). If the instruction is needed for what follows, but A or D was set in a page of
 * code, perhaps the one that it was executed from, it is run again. */
static enum shadow_answer answer_fault(struct vcpu *vcpu, enum access access, uint64_t *gpa,
                                       uint64_t *cause)
{
    const struct shadow *shadow = shadow_of(vcpu->vm);
    uint64_t epoch = shadow->code_epoch;
    enum shadow_answer answer = shadow_fault(vcpu, trap_of(vcpu)->stval, access, gpa, cause);
    bool fetches = answer == SHADOW_MMIO || answer == SHADOW_PATCHED;
    return fetches && shadow->code_epoch != epoch ? SHADOW_RETRY : answer;
}

/* The kernel's access to its process's page, in the process's view: carried out there, or by
 * another root. */
static void reach_user(struct vcpu *vcpu, enum access access)
{
    uint64_t gpa, cause;
    if (ahead_reach(vcpu))
        return;
    shadow_reach_user(vcpu);
    shadow_fault(vcpu, trap_of(vcpu)->stval, access, &gpa, &cause);
}

HOT static struct exit handle_page_fault(struct vcpu *vcpu)
{
    const struct trap_vcpu *own = trap_of(vcpu);
    enum access access = own->scause == CAUSE_FETCH_PAGE  ? ACCESS_FETCH
                         : own->scause == CAUSE_LOAD_PAGE ? ACCESS_LOAD
                                                          : ACCESS_STORE;
    struct exit exit = exit_of(EXIT_SHADOW_FILL, own->scause);
    uint64_t gpa, cause;
    if (access != ACCESS_FETCH) {
        if ((vcpu->csr.sstatus & SSTATUS_SUM) && shadow_may_reach(vcpu) && ahead_reach(vcpu))
            return exit;
        if (inline_maps(vcpu, own->stval)) {
            inline_map(vcpu);
            return exit;
        }
        if (own->stval < INLINE_LOW && inline_give_way(vcpu, own->stval))
            return exit;
    }
    enum shadow_answer answer = answer_fault(vcpu, access, &gpa, &cause);
    if (answer == SHADOW_GUEST && access == ACCESS_STORE)
        answer = answer_cbo(vcpu, &access, &gpa);
    switch (answer) {
    case SHADOW_RETRY: break;
    case SHADOW_USER: reach_user(vcpu, access); break;
    case SHADOW_GUEST:
    case SHADOW_ABSENT: return emulate_fault(vcpu, cause, own->stval);
    case SHADOW_PATCHED:
        return handle_patched_load(vcpu, gpa, exit_of(EXIT_PATCH, EXIT_PATCH_LOAD));
    case SHADOW_MMIO: return handle_no_ram(vcpu, gpa, access, exit);
    }
    return exit;
}

/* What the guest did to memory that does not exist was caught above: the host's access faults come
 * from memory that is mapped, which is a window given to the guest. They are the guest's. */
static struct exit (*const handlers[16])(struct vcpu *vcpu) = {
    [CAUSE_FETCH_MISALIGNED] = handle_guest_exception,
    [CAUSE_FETCH_ACCESS] = handle_guest_exception,
    [CAUSE_ILLEGAL] = handle_illegal,
    [CAUSE_BREAKPOINT] = handle_guest_exception,
    [CAUSE_LOAD_MISALIGNED] = handle_guest_exception,
    [CAUSE_LOAD_ACCESS] = handle_guest_exception,
    [CAUSE_STORE_MISALIGNED] = handle_guest_exception,
    [CAUSE_STORE_ACCESS] = handle_guest_exception,
    [CAUSE_ECALL_U] = handle_ecall,
    [CAUSE_FETCH_PAGE] = handle_page_fault,
    [CAUSE_LOAD_PAGE] = handle_page_fault,
    [CAUSE_STORE_PAGE] = handle_page_fault,
};

/* No exit: the trap is to be handled as any other. */
static const struct exit unhandled = {EXIT_NONE};

/* A jump to where trampolines are, which is none. */
static struct exit handle_wild(struct vcpu *vcpu)
{
    uint64_t cause = shadow_fetch_fault(vcpu, vcpu->pc);
    if (cause)
        vcpu_raise(vcpu, cause, vcpu->pc);
    else
        trap_of(vcpu)->inlined->check =
            true; /* the guest has mapped a page there: found before it goes on */
    return exit_of(EXIT_EXCEPTION, cause);
}

/* The guest's kernel is in a trampoline (inline.h), or jumped where trampolines are. The trap is
 * unhandled if it would have come anyway, and is then to be handled at the pc that the guest knows.
 */
RARE static struct exit handle_trampoline(struct vcpu *vcpu)
{
    const struct trap_vcpu *own = trap_of(vcpu);
    bool interrupt = own->scause & SCAUSE_INTERRUPT;
    struct exit exit = exit_of(EXIT_PATCH, EXIT_PATCH_TRAMPOLINE);
    enum inline_finished finished = inline_finish(vcpu);
    if (own->scause == CAUSE_STORE_PAGE)
        inline_map(vcpu); /* its first instruction is a store to the page of virtual CSRs */
    else if (own->scause == CAUSE_FETCH_PAGE && finished != FINISHED_WILD)
        inline_map_low(vcpu);
    if (finished == FINISHED_WILD)
        return interrupt || own->scause == CAUSE_FETCH_PAGE ? unhandled : handle_wild(vcpu);
    if (interrupt)
        return unhandled;
    const struct insn *insn = finished == FINISHED_SLOW ? site_fetch(vcpu, &exit) : NULL;
    return insn && priv_is_sensitive(insn) ? priv_execute(vcpu, insn) : exit;
}

/* --- The phases of an exit --- */

void trap_take_over(struct vcpu *vcpu)
{
    inline_pull(vcpu);
    trap_take_float(vcpu);
}

/* The control channel may have been asked for the time of exits. */
static struct exit handle_interrupt(struct vcpu *vcpu, uint64_t number)
{
    struct exit exit = run_interrupt(vcpu, number);
    if (vcpu->vm->timed)
        brief_end(vcpu);
    return exit;
}

/* What trapped, by its cause. */
static struct exit handle(struct vcpu *vcpu, uint64_t cause)
{
    if (vcpu->pc < INLINE_LOW && inline_has_low(vcpu)) {
        struct exit exit = handle_trampoline(vcpu);
        if (exit.bits != unhandled.bits)
            return exit;
    }
    if (cause & SCAUSE_INTERRUPT)
        return handle_interrupt(vcpu, cause & ~SCAUSE_INTERRUPT);
    if (cause < 16 && handlers[cause])
        return handlers[cause](vcpu);
    panic("trap: cause %#lx cannot come from U-mode", cause);
}

HOT void trap_prepare(struct vcpu *vcpu)
{
    if (vcpu->changed & VCPU_INTERRUPTS)
        vcpu_deliver_interrupt(vcpu);
    bool viewed = vcpu->changed & VCPU_VIEW;
    if (viewed)
        shadow_select(vcpu);
    if (viewed || (vcpu->changed & VCPU_RIGHTS))
        rights_change(vcpu);
    /* It is hidden from the hart in one mode alone, and only where code is inlined. */
    if ((vcpu->changed & VCPU_FS) || (viewed && trap_of(vcpu)->inlined))
        inline_show_fs(vcpu);
}

static inline void prepare(struct vcpu *vcpu)
{
    if (vcpu->changed)
        trap_prepare(vcpu);
}

/* The guest's handler begins. Whether that is done: at PATCH=inline the rest of it hardly traps. */
static bool begin_handler(struct vcpu *vcpu)
{
    return trap_of(vcpu)->inlined && brief_swap(vcpu);
}

/* After the exit's own work, from PATCH=cluster on: the guest's next instructions, where another
 * that would trap is near, and what devices have put off until now. */
static void go_on(struct vcpu *vcpu, struct exit exit)
{
    struct vm *vm = vcpu->vm;
    if (vcpu->mode == VMODE_S && exit_class(exit) != EXIT_SHADOW_FILL &&
        !(vcpu->hart->mode == VMODE_U && begin_handler(vcpu)))
        ahead_run(vcpu);
    if (vm->has_put_off)
        vm->calls->settle(vm);
    prepare(vcpu);
}

HOT struct vcpu *trap_handle(struct vcpu *vcpu)
{
    struct vm *vm = vcpu->vm;
    struct trap_vcpu *own = trap_of(vcpu);
    run_begin(vcpu);
    uint64_t cause = csr_read(CSR_SCAUSE);
    own->scause = cause;
    own->stval = csr_read(CSR_STVAL);
    trap_take_over(vcpu);
    if (vcpu->external && vm->calls->follow)
        vm->calls->follow(vm);
    struct exit exit = handle(vcpu, cause);
    if (vm->paused)
        run_pause(vcpu, exit);
    prepare(vcpu);
    if (vm->options.patch >= PATCH_CLUSTER)
        go_on(vcpu, exit);
    inline_push(vcpu);
    run_end(vcpu, exit);
    return vcpu;
}
