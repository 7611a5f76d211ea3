/*
 * devices/paravirt/console.c: no byte lost, doubled or out of order, whatever the host takes at a
 * time.
 */
#include "console_guest.h"

/* Puts text in the guest's RAM and offers it, as one descriptor. */
static void say(struct rig *rig, unsigned index, const char *text)
{
    uint64_t gpa = DATA_GPA + 0x1000 * index;
    memcpy(mock_ram(rig->mock, gpa, strlen(text)), text, strlen(text));
    guest_desc(&rig->tx, index, gpa, (uint32_t)strlen(text), 0, 0);
    guest_offer(&rig->tx, (uint16_t)index);
}

static void assert_output(struct rig *rig, const char *text)
{
    assert_int_equal(rig->mock->console.noutput, strlen(text));
    assert_memory_equal(rig->mock->console.output, text, strlen(text));
}

static void assert_used(struct guest_queue *queue, uint32_t id, uint32_t len)
{
    uint32_t got_id, got_len;
    assert_true(guest_take(queue, &got_id, &got_len));
    assert_int_equal(got_id, id);
    assert_int_equal(got_len, len);
}

static void assert_unused(struct guest_queue *queue)
{
    uint32_t id, len;
    assert_false(guest_take(queue, &id, &len));
}

static void test_transmit(void **state)
{
    struct rig rig = rig_up(0);
    (void)state;
    say(&rig, 0, "Hello, ");
    say(&rig, 1, "world");
    assert_int_equal(rig.mock->console.noutput, 0);
    guest_notify(rig.mock, 1);
    assert_output(&rig, "Hello, world");
    assert_used(&rig.tx, 0, 0);
    assert_used(&rig.tx, 1, 0);
    assert_true(rig.mock->dev.line);
    assert_int_equal(rig.mock->edges, 1);
    assert_int_equal(rig.mock->dev.count.notifications, 1);
    assert_int_equal(rig.mock->dev.count.requests, 2);
    assert_int_equal(rig.mock->dev.count.bytes, 12);
    mock_free(rig.mock);
}

/* The host takes a few bytes at a time, across descriptors and chains. */
static void test_transmit_slowly(void **state)
{
    static const char text[] = "one two three four";
    (void)state;
    for (size_t room = 0; room <= 5; room++) {
        struct rig rig = rig_up(0);
        rig.mock->console.room = room;
        memcpy(mock_ram(rig.mock, DATA_GPA, sizeof(text)), text, sizeof(text));
        guest_desc(&rig.tx, 0, DATA_GPA, 4, DESC_NEXT, 1);
        guest_desc(&rig.tx, 1, DATA_GPA + 4, 3, DESC_NEXT, 2);
        guest_desc(&rig.tx, 2, DATA_GPA + 0x100, 9, DESC_WRITE, 0); /* of no use to us */
        guest_desc(&rig.tx, 3, DATA_GPA + 7, sizeof(text) - 1 - 7, 0, 0);
        guest_offer(&rig.tx, 0);
        guest_offer(&rig.tx, 3);
        guest_notify(rig.mock, 1);
        /* Stopped: the driver need not notify, and is not interrupted. */
        assert_int_equal(guest_used(&rig.tx)[0], 1);
        assert_false(rig.mock->dev.line);
        assert_int_equal(rig.mock->console.noutput, room);
        if (room)
            guest_desc(&rig.tx, 0, 0, 0, 0, 0); /* taken is taken: a change comes too late */
        for (unsigned i = 0; i < 20 && rig.mock->console.noutput < sizeof(text) - 1; i++) {
            rig.mock->console.room = room ? room : 1;
            mock_service(rig.mock);
        }
        assert_output(&rig, text);
        assert_used(&rig.tx, 0, 0);
        assert_used(&rig.tx, 3, 0);
        assert_unused(&rig.tx);
        assert_int_equal(guest_used(&rig.tx)[0], 0);
        assert_int_equal(rig.mock->dev.count.bytes, sizeof(text) - 1);
        mock_free(rig.mock);
    }
}

