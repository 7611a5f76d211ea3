/*
 * The statistics: a fixed hash table of exits, and its print-out as JSON
 * (docs/statistics.schema.json).
 *
 * The surprise: guest time is what is left of the elapsed time when the handlers' is taken off, so
 * it contains the machine's own costs of a trap (M-mode's redirect of illegal instructions).
 */
#include "stats.h"

#include <stdio.h>
#include <string.h>

#include "host/io.h"
#include "host/machine.h"
#include "riscv.h"
#include "vm.h"

#define ROW_OF_THE_REST (STATS_ROWS - 1)
#define PROBES          64u /* rows looked at before an exit is counted with the rest */
#define NANOSECONDS     1000000000ull

static uint32_t make_key(unsigned exit_class, unsigned mode, uint32_t detail)
{
    uint32_t key = (detail ^ exit_class << 24 ^ mode << 23) * 0x9e3779b1u; /* 2^32 / golden ratio */

    return (key ^ key >> 15) | 1;
}

RARE static struct stats_row *find_row(struct stats *stats, unsigned exit_class, unsigned mode,
                                       uint32_t detail)
{
    uint32_t key = make_key(exit_class, mode, detail);

    for (unsigned i = 0; i < PROBES; i++) {
        unsigned index = ((key >> 1) + i) % STATS_ROWS;
        struct stats_row *row = &stats->rows[index];

        if (index == ROW_OF_THE_REST)
            continue;
        if (row->key == key && row->detail == detail && row->class == exit_class &&
            row->mode == mode)
            return row;
        if (row->key == 0) {
            row->key = key;
            row->detail = detail;
            row->class = (uint8_t)exit_class;
            row->mode = (uint8_t)mode;
            return row;
        }
    }
    stats->rows[ROW_OF_THE_REST].class = EXIT_CLASSES;
    return &stats->rows[ROW_OF_THE_REST];
}

/* The same, found before in most cases. */
static inline struct stats_row *find_row_again(struct stats *stats, unsigned exit_class,
                                               unsigned mode, uint32_t detail)
{
    struct stats_row *
        *lately = &stats->lately[(detail ^ detail >> 12 ^ exit_class << 2 ^ mode) % STATS_LATELY];
    struct stats_row *row = *lately;

    if (!row || row->detail != detail || row->class != exit_class || row->mode != mode)
        row = *lately = find_row(stats, exit_class, mode, detail);
    return row;
}

/* 0 for 0. Without Zbb the compiler's own is a call of 43 instructions. */
static unsigned floor_log2(uint64_t value)
{
    static const uint8_t log_of_nibble[16] = {0, 0, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3};
    unsigned log = 0;

    for (; value >= 0x1000; value >>= 8)
        log += 8;
    for (; value >= 16; value >>= 4)
        log += 4;
    return log + log_of_nibble[value];
}

void stats_exit(struct stats *stats, unsigned exit_class, unsigned mode, uint32_t detail,
                uint64_t instructions, uint64_t ticks)
{
    struct stats_row *row = find_row_again(stats, exit_class, mode, detail);
    unsigned bucket = floor_log2(instructions);

    row->count++;
    row->instructions += instructions;
    row->ticks += ticks;
    row->histogram[bucket < STATS_BUCKETS ? bucket : STATS_BUCKETS - 1]++;
}

void stats_reset(struct vm *vm)
{
    struct stats_memory gauges = vm->stats.memory;

    memset(&vm->stats, 0, sizeof vm->stats);
    vm->stats.memory.pool_pages = gauges.pool_pages;
    vm->stats.memory.pool_peak = gauges.pool_pages;
    vm->stats.memory.pool_limit = gauges.pool_limit;
    vm->stats.memory.fixed_bytes = gauges.fixed_bytes;
    vm->stats.memory.patched_pages = gauges.patched_pages;
    for (unsigned i = 0; i < vm->devices; i++)
        memset(&vm->device[i].count, 0, sizeof vm->device[i].count);
    vm->stats.begin_time = io_time();
    vm->stats.begin_instret = io_instret();
}

/* --- JSON. ---------------------------------------------------------------------------------- */

#define COUNT(value) ((unsigned long long)(value))

