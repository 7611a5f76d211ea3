/*
 * A guest that sends as much as it can for CASE_SECONDS, and ends: what the runner keeps of the
 * output is bounded (tests/system/test_flood.py).
 *
 * CASE 1: marks, each with the statistics of many different calls.
 * CASE 2: console output without a newline.
 * CASE 3: lines of console output that begin like the runner's own words.
 * CASE 4: nothing, to compare with.
 */
#include "bare.h"

#define EID_TRIDENT  0x09000001ul
#define EID_DBCN     0x4442434eul
#define CASE_SECONDS 8
#define ROWS         2000u

#ifndef CASE
#define CASE 4
#endif

static char text[1024];

static void send(void)
{
    if (CASE == 1)
        bare_sbi(EID_TRIDENT, 1, 0, 0, 0, 0);
    else
        bare_sbi(EID_DBCN, 0, sizeof(text), (uint64_t)text, 0, 0);
}

int main(void)
{
    uint64_t begin = bare_time();
    for (unsigned i = 0; CASE == 1 && i < ROWS; i++)
        bare_sbi(0x0a000000ul + i, 0, 0, 0, 0, 0);
    memset(text, 'x', sizeof(text));
    for (unsigned i = 0; CASE == 3 && i < sizeof(text); i += 32)
        memcpy(&text[i], "\ntrident-run: 'x' ended with st ", 32);
    while (CASE != 4 && bare_time() - begin < CASE_SECONDS * 10000000ul)
        send();
    printf("\nflood: done\n");
    return 0;
}
