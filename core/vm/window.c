/*
 * Which window holds an address.
 *
 * Surprise: the one that was accessed last is looked at first (vm/vm.h), which is only right for a
 * window that no other covers, not even in part. Who asks the empty transports (board/windows.c)
 * and then a device among them would be answered by the former.
 */
#include "vm/window.h"

#include <stddef.h>
#include <string.h>

#include "vm/vm.h"

const struct window *window_at(struct vm *vm, uint64_t gpa)
{
    for (unsigned i = 0; i < vm->windows; i++) {
        const struct window *window = &vm->window[i];
        if (!window_holds(window, gpa))
            continue;
        if (!(vm->covered >> i & 1))
            vm->recent = window;
        return window;
    }
    return NULL;
}

static bool overlap(const struct window *a, const struct window *b)
{
    return window_holds(a, b->base) || window_holds(b, a->base);
}

bool window_add(struct vm *vm, const struct window *window)
{
    if (vm->windows == VM_WINDOWS)
        return false;
    for (unsigned i = 0; i < vm->windows; i++)
        vm->covered |= (uint32_t)overlap(&vm->window[i], window) << i;
    vm->covered <<= 1; /* all move by one */
    memmove(&vm->window[1], &vm->window[0], vm->windows * sizeof(vm->window[0]));
    vm->window[0] = *window;
    vm->windows++;
    vm->recent = NULL;
    return true;
}
