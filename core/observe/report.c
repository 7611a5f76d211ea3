/*
 * The report: the statistics as one line of JSON (docs/statistics.schema.json), piece by piece.
 *
 * The surprise: guest time is what is left of the elapsed time when the handlers' is taken off, so
 * it contains the machine's own costs of a trap (M-mode's redirect of illegal instructions).
 *
 * The guest decides how many kinds of exit there are, and with them how long the line is. So it is
 * written from a copy, made when the report begins, and between two pieces the guest may go on.
 */
#include "observe/report.h"

#include <stdio.h>
#include <string.h>

#include "board/board.h"
#include "engine/trap/shadow.h"
#include "host/channel.h"
#include "host/io.h"
#include "host/machine.h"

#define NANOSECONDS       1000000000ull
#define INSTRUCTIONS_SIZE 21u /* of 2^64 - 1 in text */

#define COUNT(value) ((unsigned long long)(value))

static unsigned long long nanoseconds(const struct host *host, uint64_t ticks)
{
    return ticks / host->timebase * NANOSECONDS +
           ticks % host->timebase * NANOSECONDS / host->timebase;
}

/* A number of instructions in JSON: null if none are counted, since instret is a clock then. */
static const char *instructions(const struct stats *stats, uint64_t count,
                                char text[static INSTRUCTIONS_SIZE])
{
    if (stats->tick_ns)
        return "null";
    snprintf(text, INSTRUCTIONS_SIZE, "%llu", COUNT(count));
    return text;
}

/* The words of the option, with commas. */
static const char *ablation_words(unsigned set, char *text)
{
    static const char *const words[] = {"coalesce", "notify", "batch", "copy", "queue"};
    char *end = text;
    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (set >> i & 1)
            end += sprintf(end, "%s%s", end == text ? "" : ",", words[i]);
    return end == text ? "none" : text;
}

/* The way of each role, and the model of those of which there are several. */
static void write_roles(const struct report *report)
{
    static const char *const ways[] = {"emulated", "virtio", "passthrough"};
    const struct vm_options *options = &report->vm->options;
    for (unsigned i = 0; i < VM_ROLES; i++) {
        channel_printf(report->vm->host, "\"%s\":\"%s\",", board_roles[i], ways[options->way[i]]);
        if (board_models[i])
            channel_printf(report->vm->host, "\"%s_model\":\"%s\",", board_roles[i],
                           board_models[i][options->model[i]]);
    }
}

static void write_config(const struct report *report)
{
    static const char *const levels[] = {"off", "ecall", "cluster", "inline"};
    const struct vm *vm = report->vm;
    const struct vm_options *options = &vm->options;
    char ablate[64];
    channel_printf(vm->host, "\"config\":{");
    write_roles(report);
    channel_printf(vm->host,
                   "\"patch\":\"%s\",\"mem\":%llu,\"plic\":\"%s\",\"ablate\":\"%s\",\"shadow\":[",
                   levels[options->patch], COUNT(options->mem), vm->board->plic_row->name,
                   ablation_words(options->ablate, ablate));
    for (unsigned i = 0, listed = 0; shadow_switch_names[i]; i++)
        if (options->shadow >> i & 1)
            channel_printf(vm->host, listed++ ? ",\"%s\"" : "\"%s\"", shadow_switch_names[i]);
    channel_printf(vm->host, "]}");
}

static const char *mode_name(unsigned mode)
{
    return mode == VMODE_S ? "vS" : "vU";
}

static void write_row(struct report *report, const struct stats_row *row, bool first)
{
    char detail[48], retired[INSTRUCTIONS_SIZE];
    struct exit exit = stats_row_exit(row);
    unsigned buckets = STATS_BUCKETS;
    names_detail(report->vm, exit, detail, sizeof(detail));
    channel_printf(report->vm->host,
                   "%s{\"class\":\"%s\",\"mode\":\"%s\",\"detail\":\"%s\",\"count\":%llu,"
                   "\"timed\":%llu,\"instructions\":%s,\"nanoseconds\":%llu,\"histogram\":[",
                   first ? "" : ",", names_class(exit), mode_name(stats_row_mode(row)), detail,
                   COUNT(row->count + row->untimed), COUNT(row->count),
                   instructions(&report->stats, row->instructions, retired),
                   nanoseconds(report->vm->host, row->ticks));
    while (buckets > 0 && row->histogram[buckets - 1] == 0)
        buckets--;
    for (unsigned i = 0; i < buckets; i++)
        channel_printf(report->vm->host, i ? ",%u" : "%u", (unsigned)row->histogram[i]);
    channel_printf(report->vm->host, "]}");
}

