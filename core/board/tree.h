/*
 * The guest's device tree, made from the board: what a guest may know about its machine.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct host;
struct vm;

/* What the board table does not say. */
struct tree_config {
    const char *bootargs;             /* null: none */
    uint64_t initrd_gpa, initrd_size; /* bytes; size 0: none */
    unsigned mmu_levels; /* that the VMM offers: 3 or 4, Sv39 or Sv48; 0: paging is not offered */
};

/* Writes the flattened tree into the buffer. Its size in bytes, or a negative errno with a sentence
 * logged. Copied from the host's tree are: the firmware's reserved memory, the random seed, and
 * what its harts can do, as far as the VMM gives it on. */
int tree_build(const struct vm *vm, const struct host *host, const struct tree_config *config,
               void *buffer, size_t size);
