/* Which window holds an address. */
#include "vm/window.h"

#include <stddef.h>
#include <string.h>

#include "vm/vm.h"

const struct window *window_at(struct vm *vm, uint64_t gpa)
{
    for (unsigned i = 0; i < vm->windows; i++)
        if (window_holds(&vm->window[i], gpa))
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