static unsigned long long nanoseconds(const struct host *host, uint64_t ticks)
{
    return ticks / host->timebase * NANOSECONDS +
           ticks % host->timebase * NANOSECONDS / host->timebase;
}

/* The words of the option, with commas. */
static const char *ablation_words(unsigned set, char *text)
{
    static const char *const words[] = {"coalesce", "notify", "batch", "copy", "queue"};
    char *end = text;

    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++)
        if (set >> i & 1)
            end += sprintf(end, "%s%s", end == text ? "" : ",", words[i]);
    return end == text ? "none" : text;
}

static void write_config(struct vm *vm)
{
    static const char *const ways[] = {"emulated", "virtio", "passthrough"};
    static const char *const models[] = {"ahci", "ata"};
    static const char *const levels[] = {"off", "ecall", "cluster", "inline"};
    const struct vm_options *options = &vm->options;
    char ablate[64];

    control_printf(vm->host,
                   "\"config\":{\"uart\":\"%s\",\"disk\":\"%s\",\"disk_model\":\"%s\","
                   "\"patch\":\"%s\",\"mem\":%llu,\"plic\":\"%s\",\"ablate\":\"%s\",\"shadow\":[",
                   ways[options->uart], ways[options->disk], models[options->disk_model],
                   levels[options->patch], COUNT(options->mem),
                   options->plic_mapped ? "mapped" : "emulated",
                   ablation_words(options->ablate, ablate));
    for (unsigned i = 0, listed = 0; stats_switch_names[i]; i++)
        if (options->shadow >> i & 1)
            control_printf(vm->host, listed++ ? ",\"%s\"" : "\"%s\"", stats_switch_names[i]);
    control_printf(vm->host, "]}");
}

static void write_row(struct vm *vm, const struct stats_row *row, bool first)
{
    char detail[48];
    unsigned buckets = STATS_BUCKETS;

    stats_detail_name(vm, row->class, row->detail, detail, sizeof detail);
    control_printf(vm->host,
                   "%s{\"class\":\"%s\",\"mode\":\"%s\",\"detail\":\"%s\",\"count\":%llu,"
                   "\"instructions\":%llu,\"nanoseconds\":%llu,\"histogram\":[",
                   first ? "" : ",", stats_class_name(row->class),
                   row->mode == VMODE_S ? "vS" : "vU", detail, COUNT(row->count),
                   COUNT(row->instructions), nanoseconds(vm->host, row->ticks));
    while (buckets > 0 && row->histogram[buckets - 1] == 0)
        buckets--;
    for (unsigned i = 0; i < buckets; i++)
        control_printf(vm->host, i ? ",%u" : "%u", (unsigned)row->histogram[i]);
    control_printf(vm->host, "]}");
}

struct cost {
    uint64_t instructions, ticks;
};

/* Also adds up what the rows cost; waiting in WFI is apart. */
static void write_exits(struct vm *vm, struct cost *vmm, struct cost *idle)
{
    bool first = true;

    control_printf(vm->host, ",\"exits\":[");
    for (unsigned i = 0; i < STATS_ROWS; i++) {
        const struct stats_row *row = &vm->stats.rows[i];
        struct cost *sum = row->class == EXIT_WFI ? idle : vmm;

        if (row->count == 0)
            continue;
        write_row(vm, row, first);
        first = false;
        sum->instructions += row->instructions;
        sum->ticks += row->ticks;
    }
    control_printf(vm->host, "]");
}

static void write_devices(struct vm *vm)
{
    control_printf(vm->host, ",\"devices\":{");
    for (unsigned i = 0; i < vm->devices; i++) {
        const struct device *dev = &vm->device[i];
        const struct device_count *count = &dev->count;

        control_printf(vm->host,
                       "%s\"%s\":{\"strategy\":\"%s\",\"loads\":%llu,\"stores\":%llu,\"irqs\":%llu,"
                       "\"notifications\":%llu,\"requests\":%llu,\"bytes\":%llu}",
                       i ? "," : "", dev->name, dev->strategy->name, COUNT(count->loads),
                       COUNT(count->stores), COUNT(count->irqs), COUNT(count->notifications),
                       COUNT(count->requests), COUNT(count->bytes));
    }
    control_printf(vm->host, "}");
}

