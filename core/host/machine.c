/*
 * Reads the host's device tree (Devicetree Specification 0.4; Linux' RISC-V cpu and PLIC bindings).
 * The surprise: QEMU lists the virtio-mmio slots from the highest address down.
 */
#include "host/machine.h"

#include <errno.h>
#include <libfdt.h>
#include <string.h>

#include "host/io.h"
#include "host/log.h"
#include "host/map.h"
#include "host/virtio.h"

#define FINISHER_PASS 0x5555u
#define FINISHER_FAIL 0x3333u /* the status is in the upper half */

uint64_t map_offset; /* of core/host/map.h: the machine is known first, its map comes later */

/* Cell i of a property, 0 if it is not there. */
static uint32_t cell(const void *fdt, int node, const char *name, unsigned i)
{
    int len;
    const fdt32_t *cells = fdt_getprop(fdt, node, name, &len);
    return cells && len >= (int)((i + 1) * sizeof(*cells)) ? fdt32_to_cpu(cells[i]) : 0;
}

static uint64_t cell_pair(const void *fdt, int node, const char *name, unsigned i)
{
    return (uint64_t)cell(fdt, node, name, i) << 32 | cell(fdt, node, name, i + 1);
}

/* First reg range and interrupt of a node whose parent has two address and two size cells. */
static struct host_window window(const void *fdt, int node)
{
    return (struct host_window){
        .hpa = cell_pair(fdt, node, "reg", 0),
        .size = cell_pair(fdt, node, "reg", 2),
        .irq = cell(fdt, node, "interrupts", 0),
    };
}

/* The first node of this compatible string; an all-zero window if there is none. */
static struct host_window find_window(const void *fdt, const char *compatible)
{
    int node = fdt_node_offset_by_compatible(fdt, -1, compatible);
    return node < 0 ? (struct host_window){.hpa = 0} : window(fdt, node);
}

static int probe_memory(struct host *host, const void *fdt)
{
    int node = fdt_node_offset_by_prop_value(fdt, -1, "device_type", "memory", sizeof "memory");
    int reserved = fdt_path_offset(fdt, "/reserved-memory");
    int child;
    if (node < 0) {
        host_log("the machine's device tree has no memory node");
        return -ENODEV;
    }
    host->ram_hpa = window(fdt, node).hpa;
    host->ram_size = window(fdt, node).size;
    host->firmware_end = host->ram_hpa;
    if (reserved < 0)
        return 0;
    fdt_for_each_subnode(child, fdt, reserved)
    {
        struct host_window range = window(fdt, child);
        uint64_t end = range.hpa + range.size;
        if (strncmp(fdt_get_name(fdt, child, NULL), "mmode_resv", strlen("mmode_resv")) == 0 &&
            end > host->firmware_end && end < host->ram_hpa + host->ram_size)
            host->firmware_end = end;
    }
    return 0;
}

static unsigned mmu_levels(const void *fdt, int cpu)
{
    const char *type = fdt_getprop(fdt, cpu, "mmu-type", NULL);
    if (!type)
        return 0;
    return strcmp(type, "riscv,sv57") == 0   ? 5
           : strcmp(type, "riscv,sv48") == 0 ? 4
           : strcmp(type, "riscv,sv39") == 0 ? 3
                                             : 0;
}

static int probe_cpu(struct host *host, const void *fdt)
{
    int cpus = fdt_path_offset(fdt, "/cpus");
    int cpu = fdt_node_offset_by_prop_value(fdt, -1, "device_type", "cpu", sizeof "cpu");
    const char *isa = cpu < 0 ? NULL : fdt_getprop(fdt, cpu, "riscv,isa", NULL);
    if (cpus < 0 || !isa || strlen(isa) >= sizeof(host->isa)) {
        host_log("the machine's device tree has no cpu node with a riscv,isa string");
        return -ENODEV;
    }
    strcpy(host->isa, isa);
    host->hartid = cell(fdt, cpu, "reg", 0);
    host->timebase = cell(fdt, cpus, "timebase-frequency", 0);
    host->mmu_levels = mmu_levels(fdt, cpu);
    host->cbom_block = cell(fdt, cpu, "riscv,cbom-block-size", 0);
    host->cboz_block = cell(fdt, cpu, "riscv,cboz-block-size", 0);
    host->cbop_block = cell(fdt, cpu, "riscv,cbop-block-size", 0);
    if (host->timebase == 0) {
        host_log("the machine's device tree does not say its timebase-frequency");
        return -ENODEV;
    }
    return 0;
}

