/*
 * Who answers an address (core/vm/window.c). Surprise: the window that was accessed last is asked
 * first, and must not answer then for one that lies in it and was added later: the board's empty
 * transports have devices among them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rig.h"
#include "vm/window.h"

static bool add(uint64_t base, uint64_t size, uint8_t index)
{
    const struct window window = {.base = base, .size = size, .index = index};
    return window_add(&rig.vm, &window);
}

/* The index of the window that answers, or 0. */
static unsigned answers(uint64_t gpa)
{
    const struct window *window = vm_window_at(&rig.vm, gpa);
    return window ? window->index : 0;
}

/* Added in order of their indices: 1 has all of [0x1000, 0x5000), 2 its middle, 3 what lies behind
 * and its end. */
static const struct {
    const char *name;
    uint64_t gpa;
    unsigned index;
} lookups[] = {
    {"0", 0, 0},
    {"before", 0xfff, 0},
    {"first byte", 0x1000, 1},
    {"before the middle", 0x1fff, 1},
    {"middle", 0x2000, 2},
    {"end of the middle", 0x2fff, 2},
    {"behind the middle", 0x3000, 1},
    {"overlap", 0x4800, 3},
    {"last byte", 0x57ff, 3},
    {"behind", 0x5800, 0},
    {"last address", UINT64_MAX, 4},
    {"before that", UINT64_MAX - 0x1000, 0},
};

static void add_four(void)
{
    assert_true(add(0x1000, 0x4000, 1));
    assert_true(add(0x2000, 0x1000, 2));
    assert_true(add(0x4800, 0x1000, 3));
    assert_true(add(UINT64_MAX - 0xfff, 0x1000, 4));
}

static void test_at(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROWS(lookups); i++) {
        rig_row(lookups[i].name);
        add_four();
        rig_equal(answers(lookups[i].gpa), lookups[i].index);
        rig_equal(answers(lookups[i].gpa), lookups[i].index); /* also as the recent one */
    }
}

/* Whatever was asked before, the window that was added last answers. */
static void test_recent(void **state)
{
    (void)state;
    for (unsigned before = 0; before < ROWS(lookups); before++)
        for (unsigned i = 0; i < ROWS(lookups); i++) {
            rig_row(lookups[i].name);
            add_four();
            vm_window_at(&rig.vm, lookups[before].gpa);
            rig_equal(answers(lookups[i].gpa), lookups[i].index);
        }
}

static void test_last_added_answers(void **state)
{
    (void)state;
    rig_row("added in front of the recent one");
    assert_true(add(0x1000, 0x1000, 1));
    rig_equal(answers(0x1000), 1);
    assert_true(add(0x1000, 0x1000, 2));
    rig_equal(answers(0x1000), 2);
    rig_row("over the begin of the recent one");
    assert_true(add(0x2000, 0x2000, 1));
    assert_true(add(0x1000, 0x1800, 2));
    rig_equal(answers(0x3000), 1);
    rig_equal(answers(0x2000), 2);
    rig_row("in front of another than the recent one");
    assert_true(add(0x1000, 0x1000, 1));
    assert_true(add(0x2000, 0x2000, 2));
    rig_equal(answers(0x1000), 1);
    assert_true(add(0x2000, 0x1000, 3));
    rig_equal(answers(0x2000), 3);
}

static void test_full(void **state)
{
    (void)state;
    rig_row("full");
    for (unsigned i = 0; i < VM_WINDOWS; i++)
        assert_true(add(0x1000 * i, 0x1000, (uint8_t)(i + 1)));
    assert_false(add(0, UINT64_MAX, 99));
    for (unsigned i = 0; i < VM_WINDOWS; i++)
        rig_equal(answers(0x1000 * i), i + 1);
    rig_equal(answers(0x1000 * VM_WINDOWS), 0);
}

static const struct {
    const char *name;
    struct window window;
    uint64_t offset;
    bool store;
    uint64_t bits;
} exits[] = {
    {"device", {.class = EXIT_MMIO, .index = 1}, 0x38, false, 9ul << 32 | 0x10038},
    {"device's store", {.class = EXIT_MMIO, .index = 1}, 0x38, true, 9ul << 32 | 0x80010038},
    {"board", {.class = EXIT_BOARD, .index = 2}, 4, false, 11ul << 32 | 0x20004},
    {"controller", {.class = EXIT_PLIC}, 0x201004, false, 10ul << 32 | 0x80401},
    {"controller's store", {.class = EXIT_PLIC}, 0x201004, true, 10ul << 32 | 0x80080401},
};

static void test_exit(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROWS(exits); i++) {
        rig_row(exits[i].name);
        rig_equal(window_exit(&exits[i].window, exits[i].offset, exits[i].store).bits,
                  exits[i].bits);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_at),   cmocka_unit_test(test_recent),
        cmocka_unit_test(test_full), cmocka_unit_test(test_last_added_answers),
        cmocka_unit_test(test_exit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
