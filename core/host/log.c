/*
 * SBI debug console (SBI specification 2.0, chapter 12) and legacy console putchar (5.2).
 * The surprise: DBCN takes a physical address, so text is passed byte by byte instead.
 */
#include "host/log.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include "host/console.h"

#define SBI_LEGACY_PUTCHAR  0x01
#define SBI_DBCN            0x4442434e
#define SBI_DBCN_WRITE_BYTE 2
#define SBI_BASE            0x10
#define SBI_BASE_IMPL_ID    1
#define SBI_BASE_IMPL       2 /* its version */
#define OPENSBI             1
#define OPENSBI_TALKS       0x10006 /* major << 16 | minor */

struct sbi_result {
    long error, value;
};

static struct sbi_result sbi_call(unsigned long extension, unsigned long function,
                                  unsigned long argument)
{
    register unsigned long a0 __asm__("a0") = argument;
    register unsigned long a1 __asm__("a1") = 0;
    register unsigned long a6 __asm__("a6") = function;
    register unsigned long a7 __asm__("a7") = extension;

    __asm__ volatile("ecall" : "+r"(a0), "+r"(a1) : "r"(a6), "r"(a7) : "memory");
    return (struct sbi_result){.error = (long)a0, .value = (long)a1};
}

static void put(char byte)
{
    if (sbi_call(SBI_DBCN, SBI_DBCN_WRITE_BYTE, (unsigned char)byte).error != 0)
        sbi_call(SBI_LEGACY_PUTCHAR, 0, (unsigned char)byte);
}

bool host_firmware_talks(void)
{
    return sbi_call(SBI_BASE, SBI_BASE_IMPL_ID, 0).value == OPENSBI &&
           sbi_call(SBI_BASE, SBI_BASE_IMPL, 0).value >= OPENSBI_TALKS;
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
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    host_panic_puts("trident: ");
    host_panic_puts(line);
    host_panic_puts("\n");
}
