/*
 * core/host/hold.c: when a hold begins, goes on and ends; and that a guest for which it gains
 * nothing is left alone more and more.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "host/hold.h"

static struct hold hold;
static uint64_t now;

static int setup(void **state)
{
    (void)state;
    hold = (struct hold){0};
    hold_reset(&hold);
    now = 1000000;
    return 0;
}

static void submit(unsigned requests)
{
    while (requests--)
        hold_count(&hold);
}

static bool begins(void)
{
    hold_begin(&hold, now);
    return hold.until != 0;
}

/* The look that the alarm causes. */
static bool is_over(void)
{
    assert_true(hold.until > now);
    assert_false(hold_is_over(&hold, now)); /* before its time */
    now = hold.until;
    return hold_is_over(&hold, now);
}

static void test_begins_after_a_few(void **state)
{
    (void)state;
    assert_false(begins());
    submit(HOLD_FEW - 1);
    assert_false(begins());
    submit(1);
    assert_true(begins());
}

/* One request, and the guest waits for it: as a file is read at depth 1. */
static void test_not_for_one_at_a_time(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        submit(1);
        hold_idle(&hold, true);
        assert_false(begins());
        hold_idle(&hold, false);
        assert_false(begins());
    }
}

static void test_idle_ends_it(void **state)
{
    (void)state;
    submit(HOLD_FEW);
    assert_true(begins());
    hold_idle(&hold, true);
    assert_true(hold_is_over(&hold, now));
    hold_end(&hold, HOLD_FEW);
    assert_int_equal(hold.until, 0);
    assert_false(begins()); /* it makes none now */
    hold_idle(&hold, false);
    submit(1);
    assert_true(begins()); /* but did before */
    hold_idle(&hold, true);
    hold_end(&hold, HOLD_FEW);
    hold_idle(&hold, false);
    submit(1);
    assert_false(begins()); /* nor the time before */
}

static void test_goes_on_while_requests_come(void **state)
{
    unsigned looks = 0;
    (void)state;
    submit(HOLD_FEW);
    assert_true(begins());
    do {
        submit(1);
        looks++;
        assert_true(looks < 100); /* it ends some time */
    } while (!is_over());
    assert_true(looks > 1);
    hold_end(&hold, HOLD_FEW);
    submit(1);
    assert_true(begins()); /* it was worth it */
}

static void test_no_more_requests_end_it(void **state)
{
    (void)state;
    submit(HOLD_FEW);
    assert_true(begins());
    assert_true(is_over());
}

/* Requests until a hold begins again. */
static unsigned pause_of(void)
{
    unsigned requests = 0;
    while (!begins()) {
        submit(1);
        requests++;
        assert_true(requests < 1000000);
    }
    return requests;
}

static void test_leaves_alone_what_gains_nothing(void **state)
{
    unsigned last = 0, pause = 0;
    (void)state;
    submit(HOLD_FEW);
    for (unsigned i = 0; i < 20; i++) {
        last = pause;
        pause = pause_of();
        assert_true(pause >= last);
        assert_true(is_over());
        hold_end(&hold, 1);
    }
    assert_true(last > 100 && pause == last); /* and there it stays */
    pause_of();
    hold_end(&hold, HOLD_FEW);
    assert_int_equal(pause_of(), 0); /* one that gained something: as at first */
    hold_end(&hold, 1);
    assert_true(pause_of() < 100);
}

/* A guest that keeps eight under way, on a busy machine: the second time eight are enough. */
static void test_learns_the_batch(void **state)
{
    unsigned most = hold.batch;
    (void)state;
    submit(8);
    assert_true(begins());
    assert_true(is_over());
    hold_end(&hold, 8);
    assert_int_equal(hold.batch, 8);
    submit(8);
    assert_true(begins());
    hold_end(&hold, 12); /* more were there than it waited for */
    assert_int_equal(hold.batch, 12);
    hold_end(&hold, 100);
    assert_int_equal(hold.batch, most);
    hold_end(&hold, 0);
    assert_int_equal(hold.batch, HOLD_FEW);
    hold_idle(&hold, true);
    hold_end(&hold, 9);
    assert_int_equal(hold.batch, HOLD_FEW); /* it waits for them: that says nothing about others */
}

static void test_reset(void **state)
{
    (void)state;
    submit(HOLD_FEW);
    assert_true(begins());
    hold_end(&hold, 1);
    submit(1000);
    assert_true(begins());
    hold_idle(&hold, true);
    hold_reset(&hold);
    assert_int_equal(hold.until, 0);
    assert_true(hold.idle); /* what the guest does is not the disk's to forget */
    hold_idle(&hold, false);
    assert_false(begins());
    submit(HOLD_FEW);
    assert_true(begins());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_begins_after_a_few, setup),
        cmocka_unit_test_setup(test_not_for_one_at_a_time, setup),
        cmocka_unit_test_setup(test_idle_ends_it, setup),
        cmocka_unit_test_setup(test_goes_on_while_requests_come, setup),
        cmocka_unit_test_setup(test_no_more_requests_end_it, setup),
        cmocka_unit_test_setup(test_leaves_alone_what_gains_nothing, setup),
        cmocka_unit_test_setup(test_learns_the_batch, setup),
        cmocka_unit_test_setup(test_reset, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
