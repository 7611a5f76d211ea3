/*
 * Counting: what the exits cost, by class x virtual mode x detail. Counted in two places only:
 * trap entry/exit (core/engine/trap/trap.c) and the device seam (core/board/device.c).
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "device.h"

struct host;
struct vm;

#define STATS_STORE 0x80000000u /* in a detail of EXIT_MMIO, EXIT_PLIC, EXIT_BOARD */

/* Why the guest stopped. Detail's meaning is in the comment. */
enum exit_class {
    EXIT_CSR, /* CSR number */
    EXIT_SRET,
    EXIT_WFI,         /* and all waiting: in the firmware's calls, and while the guest is paused */
    EXIT_FENCE,       /* 0 sfence.vma all, 1 by address, 2 by ASID, 3 by both */
    EXIT_SBI,         /* STATS_SBI(EID, FID) */
    EXIT_SYSCALL,     /* ecall from vU */
    EXIT_SHADOW_FILL, /* hidden page fault: cause */
    EXIT_GUEST_FAULT, /* page or access fault that is the guest's own: cause */
    EXIT_MMIO,        /* device index << 16 | register offset (bit 31: store) */
    EXIT_PLIC,        /* register offset >> 2 (bit 31: store) */
    EXIT_BOARD,       /* other windows: enum exit_window << 16 | offset in it (bit 31: store) */
    EXIT_INTERRUPT,   /* host interrupt: 1, 5, 9 */
    EXIT_EXCEPTION,   /* any other exception that is the guest's own: cause */
    EXIT_PATCH, /* 0 load of patched code, 1 store to it, 2 repaired, 3 not what trapped: run again,
                     * 4 in a trampoline, 5 the FPU is opened */
    EXIT_CLASSES,
};

/* The other windows that answer (core/board/windows.c). */
enum exit_window { EXIT_WINDOW_FINISHER, EXIT_WINDOW_RTC, EXIT_WINDOW_VIRTIO, EXIT_WINDOWS };

/* One number for an SBI call: different for all calls that are known. */
#define STATS_SBI(eid, fid) ((uint32_t)(eid) ^ (uint32_t)(fid) << 24)

/* The detail of EXIT_MMIO and EXIT_BOARD: an access to the register at offset of a device, or window. */
static inline uint32_t stats_access_detail(unsigned index, uint64_t offset, bool store)
{
    return (uint32_t)index << 16 | (uint32_t)offset | (store ? STATS_STORE : 0);
}

#define STATS_ROWS    1024u /* distinct (class, mode, detail); the last row collects the rest */
#define STATS_LATELY  64u   /* a power of two */
#define STATS_BUCKETS 24u /* bucket b of a histogram: cost in [2^b, 2^(b+1)) instructions, or ns */

struct stats_row {
    uint32_t key; /* 0: free; else hash key made by stats.c */
    uint32_t detail;
    uint8_t class, mode;
    uint64_t count;
    uint64_t instructions; /* retired in the VMM (M-mode's redirect is not seen from here) */
    uint64_t ticks;        /* of the time CSR */
    uint32_t histogram[STATS_BUCKETS];
};

/* Counters of the memory system, incremented where the thing happens. */
struct stats_memory {
    uint64_t fills, prefills, flushes, evictions, root_switches, tlb_flushes;
    uint64_t superpages, shared_fills,
        early_fills;                   /* of the fills, and of those made ahead of a fault */
    uint64_t space_hits, space_misses; /* changes of satp: the space was kept, or is new */
    uint64_t kept, forgotten;          /* shadow entries that fences looked at */
    uint64_t set_aside, taken_up;      /* shadow tables that fences put aside, and faults in them */
    uint64_t full_drops, frame_drops;
    uint64_t patched_pages, patched_sites, dropped_patches;
    uint64_t patched_loads;             /* of patched pages, carried out on the original */
    uint64_t inline_sites, trampolines; /* made: of patched_sites (engine/trap/inline.h) */
    uint64_t inline_lost;               /* given up, because the guest uses the same addresses */
    uint64_t ahead_runs, ahead_instructions;    /* running ahead (engine/trap/ahead.h) */
    uint64_t traces, hints;                     /* built, and changed, for that */
    uint64_t learned_before;                    /* see stats_learned(); of what was forgotten */
    uint64_t pool_pages, pool_peak, pool_limit; /* of 4 KiB */
    uint64_t fixed_bytes;                       /* of the VMM's own memory that is not the pool */
};

