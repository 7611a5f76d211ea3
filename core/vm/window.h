/*
 * Who answers an address: the windows of a board, as one array.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "vm/exit.h"

struct mmio;
struct vcpu;
struct vm;

struct window {
    uint64_t base, size; /* guest-physical */
    /* One access of the guest's, io->offset relative to base. False, or no
     * function: access fault. */
    bool (*access)(struct vcpu *vcpu, void *self, struct mmio *io);
    void *self;
    uint8_t class; /* enum exit_class that the statistics count it under, */
    uint8_t index; /* device or enum exit_window in the detail */
};

static inline bool window_holds(const struct window *window, uint64_t gpa)
{
    return gpa - window->base < window->size;
}

/* The window that holds gpa, or null. (vm_window_at() in vm/vm.h looks at the last one first.) */
const struct window *window_at(struct vm *vm, uint64_t gpa);

/* Adds a window in front of those that are there: where two overlap, the one added last answers.
 * False: there is no room. */
bool window_add(struct vm *vm, const struct window *window);

/* What the statistics count an access as. */
static inline struct exit window_exit(const struct window *window, uint64_t offset, bool store)
{
    if (window->class == EXIT_PLIC)
        return exit_of(EXIT_PLIC, (uint32_t)offset >> 2 | (store ? EXIT_STORE : 0));
    return exit_of((enum exit_class)window->class,
                   exit_access_detail(window->index, offset, store));
}
