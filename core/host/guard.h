/*
 * Access to a register of the real machine at an offset and of a width that the guest chose. The
 * machine may refuse it (a window of the device tree is longer than its device); that is the
 * guest's access fault.
 *
 * Surprise: the access does trap. The trap vector (engine/trap/vector.S) knows the few instructions
 * of guard.S and goes on at their other end, where every other trap of the VMM is a panic.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* Loads width (1, 2, 4 or 8) bytes at address, a multiple of width in the direct map, into *value,
 * zero-extended. False: the machine refused, and *value is as it was. */
bool guard_load(uintptr_t address, unsigned width, uint64_t *value);

/* Stores the low width bytes of value. False: the machine refused. */
bool guard_store(uintptr_t address, unsigned width, uint64_t value);
