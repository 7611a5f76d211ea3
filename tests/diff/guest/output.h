/* Text to the firmware's console, and the end of the run: SBI DBCN and SRST, no device. */
#pragma once
#include <stdint.h>

void put_text(const char *text);
void put_number(uint64_t value); /* a space, then hexadecimal */
void put_end(void);              /* ends the line, and sends what there is */
_Noreturn void power_off(void);
