/* The guest's images from fw_cfg into its RAM. */
#pragma once
#include <stdint.h>

struct vm;

struct loaded {
    uint64_t entry_gpa;
    uint64_t initrd_gpa, initrd_size; /* size 0: none */
    uint64_t tree_gpa;
};

/* Loads kernel (Linux Image, ELF or flat binary) and initrd, and writes the device tree. 0, or a
 * negative errno with a sentence logged. */
int loader_load(struct vm *vm, struct loaded *loaded);
