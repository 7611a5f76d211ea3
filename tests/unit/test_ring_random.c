/* devices/paravirt/ring.c: a model with random chains, and a guest that writes noise. */
#include "ring_guest.h"

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
    expect->segment[expect->readable + expect->writable] = (struct ring_segment){.gpa = gpa,
                                                                                 .len = len};
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
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_noise),
    };
    return cmocka_run_group_tests_name("ring random", tests, NULL, NULL);
}
