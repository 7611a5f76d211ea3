/*
 * The board as the device tree describes it (Devicetree Specification 0.4; bindings of Linux).
 *
 * Nothing about the machine is compiled in. The surprise: the nodes that matter all sit under
 * /soc or under the root with #address-cells = #size-cells = 2, which is checked at each node's
 * parent instead of assumed.
 */
#include <libfdt.h>

#include "kernel.h"

#define INTERRUPT_SUPERVISOR_EXTERNAL 9u

struct board board;

static uint64_t read_cells(const fdt32_t *cells, int count)
{
    uint64_t value = 0;
    for (int i = 0; i < count; i++)
        value = value << 32 | fdt32_to_cpu(cells[i]);
    return value;
}

/* The index'th (address, size) of node's reg property. */
static bool read_reg(const void *dtb, int node, int index, uint64_t *base, uint64_t *size)
{
    int parent = fdt_parent_offset(dtb, node);
    int address_cells = fdt_address_cells(dtb, parent);
    int size_cells = fdt_size_cells(dtb, parent);
    if (address_cells < 1 || address_cells > 2 || size_cells < 1 || size_cells > 2)
        return false;
    int len;
    const fdt32_t *reg = fdt_getprop(dtb, node, "reg", &len);
    int cells = address_cells + size_cells;
    if (!reg || len < (index + 1) * cells * 4)
        return false;
    reg += index * cells;
    *base = read_cells(reg, address_cells);
    *size = read_cells(reg + address_cells, size_cells);
    return true;
}

static uint32_t read_u32(const void *dtb, int node, const char *name, uint32_t otherwise)
{
    int len;
    const fdt32_t *cell = fdt_getprop(dtb, node, name, &len);
    return cell && len >= 4 ? fdt32_to_cpu(*cell) : otherwise;
}

static bool is_enabled(const void *dtb, int node)
{
    const char *status = fdt_getprop(dtb, node, "status", NULL);
    return !status || strcmp(status, "okay") == 0 || strcmp(status, "ok") == 0;
}

/* The first enabled node behind the node `after` (-1: of all) that is compatible, or a negative
 * error. */
static int find_compatible(const void *dtb, int after, const char *compatible)
{
    int node = fdt_node_offset_by_compatible(dtb, after, compatible);
    while (node >= 0 && !is_enabled(dtb, node))
        node = fdt_node_offset_by_compatible(dtb, node, compatible);
    return node;
}

static bool read_device(const void *dtb, int node, struct board_device *device)
{
    if (node < 0 || !read_reg(dtb, node, 0, &device->base, &device->size)) {
        *device = (struct board_device){0};
        return false;
    }
    device->irq = read_u32(dtb, node, "interrupts", 0);
    return true;
}

static void read_virtio(const void *dtb)
{
    int node = -1;
    struct board_device found;
    while ((node = find_compatible(dtb, node, "virtio,mmio")) >= 0) {
        if (board.virtios == BOARD_VIRTIO_MAX || !read_device(dtb, node, &found))
            continue;
        unsigned at = board.virtios++;
        for (; at > 0 && board.virtio[at - 1].base > found.base; at--)
            board.virtio[at] = board.virtio[at - 1];
        board.virtio[at] = found;
    }
}

/* The PLIC context of this hart's S-mode: the index of (its interrupt controller, 9). */
static bool read_plic(const void *dtb, int cpu_intc)
{
    int node = find_compatible(dtb, -1, "sifive,plic-1.0.0");
    if (node < 0)
        node = find_compatible(dtb, -1, "riscv,plic0");
    if (!read_device(dtb, node, &board.plic))
        return false;
    board.plic_sources = read_u32(dtb, node, "riscv,ndev", 0);
    uint32_t phandle = fdt_get_phandle(dtb, cpu_intc);
    int len;
    const fdt32_t *pairs = fdt_getprop(dtb, node, "interrupts-extended", &len);
    for (int i = 0; pairs && (i + 1) * 8 <= len; i++) {
        if (fdt32_to_cpu(pairs[2 * i]) == phandle &&
            fdt32_to_cpu(pairs[2 * i + 1]) == INTERRUPT_SUPERVISOR_EXTERNAL) {
            board.plic_context = (unsigned)i;
            return true;
        }
    }
    return false;
}

