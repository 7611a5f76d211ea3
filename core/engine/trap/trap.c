/*
 * Why the guest stopped: one table from scause to a handler. Counts every exit.
 *
 * Surprise: illegal instruction is not delegated by OpenSBI and arrives through M-mode, and an illegal
 * mret leaves a stale stval behind: the instruction is always fetched at sepc, and before anything changes.
 */
#include "engine/trap/trap.h"

#include "board/board.h"
#include "board/plicmap.h"
#include "board/sbi.h"
#include "engine/trap/ahead.h"
#include "vm/emulate.h"
#include "engine/trap/inline.h"
#include "vm/priv.h"
#include "vm/timer.h"
#include "host/machine.h"
#include "host/plic.h"
#include "engine/trap/patch.h"
#include "engine/trap/shadow.h"
#include "host/panic.h"
#include "isa/riscv.h"
#include "vm/vm.h"

#define INSN_WFI_WORD 0x10500073u
#define HITS_LATER    (-8192) /* of a site that got no trampoline: it is tried again so much later */

static void exit_is(struct vcpu *vcpu, enum exit_class exit_class, uint32_t detail)
{
    vcpu->exit_class = (uint8_t)exit_class;
    vcpu->exit_detail = detail;
}

static void handle_guest_exception(struct vcpu *vcpu)
{
    exit_is(vcpu, EXIT_EXCEPTION, (uint32_t)vcpu->scause);
    vcpu_raise(vcpu, vcpu->scause, vcpu->stval);
}

/* QEMU 10.0 reports an illegal wfi in the last four bytes of a page at a pc one page too high; stval is
 * right. (It moves pc on before it looks whether wfi is allowed, and restores it page by page.) */
static void correct_wfi(struct vcpu *vcpu)
{
    struct patch_code here, before;
    uint64_t pc = vcpu->pc - PAGE_SIZE;
    if (vcpu->stval == INSN_WFI_WORD && (pc & PAGE_MASK) >= PAGE_SIZE - 4 &&
        patch_fetch(vcpu, pc, &before) == 0 && before.raw == INSN_WFI_WORD &&
        (patch_fetch(vcpu, vcpu->pc, &here) != 0 || here.raw != INSN_WFI_WORD))
        vcpu->pc = pc;
}

/* Whether insn is never illegal, in no state of the hart. If it is not what stval says either, it has come there
 * since. (stval alone does not tell: see the head.) */
static bool cannot_be_illegal(const struct vcpu *vcpu, const struct insn *insn)
{
    bool integer = insn->op == INSN_LOAD || insn->op == INSN_STORE || insn->op >= INSN_FENCE_I;
    bool trap = insn->op == INSN_ECALL || insn->op == INSN_EBREAK;
    return (integer || trap) && insn->raw != vcpu->stval;
}

static void handle_illegal(struct vcpu *vcpu)
{
    struct insn insn;
    correct_wfi(vcpu);
    if (vcpu->mode == VMODE_S && patch_repair(vcpu, vcpu->pc)) {
        exit_is(vcpu, EXIT_PATCH, 2);
        return;
    }
    if (!emulate_fetch(vcpu, &insn))
        return;
    bool sensitive = priv_is_sensitive(&insn);
    if (!sensitive && vcpu->mode == VMODE_S && inline_open_float(vcpu)) {
        exit_is(vcpu, EXIT_PATCH, 5);
        return; /* perhaps it was the FPU's: run again */
    }
    if (cannot_be_illegal(vcpu, &insn)) {
        emulate_again(vcpu);
        return;
    }
    bool site = vcpu->mode == VMODE_S && sensitive && patch_site(vcpu, vcpu->pc, &insn);
    if (site && vcpu->inlined && vcpu->vm->options.eager)
        patch_promote(vcpu, vcpu->pc, &insn);
    priv_execute(vcpu, &insn);
}

RARE static void renew_site(struct vcpu *vcpu, struct vcpu_site *site)
{
    uint32_t raw;
    bool holds = patch_lookup(vcpu, vcpu->pc, &raw);
    int32_t hits = site->pc == vcpu->pc && site->insn.raw == raw ? site->hits : 0;
    *site = (struct vcpu_site){
        .pc = vcpu->pc,
        .tag = vcpu_code_tag(vcpu),
        .epoch = holds ? vcpu->vm->shadow->code_epoch : 0, /* 0: never valid */
        .insn = insn_decode(raw),
        .hits = hits,
    };
    site->sensitive = priv_is_sensitive(&site->insn);
}

