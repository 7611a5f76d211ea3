/*
 * devices/paravirt/mmio.c: registers, widths and the status machine. The device behind it is the
 * console, but for what needs a configuration space.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "devices/paravirt/paravirt.h"
#include "virtio_guest.h"

#define QUEUE_GPA MOCK_RAM_BASE
#define DATA_GPA  (MOCK_RAM_BASE + 0x10000)
#define OFFERED   (FEATURE_INDIRECT | FEATURE_EVENT_IDX | FEATURE_VERSION_1)

static unsigned status_after(struct mock *mock, unsigned value)
{
    mock_store(mock, REG_STATUS, 4, value);
    return guest_status(mock);
}

static unsigned ready(struct mock *mock)
{
    return (unsigned)mock_load(mock, 0x044, 4);
}

static void test_identity(void **state)
{
    struct mock *mock = mock_new_console(&paravirt_console);
    struct mock *disk = mock_new_disk(&paravirt_disk);
    (void)state;
    assert_int_equal(mock_load(mock, 0x000, 4), 0x74726976);
    assert_int_equal(mock_load(mock, 0x004, 4), 2);
    assert_int_equal(mock_load(mock, 0x008, 4), 3);
    assert_int_equal(mock_load(disk, 0x008, 4), 2);
    assert_int_equal(mock_load(mock, 0x00c, 4), 0x554d4551);
    for (unsigned reg = 0x0b0; reg < 0x0c0; reg += 4) /* no shared memory */
        assert_int_equal(mock_load(mock, reg, 4), UINT32_MAX);
    assert_int_equal(mock_load(mock, 0x0fc, 4), 0);

    mock_store(mock, 0x014, 4, 0);
    assert_int_equal(mock_load(mock, 0x010, 4), (uint32_t)OFFERED);
    mock_store(mock, 0x014, 4, 1);
    assert_int_equal(mock_load(mock, 0x010, 4), OFFERED >> 32);
    mock_store(mock, 0x014, 4, 2);
    assert_int_equal(mock_load(mock, 0x010, 4), 0);

    for (unsigned queue = 0; queue < 4; queue++) {
        mock_store(mock, 0x030, 4, queue);
        assert_int_equal(mock_load(mock, 0x034, 4), queue < 2 ? 1024 : 0);
    }
    mock_store(mock, 0x030, 4, UINT32_MAX);
    assert_int_equal(mock_load(mock, 0x034, 4), 0);
    assert_int_equal(ready(mock), 0);
    mock_free(mock);
    mock_free(disk);
}

static void test_widths(void **state)
{
    struct mock *mock = mock_new_disk(&paravirt_disk);
    uint64_t value;
    (void)state;
    /* A register is a word: less is nothing, more is two. */
    for (unsigned width = 1; width <= 2; width++) {
        assert_int_equal(mock_load(mock, 0x000, width), 0);
        mock_store(mock, REG_STATUS, width, 1);
        assert_int_equal(guest_status(mock), 0);
    }
    assert_int_equal(mock_load(mock, 0x000, 8), 0x0000000274726976);
    mock_store(mock, REG_STATUS, 8, 0xffffffff00000001);
    assert_int_equal(guest_status(mock), 1);
    assert_int_equal(mock_load(mock, 0x068, 8), 0);

    /* The configuration space takes all; behind its end there are ones. */
    assert_int_equal(mock_load(mock, 0x100, 8), MOCK_SECTORS);
    assert_int_equal(mock_load(mock, 0x101, 1), MOCK_SECTORS >> 8);
    assert_int_equal(mock_load(mock, 0x100, 2), MOCK_SECTORS);
    assert_int_equal(mock_load(mock, 0x10c, 4), HOST_DISK_MAX_SEGMENTS);
    assert_int_equal(mock_load(mock, 0x138, 4), 1);
    assert_int_equal(mock_load(mock, 0x13c, 4), UINT32_MAX);
    assert_int_equal(mock_load(mock, 0x13c, 1), 0xff);
    assert_int_equal(mock_load(mock, 0x138, 8), 0xffffffff00000001);
    assert_int_equal(mock_load(mock, 0x1f8, 8), UINT64_MAX);
    assert_false(mock_try_load(mock, 0x200, 4, &value)); /* nor is there anything on QEMU's board */
    assert_false(mock_try_load(mock, 0xffc, 1, &value));
    mock_store(mock, 0x100, 4, 5);
    assert_int_equal(mock_load(mock, 0x100, 4), MOCK_SECTORS);
    mock_free(mock);
}