/* An exit that waits and has not ended has time, and is not counted yet. */
static bool is_empty(const struct stats_row *row)
{
    return row->count == 0 && row->untimed == 0 && row->ticks == 0;
}

/* Also adds up what the rows cost; waiting, which is under WFI, is apart. */
static void write_exit(struct report *report, const struct stats_row *row)
{
    struct report_cost *sum = exit_class(stats_row_exit(row)) == EXIT_WFI ? &report->idle
                                                                          : &report->vmm;
    write_row(report, row, !report->listed);
    report->listed = true;
    sum->instructions += row->instructions;
    sum->ticks += row->ticks;
}

static void write_longest(struct report *report)
{
    const struct stats_longest *longest = &report->stats.longest;
    char detail[48], retired[INSTRUCTIONS_SIZE];
    if (longest->instructions == 0) {
        channel_printf(report->vm->host, "],\"longest\":null");
        return;
    }
    names_detail(report->vm, longest->exit, detail, sizeof(detail));
    channel_printf(report->vm->host,
                   "],\"longest\":{\"class\":\"%s\",\"mode\":\"%s\",\"detail\":\"%s\","
                   "\"pc\":\"0x%llx\",\"instructions\":%s,\"nanoseconds\":%llu}",
                   names_class(longest->exit), mode_name(longest->mode), detail, COUNT(longest->pc),
                   instructions(&report->stats, longest->instructions, retired),
                   nanoseconds(report->vm->host, longest->ticks));
}

static void write_devices(struct report *report)
{
    channel_printf(report->vm->host, ",\"devices\":{");
    for (unsigned i = 0; i < report->vm->devices; i++) {
        const struct device *dev = &report->vm->device[i];
        const struct device_count *count = &report->device[i];
        channel_printf(report->vm->host,
                       "%s\"%s\":{\"strategy\":\"%s\",\"loads\":%llu,\"stores\":%llu,\"irqs\":%llu,"
                       "\"notifications\":%llu,\"requests\":%llu,\"bytes\":%llu}",
                       i ? "," : "", dev->name, dev->strategy->name, COUNT(count->loads),
                       COUNT(count->stores), COUNT(count->irqs), COUNT(count->notifications),
                       COUNT(count->requests), COUNT(count->bytes));
    }
    channel_printf(report->vm->host, "}");
}

/* Of the VMM's own memory, with so many pages of the pool in use. */
static unsigned long long own_bytes(const struct stats_memory *memory, uint64_t pool_pages)
{
    return COUNT(memory->fixed_bytes + (pool_pages << PAGE_SHIFT));
}

