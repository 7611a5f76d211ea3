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

/* The first puts the kernel's PLIC settings away: every source is disabled, all priorities are
 * 0, the threshold is 0. The second brings the settings back. Between the two, no device is
 * served. */
void external_take(void);
void external_give_back(void);

/* To be called between the two: makes a device raise its line, enables the line's source
 * (external_source()) with priority 1, and waits until the source is pending in the PLIC. False: it
 * did not become pending. */
bool external_raise(void);
unsigned external_source(void);
/* Waits until the line is down and its source is neither pending nor claimed. False: that took too
 * long. */
bool external_lower(void);
