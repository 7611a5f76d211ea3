/* What the early boot leaves for main(). */
#pragma once
#include <stdint.h>

#include "vm/vm.h"

struct boot_info {
    struct vm_options options;
    uint64_t hartid;
    uint64_t fdt_hpa;   /* the copy of the host's device tree */
    uint64_t free_hpa;  /* first free byte behind the image and the tree */
    uint64_t end_hpa;   /* end of the machine's RAM */
    uint64_t satp;      /* of a root with the VMM alone */
    uint64_t map_entry; /* root entry MAP_ROOT_SLOT of every root */
    unsigned levels;    /* of the host's page tables: 4 or 5 */
};

const struct boot_info *boot_get_info(void);

struct host;
extern struct host machine; /* the one real machine */