static bool list_has(const char *list, int len, const char *word)
{
    return list && fdt_stringlist_contains(list, len, word);
}

/* Reads the extensions from the list of strings, or from the older form, which is one string. */
static void read_isa(const void *dtb, int cpu)
{
    int len;
    const char *list = fdt_getprop(dtb, cpu, "riscv,isa-extensions", &len);
    if (list) {
        board.has_sstc = list_has(list, len, "sstc");
        board.has_fpu = list_has(list, len, "f") && list_has(list, len, "d");
        return;
    }
    const char *isa = fdt_getprop(dtb, cpu, "riscv,isa", &len);
    if (isa && len > 4) {
        const char *single_end = strchr(isa, '_');
        size_t singles = single_end ? (size_t)(single_end - isa) : strlen(isa);
        board.has_sstc = strstr(isa, "_sstc") != NULL;
        board.has_fpu = memchr(isa + 4, 'g', singles - 4) ||
                        (memchr(isa + 4, 'f', singles - 4) && memchr(isa + 4, 'd', singles - 4));
    }
}

static int find_cpu(const void *dtb, uint64_t hart)
{
    int cpus = fdt_path_offset(dtb, "/cpus");
    int cpu;
    fdt_for_each_subnode(cpu, dtb, cpus)
    {
        const char *type = fdt_getprop(dtb, cpu, "device_type", NULL);
        if (type && strcmp(type, "cpu") == 0 && read_u32(dtb, cpu, "reg", ~0u) == hart)
            return cpu;
    }
    return -1;
}

/* Reads /chosen, whose stdout-path may carry ":options" and may be an alias. */
static void read_chosen(const void *dtb)
{
    int chosen = fdt_path_offset(dtb, "/chosen");
    const char *text = chosen < 0 ? NULL : fdt_getprop(dtb, chosen, "bootargs", NULL);
    board.bootargs = text ? text : "";
    const char *path = chosen < 0 ? NULL : fdt_getprop(dtb, chosen, "stdout-path", NULL);
    if (path) {
        const char *colon = strchr(path, ':');
        int len = colon ? (int)(colon - path) : (int)strlen(path);
        read_device(dtb, fdt_path_offset_namelen(dtb, path, len), &board.standard_output);
    }
}

static void read_ata(const void *dtb)
{
    int node = find_compatible(dtb, -1, "ata-generic");
    uint64_t size;
    if (!read_device(dtb, node, &board.ata) || !read_reg(dtb, node, 1, &board.ata_control, &size)) {
        board.ata = (struct board_device){0};
        return;
    }
    board.ata_shift = read_u32(dtb, node, "reg-shift", 0);
}

const char *board_read(const void *dtb)
{
    if (fdt_check_header(dtb) != 0)
        return "a1 does not point to a device tree";
    board.dtb = dtb;
    int memory = fdt_node_offset_by_prop_value(dtb, -1, "device_type", "memory", 7);
    if (memory < 0 || !read_reg(dtb, memory, 0, &board.ram_base, &board.ram_size))
        return "the device tree has no memory node";
    int cpu = find_cpu(dtb, board.hart);
    if (cpu < 0)
        return "the device tree does not have this hart";
    int cpus = fdt_parent_offset(dtb, cpu);
    board.timebase = read_u32(dtb, cpus, "timebase-frequency",
                              read_u32(dtb, cpu, "timebase-frequency", 0));
    if (board.timebase == 0)
        return "the device tree has no timebase-frequency";
    read_isa(dtb, cpu);
    if (!read_plic(dtb, fdt_subnode_offset(dtb, cpu, "interrupt-controller")))
        return "the device tree has no PLIC for this hart";
    read_device(dtb, find_compatible(dtb, -1, "ns16550a"), &board.uart);
    read_device(dtb, find_compatible(dtb, -1, "sifive,test1"), &board.finisher);
    read_device(dtb, find_compatible(dtb, -1, "generic-ahci"), &board.ahci);
    read_ata(dtb);
    read_virtio(dtb);
    read_chosen(dtb);
    return NULL;
}
