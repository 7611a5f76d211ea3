/*
 * `uarttest`: the console device checked through its registers.
 *
 * A 16550A is tested in its own loopback (data sheet 8.6.7), in which no byte leaves the device,
 * with the hart's interrupts off. The surprise: results are kept, and printed when the console is
 * back. Of a virtio console only identity, reset and start-up can be seen from inside.
 */
#include "kernel.h"
#include "programs.h"

#define RESULTS_MAX 64u

struct result {
    const char *name;
    uint64_t seen, expected;
};

static struct result result[RESULTS_MAX];
static unsigned results;

static void check(const char *name, uint64_t seen, uint64_t expected)
{
    if (results < RESULTS_MAX)
        result[results++] = (struct result){name, seen, expected};
}

/* --- 16550A --- */

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR, DLL = 0, DLM = 1, FCR = 2 };

#define MCR_LOOP    0x10u
#define LCR_8N1     0x03u
#define LCR_DLAB    0x80u
#define FCR_ON      0x07u /* enabled, both FIFOs cleared, trigger 1 */
#define LSR_READY   0x01u
#define LSR_OVERRUN 0x02u
#define LSR_SENT    0x60u
#define FIFO        16u
#define LINE_MS     100u /* longer than any byte takes on a real line */

static volatile uint8_t *uart(unsigned offset)
{
    return (volatile uint8_t *)(board.uart.base + offset);
}

/* LSR once all bits of mask are set, or after LINE_MS. */
static uint8_t wait_lsr(uint8_t mask)
{
    uint64_t deadline = time_now() + time_from_ms(LINE_MS);
    while ((*uart(LSR) & mask) != mask && time_now() < deadline) {
    }
    return *uart(LSR);
}

static void test_registers(void)
{
    *uart(SCR) = 0x5a;
    check("uart.scratch.5a", *uart(SCR), 0x5a);
    *uart(SCR) = 0xa5;
    check("uart.scratch.a5", *uart(SCR), 0xa5);
    *uart(LCR) = 0x1b;
    check("uart.lcr.readback", *uart(LCR), 0x1b);
    *uart(LCR) = LCR_8N1 | LCR_DLAB;
    *uart(DLL) = 0x34;
    *uart(DLM) = 0x12;
    check("uart.divisor.low", *uart(DLL), 0x34);
    check("uart.divisor.high", *uart(DLM), 0x12);
    *uart(DLL) = 1;
    *uart(DLM) = 0;
    *uart(LCR) = LCR_8N1;
    *uart(IER) = 0xff;
    check("uart.ier.upper_bits_zero", *uart(IER), 0x0f);
    *uart(IER) = 0;
    check("uart.ier.clear", *uart(IER), 0);
    *uart(FCR) = FCR_ON;
    check("uart.iir.fifos_enabled_none_pending", *uart(IIR), 0xc1);
}

static void test_modem_lines(void)
{
    *uart(MCR) = MCR_LOOP;
    (void)*uart(MSR);
    check("uart.loop.msr.none", *uart(MSR), 0x00);
    /* DTR, RTS, OUT1, OUT2 come back as DSR, CTS, RI, DCD. */
    static const uint8_t line[][2] = {{0x01, 0x20}, {0x02, 0x10}, {0x04, 0x40}, {0x08, 0x80}};
    static const char *const name[] = {"uart.loop.dtr_is_dsr", "uart.loop.rts_is_cts",
                                       "uart.loop.out1_is_ri", "uart.loop.out2_is_dcd"};
    for (unsigned i = 0; i < 4; i++) {
        *uart(MCR) = MCR_LOOP | line[i][0];
        check(name[i], *uart(MSR) & 0xf0u, line[i][1]);
    }
    *uart(MCR) = MCR_LOOP;
    check("uart.mcr.readback", *uart(MCR), MCR_LOOP);
}

static void test_data(void)
{
    *uart(FCR) = FCR_ON;
    check("uart.loop.idle", *uart(LSR), LSR_SENT);
    static const uint8_t value[] = {0x00, 0xff, 0x55, 0xaa, 'T'};
    static const char *const name[] = {"uart.loop.byte.00", "uart.loop.byte.ff",
                                       "uart.loop.byte.55", "uart.loop.byte.aa",
                                       "uart.loop.byte.T"};
    for (unsigned i = 0; i < sizeof(value); i++) {
        *uart(DATA) = value[i];
        uint8_t lsr = wait_lsr(LSR_READY);
        check(name[i], (uint64_t)(lsr & LSR_READY) << 8 | *uart(DATA), 0x100u | value[i]);
    }
    for (unsigned i = 0; i < FIFO; i++) {
        *uart(DATA) = (uint8_t)(0x30 + i);
        wait_lsr(LSR_SENT);
    }
    unsigned in_order = 0;
    for (unsigned i = 0; i < FIFO; i++)
        in_order += (*uart(LSR) & LSR_READY) && *uart(DATA) == 0x30 + i;
    check("uart.loop.fifo_order", in_order, FIFO);
    check("uart.loop.fifo_empty", *uart(LSR) & LSR_READY, 0);
    *uart(DATA) = 1;
    wait_lsr(LSR_READY);
    *uart(FCR) = 0x03; /* clears the receive FIFO alone */
    check("uart.fcr.clears_receive", *uart(LSR) & LSR_READY, 0);
}

