/*
 * SBI debug console (SBI specification 2.0, chapter 12) and legacy console putchar (5.2).
 * The surprise: DBCN takes a physical address, so text is passed byte by byte instead.
 */
#include "host/log.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include "host/console.h"
#include "host/firmware.h"

#define SBI_LEGACY_PUTCHAR  0x01
#define SBI_DBCN            0x4442434e
#define SBI_DBCN_WRITE_BYTE 2

static void put(char byte)
{
    if (firmware_call(SBI_DBCN, SBI_DBCN_WRITE_BYTE, (unsigned char)byte, 0, 0).error != 0)
        firmware_call(SBI_LEGACY_PUTCHAR, 0, (unsigned char)byte, 0, 0);
}

void host_panic_puts(const char *text)
{
    host_console_lend(true);
    for (; *text; text++) {
        if (*text == '\n')
            put('\r');
        put(*text);
    }
    host_console_lend(false);
}

void host_log(const char *format, ...)
{
    char line[240];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    host_panic_puts("trident: ");
    host_panic_puts(line);
    host_panic_puts("\n");
}