static void test_receive(void **state)
{
    struct rig rig = rig_up(0);
    (void)state;
    /* Nobody listens: the input stays where it is. */
    mock_console_type(rig.mock, "abcdefgh", 8);
    mock_service(rig.mock);
    assert_int_equal(rig.mock->console.input_taken, 0);

    guest_desc(&rig.rx, 0, DATA_GPA, 3, DESC_WRITE, 0);
    guest_desc(&rig.rx, 1, DATA_GPA + 0x100, 2, DESC_WRITE | DESC_NEXT, 2);
    guest_desc(&rig.rx, 2, DATA_GPA + 0x200, 9, DESC_WRITE, 0);
    guest_offer(&rig.rx, 0);
    guest_offer(&rig.rx, 1);
    guest_notify(rig.mock, 0);
    assert_used(&rig.rx, 0, 3);
    assert_used(&rig.rx, 1, 5);
    assert_unused(&rig.rx);
    assert_memory_equal(mock_ram(rig.mock, DATA_GPA, 4), "abc\0", 4);
    assert_memory_equal(mock_ram(rig.mock, DATA_GPA + 0x100, 3), "de\0", 3);
    assert_memory_equal(mock_ram(rig.mock, DATA_GPA + 0x200, 4), "fgh\0", 4);
    assert_int_equal(rig.mock->edges, 1);
    assert_int_equal(rig.mock->dev.count.requests, 2);
    assert_int_equal(rig.mock->dev.count.bytes, 8);

    /* A buffer waits for input; input fills it once, from its start. */
    mock_store(rig.mock, 0x064, 4, 1);
    guest_offer(&rig.rx, 0);
    guest_notify(rig.mock, 0);
    mock_service(rig.mock);
    assert_unused(&rig.rx);
    assert_false(rig.mock->dev.line);
    mock_console_type(rig.mock, "Z", 1);
    mock_service(rig.mock);
    assert_used(&rig.rx, 0, 1);
    assert_memory_equal(mock_ram(rig.mock, DATA_GPA, 4), "Zbc\0", 4);
    assert_true(rig.mock->dev.line);
    assert_true(rig.mock->vm.writable_asks > 0);
    mock_free(rig.mock);
}

/* Input buffers of no use: without a writable byte, or with something readable in front. */
static void test_receive_odd(void **state)
{
    struct rig rig = rig_up(0);
    (void)state;
    guest_desc(&rig.rx, 0, DATA_GPA, 4, 0, 0);
    guest_desc(&rig.rx, 1, DATA_GPA, 4, DESC_NEXT, 2);
    guest_desc(&rig.rx, 2, DATA_GPA + 8, 4, DESC_WRITE, 0);
    guest_offer(&rig.rx, 0);
    guest_offer(&rig.rx, 1);
    mock_console_type(rig.mock, "xy", 2);
    guest_notify(rig.mock, 0);
    assert_used(&rig.rx, 0, 0);
    assert_used(&rig.rx, 1, 2);
    assert_memory_equal(mock_ram(rig.mock, DATA_GPA, 11), "\0\0\0\0\0\0\0\0xy\0", 11);
    mock_free(rig.mock);
}

/* By EVENT_IDX the device asks for a notification only where it has nothing left. */
static void test_events(void **state)
{
    struct rig rig = rig_up(FEATURE_EVENT_IDX);
    (void)state;
    *guest_used_event(&rig.tx) = 1; /* interrupt at the second */
    rig.mock->console.room = 3;
    say(&rig, 0, "ab");
    say(&rig, 1, "cd");
    guest_notify(rig.mock, 1);
    assert_int_equal(*guest_avail_event(&rig.tx), 0);
    assert_used(&rig.tx, 0, 0);
    assert_unused(&rig.tx);
    assert_false(rig.mock->dev.line);
    rig.mock->console.room = 3;
    mock_service(rig.mock);
    assert_used(&rig.tx, 1, 0);
    assert_true(rig.mock->dev.line);
    assert_int_equal(*guest_avail_event(&rig.tx), 2);
    assert_output(&rig, "abcd");
    mock_free(rig.mock);
}

