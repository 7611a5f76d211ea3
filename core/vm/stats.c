/* The statistics: a fixed hash table of exits. Their print-out is observe/report.c. */
#include "vm/stats.h"

#include <string.h>

#include "host/ends.h"
#include "host/io.h"
#include "isa/riscv.h"
#include "vm/vm.h"

#define ROW_OF_THE_REST (STATS_ROWS - 1)
#define NANOSECONDS     1000000000u
#define PROBES          64u /* rows looked at before an exit is counted with the rest */

/* What tells an exit from others. */
static inline uint64_t id_of(struct exit exit, unsigned mode)
{
    return exit.bits | (uint64_t)mode << 40;
}

RARE static struct stats_row *find_row(struct stats *stats, uint64_t id)
{
    uint64_t hash = id * 0x9e3779b97f4a7c15ul; /* 2^64 / golden ratio */
    for (unsigned i = 0; i < PROBES; i++) {
        unsigned index = ((hash >> 40) + i) % STATS_ROWS;
        struct stats_row *row = &stats->rows[index];
        if (index == ROW_OF_THE_REST)
            continue;
        if (row->id == 0)
            row->id = id;
        if (row->id == id)
            return row;
    }
    stats->rows[ROW_OF_THE_REST].id = id_of(exit_of(EXIT_CLASSES, 0), 0);
    return &stats->rows[ROW_OF_THE_REST];
}

/* The same, found before in most cases. */
static inline struct stats_row *find_row_again(struct stats *stats, struct exit exit, unsigned mode)
{
    uint64_t id = id_of(exit, mode);
    uint64_t hash = id ^ id >> 12 ^ id >> 30;
    struct stats_row **lately = &stats->lately[hash % STATS_LATELY];
    struct stats_row *row = *lately;
    if (!row || row->id != id)
        row = *lately = find_row(stats, id);
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

void stats_start(struct stats *stats, uint32_t timebase, bool counts_instructions)
{
    uint32_t ns = NANOSECONDS / timebase;
    stats->tick_ns = counts_instructions ? 0 : ns + (ns == 0);
}

HOT void stats_exit(struct stats *stats, struct exit exit, unsigned mode, uint64_t instructions,
                    uint64_t ticks)
{
    struct stats_row *row = find_row_again(stats, exit, mode);
    unsigned bucket = floor_log2(stats->tick_ns ? ticks * stats->tick_ns : instructions);
    stats->last = exit;
    row->count++;
    row->instructions += instructions;
    row->ticks += ticks;
    row->histogram[bucket < STATS_BUCKETS ? bucket : STATS_BUCKETS - 1]++;
}

void stats_spent(struct stats *stats, struct exit exit, unsigned mode, uint64_t ticks)
{
    find_row_again(stats, exit, mode)->ticks += ticks;
}

void stats_waited(struct stats *stats, unsigned mode, uint64_t ticks)
{
    stats_spent(stats, exit_of(EXIT_WFI, 0), mode, ticks);
}

void stats_note_longest(struct stats *stats, const struct stats_longest *exit)
{
    if (stats_is_longest(stats, exit->instructions))
        stats->longest = *exit;
}

void stats_list_brief(struct stats *stats)
{
    static const enum exit_class classes[STATS_BRIEF] = {EXIT_SYSCALL, EXIT_SRET};
    for (unsigned mode = 0; mode < STATS_BRIEF; mode++)
        if (stats->brief[mode])
            find_row(stats, id_of(exit_of(classes[mode], 0), mode))->untimed += stats->brief[mode];
}

uint64_t stats_learned(const struct stats_memory *memory)
{
    return memory->learned_before + memory->fills + memory->prefills + memory->early_fills +
           memory->patched_sites + memory->dropped_patches + memory->trampolines +
           memory->inline_lost + memory->hints;
}

uint64_t stats_holds(const struct vm *vm)
{
    uint64_t holds = 0;
    for (unsigned i = 0; i < vm->devices; i++)
        holds += vm->device[i].end ? vm->device[i].end->held : 0;
    return holds;
}

void stats_reset(struct vm *vm)
{
    struct stats_memory gauges = vm->stats.memory;
    uint32_t tick_ns = vm->stats.tick_ns;
    memset(&vm->stats, 0, sizeof(vm->stats));
    vm->stats.memory.pool = gauges.pool;
    vm->stats.memory.pool.peak = gauges.pool.pages;
    vm->stats.memory.fixed_bytes = gauges.fixed_bytes;
    vm->stats.memory.patched_pages = gauges.patched_pages;
    vm->stats.memory.learned_before = stats_learned(&gauges);
    vm->stats.tick_ns = tick_ns;
    for (unsigned i = 0; i < vm->devices; i++)
        memset(&vm->device[i].count, 0, sizeof(vm->device[i].count));
    vm->stats.begin_time = io_time();
    vm->stats.begin_instret = io_instret();
    vm->stats.begin_holds = stats_holds(vm);
}
