/*
 * Interrupt lines and turns (core/board/lines.c): who of all that wait is served first, and by
 * which alarm. Surprise: setting the alarm may take the place of the guest's own comparison, whose
 * interrupt is then looked for at once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "board/board.h"
#include "board/lines.h"
#include "host/ends.h"
#include "rig.h"

#define NEVER UINT64_MAX

static struct board board;
static uint64_t looks[VM_DEVICES]; /* when the ends want their next look */
static struct host_end ends[VM_DEVICES];

static uint64_t next_look(const struct host_end *end)
{
    return looks[end - ends];
}

static void follow(struct vm *vm)
{
    assert_ptr_equal(vm, &rig.vm);
    rig_note("follow");
}

static const struct board_plic plic = {.follow = follow};

static void row(const char *name)
{
    rig_row(name);
    board = (struct board){.plic_row = &plic, .plic_poll_time = NEVER, .resume_time = NEVER};
    vplic_reset(&board.plic);
    rig.vm.board = &board;
    rig.vm.devices = VM_DEVICES;
    for (unsigned i = 0; i < VM_DEVICES; i++) {
        ends[i] = (struct host_end){.next_look = next_look};
        rig.vm.device[i].end = &ends[i];
        looks[i] = NEVER;
    }
}

/* --- The alarm --- */

static const struct {
    const char *name;
    uint64_t resume, plic, look[VM_DEVICES], alarm;
} waiting[] = {
    {"nobody", NEVER, NEVER, {NEVER, NEVER}, NEVER},
    {"unfinished", 500, NEVER, {NEVER, NEVER}, 500},
    {"controller", NEVER, 600, {NEVER, NEVER}, 600},
    {"first end", NEVER, NEVER, {700, NEVER}, 700},
    {"second end", NEVER, NEVER, {NEVER, 800}, 800},
    {"all, unfinished first", 100, 200, {300, 400}, 100},
    {"all, controller first", 200, 100, {300, 400}, 100},
    {"all, first end first", 200, 300, {100, 400}, 100},
    {"all, second end first", 200, 300, {400, 100}, 100},
};

static void test_alarm(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROWS(waiting); i++) {
        row(waiting[i].name);
        board.resume_time = waiting[i].resume;
        board.plic_poll_time = waiting[i].plic;
        looks[0] = waiting[i].look[0];
        looks[1] = waiting[i].look[1];
        lines_set_alarm(&rig.vm);
        rig_equal(rig.hart->alarm, waiting[i].alarm);
        rig_equal(hart_csr[CSR_STIMECMP], waiting[i].alarm == NEVER ? 0 : waiting[i].alarm);
    }
}

/* Who has no end, or one that never wants a look. */
static void test_without_looks(void **state)
{
    (void)state;
    row("without looks");
    rig.vm.device[0].end = NULL;
    ends[1].next_look = NULL;
    board.resume_time = 77;
    lines_set_alarm(&rig.vm);
    rig_equal(rig.hart->alarm, 77);
}

static const struct {
    const char *name;
    uint64_t comparison, time;
    unsigned changed;
    uint64_t stimecmp;
} comparisons[] = {
    {"the guest's lies ahead", 90, 50, 0, 90},
    {"behind the alarm", 200, 50, 0, 100},
    {"reached", 50, 50, VCPU_INTERRUPTS, 100},
};

static void test_comparison(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROWS(comparisons); i++) {
        row(comparisons[i].name);
        rig.hart->comparison = comparisons[i].comparison;
        hart_csr[CSR_TIME] = comparisons[i].time;
        board.resume_time = 100;
        lines_set_alarm(&rig.vm);
        rig_equal(hart_csr[CSR_STIMECMP], comparisons[i].stimecmp);
        rig_equal(rig.vcpu.changed, comparisons[i].changed);
    }
}

static void test_resume_soon(void **state)
{
    (void)state;
    row("resume soon");
    hart_csr[CSR_TIME] = 5000;
    lines_resume_soon(&rig.vm);
    rig_equal(board.resume_time, 6000);
    rig_equal(rig.hart->alarm, 6000);
    looks[1] = 5500;
    hart_csr[CSR_TIME] = 5100;
    lines_resume_soon(&rig.vm); /* again: not later for that */
    rig_equal(board.resume_time, 6000);
    rig_equal(rig.hart->alarm, 5500);
    board.resume_time = NEVER; /* it was */
    lines_resume_soon(&rig.vm);
    rig_equal(board.resume_time, 6100);
}

/* --- Sources --- */

static void test_set(void **state)
{
    (void)state;
    row("set");
    lines_set(&rig.vm, 40, true);
    rig_calls("follow");
    rig_equal(board.plic.pending[1], 1u << 8);
    rig_equal(board.plic.line[1], 1u << 8);
    lines_set(&rig.vm, 40, true); /* pending already */
    lines_set(&rig.vm, 40, false);
    lines_set(&rig.vm, 0, true); /* no such sources */
    lines_set(&rig.vm, VPLIC_SOURCES, true);
    rig_calls("");
    rig_equal(board.plic.line[1], 0);
    rig_equal(board.plic.pending[1], 1u << 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alarm),      cmocka_unit_test(test_without_looks),
        cmocka_unit_test(test_comparison), cmocka_unit_test(test_resume_soon),
        cmocka_unit_test(test_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