static void test_status(void **state)
{
    struct mock *mock = mock_new_console(&paravirt_console);
    (void)state;
    assert_int_equal(guest_status(mock), 0);
    /* What is written is read, in whatever order, as on QEMU's board. */
    for (unsigned value = 1; value < 0x40; value++)
        assert_int_equal(status_after(mock, value), value);
    assert_int_equal(status_after(mock, 0x80), 0x80);
    /* DEVICE_NEEDS_RESET is not the driver's. */
    assert_int_equal(status_after(mock, 15 | 0x40), 15);
    /* Only the low byte counts, so this is a reset. */
    assert_int_equal(status_after(mock, 0x100), 0);
    assert_int_equal(guest_negotiate(mock, FEATURE_VERSION_1), 11);
    assert_int_equal(status_after(mock, 15), 15);
    mock_free(mock);
}

static void test_features(void **state)
{
    struct mock *mock = mock_new_console(&paravirt_console);
    struct guest_queue queue;
    (void)state;
    assert_int_equal(guest_negotiate(mock, OFFERED), 11);
    assert_int_equal(guest_negotiate(mock, OFFERED & ~FEATURE_VERSION_1), 11);
    assert_int_equal(guest_negotiate(mock, 0), 11);
    for (unsigned bit = 0; bit < 64; bit++)
        assert_int_equal(guest_negotiate(mock, FEATURE_VERSION_1 | 1ull << bit),
                         OFFERED >> bit & 1 ? 11 : 3);
    /* A bit that 64 bits cannot hold. */
    guest_negotiate(mock, OFFERED | 1);
    mock_store(mock, 0x024, 4, 2);
    mock_store(mock, 0x020, 4, 1);
    mock_store(mock, 0x024, 4, 0);
    mock_store(mock, 0x020, 4, 0);
    assert_int_equal(status_after(mock, 11), 3);
    /* A refusal is no end: the driver may try again with less. */
    guest_negotiate(mock, OFFERED | 1);
    mock_store(mock, 0x024, 4, 0);
    mock_store(mock, 0x020, 4, 0);
    assert_int_equal(status_after(mock, 11), 11);
    /* Settled then: without EVENT_IDX, whatever is written now, the used ring has flags. */
    assert_int_equal(guest_negotiate(mock, FEATURE_VERSION_1), 11);
    mock_store(mock, 0x024, 4, 0);
    mock_store(mock, 0x020, 4, (uint32_t)FEATURE_EVENT_IDX);
    queue = guest_queue_at(&mock->vm, QUEUE_GPA, 8);
    guest_used(&queue)[0] = *guest_avail_event(&queue) = 77;
    guest_queue_start(mock, 1, &queue);
    assert_int_equal(status_after(mock, 15), 15);
    assert_int_equal(guest_used(&queue)[0], 0);
    assert_int_equal(*guest_avail_event(&queue), 77);
    mock_free(mock);
}

/* Offers one buffer with EVENT_IDX accepted. Whether that is in force shows in the used ring: its
 * flags say "do not notify" only without. */
