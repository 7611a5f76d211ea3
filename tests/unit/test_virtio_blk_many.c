/*
 * devices/paravirt/disk.c: many requests in flight, a full host, interrupts and notifications, and
 * reset with requests in flight.
 */
#include <errno.h>
#include <stdlib.h>

#include "blk_guest.h"

/* As many as the host takes, completed in any order, with a driver that offers more than that. */
static void test_depth(void **state)
{
    (void)state;
    for (unsigned depth = 1; depth <= 64; depth *= 4) {
        struct rig rig = rig_up(USUAL);
        unsigned done[40] = {0}, total = 0;
        uint64_t noise = 5;
        uint32_t id, len;
        rig.mock->disk.front.depth = depth;
        for (unsigned slot = 0; slot < 40; slot++)
            offer(&rig, slot, IN, 100 + slot, DATA_GPA + 4096 * slot, 1024);
        guest_notify(rig.mock, 0);
        assert_int_equal(rig.mock->disk.ninflight, depth < 32 ? depth : 32);
        assert_int_equal(guest_used(&rig.queue)[0], 1); /* full: no notification */
        while (total < 40) {
            assert_true(rig.mock->disk.ninflight > 0);
            mock_disk_complete(rig.mock, mock_random(&noise) % rig.mock->disk.ninflight);
            mock_service(rig.mock);
            while (guest_take(&rig.queue, &id, &len)) {
                unsigned slot = id / 3;
                assert_int_equal(len, 1025);
                assert_int_equal(*status_byte(&rig, slot), OK);
                assert_pattern(mock_ram(rig.mock, DATA_GPA + 4096 * slot, 1024), 100 + slot, 1024);
                done[slot]++;
                total++;
            }
        }
        for (unsigned slot = 0; slot < 40; slot++)
            assert_int_equal(done[slot], 1);
        assert_int_equal(rig.mock->disk.max_inflight, depth < 32 ? depth : 32);
        assert_int_equal(guest_used(&rig.queue)[0], 0);
        assert_int_equal(rig.mock->dev.count.requests, 40);
        assert_int_equal(rig.mock->dev.count.notifications, 1);
        mock_free(rig.mock);
    }
}

/* One request, or one completion, for each time that the device has its turn: all arrive, in
 * order. */
static void test_pieces(void **state)
{
    struct rig rig = rig_up(USUAL);
    uint32_t id, len;
    (void)state;
    rig.mock->vm.yield_after = 1;
    for (unsigned slot = 0; slot < 40; slot++) /* every other one is answered at once */
        offer(&rig, slot, slot % 2 ? IN : 99, 100 + slot, DATA_GPA + 4096 * slot, 1024);
    guest_notify(rig.mock, 0);
    for (unsigned i = 1; i < 40; i++) {
        assert_int_equal(rig.mock->disk.ninflight, i / 2);
        assert_int_equal(guest_used(&rig.queue)[1], (i + 1) / 2);
        assert_true(rig.mock->dev.unfinished);
        mock_service(rig.mock);
    }
    while (rig.mock->disk.ninflight)
        mock_disk_complete(rig.mock, 0);
    for (unsigned i = 0; i <= 20; i++) {
        assert_int_equal(guest_used(&rig.queue)[1], 20 + i);
        mock_service(rig.mock);
    }
    for (unsigned i = 0; i < 40; i++) {
        unsigned slot = i < 20 ? 2 * i : 2 * (i - 20) + 1;
        assert_true(guest_take(&rig.queue, &id, &len));
        assert_int_equal(id, 3 * slot);
        assert_int_equal(*status_byte(&rig, slot), slot % 2 ? OK : UNSUPP);
        if (slot % 2)
            assert_pattern(mock_ram(rig.mock, DATA_GPA + 4096 * slot, 1024), 100 + slot, 1024);
    }
    assert_false(rig.mock->dev.unfinished);

    for (unsigned slot = 0; slot < 8; slot++) /* reset while some wait in the ring */
        offer(&rig, slot, IN, slot, DATA_GPA, 512);
    guest_notify(rig.mock, 0);
    assert_int_equal(rig.mock->disk.ninflight, 1);
    mock_store(rig.mock, REG_STATUS, 4, 0);
    mock_service(rig.mock);
    assert_int_equal(rig.mock->disk.ninflight, 0);
    assert_int_equal(guest_used(&rig.queue)[1], 40);
    mock_free(rig.mock);
}