static void test_overrun(void)
{
    *uart(FCR) = FCR_ON;
    for (unsigned i = 0; i < FIFO; i++) {
        *uart(DATA) = (uint8_t)i;
        wait_lsr(LSR_SENT);
    }
    *uart(DATA) = FIFO;
    uint8_t lsr = 0; /* of all reads: each read of LSR clears the overrun bit */
    uint64_t deadline = time_now() + time_from_ms(LINE_MS);
    while (!(lsr & LSR_OVERRUN) && time_now() < deadline)
        lsr |= *uart(LSR);
    check("uart.overrun.reported", lsr & LSR_OVERRUN, LSR_OVERRUN);
    check("uart.overrun.cleared_by_read", *uart(LSR) & LSR_OVERRUN, 0);
    *uart(FCR) = FCR_ON;
}

static void test_causes(void)
{
    check("uart.iir.none", *uart(IIR) & 0x0fu, 0x01);
    *uart(IER) = 0x02;
    check("uart.iir.transmit_on_enable", *uart(IIR) & 0x0fu, 0x02);
    check("uart.iir.transmit_cleared_by_read", *uart(IIR) & 0x0fu, 0x01);
    *uart(IER) = 0x03;
    *uart(DATA) = 'x';
    wait_lsr(LSR_READY | LSR_SENT);
    check("uart.iir.receive_before_transmit", *uart(IIR) & 0x0fu, 0x04);
    (void)*uart(DATA);
    check("uart.iir.then_transmit", *uart(IIR) & 0x0fu, 0x02);
    check("uart.iir.then_none", *uart(IIR) & 0x0fu, 0x01);
    *uart(IER) = 0;
}

static void test_16550(void)
{
    console_flush();
    bool were_on = interrupts_off();
    *uart(IER) = 0;
    *uart(MCR) = MCR_LOOP; /* before anything that could send */
    test_registers();
    test_modem_lines();
    test_data();
    test_overrun();
    test_causes();
    *uart(MCR) = 0;
    if (console->device == &board.uart)
        console->restart(console);
    if (were_on)
        interrupts_on();
}

/* --- virtio console --- */

static void test_virtio(struct console *tested)
{
    volatile uint32_t *base = (volatile uint32_t *)tested->device->base;
    console_flush();
    bool were_on = interrupts_off();
    check("console.magic", base[0x000 / 4], 0x74726976);
    check("console.version", base[0x004 / 4], 2);
    check("console.device", base[0x008 / 4], 3);
    check("console.status.driver_ok", base[0x070 / 4], 0x0f);
    base[0x070 / 4] = 0;
    check("console.reset.status", base[0x070 / 4], 0);
    for (unsigned queue = 0; queue < 2; queue++) {
        base[0x030 / 4] = queue;
        check("console.reset.queue_not_ready", base[0x044 / 4], 0);
        check("console.queue_exists", base[0x034 / 4] != 0, 1);
    }
    base[0x030 / 4] = 1000;
    check("console.queue_1000_does_not_exist", base[0x034 / 4], 0);
    check("console.restart", tested->restart(tested), 1);
    check("console.restart.status", base[0x070 / 4], 0x0f);
    if (were_on)
        interrupts_on();
}

int command_uarttest(int count, char **arguments)
{
    (void)arguments;
    if (count > 1) {
        printf("usage: uarttest\n");
        return 1;
    }
    results = 0;
    if (console->device == &board.uart)
        test_16550();
    else
        test_virtio(console);
    unsigned failed = 0;
    for (unsigned i = 0; i < results; i++) {
        if (result[i].seen == result[i].expected) {
            printf("%s: ok\n", result[i].name);
        } else {
            failed++;
            printf("%s: %#lx, expected %#lx\n", result[i].name, result[i].seen, result[i].expected);
        }
    }
    printf("uarttest: %u ok, %u failed\n", results - failed, failed);
    return failed == 0 ? 0 : 1;
}
