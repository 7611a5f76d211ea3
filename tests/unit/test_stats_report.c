/* The report of the statistics: nothing is lost, in pieces either, and the line is JSON. */
#include "stats_bench.h"

#include <string.h>

/* --- A JSON reader that accepts or does not: RFC 8259 without escapes, fractions, booleans --- */

static const char *accept_value(const char *p);

static const char *accept_string(const char *p)
{
    assert_int_equal(*p, '"');
    for (p++; *p != '"'; p++)
        assert_true((unsigned char)*p >= ' ' && *p != '\\');
    return p + 1;
}

static const char *accept_list(const char *p, char close)
{
    bool object = close == '}';
    if (*++p == close)
        return p + 1;
    for (;;) {
        if (object) {
            p = accept_string(p);
            assert_int_equal(*p++, ':');
        }
        p = accept_value(p);
        if (*p == close)
            return p + 1;
        assert_int_equal(*p++, ',');
    }
}

static const char *accept_value(const char *p)
{
    size_t digits = strspn(p, "0123456789");
    if (*p == '{' || *p == '[')
        return accept_list(p, *p == '{' ? '}' : ']');
    if (*p == '"')
        return accept_string(p);
    if (strncmp(p, "null", 4) == 0)
        return p + 4;
    assert_true(digits > 0 && (digits == 1 || *p != '0'));
    return p + digits;
}

static void assert_sent(const char *text)
{
    if (!strstr(sent, text))
        fail_msg("%s is not in %s", text, sent);
}

/* --- Tests --- */

static void line_is_json(void **state)
{
    struct bench *bench = *state;
    struct vm *vm = &bench->vm;
    const char *end;
    vm->options = (struct vm_options){
        .mem = 512u << 20, .way = {WAY_VIRTIO}, .patch = PATCH_ECALL, .shadow = 5};
    vm->device[1].count.requests = UINT64_MAX;
    vm->stats.memory.fills = 11;
    for (uint32_t i = 0; i < 500; i++)
        stats_exit(&vm->stats, exit_of(some_class(i), i * 4), i & 1, i, 10);
    now = 12345678;
    report_send(&bench->report, "poweroff", 3);
    end = accept_value(sent);
    assert_string_equal(end, "\n");
    assert_ptr_equal(end, sent + nsent - 1);
    assert_sent(
        "{\"event\":\"poweroff\",\"status\":3,\"statistics\":{\"config\":{\"uart\":\"virtio\","
        "\"disk\":\"emulated\",\"disk_model\":\"ahci\",\"patch\":\"ecall\","
        "\"mem\":536870912,\"plic\":\"emulated\",\"ablate\":\"none\",\"shadow\":[\"prefill\","
        "\"cache\"]}");
    assert_sent("\"disk\":{\"strategy\":\"emulated/uart\",\"loads\":0,\"stores\":0,\"irqs\":0,"
                "\"notifications\":0,\"requests\":18446744073709551615,\"bytes\":0}");
    assert_sent("\"fills\":11");
    assert_sent("\"vmm\":{\"instructions\":115858,\"nanoseconds\":464000}");
    assert_sent("\"idle\":{\"instructions\":8892,\"nanoseconds\":36000}");
    assert_sent("\"guest\":{\"instructions\":0,\"nanoseconds\":1234067800}");
}

/* A report is of what was counted when it began, however long it takes; the next one begins behind
 * its end. */
static void report_in_pieces(void **state)
{
    struct bench *bench = *state;
    struct vm *vm = &bench->vm;
    unsigned pieces = 1;
    stats_exit(&vm->stats, exit_of(EXIT_CSR, CSR_SSTATUS), VMODE_S, 100, 7);
    stats_exit(&vm->stats, exit_of(EXIT_SRET, 0), VMODE_S, 50, 7);
    vm->device[0].count.loads = 5;
    now = 100;
    report_begin(&bench->report, "\"reply\":\"stats\"");
    assert_true(bench->report.active);
    for (bool more = true; more; pieces++) {
        size_t before = nsent;
        stats_exit(&vm->stats, exit_of(EXIT_CSR, pieces), VMODE_S, 1000, 1);
        vm->device[0].count.loads++;
        now += 1000;
        more = report_step(&bench->report);
        assert_in_range(nsent - before, 1, 4000);
    }
    assert_int_equal(pieces, 1 + 2 + 4);
    assert_false(bench->report.active);
    assert_false(report_step(&bench->report));
    assert_string_equal(accept_value(sent), "\n");
    assert_sent("{\"reply\":\"stats\",\"statistics\":{\"config\"");
    assert_sent("\"loads\":5,");
    assert_sent("\"vmm\":{\"instructions\":150,\"nanoseconds\":1400}");
    assert_sent("\"guest\":{\"instructions\":0,\"nanoseconds\":8600}");

    nsent = 0;
    report_begin(&bench->report, "\"reply\":\"stats\"");
    report_send(&bench->report, "poweroff", 0); /* ends the other first */
    assert_string_equal(accept_value(accept_value(sent) + 1), "\n");
}