/* The exit that cost most. */
struct stats_longest {
    uint64_t instructions, ticks; /* both 0: no exit yet */
    uint64_t pc;                  /* the guest's, where it stopped */
    uint32_t detail;
    uint8_t class, mode;
};

struct stats {
    struct stats_memory memory;
    struct stats_longest longest;
    uint64_t begin_time; /* of the bracket: boot, or the last reset */
    uint64_t begin_instret;
    uint64_t begin_holds; /* of the disk (host/hold.h) */
    uint32_t tick_ns; /* 0 if instret counts instructions; else ns of a tick, for the histograms */
    uint64_t
        guest_instructions; /* retired outside the VMM's handlers (includes M-mode's redirects) */
    struct stats_row *lately[STATS_LATELY]; /* where find_row() found them */
    struct stats_row rows[STATS_ROWS];
};

/* Says once, before anything is counted, what the costs will be: whether instret counts instructions
 * (host->counts_instructions). If it does not, the reports have null for them, and the histograms are of ns. */
void stats_start(struct stats *stats, const struct host *host);

/* One exit handled: costs in retired instructions and time ticks. */
void stats_exit(struct stats *stats, unsigned exit_class, unsigned mode, uint32_t detail,
                uint64_t instructions, uint64_t ticks);

/* An exit that has not ended has taken so long so far: to be added to what stats_exit() will be told. */
void stats_spent(struct stats *stats, unsigned exit_class, unsigned mode, uint32_t detail,
                 uint64_t ticks);

/* The hart has slept so long, whatever the exit was for: the statistics say so while it lasts, under EXIT_WFI. */
void stats_waited(struct stats *stats, unsigned mode, uint64_t ticks);

/* Whether an exit of so many instructions is the longest so far, and worth stats_note_longest(). */
static inline bool stats_is_longest(const struct stats *stats, uint64_t instructions)
{
    return instructions > stats->longest.instructions;
}

/* Remembers the exit as the longest so far. While the guest waits, in WFI or paused, each time that the hart
 * wakes counts as an exit of its own here: what woke it is served, and it waits again. */
void stats_note_longest(struct stats *stats, const struct stats_longest *exit);

/* How often, since the machine was started, the VMM learned something about the guest that makes later exits
 * cheaper, or gave it up: shadow entries, patched sites, trampolines, hints. stats_reset() does not change it: two
 * stretches with the same number at both ends can be compared. Traces are not in it: few fit, and what the guest
 * does in between takes their place; of them both stretches must have built as many. */
uint64_t stats_learned(const struct stats_memory *memory);

/* Forgets everything counted so far, of the devices too. */
void stats_reset(struct vm *vm);

/* --- The report (stats_report.c): one line in the control channel ----------------------------------- */

#define STATS_DEVICES 4u

struct stats_cost {
    uint64_t instructions, ticks;
};

/* Of what was counted when it began. */
struct stats_report {
    bool active;   /* the line has begun and has not ended */
    bool listed;   /* an exit has been written */
    unsigned next; /* piece: a row of the table, then what follows them */
    uint64_t ticks, holds;
    struct stats_cost vmm, idle; /* of the rows written so far */
    struct device_count device[STATS_DEVICES];
    struct stats stats;
};

/* Begins the line {head,"statistics":{...}} (docs/statistics.schema.json). None may have begun before. */
void stats_report_begin(struct vm *vm, const char *head);

/* Writes the next piece, less than 4 KiB. False: that was the last, or there is none. */
bool stats_report_step(struct vm *vm);

/* Writes all that is left. */
void stats_report_finish(struct vm *vm);

/* Ends a report that has begun, and writes the line {"event":event,"status":status,"statistics":{...}}. All at
 * once: for the end of a VM. */
void stats_send(struct vm *vm, const char *event, int status);

/* What SHADOW= calls enum shadow_switch, by bit; ends with a null. */
extern const char *const stats_switch_names[];

/* The class as the statistics call it, and a row's detail in words: "sstatus", "TIME.set_timer",
 * "uart LSR". A load and a store of one register are told apart, and what no name is known for has its offset:
 * "disk PxCI store", "disk+0x1f8 load". Text is always terminated. */
const char *stats_class_name(unsigned exit_class);
void stats_detail_name(const struct vm *vm, unsigned exit_class, uint32_t detail, char *text,
                       size_t size);
