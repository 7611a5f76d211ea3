/* The emulated 16550A, register by register, against the data sheet's tables. */
#include "uart_guest.h"

static void reset_values(void **state)
{
    static const struct {
        unsigned reg;
        uint8_t value;
    } expected[] = {{DATA, 0},   {IER, 0},    {IIR, 0x01}, {LCR, 0},
                    {MCR, 0x08}, {LSR, 0x60}, {MSR, 0xb0}, {SCR, 0}};
    struct mock *mock = *state;
    for (unsigned i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
        assert_int_equal(get(mock, expected[i].reg), expected[i].value);
    assert_false(mock->dev.line);
}

static void read_back(void **state)
{
    static const struct {
        unsigned reg;
        uint8_t stored, loaded;
    } expected[] = {{IER, 0xff, 0x0f}, {LCR, 0x5b, 0x5b}, {MCR, 0xef, 0x0f}, {SCR, 0xa5, 0xa5},
                    {SCR, 0x5a, 0x5a}, {LSR, 0x00, 0x60}, {MSR, 0x00, 0xb0}};
    struct mock *mock = *state;
    for (unsigned i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        put(mock, expected[i].reg, expected[i].stored);
        assert_int_equal(get(mock, expected[i].reg), expected[i].loaded);
    }
}

static void divisor_latch(void **state)
{
    struct mock *mock = *state;
    put(mock, IER, 0x05);
    put(mock, LCR, 0x83);
    assert_int_equal(get(mock, DATA), 12);
    assert_int_equal(get(mock, IER), 0);
    put(mock, DATA, 0x34);
    put(mock, IER, 0x12);
    assert_int_equal(get(mock, DATA), 0x34);
    assert_int_equal(get(mock, IER), 0x12);
    put(mock, LCR, 0x03);
    assert_int_equal(get(mock, IER), 0x05);
    assert_int_equal(mock->console.noutput, 0);
}

static void widths(void **state)
{
    struct mock *mock = *state;
    uint64_t value;
    put(mock, SCR, 0x77);
    assert_int_equal(mock_load(mock, SCR, 1), 0x77);
    assert_int_equal(mock_load(mock, 4, 4), 0x08); /* MCR alone, not four registers */
    assert_int_equal(mock_load(mock, 6, 2), 0xb0);
    assert_int_equal(mock_load(mock, 0, 8), 0);
    mock_store(mock, 0, 4, 0xffffff41);
    assert_int_equal(mock->console.noutput, 1);
    assert_int_equal(mock->console.output[0], 0x41);
    assert_false(mock_try_load(mock, 8, 1, &value));
    assert_false(mock_try_store(mock, 8, 1, 0));
    assert_false(mock_try_load(mock, 0xffc, 4, &value));
}

static void transmit(void **state)
{
    struct mock *mock = *state;
    for (const char *c = "hello"; *c; c++) {
        assert_true(get(mock, LSR) & 0x20);
        put(mock, DATA, (uint8_t)*c);
    }
    assert_int_equal(mock->console.noutput, 5);
    assert_memory_equal(mock->console.output, "hello", 5);
    assert_int_equal(mock->dev.count.notifications, 5);
    assert_int_equal(mock->dev.count.bytes, 5);
    assert_int_equal(mock->dev.count.requests, 5);
}

static void transmit_waits_for_the_host(void **state)
{
    struct mock *mock = *state;
    put(mock, FCR, 0x01);
    mock->console.room = 0;
    for (char c = 'a'; c < 'a' + 16; c++) {
        put(mock, DATA, (uint8_t)c);
        assert_int_equal(get(mock, LSR) & 0x60, 0);
    }
    mock->console.room = 5;
    mock_service(mock);
    assert_int_equal(mock->console.noutput, 5);
    assert_int_equal(get(mock, LSR) & 0x60, 0);
    for (char c = 'q'; c < 'q' + 5; c++) /* wraps round the FIFO */
        put(mock, DATA, (uint8_t)c);
    mock->console.room = SIZE_MAX;
    mock_service(mock);
    assert_int_equal(get(mock, LSR) & 0x60, 0x60);
    assert_int_equal(mock->console.noutput, 21);
    assert_memory_equal(mock->console.output, "abcdefghijklmnopqrstu", 21);
}

static void transmit_overrun(void **state)
{
    struct mock *mock = *state;
    mock->console.room = 0;
    put(mock, DATA, 'x');
    put(mock, DATA, 'y'); /* no FIFO: the holding register is overwritten */
    mock->console.room = SIZE_MAX;
    mock_service(mock);
    assert_memory_equal(mock->console.output, "y", 1);
    assert_int_equal(mock->console.noutput, 1);
    put(mock, FCR, 0x01);
    mock->console.room = 0;
    for (unsigned i = 0; i < 20; i++)
        put(mock, DATA, (uint8_t)('A' + i));
    mock->console.room = SIZE_MAX;
    mock_service(mock);
    assert_int_equal(mock->console.noutput, 17);
    assert_memory_equal(mock->console.output, "yABCDEFGHIJKLMNOP", 17);
}

static void thre_interrupt(void **state)
{
    struct mock *mock = *state;
    put(mock, IER, 0x02); /* enabling it while empty raises it */
    assert_true(mock->dev.line);
    assert_int_equal(get(mock, IIR), 0x02); /* which IIR clears */
    assert_false(mock->dev.line);
    assert_int_equal(get(mock, IIR), 0x01);
    put(mock, IER, 0x02); /* already enabled: nothing new */
    assert_false(mock->dev.line);
    put(mock, DATA, 'x'); /* sent at once: empty again */
    assert_true(mock->dev.line);
    mock->console.room = 0;
    put(mock, DATA, 'y'); /* a THR store clears it */
    assert_false(mock->dev.line);
    mock->console.room = 1;
    mock_service(mock);
    assert_true(mock->dev.line);
    put(mock, IER, 0x00);
    assert_false(mock->dev.line);
    mock->console.room = 0;
    put(mock, DATA, 'z');
    put(mock, IER, 0x02); /* enabling it while not empty does not */
    assert_false(mock->dev.line);
}

/* What makes the PLIC's source pending again while the line stays high, as on QEMU: news, and no
 * other access. */
static void asserted_again(void **state)
{
    static const unsigned idle[] = {LSR, MSR, SCR, LCR, MCR, IER};
    struct mock *mock = *state;
    put(mock, IER, 0x02);
    assert_int_equal(mock->asserted, 1);
    for (unsigned i = 0; i < sizeof(idle) / sizeof(idle[0]); i++) {
        uint8_t value = get(mock, idle[i]);
        put(mock, idle[i], value);
    }
    mock_service(mock); /* nothing has come */
    assert_true(mock->dev.line);
    assert_int_equal(mock->asserted, 1);
    put(mock, DATA, 'x'); /* sent, and empty again */
    assert_int_equal(mock->asserted, 2);

    put(mock, FCR, 0x01);
    put(mock, IER, 0x01);
    assert_false(mock->dev.line);
    mock->asserted = 0;
    type(mock, "abc");
    assert_int_equal(mock->asserted, 1);
    get(mock, DATA); /* there are more */
    assert_int_equal(mock->asserted, 2);
    type(mock, "d");
    assert_int_equal(mock->asserted, 3);
    get(mock, IIR);
    get(mock, LSR);
    assert_int_equal(mock->asserted, 3);
    for (unsigned i = 0; i < 3; i++)
        get(mock, DATA);
    assert_false(mock->dev.line);
    assert_int_equal(mock->asserted, 5);
    assert_int_equal(mock->edges, 2);
}

static void receive_without_fifo(void **state)
{
    struct mock *mock = *state;
    put(mock, IER, 0x01);
    type(mock, "abc");
    assert_true(mock->dev.line);
    assert_int_equal(mock->console.input_taken, 1);
    assert_int_equal(get(mock, IIR), 0x04);
    assert_int_equal(get(mock, LSR), 0x61);
    assert_int_equal(get(mock, DATA), 'a'); /* makes room for the next */
    assert_true(mock->dev.line);
    assert_int_equal(get(mock, DATA), 'b');
    assert_int_equal(get(mock, DATA), 'c');
    assert_false(mock->dev.line);
    assert_int_equal(get(mock, LSR), 0x60);
    assert_int_equal(get(mock, DATA), 0);
    assert_int_equal(mock->dev.count.bytes, 3);
}

static void receive_trigger_levels(void **state)
{
    static const struct {
        uint8_t fcr, level;
    } levels[] = {{0x01, 1}, {0x41, 4}, {0x81, 8}, {0xc1, 14}};
    struct mock *mock = *state;
    put(mock, IER, 0x01);
    for (unsigned i = 0; i < 4; i++) {
        put(mock, FCR, levels[i].fcr);
        for (unsigned n = 1; n <= 16; n++) {
            type(mock, "x");
            assert_int_equal(get(mock, IIR), n >= levels[i].level ? 0xc4 : 0xcc);
            assert_true(mock->dev.line);
        }
        for (unsigned n = 15; n > 0; n--) {
            assert_int_equal(get(mock, DATA), 'x');
            assert_int_equal(get(mock, IIR), n >= levels[i].level ? 0xc4 : 0xcc);
        }
        assert_int_equal(get(mock, DATA), 'x');
        assert_int_equal(get(mock, IIR), 0xc1);
        assert_false(mock->dev.line);
    }
}

static void receive_leaves_the_rest_at_the_host(void **state)
{
    struct mock *mock = *state;
    char text[101], seen[101];
    for (unsigned i = 0; i < 100; i++)
        text[i] = (char)(' ' + i % 90);
    put(mock, FCR, 0x01);
    mock_console_type(mock, text, 100);
    mock_service(mock);
    mock_service(mock);
    assert_int_equal(mock->console.input_taken, 16);
    for (unsigned i = 0; i < 100; i++) {
        uint8_t lsr = get(mock, LSR);
        assert_int_equal(lsr & 0x03, 0x01); /* data, no overrun */
        seen[i] = (char)get(mock, DATA);
    }
    assert_memory_equal(seen, text, 100);
    assert_int_equal(get(mock, LSR) & 0x01, 0);
}

static void fifo_control(void **state)
{
    struct mock *mock = *state;
    put(mock, FCR, 0xc1);
    assert_int_equal(get(mock, IIR), 0xc1);
    type(mock, "abc");
    put(mock, FCR, 0x03); /* clears the receive FIFO, stays enabled */
    assert_int_equal(get(mock, LSR), 0x60);
    mock->console.room = 0;
    put(mock, DATA, 'x');
    assert_int_equal(get(mock, LSR), 0x00);
    put(mock, FCR, 0x05); /* clears the transmit FIFO */
    assert_int_equal(get(mock, LSR), 0x60);
    put(mock, DATA, 'y');
    type(mock, "d");
    put(mock, FCR, 0x00); /* a change of enable clears both */
    assert_int_equal(get(mock, LSR), 0x60);
    assert_int_equal(get(mock, IIR), 0x01);
    mock->console.room = SIZE_MAX;
    mock_service(mock);
    assert_int_equal(mock->console.noutput, 0);
}

static void loopback_data(void **state)
{
    struct mock *mock = *state;
    put(mock, FCR, 0x01);
    put(mock, MCR, 0x10);
    type(mock, "host"); /* waits outside */
    assert_int_equal(get(mock, LSR), 0x60);
    for (unsigned i = 0; i < 16; i++)
        put(mock, DATA, (uint8_t)(0xa0 + i));
    assert_int_equal(get(mock, LSR), 0x61);
    put(mock, IER, 0x04);
    put(mock, DATA, 0xff); /* one too many: lost, and says so */
    assert_true(mock->dev.line);
    assert_int_equal(get(mock, IIR), 0xc6);
    assert_int_equal(get(mock, LSR), 0x63);
    assert_int_equal(get(mock, LSR), 0x61); /* cleared by the read */
    assert_false(mock->dev.line);
    for (unsigned i = 0; i < 16; i++)
        assert_int_equal(get(mock, DATA), 0xa0 + i);
    assert_int_equal(mock->console.noutput, 0);
    put(mock, MCR, 0x00);
    assert_int_equal(get(mock, DATA), 'h');
}

static void loopback_without_fifo(void **state)
{
    struct mock *mock = *state;
    put(mock, MCR, 0x10);
    put(mock, DATA, 1);
    put(mock, DATA, 2);
    assert_int_equal(get(mock, LSR), 0x63);
    assert_int_equal(get(mock, DATA), 2);
    assert_int_equal(get(mock, LSR), 0x60);
}

static void loopback_modem_lines(void **state)
{
    static const struct {
        uint8_t mcr, lines;
    } wires[] = {{0x11, 0x20}, {0x12, 0x10}, {0x14, 0x40}, {0x18, 0x80},
                 {0x1a, 0x90}, {0x1f, 0xf0}, {0x10, 0x00}};
    struct mock *mock = *state;
    for (unsigned i = 0; i < sizeof(wires) / sizeof(wires[0]); i++) {
        put(mock, MCR, wires[i].mcr);
        assert_int_equal(get(mock, MSR) & 0xf0, wires[i].lines);
    }
    put(mock, MCR, 0x00);
    assert_int_equal(get(mock, MSR), 0xbb); /* CTS, DSR, DCD came back */
    assert_int_equal(get(mock, MSR), 0xb0);
}

static void modem_status_interrupt(void **state)
{
    struct mock *mock = *state;
    put(mock, MCR, 0x10);
    get(mock, MSR);
    put(mock, IER, 0x08);
    assert_false(mock->dev.line);
    put(mock, MCR, 0x14); /* RI rises: no delta */
    assert_false(mock->dev.line);
    assert_int_equal(get(mock, MSR), 0x40);
    put(mock, MCR, 0x10); /* RI falls: TERI */
    assert_true(mock->dev.line);
    assert_int_equal(get(mock, IIR), 0x00);
    assert_int_equal(get(mock, MSR), 0x04);
    assert_false(mock->dev.line);
    put(mock, MCR, 0x12);
    put(mock, MCR, 0x10); /* both edges seen, line back where it was */
    assert_int_equal(get(mock, MSR), 0x01);
}

/* All five at once, and each one's own way of being cleared. */
static void interrupt_priorities(void **state)
{
    struct mock *mock = *state;
    put(mock, FCR, 0x41);
    put(mock, MCR, 0x10);
    for (unsigned i = 0; i < 17; i++)
        put(mock, DATA, (uint8_t)i);
    put(mock, IER, 0x0f);
    assert_int_equal(get(mock, IIR), 0xc6);
    get(mock, LSR);
    assert_int_equal(get(mock, IIR), 0xc4);
    for (unsigned i = 0; i < 13; i++)
        get(mock, DATA);
    assert_int_equal(get(mock, IIR), 0xcc); /* 3 left, below the trigger level of 4 */
    for (unsigned i = 0; i < 3; i++)
        get(mock, DATA);
    assert_int_equal(get(mock, IIR), 0xc2);
    assert_int_equal(get(mock, IIR), 0xc0);
    get(mock, MSR);
    assert_int_equal(get(mock, IIR), 0xc1);
    assert_false(mock->dev.line);
}

static void attach_resets(void **state)
{
    struct mock *mock = *state;
    put(mock, FCR, 0xc1);
    put(mock, IER, 0x0f);
    put(mock, SCR, 9);
    type(mock, "abc");
    assert_true(mock->dev.line);
    assert_int_equal(emulated_uart.attach(&mock->dev), 0);
    assert_false(mock->dev.line);
    reset_values(state);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(reset_values),
        TEST(read_back),
        TEST(divisor_latch),
        TEST(widths),
        TEST(transmit),
        TEST(transmit_waits_for_the_host),
        TEST(transmit_overrun),
        TEST(thre_interrupt),
        TEST(asserted_again),
        TEST(receive_without_fifo),
        TEST(receive_trigger_levels),
        TEST(receive_leaves_the_rest_at_the_host),
        TEST(fifo_control),
        TEST(loopback_data),
        TEST(loopback_without_fifo),
        TEST(loopback_modem_lines),
        TEST(modem_status_interrupt),
        TEST(interrupt_priorities),
        TEST(attach_resets),
    };
    return cmocka_run_group_tests_name("emulated/uart", tests, NULL, NULL);
}