/* Reset in the middle of both: what was taken is dropped, memory is left alone, and all begins
 * anew. */
static void test_reset(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 3; round++) {
        struct rig rig = rig_up(0);
        rig.mock->console.room = 2;
        say(&rig, 0, "gone");
        guest_desc(&rig.rx, 0, DATA_GPA + 0x8000, 8, DESC_WRITE, 0);
        guest_offer(&rig.rx, 0);
        guest_notify(rig.mock, 1);
        guest_notify(rig.mock, 0);
        if (round == 0) {
            mock_store(rig.mock, REG_STATUS, 4, 0);
        } else if (round == 1) {
            paravirt_console.attach(&rig.mock->dev);
        } else {
            for (unsigned i = 0; i < 2; i++) { /* the queues alone */
                mock_store(rig.mock, 0x030, 4, i);
                mock_store(rig.mock, 0x044, 4, 0);
            }
        }
        rig.mock->console.room = SIZE_MAX;
        mock_console_type(rig.mock, "in", 2);
        mock_service(rig.mock);
        assert_output(&rig, "go");
        assert_int_equal(guest_used(&rig.tx)[1], 0);
        assert_int_equal(guest_used(&rig.rx)[1], 0);
        assert_memory_equal(mock_ram(rig.mock, DATA_GPA + 0x8000, 2), "\0\0", 2);
        assert_false(rig.mock->dev.line);

        rig.rx = guest_queue_at(&rig.mock->vm, MOCK_RAM_BASE, NUM);
        rig.tx = guest_queue_at(&rig.mock->vm, MOCK_RAM_BASE + 0x4000, NUM);
        guest_negotiate(rig.mock, FEATURE_VERSION_1);
        guest_queue_start(rig.mock, 0, &rig.rx);
        guest_queue_start(rig.mock, 1, &rig.tx);
        guest_driver_ok(rig.mock);
        say(&rig, 0, "od");
        guest_notify(rig.mock, 1);
        assert_output(&rig, "good");
        mock_free(rig.mock);
    }
}

/* --- In pieces --- */

#define FLOOD_GPA (MOCK_RAM_BASE + 0x20000)
#define FLOOD     (3u << 20) /* bytes of one segment */
#define SEGMENTS  128u
#define TABLE_GPA (MOCK_RAM_BASE + 0x8000)

/* Offers one chain of 128 segments, all of them the same 3 MiB, in an indirect table. */
static void flood(struct rig *rig)
{
    uint8_t *bytes = mock_ram(rig->mock, FLOOD_GPA, FLOOD);
    for (unsigned i = 0; i < FLOOD; i++)
        bytes[i] = (uint8_t)(i * 31 + (i >> 8));
    for (unsigned i = 0; i < SEGMENTS; i++)
        guest_table(&rig->mock->vm, TABLE_GPA, i, FLOOD_GPA, FLOOD,
                    i + 1 < SEGMENTS ? DESC_NEXT : 0, (uint16_t)(i + 1));
    guest_desc(&rig->tx, 0, TABLE_GPA, 16 * SEGMENTS, DESC_INDIRECT, 0);
    guest_offer(&rig->tx, 0);
    rig->mock->vm.yield_after = 4;
}

/* One service's worth of it: the bytes in order, and a bounded number of them. */
static uint64_t flood_piece(struct rig *rig, uint64_t seen)
{
    struct mock_console *console = &rig->mock->console;
    const uint8_t *bytes = mock_ram(rig->mock, FLOOD_GPA, FLOOD);
    size_t at = seen % FLOOD, first = FLOOD - at < console->noutput ? FLOOD - at : console->noutput;
    assert_true(console->noutput > 0 && console->noutput <= 4 * 1024);
    assert_memory_equal(console->output, bytes + at, first);
    assert_memory_equal(console->output + first, bytes, console->noutput - first);
    seen += console->noutput;
    console->noutput = 0;
    return seen;
}

