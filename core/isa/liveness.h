/* Which registers the code behind a pc overwrites before it reads them. Pure: no state. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* Where a dead register may be seen to hold another value: offsets of instructions in the page. */
struct liveness_range {
    uint16_t first, last;
};

#define LIVENESS_SITE 4u /* bytes of the instruction at a site */

/* Whether reg is dead behind a site, at this offset of a code page: on every way on, which must stay
 * in the page and within some dozen instructions, it is written before it is read, and before the
 * site is reached again. A trap counts as a write where the code has an instruction that always
 * traps (ebreak): whoever gives reg another value gives the old one back before a trap.
 * *range: the instructions looked at. */
bool liveness_is_dead(const uint8_t *page, unsigned site, unsigned reg,
                      struct liveness_range *range);
