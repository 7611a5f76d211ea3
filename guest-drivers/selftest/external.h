/*
 * The PLIC in the checks' hands, and a device that raises its line when asked, whatever the board's
 * devices are.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* Registers of the PLIC (sifive,plic-1.0.0), of the context that is this hart's S-mode. */
#define PLIC_PRIORITY(source) (4 * (source))
#define PLIC_PENDING(source)  (0x1000 + 4 * ((source) / 32)) /* bit source % 32 */
#define PLIC_ENABLE(source)   (0x2000 + 0x80 * board.plic_context + 4 * ((source) / 32))
#define PLIC_THRESHOLD        (0x200000 + 0x1000 * board.plic_context)
#define PLIC_CLAIM            (PLIC_THRESHOLD + 4) /* read: claim, write: complete */

volatile uint32_t *external_plic(uint64_t offset);

/* Puts the kernel's PLIC settings away: everything disabled, priorities 0, threshold 0. The second
 * brings them back. Between the two, no device is served. */
void external_take(void);
void external_give_back(void);

/* Between the two: makes a device raise its line (which source: external_source()), and waits until
 * the PLIC has it pending. The source is enabled with priority 1. False: it did not come. */
bool external_raise(void);
unsigned external_source(void);
/* The line is down and nothing of it is pending or claimed. False: that took too long. */
bool external_lower(void);
