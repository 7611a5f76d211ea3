/*
 * The VMM's own voice: polled output by the firmware (SBI DBCN, else legacy putchar), because the
 * UART may belong to the guest. For set-up failures and panics, never for normal operation.
 */
#pragma once

/* Writes text as it is. Works at any time, paging or not, interrupts or not. */
void host_panic_puts(const char *text);

/* Writes "trident: ", the formatted sentence (cut at 240 bytes) and a newline. */
__attribute__((format(printf, 1, 2))) void host_log(const char *format, ...);