static bool event_idx_is_in_force(struct mock *mock, unsigned status)
{
    struct guest_queue queue = guest_queue_at(&mock->vm, QUEUE_GPA, 8);
    mock_store(mock, REG_STATUS, 4, 0);
    mock_store(mock, 0x020, 4, (uint32_t)FEATURE_EVENT_IDX); /* bits 0 to 31 alone */
    guest_queue_start(mock, 1, &queue);                      /* before the negotiation, too */
    mock_store(mock, REG_STATUS, 4, status);
    guest_used(&queue)[0] = *guest_avail_event(&queue) = 77;
    memcpy(mock_ram(mock, DATA_GPA, 2), "hi", 2);
    guest_desc(&queue, 0, DATA_GPA, 2, 0, 0);
    guest_offer(&queue, 0);
    guest_notify(mock, 1);
    assert_int_equal(guest_used(&queue)[1], 1);
    return guest_used(&queue)[0] == 77 && *guest_avail_event(&queue) == 1;
}

static void test_lax_drivers(void **state)
{
    struct mock *mock = mock_new_console(&paravirt_console);
    (void)state;
    assert_true(event_idx_is_in_force(mock, 15));
    assert_true(event_idx_is_in_force(mock, 12));
    assert_true(event_idx_is_in_force(mock, 11)); /* notified early */
    assert_false(event_idx_is_in_force(mock, 7)); /* FEATURES_OK is left out: none is in force */
    assert_false(event_idx_is_in_force(mock, 4));
    mock_free(mock);
}

static void test_queue_registers(void **state)
{
    struct mock *mock = mock_new_console(&paravirt_console);
    struct guest_queue queue = guest_queue_at(&mock->vm, QUEUE_GPA, 8);
    struct guest_queue other = guest_queue_at(&mock->vm, QUEUE_GPA + 0x3000, 16);
    (void)state;
    /* Before the features are settled, if the driver will. */
    guest_queue_start(mock, 1, &queue);
    assert_int_equal(ready(mock), 1);
    assert_int_equal(guest_status(mock), 0);
    guest_negotiate(mock, OFFERED);
    assert_int_equal(ready(mock), 0);
    guest_queue_start(mock, 1, &queue);
    assert_int_equal(ready(mock), 1);
    mock_store(mock, 0x030, 4, 0);
    assert_int_equal(ready(mock), 0);
    mock_store(mock, 0x030, 4, 2); /* no such queue */
    mock_store(mock, 0x044, 4, 1);
    assert_int_equal(ready(mock), 0);

    /* While it is ready its registers are settled: output still comes from the first ring. */
    guest_queue_start(mock, 1, &other);
    guest_driver_ok(mock);
    memcpy(mock_ram(mock, DATA_GPA, 2), "hi", 2);
    guest_desc(&queue, 0, DATA_GPA, 2, 0, 0);
    guest_offer(&queue, 0);
    guest_notify(mock, 1);
    assert_int_equal(mock->console.noutput, 2);

    mock_store(mock, 0x044, 4, 1); /* and ready is ready: it does not begin anew */
    assert_int_equal(mock->console.noutput, 2);

    /* Stopped, it is not touched; started again it begins anew. */
    mock_store(mock, 0x044, 4, 0);
    assert_int_equal(ready(mock), 0);
    guest_offer(&queue, 0);
    guest_notify(mock, 1);
    mock_service(mock);
    assert_int_equal(mock->console.noutput, 2);
    assert_int_equal(guest_used(&queue)[1], 1);
    guest_desc(&other, 0, DATA_GPA, 1, 0, 0);
    guest_offer(&other, 0);
    guest_queue_start(mock, 1, &other); /* device is up: what is there is taken at once */
    assert_int_equal(mock->console.noutput, 3);
    assert_int_equal(guest_used(&other)[1], 1);
    assert_int_equal(guest_status(mock), 15);
    mock_free(mock);
}

