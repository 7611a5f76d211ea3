/* Whether code overlaps: whether an instruction in the middle of which another begins is executed
 * too. Pure: no state. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* An instruction at offset of a code page (even, at most PAGE_SIZE - 4; the page is aligned) is
 * about to get another first half. Whether a 32-bit instruction that begins two bytes before is
 * executed, whose second half this is, as far as the code tells: what leads there without a jump,
 * or a direct jump or branch in the page. before: the page in front of it, or null if it is not
 * known; an instruction begins at the start of the page then. */
bool overlap_is_reached(const uint8_t *page, const uint8_t *before, unsigned offset);
