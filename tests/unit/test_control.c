/*
 * The control channel's commands beside reports that take several exits (core/observe/control.c):
 * a command waits for the end of a report, and no longer, however soon the guest calls for the
 * next one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "board/lines.h"
#include "host/channel.h"
#include "host/hart.h"
#include "observe/control.h"
#include "observe/timeline.h"
#include "rig.h"

#define PIECES 5u /* of a report; one for each exit */

static struct control control;
static struct channel_listener listener;
static const char *waiting; /* a line that has come and is not taken */
static unsigned left;       /* pieces of the report that has begun */

/* --- The parts beside it --- */

void report_begin(struct report *report, const char *head)
{
    assert_false(report->active);
    report->active = true;
    left = PIECES;
    rig_note("report %s", head);
}

bool report_step(struct report *report)
{
    if (!report->active)
        return false;
    report->active = --left > 0;
    rig_pass(0, HART_TICKS); /* as much as an exit may cost */
    return report->active;
}

void report_finish(struct report *report)
{
    report->active = false;
}

int channel_start(struct host *host, const struct channel_listener *of)
{
    (void)host;
    listener = *of;
    return 0;
}

/* As the real one takes what has come. */
void channel_poll(struct host *host)
{
    (void)host;
    if (!waiting || !listener.ready(listener.argument))
        return;
    const char *line = waiting;
    waiting = NULL;
    listener.line(listener.argument, line, strlen(line));
}

bool channel_has_room(struct host *host)
{
    (void)host;
    return true;
}

void channel_printf(struct host *host, const char *format, ...)
{
    char text[512];
    va_list arguments;
    (void)host;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    text[strcspn(text, ",}\n")] = '\0'; /* its beginning tells enough */
    rig_note("%s", text);
}

void lines_resume_soon(struct vm *vm)
{
    (void)vm;
}

void stats_reset(struct vm *vm)
{
    (void)vm;
    rig_note("stats_reset");
}

void timeline_send(struct vm *vm)
{
    (void)vm;
}

void timeline_heard(struct vm *vm)
{
    (void)vm;
}

/* --- The VM --- */

static void start(const char *name)
{
    rig_row(name);
    memset(&control, 0, sizeof(control));
    waiting = NULL;
    rig_equal(control_start(&control, &rig.vm), 0);
}

/* The guest calls for a report until it has it, with an interrupt of the channel's after so many
 * calls. How many calls that takes. */
static unsigned mark(uint64_t pc, int label, unsigned poll_after)
{
    for (unsigned calls = 1;; calls++) {
        assert_true(calls < 100);
        rig.hart->begin_time = hart_csr[CSR_TIME]; /* each call is an exit of its own */
        rig.vcpu.pc = pc;
        if (control_mark(&rig.vm, label))
            return calls;
        rig.hart->begin_time = hart_csr[CSR_TIME];
        if (calls == poll_after)
            channel_poll(rig.vm.host);
    }
}

/* --- Tests --- */

static void test_report_takes_exits(void **state)
{
    (void)state;
    start("a report");
    rig_equal(mark(RIG_PC, 7, 0), PIECES);
    rig_calls("report \"event\":\"mark\",\"status\":7");
    rig_equal(mark(RIG_PC, 7, 0), PIECES);
    rig_calls("report \"event\":\"mark\",\"status\":7");
}

/* It came while a report was being written, and the next one is called for at once. */
static void test_command_has_its_turn(void **state)
{
    (void)state;
    for (unsigned after = 1; after < PIECES; after++) {
        start("a command during a report");
        waiting = after & 1 ? "where" : "{\"command\":\"where\"}";
        mark(RIG_PC, 1, after);
        mark(RIG_PC, 2, 0);
        assert_null(waiting);
        rig_calls("report \"event\":\"mark\",\"status\":1; {\"reply\":\"where\"; ]; "
                  "report \"event\":\"mark\",\"status\":2");
    }
}

/* A command that begins a report itself comes before the guest's, which is called for again. */
static void test_report_for_a_command(void **state)
{
    (void)state;
    start("statistics during a report");
    waiting = "stats";
    mark(RIG_PC, 1, 1);
    mark(RIG_PC, 2, 0);
    rig_calls("report \"event\":\"mark\",\"status\":1; report \"reply\":\"stats\"; "
              "report \"event\":\"mark\",\"status\":2");
}

static const struct {
    const char *line, *calls;
} commands[] = {
    {"reset", "stats_reset; {\"reply\":\"reset\""},
    {" pause ", "{\"reply\":\"pause\""},
    {"resume\r", "{\"reply\":\"resume\""},
    {"trace", "{\"reply\":\"trace\""},
    {"times", "{\"reply\":\"times\""},
    {"stat", "{\"error\":\"unknown command; there are stats"},
    {"{\"command\": \"times\"}", "{\"reply\":\"times\""},
    {"", ""},
};

static void test_commands(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROWS(commands); i++) {
        start(commands[i].line);
        listener.line(listener.argument, commands[i].line, strlen(commands[i].line));
        rig_calls(commands[i].calls);
        rig_equal(rig.vm.paused, i == 1);
        rig_equal(rig.vm.timed, strstr(commands[i].line, "times") != NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_report_takes_exits),
        cmocka_unit_test(test_command_has_its_turn),
        cmocka_unit_test(test_report_for_a_command),
        cmocka_unit_test(test_commands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
