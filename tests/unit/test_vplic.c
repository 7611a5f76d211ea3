/* The guest's PLIC: named cases from the specification. */
#include "vplic_guest.h"

static void test_reset(void **state)
{
    struct vplic plic = {0};
    (void)state;
    set_up(&plic, 10, 7);
    vplic_set_line(&plic, 10, true);
    assert_int_equal(load(&plic, CLAIM(S)), 10);
    vplic_reset(&plic);
    for (uint64_t offset = 0; offset < 0x3000; offset += 4)
        assert_int_equal(load(&plic, offset), 0);
    assert_int_equal(load(&plic, THRESHOLD(M)), 7);
    assert_int_equal(load(&plic, THRESHOLD(S)), 7);
    assert_int_equal(load(&plic, CLAIM(S)), 0);
    assert_false(vplic_output(&plic, S));

    /* Neither the claim nor the line is remembered. */
    store(&plic, THRESHOLD(S), 0);
    store(&plic, PRIORITY(10), 7);
    store(&plic, ENABLE(S, 0), 1u << 10);
    store(&plic, CLAIM(S), 10);
    assert_false(vplic_output(&plic, S));
    vplic_set_line(&plic, 10, true);
    assert_true(vplic_output(&plic, S));
}

static void test_claim_complete(void **state)
{
    struct vplic plic;
    (void)state;
    set_up(&plic, 10, 1);
    assert_int_equal(load(&plic, CLAIM(S)), 0); /* nothing to claim */
    vplic_set_line(&plic, 10, true);
    assert_true(vplic_output(&plic, S));
    assert_int_equal(load(&plic, PENDING(0)), 1u << 10);
    assert_int_equal(load(&plic, CLAIM(S)), 10);
    assert_int_equal(load(&plic, PENDING(0)), 0);
    assert_false(vplic_output(&plic, S));
    assert_int_equal(load(&plic, CLAIM(S)), 0); /* once */
    vplic_set_line(&plic, 10, false);
    store(&plic, CLAIM(S), 10);
    assert_false(vplic_output(&plic, S));
    vplic_set_line(&plic, 10, true);
    assert_int_equal(load(&plic, CLAIM(S)), 10);
}

/* As on QEMU: one interrupt for a cause that is left standing, and one more each time that it is
 * asserted. */
static void test_line_high_at_completion(void **state)
{
    struct vplic plic;
    (void)state;
    set_up(&plic, 10, 1);
    vplic_set_line(&plic, 10, true);
    assert_int_equal(load(&plic, CLAIM(S)), 10);
    store(&plic, CLAIM(S), 10);
    assert_false(vplic_output(&plic, S));
    assert_false(vplic_is_open(&plic, 10, S));
    vplic_set_line(&plic, 10, true);
    assert_true(vplic_output(&plic, S));
    assert_int_equal(load(&plic, CLAIM(S)), 10);
}

/* The line is asserted anew between claim and completion, without having fallen. */
static void test_asserted_while_claimed(void **state)
{
    struct vplic plic;
    (void)state;
    set_up(&plic, 10, 1);
    vplic_set_line(&plic, 10, true);
    assert_int_equal(load(&plic, CLAIM(S)), 10);
    vplic_set_line(&plic, 10, true);
    assert_int_equal(load(&plic, PENDING(0)), 1u << 10);
    assert_int_equal(load(&plic, CLAIM(S)), 0);
    store(&plic, CLAIM(S), 10);
    assert_int_equal(load(&plic, CLAIM(S)), 10);
    store(&plic, CLAIM(S), 10);
    assert_int_equal(load(&plic, CLAIM(S)), 0);
}

/* The request is latched: a falling line does not take it back. */
static void test_line_falls_before_claim(void **state)
{
    struct vplic plic;
    (void)state;
    set_up(&plic, 10, 1);
    vplic_set_line(&plic, 10, true);
    vplic_set_line(&plic, 10, false);
    assert_true(vplic_output(&plic, S));
    assert_int_equal(load(&plic, CLAIM(S)), 10);
    store(&plic, CLAIM(S), 10);
    assert_false(vplic_output(&plic, S));
}

/* A rising edge between claim and completion waits for the completion, and is not lost. */
static void test_edge_while_claimed(void **state)
{
    struct vplic plic;
    (void)state;
    set_up(&plic, 10, 1);
    vplic_set_line(&plic, 10, true);
    assert_int_equal(load(&plic, CLAIM(S)), 10);
    vplic_set_line(&plic, 10, false);
    vplic_set_line(&plic, 10, true);
    assert_int_equal(load(&plic, PENDING(0)), 1u << 10);
    assert_false(vplic_output(&plic, S));
    assert_int_equal(load(&plic, CLAIM(S)), 0);
    store(&plic, CLAIM(S), 10);
    assert_int_equal(load(&plic, CLAIM(S)), 10);
}

