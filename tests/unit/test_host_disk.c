/*
 * core/host/disk.c against a virtio-blk device of the test's: when what is finished reaches the
 * owner, and that it always does.
 */
#include "host_disk_rig.h"

static void test_one_at_a_time(void **state)
{
    (void)state;
    for (unsigned i = 1; i <= 100; i++) {
        submit(1);
        idle(true);
        assert_true(finish(1));
        interrupt();
        assert_int_equal(taken, i);
        idle(false);
    }
}

/* All that it has under way, and then it waits: three quarters of them make a delivery. */
static void test_many_at_a_time(void **state)
{
    (void)state;
    submit(16);
    idle(true);
    assert_false(finish(11));
    assert_int_equal(taken, 0);
    assert_true(finish(1));
    interrupt();
    assert_int_equal(taken, 12);
    assert_false(is_held());
    while (outstanding() > 0)
        if (finish(1))
            interrupt();
    assert_int_equal(taken, 16);
}

static void test_a_batch_ends_a_hold(void **state)
{
    unsigned before;
    (void)state;
    until_held();
    before = taken;
    for (unsigned i = 1; i < 15; i++) {
        submit(1);
        assert_false(finish(1)); /* nor does the device interrupt */
        assert_int_equal(taken, before);
    }
    submit(1);
    assert_true(finish(1));
    interrupt();
    assert_int_equal(taken, before + 16);
    assert_false(is_held());
}

static void test_the_alarm_ends_a_hold(void **state)
{
    (void)state;
    until_held();
    look();
    assert_true(is_held());
    now = next_look();
    look();
    assert_false(is_held());
    assert_int_equal(taken, submitted);
}

static void test_idling_ends_a_hold(void **state)
{
    (void)state;
    until_held();
    submit(2);
    finish(1);
    idle(true);
    look();
    assert_false(is_held());
    assert_int_equal(taken, submitted - 1);
    assert_true(finish(1));
    interrupt();
    assert_int_equal(taken, submitted);
}

static void test_a_flush_ends_a_hold(void **state)
{
    (void)state;
    until_held();
    submit(4);
    assert_false(finish(4));
    submit_as(HOST_DISK_FLUSH);
    assert_int_equal(taken, submitted - 1); /* all but the flush */
    assert_false(is_held());
    assert_true(finish(1));
    interrupt();
    assert_int_equal(taken, submitted);
}

static void test_reset_forgets_a_hold(void **state)
{
    unsigned before;
    (void)state;
    until_held();
    before = taken;
    device_seen = 0;
    host.disk.front.reset(&host.disk.front);
    assert_false(is_held());
    settle();
    assert_int_equal(taken, before);
    memset(busy, 0, sizeof(busy));
    submit(1);
    assert_true(finish(1));
    interrupt();
    assert_int_equal(taken, before + 1);
}

static void test_without_coalescing(void **state)
{
    (void)state;
    start(ABLATE_COALESCE);
    for (unsigned i = 1; i <= 100; i++) {
        submit(1);
        assert_true(finish(1));
        interrupt();
        assert_int_equal(taken, i);
    }
}

/* With a buffer between: what reap() leaves in the used ring, because copying is dear, comes in
 * later exits. */
static void test_copies_in_pieces(void **state)
{
    static uint8_t buffer[BOUNCE_SIZE * BOUNCE_SLOTS];
    (void)state;
    start(ABLATE_COPY | ABLATE_COALESCE);
    host.disk.bounce = buffer;
    submit(6);
    begin_exit(true);
    assert_true(finish(6));
    interrupt();
    assert_int_equal(taken, 2);
    for (unsigned i = 3; i <= 6; i++) {
        assert_true(owner.unfinished);
        begin_exit(true);
        service(&owner);
        settle();
        assert_int_equal(taken, i);
    }
    begin_exit(true);
    service(&owner);
    settle();
    assert_false(owner.unfinished);
    begin_exit(false);
    submit(1); /* and all is as before */
    assert_true(finish(1));
    interrupt();
    assert_int_equal(taken, 7);
}

/* The owner makes a second request of the one that it was given, and that is finished at once. */
static void test_submitted_again_and_finished(void **state)
{
    (void)state;
    submit(1);
    again = &request[0];
    assert_true(finish(1));
    interrupt();
    assert_null(again);
    assert_int_equal(taken, 1);
}

static bool writes_to(const void *bytes, uint64_t len)
{
    return host_writes_to(&host, (uint64_t)bytes, len);
}

/* From its submission to its end by the device a read may write, whatever its owner thinks of
 * it. */
static void test_what_a_read_writes_to(void **state)
{
    (void)state;
    assert_false(writes_to(sector, sizeof(sector)));
    submit(2);
    assert_int_equal(nwritten, 2); /* once for each, and before the device has it */
    assert_ptr_equal(written[1], sector[1]);
    assert_int_equal(written_len[1], HOST_DISK_SECTOR);
    assert_true(writes_to(sector[0], 1));
    assert_true(writes_to(sector[1] + HOST_DISK_SECTOR - 1, 100));
    assert_false(writes_to(sector[1] + HOST_DISK_SECTOR, 100));
    assert_false(writes_to(sector[0] - 100, 100));
    assert_true(writes_to(sector[0] - 100, 101));
    idle(true);
    if (finish(1))
        interrupt();
    assert_false(writes_to(sector[0], HOST_DISK_SECTOR));
    assert_true(writes_to(sector[1], HOST_DISK_SECTOR));
    submit_as(HOST_DISK_WRITE);
    submit_as(HOST_DISK_FLUSH);
    assert_int_equal(nwritten, 2);
    assert_false(writes_to(sector[0], HOST_DISK_SECTOR));
    assert_true(writes_to(sector[1], HOST_DISK_SECTOR));

    /* A reset ends it. */
    device_seen = 0;
    host.disk.front.reset(&host.disk.front);
    assert_false(writes_to(sector, sizeof(sector)));
}

