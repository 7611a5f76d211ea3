/* devices/paravirt/ring.c: what the specification allows, and each thing that it forbids. */
#include "ring_guest.h"

static void test_start(void **state)
{
    static const struct {
        uint32_t num;
        uint64_t desc, driver, device;
        bool good;
    } rows[] = {
        {8, QUEUE_GPA, QUEUE_GPA + 0x1000, QUEUE_GPA + 0x2000, true},
        {1, QUEUE_GPA, QUEUE_GPA + 0x1002, QUEUE_GPA + 0x2004, true},
        {128, RAM_END - 128 * 16, QUEUE_GPA, QUEUE_GPA + 0x2000, true},
        {1024, RAM_END - 1024 * 16, QUEUE_GPA, QUEUE_GPA + 0x2000, true},
        {1024, QUEUE_GPA, RAM_END - 2054, QUEUE_GPA + 0x4000, true},
        {1024, QUEUE_GPA, QUEUE_GPA + 0x4000, RAM_END - 8200, true},
        {1024, RAM_END - 1023 * 16, QUEUE_GPA, QUEUE_GPA + 0x2000, false},
        {1024, QUEUE_GPA, RAM_END - 2052, QUEUE_GPA + 0x4000, false},
        {1024, QUEUE_GPA, QUEUE_GPA + 0x4000, RAM_END - 8196, false},
        {8, QUEUE_GPA, RAM_END - 22, QUEUE_GPA, true},
        {0, QUEUE_GPA, QUEUE_GPA + 0x1000, QUEUE_GPA + 0x2000, false},
        {6, QUEUE_GPA, QUEUE_GPA + 0x1000, QUEUE_GPA + 0x2000, false},
        {2048, QUEUE_GPA, QUEUE_GPA + 0x1000, QUEUE_GPA + 0x2000, false},
        {0x10008, QUEUE_GPA, QUEUE_GPA + 0x1000, QUEUE_GPA + 0x2000, false},
        {8, QUEUE_GPA + 8, QUEUE_GPA + 0x1000, QUEUE_GPA + 0x2000, false},
        {8, QUEUE_GPA, QUEUE_GPA + 0x1001, QUEUE_GPA + 0x2000, false},
        {8, QUEUE_GPA, QUEUE_GPA + 0x1000, QUEUE_GPA + 0x2002, false},
        {8, RAM_END - 112, QUEUE_GPA, QUEUE_GPA, false},
        {8, QUEUE_GPA, RAM_END - 20, QUEUE_GPA, false},
        {8, QUEUE_GPA, QUEUE_GPA, RAM_END - 68, false},
        {8, 0, QUEUE_GPA, QUEUE_GPA, false},
        {8, QUEUE_GPA, UINT64_MAX - 1, QUEUE_GPA, false},
    };
    struct rig *rig = rig_new(8, true, true);
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ring ring = {.num = rows[i].num,
                            .desc_gpa = rows[i].desc,
                            .driver_gpa = rows[i].driver,
                            .device_gpa = rows[i].device};
        assert_int_equal(ring_start(&rig->vm, &ring, true, true), rows[i].good);
        assert_int_equal(ring.ready, rows[i].good);
    }
    rig_free(rig);
}

static void test_chain(void **state)
{
    struct rig *rig = rig_new(8, false, false);
    uint32_t id, len;
    (void)state;
    assert_int_equal(pop(rig), RING_EMPTY);
    guest_desc(&rig->guest, 3, DATA_GPA, 16, DESC_NEXT, 7);
    guest_desc(&rig->guest, 7, DATA_GPA + 512, 100, DESC_NEXT | DESC_WRITE, 0);
    guest_desc(&rig->guest, 0, RAM_END - 1, 1, DESC_WRITE, 0);
    guest_desc(&rig->guest, 1, DATA_GPA, 5, 0, 99);
    guest_offer(&rig->guest, 3);
    guest_offer(&rig->guest, 1);

    assert_int_equal(pop(rig), RING_CHAIN);
    assert_int_equal(rig->chain.head, 3);
    assert_int_equal(rig->chain.readable, 1);
    assert_int_equal(rig->chain.writable, 2);
    assert_int_equal(rig->chain.readable_bytes, 16);
    assert_int_equal(rig->chain.writable_bytes, 101);
    assert_int_equal(rig->chain.segment[1].gpa, DATA_GPA + 512);
    assert_int_equal(rig->chain.segment[2].len, 1);
    assert_int_equal(pop(rig), RING_CHAIN);
    assert_int_equal(rig->chain.head, 1);
    assert_int_equal(pop(rig), RING_EMPTY);

    /* Given back in another order: the used ring has the order of completion. */
    assert_int_equal(ring_push(&rig->vm, &rig->ring, 1, 0), RING_CHAIN);
    assert_int_equal(ring_push(&rig->vm, &rig->ring, 3, 101), RING_CHAIN);
    assert_true(guest_take(&rig->guest, &id, &len));
    assert_int_equal(id, 1);
    assert_true(guest_take(&rig->guest, &id, &len));
    assert_int_equal(id, 3);
    assert_int_equal(len, 101);
    assert_false(guest_take(&rig->guest, &id, &len));
    rig_free(rig);
}

