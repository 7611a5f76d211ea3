/*
 * devices/paravirt/ring.c: what the specification allows, each thing that it forbids, a model with
 * random chains, and a guest that writes noise.
 */
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

static struct rig *rig_new(uint16_t num, bool indirect, bool event_idx)
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

static void rig_free(struct rig *rig)
{
    free(rig->vm.ram);
    free(rig);
}

static enum ring_result pop(struct rig *rig)
{
    return ring_pop(&rig->vm, &rig->ring, &rig->chain);
}

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

/* --- A model with random chains --- */

#define MODEL_NUM 32u

/* What the model guest knows: which descriptors are free, and what each chain should look like. */
struct model {
    struct rig *rig;
    uint64_t noise;
    bool used[MODEL_NUM];
    struct ring_chain expect[MODEL_NUM]; /* by head */
    uint16_t waiting[MODEL_NUM];         /* heads offered, in order */
    unsigned nwaiting;
    uint16_t taken[MODEL_NUM]; /* heads that the device has */
    unsigned ntaken;
    bool event_idx;
    unsigned pushed; /* since the last interrupt question */
    unsigned total;
};

static unsigned dice(struct model *model, unsigned sides)
{
    return (unsigned)(mock_random(&model->noise) % sides);
}

static int free_desc(struct model *model)
{
    unsigned start = dice(model, MODEL_NUM);
    for (unsigned i = 0; i < MODEL_NUM; i++)
        if (!model->used[(start + i) % MODEL_NUM])
            return (int)((start + i) % MODEL_NUM);
    return -1;
}

/* Appends a segment to the expectation, returns its flags. */
static struct guest_desc random_segment(struct model *model, struct ring_chain *expect, bool write)
{
    uint32_t len = 1 + dice(model, 5000);
    uint64_t gpa = DATA_GPA + dice(model, MOCK_RAM_SIZE - 0x8000 - 5000);
    expect->segment[expect->readable + expect->writable] = (struct ring_segment){gpa, len};
    if (write) {
        expect->writable++;
        expect->writable_bytes += len;
    } else {
        expect->readable++;
        expect->readable_bytes += len;
    }
    return (struct guest_desc){gpa, len, write ? DESC_WRITE : 0, 0xdead};
}

static void model_offer(struct model *model)
{
    struct guest_queue *guest = &model->rig->guest;
    int head = free_desc(model);
    unsigned count = 1 + dice(model, 6), writable_from = dice(model, 7);
    bool indirect = dice(model, 2);
    struct ring_chain *expect;
    int at = head;
    if (head < 0)
        return;
    expect = &model->expect[head];
    memset(expect, 0, sizeof(*expect));
    expect->head = (uint16_t)head;
    for (unsigned i = 0; i < count; i++) {
        struct guest_desc desc = random_segment(model, expect, i >= writable_from);
        uint64_t table_gpa = TABLE_GPA + 128u * (unsigned)head;
        int next = -1;
        if (indirect) {
            guest_table(&model->rig->vm, table_gpa, i, desc.gpa, desc.len,
                        desc.flags | (i + 1 < count ? DESC_NEXT : 0), (uint16_t)(i + 1));
            continue;
        }
        model->used[at] = true;
        if (i + 1 < count)
            next = free_desc(model);
        guest_desc(guest, (unsigned)at, desc.gpa, desc.len,
                   desc.flags | (next >= 0 ? DESC_NEXT : 0),
                   next >= 0 ? (uint16_t)next : desc.next);
        if (next < 0)
            break;
        at = next;
    }
    model->used[head] = true;
    if (indirect)
        guest_desc(guest, (unsigned)head, TABLE_GPA + 128u * (unsigned)head, count * 16,
                   DESC_INDIRECT, 0);
    model->waiting[model->nwaiting++] = (uint16_t)head;
    guest_offer(guest, (uint16_t)head);
}

static void model_pop(struct model *model)
{
    struct ring_chain *chain = &model->rig->chain, *expect;
    unsigned count;
    if (!model->nwaiting) {
        assert_int_equal(pop(model->rig), RING_EMPTY);
        if (model->event_idx)
            assert_int_equal(*guest_avail_event(&model->rig->guest), model->rig->guest.avail_idx);
        return;
    }
    assert_int_equal(pop(model->rig), RING_CHAIN);
    expect = &model->expect[model->waiting[0]];
    assert_int_equal(chain->head, expect->head);
    assert_int_equal(chain->readable, expect->readable);
    assert_int_equal(chain->writable, expect->writable);
    assert_int_equal(chain->readable_bytes, expect->readable_bytes);
    assert_int_equal(chain->writable_bytes, expect->writable_bytes);
    count = expect->readable + expect->writable;
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(chain->segment[i].gpa, expect->segment[i].gpa);
        assert_int_equal(chain->segment[i].len, expect->segment[i].len);
    }
    model->taken[model->ntaken++] = expect->head;
    model->nwaiting--;
    memmove(model->waiting, model->waiting + 1, model->nwaiting * sizeof(model->waiting[0]));
}

/* Follows the chain in the guest's own table to free its descriptors. */
static void model_release(struct model *model, unsigned head)
{
    struct guest_desc desc;
    do {
        memcpy(&desc, vm_ram(&model->rig->vm, QUEUE_GPA + 16 * head, 16), 16);
        model->used[head] = false;
        head = desc.next;
    } while (desc.flags & DESC_NEXT);
}

