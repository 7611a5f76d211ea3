/*
 * A 16550A UART on a host console.
 *
 * National Semiconductor PC16550D data sheet, sections 8 (registers) and 8.6 (FIFO mode); registers
 * are one byte apart and answer to any width, as QEMU's ns16550a on the virt board does.
 *
 * The surprise: there is no clock. A byte leaves as soon as the host takes it, and the receive FIFO
 * is kept as full as the host's input allows. So "fewer bytes than the trigger level" always means
 * that nothing more is coming, which is what the character timeout indication tells the driver.
 *
 * A byte may stay in the FIFO while the VMM carries out the guest's next instructions, which often
 * store the next one: up to a full FIFO goes to the host at once. Nobody sees it there: any other
 * access comes after.
 */
#include "devices/emulated/emulated.h"

#include <string.h>

#include "core/host/ends.h"

enum uart_register {
    UART_DATA = 0, /* RBR (load), THR (store); DLAB: divisor, low byte */
    UART_IER = 1,  /* interrupt enable; DLAB: divisor, high byte */
    UART_IIR = 2,  /* load: interrupt identification */
    UART_FCR = 2,  /* store: FIFO control */
    UART_LCR = 3,
    UART_MCR = 4,
    UART_LSR = 5,
    UART_MSR = 6,
    UART_SCR = 7,
    UART_REGISTERS = 8,
};

#define IER_RDI  0x01u /* received data, and character timeout */
#define IER_THRI 0x02u /* transmitter holding register empty */
#define IER_RLSI 0x04u /* receiver line status */
#define IER_MSI  0x08u /* modem status */
#define IER_MASK 0x0fu

#define IIR_NONE 0x01u /* no interrupt pending */
#define IIR_RLS  0x06u /* in order of priority */
#define IIR_RDA  0x04u
#define IIR_CTI  0x0cu
#define IIR_THRE 0x02u
#define IIR_MSR  0x00u
#define IIR_FIFO 0xc0u /* FIFOs enabled */

#define FCR_ENABLE   0x01u
#define FCR_CLEAR_RX 0x02u /* the two clear bits do not stick */
#define FCR_CLEAR_TX 0x04u
#define FCR_STICKY   0xc9u /* trigger level, DMA mode, enable */

#define LCR_DLAB 0x80u /* offsets 0 and 1 are the divisor latch */

#define MCR_DTR  0x01u
#define MCR_RTS  0x02u
#define MCR_OUT1 0x04u
#define MCR_OUT2 0x08u
#define MCR_LOOP 0x10u
#define MCR_MASK 0x1fu

#define LSR_DR   0x01u /* data ready */
#define LSR_OE   0x02u /* overrun: a received byte was lost */
#define LSR_THRE 0x20u /* room for a whole transmit FIFO */
#define LSR_TEMT 0x40u /* nothing left to send */

#define MSR_CTS       0x10u
#define MSR_DSR       0x20u
#define MSR_RI        0x40u
#define MSR_DCD       0x80u
#define MSR_LINES     0xf0u
#define MSR_TERI      0x04u /* RI went from 1 to 0; the other deltas are the lines, 4 bits down */
#define MSR_DELTA     0x0fu
#define MSR_CONNECTED (MSR_CTS | MSR_DSR | MSR_DCD) /* the far end is always there */

#define UART_FIFO          16u
#define UART_DIVISOR_RESET 12u /* 9600 baud, as QEMU's */

struct uart_fifo {
    uint8_t bytes[UART_FIFO];
    uint8_t first, count;
};

struct uart {
    struct uart_fifo rx, tx;
    uint16_t divisor;
    uint8_t ier, fcr, lcr, mcr, msr, scr;
    bool overrun;      /* LSR.OE */
    bool news;         /* something of what may interrupt came or went: see update_irq() */
    bool thre_pending; /* interrupt "holding register empty", until IIR is read or THR written */
};

/* --- FIFOs --- */