static void test_indirect(void **state)
{
    struct rig *rig = rig_new(4, true, false);
    (void)state;
    /* A direct descriptor, then a table at an odd address; WRITE on the table means nothing. */
    guest_desc(&rig->guest, 0, DATA_GPA, 16, DESC_NEXT, 1);
    guest_desc(&rig->guest, 1, TABLE_GPA + 1, 6 * 16, DESC_INDIRECT | DESC_WRITE, 0);
    for (unsigned i = 0; i < 6; i++)
        guest_table(&rig->vm, TABLE_GPA + 1, i, DATA_GPA + 64 * i, 32,
                    (i < 5 ? DESC_NEXT : 0) | (i > 2 ? DESC_WRITE : 0), (uint16_t)(i + 1));
    guest_offer(&rig->guest, 0);
    assert_int_equal(pop(rig), RING_CHAIN);
    assert_int_equal(rig->chain.readable, 4);
    assert_int_equal(rig->chain.writable, 3);

    /* The longest chain: RING_MAX_SEGMENTS in a table. */
    guest_desc(&rig->guest, 1, TABLE_GPA, RING_MAX_SEGMENTS * 16, DESC_INDIRECT, 0);
    for (unsigned i = 0; i < RING_MAX_SEGMENTS; i++)
        guest_table(&rig->vm, TABLE_GPA, i, DATA_GPA + i, 1, i < RING_MAX_SEGMENTS - 1,
                    (uint16_t)(i + 1));
    guest_offer(&rig->guest, 1);
    assert_int_equal(pop(rig), RING_CHAIN);
    assert_int_equal(rig->chain.readable, RING_MAX_SEGMENTS);
    assert_int_equal(rig->chain.readable_bytes, RING_MAX_SEGMENTS);
    rig_free(rig);
}

/* One bad thing each. Descriptors 0 to 2 of the queue, then 0 and 1 of the table. */
static const struct bad {
    const char *what;
    bool indirect;
    uint16_t head;
    struct guest_desc desc[3], table[2];
} bad[] = {
    {"head beyond the queue", true, 8, {{DATA_GPA, 1, 0, 0}}, {{0}}},
    {"next beyond the queue", true, 0, {{DATA_GPA, 1, DESC_NEXT, 8}}, {{0}}},
    {"loop of one", true, 0, {{DATA_GPA, 1, DESC_NEXT, 0}}, {{0}}},
    {"loop of two", true, 0, {{DATA_GPA, 1, DESC_NEXT, 1}, {DATA_GPA, 1, DESC_NEXT, 0}}, {{0}}},
    {"length 0", true, 0, {{DATA_GPA, 0, 0, 0}}, {{0}}},
    {"below RAM", true, 0, {{MOCK_RAM_BASE - 1, 2, 0, 0}}, {{0}}},
    {"beyond RAM", true, 0, {{RAM_END - 1, 2, DESC_WRITE, 0}}, {{0}}},
    {"wraps", true, 0, {{UINT64_MAX, 2, 0, 0}}, {{0}}},
    {"longest length", true, 0, {{DATA_GPA, UINT32_MAX, 0, 0}}, {{0}}},
    {"readable behind writable",
     true,
     0,
     {{DATA_GPA, 1, DESC_WRITE | DESC_NEXT, 1}, {DATA_GPA, 1, 0, 0}},
     {{0}}},
    {"indirect not negotiated",
     false,
     0,
     {{TABLE_GPA, 16, DESC_INDIRECT, 0}},
     {{DATA_GPA, 1, 0, 0}}},
    {"indirect and next",
     true,
     0,
     {{TABLE_GPA, 16, DESC_INDIRECT | DESC_NEXT, 1}, {DATA_GPA, 1, 0, 0}},
     {{DATA_GPA, 1, 0, 0}}},
    {"table of 0", true, 0, {{TABLE_GPA, 0, DESC_INDIRECT, 0}}, {{DATA_GPA, 1, 0, 0}}},
    {"table of 17 bytes", true, 0, {{TABLE_GPA, 17, DESC_INDIRECT, 0}}, {{DATA_GPA, 1, 0, 0}}},
    {"table beyond RAM", true, 0, {{RAM_END - 16, 32, DESC_INDIRECT, 0}}, {{0}}},
    {"table nowhere", true, 0, {{0x1000, 16, DESC_INDIRECT, 0}}, {{0}}},
    {"indirect in indirect",
     true,
     0,
     {{TABLE_GPA, 32, DESC_INDIRECT, 0}},
     {{TABLE_GPA + 16, 16, DESC_INDIRECT, 0}, {DATA_GPA, 1, 0, 0}}},
    {"next beyond the table",
     true,
     0,
     {{TABLE_GPA, 32, DESC_INDIRECT, 0}},
     {{DATA_GPA, 1, DESC_NEXT, 2}}},
    {"loop in the table",
     true,
     0,
     {{TABLE_GPA, 16, DESC_INDIRECT, 0}},
     {{DATA_GPA, 1, DESC_NEXT, 0}}},
    {"order across the table",
     true,
     0,
     {{DATA_GPA, 1, DESC_WRITE | DESC_NEXT, 1}, {TABLE_GPA, 16, DESC_INDIRECT, 0}},
     {{DATA_GPA, 1, 0, 0}}},
};

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct rig *rig = rig_new(8, bad[i].indirect, false);
        memcpy(vm_ram(&rig->vm, QUEUE_GPA, sizeof(bad[i]).desc), bad[i].desc, sizeof(bad[i]).desc);
        memcpy(vm_ram(&rig->vm, TABLE_GPA, sizeof(bad[i]).table), bad[i].table,
               sizeof(bad[i]).table);
        guest_desc(&rig->guest, 8, DATA_GPA, 1, 0, 0); /* bait, behind the end */
        guest_table(&rig->vm, TABLE_GPA, 2, DATA_GPA, 1, 0, 0);
        guest_offer(&rig->guest, bad[i].head);
        if (pop(rig) != RING_BROKEN)
            fail_msg("accepted: %s", bad[i].what);
        rig_free(rig);
    }
}

