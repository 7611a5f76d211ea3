/*
 * What the lines of the control channel (host/channel.h) mean: commands in, replies and reports
 * out.
 *
 * A line in is a command, as a word (stats) or as an object ({"command":"stats"}); each gets one
 * line {"reply":"<command>",...} or {"error":"..."}.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "observe/report.h"

struct control {
    struct vm *vm;
    struct report report;
    uint64_t marked; /* pc of the guest's call whose report has begun; 0: none */
    int label;       /* of that call */
    bool waits;      /* a command may, for the end of a report */
};

/* Sets the channel up, for commands to this VM. 0, or a negative errno with a sentence logged. */
int control_start(struct control *control, struct vm *vm);

/* vm->mark (vm/vm.h). */
bool control_mark(struct vm *vm, int label);

/* Ends a report that has begun, at once, and forgets who asked for it. Before the VM ends. */
void control_finish(struct control *control);
