/*
 * Counting: what the exits cost, by class x virtual mode x detail. Counted in two places only:
 * an exit's begin and end (vm/run.h) and the device seam (core/board/device.c).
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/pool.h"
#include "vm/exit.h"

struct vm;

#define STATS_ROWS    1024u /* distinct (class, mode, detail); the last row collects the rest */
#define STATS_LATELY  64u   /* a power of two */
#define STATS_DEVICES 4u
/* Bucket b of a histogram: cost in [2^b, 2^(b+1)) instructions, or ns. */
#define STATS_BUCKETS 24u

struct stats_row {
    uint64_t id;           /* 0: free; else exit.bits and mode << 40 */
    uint64_t count;        /* of exits whose cost was taken */
    uint64_t untimed;      /* of others: see stats_list_brief() */
    uint64_t instructions; /* retired in the VMM (M-mode's redirect is not seen from here) */
    uint64_t ticks;        /* of the time CSR */
    uint32_t histogram[STATS_BUCKETS];
};

static inline struct exit stats_row_exit(const struct stats_row *row)
{
    return (struct exit){row->id & ((1ul << 40) - 1)};
}

static inline unsigned stats_row_mode(const struct stats_row *row)
{
    return row->id >> 40 & 1;
}

/* Counters of the memory system, incremented where the thing happens. */
struct stats_memory {
    uint64_t fills, prefills, flushes, evictions, root_switches, tlb_flushes;
    uint64_t superpages, shared_fills; /* of the fills */
    uint64_t early_fills;              /* made ahead of a fault */
    uint64_t space_hits, space_misses; /* changes of satp: the space was kept, or is new */
    uint64_t kept, forgotten;          /* shadow entries that fences looked at */
    uint64_t set_aside, taken_up;      /* shadow tables that fences put aside, and faults in them */
    uint64_t full_drops, frame_drops;
    uint64_t patched_pages, patched_sites, dropped_patches;
    uint64_t patched_loads;             /* of patched pages, carried out on the original */
    uint64_t inline_sites, trampolines; /* made: of patched_sites (engine/trap/inline.h) */
    uint64_t inline_lost;               /* given up, because the guest uses the same addresses */
    uint64_t ahead_runs, ahead_instructions; /* running ahead (engine/trap/ahead.h) */
    uint64_t traces, hints;                  /* built, and changed, for that */
    uint64_t learned_before;                 /* see stats_learned(); of what was forgotten */
    struct pool_count pool;
    uint64_t fixed_bytes; /* of the VMM's own memory that is not the pool */
};

/* Exits that are counted and not timed (engine/trap/brief.h), by the virtual mode that they leave.
 * Each is of one class, without detail. */
enum stats_brief { STATS_SYSCALL, STATS_SRET, STATS_BRIEF };

/* The exit that cost most. */
struct stats_longest {
    uint64_t instructions, ticks; /* both 0: no exit yet */
    uint64_t pc;                  /* the guest's, where it stopped */
    struct exit exit;
    uint8_t mode;
};

struct stats {
    struct stats_memory memory;
    uint64_t brief[STATS_BRIEF];
    struct stats_longest longest;
    struct exit last;    /* the exit that was counted last */
    uint64_t begin_time; /* of the bracket: boot, or the last reset */
    uint64_t begin_instret;
    uint64_t begin_holds; /* of the host's ends (host_end.held) */
    uint32_t tick_ns; /* 0 if instret counts instructions; else ns of a tick, for the histograms */
    /* Retired outside the VMM's handlers (includes M-mode's redirects). */
    uint64_t guest_instructions;
    struct stats_row *lately[STATS_LATELY]; /* where find_row() found them */
    struct stats_row rows[STATS_ROWS];
};

/* Says once, before anything is counted, what the costs will be: whether instret counts
 * instructions (host->counts_instructions). If it does not, the reports have null for them, and the
 * histograms are of ns. timebase: ticks of the time CSR per second. */
void stats_start(struct stats *stats, uint32_t timebase, bool counts_instructions);

/* One exit handled: costs in retired instructions and time ticks. */
void stats_exit(struct stats *stats, struct exit exit, unsigned mode, uint64_t instructions,
                uint64_t ticks);

/* An exit that has not ended has taken so long so far: to be added to what stats_exit() will be
 * told. */
void stats_spent(struct stats *stats, struct exit exit, unsigned mode, uint64_t ticks);

/* The hart has slept so long, whatever the exit was for: the statistics say so while it lasts,
 * under EXIT_WFI. */
void stats_waited(struct stats *stats, unsigned mode, uint64_t ticks);

/* Whether an exit of so many instructions is the longest so far, and worth stats_note_longest(). */
static inline bool stats_is_longest(const struct stats *stats, uint64_t instructions)
{
    return instructions > stats->longest.instructions;
}

/* Remembers the exit as the longest so far. While the guest waits, in WFI or paused, each time that
 * the hart wakes counts as an exit of its own here: what woke it is served, and it waits again. */
void stats_note_longest(struct stats *stats, const struct stats_longest *exit);

/* How often, since the machine was started, the VMM learned something about the guest that makes
 * later exits cheaper, or gave it up: shadow entries, patched sites, trampolines, hints.
 * stats_reset() does not change it: two stretches with the same number at both ends can be
 * compared. Traces are not in it: few fit, and what the guest does in between takes their place; of
 * them both stretches must have built as many. */
uint64_t stats_learned(const struct stats_memory *memory);

/* Gives the exits that were not timed their rows: in a copy, for a report. */
void stats_list_brief(struct stats *stats);

/* Forgets everything counted so far, of the devices too. */
void stats_reset(struct vm *vm);

/* How often the ends of the real machine that the VM uses have held
 * completions back (host/ends.h). */
uint64_t stats_holds(const struct vm *vm);