/* Of the VMM's own memory, with so many pages of the pool in use. */
static unsigned long long own_bytes(const struct stats_memory *memory, uint64_t pool_pages)
{
    return COUNT(memory->fixed_bytes + (pool_pages << PAGE_SHIFT));
}

static void write_memory(struct vm *vm)
{
    const struct stats_memory *memory = &vm->stats.memory;

    control_printf(vm->host,
                   ",\"memory\":{\"fills\":%llu,\"prefills\":%llu,\"flushes\":%llu,"
                   "\"evictions\":%llu,\"root_switches\":%llu,\"tlb_flushes\":%llu,"
                   "\"patched_pages\":%llu,\"patched_sites\":%llu,\"dropped_patches\":%llu,",
                   COUNT(memory->fills), COUNT(memory->prefills), COUNT(memory->flushes),
                   COUNT(memory->evictions), COUNT(memory->root_switches),
                   COUNT(memory->tlb_flushes), COUNT(memory->patched_pages),
                   COUNT(memory->patched_sites), COUNT(memory->dropped_patches));
    control_printf(
        vm->host,
        "\"patched_loads\":%llu,\"inline_sites\":%llu,\"trampolines\":%llu,\"inline_lost\":%llu,",
        COUNT(memory->patched_loads), COUNT(memory->inline_sites), COUNT(memory->trampolines),
        COUNT(memory->inline_lost));
    control_printf(vm->host,
                   "\"superpages\":%llu,\"shared_fills\":%llu,\"early_fills\":%llu,"
                   "\"space_hits\":%llu,\"space_misses\":%llu,\"kept\":%llu,\"forgotten\":%llu,"
                   "\"set_aside\":%llu,\"taken_up\":%llu,"
                   "\"full_drops\":%llu,\"frame_drops\":%llu,",
                   COUNT(memory->superpages), COUNT(memory->shared_fills),
                   COUNT(memory->early_fills), COUNT(memory->space_hits),
                   COUNT(memory->space_misses), COUNT(memory->kept), COUNT(memory->forgotten),
                   COUNT(memory->set_aside), COUNT(memory->taken_up), COUNT(memory->full_drops),
                   COUNT(memory->frame_drops));
    control_printf(vm->host, "\"ahead_runs\":%llu,\"ahead_instructions\":%llu,",
                   COUNT(memory->ahead_runs), COUNT(memory->ahead_instructions));
    control_printf(vm->host, "\"pool_pages\":%llu,\"pool_peak\":%llu,\"pool_limit\":%llu,",
                   COUNT(memory->pool_pages), COUNT(memory->pool_peak), COUNT(memory->pool_limit));
    control_printf(vm->host, "\"vmm_bytes\":%llu,\"vmm_peak\":%llu,\"vmm_limit\":%llu}",
                   own_bytes(memory, memory->pool_pages), own_bytes(memory, memory->pool_peak),
                   own_bytes(memory, memory->pool_limit));
}

static void write_cost(struct vm *vm, const char *name, struct cost cost)
{
    control_printf(vm->host, ",\"%s\":{\"instructions\":%llu,\"nanoseconds\":%llu}", name,
                   COUNT(cost.instructions), nanoseconds(vm->host, cost.ticks));
}

void stats_write(struct vm *vm)
{
    struct cost vmm = {0}, idle = {0};
    struct cost guest = {vm->stats.guest_instructions, io_time() - vm->stats.begin_time};

    control_printf(vm->host, "{");
    write_config(vm);
    write_exits(vm, &vmm, &idle);
    write_devices(vm);
    write_memory(vm);
    guest.ticks -= vmm.ticks + idle.ticks < guest.ticks ? vmm.ticks + idle.ticks : guest.ticks;
    write_cost(vm, "vmm", vmm);
    write_cost(vm, "idle", idle);
    write_cost(vm, "guest", guest);
    control_printf(vm->host, "}");
}

void stats_send(struct vm *vm, const char *event, int status)
{
    control_printf(vm->host, "{\"event\":\"%s\",\"status\":%d,\"statistics\":", event, status);
    stats_write(vm);
    control_printf(vm->host, "}\n");
}
