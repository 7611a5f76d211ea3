/*
 * Host interrupts, and waiting for them.
 *
 * Surprise: while the guest waits, in WFI or paused, each time that the hart wakes begins an exit
 * of its own as far as the longest exit and the budget of hart_is_spent() are concerned.
 */
#include "vm/run.h"

#include "host/plic.h"

/* Handles what sip says is pending of interrupts. */
static void handle(struct vcpu *vcpu, uint64_t pending)
{
    if (pending & SIP_STIP) {
        vcpu->changed |= VCPU_INTERRUPTS;
        hart_timer_fired(vcpu->hart);
    }
    if (pending & SIP_SEIP)
        host_interrupt(vcpu->vm->host);
}

struct exit run_interrupt(struct vcpu *vcpu, uint64_t number)
{
    handle(vcpu, 1ul << number);
    if (number == INTERRUPT_SOFTWARE)
        csr_clear(CSR_SIP, SIP_SSIP); /* nobody sends the VMM one */
    vcpu->vm->calls->poll(vcpu->vm);
    return exit_of(EXIT_INTERRUPT, number);
}

RARE void run_note_longest(struct vcpu *vcpu, struct exit exit, uint64_t instret)
{
    const struct hart *hart = vcpu->hart;
    bool woken = hart->woken_of == hart->begin_instret;
    struct stats_longest longest = {
        .instructions = instret - (woken ? hart->woken_instret : hart->begin_instret),
        .ticks = csr_read(CSR_TIME) - hart->begin_time,
        .pc = csr_read(CSR_SEPC), /* as the guest left it: the VMM does not trap */
        .exit = exit,
        .mode = hart->mode,
    };
    stats_note_longest(&vcpu->vm->stats, &longest);
}

void run_wait(struct vcpu *vcpu, struct exit exit, bool for_guest)
{
    struct hart *hart = vcpu->hart;
    struct stats *stats = &vcpu->vm->stats;
    run_note_longest(vcpu, exit, csr_read(CSR_INSTRET));
    uint64_t asleep = csr_read(CSR_TIME);
    stats_spent(stats, exit, hart->mode, asleep - hart->begin_time);
    host_wait(vcpu->vm->host, for_guest);
    hart->woken_of = hart->begin_instret;
    hart->woken_instret = csr_read(CSR_INSTRET);
    hart->begin_time = csr_read(CSR_TIME);
    hart->spent = false;
    stats_waited(stats, hart->mode, hart->begin_time - asleep);
    handle(vcpu, csr_read(CSR_SIP) & csr_read(CSR_SIE));
    vcpu->vm->calls->wake(vcpu->vm);
}

void run_wfi(struct vcpu *vcpu, struct exit exit)
{
    struct vm *vm = vcpu->vm;
    vm->calls->idle(vm, true);
    while (!(vcpu_sip(vcpu) & vcpu->csr.sie))
        run_wait(vcpu, exit, !vcpu->external);
    vm->calls->idle(vm, false);
    vcpu->changed |= VCPU_INTERRUPTS;
}

void run_pause(struct vcpu *vcpu, struct exit exit)
{
    struct vm *vm = vcpu->vm;
    while (vm->paused) {
        run_wait(vcpu, exit, false);
        if (!vm->paused)
            vm->calls->poll(vm); /* which may pause it again */
    }
}
