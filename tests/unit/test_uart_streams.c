/*
 * The emulated 16550A under thousands of accesses: noise, a host that takes little at a time, and
 * accesses that run ahead of it.
 */
#include "uart_guest.h"

/* Whatever the guest stores, what it sent with THRE set arrives once and in order. */
static void hostile(void **state)
{
    struct mock *mock = *state;
    uint64_t seed = 0x1234567;
    for (unsigned i = 0; i < 100000; i++) {
        uint64_t r = mock_random(&seed), value;
        unsigned width = 1u << (r >> 8) % 4;
        uint64_t offset = (r >> 16) % 12 & ~(uint64_t)(width - 1);
        if ((r >> 32) % 64 == 0)
            mock->console.noutput = 0;
        if ((r >> 40) % 4 == 0)
            mock->console.room = (r >> 44) % 20;
        if ((r >> 50) % 16 == 0)
            type(mock, "noise from the host");
        if ((r >> 60) == 0)
            mock->console.ninput = mock->console.input_taken = 0;
        if (r & 1)
            assert_int_equal(mock_try_store(mock, offset, width, mock_random(&seed)), offset < 8);
        else
            assert_int_equal(mock_try_load(mock, offset, width, &value), offset < 8);
    }
}

static void in_order_under_pressure(void **state)
{
    struct mock *mock = *state;
    uint64_t seed = 99;
    uint8_t next = 0;
    put(mock, FCR, 0x01);
    for (unsigned i = 0; i < 20000; i++) {
        mock->console.room = mock_random(&seed) % 9;
        if (get(mock, LSR) & 0x20)
            for (unsigned n = 0; n < 16; n++)
                put(mock, DATA, next++);
        mock_service(mock);
        if (mock->console.noutput > MOCK_CONSOLE_SIZE - 32)
            break;
    }
    assert_true(mock->console.noutput > 10000);
    for (size_t i = 0; i < mock->console.noutput; i++)
        assert_int_equal(mock->console.output[i], i & 0xff);
}

static void run_ahead_gathers(void **state)
{
    struct mock *mock = *state;
    put(mock, FCR, 0x01);
    put(mock, IER, 0x02);
    mock->vm.runs_ahead = true;
    for (unsigned i = 0; i < 20; i++) {
        put(mock, DATA, (uint8_t)('a' + i));
        assert_int_equal(mock->console.noutput, i < 15 ? 0 : 16);
        assert_true(mock->dev.line); /* as if each had been sent at once */
    }
    assert_int_equal(mock->console.writes, 1);
    mock_settle(mock);
    assert_int_equal(mock->console.writes, 2);
    assert_int_equal(mock->console.noutput, 20);
    assert_memory_equal(mock->console.output, "abcdefghijklmnopqrst", 20);
    assert_int_equal(mock->edges, 1);
    assert_int_equal(mock->dev.count.notifications, 20);
    assert_int_equal(mock->dev.count.bytes, 20);
}

static void run_ahead_sends_before_any_other_access(void **state)
{
    struct mock *mock = *state;
    put(mock, FCR, 0x01);
    mock->vm.runs_ahead = true;
    put(mock, DATA, 'x');
    put(mock, FCR, 0x05); /* what is cleared was sent before */
    assert_int_equal(mock->console.noutput, 1);
    put(mock, DATA, 'y');
    assert_int_equal(get(mock, LSR) & 0x60, 0x60);
    assert_int_equal(mock->console.noutput, 2);
    put(mock, FCR, 0x00);
    put(mock, DATA, 'z'); /* without a FIFO there is nothing to gather in */
    assert_int_equal(mock->console.noutput, 3);
}

/* The same accesses with and without it: every load, and the line where the guest goes on, are
 * equal. */
static void run_ahead_is_not_seen(void **state)
{
    struct mock *gathers = *state, *plain = mock_new_console(&emulated_uart);
    uint64_t seed = 7;
    for (unsigned i = 0; i < 20000 && plain->console.noutput < MOCK_CONSOLE_SIZE - 64; i++) {
        uint64_t r = mock_random(&seed);
        gathers->console.room = plain->console.room = r >> 8 & 3 ? SIZE_MAX : r >> 10 & 31;
        gathers->vm.runs_ahead = r >> 16 & 1;
        for (unsigned n = r >> 20 & 31; n; n--) {
            unsigned reg = mock_random(&seed) & 15;
            uint8_t value = (uint8_t)mock_random(&seed);
            if (reg >= 8)
                reg = DATA; /* stores of data, above all */
            if (reg == LCR || (reg == MCR && value & 7) || (reg == FCR && value & 14))
                value = FCR == reg ? 1 : 0;
            if (reg != DATA && value & 0x80)
                assert_int_equal(get(gathers, reg), get(plain, reg));
            put(gathers, reg, value);
            put(plain, reg, value);
        }
        mock_settle(gathers);
        assert_int_equal(gathers->dev.line, plain->dev.line);
        assert_true(gathers->edges <= plain->edges); /* a host that is full may hide one */
        assert_int_equal(gathers->console.noutput, plain->console.noutput);
    }
    assert_memory_equal(gathers->console.output, plain->console.output, plain->console.noutput);
    assert_true(gathers->console.writes < plain->console.writes);
    mock_free(plain);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(hostile),
        TEST(in_order_under_pressure),
        TEST(run_ahead_gathers),
        TEST(run_ahead_sends_before_any_other_access),
        TEST(run_ahead_is_not_seen),
    };
    return cmocka_run_group_tests_name("emulated/uart streams", tests, NULL, NULL);
}
