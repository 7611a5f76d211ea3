/*
 * devices/paravirt/disk.c: any layout of a request in descriptors, what the device writes itself,
 * and what is no request.
 */
#include "blk_guest.h"

/* The device tells the core of what it writes itself, status and used ring, as much for a read as
 * for a write: the data is the concern of the host's disk (test_host_disk.c). */
static void test_asks(void **state)
{
    struct rig rig = rig_up(USUAL);
    unsigned asks[2];
    (void)state;
    for (unsigned type = IN; type <= OUT; type++) {
        asks[type] = rig.mock->vm.writable_asks;
        offer(&rig, 0, type, 0, DATA_GPA, 512);
        guest_notify(rig.mock, 0);
        mock_disk_finish(rig.mock);
        asks[type] = rig.mock->vm.writable_asks - asks[type];
    }
    assert_int_equal(asks[IN], asks[OUT]);
    assert_true(asks[IN] >= 2);
    mock_free(rig.mock);
}

/* Everything in one-byte descriptors, in pieces across the borders, and in one piece. */
static void test_layout(void **state)
{
    static const uint32_t cuts[][2] = {{1, 100}, {5, 77}, {16, 512}, {528, 513}, {3, 1}};
    struct rig rig = rig_up(USUAL);
    uint8_t *request = mock_ram(rig.mock, DATA_GPA, 1024), *answer = request + 0x8000;
    uint32_t id, len;
    (void)state;
    for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++)
        for (unsigned type = IN; type <= OUT; type++) {
            uint32_t readable = type == IN ? 16 : 528, writable = type == IN ? 513 : 1, n = 0;
            uint32_t least = (readable + 511) / 120; /* keeps the chain short enough */
            uint64_t sector = 10 + i;
            memset(request, 0x30 + (int)i, 1024);
            memset(answer, NONE, 1024);
            memset(request, 0, 16);
            request[0] = (uint8_t)type;
            request[8] = (uint8_t)sector;
            for (uint32_t at = 0, part; at < readable; at += part) {
                part = cuts[i][0] < least && at >= 16 ? 17 : cuts[i][0];
                part = part > readable - at ? readable - at : part;
                guest_table(&rig.mock->vm, TABLE_GPA, n, DATA_GPA + at, part, DESC_NEXT,
                            (uint16_t)(n + 1));
                n++;
            }
            for (uint32_t at = 0, part; at < writable; at += part) {
                part = cuts[i][1] == 1 && at < 500 ? 100 : cuts[i][1];
                part = part > writable - at ? writable - at : part;
                guest_table(&rig.mock->vm, TABLE_GPA, n, DATA_GPA + 0x8000 + at, part,
                            DESC_WRITE | (at + part < writable ? DESC_NEXT : 0), (uint16_t)(n + 1));
                n++;
            }
            guest_desc(&rig.queue, 0, TABLE_GPA, n * 16, DESC_INDIRECT, 0);
            guest_offer(&rig.queue, 0);
            guest_notify(rig.mock, 0);
            mock_disk_finish(rig.mock);
            assert_true(guest_take(&rig.queue, &id, &len));
            assert_int_equal(len, writable);
            assert_int_equal(answer[writable - 1], OK);
            assert_int_equal(answer[writable], NONE);
            if (type == IN)
                assert_pattern(answer, sector, 512);
            else
                assert_memory_equal(rig.mock->disk.image + sector * 512, request + 16, 512);
            if (type == OUT) /* as it was */
                for (unsigned b = 0; b < 512; b++)
                    rig.mock->disk.image[sector * 512 + b] = mock_disk_pattern(sector, b);
        }
    assert_int_equal(rig.mock->disk.invalid, 0);
    mock_free(rig.mock);
}

static void test_segments(void **state)
{
    struct rig rig = rig_up(USUAL);
    uint32_t id, len;
    (void)state;
    /* seg_max pages in place; one more is refused, with the answer where it belongs. */
    for (unsigned segments = 125; segments <= 127; segments++) {
        unsigned n = segments + 2, first = segments == 127; /* 127: the header inside the first */
        header(&rig, 0, OUT, 0);
        *status_byte(&rig, 0) = NONE;
        memcpy(mock_ram(rig.mock, DATA_GPA, 16), mock_ram(rig.mock, HEADER_GPA, 16), 16);
        if (!first)
            guest_table(&rig.mock->vm, TABLE_GPA, 0, HEADER_GPA, 16, DESC_NEXT, 1);
        for (unsigned i = 0; i < segments; i++)
            guest_table(&rig.mock->vm, TABLE_GPA, i + 1 - first, DATA_GPA + 1024 * i,
                        first && i == 0 ? 528 : 512, DESC_NEXT, (uint16_t)(i + 2 - first));
        guest_table(&rig.mock->vm, TABLE_GPA, n - 1 - first, STATUS_GPA, 1, DESC_WRITE, 0);
        guest_desc(&rig.queue, 0, TABLE_GPA, (n - first) * 16, DESC_INDIRECT, 0);
        guest_offer(&rig.queue, 0);
        guest_notify(rig.mock, 0);
        if (segments <= 126) {
            assert_int_equal(rig.mock->disk.last_nsegments, segments);
            assert_ptr_equal(rig.mock->disk.inflight->segments[1].base,
                             mock_ram(rig.mock, DATA_GPA + 1024, 1));
        }
        mock_disk_finish(rig.mock);
        assert_true(guest_take(&rig.queue, &id, &len));
        assert_int_equal(*status_byte(&rig, 0), segments <= 126 ? OK : IOERR);
    }
    assert_int_equal(rig.mock->disk.invalid, 0);
    mock_free(rig.mock);
}

/* No request can be made out of it: the queue is broken. */
static void test_no_request(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct rig rig = rig_up(USUAL);
        header(&rig, 0, IN, 0);
        if (i == 0) /* header too short */
            guest_desc(&rig.queue, 0, HEADER_GPA, 15, DESC_NEXT, 1);
        else
            guest_desc(&rig.queue, 0, HEADER_GPA, 16, i == 1 ? 0 : DESC_NEXT | DESC_WRITE, 1);
        guest_desc(&rig.queue, 1, STATUS_GPA, 1, DESC_WRITE, 0);
        guest_offer(&rig.queue, 0);
        guest_notify(rig.mock, 0);
        assert_int_equal(mock_load(rig.mock, REG_STATUS, 4), 0x4f);
        assert_int_equal(mock_load(rig.mock, 0x060, 4), 2);
        mock_free(rig.mock);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_asks),
        cmocka_unit_test(test_segments),
        cmocka_unit_test(test_no_request),
    };
    return cmocka_run_group_tests_name("virtio_blk layout", tests, NULL, NULL);
}