static void longest_is_kept(void **state)
{
    struct bench *bench = *state;
    struct vm *vm = &bench->vm;
    const struct stats_longest exits[] = {
        {.instructions = 500,
         .ticks = 7,
         .pc = 0x80200004,
         .exit = exit_of(EXIT_SRET, 0),
         .mode = VMODE_S},
        {.instructions = 900,
         .ticks = 3,
         .pc = 0xffffffff80001234,
         .exit = exit_of(EXIT_CSR, CSR_SATP),
         .mode = VMODE_S},
        {.instructions = 900,
         .ticks = 9,
         .pc = 0x1000,
         .exit = exit_of(EXIT_SYSCALL, 0),
         .mode = VMODE_U},
        {.instructions = 1, .pc = 0x2000, .exit = exit_of(EXIT_WFI, 0), .mode = VMODE_S},
    };
    report_send(&bench->report, "mark", 1);
    assert_sent("],\"longest\":null,\"devices\"");
    for (unsigned i = 0; i < sizeof(exits) / sizeof(exits[0]); i++) {
        assert_int_equal(stats_is_longest(&vm->stats, exits[i].instructions), i < 2);
        stats_note_longest(&vm->stats, &exits[i]);
    }
    report_send(&bench->report, "mark", 2);
    assert_sent("],\"longest\":{\"class\":\"csr\",\"mode\":\"vS\",\"detail\":\"satp\","
                "\"pc\":\"0xffffffff80001234\",\"instructions\":900,\"nanoseconds\":300},"
                "\"devices\"");
    stats_reset(vm);
    assert_true(stats_is_longest(&vm->stats, 1));
}

/* Who asks in the middle of a wait is told of it: idle is not the guest's time, whatever the exit
 * is for. */
static void waiting_is_told_while_it_lasts(void **state)
{
    struct bench *bench = *state;
    struct vm *vm = &bench->vm;
    stats_spent(&vm->stats, exit_of(EXIT_SBI, EXIT_SBI_CALL(0x48534d, 3)), VMODE_S, 10);
    stats_waited(&vm->stats, VMODE_S, 900);
    now = 1000;
    report_send(&bench->report, "mark", 0);
    assert_sent("{\"class\":\"wfi\",\"mode\":\"vS\",\"detail\":\"wfi\",\"count\":0,\"timed\":0,"
                "\"instructions\":0,\"nanoseconds\":90000,\"histogram\":[]}");
    assert_sent("\"vmm\":{\"instructions\":0,\"nanoseconds\":1000}");
    assert_sent("\"idle\":{\"instructions\":0,\"nanoseconds\":90000}");
    assert_sent("\"guest\":{\"instructions\":0,\"nanoseconds\":9000}");
    assert_string_equal(accept_value(sent), "\n");
}

/* Where instret is a clock there are no instructions, and a histogram of 100 ns ticks. */
static void clock_is_no_count(void **state)
{
    struct bench *bench = *state;
    struct vm *vm = &bench->vm;
    stats_start(&vm->stats, bench->host.timebase, false);
    stats_exit(&vm->stats, exit_of(EXIT_CSR, CSR_SSTATUS), VMODE_S, 123456, 1);
    stats_note_longest(&vm->stats, &(struct stats_longest){.instructions = 123456, .ticks = 1});
    report_send(&bench->report, "poweroff", 0);
    assert_string_equal(accept_value(sent), "\n");
    assert_sent("\"count\":1,\"timed\":1,\"instructions\":null,\"nanoseconds\":100,\"histogram\":["
                "0,0,0,0,0,0,1]");
    assert_sent("\"pc\":\"0x0\",\"instructions\":null,\"nanoseconds\":100");
    assert_sent("\"vmm\":{\"instructions\":null,");
    assert_sent("\"idle\":{\"instructions\":null,");
    assert_sent("\"guest\":{\"instructions\":null,");
    stats_reset(vm);
    nsent = 0;
    report_send(&bench->report, "poweroff", 0);
    assert_sent("\"guest\":{\"instructions\":null,");

    stats_start(&vm->stats, bench->host.timebase, true);
    nsent = 0;
    report_send(&bench->report, "poweroff", 0);
    assert_sent("\"guest\":{\"instructions\":0,");
}

/* What was learned before a reset counts for two stretches that are compared; how often the disk
 * held something back counts for each. */
static void learning_is_not_forgotten(void **state)
{
    struct bench *bench = *state;
    struct vm *vm = &bench->vm;
    vm->stats.memory = (struct stats_memory){.fills = 1,
                                             .prefills = 20,
                                             .early_fills = 300,
                                             .patched_sites = 4000,
                                             .inline_sites = 4000, /* of the patched */
                                             .trampolines = 50000,
                                             .dropped_patches = 600000,
                                             .inline_lost = 7000000,
                                             .hints = 80000000,
                                             .traces = 5};
    bench->host.disk.front.end.held = 9;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(stats_learned(&vm->stats.memory), 87654321);
        stats_reset(vm);
    }
    vm->stats.memory.hints++;
    bench->host.disk.front.end.held++;
    report_send(&bench->report, "poweroff", 0);
    assert_sent("\"traces\":0,\"hints\":1,\"holds\":1,\"learned\":87654322,");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(line_is_json),      TEST(longest_is_kept),
        TEST(report_in_pieces),  TEST(waiting_is_told_while_it_lasts),
        TEST(clock_is_no_count), TEST(learning_is_not_forgotten),
    };
    return cmocka_run_group_tests_name("statistics report", tests, NULL, NULL);
}