/* A queue of the largest size, full: all of it is served, SLOTS of the device's at a time. */
static void test_large_queue(void **state)
{
    struct rig rig = rig_up(USUAL);
    uint32_t id, len;
    (void)state;
    rig_start_at(&rig, USUAL, LARGE_GPA, 1024);
    for (unsigned round = 0; round < 200; round++) { /* the indices wrap at 65,536 */
        for (uint16_t at = 0; at + 2 < 1024; at += 3)
            offer(&rig, at / 3, IN, at, DATA_GPA + 512 * at, 512);
        guest_notify(rig.mock, 0);
        mock_disk_finish(rig.mock);
        for (uint16_t at = 0; at + 2 < 1024; at += 3) {
            assert_true(guest_take(&rig.queue, &id, &len));
            assert_int_equal(id, at);
            assert_int_equal(len, 513);
            assert_int_equal(*status_byte(&rig, at / 3), OK);
        }
        assert_false(guest_take(&rig.queue, &id, &len));
    }
    assert_pattern(mock_ram(rig.mock, DATA_GPA + 512 * 1020, 512), 1020, 512);
    mock_free(rig.mock);
}

/* The header is read once: what the guest does to it afterwards changes nothing. */
static void test_header_changes(void **state)
{
    struct rig rig = rig_up(USUAL);
    (void)state;
    rig.mock->disk.front.depth = 1;
    offer(&rig, 0, IN, 1, DATA_GPA, 512);
    offer(&rig, 1, IN, 2, DATA_GPA + 512, 512); /* waits */
    guest_notify(rig.mock, 0);
    header(&rig, 0, OUT, 9);
    header(&rig, 1, OUT, 9);
    guest_desc(&rig.queue, 4, 0, 0, 0, 0);
    mock_disk_finish(rig.mock);
    assert_pattern(mock_ram(rig.mock, DATA_GPA, 512), 1, 512);
    assert_pattern(mock_ram(rig.mock, DATA_GPA + 512, 512), 2, 512);
    assert_int_equal(rig.mock->disk.submits[HOST_DISK_WRITE], 0);
    mock_free(rig.mock);
}

/* Reset by the driver, by the VM, and of the queue alone: nothing is written afterwards. */
static void test_reset(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 3; round++) {
        struct rig rig = rig_up(USUAL);
        unsigned resets = rig.mock->disk.resets;
        uint8_t *before = malloc(0x40000);
        assert_non_null(before);
        rig.mock->disk.front.depth = 2;
        for (unsigned slot = 0; slot < 6; slot++)
            offer(&rig, slot, IN, slot, DATA_GPA + 512 * slot, 512);
        guest_notify(rig.mock, 0);
        mock_disk_complete(rig.mock, 0); /* one is done and not yet collected */
        memcpy(before, rig.mock->vm.ram, 0x40000);
        if (round == 0)
            mock_store(rig.mock, REG_STATUS, 4, 0);
        else if (round == 1)
            assert_int_equal(paravirt_disk.attach(&rig.mock->dev), 0);
        else
            mock_store(rig.mock, 0x044, 4, 0);
        assert_int_equal(rig.mock->disk.resets, resets + 1);
        assert_int_equal(rig.mock->disk.ninflight, 0);
        mock_service(rig.mock);
        guest_notify(rig.mock, 0);
        mock_disk_finish(rig.mock);
        assert_memory_equal(before, rig.mock->vm.ram, 0x40000);
        assert_false(rig.mock->dev.line);

        rig_start(&rig, USUAL);
        assert_int_equal(perform(&rig, IN, 4, DATA_GPA, 512), OK);
        assert_pattern(mock_ram(rig.mock, DATA_GPA, 512), 4, 512);
        /* With nothing in flight the host is left alone. */
        resets = rig.mock->disk.resets;
        mock_store(rig.mock, REG_STATUS, 4, 0);
        assert_int_equal(rig.mock->disk.resets, resets);
        free(before);
        mock_free(rig.mock);
    }
}