static void test_too_long(void **state)
{
    struct rig *rig = rig_new(8, true, false);
    unsigned n = RING_MAX_SEGMENTS + 1;
    (void)state;
    guest_desc(&rig->guest, 0, TABLE_GPA, n * 16, DESC_INDIRECT, 0);
    for (unsigned i = 0; i < n; i++)
        guest_table(&rig->vm, TABLE_GPA, i, DATA_GPA, 1, i < n - 1, (uint16_t)(i + 1));
    guest_offer(&rig->guest, 0);
    assert_int_equal(pop(rig), RING_BROKEN);
    rig_free(rig);
}

static void test_avail_jump(void **state)
{
    struct rig *rig = rig_new(8, false, false);
    (void)state;
    guest_desc(&rig->guest, 0, DATA_GPA, 1, 0, 0);
    guest_avail(&rig->guest)[1] = 8;
    assert_int_equal(pop(rig), RING_CHAIN);
    guest_avail(&rig->guest)[1] = 10;
    assert_int_equal(pop(rig), RING_BROKEN);
    guest_avail(&rig->guest)[1] = 0; /* one back */
    assert_int_equal(pop(rig), RING_BROKEN);
    rig_free(rig);
}

static void test_notifications(void **state)
{
    struct rig *rig = rig_new(8, false, false);
    (void)state;
    guest_desc(&rig->guest, 0, DATA_GPA, 1, 0, 0);
    guest_used(&rig->guest)[0] = 77; /* whatever the guest left there */
    assert_int_equal(pop(rig), RING_EMPTY);
    assert_int_equal(guest_used(&rig->guest)[0], 0);
    guest_offer(&rig->guest, 0);
    assert_int_equal(pop(rig), RING_CHAIN);
    assert_int_equal(guest_used(&rig->guest)[0], 1);
    assert_int_equal(pop(rig), RING_EMPTY);
    assert_int_equal(guest_used(&rig->guest)[0], 0);
    rig_free(rig);

    rig = rig_new(8, false, true);
    guest_desc(&rig->guest, 0, DATA_GPA, 1, 0, 0);
    *guest_avail_event(&rig->guest) = 99;
    assert_int_equal(pop(rig), RING_EMPTY);
    assert_int_equal(*guest_avail_event(&rig->guest), 0);
    for (unsigned i = 0; i < 3; i++)
        guest_offer(&rig->guest, 0);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(pop(rig), RING_CHAIN);
    assert_int_equal(*guest_avail_event(&rig->guest), 0); /* behind: no notification */
    assert_int_equal(pop(rig), RING_EMPTY);
    assert_int_equal(*guest_avail_event(&rig->guest), 3);
    assert_int_equal(guest_used(&rig->guest)[0], 0);

    /* Started again, it asks again. */
    rig->guest = guest_queue_at(&rig->vm, QUEUE_GPA, 8);
    *guest_avail_event(&rig->guest) = 99;
    assert_true(ring_start(&rig->vm, &rig->ring, false, true));
    assert_int_equal(pop(rig), RING_EMPTY);
    assert_int_equal(*guest_avail_event(&rig->guest), 0);
    rig_free(rig);
}

