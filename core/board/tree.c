/*
 * The guest's device tree (Devicetree Specification 0.4; Linux' bindings riscv/cpus,
 * riscv/extensions, interrupt-controller/sifive,plic-1.0.0 and reserved-memory).
 *
 * The surprise: what is left out matters most. An extension that is named here will be used by the
 * guest, and only those that the VMM virtualizes, or that need no help from it, are named.
 */
#include "board/tree.h"

#include <errno.h>
#include <libfdt.h>
#include <stdio.h>
#include <string.h>

#include "board/board.h"
#include "board/rtc.h"
#include "board/vplic.h"
#include "host/log.h"
#include "host/machine.h"
#include "isa/riscv.h"
#include "vm/vm.h"

#define FINISHER_POWEROFF 0x5555u
#define FINISHER_REBOOT   0x7777u

/* The two register windows of "ata-generic", inside one page. */
#define ATA_BLOCK_SIZE     0x20u
#define ATA_CONTROL_OFFSET 0x100u

#define MACHINE_EXTERNAL 11u /* interrupt of the PLIC's context 0 */

enum phandle { PHANDLE_NONE, PHANDLE_INTC, PHANDLE_PLIC, PHANDLE_FINISHER };

/* Extensions that a guest may use if the machine has them. Missing are H and all that belongs to it
 * (sh*), page table features that the shadow does not read (svnapot, svpbmt, svinval), AIA and
 * counters beyond the three of zicntr. */
static const char *const extensions[] = {
    "i",           "m",        "a",
    "f",           "d",        "c",
    "zic64b",      "zicbom",   "zicbop",
    "zicboz",      "ziccamoa", "ziccif",
    "zicclsm",     "ziccrse",  "zicntr",
    "zicsr",       "zifencei", "zihintntl",
    "zihintpause", "zmmul",    "za64rs",
    "zaamo",       "zalrsc",   "zawrs",
    "zfa",         "zca",      "zcd",
    "zba",         "zbb",      "zbc",
    "zbs",         "ssccptr",  "sscounterenw",
    "sstc",        "sstvala",  "sstvecd",
    "ssu64xl",     "svadu",    "svvptc",
};

/* A tree being written; after the first error nothing more is. */
struct writer {
    void *fdt;
    int error;
};

static void note(struct writer *w, int error)
{
    if (w->error == 0)
        w->error = error;
}

static void begin(struct writer *w, const char *name)
{
    note(w, fdt_begin_node(w->fdt, name));
}

static void begin_at(struct writer *w, const char *name, uint64_t address)
{
    char text[64];
    snprintf(text, sizeof(text), "%s@%lx", name, (unsigned long)address);
    begin(w, text);
}

static void end(struct writer *w)
{
    note(w, fdt_end_node(w->fdt));
}

static void put_bytes(struct writer *w, const char *name, const void *bytes, size_t len)
{
    note(w, fdt_property(w->fdt, name, bytes, (int)len));
}

static void put_text(struct writer *w, const char *name, const char *text)
{
    put_bytes(w, name, text, strlen(text) + 1);
}

static void put_flag(struct writer *w, const char *name)
{
    put_bytes(w, name, NULL, 0);
}

static void put_cell(struct writer *w, const char *name, uint32_t value)
{
    note(w, fdt_property_u32(w->fdt, name, value));
}

static void put_address(struct writer *w, const char *name, uint64_t value)
{
    note(w, fdt_property_u64(w->fdt, name, value));
}

static void put_reg(struct writer *w, uint64_t address, uint64_t size)
{
    const fdt64_t reg[] = {cpu_to_fdt64(address), cpu_to_fdt64(size)};
    put_bytes(w, "reg", reg, sizeof(reg));
}

static void put_cells(struct writer *w, uint32_t address_cells, uint32_t size_cells)
{
    put_cell(w, "#address-cells", address_cells);
    put_cell(w, "#size-cells", size_cells);
}

/* Where a row's node is. */
static void device_path(const struct device *dev, char *text, size_t size)
{
    snprintf(text, size, "/soc/%s@%lx", dev->strategy->node, (unsigned long)dev->base);
}

static const struct device *find_device(const struct vm *vm, const char *name)
{
    for (unsigned i = 0; i < vm->devices; i++) {
        if (strcmp(vm->device[i].name, name) == 0)
            return &vm->device[i];
    }
    return NULL;
}

