/*
 * Driver for a 16550A UART (National Semiconductor PC16550D data sheet): both directions by
 * interrupt, with the FIFOs.
 *
 * The surprise: transmission starts by enabling the "holding register empty" interrupt, which an
 * empty device raises at once; each such interrupt then fills the 16-byte FIFO.
 */
#include "kernel.h"

#define UART_RBR 0u /* read: received byte */
#define UART_THR 0u /* write: byte to send */
#define UART_DLL 0u /* divisor, low, while LCR.DLAB */
#define UART_DLM 1u /* divisor, high, while LCR.DLAB */
#define UART_IER 1u /* interrupt enable */
#define UART_IIR 2u /* read: why it interrupts */
#define UART_FCR 2u /* write: FIFO control */
#define UART_LCR 3u /* line control */
#define UART_MCR 4u /* modem control */
#define UART_LSR 5u /* line status */
#define UART_MSR 6u /* modem status */

#define IER_RECEIVE  0x01u
#define IER_TRANSMIT 0x02u
#define IIR_NONE     0x01u /* no interrupt is pending */
#define IIR_CAUSE    0x0fu
#define IIR_MODEM    0x00u
#define IIR_TRANSMIT 0x02u
#define IIR_RECEIVE  0x04u
#define IIR_LINE     0x06u
#define IIR_TIMEOUT  0x0cu /* bytes below the trigger level have waited */
#define FCR_ENABLE   0x01u
#define FCR_CLEAR    0x06u /* both FIFOs */
#define FCR_TRIGGER8 0x80u
#define LCR_8N1      0x03u
#define LCR_DLAB     0x80u
#define MCR_NORMAL   0x0bu /* DTR, RTS, OUT2: the PC's gate for the interrupt */
#define LSR_READY    0x01u
#define LSR_EMPTY    0x20u /* the transmit FIFO is empty */
#define LSR_IDLE     0x40u /* the shift register is empty, too */

#define FIFO       16u
#define POLL_MS    1000u /* longest wait for room when polling */
#define CAUSES_MAX 256u  /* per interrupt, so that a mad device cannot hold the kernel */

static uint8_t enabled; /* IER, kept here: reading it back is a trap under a VMM */

static volatile uint8_t *reg(struct console *self, unsigned offset)
{
    return (volatile uint8_t *)(self->device->base + offset);
}

static void output_ready(struct console *self)
{
    if (!(enabled & IER_TRANSMIT)) {
        enabled |= IER_TRANSMIT;
        *reg(self, UART_IER) = enabled;
    }
}

static void transmit(struct console *self)
{
    char bytes[FIFO];
    size_t len = console_output_take(bytes, FIFO);
    for (size_t i = 0; i < len; i++)
        *reg(self, UART_THR) = (uint8_t)bytes[i];
    if (len == 0) {
        enabled &= (uint8_t)~IER_TRANSMIT;
        *reg(self, UART_IER) = enabled;
    }
}

static void receive(struct console *self)
{
    for (unsigned i = 0; i < CAUSES_MAX && (*reg(self, UART_LSR) & LSR_READY); i++)
        console_input_put((char)*reg(self, UART_RBR));
}

static void interrupt(void *argument)
{
    struct console *self = argument;
    for (unsigned i = 0; i < CAUSES_MAX; i++) {
        uint8_t cause = *reg(self, UART_IIR);
        if (cause & IIR_NONE)
            return;
        switch (cause & IIR_CAUSE) {
        case IIR_LINE: (void)*reg(self, UART_LSR); break;
        case IIR_RECEIVE:
        case IIR_TIMEOUT: receive(self); break;
        case IIR_TRANSMIT: transmit(self); break;
        default: (void)*reg(self, UART_MSR); break;
        }
    }
}

static void write_polled(struct console *self, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        uint64_t deadline = time_now() + time_from_ms(POLL_MS);
        while (!(*reg(self, UART_LSR) & LSR_EMPTY) && time_now() < deadline) {
        }
        *reg(self, UART_THR) = (uint8_t)bytes[i];
    }
}

static bool is_idle(struct console *self)
{
    return *reg(self, UART_LSR) & LSR_IDLE;
}

static bool restart(struct console *self)
{
    *reg(self, UART_IER) = 0;
    *reg(self, UART_LCR) = LCR_DLAB;
    *reg(self, UART_DLL) = 1; /* 115200 baud from the usual 1.8432 MHz */
    *reg(self, UART_DLM) = 0;
    *reg(self, UART_LCR) = LCR_8N1;
    *reg(self, UART_FCR) = FCR_ENABLE | FCR_CLEAR | FCR_TRIGGER8;
    *reg(self, UART_MCR) = MCR_NORMAL;
    enabled = IER_RECEIVE;
    *reg(self, UART_IER) = enabled;
    return true;
}

/* console_start() routes the UART's interrupt. */
struct console *uart_console(struct board_device *device)
{
    static struct console uart = {
        .name = "16550A UART",
        .output_ready = output_ready,
        .write_polled = write_polled,
        .is_idle = is_idle,
        .restart = restart,
        .interrupt = interrupt,
    };
    uart.device = device;
    restart(&uart);
    return &uart;
}
