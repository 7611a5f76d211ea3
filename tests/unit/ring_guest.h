/* A ring of devices/paravirt/ring.c for unit tests, in a guest that has nothing else. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "devices/paravirt/ring.h"
#include "virtio_guest.h"

#define QUEUE_GPA MOCK_RAM_BASE
#define TABLE_GPA (MOCK_RAM_BASE + 0x4000) /* indirect tables */
#define DATA_GPA  (MOCK_RAM_BASE + 0x8000)
#define RAM_END   (MOCK_RAM_BASE + MOCK_RAM_SIZE)

struct rig {
    struct vm vm;
    struct guest_queue guest;
    struct ring ring;
    struct ring_chain chain;
};

/* A ring of so many entries that has been started; the chain that it yields next. */
static inline struct rig *rig_new(uint16_t num, bool indirect, bool event_idx)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    assert_non_null(rig);
    rig->vm.ram = calloc(1, MOCK_RAM_SIZE);
    assert_non_null(rig->vm.ram);
    rig->guest = guest_queue_at(&rig->vm, QUEUE_GPA, num);
    rig->ring = (struct ring){.num = num,
                              .desc_gpa = rig->guest.desc_gpa,
                              .driver_gpa = rig->guest.avail_gpa,
                              .device_gpa = rig->guest.used_gpa};
    assert_true(ring_start(&rig->vm, &rig->ring, indirect, event_idx));
    return rig;
}

static inline void rig_free(struct rig *rig)
{
    free(rig->vm.ram);
    free(rig);
}

static inline enum ring_result pop(struct rig *rig)
{
    return ring_pop(&rig->vm, &rig->ring, &rig->chain);
}
