/*
 * The machine's 16550A UART as a struct host_console: output through a ring, input on demand, both
 * by interrupt.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "host/ends.h"

#define CONSOLE_RING 4096u /* bytes of output that may wait; a power of two */

struct host;

struct console {
    struct host_console front;
    uintptr_t registers; /* in the direct map; 0: not started */
    uint8_t enabled;     /* what IER holds */
    uint8_t divisor;     /* its low byte, where the firmware may have changed it */
    bool starved;        /* the owner's last write was short: serve it when there is room again */
    uint32_t head, tail; /* bytes put in and taken out so far */
    uint8_t ring[CONSOLE_RING];
};

/* Sets the UART up, takes its interrupt. The end has no owner yet. ablate: enum ablation. 0 or a
 * negative errno. */
int host_console_start(struct host *host, unsigned ablate);

/* Waits until the UART has taken what was written, a bounded time. For power-off and panic. */
void host_console_flush(struct host *host);

/* The firmware is asked to write to the UART (true) or has done so (false): what it writes at other
 * times may be kept from it, see console.c. */
void host_console_lend(bool lent);

/* How many bytes end.write would take now without keeping the owner waiting: 0 while the owner's
 * own output waits for room. When there is less than was hoped for, the UART's interrupt tells of
 * more. */
size_t host_console_room(struct host *host);