/* With the FIFOs off, both are one byte deep: RBR and THR. */
static unsigned fifo_depth(const struct uart *uart)
{
    return uart->fcr & FCR_ENABLE ? UART_FIFO : 1;
}

static void fifo_put(struct uart_fifo *fifo, uint8_t byte)
{
    fifo->bytes[(fifo->first + fifo->count++) % UART_FIFO] = byte;
}

static uint8_t fifo_take(struct uart_fifo *fifo)
{
    uint8_t byte = fifo->bytes[fifo->first];
    fifo->first = (fifo->first + 1) % UART_FIFO;
    fifo->count--;
    return byte;
}

static void fifo_clear(struct uart_fifo *fifo)
{
    fifo->first = fifo->count = 0;
}

static unsigned trigger_level(const struct uart *uart)
{
    static const uint8_t levels[] = {1, 4, 8, 14};
    return uart->fcr & FCR_ENABLE ? levels[uart->fcr >> 6] : 1;
}

/* --- Interrupts --- */

static uint8_t pending_interrupt(const struct uart *uart)
{
    if ((uart->ier & IER_RLSI) && uart->overrun)
        return IIR_RLS;
    if ((uart->ier & IER_RDI) && uart->rx.count >= trigger_level(uart))
        return IIR_RDA;
    if ((uart->ier & IER_RDI) && uart->rx.count)
        return IIR_CTI;
    if ((uart->ier & IER_THRI) && uart->thre_pending)
        return IIR_THRE;
    if ((uart->ier & IER_MSI) && (uart->msr & MSR_DELTA))
        return IIR_MSR;
    return IIR_NONE;
}

/* Asserts the line again, though it may be high, at news alone, which are where QEMU's device does:
 * a driver that reads one byte at each interrupt is told of the next one, and one that reads only
 * LSR is left alone. */
static void update_irq(struct device *dev)
{
    struct uart *uart = dev->state;
    bool level = pending_interrupt(uart) != IIR_NONE;
    if (uart->news || level != dev->line)
        device_set_irq(dev, level);
    uart->news = false;
}

/* --- Bytes in and out --- */

static void transmit(struct device *dev)
{
    struct uart *uart = dev->state;
    struct host_console *console = dev->host;
    bool was_waiting = uart->tx.count > 0;
    while (uart->tx.count) {
        unsigned run = UART_FIFO - uart->tx.first; /* up to where the ring wraps */
        size_t len = uart->tx.count < run ? uart->tx.count : run;
        size_t taken = console->write(console, uart->tx.bytes + uart->tx.first, len);
        uart->tx.first = (uart->tx.first + taken) % UART_FIFO;
        uart->tx.count -= taken;
        dev->count.bytes += taken;
        dev->count.requests += taken > 0;
        uart->news |= taken > 0;
        if (taken < len)
            return; /* the host is full and serves us when it has room again */
    }
    uart->tx.first = 0; /* the next ones lie in one piece */
    if (was_waiting)
        uart->thre_pending = true;
}

/* Takes no more from the host than the FIFO holds: the rest waits there, and is not lost. */
static void receive(struct device *dev)
{
    struct uart *uart = dev->state;
    struct host_console *console = dev->host;
    if ((uart->mcr & MCR_LOOP) || uart->rx.count >= fifo_depth(uart))
        return;
    uint8_t bytes[UART_FIFO];
    size_t taken = console->read(console, bytes, fifo_depth(uart) - uart->rx.count);
    for (size_t i = 0; i < taken; i++)
        fifo_put(&uart->rx, bytes[i]);
    dev->count.bytes += taken;
    dev->count.requests += taken > 0;
    uart->news |= taken > 0;
}

static void loop_back(struct uart *uart, uint8_t byte)
{
    if (uart->rx.count < fifo_depth(uart)) {
        fifo_put(&uart->rx, byte);
    } else {
        uart->overrun = true;
        if (!(uart->fcr & FCR_ENABLE))
            uart->rx.bytes[uart->rx.first] = byte; /* RBR is overwritten, a FIFO is not */
    }
    uart->thre_pending = true;
}