static void write_chosen(struct writer *w, const struct vm *vm, const struct host *host,
                         const struct tree_config *config)
{
    const struct device *uart = find_device(vm, "uart");
    int node = fdt_path_offset(host->fdt, "/chosen");
    int len = 0;
    const void *seed = node < 0 ? NULL : fdt_getprop(host->fdt, node, "rng-seed", &len);
    char path[64];
    begin(w, "chosen");
    if (config->bootargs)
        put_text(w, "bootargs", config->bootargs);
    if (config->initrd_size > 0) {
        put_address(w, "linux,initrd-start", config->initrd_gpa);
        put_address(w, "linux,initrd-end", config->initrd_gpa + config->initrd_size);
    }
    if (seed && len > 0)
        put_bytes(w, "rng-seed", seed, (size_t)len);
    if (uart) {
        device_path(uart, path, sizeof(path));
        put_text(w, "stdout-path", path);
    }
    end(w);
    if (uart) {
        begin(w, "aliases");
        put_text(w, "serial0", path);
        end(w);
    }
}

static void write_memory(struct writer *w, const struct vm *vm, const struct host *host)
{
    int reserved = fdt_path_offset(host->fdt, "/reserved-memory");
    int child;
    begin_at(w, "memory", vm->ram.gpa);
    put_text(w, "device_type", "memory");
    put_reg(w, vm->ram.gpa, vm->ram.size);
    end(w);

    begin(w, "reserved-memory");
    put_cells(w, 2, 2);
    put_flag(w, "ranges");
    for (child = reserved < 0 ? -1 : fdt_first_subnode(host->fdt, reserved); child >= 0;
         child = fdt_next_subnode(host->fdt, child)) {
        int len;
        const fdt64_t *reg = fdt_getprop(host->fdt, child, "reg", &len);
        if (!reg || len != 2 * (int)sizeof(*reg) || fdt64_ld(reg) - vm->ram.gpa >= vm->ram.size)
            continue;
        begin(w, fdt_get_name(host->fdt, child, NULL));
        put_bytes(w, "reg", reg, (size_t)len);
        put_flag(w, "no-map");
        end(w);
    }
    end(w);
}

static bool is_offered(const char *name, size_t len)
{
    for (unsigned i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++) {
        if (strlen(extensions[i]) == len && memcmp(extensions[i], name, len) == 0)
            return true;
    }
    return false;
}

/* Goes through the host's ISA string (rv64imafdc_zicsr_...: letters, then names), and keeps what is
 * offered: as such a string, and as a list of NUL-terminated names. Returns the list's length. */
static size_t filter_isa(const char *isa, char *string, char *list)
{
    const char *next = isa + strlen("rv64");
    size_t string_len = strlen("rv64"), list_len = 0;
    memcpy(string, isa, string_len);
    while (*next) {
        bool named = *next == '_';
        const char *name = next + named;
        size_t len = named ? strcspn(name, "_") : 1;
        next = name + len;
        if (!is_offered(name, len))
            continue;
        if (named)
            string[string_len++] = '_';
        memcpy(string + string_len, name, len);
        string_len += len;
        memcpy(list + list_len, name, len);
        list_len += len;
        list[list_len++] = 0;
    }
    string[string_len] = 0;
    return list_len;
}

static void write_isa(struct writer *w, const struct host *host)
{
    char string[HOST_ISA_SIZE], list[2 * HOST_ISA_SIZE];
    size_t list_len;
    if (strncmp(host->isa, "rv64i", strlen("rv64i")) != 0) {
        note(w, -FDT_ERR_BADVALUE);
        return;
    }
    list_len = filter_isa(host->isa, string, list);
    put_text(w, "riscv,isa", string);
    put_text(w, "riscv,isa-base", "rv64i");
    put_bytes(w, "riscv,isa-extensions", list, list_len);
    if (host->cbom_block && strstr(string, "_zicbom"))
        put_cell(w, "riscv,cbom-block-size", host->cbom_block);
    if (host->cboz_block && strstr(string, "_zicboz"))
        put_cell(w, "riscv,cboz-block-size", host->cboz_block);
    if (host->cbop_block && strstr(string, "_zicbop"))
        put_cell(w, "riscv,cbop-block-size", host->cbop_block);
}

static void write_cpus(struct writer *w, const struct vm *vm, const struct host *host,
                       const struct tree_config *config)
{
    static const char *const mmu_types[] = {[3] = "riscv,sv39", [4] = "riscv,sv48"};
    begin(w, "cpus");
    put_cells(w, 1, 0);
    put_cell(w, "timebase-frequency", host->timebase);
    begin_at(w, "cpu", vm->vcpus[0]->hartid);
    put_text(w, "device_type", "cpu");
    put_cell(w, "reg", (uint32_t)vm->vcpus[0]->hartid);
    put_text(w, "status", "okay");
    put_text(w, "compatible", "riscv");
    write_isa(w, host);
    if (config->mmu_levels == 3 || config->mmu_levels == 4)
        put_text(w, "mmu-type", mmu_types[config->mmu_levels]);
    begin(w, "interrupt-controller");
    put_cell(w, "#address-cells", 0);
    put_cell(w, "#interrupt-cells", 1);
    put_flag(w, "interrupt-controller");
    put_text(w, "compatible", "riscv,cpu-intc");
    put_cell(w, "phandle", PHANDLE_INTC);
    end(w);
    end(w);
    end(w);
}

