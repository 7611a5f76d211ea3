/*
 * The console: two rings of bytes between printf() and whichever driver the device tree named.
 *
 * The surprise: output is handed to the driver at each line's end, so that a driver sees a line and
 * not a byte. Before console_start() and in a panic every line is sent by polling.
 */
#include "kernel.h"

#define OUTPUT_SIZE 4096u /* bytes, a power of two */
#define INPUT_SIZE  1024u /* bytes, a power of two */
#define FULL_MS     5000u /* how long output waits for a device that takes nothing */

#define CTRL_C 3

struct console *console;

static char output[OUTPUT_SIZE], input[INPUT_SIZE];
static volatile uint32_t output_head, output_tail; /* free-running; a byte is put at the head */
static volatile uint32_t input_head, input_tail;
static volatile bool interrupted;
static bool by_interrupt; /* console_start() was called */
static bool dead;         /* the device stopped taking bytes: output is dropped */

size_t console_output_take(char *bytes, size_t max)
{
    size_t count = 0;
    while (count < max && output_tail != output_head)
        bytes[count++] = output[output_tail++ % OUTPUT_SIZE];
    return count;
}

void console_input_put(char byte)
{
    if (byte == CTRL_C)
        interrupted = true;
    else if (input_head - input_tail < INPUT_SIZE)
        input[input_head++ % INPUT_SIZE] = byte;
}

/* Hands what is queued to the driver, without waiting. */
static void push(void)
{
    if (!console) {
        char byte;
        /* Without a driver, only a panic gets here. */
        while (console_output_take(&byte, 1) > 0)
            sbi_call(SBI_EXT_LEGACY_PUTCHAR, 0, (uint64_t)byte, 0, 0);
    } else if (!by_interrupt) {
        char bytes[64];
        size_t len;
        while ((len = console_output_take(bytes, sizeof(bytes))) > 0)
            console->write_polled(console, bytes, len);
    } else {
        bool were_on = interrupts_off();
        console->output_ready(console);
        if (were_on)
            interrupts_on();
    }
}

static bool has_room(void *argument)
{
    (void)argument;
    return output_head - output_tail < OUTPUT_SIZE;
}

static bool has_no_output(void *argument)
{
    (void)argument;
    return output_head == output_tail && console->is_idle(console);
}

static int put(char byte, FILE *file)
{
    (void)file;
    if (output_head - output_tail == OUTPUT_SIZE) {
        push();
        if (by_interrupt && !dead)
            dead = !time_wait(has_room, NULL, time_now() + time_from_ms(FULL_MS));
    }
    if (output_head - output_tail < OUTPUT_SIZE)
        output[output_head++ % OUTPUT_SIZE] = byte;
    if (byte == '\n')
        push();
    return (unsigned char)byte;
}

static FILE file = FDEV_SETUP_STREAM(put, NULL, NULL, _FDEV_SETUP_WRITE);
FILE *const stdout = &file;

void console_use(struct console *driver)
{
    console = driver;
    push();
}

void console_start(void)
{
    push();
    by_interrupt = true;
    plic_route(console->device->irq, console->interrupt, console);
}

void console_polled(void)
{
    by_interrupt = false;
    push();
}

void console_flush(void)
{
    push();
    uint64_t deadline = time_now() + time_from_ms(FULL_MS);
    while (console && by_interrupt && !dead && time_now() < deadline) {
        /* The device gives no interrupt when the last byte has left it: this looks every
         * millisecond. */
        if (time_wait(has_no_output, NULL, time_now() + time_from_ms(1)))
            break;
    }
}

static bool has_input(void *argument)
{
    (void)argument;
    return input_head != input_tail || interrupted;
}

int console_read_byte(void)
{
    push();
    while (!time_wait(has_input, NULL, UINT64_MAX)) {
    }
    if (interrupted) {
        input_tail = input_head;
        return -1;
    }
    return (unsigned char)input[input_tail++ % INPUT_SIZE];
}

bool console_interrupted(void)
{
    return interrupted;
}

void console_interrupt_clear(void)
{
    interrupted = false;
}
