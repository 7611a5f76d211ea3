/* devices/paravirt/mmio.c: a guest that writes noise, with the console and with the disk behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "devices/paravirt/paravirt.h"
#include "virtio_guest.h"

#define QUEUE_GPA MOCK_RAM_BASE

/* A descriptor table: noise, or a chain in good order that looks like a disk request. */
static void noise_table(struct mock *mock, uint64_t *state, uint64_t table_gpa, bool good)
{
    static const uint16_t flags[] = {0, 0, 1, 1, 2, 2, 3, 4};
    uint64_t r = mock_random(state);
    uint32_t header[4] = {(uint32_t)(r >> 8) % 16, 0, (uint32_t)(r >> 16) % (MOCK_SECTORS + 9), 0};
    for (unsigned i = 0; i < 8; i++) {
        uint64_t d = mock_random(state);
        uint64_t gpa = d % 64 ? QUEUE_GPA + 0xb000 + (d >> 50) : QUEUE_GPA + (d >> 48);
        uint32_t len = d & 0x1c0 ? 512 : (d >> 16) % 64 + 1;
        if (!good)
            guest_table(&mock->vm, table_gpa, i, gpa, len, flags[(d >> 32) % 8], (d >> 40) % 9);
        else
            guest_table(&mock->vm, table_gpa, i, i ? gpa : QUEUE_GPA + 0x7000, i ? len : 16,
                        (i < 7 ? DESC_NEXT : 0) | (i > r % 8 || i == 7 ? DESC_WRITE : 0),
                        (uint16_t)(i + 1));
    }
    if (good) {
        guest_table(&mock->vm, table_gpa, 7, QUEUE_GPA + 0xffff, 1, DESC_WRITE, 0);
        memcpy(mock_ram(mock, QUEUE_GPA + 0x7000, 16), header, 16);
    }
}

/* Random registers, and rings that change all the time. Everything that the device can write is in
 * the first 64 KiB, where all addresses point; the rest must stay as it was. */
static void noise(struct mock *mock)
{
    static const uint16_t likely[] = {0x030, 0x038, 0x044, 0x050, 0x050, 0x050, 0x064, 0x080,
                                      0x090, 0x0a0, 0x014, 0x010, 0x020, 0x024, 0x060, 0x100};
    uint64_t state = 7;
    unsigned ups = 0, breaks = 0;
    memset(mock->vm.ram + 0x10000, 0xa5, MOCK_RAM_SIZE - 0x10000);
    for (unsigned round = 0; round < 100000; round++) {
        uint64_t r = mock_random(&state), value;
        unsigned width = 1u << (r >> 8) % 4;
        if (r % 64 == 0 ||
            (r % 4 == 0 && guest_status(mock) != 15)) { /* a driver that starts well */
            struct guest_queue queue = guest_queue_at(&mock->vm, QUEUE_GPA, 8);
            guest_negotiate(mock,
                            FEATURE_VERSION_1 | (r & FEATURE_INDIRECT) | (r & FEATURE_EVENT_IDX));
            guest_queue_start(mock, 0, &queue);
            queue = guest_queue_at(&mock->vm, QUEUE_GPA + 0x8000, 8);
            guest_queue_start(mock, 1, &queue);
            guest_driver_ok(mock);
        }
        noise_table(mock, &state, QUEUE_GPA, round & 0x1000);
        noise_table(mock, &state, QUEUE_GPA + 0x8000, round & 0x1000);
        *(uint16_t *)mock_ram(mock, QUEUE_GPA + 0x1002, 2) += r >> 16 & 3;
        *(uint16_t *)mock_ram(mock, QUEUE_GPA + 0x9002, 2) += r >> 18 & 3;
        *(uint32_t *)mock_ram(mock, QUEUE_GPA + 0xb000 + (r >> 50 & ~3ull),
                              4) = (r >> 24) % 16; /* headers too */
        if (r & 0x400000)
            mock_console_type(mock, "noise", mock->console.ninput < 60000 ? 5 : 0);
        mock->console.noutput %= 60000;
        if (r & 0x800000)
            mock_store(mock, likely[(r >> 32) % 16], 4, (r >> 40) % 3);
        else if (r & 0x1000000)
            mock_try_load(mock, (r >> 32) % 0x1000 & ~(width - 1), width, &value);
        else if (r % 7 == 0)
            mock_store(mock, (r >> 32) % 0x200 & ~(width - 1), width, mock_random(&state) >> 16);
        if (mock->disk.ninflight && r & 0x2000000)
            mock_disk_complete(mock, (unsigned)(r >> 8) % mock->disk.ninflight);
        mock_service(mock);
        ups += (guest_status(mock) & 0x44) == 4;
        breaks += (guest_status(mock) & 0x40) != 0;
    }
    assert_true(ups > 10000 && breaks > 1000);
    assert_true(mock->dev.count.requests > 1000);
    assert_int_equal(mock->disk.invalid, 0);
    for (unsigned i = 0x20000; i < MOCK_RAM_SIZE; i++)
        assert_int_equal(mock->vm.ram[i], 0xa5);
    mock_free(mock);
}

static void test_noise_console(void **state)
{
    (void)state;
    noise(mock_new_console(&paravirt_console));
}

static void test_noise_disk(void **state)
{
    struct mock *mock = mock_new_disk(&paravirt_disk);
    (void)state;
    mock->disk.front.depth = 4; /* so that requests wait, too */
    noise(mock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_noise_console),
        cmocka_unit_test(test_noise_disk),
    };
    return cmocka_run_group_tests_name("virtio_mmio noise", tests, NULL, NULL);
}
