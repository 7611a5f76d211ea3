/* The driver of the tests of devices/paravirt/console.c: the device with both its queues up. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "devices/paravirt/paravirt.h"
#include "virtio_guest.h"

#define DATA_GPA (MOCK_RAM_BASE + 0x10000)
#define NUM      8u

struct rig {
    struct mock *mock;
    struct guest_queue rx, tx;
};

static inline struct rig rig_up(uint64_t features)
{
    struct rig rig = {.mock = mock_new_console(&paravirt_console)};
    rig.rx = guest_queue_at(&rig.mock->vm, MOCK_RAM_BASE, NUM);
    rig.tx = guest_queue_at(&rig.mock->vm, MOCK_RAM_BASE + 0x4000, NUM);
    assert_int_equal(guest_negotiate(rig.mock, FEATURE_VERSION_1 | features), 11);
    guest_queue_start(rig.mock, 0, &rig.rx);
    guest_queue_start(rig.mock, 1, &rig.tx);
    guest_driver_ok(rig.mock);
    return rig;
}