/* The ring breaks while requests are in flight: no answer to them, but their slots come back. */
static void test_broken_in_flight(void **state)
{
    struct rig rig = rig_up(USUAL);
    (void)state;
    rig.mock->disk.front.depth = 2;
    for (unsigned slot = 0; slot < 4; slot++)
        offer(&rig, slot, OUT, slot, DATA_GPA, 512);
    guest_notify(rig.mock, 0);
    guest_avail(&rig.queue)[1] += 200;
    mock_disk_complete(rig.mock, 0);
    mock_service(rig.mock); /* collects, submits the one that waits, finds the ring broken */
    assert_int_equal(*status_byte(&rig, 0), OK);
    assert_int_equal(mock_load(rig.mock, REG_STATUS, 4), 0x4f);
    mock_disk_finish(rig.mock);
    assert_int_equal(*status_byte(&rig, 1), NONE);
    assert_int_equal(*status_byte(&rig, 2), NONE);
    assert_int_equal(guest_used(&rig.queue)[1], 1);
    rig_start(&rig, USUAL);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(perform(&rig, IN, 4, DATA_GPA, 512), OK);
    mock_free(rig.mock);
}

static void test_interrupts(void **state)
{
    struct rig rig = rig_up(USUAL | FEATURE_EVENT_IDX);
    (void)state;
    *guest_used_event(&rig.queue) = 2;
    for (unsigned slot = 0; slot < 4; slot++)
        offer(&rig, slot, IN, slot, DATA_GPA + 512 * slot, 512);
    guest_notify(rig.mock, 0);
    for (unsigned i = 0; i < 4; i++) {
        /* No notification as long as the host is busy: its completions serve the queue. */
        assert_int_equal(*guest_avail_event(&rig.queue), 0);
        assert_true(rig.mock->dev.unasked);
        mock_disk_complete(rig.mock, 0);
        mock_service(rig.mock);
        assert_int_equal(rig.mock->dev.line, i >= 2);
        assert_int_equal(rig.mock->edges, i >= 2);
    }
    assert_int_equal(*guest_avail_event(&rig.queue), 4);
    assert_false(rig.mock->dev.unasked);
    mock_free(rig.mock);
}

/* What the guest adds without a notification is found by the next completion. */
static void test_unasked(void **state)
{
    struct rig rig = rig_up(USUAL | FEATURE_EVENT_IDX);
    (void)state;
    offer(&rig, 0, IN, 0, DATA_GPA, 512);
    guest_notify(rig.mock, 0);
    offer(&rig, 1, IN, 1, DATA_GPA + 512, 512);
    assert_int_equal(rig.mock->disk.ninflight, 1);
    mock_disk_complete(rig.mock, 0);
    mock_service(rig.mock);
    assert_int_equal(rig.mock->disk.ninflight, 1);
    mock_disk_finish(rig.mock);
    assert_int_equal(*status_byte(&rig, 1), OK);
    offer(&rig, 0, IN, 0, DATA_GPA, 512);
    guest_notify(rig.mock, 0);
    assert_true(rig.mock->dev.unasked);
    mock_store(rig.mock, REG_STATUS, 4, 0);
    assert_false(rig.mock->dev.unasked);
    mock_free(rig.mock);
}

static void test_notify_ablated(void **state)
{
    struct rig rig = {.mock = mock_new_disk(&paravirt_disk)};
    (void)state;
    rig.mock->dev.end->ablate = ABLATE_NOTIFY;
    mock_store(rig.mock, 0x014, 4, 0); /* DeviceFeaturesSel */
    assert_false(mock_load(rig.mock, 0x010, 4) & FEATURE_EVENT_IDX);
    rig_start(&rig, USUAL);
    for (unsigned slot = 0; slot < 4; slot++) {
        offer(&rig, slot, IN, slot, DATA_GPA + 512 * slot, 512);
        guest_notify(rig.mock, 0);
        assert_int_equal(guest_used(&rig.queue)[0], 0); /* USED_F_NO_NOTIFY is clear */
    }
    assert_false(rig.mock->dev.unasked);
    mock_disk_finish(rig.mock);
    assert_int_equal(guest_used(&rig.queue)[1], 4);
    mock_free(rig.mock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_depth),          cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_large_queue),    cmocka_unit_test(test_header_changes),
        cmocka_unit_test(test_reset),          cmocka_unit_test(test_broken_in_flight),
        cmocka_unit_test(test_interrupts),     cmocka_unit_test(test_unasked),
        cmocka_unit_test(test_notify_ablated),
    };
    return cmocka_run_group_tests_name("virtio_blk many", tests, NULL, NULL);
}
