/*
 * The emulated interrupt controller on the board: each of its registers traps, and its S context's
 * output is the vcpu's external interrupt.
 */
#include "board/plic.h"

#include "host/ends.h"

static void follow(struct vm *vm)
{
    vcpu_set_external(vm->vcpus[0], vplic_output(&vm->board->plic, VPLIC_CONTEXT_S));
}

/* ABLATE=batch: the guest may be through with the interrupt for the last completion, and the next
 * may follow. */
static void settle_ends(struct vm *vm)
{
    for (unsigned i = 0; i < vm->devices; i++) {
        struct host_end *end = vm->device[i].end;
        if (end && end->settle)
            end->settle(end);
    }
}

static bool access(struct vcpu *vcpu, void *self, struct mmio *io)
{
    struct vm *vm = vcpu->vm;
    bool done = vplic_access(self, io);
    if (vm->options.ablate & ABLATE_BATCH)
        settle_ends(vm);
    follow(vm);
    return done;
}

const struct board_plic plic_emulated = {.name = "emulated", .access = access, .follow = follow};
