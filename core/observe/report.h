/*
 * The report: the statistics as one line of JSON in the control channel
 * (docs/statistics.schema.json), written piece by piece. And what the statistics call things.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vm/stats.h"
#include "vm/vm.h"

struct report_cost {
    uint64_t instructions, ticks;
};

/* Of what was counted when it began. */
struct report {
    bool active;   /* the line has begun and has not ended */
    bool listed;   /* an exit has been written */
    unsigned next; /* piece: a row of the table, then what follows them */
    uint64_t ticks, holds;
    struct report_cost vmm, idle; /* of the rows written so far */
    struct device_count device[STATS_DEVICES];
    struct stats stats;
    struct vm *vm;
};

/* Begins the line {head,"statistics":{...}}. None may have begun before. */
void report_begin(struct report *report, const char *head);

/* Writes the next piece, less than 4 KiB. False: that was the last, or there is none. */
bool report_step(struct report *report);

/* Writes all that is left. */
void report_finish(struct report *report);

/* Ends a report that has begun, and writes the line
 * {"event":event,"status":status,"statistics":{...}}. All at once: for the end of a VM. */
void report_send(struct report *report, const char *event, int status);

/* --- Names (names.c) --- */

/* The class as the statistics call it, and a row's detail in words: "sstatus", "TIME.set_timer",
 * "uart LSR". A load and a store of one register are told apart, and what no name is known for has
 * its offset: "uart+0x1f8 load". Text is always terminated. */
const char *names_class(struct exit exit);
void names_detail(const struct vm *vm, struct exit exit, char *text, size_t size);
