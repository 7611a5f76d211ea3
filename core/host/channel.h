/*
 * The control channel: lines of text both ways over a virtio-console of its own, so that the
 * guest's console carries the guest alone. Without such a device everything is dropped silently.
 * What the lines mean: observe/control.h.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/virtio.h"

#define CHANNEL_INPUTS      8u /* buffers given to the device */
#define CHANNEL_INPUT_SIZE  128u
#define CHANNEL_OUTPUTS     16u /* buffers under way to it */
#define CHANNEL_OUTPUT_SIZE 4096u
#define CHANNEL_LINE        128u /* longest line in; the rest is cut off */

struct host;

/* Who takes the lines that come in. */
struct channel_listener {
    /* May the next line be taken now? Asked before each byte. False: channel_poll()
     * will be called. */
    bool (*ready)(void *argument);
    /* A line, without its newline. */
    void (*line)(void *argument, const char *line, size_t len);
    /* The exit has cost enough: channel_poll() is to be called soon. */
    void (*later)(void *argument);
    void *argument;
};

struct channel {
    uintptr_t registers; /* in the direct map; 0: absent */
    struct channel_listener listener;
    struct virtio_queue receive, transmit;
    char input[CHANNEL_INPUTS][CHANNEL_INPUT_SIZE];
    char output[CHANNEL_OUTPUTS][CHANNEL_OUTPUT_SIZE];
    uint32_t busy;        /* bit i: the device has output[i] */
    int filling;          /* the output buffer being filled, -1: none */
    uint32_t filled;      /* bytes in it */
    bool dropping;        /* nobody reads: the rest of this line is lost */
    uint64_t stuck_since; /* a line has waited for the reader since then; 0: it does not */
    uint32_t taking;      /* input buffer whose bytes are being taken, */
    uint32_t taken;       /* how many of them are, */
    uint32_t taking_len;  /* and how many there are */
    char line[CHANNEL_LINE];
    uint32_t line_len;
};

/* Sets the channel up if the machine has one. 0 also if it has none; a negative errno with a
 * sentence logged if the device is there and does not work. */
int channel_start(struct host *host, const struct channel_listener *listener);

/* Queues bytes; a newline sends them. Blocks a bounded time when the reader is slow, then drops the
 * rest of the line. */
void channel_write(struct host *host, const char *bytes, size_t len);

/* Formats and queues; cut at 512 bytes. */
__attribute__((format(printf, 2, 3))) void channel_printf(struct host *host, const char *format,
                                                          ...);

/* Whether less than a buffer can be written without waiting for the reader, and one answer besides.
 * A reader that has not read for a second loses the rest of the line: then it is true as well. */
bool channel_has_room(struct host *host);

/* Sends what is queued and waits, a bounded time, until the device has taken it. */
void channel_flush(struct host *host);

/* Takes what has come in, without waiting for the interrupt that announces it. */
void channel_poll(struct host *host);
