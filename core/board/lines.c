/* Interrupt lines and turns. See lines.h. */
#include "board/lines.h"

#include "board/board.h"
#include "host/ends.h"
#include "host/hart.h"
#include "host/io.h"
#include "vm/vm.h"

#define RESUME_TICKS 1000u /* 0.1 ms at QEMU's 10 MHz: the guest's turn */

void lines_set(struct vm *vm, unsigned source, bool level)
{
    struct board *board = vm->board;
    if (vplic_set_line(&board->plic, source, level))
        board->plic_row->follow(vm);
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void lines_set_alarm(struct vm *vm)
{
    const struct board *board = vm->board;
    uint64_t next = sooner(board->resume_time, board->plic_poll_time);
    for (unsigned i = 0; i < vm->devices; i++) {
        const struct host_end *end = vm->device[i].end;
        if (end && end->next_look)
            next = sooner(next, end->next_look(end));
    }
    for (unsigned i = 0; i < VM_VCPUS; i++)
        if (hart_set_alarm(vm->vcpus[i]->hart, next))
            vm->vcpus[i]->changed |= VCPU_INTERRUPTS; /* the host's timer will not tell */
}

void lines_resume_soon(struct vm *vm)
{
    struct board *board = vm->board;
    /* Not later than it would have been: who asks again and again puts nobody off. */
    board->resume_time = sooner(board->resume_time, io_time() + RESUME_TICKS);
    lines_set_alarm(vm);
}