static void test_interrupts(void **state)
{
    struct rig *rig = rig_new(8, false, false);
    (void)state;
    assert_false(ring_wants_interrupt(&rig->vm, &rig->ring)); /* nothing was pushed */
    ring_push(&rig->vm, &rig->ring, 0, 0);
    assert_true(ring_wants_interrupt(&rig->vm, &rig->ring));
    assert_false(ring_wants_interrupt(&rig->vm, &rig->ring));
    guest_avail(&rig->guest)[0] = 1;
    ring_push(&rig->vm, &rig->ring, 0, 0);
    assert_false(ring_wants_interrupt(&rig->vm, &rig->ring));
    rig_free(rig);

    /* By EVENT_IDX: at the element that the driver named, in a batch too, and not at others. */
    rig = rig_new(8, false, true);
    *guest_used_event(&rig->guest) = 2;
    guest_avail(&rig->guest)[0] = 1; /* means nothing here */
    ring_push(&rig->vm, &rig->ring, 0, 0);
    ring_push(&rig->vm, &rig->ring, 0, 0);
    assert_false(ring_wants_interrupt(&rig->vm, &rig->ring));
    ring_push(&rig->vm, &rig->ring, 0, 0);
    assert_true(ring_wants_interrupt(&rig->vm, &rig->ring));
    ring_push(&rig->vm, &rig->ring, 0, 0);
    assert_false(ring_wants_interrupt(&rig->vm, &rig->ring));
    *guest_used_event(&rig->guest) = 5;
    for (unsigned i = 0; i < 4; i++)
        ring_push(&rig->vm, &rig->ring, 0, 0);
    assert_true(ring_wants_interrupt(&rig->vm, &rig->ring));
    rig_free(rig);
}

/* The larger queues, filled to the last entry, until the indices have wrapped; one more breaks
 * them. */
static void test_full(void **state)
{
    (void)state;
    for (uint16_t num = 128; num <= RING_MAX_NUM; num *= 2) {
        struct rig *rig = rig_new(num, true, true);
        uint32_t id, len;
        for (unsigned i = 0; i < num; i++)
            guest_desc(&rig->guest, i, RAM_END - 1 - i, 1, DESC_WRITE, 0);
        for (unsigned total = 0; total < 70000; total += num) {
            for (unsigned i = 0; i < num; i++)
                guest_offer(&rig->guest, (uint16_t)(5 * i % num));
            for (unsigned i = 0; i < num; i++) {
                assert_int_equal(pop(rig), RING_CHAIN);
                assert_int_equal(rig->chain.head, 5 * i % num);
                assert_int_equal(rig->chain.segment[0].gpa, RAM_END - 1 - rig->chain.head);
                assert_int_equal(ring_push(&rig->vm, &rig->ring, rig->chain.head, i), RING_CHAIN);
            }
            assert_int_equal(pop(rig), RING_EMPTY);
            assert_int_equal(*guest_avail_event(&rig->guest), rig->guest.avail_idx);
            *guest_used_event(&rig->guest) = (uint16_t)(rig->guest.used_idx + num - 1);
            assert_true(ring_wants_interrupt(&rig->vm, &rig->ring));
            for (unsigned i = 0; i < num; i++) {
                assert_true(guest_take(&rig->guest, &id, &len));
                assert_int_equal(id, 5 * i % num);
                assert_int_equal(len, i);
            }
            assert_false(guest_take(&rig->guest, &id, &len));
        }
        guest_avail(&rig->guest)[1] += num + 1;
        assert_int_equal(pop(rig), RING_BROKEN);
        rig_free(rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start),         cmocka_unit_test(test_chain),
        cmocka_unit_test(test_indirect),      cmocka_unit_test(test_bad),
        cmocka_unit_test(test_too_long),      cmocka_unit_test(test_avail_jump),
        cmocka_unit_test(test_notifications), cmocka_unit_test(test_interrupts),
        cmocka_unit_test(test_full),
    };
    return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