/* more: others may follow at once. False: what it means is put off for them. */
static bool store_data(struct device *dev, uint8_t byte, bool more)
{
    struct uart *uart = dev->state;
    dev->count.notifications++;
    uart->thre_pending = false;
    uart->news = true;
    if (uart->mcr & MCR_LOOP) {
        loop_back(uart, byte);
        return true;
    }
    if (uart->tx.count < fifo_depth(uart))
        fifo_put(&uart->tx, byte);
    else if (!(uart->fcr & FCR_ENABLE))
        uart->tx.bytes[uart->tx.first] = byte; /* THR overwritten by a driver that ignores THRE */
    if (uart->tx.count < fifo_depth(uart) && more && !(dev->end->ablate & ABLATE_COALESCE))
        return false;
    transmit(dev);
    return true;
}

static uint8_t load_data(struct device *dev)
{
    struct uart *uart = dev->state;
    uint8_t byte = uart->rx.count ? fifo_take(&uart->rx) : 0;
    uart->news = true;
    receive(dev);
    return byte;
}

/* --- Registers --- */

/* In loopback the four outputs are wired to the four inputs. */
static uint8_t modem_lines(const struct uart *uart)
{
    if (!(uart->mcr & MCR_LOOP))
        return MSR_CONNECTED;
    return (uart->mcr & MCR_RTS ? MSR_CTS : 0) | (uart->mcr & MCR_DTR ? MSR_DSR : 0) |
           (uart->mcr & MCR_OUT1 ? MSR_RI : 0) | (uart->mcr & MCR_OUT2 ? MSR_DCD : 0);
}

static void store_mcr(struct device *dev, uint8_t value)
{
    struct uart *uart = dev->state;
    uart->mcr = value & MCR_MASK;
    uint8_t lines = modem_lines(uart);
    uint8_t changed = (uart->msr ^ lines) & MSR_LINES;
    if (lines & MSR_RI)
        changed &= (uint8_t)~MSR_RI; /* only the trailing edge of RI counts */
    uart->msr = lines | (uart->msr & MSR_DELTA) | changed >> 4;
    uart->news |= changed != 0;
    transmit(dev);
    receive(dev);
}

static void store_ier(struct uart *uart, uint8_t value)
{
    uint8_t changed = uart->ier ^ value;
    uart->ier = value & IER_MASK;
    uart->news |= changed & IER_MASK;
    if (changed & IER_THRI)
        uart->thre_pending = (value & IER_THRI) && !uart->tx.count;
}

static void store_fcr(struct device *dev, uint8_t value)
{
    struct uart *uart = dev->state;
    uart->news |= uart->fcr != value;
    if ((uart->fcr ^ value) & FCR_ENABLE)
        value |= FCR_CLEAR_RX | FCR_CLEAR_TX;
    if (value & FCR_CLEAR_RX)
        fifo_clear(&uart->rx);
    if (value & FCR_CLEAR_TX) {
        fifo_clear(&uart->tx);
        uart->thre_pending = true;
    }
    uart->fcr = value & FCR_ENABLE ? value & FCR_STICKY : 0;
    receive(dev);
}

static uint8_t load_iir(struct uart *uart)
{
    uint8_t pending = pending_interrupt(uart);
    if (pending == IIR_THRE) {
        uart->thre_pending = false;
        uart->news = true;
    }
    return pending | (uart->fcr & FCR_ENABLE ? IIR_FIFO : 0);
}

static uint8_t load_lsr(struct uart *uart)
{
    uint8_t value = (uart->rx.count ? LSR_DR : 0) | (uart->overrun ? LSR_OE : 0) |
                    (uart->tx.count ? 0 : LSR_THRE | LSR_TEMT);
    uart->news |= uart->overrun;
    uart->overrun = false;
    return value;
}

