/* devices/paravirt/console.c: both directions at random, each byte in its place. */
#include "console_guest.h"

/* Byte n of either stream. */
static uint8_t stream(uint64_t n)
{
    return (uint8_t)(n * 31 + (n >> 8));
}

struct flow {
    struct rig rig;
    uint64_t noise, said, heard, typed, read;
    bool tx_busy[NUM], rx_busy[NUM];
};

static void flow_say(struct flow *flow)
{
    unsigned slot = mock_random(&flow->noise) % NUM, len = 1 + mock_random(&flow->noise) % 300;
    uint8_t *bytes = mock_ram(flow->rig.mock, DATA_GPA + 0x1000 * slot, len);
    if (flow->tx_busy[slot])
        return;
    for (unsigned i = 0; i < len; i++)
        bytes[i] = stream(flow->said++);
    guest_desc(&flow->rig.tx, slot, DATA_GPA + 0x1000 * slot, len, 0, 0);
    guest_offer(&flow->rig.tx, (uint16_t)slot);
    flow->tx_busy[slot] = true;
    guest_notify(flow->rig.mock, 1);
}

static void flow_listen(struct flow *flow)
{
    unsigned slot = mock_random(&flow->noise) % NUM, len = 1 + mock_random(&flow->noise) % 100;
    if (flow->rx_busy[slot])
        return;
    guest_desc(&flow->rig.rx, slot, DATA_GPA + 0x20000 + 0x1000 * slot, len, DESC_WRITE, 0);
    guest_offer(&flow->rig.rx, (uint16_t)slot);
    flow->rx_busy[slot] = true;
    guest_notify(flow->rig.mock, 0);
}

static void flow_type(struct flow *flow)
{
    uint8_t bytes[64];
    unsigned len = mock_random(&flow->noise) % sizeof(bytes);
    if (flow->rig.mock->console.ninput > MOCK_CONSOLE_SIZE - sizeof(bytes))
        return;
    for (unsigned i = 0; i < len; i++)
        bytes[i] = stream(flow->typed++);
    mock_console_type(flow->rig.mock, bytes, len);
}

/* The host gets room, the guest collects; both look at what they got. */
static void flow_check(struct flow *flow)
{
    struct mock_console *console = &flow->rig.mock->console;
    uint32_t id, len;
    console->room = mock_random(&flow->noise) % 200;
    mock_service(flow->rig.mock);
    for (size_t i = 0; i < console->noutput; i++)
        assert_int_equal(console->output[i], stream(flow->heard++));
    console->noutput = 0;
    while (guest_take(&flow->rig.tx, &id, &len))
        flow->tx_busy[id] = false;
    while (guest_take(&flow->rig.rx, &id, &len)) {
        uint8_t *bytes = mock_ram(flow->rig.mock, DATA_GPA + 0x20000 + 0x1000 * id, len);
        assert_true(flow->rx_busy[id]);
        flow->rx_busy[id] = false;
        for (unsigned i = 0; i < len; i++)
            assert_int_equal(bytes[i], stream(flow->read++));
    }
}

static void test_streams(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 4; round++) {
        struct flow flow = {.rig = rig_up(round & 1 ? FEATURE_EVENT_IDX : 0), .noise = 99 + round};
        flow.rig.mock->vm.yield_after = round & 2;
        flow.rig.mock->console.room = 0;
        for (unsigned i = 0; i < 40000; i++)
            switch (mock_random(&flow.noise) % 4) {
            case 0: flow_say(&flow); break;
            case 1: flow_listen(&flow); break;
            case 2: flow_type(&flow); break;
            case 3: flow_check(&flow); break;
            }
        for (unsigned i = 0; i < 100; i++) {
            flow_check(&flow);
            flow_listen(&flow);
        }
        assert_true(flow.said > 100000 && flow.typed > 100000);
        assert_int_equal(flow.heard, flow.said);
        assert_int_equal(flow.typed - flow.read,
                         flow.rig.mock->console.ninput - flow.rig.mock->console.input_taken);
        assert_true(flow.read > 100000);
        mock_free(flow.rig.mock);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams),
    };
    return cmocka_run_group_tests_name("virtio_console streams", tests, NULL, NULL);
}
