/*
 * The guest's PLIC: random sequences against a reference that is written in another shape (one
 * record per source, no bitmaps).
 */
#include "vplic_guest.h"

/* --- The reference --- */

struct model_source {
    unsigned priority;
    bool pending, claimed, enabled[2];
};

struct model {
    struct model_source source[96];
    unsigned threshold[2], completions;
};

static unsigned model_best(const struct model *model, unsigned context)
{
    for (unsigned priority = 7; priority > model->threshold[context]; priority--) {
        for (unsigned i = 1; i < 96; i++) {
            const struct model_source *source = &model->source[i];
            if (source->pending && !source->claimed && source->enabled[context] &&
                source->priority == priority)
                return i;
        }
    }
    return 0;
}

static unsigned model_claim(struct model *model, unsigned context)
{
    unsigned id = model_best(model, context);
    if (id != 0) {
        model->source[id].pending = false;
        model->source[id].claimed = true;
    }
    return id;
}

static void model_complete(struct model *model, unsigned id)
{
    if (id < 96 && model->source[id].claimed) {
        model->source[id].claimed = false;
        model->completions++;
    }
}

static uint64_t random_next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void random_step(struct vplic *plic, struct model *model, uint64_t *seed)
{
    uint64_t dice = random_next(seed);
    unsigned context = dice >> 8 & 1, word = (dice >> 16 & 0xff) % 3;
    unsigned id = (dice >> 24 & 0xff) % 100; /* some do not exist */
    uint32_t value = (uint32_t)(dice >> 32);
    switch (dice & 15) {
    case 0:
    case 1:
        store(plic, PRIORITY(id), value);
        if (id > 0 && id < 96)
            model->source[id].priority = value & 7;
        break;
    case 2:
        store(plic, ENABLE(context, word), value);
        for (unsigned bit = 0; bit < 32; bit++)
            model->source[word * 32 + bit].enabled[context] = value >> bit & 1;
        break;
    case 3:
        store(plic, THRESHOLD(context), value & (value >> 8)); /* rather low */
        model->threshold[context] = value & (value >> 8) & 7;
        break;
    case 4:
    case 5:
    case 6:
    case 7:
    case 8:
        vplic_set_line(plic, id, value & 1);
        if (id > 0 && id < 96) {
            if (value & 1)
                model->source[id].pending = true;
        }
        break;
    case 9:
    case 10:
    case 11:
    case 12: assert_int_equal(load(plic, CLAIM(context)), model_claim(model, context)); break;
    case 13:
    case 14:
        store(plic, CLAIM(context), id);
        model_complete(model, id);
        break;
    default:
        store(plic, PENDING(word), value); /* read-only */
        break;
    }
}

static void compare(struct vplic *plic, const struct model *model)
{
    for (unsigned context = 0; context < 2; context++) {
        assert_int_equal(vplic_output(plic, context), model_best(model, context) != 0);
        assert_int_equal(load(plic, THRESHOLD(context)), model->threshold[context]);
    }
    for (unsigned id = 0; id < 96; id++) {
        const struct model_source *source = &model->source[id];
        unsigned bit = id % 32;
        assert_int_equal(load(plic, PRIORITY(id)), source->priority);
        assert_int_equal(load(plic, PENDING(id / 32)) >> bit & 1, source->pending);
        for (unsigned context = 0; context < 2; context++)
            assert_int_equal(load(plic, ENABLE(context, id / 32)) >> bit & 1,
                             source->enabled[context]);
    }
}

static void test_random(void **state)
{
    unsigned claims = 0;
    (void)state;
    for (uint64_t run = 1; run <= 50; run++) {
        struct host_line host = {0};
        struct vplic plic = {.completed = on_completed, .arg = &host};
        struct model model = {.threshold = {7, 7}};
        uint64_t seed = run * 0x9e3779b97f4a7c15ull;
        vplic_reset(&plic);
        for (unsigned step = 0; step < 4000; step++) {
            random_step(&plic, &model, &seed);
            for (unsigned context = 0; context < 2; context++)
                assert_int_equal(vplic_output(&plic, context), model_best(&model, context) != 0);
            if (step % 40 == 0)
                compare(&plic, &model);
        }
        compare(&plic, &model);
        assert_int_equal(host.calls, model.completions);
        claims += host.calls;
    }
    assert_true(claims > 10000); /* the sequences do reach claims and completions */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests_name("vplic random", tests, NULL, NULL);
}
