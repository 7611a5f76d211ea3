/* Which registers the code behind a pc overwrites before it reads them. Pure: no state. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* Where a dead register may be seen to hold another value: offsets of instructions in the page. */
struct liveness_range {
    uint16_t first, last;
};

/* Whether reg is dead at offset of a code page: on every way on, which must stay in the page and
 * within some dozen instructions, it is written before it is read. *range: the instructions looked
 * at. */
bool liveness_is_dead(const uint8_t *page, unsigned offset, unsigned reg,
                      struct liveness_range *range);