/* What the instruction of the guest's kernel at pc is, where an ecall trapped. */
static struct vcpu_site *site_at(struct vcpu *vcpu)
{
    struct vcpu_site *site = &vcpu->site[(vcpu->pc >> 1 ^ vcpu->pc >> 12) & (VCPU_SITES - 1)];
    if (site->pc != vcpu->pc || site->epoch != vcpu->vm->shadow->code_epoch ||
        site->tag != vcpu_code_tag(vcpu))
        renew_site(vcpu, site);
    return site;
}

/* A patched site of PATCH=inline that traps often does so no longer, if that can be. */
static void count_hit(struct vcpu *vcpu, struct vcpu_site *site)
{
    if (++site->hits >= inline_threshold(vcpu->inlined) || vcpu->vm->options.eager)
        site->hits = patch_promote(vcpu, vcpu->pc, &site->insn) ? 0 : HITS_LATER;
}

static void handle_ecall(struct vcpu *vcpu)
{
    if (vcpu->mode == VMODE_U) { /* no copy is in its view: it is the guest's own */
        exit_is(vcpu, EXIT_SYSCALL, 0);
        vcpu_raise(vcpu, CAUSE_ECALL_U, 0);
        return;
    }
    struct vcpu_site *site = site_at(vcpu);
    if (site->sensitive) {
        if (vcpu->inlined)
            count_hit(vcpu, site);
        priv_execute(vcpu, &site->insn);
    } else if (site->insn.op != INSN_ECALL) {
        exit_is(vcpu, EXIT_PATCH, 3); /* DMA that the VMM did not see put other code there */
        patch_drop_at(vcpu, vcpu->pc);
    } else {
        exit_is(vcpu, EXIT_SBI, sbi_detail(vcpu));
        vcpu->pc += 4;
        sbi_call(vcpu);
    }
}

/* CBO.CLEAN, CBO.FLUSH and CBO.INVAL are permitted where a load is, but fault as stores (Zicbom): a store that
 * is not permitted is such a one, perhaps, and is then answered as a load. */
static enum shadow_answer answer_cbo(struct vcpu *vcpu, enum access *access, uint64_t *gpa)
{
    struct patch_code code;
    uint64_t cause;
    uint64_t unknown = patch_fetch(vcpu, vcpu->pc, &code);
    if (unknown)
        return unknown == PATCH_AGAIN ? SHADOW_RETRY : SHADOW_GUEST;
    struct insn insn = insn_decode(code.raw);
    if (insn.op != INSN_CBO || insn.imm == 4)
        return SHADOW_GUEST;
    enum shadow_answer answer = shadow_fault(vcpu, vcpu->stval, ACCESS_LOAD, gpa, &cause);
    if (answer == SHADOW_PATCHED) {
        patch_drop(vcpu->vm, *gpa); /* the page becomes readable, then it is run again */
        return SHADOW_RETRY;
    }
    *access = ACCESS_LOAD;
    return answer == SHADOW_RETRY || answer == SHADOW_USER ? answer : SHADOW_GUEST;
}

/* Whether insn is inlined as a load or store that faults so: with paging off the page of virtual CSRs is not
 * mapped. */
static bool is_inlined(const struct vcpu *vcpu, const struct insn *insn, enum access access)
{
    if (!vcpu->inlined || vcpu->mode != VMODE_S || vcpu->stval < INLINE_TOP)
        return false;
    struct insn form = insn_decode(inline_form(insn));
    return form.op == (access == ACCESS_LOAD ? INSN_LOAD : INSN_STORE) &&
           vcpu->stval == (uint64_t)(int64_t)form.imm;
}

/* An access where no RAM is. */
static void handle_no_ram(struct vcpu *vcpu, uint64_t gpa, enum access access)
{
    struct insn insn;
    if (access == ACCESS_FETCH) {
        exit_is(vcpu, EXIT_GUEST_FAULT, CAUSE_FETCH_ACCESS);
        vcpu_raise(vcpu, CAUSE_FETCH_ACCESS, vcpu->stval);
        return;
    }
    if (!emulate_fetch(vcpu, &insn))
        return;
    if (is_inlined(vcpu, &insn, access))
        priv_execute(vcpu, &insn);
    else
        emulate_mmio(vcpu, &insn, vcpu->stval, gpa, access);
}