/* The context of the same hart's M-mode: the controller's other entry. (Its interrupt is 11, of
 * which OpenSBI makes "none" in the tree that it passes on.) The S-mode's own if there is none. */
static unsigned machine_context(const void *fdt, int node, unsigned context, unsigned contexts)
{
    uint32_t hart = cell(fdt, node, "interrupts-extended", 2 * context);
    for (unsigned i = 0; i < contexts; i++) {
        if (i != context && cell(fdt, node, "interrupts-extended", 2 * i) == hart)
            return i;
    }
    return context;
}

/* Our context is the entry of interrupts-extended that leads to cpu 0's interrupt 9. */
static int probe_plic(struct host *host, const void *fdt)
{
    int node = fdt_node_offset_by_compatible(fdt, -1, "riscv,plic0");
    int len = 0;
    if (node >= 0 && fdt_getprop(fdt, node, "interrupts-extended", &len)) {
        host->plic_window = window(fdt, node);
        host->plic_sources = cell(fdt, node, "riscv,ndev", 0);
        for (unsigned context = 0; context < (unsigned)len / 8; context++) {
            if (cell(fdt, node, "interrupts-extended", 2 * context + 1) == INTERRUPT_EXTERNAL) {
                host->plic_context = context;
                host->plic_machine = machine_context(fdt, node, context, (unsigned)len / 8);
                return 0;
            }
        }
    }
    host_log("the machine's device tree has no PLIC with a context for supervisor mode");
    return -ENODEV;
}

static int probe_virtio(struct host *host, const void *fdt)
{
    int node = -1;
    while ((node = fdt_node_offset_by_compatible(fdt, node, "virtio,mmio")) >= 0) {
        struct host_window found = window(fdt, node);
        unsigned i = host->virtios;
        if (host->virtios++ == HOST_VIRTIO_SLOTS) {
            host_log("the machine has more than %u virtio-mmio slots: raise HOST_VIRTIO_SLOTS "
                     "(core/host/machine.h)",
                     HOST_VIRTIO_SLOTS);
            return -ENOSPC;
        }

        for (; i > 0 && host->virtio[i - 1].hpa > found.hpa; i--)
            host->virtio[i] = host->virtio[i - 1];
        host->virtio[i] = found;
    }
    return 0;
}

int host_probe(struct host *host, const void *fdt)
{
    int error;
    memset(host, 0, sizeof(*host));
    if (fdt_check_header(fdt) != 0) {
        host_log("the firmware passed no valid device tree");
        return -EINVAL;
    }
    host->fdt = fdt;
    error = probe_memory(host, fdt);
    if (error == 0)
        error = probe_cpu(host, fdt);
    if (error == 0)
        error = probe_plic(host, fdt);
    if (error == 0)
        error = probe_virtio(host, fdt);
    if (error < 0)
        return error;
    host->uart = find_window(fdt, "ns16550a");
    host->rtc = find_window(fdt, "google,goldfish-rtc");
    host->fwcfg_hpa = find_window(fdt, "qemu,fw-cfg-mmio").hpa;
    host->finisher_hpa = find_window(fdt, "sifive,test1").hpa;
    if (host->uart.hpa == 0 || host->finisher_hpa == 0) {
        host_log("the machine lacks a 16550A UART or a test finisher; use QEMU's -M virt");
        return -ENODEV;
    }
    return 0;
}

struct host_window *host_find_virtio(struct host *host, uint32_t device_id)
{
    for (unsigned i = 0; i < host->virtios; i++) {
        if (virtio_device_id((uintptr_t)map_hpa(host->virtio[i].hpa)) == device_id)
            return &host->virtio[i];
    }
    return NULL;
}

void host_power_off(struct host *host, unsigned status)
{
    uintptr_t finisher = (uintptr_t)map_hpa(host->finisher_hpa);
    io_write32(finisher, status == 0 ? FINISHER_PASS : status << 16 | FINISHER_FAIL);
    for (;;)
        io_fence();
}
