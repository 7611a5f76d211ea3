/*
 * Driver of the machine's 16550A (National Semiconductor PC16550D, section 8).
 *
 * The surprise: the transmitter-empty interrupt is asked for only while the UART has no room, and
 * the receive interrupt is masked while the owner leaves input lying; both would interrupt for
 * ever. The other: firmware that talks unasked is given the divisor to talk to (data_close).
 */
#include "host/console.h"

#include <errno.h>

#include "host/io.h"
#include "host/machine.h"
#include "host/map.h"
#include "host/opensbi.h"

#define UART_RBR 0 /* load: next input byte */
#define UART_THR 0 /* store: next output byte */
#define UART_IER 1 /* which events interrupt */
#define UART_IIR 2 /* load: why it interrupts */
#define UART_FCR 2 /* store: FIFO control */
#define UART_LCR 3 /* line format */
#define UART_MCR 4 /* modem lines */
#define UART_LSR 5 /* line status */

#define IER_RX 0x01u /* input is waiting */
#define IER_TX 0x02u /* the output FIFO is empty */

/* Use the FIFOs and keep what is in them; interrupt from the first byte. */
#define FCR_ENABLE 0x01u
#define LCR_8N1    0x03u
/* UART_RBR and UART_THR are the divisor's low byte, UART_IER its high byte. */
#define LCR_DLAB  0x80u
#define MCR_READY 0x0bu /* DTR, RTS, OUT2 (lets the interrupt out, on a PC) */

#define LSR_DATA  0x01u /* RBR holds a byte */
#define LSR_EMPTY 0x20u /* the output FIFO is empty: all of it may be filled */
#define LSR_IDLE  0x40u /* and the last byte has left */

#define UART_FIFO 16u

static struct console *console_of(struct host_console *front)
{
    return (struct console *)((char *)front - offsetof(struct console, front));
}

static uint8_t load(const struct console *console, unsigned offset)
{
    return io_read8(console->registers + offset);
}

/*
 * OpenSBI from 1.6 on writes a sentence to the UART, in the middle of the guest's lines, whenever
 * an sret, wfi or sfence.vma traps that is not S-mode's, and each of a guest's kernel begins so.
 * Between its own uses of UART_RBR, UART_THR and UART_IER the driver therefore turns them into the
 * divisor's registers, where the sentence ends; the divisor is put right again before. LSR, by
 * which the firmware waits, stays.
 */
static struct console *muted;

static void data_open(const struct console *console)
{
    if (console == muted) {
        io_write8(console->registers + UART_THR, console->divisor);
        io_write8(console->registers + UART_LCR, LCR_8N1);
    }
}

static void data_close(const struct console *console)
{
    if (console == muted)
        io_write8(console->registers + UART_LCR, LCR_8N1 | LCR_DLAB);
}

static void mute(struct console *console)
{
    io_write8(console->registers + UART_LCR, LCR_8N1 | LCR_DLAB);
    console->divisor = load(console, UART_RBR);
    muted = console;
}

void host_console_lend(bool lent)
{
    if (!muted)
        return;
    data_close(muted); /* a panic may come while it is open */
    if (lent)
        data_open(muted);
}

static void set_enabled(struct console *console, uint8_t enabled)
{
    if (enabled != console->enabled) {
        console->enabled = enabled;
        data_open(console);
        io_write8(console->registers + UART_IER, enabled);
        data_close(console);
    }
}

/* Fills the UART from the ring as long as it has room; else leaves the rest to its interrupt. */
static void drain(struct console *console)
{
    while (console->tail != console->head && (load(console, UART_LSR) & LSR_EMPTY)) {
        data_open(console);
        for (unsigned i = 0; i < UART_FIFO && console->tail != console->head; i++)
            io_write8(console->registers + UART_THR, console->ring[console->tail++ % CONSOLE_RING]);
        data_close(console);
    }
    set_enabled(console, console->tail == console->head ? console->enabled & ~IER_TX
                                                        : console->enabled | IER_TX);
}

static size_t console_write(struct host_console *front, const uint8_t *bytes, size_t len)
{
    struct console *console = console_of(front);
    size_t taken = 0;
    do {
        while (taken < len && console->head - console->tail < CONSOLE_RING)
            console->ring[console->head++ % CONSOLE_RING] = bytes[taken++];
        drain(console);
    } while (taken < len && console->head - console->tail < CONSOLE_RING);
    console->starved = taken < len;
    return taken;
}

static size_t console_read(struct host_console *front, uint8_t *bytes, size_t len)
{
    struct console *console = console_of(front);
    size_t taken = 0;
    data_open(console);
    while (taken < len && (load(console, UART_LSR) & LSR_DATA))
        bytes[taken++] = load(console, UART_RBR);
    data_close(console);
    if (len > 0)
        set_enabled(console, console->enabled | IER_RX);
    return taken;
}

static void serve(struct console *console)
{
    const struct host_end *end = &console->front.end;
    if (end->owner)
        end->calls->notify(end->owner);
}

/* Output goes on: the ring's, and that of an owner who found it full. */
static void resume(struct console *console)
{
    drain(console);
    if (console->starved && console->head - console->tail <= CONSOLE_RING / 2) {
        console->starved = false;
        serve(console);
    }
}

static bool interrupt(void *argument, unsigned irq)
{
    struct console *console = argument;
    (void)irq;
    load(console, UART_IIR);
    resume(console);
    if (load(console, UART_LSR) & LSR_DATA) {
        serve(console);
        if (load(console, UART_LSR) & LSR_DATA)
            set_enabled(console, console->enabled & ~IER_RX);
    }
    return true;
}

int host_console_start(struct host *host, unsigned ablate)
{
    struct console *console = &host->console;
    *console = (struct console){
        .front = {.end = {.ablate = ablate}, .write = console_write, .read = console_read},
        .registers = (uintptr_t)map_hpa(host->uart.hpa),
    };
    io_write8(console->registers + UART_IER, 0);
    io_write8(console->registers + UART_LCR, LCR_8N1);
    io_write8(console->registers + UART_FCR, FCR_ENABLE);
    io_write8(console->registers + UART_MCR, MCR_READY);
    if (opensbi_talks())
        mute(console);
    set_enabled(console, IER_RX);
    return host_irq_enable(host, host->uart.irq, interrupt, console);
}

size_t host_console_room(struct host *host)
{
    struct console *console = &host->console;
    resume(console);
    return console->starved ? 0 : CONSOLE_RING - (console->head - console->tail);
}

void host_console_flush(struct host *host)
{
    struct console *console = &host->console;
    uint64_t start = io_time();
    if (console->registers == 0)
        return;
    do {
        drain(console);
    } while ((console->tail != console->head || !(load(console, UART_LSR) & LSR_IDLE)) &&
             io_time() - start < host->timebase);
}
