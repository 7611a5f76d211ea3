/*
 * The machine's own 16550A UART, given to the guest (National Semiconductor PC16550D, section 8).
 *
 * The surprise: a device keeps its state over a reset of the guest, so attach puts the registers
 * back to what the firmware leaves, or an interrupt would be enabled before there is a driver.
 */
#include "core/host/ends.h"
#include "core/host/io.h"
#include "devices/emulated/emulated.h"
#include "devices/passthrough/passthrough.h"

#define UART_IER 1 /* interrupt enable */
#define UART_FCR 2 /* FIFO control */
#define UART_LCR 3 /* line format; bit 7 swaps offsets 0 and 1 for the divisor */
#define UART_MCR 4 /* modem lines */

#define LCR_8N1 0x03u

#define UART_CLOCK 3686400u /* Hz, as QEMU's board says */

static int attach(struct device *dev)
{
    int error = passthrough_assign(dev);
    if (error < 0)
        return error;
    uintptr_t registers = ((const struct host_window *)dev->host)->registers;
    io_write8(registers + UART_LCR, LCR_8N1);
    io_write8(registers + UART_IER, 0);
    io_write8(registers + UART_MCR, 0);
    io_write8(registers + UART_FCR, 1); /* on with the FIFOs: waiting input is kept */
    return 0;
}

static const struct device_property properties[] = {
    {"clock-frequency", UART_CLOCK},
    {NULL, 0},
};

const struct strategy passthrough_uart = {
    .name = "passthrough/uart",
    .compatible = "ns16550a",
    .node = "serial",
    .properties = properties,
    .registers = emulated_uart_registers,
    .size = 4096,
    .attach = attach,
};