/* 384 MiB from one notify: piece by piece, and given back when all of it has gone. */
static void test_flood(void **state)
{
    struct rig rig = rig_up(FEATURE_INDIRECT);
    uint64_t seen = 0;
    (void)state;
    flood(&rig);
    say(&rig, 1, "behind it");
    guest_notify(rig.mock, 1);
    for (;;) {
        seen = flood_piece(&rig, seen);
        if (seen == (uint64_t)SEGMENTS * FLOOD)
            break;
        assert_true(rig.mock->dev.unfinished);
        assert_int_equal(guest_used(&rig.tx)[1], 0);
        assert_false(rig.mock->dev.line);
        mock_service(rig.mock);
    }
    while (rig.mock->dev.unfinished)
        mock_service(rig.mock);
    assert_output(&rig, "behind it");
    assert_used(&rig.tx, 0, 0);
    assert_used(&rig.tx, 1, 0);
    assert_unused(&rig.tx);
    assert_true(rig.mock->dev.line);
    assert_int_equal(rig.mock->dev.count.bytes, (uint64_t)SEGMENTS * FLOOD + 9);
    mock_free(rig.mock);
}

/* More chains than one exit may look at, of which each costs little. */
static void test_many_chains(void **state)
{
    struct rig rig = rig_up(0);
    (void)state;
    rig.mock->vm.yield_after = 1;
    for (unsigned i = 0; i < NUM; i++)
        say(&rig, i, "x");
    guest_notify(rig.mock, 1);
    for (unsigned i = 0; i < NUM; i++) {
        assert_used(&rig.tx, i, 0);
        assert_unused(&rig.tx);
        assert_true(rig.mock->dev.unfinished);
        mock_service(rig.mock);
    }
    assert_false(rig.mock->dev.unfinished);
    assert_output(&rig, "xxxxxxxx");
    mock_free(rig.mock);
}

/* The device is reset, or the queue stopped, while more is to come: it does not come. */
static void test_reset_in_pieces(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 2; round++) {
        struct rig rig = rig_up(FEATURE_INDIRECT);
        flood(&rig);
        guest_notify(rig.mock, 1);
        flood_piece(&rig, 0);
        assert_true(rig.mock->dev.unfinished);
        if (round == 0) {
            mock_store(rig.mock, REG_STATUS, 4, 0);
        } else {
            mock_store(rig.mock, 0x030, 4, 1);
            mock_store(rig.mock, 0x044, 4, 0);
        }
        mock_service(rig.mock);
        assert_int_equal(rig.mock->console.noutput, 0);
        assert_false(rig.mock->dev.unfinished);
        assert_int_equal(guest_used(&rig.tx)[1], 0);

        rig.tx = guest_queue_at(&rig.mock->vm, MOCK_RAM_BASE + 0x4000, NUM);
        guest_negotiate(rig.mock, FEATURE_VERSION_1);
        guest_queue_start(rig.mock, 1, &rig.tx);
        guest_driver_ok(rig.mock);
        say(&rig, 0, "new");
        guest_notify(rig.mock, 1);
        assert_output(&rig, "new");
        assert_used(&rig.tx, 0, 0);
        mock_free(rig.mock);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transmit),        cmocka_unit_test(test_transmit_slowly),
        cmocka_unit_test(test_receive),         cmocka_unit_test(test_receive_odd),
        cmocka_unit_test(test_events),          cmocka_unit_test(test_reset),
        cmocka_unit_test(test_flood),           cmocka_unit_test(test_many_chains),
        cmocka_unit_test(test_reset_in_pieces),
    };
    return cmocka_run_group_tests_name("virtio_console", tests, NULL, NULL);
}