static void test_threshold(void **state)
{
    struct vplic plic;
    (void)state;
    for (unsigned priority = 0; priority <= 7; priority++) {
        for (unsigned threshold = 0; threshold <= 7; threshold++) {
            set_up(&plic, 33, priority);
            vplic_set_line(&plic, 33, true);
            store(&plic, THRESHOLD(S), threshold);
            assert_int_equal(vplic_output(&plic, S), priority > threshold);
            assert_int_equal(load(&plic, CLAIM(S)), priority > threshold ? 33 : 0);
        }
    }
}

static void test_priority_and_tie(void **state)
{
    struct vplic plic;
    (void)state;
    set_up(&plic, 10, 3);
    store(&plic, ENABLE(S, 0), ~0u);
    store(&plic, ENABLE(S, 1), ~0u);
    store(&plic, ENABLE(S, 2), ~0u);
    store(&plic, PRIORITY(95), 3);
    store(&plic, PRIORITY(64), 4);
    store(&plic, PRIORITY(1), 2);
    vplic_set_line(&plic, 95, true);
    vplic_set_line(&plic, 64, true);
    vplic_set_line(&plic, 10, true);
    vplic_set_line(&plic, 1, true);
    assert_int_equal(load(&plic, CLAIM(S)), 64); /* the highest priority */
    assert_int_equal(load(&plic, CLAIM(S)), 10); /* the lowest number of equals */
    assert_int_equal(load(&plic, CLAIM(S)), 95);
    assert_int_equal(load(&plic, CLAIM(S)), 1);
    assert_int_equal(load(&plic, CLAIM(S)), 0);
    vplic_set_line(&plic, 95, true);
    assert_int_equal(load(&plic, CLAIM(S)), 0);
    store(&plic, CLAIM(S), 95); /* in another order than claimed */
    assert_int_equal(load(&plic, CLAIM(S)), 95);
}

static void test_wrong_completion(void **state)
{
    static const uint32_t wrong[] = {0, 1, 11, 95, 96, 128, 0x8000000a, ~0u};
    struct vplic plic;
    (void)state;
    set_up(&plic, 10, 1);
    vplic_set_line(&plic, 10, true);
    assert_int_equal(load(&plic, CLAIM(S)), 10);
    vplic_set_line(&plic, 10, true);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        store(&plic, CLAIM(S), wrong[i]);
        assert_false(vplic_output(&plic, S));
    }
    store(&plic, CLAIM(S), 10);
    assert_true(vplic_output(&plic, S));
}

/* The contexts share priorities, pending and claims; enable bits and thresholds are their own. */
static void test_contexts(void **state)
{
    struct vplic plic;
    (void)state;
    set_up(&plic, 10, 5);
    vplic_set_line(&plic, 10, true);
    assert_true(vplic_output(&plic, S));
    assert_false(vplic_output(&plic, M));
    store(&plic, ENABLE(M, 0), 1u << 10);
    assert_false(vplic_output(&plic, M)); /* threshold 7 from the firmware */
    store(&plic, THRESHOLD(M), 4);
    assert_true(vplic_output(&plic, M));
    assert_int_equal(load(&plic, ENABLE(S, 0)), 1u << 10);
    assert_int_equal(load(&plic, THRESHOLD(S)), 0);
    assert_int_equal(load(&plic, CLAIM(M)), 10);
    vplic_set_line(&plic, 10, true);
    assert_false(vplic_output(&plic, S));
    assert_int_equal(load(&plic, CLAIM(S)), 0);
    store(&plic, CLAIM(S), 10); /* a completion counts from either side, as on QEMU */
    assert_true(vplic_output(&plic, S));
    assert_true(vplic_output(&plic, M));
    assert_false(vplic_output(&plic, 2));
}

/* The output follows whatever register gates it, in both directions. */
static void test_output_follows_registers(void **state)
{
    struct vplic plic;
    (void)state;
    set_up(&plic, 10, 1);
    vplic_set_line(&plic, 10, true);
    store(&plic, ENABLE(S, 0), 0);
    assert_false(vplic_output(&plic, S));
    store(&plic, ENABLE(S, 0), 1u << 10);
    assert_true(vplic_output(&plic, S));
    store(&plic, PRIORITY(10), 0);
    assert_false(vplic_output(&plic, S));
    store(&plic, PRIORITY(10), 7);
    assert_true(vplic_output(&plic, S));
    store(&plic, THRESHOLD(S), 7);
    assert_false(vplic_output(&plic, S));
}

static void test_legal_values(void **state)
{
    struct vplic plic;
    (void)state;
    set_up(&plic, 1, 0);
    store(&plic, PRIORITY(0), 7);
    assert_int_equal(load(&plic, PRIORITY(0)), 0);
    store(&plic, PRIORITY(95), 0xffffffff);
    assert_int_equal(load(&plic, PRIORITY(95)), 7);
    store(&plic, PRIORITY(96), 7);
    assert_int_equal(load(&plic, PRIORITY(96)), 0);
    store(&plic, THRESHOLD(S), 0xfffffffa);
    assert_int_equal(load(&plic, THRESHOLD(S)), 2);
    for (unsigned word = 0; word < 3; word++) {
        store(&plic, PENDING(word), ~0u);
        assert_int_equal(load(&plic, PENDING(word)), 0);
        store(&plic, ENABLE(S, word), ~0u);
        assert_int_equal(load(&plic, ENABLE(S, word)), ~0u);
    }
    store(&plic, ENABLE(S, 3), ~0u);
    assert_int_equal(load(&plic, ENABLE(S, 3)), 0);
    vplic_set_line(&plic, 0, true);
    vplic_set_line(&plic, 96, true);
    vplic_set_line(&plic, ~0u, true);
    assert_int_equal(load(&plic, PENDING(0)) | load(&plic, PENDING(2)), 0);
}