static void test_bad_queue(void **state)
{
    static const struct {
        uint16_t num;
        uint64_t desc_gpa;
    } rows[] = {{0, QUEUE_GPA}, {7, QUEUE_GPA}, {2048, QUEUE_GPA}, {8, QUEUE_GPA + 4}, {8, 0x1000}};
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct mock *mock = mock_new_console(&paravirt_console);
        struct guest_queue queue = guest_queue_at(&mock->vm, QUEUE_GPA, 8);
        queue.num = rows[i].num;
        queue.desc_gpa = rows[i].desc_gpa;
        guest_negotiate(mock, OFFERED);
        guest_queue_start(mock, 1, &queue);
        assert_int_equal(ready(mock), 0);
        assert_int_equal(guest_status(mock), 0x4b);
        /* The driver is not up: it is not interrupted. */
        assert_int_equal(mock_load(mock, 0x060, 4), 0);
        assert_false(mock->dev.line);
        assert_int_equal(status_after(mock, 0), 0);
        mock_free(mock);
    }
}

static struct mock *mock_up(struct guest_queue *queue, uint64_t features)
{
    struct mock *mock = mock_new_console(&paravirt_console);
    *queue = guest_queue_at(&mock->vm, QUEUE_GPA, 8);
    guest_negotiate(mock, features);
    guest_queue_start(mock, 1, queue);
    guest_desc(queue, 0, DATA_GPA, 2, 0, 0);
    return mock;
}

static void test_interrupt(void **state)
{
    struct guest_queue queue;
    struct mock *mock = mock_up(&queue, FEATURE_VERSION_1);
    struct guest_queue other = guest_queue_at(&mock->vm, QUEUE_GPA + 0x3000, 8);
    (void)state;
    /* Before DRIVER_OK nothing is taken, unless the driver notifies: then it is, of this queue
     * alone. */
    guest_queue_start(mock, 0, &other);
    guest_desc(&other, 0, DATA_GPA + 16, 2, DESC_WRITE, 0);
    guest_offer(&other, 0);
    mock_console_type(mock, "in", 2);
    guest_offer(&queue, 0);
    mock_service(mock);
    assert_int_equal(guest_used(&queue)[1], 0);
    guest_notify(mock, 1);
    assert_int_equal(mock->dev.count.notifications, 1);
    assert_int_equal(mock->console.noutput, 2);
    assert_int_equal(guest_used(&queue)[1], 1);
    assert_int_equal(guest_used(&other)[1], 0);
    assert_true(mock->dev.line);
    mock_store(mock, 0x064, 4, 1);
    guest_driver_ok(mock); /* what was offered before is not forgotten */
    assert_int_equal(mock->console.noutput, 2);
    assert_int_equal(guest_used(&other)[1], 1);
    assert_true(mock->dev.line);
    assert_int_equal(mock_load(mock, 0x060, 4), 1);
    mock_store(mock, 0x064, 4, 2); /* not the one that is set */
    assert_true(mock->dev.line);
    mock_store(mock, 0x064, 4, 1);
    assert_false(mock->dev.line);
    assert_int_equal(mock_load(mock, 0x060, 4), 0);

    guest_avail(&queue)[0] = 1; /* the driver polls */
    guest_offer(&queue, 0);
    guest_notify(mock, 1);
    assert_int_equal(mock->console.noutput, 4);
    assert_false(mock->dev.line);
    guest_notify(mock, 2); /* no such queue, no such number */
    guest_notify(mock, UINT32_MAX);
    mock_store(mock, 0x030, 4, 0);
    mock_store(mock, 0x044, 4, 0);
    guest_notify(mock, 0); /* not ready */
    assert_int_equal(guest_status(mock), 15);
    assert_int_equal(mock->dev.count.notifications, 5);
    mock_free(mock);
}