static void model_push(struct model *model)
{
    unsigned which = model->ntaken ? dice(model, model->ntaken) : 0;
    uint32_t written = dice(model, 10000), id, len;
    uint16_t head;
    if (!model->ntaken)
        return;
    head = model->taken[which];
    model->taken[which] = model->taken[--model->ntaken];
    assert_int_equal(ring_push(&model->rig->vm, &model->rig->ring, head, written), RING_CHAIN);
    assert_true(guest_take(&model->rig->guest, &id, &len));
    assert_int_equal(id, head);
    assert_int_equal(len, written);
    assert_false(guest_take(&model->rig->guest, &id, &len));
    model_release(model, head);
    model->pushed++;
    model->total++;
}

static void model_ask(struct model *model)
{
    struct guest_queue *guest = &model->rig->guest;
    uint16_t event = (uint16_t)(guest->used_idx + dice(model, 6) - 4);
    bool silent = dice(model, 2), expect = model->pushed && !silent;
    guest_avail(guest)[0] = silent;
    *guest_used_event(guest) = event;
    if (model->event_idx) {
        expect = false;
        for (unsigned i = 1; i <= model->pushed; i++)
            expect |= (uint16_t)(guest->used_idx - i) == event;
    }
    assert_int_equal(ring_wants_interrupt(&model->rig->vm, &model->rig->ring), expect);
    model->pushed = 0;
}

static void test_model(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 2; round++) {
        struct model model = {.noise = 0x1234567 + round, .event_idx = round};
        model.rig = rig_new(MODEL_NUM, true, model.event_idx);
        while (model.total < 70000) /* the indices have wrapped */
            switch (dice(&model, 4)) {
            case 0: model_offer(&model); break;
            case 1: model_pop(&model); break;
            case 2: model_push(&model); break;
            case 3: model_ask(&model); break;
            }
        rig_free(model.rig);
    }
}

/* --- Noise --- */

/* Mostly plausible descriptors, so that the walk gets somewhere; sometimes bare noise. */
static void noise_desc(uint64_t *noise, struct rig *rig, uint64_t table_gpa, unsigned index)
{
    static const uint64_t gpas[] = {DATA_GPA,     TABLE_GPA,      QUEUE_GPA,
                                    RAM_END - 16, UINT64_MAX - 7, 0};
    uint64_t r = mock_random(noise);
    uint64_t gpa = gpas[r % 6] + (r >> 8) % 32;
    uint32_t len = (r >> 16) % 4 ? 16 * ((r >> 20) % 40) : (uint32_t)mock_random(noise);
    guest_table(&rig->vm, table_gpa, index, gpa, len, (r >> 32) % 8, (r >> 40) % 12);
}

static void test_noise(void **state)
{
    struct rig *rig = rig_new(8, true, true);
    uint64_t noise = 42;
    uint8_t *before = malloc(0x2000);
    unsigned results[3] = {0};
    (void)state;
    assert_non_null(before);
    for (unsigned round = 0; round < 100000; round++) {
        uint64_t r = mock_random(&noise);
        assert_true(ring_start(&rig->vm, &rig->ring, r & 1, r & 2));
        for (unsigned i = 0; i < 12; i++)
            guest_avail(&rig->guest)[i] = mock_random(&noise) % 10;
        for (unsigned i = 0; i < 8; i++) {
            noise_desc(&noise, rig, QUEUE_GPA, i);
            noise_desc(&noise, rig, TABLE_GPA, i);
        }
        memcpy(before, rig->vm.ram, 0x2000);
        for (unsigned i = 0; i < 10; i++) {
            enum ring_result result = pop(rig);
            results[result]++;
            if (result != RING_CHAIN)
                break;
            for (unsigned s = 0; s < rig->chain.readable + rig->chain.writable; s++)
                assert_non_null(
                    vm_ram(&rig->vm, rig->chain.segment[s].gpa, rig->chain.segment[s].len));
            ring_push(&rig->vm, &rig->ring, rig->chain.head, 1);
            ring_wants_interrupt(&rig->vm, &rig->ring);
        }
        /* The device writes to the used ring alone. */
        assert_memory_equal(before, rig->vm.ram, 0x2000);
    }
    /* The noise got everywhere. */
    assert_true(results[RING_EMPTY] > 100 && results[RING_CHAIN] > 1000 &&
                results[RING_BROKEN] > 1000);
    for (unsigned i = 0x2000 + 6 + 8 * 8; i < 0x4000; i++)
        assert_int_equal(rig->vm.ram[i], 0);
    for (unsigned i = 0x5000; i < MOCK_RAM_SIZE; i++)
        assert_int_equal(rig->vm.ram[i], 0);
    free(before);
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start),         cmocka_unit_test(test_chain),
        cmocka_unit_test(test_indirect),      cmocka_unit_test(test_bad),
        cmocka_unit_test(test_too_long),      cmocka_unit_test(test_avail_jump),
        cmocka_unit_test(test_notifications), cmocka_unit_test(test_interrupts),
        cmocka_unit_test(test_full),          cmocka_unit_test(test_model),
        cmocka_unit_test(test_noise),
    };
    return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
