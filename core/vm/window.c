/* Which window holds an address. The one that was accessed last is looked at first. */
#include "vm/window.h"

#include <stddef.h>
#include <string.h>

#include "vm/vm.h"

static bool holds(const struct window *window, uint64_t gpa)
{
    return gpa - window->base < window->size;
}

const struct window *window_at(struct vm *vm, uint64_t gpa)
{
    if (vm->recent && holds(vm->recent, gpa))
        return vm->recent;
    for (unsigned i = 0; i < vm->windows; i++)
        if (holds(&vm->window[i], gpa))
            return vm->recent = &vm->window[i];
    return NULL;
}

bool window_add(struct vm *vm, const struct window *window)
{
    if (vm->windows == VM_WINDOWS)
        return false;
    memmove(&vm->window[1], &vm->window[0], vm->windows * sizeof(vm->window[0]));
    vm->window[0] = *window;
    vm->windows++;
    vm->recent = NULL;
    return true;
}