/* As shadow_fault(). If the instruction is needed for what follows, but A or D was set in a page of code, perhaps
 * the one that it was executed from, it is run again. */
static enum shadow_answer answer_fault(struct vcpu *vcpu, enum access access, uint64_t *gpa,
                                       uint64_t *cause)
{
    uint64_t epoch = vcpu->vm->shadow->code_epoch;
    enum shadow_answer answer = shadow_fault(vcpu, vcpu->stval, access, gpa, cause);
    bool fetches = answer == SHADOW_MMIO || answer == SHADOW_PATCHED;
    return fetches && vcpu->vm->shadow->code_epoch != epoch ? SHADOW_RETRY : answer;
}

static void handle_page_fault(struct vcpu *vcpu)
{
    enum access access = vcpu->scause == CAUSE_FETCH_PAGE  ? ACCESS_FETCH
                         : vcpu->scause == CAUSE_LOAD_PAGE ? ACCESS_LOAD
                                                           : ACCESS_STORE;
    uint64_t gpa, cause;
    exit_is(vcpu, EXIT_SHADOW_FILL, (uint32_t)vcpu->scause);
    if (access != ACCESS_FETCH && shadow_may_reach(vcpu) && ahead_reach(vcpu))
        return;
    enum shadow_answer answer = answer_fault(vcpu, access, &gpa, &cause);
    if (answer == SHADOW_GUEST && access == ACCESS_STORE)
        answer = answer_cbo(vcpu, &access, &gpa);
    switch (answer) {
    case SHADOW_RETRY: return;
    case SHADOW_USER:
        if (ahead_reach(vcpu))
            return;
        shadow_reach_user(vcpu);
        shadow_fault(vcpu, vcpu->stval, access, &gpa, &cause);
        return;
    case SHADOW_GUEST:
        exit_is(vcpu, EXIT_GUEST_FAULT, (uint32_t)cause);
        vcpu_raise(vcpu, cause, vcpu->stval);
        return;
    case SHADOW_PATCHED:
        exit_is(vcpu, EXIT_PATCH, 0);
        emulate_patched_load(vcpu, vcpu->stval, gpa);
        return;
    case SHADOW_MMIO: handle_no_ram(vcpu, gpa, access); return;
    }
}

/* What the guest did to memory that does not exist was caught above: the host's access faults come
 * from memory that is mapped, which is a window given to the guest. They are the guest's. */
