/*
 * From where QEMU loaded the image to its place above the guest's RAM, with paging on.
 *
 * Surprise: QEMU puts the host's device tree near the top of RAM, which may be guest RAM here; it
 * is copied behind the image before anything else may overwrite it.
 */
#include "boot.h"

#include <libfdt.h>
#include <string.h>

#include "host/log.h"
#include "host/machine.h"
#include "host/map.h"
#include "isa/riscv.h"
#include "options.h"

#define MEGABYTE  (1ul << 20)
#define LEAF_AT_0 (PTE_V | PTE_R | PTE_W | PTE_X | PTE_G | PTE_A | PTE_D)

extern uint8_t image_start[], image_end[], boot_stack_top[];
void boot_relocate(uint64_t image, uint64_t base);
_Noreturn void boot_switch(uint64_t satp, uint64_t entry, uint64_t stack);
_Noreturn void boot(uint64_t hartid, const void *fdt);
void boot_arrived(void);

static struct boot_info info;
static uint64_t root_table[512] __attribute__((aligned(4096)));

const struct boot_info *boot_get_info(void)
{
    return &info;
}

struct host machine; /* facts at first; main() starts its drivers */

static _Noreturn void refuse(struct host *host)
{
    host_power_off(host, 3);
}

/* The direct map is one leaf of the root table, as it will stand after the image has moved: the
 * machine's walk to it is one load. Returns satp. */
static uint64_t build_map(unsigned levels, uint64_t moved_by)
{
    root_table[MAP_ROOT_SLOT] = LEAF_AT_0;
    uint64_t mode = levels == 5 ? SATP_MODE_SV57 : SATP_MODE_SV48;
    return mode << SATP_MODE_SHIFT | ((uint64_t)root_table + moved_by) >> PAGE_SHIFT;
}

void boot(uint64_t hartid, const void *fdt)
{
    struct host *const host = &machine;
    if (host_probe(host, fdt) < 0)
        refuse(host);
    if (options_read(host, &info.options) < 0)
        refuse(host);

    uint64_t image_size = (uint64_t)(image_end - image_start);
    uint64_t fdt_size = fdt_totalsize(fdt);
    uint64_t target = host->ram_hpa + info.options.mem;
    uint64_t ram_end = host->ram_hpa + host->ram_size;
    if (info.options.mem % PAGE_SIZE || info.options.mem < 16 * MEGABYTE ||
        target + image_size + fdt_size + 4 * MEGABYTE > ram_end) {
        host_log(
            "the machine has %lu MiB: mem=%lu MiB for the guest leaves too little for Trident, "
            "which needs 2 %% of it and 8 MiB more",
            host->ram_size >> 20, info.options.mem >> 20);
        refuse(host);
    }
    if (host->mmu_levels < 4) {
        host_log("the machine's mmu-type is Sv39: Trident needs Sv48 or Sv57 to shadow a guest");
        refuse(host);
    }

    /* The image's end is page-aligned; the tree goes behind it. It may lie where the image goes. */
    memmove((void *)(target + image_size), fdt, fdt_size);
    info.hartid = hartid;
    info.fdt_hpa = target + image_size;
    info.free_hpa = (info.fdt_hpa + fdt_size + PAGE_MASK) & ~PAGE_MASK;
    info.end_hpa = ram_end;
    info.levels = host->mmu_levels;
    uint64_t moved_by = target - (uint64_t)image_start;
    map_offset = host->mmu_levels == 5 ? MAP_OFFSET_SV57 : MAP_OFFSET_SV48;
    info.satp = build_map(host->mmu_levels, moved_by);
    info.map_entry = root_table[MAP_ROOT_SLOT];

    memcpy((void *)target, image_start, image_size);
    uint64_t entry = (uint64_t)boot_arrived + moved_by + map_offset;
    uint64_t stack = (uint64_t)boot_stack_top + moved_by + map_offset;
    boot_relocate(target, target + map_offset);
    boot_switch(info.satp, entry, stack);
}