/* Four bytes at a time, inside the window; the rest of the window reads as 0. */
static void test_access(void **state)
{
    static const uint8_t widths[] = {1, 2, 8};
    static const uint64_t outside[] = {1, 2, 3, VPLIC_SIZE, VPLIC_SIZE + 0x1000, UINT64_MAX - 3};
    static const uint64_t holes[] = {PENDING(3),   0x1ffc,   ENABLE(2, 0),
                                     0x1ffffc,     0x200008, 0x200ffc,
                                     THRESHOLD(2), CLAIM(2), VPLIC_SIZE - 4};
    struct vplic plic;
    (void)state;
    set_up(&plic, 10, 1);
    vplic_set_line(&plic, 10, true);
    for (unsigned i = 0; i < 3; i++) {
        struct mmio io = {.offset = CLAIM(S) & ~7ull, .width = widths[i]};
        assert_false(vplic_access(&plic, &io));
        io.offset = CLAIM(S);
        assert_false(vplic_access(&plic, &io));
        io.store = true;
        assert_false(vplic_access(&plic, &io));
    }
    for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
        struct mmio io = {.offset = outside[i], .width = 4};
        assert_false(vplic_access(&plic, &io));
        io.store = true;
        assert_false(vplic_access(&plic, &io));
    }
    for (size_t i = 0; i < sizeof(holes) / sizeof(holes[0]); i++) {
        store(&plic, holes[i], ~0u);
        assert_int_equal(load(&plic, holes[i]), 0);
    }
    assert_int_equal(load(&plic, CLAIM(S)), 10); /* still there */
}

/* --- The completion callback --- */

static void test_open(void **state)
{
    struct vplic plic = {0};
    (void)state;
    set_up(&plic, 10, 1);
    assert_false(vplic_is_open(&plic, 10, S));
    vplic_set_line(&plic, 10, true);
    assert_true(vplic_is_open(&plic, 10, S));
    assert_false(vplic_is_open(&plic, 10, M));
    store(&plic, THRESHOLD(S), 1);
    assert_false(vplic_is_open(&plic, 10, S)); /* nobody listens */
    store(&plic, THRESHOLD(S), 0);
    assert_int_equal(load(&plic, CLAIM(S)), 10);
    vplic_set_line(&plic, 10, false);
    assert_true(vplic_is_open(&plic, 10, S)); /* being handled */
    store(&plic, CLAIM(S), 10);
    assert_false(vplic_is_open(&plic, 10, S));
    assert_false(vplic_is_open(&plic, VPLIC_SOURCES, S));
}

static void test_completed_callback(void **state)
{
    struct host_line host = {.lower = true};
    struct vplic plic;
    (void)state;
    set_up(&plic, 10, 1);
    plic.completed = on_completed;
    plic.arg = &host;
    store(&plic, CLAIM(S), 10); /* not claimed: no call */
    assert_int_equal(host.calls, 0);
    vplic_set_line(&plic, 10, true);
    assert_int_equal(load(&plic, CLAIM(S)), 10);
    assert_int_equal(host.calls, 0);
    store(&plic, CLAIM(S), 11);
    assert_int_equal(host.calls, 0);
    store(&plic, CLAIM(S), 10);
    assert_int_equal(host.calls, 1);
    assert_int_equal(host.last, 10);
    assert_false(vplic_output(&plic, S)); /* the callback lowered the line */
    store(&plic, CLAIM(S), 10);
    assert_int_equal(host.calls, 1);

    host.lower = false;
    vplic_set_line(&plic, 10, true);
    assert_int_equal(load(&plic, CLAIM(S)), 10);
    store(&plic, CLAIM(S), 10);
    assert_int_equal(host.calls, 2);
    assert_false(vplic_output(&plic, S)); /* it stays high, and is no news */

    vplic_reset(&plic);
    assert_ptr_equal(plic.completed, on_completed);
    assert_ptr_equal(plic.arg, &host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_claim_complete),
        cmocka_unit_test(test_line_high_at_completion),
        cmocka_unit_test(test_asserted_while_claimed),
        cmocka_unit_test(test_line_falls_before_claim),
        cmocka_unit_test(test_edge_while_claimed),
        cmocka_unit_test(test_threshold),
        cmocka_unit_test(test_priority_and_tie),
        cmocka_unit_test(test_wrong_completion),
        cmocka_unit_test(test_contexts),
        cmocka_unit_test(test_output_follows_registers),
        cmocka_unit_test(test_legal_values),
        cmocka_unit_test(test_access),
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_completed_callback),
    };
    return cmocka_run_group_tests_name("vplic", tests, NULL, NULL);
}
