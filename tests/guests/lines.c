/*
 * Writes more to the console than a terminal that does not read takes: numbered lines by DBCN,
 * whose calls may write less than asked, and by the legacy call. The bytes that a call has
 * said are written must arrive, once and in order.
 */
#include "bare.h"

#define LEGACY_PUTCHAR 0x01ul
#define EID_DBCN       0x4442434eul

#define LINE      31u
#define LINES     4000u /* by DBCN, all in one buffer */
#define LINES_ALL 4200u

static char text[LINES * LINE + 1];

static void write_all(void)
{
    for (uint64_t at = 0; at < LINES * LINE;) {
        struct bare_sbi wrote = bare_sbi(EID_DBCN, 0, LINES * LINE - at, (uint64_t)&text[at], 0, 0);
        CHECK(wrote.error == 0 && wrote.value > 0 && wrote.value <= LINES * LINE - at,
              "DBCN write: error %ld, %lu bytes", wrote.error, wrote.value);
        at += wrote.value;
    }
}

int main(void)
{
    for (unsigned i = 0; i < LINES; i++)
        snprintf(&text[i * LINE], LINE + 1, "line %05u by one DBCN write..\n", i);
    write_all();
    for (unsigned i = LINES; i < LINES_ALL; i++) {
        char one[LINE + 1];
        snprintf(one, sizeof(one), "line %05u by legacy putchars.\n", i);
        for (unsigned j = 0; j < LINE - 1; j++)
            bare_sbi(LEGACY_PUTCHAR, 0, (uint8_t)one[j], 0, 0, 0);
        bare_sbi(EID_DBCN, 2, (uint8_t)'\n', 0, 0, 0);
    }
    return bare_failures != 0;
}