static uint8_t load_msr(struct uart *uart)
{
    uint8_t value = uart->msr;
    uart->news |= (value & MSR_DELTA) != 0;
    uart->msr &= MSR_LINES;
    return value;
}

static uint8_t load(struct device *dev, unsigned reg)
{
    struct uart *uart = dev->state;
    bool dlab = uart->lcr & LCR_DLAB;
    switch (reg) {
    case UART_DATA: return dlab ? uart->divisor & 0xff : load_data(dev);
    case UART_IER: return dlab ? uart->divisor >> 8 : uart->ier;
    case UART_IIR: return load_iir(uart);
    case UART_LCR: return uart->lcr;
    case UART_MCR: return uart->mcr;
    case UART_LSR: return load_lsr(uart);
    case UART_MSR: return load_msr(uart);
    default: return uart->scr;
    }
}

/* False: it was put off, and the interrupt line stays what it is. */
static bool store(struct device *dev, unsigned reg, uint8_t value, bool more)
{
    struct uart *uart = dev->state;
    bool dlab = uart->lcr & LCR_DLAB;
    switch (reg) {
    case UART_DATA:
        if (!dlab)
            return store_data(dev, value, more);
        uart->divisor = (uart->divisor & 0xff00) | value;
        break;
    case UART_IER:
        if (dlab)
            uart->divisor = (uint16_t)((uart->divisor & 0xff) | value << 8);
        else
            store_ier(uart, value);
        break;
    case UART_FCR: store_fcr(dev, value); break;
    case UART_LCR: uart->lcr = value; break;
    case UART_MCR: store_mcr(dev, value); break;
    case UART_SCR: uart->scr = value; break;
    default: /* LSR and MSR are read-only */ break;
    }
    return true;
}

/* --- The strategy --- */

static bool uart_access(struct device *dev, struct mmio *io)
{
    struct uart *uart = dev->state;
    bool data = io->offset == UART_DATA && io->store && !(uart->lcr & LCR_DLAB);
    if (io->offset >= UART_REGISTERS)
        return false;
    if (dev->put_off && !data) { /* no register tells of bytes that the guest has handed over */
        transmit(dev);
        update_irq(dev);
    }
    bool done = true;
    if (io->store)
        done = store(dev, (unsigned)io->offset, (uint8_t)io->value, io->more);
    else
        io->value = load(dev, (unsigned)io->offset);
    if (done)
        update_irq(dev);
    io->put_off = !done;
    return true;
}

static void uart_service(struct device *dev)
{
    transmit(dev);
    receive(dev);
    update_irq(dev);
}

static int uart_attach(struct device *dev)
{
    struct uart *uart = dev->state;
    memset(uart, 0, sizeof(*uart));
    uart->divisor = UART_DIVISOR_RESET;
    uart->mcr = MCR_OUT2;
    uart->msr = MSR_CONNECTED;
    update_irq(dev);
    return 0;
}

/* Without DLAB, which a name does not know: with it offsets 0 and 1 are the divisor latch. */
const struct device_register emulated_uart_registers[] = {
    {UART_DATA, "RBR", "THR", 0, 0}, {UART_IER, "IER", "IER", 0, 0}, {UART_IIR, "IIR", "FCR", 0, 0},
    {UART_LCR, "LCR", "LCR", 0, 0},  {UART_MCR, "MCR", "MCR", 0, 0}, {UART_LSR, "LSR", NULL, 0, 0},
    {UART_MSR, "MSR", NULL, 0, 0},   {UART_SCR, "SCR", "SCR", 0, 0}, {0, NULL, NULL, 0, 0},
};

static const struct device_property uart_properties[] = {
    {"clock-frequency", 3686400},
    {NULL, 0},
};

const struct strategy emulated_uart = {
    .name = "emulated/uart",
    .compatible = "ns16550a",
    .node = "serial",
    .properties = uart_properties,
    .registers = emulated_uart_registers,
    .size = 0x1000,
    .state_size = sizeof(struct uart),
    .attach = uart_attach,
    .access = uart_access,
    .service = uart_service,
};
