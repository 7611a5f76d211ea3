/*
 * The statistics' table is filled with as many kinds of exit as it has rows, and then the VMM is
 * asked again and again to send it (SBI 0x09000001, function 1, docs/measuring.md). Natively the
 * firmware does not know the call.
 */
#include "flood.h"

#define EID_TRIDENT   0x09000001ul
#define NOT_SUPPORTED -2
#define KINDS         1500u /* of loads of the PLIC: one for each of so many registers */

int main(void)
{
    for (unsigned i = 0; i < KINDS; i++)
        bare_try(bare_load, BARE_PLIC + 4 * i, 4);
    for (unsigned round = 0; flood_goes_on(round, 5); round++) {
        int64_t error = bare_sbi(EID_TRIDENT, 1, 100 + round, 0, 0, 0).error;
        CHECK(error == 0 || error == NOT_SUPPORTED, "the call ends with %ld", error);
    }
    return bare_failures != 0;
}