static void (*const handlers[16])(struct vcpu *vcpu) = {
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

/* The guest's kernel is in a trampoline (engine/trap/inline.h), or jumped where trampolines are. False: the trap is
 * to be handled as any other, at the pc that the guest knows. */
RARE static bool handle_trampoline(struct vcpu *vcpu)
{
    bool interrupt = vcpu->scause & SCAUSE_INTERRUPT;
    struct insn insn;
    exit_is(vcpu, EXIT_PATCH, 4);
    enum inline_settled settled = inline_settle(vcpu);
    if (vcpu->scause == CAUSE_STORE_PAGE)
        inline_map(vcpu); /* its first instruction is a store to the page of virtual CSRs */
    else if (vcpu->scause == CAUSE_FETCH_PAGE && settled != SETTLED_WILD)
        inline_map_low(vcpu);
    switch (settled) {
    case SETTLED: return !interrupt;
    case SETTLED_SLOW:
        if (!interrupt && emulate_fetch(vcpu, &insn) && priv_is_sensitive(&insn))
            priv_execute(vcpu, &insn);
        return !interrupt;
    case SETTLED_WILD: break;
    }
    if (interrupt || vcpu->scause == CAUSE_FETCH_PAGE)
        return false;
    uint64_t cause = shadow_fetch_fault(vcpu, vcpu->pc);
    exit_is(vcpu, EXIT_EXCEPTION, (uint32_t)cause);
    if (cause)
        vcpu_raise(vcpu, cause, vcpu->pc);
    else
        vcpu->inlined
            ->check = true; /* the guest has mapped a page there: found before it goes on */
    return true;
}

static void handle_interrupt(struct vcpu *vcpu, uint64_t number)
{
    exit_is(vcpu, EXIT_INTERRUPT, (uint32_t)number);
    if (number == INTERRUPT_TIMER)
        timer_fired(vcpu);
    else if (number == INTERRUPT_EXTERNAL)
        host_interrupt(vcpu->vm->host);
    else
        csr_clear(CSR_SIP, SIP_SSIP); /* nobody sends the VMM one */
    board_poll(vcpu->vm);
}

void trap_host_interrupts(struct vcpu *vcpu)
{
    uint64_t pending = csr_read(CSR_SIP) & csr_read(CSR_SIE);
    if (pending & SIP_STIP)
        timer_fired(vcpu);
    if (pending & SIP_SEIP)
        host_interrupt(vcpu->vm->host);
}

/* The exit being handled, up to now, may be the longest. */
RARE static void note_longest(struct vcpu *vcpu, uint64_t instret)
{
    bool woken = vcpu->woken_of == vcpu->begin_instret;
    struct stats_longest exit = {
        .instructions = instret - (woken ? vcpu->woken_instret : vcpu->begin_instret),
        .ticks = csr_read(CSR_TIME) - vcpu->exit_time,
        .pc = csr_read(CSR_SEPC), /* as the guest left it: the VMM does not trap */
        .detail = vcpu->exit_detail,
        .class = vcpu->exit_class,
        .mode = vcpu->exit_mode,
    };
    stats_note_longest(&vcpu->vm->stats, &exit);
}

void trap_wait(struct vcpu *vcpu, bool for_guest)
{
    struct stats *stats = &vcpu->vm->stats;
    note_longest(vcpu, csr_read(CSR_INSTRET));
    uint64_t asleep = csr_read(CSR_TIME);
    stats_spent(stats, vcpu->exit_class, vcpu->exit_mode, vcpu->exit_detail,
                asleep - vcpu->exit_time);
    host_wait(vcpu->vm->host, for_guest);
    vcpu->woken_of = vcpu->begin_instret;
    vcpu->woken_instret = csr_read(CSR_INSTRET);
    uint64_t now = csr_read(CSR_TIME);
    stats_waited(stats, vcpu->exit_mode, now - asleep);
    vcpu->exit_time = now;
    trap_host_interrupts(vcpu);
    if (vcpu->vm->resume_time != UINT64_MAX)
        board_poll(vcpu->vm);
}

RARE static void wait_for_control(struct vcpu *vcpu)
{
    while (vcpu->vm->paused) {
        trap_wait(vcpu, false);
        if (!vcpu->vm->paused)
            board_poll(vcpu->vm); /* which may pause it again */
    }
}

struct vcpu *trap_handle(struct vcpu *vcpu)
{
    struct vm *vm = vcpu->vm;
    struct stats *stats = &vm->stats;
    vcpu->begin_instret = csr_read(CSR_INSTRET);
    vcpu->exit_time = csr_read(CSR_TIME);
    stats->guest_instructions += vcpu->begin_instret - vcpu->exit_instret;
    vcpu->scause = csr_read(CSR_SCAUSE);
    vcpu->stval = csr_read(CSR_STVAL);
    vcpu->exit_mode = vcpu->mode;

    inline_pull(vcpu);
    if (vcpu->external && vm->options.plic_mapped)
        plicmap_look(vm); /* the guest may have claimed */
    if (vcpu->pc < INLINE_LOW && inline_has_low(vcpu) && handle_trampoline(vcpu))
        ; /* done */
    else if (vcpu->scause & SCAUSE_INTERRUPT)
        handle_interrupt(vcpu, vcpu->scause & ~SCAUSE_INTERRUPT);
    else if (vcpu->scause < 16 && handlers[vcpu->scause])
        handlers[vcpu->scause](vcpu);
    else
        panic("trap: cause %#lx cannot come from U-mode", vcpu->scause);

    if (vm->paused)
        wait_for_control(vcpu);
    vcpu_prepare(vcpu);
    bool may_run_ahead = vm->options.patch >= PATCH_CLUSTER && vcpu->exit_class != EXIT_SHADOW_FILL;
    if (may_run_ahead && vcpu->mode == VMODE_S)
        ahead_run(vcpu);
    if (vm->runs_ahead) {
        board_settle(vm);
        vcpu_prepare(vcpu);
    }
    inline_push(vcpu);
    vcpu->exit_instret = csr_read(CSR_INSTRET);
    uint64_t instructions = vcpu->exit_instret - vcpu->begin_instret;
    if (stats_is_longest(stats, instructions))
        note_longest(vcpu, vcpu->exit_instret);
    stats_exit(stats, vcpu->exit_class, vcpu->exit_mode, vcpu->exit_detail, instructions,
               csr_read(CSR_TIME) - vcpu->exit_time);
    return vcpu;
}
