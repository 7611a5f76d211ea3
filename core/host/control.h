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
    uint32_t busy;   /* bit i: the device has output[i] */
    int filling;     /* the output buffer being filled, -1: none */
    uint32_t filled; /* bytes in it */
    bool dropping;   /* nobody reads: the rest of this line is lost */
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

/* Takes what has come in, without waiting for the interrupt that announces it. */
void control_poll(struct host *host);

/* Carries out one line of commands for the VM; length without the newline. Also called by tests. */
void control_command(struct host *host, const char *line, size_t len);