static void test_broken(void **state)
{
    struct guest_queue queue;
    struct mock *mock = mock_up(&queue, FEATURE_VERSION_1);
    (void)state;
    guest_driver_ok(mock);
    guest_avail(&queue)[1] = 100;
    guest_notify(mock, 1);
    assert_int_equal(guest_status(mock), 0x4f);
    assert_int_equal(mock_load(mock, 0x060, 4), 2);
    assert_true(mock->dev.line);
    mock_store(mock, 0x064, 4, 2);

    /* It rests, even when the ring looks well again, and says so only once. */
    guest_avail(&queue)[1] = 1;
    guest_notify(mock, 1);
    mock_service(mock);
    assert_int_equal(guest_used(&queue)[1], 0);
    assert_int_equal(mock->console.noutput, 0);
    assert_false(mock->dev.line);
    assert_int_equal(status_after(mock, 15), 0x4f);

    /* Until reset, and then it works. */
    assert_int_equal(status_after(mock, 0), 0);
    assert_int_equal(ready(mock), 0);
    queue = guest_queue_at(&mock->vm, QUEUE_GPA, 8);
    guest_negotiate(mock, FEATURE_VERSION_1);
    guest_queue_start(mock, 1, &queue);
    guest_driver_ok(mock);
    guest_desc(&queue, 0, DATA_GPA, 2, 0, 0);
    guest_offer(&queue, 0);
    guest_notify(mock, 1);
    assert_int_equal(mock->console.noutput, 2);
    mock_free(mock);
}

/* A driver that looks at the ring first and acknowledges then: a buffer that is used between makes
 * the PLIC's source pending though the line is high, or its interrupt would be lost. */
static void test_asserted_again(void **state)
{
    struct guest_queue queue;
    struct mock *mock = mock_up(&queue, FEATURE_VERSION_1);
    (void)state;
    guest_driver_ok(mock);
    guest_offer(&queue, 0);
    guest_notify(mock, 1);
    assert_int_equal(mock->asserted, 1);
    (void)mock_load(mock, 0x060, 4);
    mock_service(mock); /* nothing to do */
    assert_int_equal(mock->asserted, 1);
    guest_offer(&queue, 0);
    guest_notify(mock, 1);
    assert_int_equal(mock->asserted, 2);
    assert_int_equal(mock->edges, 1);
    mock_store(mock, 0x064, 4, 1);
    assert_false(mock->dev.line);
    assert_int_equal(mock->asserted, 2);
    mock_free(mock);
}

static void test_reset(void **state)
{
    struct guest_queue queue;
    struct mock *mock = mock_up(&queue, FEATURE_VERSION_1);
    (void)state;
    for (unsigned round = 0; round < 2; round++) {
        guest_driver_ok(mock);
        guest_offer(&queue, 0);
        guest_notify(mock, 1);
        assert_true(mock->dev.line);
        mock_store(mock, 0x024, 4, 0);
        mock_store(mock, 0x020, 4, 1); /* what is not on offer */
        /* By the driver, then with the whole VM. */
        if (round == 0)
            mock_store(mock, REG_STATUS, 4, 0);
        else
            assert_int_equal(paravirt_console.attach(&mock->dev), 0);
        assert_false(mock->dev.line);
        assert_int_equal(guest_status(mock), 0);
        assert_int_equal(mock_load(mock, 0x060, 4), 0);
        mock_store(mock, 0x030, 4, 1);
        assert_int_equal(ready(mock), 0);
        assert_int_equal(status_after(mock, 11), 11); /* the features are forgotten */
        queue = guest_queue_at(&mock->vm, QUEUE_GPA, 8);
        guest_desc(&queue, 0, DATA_GPA, 2, 0, 0);
        guest_negotiate(mock, FEATURE_VERSION_1);
        guest_queue_start(mock, 1, &queue);
    }
    mock_free(mock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity),    cmocka_unit_test(test_widths),
        cmocka_unit_test(test_status),      cmocka_unit_test(test_features),
        cmocka_unit_test(test_lax_drivers), cmocka_unit_test(test_queue_registers),
        cmocka_unit_test(test_bad_queue),   cmocka_unit_test(test_interrupt),
        cmocka_unit_test(test_broken),      cmocka_unit_test(test_asserted_again),
        cmocka_unit_test(test_reset),
    };
    return cmocka_run_group_tests_name("virtio_mmio", tests, NULL, NULL);
}