/* A device that does not come back from its reset may still write, even if its owner uses the
 * request anew. */
static void test_what_a_lost_disk_writes_to(void **state)
{
    (void)state;
    submit(1);
    registers[REG_QUEUE_NUM_MAX / 4] = 0;
    host.disk.front.reset(&host.disk.front);
    segment[0].base = sector[5];
    assert_int_equal(host.disk.front.submit(&host.disk.front, &request[0]), -EINVAL);
    assert_true(writes_to(sector[0], HOST_DISK_SECTOR));
    assert_false(writes_to(sector[5], HOST_DISK_SECTOR));
    assert_false(finish(0));
    registers[REG_QUEUE_NUM_MAX / 4] = VIRTIO_QUEUE_MAX;
}

/* ABLATE=batch: one completion for each interrupt. A handler that waits for the next one gets it,
 * late; and then nothing more is asked for. */
static void test_one_for_each_interrupt(void **state)
{
    (void)state;
    start(ABLATE_BATCH | ABLATE_COALESCE);
    interrupts = true;
    submit(4);
    finish(2);
    interrupt();
    assert_int_equal(taken, 1);
    settle();
    assert_int_equal(taken, 1);
    interrupting = false;
    settle();
    assert_int_equal(taken, 2);
    finish(1);
    interrupt();
    assert_int_equal(taken, 2);
    assert_in_range(next_look(), now + 1, now + 1000000);
    now = next_look();
    look();
    assert_int_equal(taken, 3);
    assert_int_equal(next_look(), UINT64_MAX);
    interrupting = false;
    settle();
    submit(1);
    finish(1); /* the next interrupt holds back as the first did */
    interrupt();
    assert_int_equal(taken, 4);
    finish(1);
    interrupt();
    assert_int_equal(taken, 4);
    interrupting = false;
    settle();
    assert_int_equal(taken, 5);
}

/* ABLATE=copy: the device writes to a buffer of the VMM, and the VMM to the guest when a piece is
 * there. */
static void test_what_a_copied_read_writes_to(void **state)
{
    static uint8_t buffer[BOUNCE_SIZE * BOUNCE_SLOTS];
    (void)state;
    start(ABLATE_COPY);
    host.disk.bounce = buffer;
    submit(1);
    assert_int_equal(nwritten, 0);
    assert_false(writes_to(sector, sizeof(sector)));
    idle(true);
    assert_true(finish(1));
    interrupt();
    assert_int_equal(nwritten, 1);
    assert_ptr_equal(written[0], sector[0]);
    assert_int_equal(taken, 1);
}

/* Whatever happens in whatever order: interrupts and alarms are enough, nothing waits for ever. */
static void test_nothing_is_forgotten(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < 2000; seed++) {
        bool due = false;
        srand(seed);
        start(0);
        for (unsigned step = 0; step < 200; step++) {
            unsigned free = REQUESTS - (submitted - taken);
            switch (rand() % 8) {
            case 0:
            case 1:
            case 2: submit(free ? (unsigned)rand() % free % 5 : 0); break;
            case 3:
                if (free > 0 && rand() % 4 == 0)
                    submit_as(HOST_DISK_FLUSH);
                break;
            case 4:
            case 5: due |= finish((unsigned)rand() % 6); break;
            case 6:
                idle(rand() % 2);
                look();
                break;
            default: now += (unsigned)rand() % 30000; break;
            }
            if (now >= next_look())
                look();
            if (due && rand() % 2) {
                due = false;
                interrupt();
            }
        }
        for (unsigned i = 0; i < 100 && taken < submitted; i++) {
            if (finish(1) || due)
                interrupt();
            due = false;
            if (outstanding() == 0 && is_held()) {
                now = next_look();
                look();
            }
        }
        assert_int_equal(taken, submitted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_one_at_a_time, setup),
        cmocka_unit_test_setup(test_many_at_a_time, setup),
        cmocka_unit_test_setup(test_a_batch_ends_a_hold, setup),
        cmocka_unit_test_setup(test_the_alarm_ends_a_hold, setup),
        cmocka_unit_test_setup(test_idling_ends_a_hold, setup),
        cmocka_unit_test_setup(test_a_flush_ends_a_hold, setup),
        cmocka_unit_test_setup(test_reset_forgets_a_hold, setup),
        cmocka_unit_test_setup(test_without_coalescing, setup),
        cmocka_unit_test_setup(test_one_for_each_interrupt, setup),
        cmocka_unit_test_setup(test_copies_in_pieces, setup),
        cmocka_unit_test_setup(test_submitted_again_and_finished, setup),
        cmocka_unit_test_setup(test_nothing_is_forgotten, setup),
        cmocka_unit_test_setup(test_what_a_read_writes_to, setup),
        cmocka_unit_test_setup(test_what_a_lost_disk_writes_to, setup),
        cmocka_unit_test_setup(test_what_a_copied_read_writes_to, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
