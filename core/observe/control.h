/*
 * The control channel: JSON lines both ways over a virtio-console of its own, so that the guest's
 * console carries the guest alone. Without such a device everything is dropped silently.
 *
 * A line in is a command, as a word (stats) or as an object ({"command":"stats"}); each gets one
 * line {"reply":"<command>",...} or {"error":"..."}.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/virtio.h"

#define CONTROL_INPUTS      8u /* buffers given to the device */
#define CONTROL_INPUT_SIZE  128u
#define CONTROL_OUTPUTS     16u /* buffers under way to it */
#define CONTROL_OUTPUT_SIZE 4096u
#define CONTROL_LINE        128u /* longest command line; the rest is cut off */

struct host;

struct control {
    uintptr_t registers; /* in the direct map; 0: absent */
    struct virtio_queue receive, transmit;
    char input[CONTROL_INPUTS][CONTROL_INPUT_SIZE];
    char output[CONTROL_OUTPUTS][CONTROL_OUTPUT_SIZE];
    uint32_t busy;        /* bit i: the device has output[i] */
    int filling;          /* the output buffer being filled, -1: none */
    uint32_t filled;      /* bytes in it */
    bool dropping;        /* nobody reads: the rest of this line is lost */
    uint64_t stuck_since; /* a report has waited for the reader since then; 0: it does not */
    uint64_t marked;      /* pc of the guest's call whose report has begun; 0: none */
    int label;            /* of that call */
    uint32_t taking, taken, taking_len; /* input buffer, bytes of it that are done, bytes in it */
    char line[CONTROL_LINE];
    uint32_t line_len;
};

/* Sets the channel up if the machine has one. 0 also if it has none; a negative errno with a
 * sentence logged if the device is there and does not work. */
int control_start(struct host *host);

/* Queues bytes; a newline sends them. Blocks a bounded time when the reader is slow, then drops the
 * rest of the line. */
void control_write(struct host *host, const char *bytes, size_t len);

/* Formats and queues; cut at 512 bytes. */
__attribute__((format(printf, 2, 3))) void control_printf(struct host *host, const char *format,
                                                          ...);

/* Sends what is queued and waits, a bounded time, until the device has taken it. */
void control_flush(struct host *host);

/* Goes on with the report that has begun, as far as this exit may cost. False: there is more, and board_poll()
 * has it gone on with. */
bool control_go_on(struct host *host);

/* The guest's call for a report with this label, made at the instruction before the vcpu's pc. False: it is to be
 * made again, since the report is not all written. */
bool control_mark(struct host *host, int label);

/* Ends a report that has begun, at once, and forgets who asked for it. Before the VM ends. */
void control_finish(struct host *host);

/* Takes what has come in, without waiting for the interrupt that announces it. */
void control_poll(struct host *host);

/* Carries out one line of commands for the VM; length without the newline. Also called by tests. */
void control_command(struct host *host, const char *line, size_t len);