static void write_memory(struct report *report)
{
    const struct stats_memory *memory = &report->stats.memory;
    channel_printf(report->vm->host,
                   ",\"memory\":{\"fills\":%llu,\"prefills\":%llu,\"flushes\":%llu,"
                   "\"evictions\":%llu,\"root_switches\":%llu,\"tlb_flushes\":%llu,"
                   "\"patched_pages\":%llu,\"patched_sites\":%llu,\"dropped_patches\":%llu,",
                   COUNT(memory->fills), COUNT(memory->prefills), COUNT(memory->flushes),
                   COUNT(memory->evictions), COUNT(memory->root_switches),
                   COUNT(memory->tlb_flushes), COUNT(memory->patched_pages),
                   COUNT(memory->patched_sites), COUNT(memory->dropped_patches));
    channel_printf(
        report->vm->host,
        "\"patched_loads\":%llu,\"inline_sites\":%llu,\"trampolines\":%llu,\"inline_lost\":%llu,",
        COUNT(memory->patched_loads), COUNT(memory->inline_sites), COUNT(memory->trampolines),
        COUNT(memory->inline_lost));
    channel_printf(report->vm->host,
                   "\"superpages\":%llu,\"shared_fills\":%llu,\"early_fills\":%llu,"
                   "\"space_hits\":%llu,\"space_misses\":%llu,\"kept\":%llu,\"forgotten\":%llu,"
                   "\"set_aside\":%llu,\"taken_up\":%llu,\"full_drops\":%llu,\"frame_drops\":%llu,",
                   COUNT(memory->superpages), COUNT(memory->shared_fills),
                   COUNT(memory->early_fills), COUNT(memory->space_hits),
                   COUNT(memory->space_misses), COUNT(memory->kept), COUNT(memory->forgotten),
                   COUNT(memory->set_aside), COUNT(memory->taken_up), COUNT(memory->full_drops),
                   COUNT(memory->frame_drops));
    channel_printf(report->vm->host,
                   "\"ahead_runs\":%llu,\"ahead_instructions\":%llu,\"traces\":%llu,\"hints\":%llu,"
                   "\"holds\":%llu,\"learned\":%llu,",
                   COUNT(memory->ahead_runs), COUNT(memory->ahead_instructions),
                   COUNT(memory->traces), COUNT(memory->hints), COUNT(report->holds),
                   COUNT(stats_learned(memory)));
    channel_printf(report->vm->host, "\"pool_pages\":%llu,\"pool_peak\":%llu,\"pool_limit\":%llu,",
                   COUNT(memory->pool.pages), COUNT(memory->pool.peak), COUNT(memory->pool.limit));
    channel_printf(report->vm->host, "\"vmm_bytes\":%llu,\"vmm_peak\":%llu,\"vmm_limit\":%llu}",
                   own_bytes(memory, memory->pool.pages), own_bytes(memory, memory->pool.peak),
                   own_bytes(memory, memory->pool.limit));
}

static void write_cost(struct report *report, const char *name, struct report_cost cost)
{
    char retired[INSTRUCTIONS_SIZE];
    channel_printf(report->vm->host, ",\"%s\":{\"instructions\":%s,\"nanoseconds\":%llu}", name,
                   instructions(&report->stats, cost.instructions, retired),
                   nanoseconds(report->vm->host, cost.ticks));
}

static void write_costs(struct report *report)
{
    uint64_t handled = report->vmm.ticks + report->idle.ticks;
    struct report_cost guest = {report->stats.guest_instructions, report->ticks};
    guest.ticks -= handled < guest.ticks ? handled : guest.ticks;
    write_cost(report, "vmm", report->vmm);
    write_cost(report, "idle", report->idle);
    write_cost(report, "guest", guest);
    channel_printf(report->vm->host, "}}\n");
}

/* --- Piece by piece --- */

void report_begin(struct report *report, const char *head)
{
    report->active = true;
    report->listed = false;
    report->next = 0;
    report->vmm = report->idle = (struct report_cost){0};
    report->stats = report->vm->stats;
    stats_list_brief(&report->stats);
    report->ticks = io_time() - report->vm->stats.begin_time;
    report->holds = stats_holds(report->vm) - report->vm->stats.begin_holds;
    for (unsigned i = 0; i < report->vm->devices; i++)
        report->device[i] = report->vm->device[i].count;
    channel_printf(report->vm->host, "{%s,\"statistics\":{", head);
    write_config(report);
    channel_printf(report->vm->host, ",\"exits\":[");
}

/* What follows the rows. */
static void (*const parts[])(struct report *report) = {
    write_longest,
    write_devices,
    write_memory,
    write_costs,
};

bool report_step(struct report *report)
{
    unsigned part;
    if (!report->active)
        return false;
    while (report->next < STATS_ROWS && is_empty(&report->stats.rows[report->next]))
        report->next++;
    if (report->next < STATS_ROWS) {
        write_exit(report, &report->stats.rows[report->next++]);
        return true;
    }
    part = report->next++ - STATS_ROWS;
    parts[part](report);
    report->active = part + 1 < sizeof(parts) / sizeof(parts[0]);
    return report->active;
}

void report_finish(struct report *report)
{
    while (report_step(report))
        ;
}

void report_send(struct report *report, const char *event, int status)
{
    char head[64];
    report_finish(report);
    snprintf(head, sizeof(head), "\"event\":\"%s\",\"status\":%d", event, status);
    report_begin(report, head);
    report_finish(report);
}