static void write_plic(struct writer *w)
{
    static const char compatible[] = "sifive,plic-1.0.0\0riscv,plic0";
    const fdt32_t contexts[] = {
        cpu_to_fdt32(PHANDLE_INTC),
        cpu_to_fdt32(MACHINE_EXTERNAL),
        cpu_to_fdt32(PHANDLE_INTC),
        cpu_to_fdt32(INTERRUPT_EXTERNAL),
    };
    begin_at(w, "plic", VPLIC_BASE);
    put_bytes(w, "compatible", compatible, sizeof(compatible));
    put_reg(w, VPLIC_BASE, VPLIC_SIZE);
    put_cell(w, "riscv,ndev", VPLIC_SOURCES - 1);
    put_bytes(w, "interrupts-extended", contexts, sizeof(contexts));
    put_flag(w, "interrupt-controller");
    put_cell(w, "#address-cells", 0);
    put_cell(w, "#interrupt-cells", 1);
    put_cell(w, "phandle", PHANDLE_PLIC);
    end(w);
}

static void write_finisher(struct writer *w)
{
    static const char compatible[] = "sifive,test1\0sifive,test0\0syscon";
    begin_at(w, "test", BOARD_FINISHER_BASE);
    put_bytes(w, "compatible", compatible, sizeof(compatible));
    put_reg(w, BOARD_FINISHER_BASE, BOARD_FINISHER_SIZE);
    put_cell(w, "phandle", PHANDLE_FINISHER);
    end(w);
}

static void write_rtc(struct writer *w)
{
    begin_at(w, "rtc", RTC_BASE);
    put_text(w, "compatible", "google,goldfish-rtc");
    put_reg(w, RTC_BASE, RTC_SIZE);
    put_cell(w, "interrupt-parent", PHANDLE_PLIC);
    put_cell(w, "interrupts", RTC_IRQ);
    end(w);
}

/* A node that stores a value into the finisher. */
static void write_syscon(struct writer *w, const char *name, const char *compatible, uint32_t value)
{
    begin(w, name);
    put_text(w, "compatible", compatible);
    put_cell(w, "regmap", PHANDLE_FINISHER);
    put_cell(w, "offset", 0);
    put_cell(w, "value", value);
    end(w);
}

static void write_device(struct writer *w, const struct device *dev)
{
    const struct strategy *strategy = dev->strategy;
    const fdt64_t ata[] = {
        cpu_to_fdt64(dev->base),
        cpu_to_fdt64(ATA_BLOCK_SIZE),
        cpu_to_fdt64(dev->base + ATA_CONTROL_OFFSET),
        cpu_to_fdt64(ATA_BLOCK_SIZE),
    };
    begin_at(w, strategy->node, dev->base);
    put_text(w, "compatible", strategy->compatible);
    if (strcmp(strategy->compatible, "ata-generic") == 0)
        put_bytes(w, "reg", ata, sizeof(ata));
    else
        put_reg(w, dev->base, strategy->size);
    put_cell(w, "interrupt-parent", PHANDLE_PLIC);
    put_cell(w, "interrupts", dev->irq);
    for (const struct device_property *p = strategy->properties; p && p->name; p++)
        put_cell(w, p->name, p->value);
    end(w);
}

int tree_build(const struct vm *vm, const struct host *host, const struct tree_config *config,
               void *buffer, size_t size)
{
    struct writer w = {.fdt = buffer};
    note(&w, size > INT32_MAX ? -FDT_ERR_NOSPACE : fdt_create(buffer, (int)size));
    note(&w, fdt_finish_reservemap(buffer));
    begin(&w, "");
    put_cells(&w, 2, 2);
    put_text(&w, "compatible", "riscv-virtio");
    put_text(&w, "model", "riscv-virtio,trident");
    write_chosen(&w, vm, host, config);
    write_memory(&w, vm, host);
    write_cpus(&w, vm, host, config);
    write_syscon(&w, "poweroff", "syscon-poweroff", FINISHER_POWEROFF);
    write_syscon(&w, "reboot", "syscon-reboot", FINISHER_REBOOT);
    begin(&w, "soc");
    put_cells(&w, 2, 2);
    put_text(&w, "compatible", "simple-bus");
    put_flag(&w, "ranges");
    write_plic(&w);
    write_finisher(&w);
    if (host->rtc.hpa)
        write_rtc(&w);
    for (unsigned i = 0; i < vm->devices; i++)
        write_device(&w, &vm->device[i]);
    end(&w);
    end(&w);
    note(&w, fdt_finish(buffer));
    if (w.error < 0) {
        host_log("the guest's device tree cannot be made: %s", fdt_strerror(w.error));
        return w.error == -FDT_ERR_NOSPACE ? -ENOSPC : -EINVAL;
    }
    return (int)fdt_totalsize(buffer);
}
