/* The statistics and their report: nothing is lost, everything has its name, and the line is
 * JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "board/board.h"
#include "board/windows.h"
#include "engine/trap/shadow.h"
#include "host/channel.h"
#include "host/io.h"
#include "host/machine.h"
#include "isa/riscv.h"
#include "observe/report.h"
#include "vm/vm.h"

/* --- What the module asks of the rest --- */

static char sent[1 << 20];
static size_t nsent;
static uint64_t now, retired;

void channel_printf(struct host *host, const char *format, ...)
{
    va_list arguments;
    int len;
    assert_non_null(host);
    va_start(arguments, format);
    len = vsnprintf(sent + nsent, sizeof(sent) - nsent, format, arguments);
    va_end(arguments);
    assert_in_range(len, 0, 511); /* the real one cuts at 512 */
    nsent += (size_t)len;
    assert_true(nsent < sizeof(sent));
}

uint64_t io_time(void)
{
    return now;
}

uint64_t io_instret(void)
{
    return retired;
}

struct bench {
    struct host host;
    struct board board;
    struct vm vm;
    struct report report;
};

/* A board whose roles are the machine's, but whose controller and devices are the test's. */
static const char *const models[] = {"ahci", "ata", NULL};
const char *const board_roles[VM_ROLES] = {"uart", "disk"};
const char *const *const board_models[VM_ROLES] = {NULL, models};
static const struct board_plic plic = {.name = "emulated"};
const char *const shadow_switch_names[] = {
    "prefill", "superpages", "cache", "shared", "fence", "retry", NULL,
};

/* Of the board's windows only a device's and the PLIC's have names here (test_names.c has the
 * others). */
const struct device_register *windows_registers(unsigned window)
{
    assert_in_range(window, 0, EXIT_WINDOWS);
    return NULL;
}

static const struct device_register registers[] = {
    {0x5, "CTL", "CTL", 0, 0},
    {0x6, "IN", "OUT", 0, 0},
    {0x114, "BUF", NULL, 3, 4},
    {0, NULL, NULL, 0, 0},
};

static const struct strategy strategy = {.name = "emulated/uart", .registers = registers};

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    bench->host.timebase = 10000000;
    bench->board.plic_row = &plic;
    bench->vm.host = &bench->host;
    bench->vm.board = &bench->board;
    bench->report.vm = &bench->vm;
    bench->vm.device[0] = (struct device){.strategy = &strategy, .name = "uart"};
    bench->vm.device[1] = (struct device){
        .strategy = &strategy, .name = "disk", .end = &bench->host.disk.front.end};
    bench->vm.devices = 2;
    nsent = 0;
    now = 0;
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

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

static uint64_t total(const struct stats *stats)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < STATS_ROWS; i++)
        count += stats->rows[i].count;
    return count;
}

/* Any class that an exit can have. */
static enum exit_class some_class(unsigned number)
{
    return (enum exit_class)(EXIT_NONE + 1 + number % (EXIT_CLASSES - EXIT_NONE - 1));
}

/* --- Tests --- */

static void adds_up(void **state)
{
    struct bench *bench = *state;
    struct stats *stats = &bench->vm.stats;
    unsigned rows = 0;
    stats_exit(stats, exit_of(EXIT_CSR, CSR_SSTATUS), VMODE_S, 100, 7);
    stats_exit(stats, exit_of(EXIT_CSR, CSR_SSTATUS), VMODE_S, 28, 3);
    stats_exit(stats, exit_of(EXIT_CSR, CSR_SSTATUS), VMODE_U, 1, 1);
    stats_exit(stats, exit_of(EXIT_SRET, CSR_SSTATUS), VMODE_S, 0, 1);
    for (unsigned i = 0; i < STATS_ROWS; i++) {
        const struct stats_row *row = &stats->rows[i];
        rows += row->count > 0;
        if (exit_class(stats_row_exit(row)) != EXIT_CSR || stats_row_mode(row) != VMODE_S ||
            row->count == 0)
            continue;
        assert_int_equal(row->count, 2);
        assert_int_equal(row->instructions, 128);
        assert_int_equal(row->ticks, 10);
        assert_int_equal(row->histogram[6], 1);
        assert_int_equal(row->histogram[4], 1);
    }
    assert_int_equal(rows, 3);
}

static void histogram_ends(void **state)
{
    struct bench *bench = *state;
    struct stats *stats = &bench->vm.stats;
    stats_exit(stats, exit_of(EXIT_WFI, 0), VMODE_S, 0, 0);
    stats_exit(stats, exit_of(EXIT_WFI, 0), VMODE_S, 1, 0);
    stats_exit(stats, exit_of(EXIT_WFI, 0), VMODE_S, 2, 0);
    stats_exit(stats, exit_of(EXIT_WFI, 0), VMODE_S, UINT64_MAX / 4, 0);
    for (unsigned i = 0; i < STATS_ROWS; i++) {
        if (stats->rows[i].count == 0)
            continue;
        assert_int_equal(stats->rows[i].histogram[0], 2);
        assert_int_equal(stats->rows[i].histogram[1], 1);
        assert_int_equal(stats->rows[i].histogram[STATS_BUCKETS - 1], 1);
    }
}

/* More kinds of exit than rows: the rest is counted together, and the table's kinds still apart. */
static void overflow(void **state)
{
    struct bench *bench = *state;
    struct stats *stats = &bench->vm.stats;
    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < 5000; i++)
            stats_exit(stats, exit_of(some_class(i), i * 4), i & 1, i, 1);
    }
    assert_int_equal(total(stats), 10000);
    assert_int_equal(exit_class(stats_row_exit(&stats->rows[STATS_ROWS - 1])), EXIT_CLASSES);
    for (unsigned i = 0; i + 1 < STATS_ROWS; i++)
        assert_true(stats->rows[i].count == 0 || stats->rows[i].count == 2);
}

static void names(void **state)
{
    static const struct {
        unsigned exit_class;
        uint32_t detail;
        const char *text;
    } cases[] = {
        {EXIT_CSR, CSR_SSTATUS, "sstatus"},
        {EXIT_CSR, 0x5a8, "csr 0x5a8"},
        {EXIT_SRET, 0, "sret"},
        {EXIT_FENCE, 0, "all"},
        {EXIT_FENCE, 3, "address and asid"},
        {EXIT_SBI, EXIT_SBI_CALL(0x54494d45, 0), "TIME.set_timer"},
        {EXIT_SBI, EXIT_SBI_CALL(0x4442434e, 2), "DBCN.write_byte"},
        {EXIT_SBI, EXIT_SBI_CALL(1, 0), "legacy.console_putchar"},
        {EXIT_SBI, 0xdeadbeef, "sbi 0xdeadbeef"},
        {EXIT_SHADOW_FILL, CAUSE_STORE_PAGE, "store page fault"},
        {EXIT_MMIO, 0x5, "uart CTL load"},
        {EXIT_MMIO, EXIT_STORE | 0x5, "uart CTL store"},
        {EXIT_MMIO, 0x6, "uart IN"},
        {EXIT_MMIO, EXIT_STORE | 0x6, "uart OUT"},
        {EXIT_MMIO, 0x7, "uart+0x07 load"},
        {EXIT_MMIO, 0x10118, "disk BUF[1]"},
        {EXIT_MMIO, EXIT_STORE | 0x10118, "disk BUF[1] store"},
        {EXIT_MMIO, 0x1011a, "disk+0x11a load"},
        {EXIT_MMIO, 0x10120, "disk+0x120 load"},
        {EXIT_MMIO, 0x00070000, "device+0x00 load"},
        {EXIT_PLIC, EXIT_STORE | 0x201004 >> 2, "complete"},
        {EXIT_BOARD, EXIT_STORE, "finisher+0x00 store"},
        {EXIT_INTERRUPT, 5, "timer"},
        {EXIT_PATCH, EXIT_PATCH_LOAD, "load"},
        {EXIT_PATCH, EXIT_PATCH_REPAIRED, "stale site"},
        {EXIT_PATCH, EXIT_PATCH_RUN_AGAIN, "other 3"},
        {EXIT_NONE, 0, "rest"},
        {EXIT_CLASSES, 0, "rest"},
        {255, 0, "rest"},
    };
    struct bench *bench = *state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[48];
        struct exit exit = exit_of((enum exit_class)cases[i].exit_class, cases[i].detail);
        names_detail(&bench->vm, exit, text, sizeof(text));
        assert_string_equal(text, cases[i].text);
    }
}

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

/* Waiting takes time and is no exit of its own. */
static void waiting_is_added(void **state)
{
    struct bench *bench = *state;
    struct stats *stats = &bench->vm.stats;
    stats_waited(stats, VMODE_S, 40);
    assert_int_equal(total(stats), 0);
    stats_exit(stats, exit_of(EXIT_WFI, 0), VMODE_S, 5, 2);
    assert_int_equal(total(stats), 1);
    for (unsigned i = 0; i < STATS_ROWS; i++)
        assert_true(stats->rows[i].count == 0 || stats->rows[i].ticks == 42);
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
    assert_sent("{\"class\":\"wfi\",\"mode\":\"vS\",\"detail\":\"wfi\",\"count\":0,"
                "\"instructions\":0,\"nanoseconds\":90000,\"histogram\":[]}");
    assert_sent("\"vmm\":{\"instructions\":0,\"nanoseconds\":1000}");
    assert_sent("\"idle\":{\"instructions\":0,\"nanoseconds\":90000}");
    assert_sent("\"guest\":{\"instructions\":0,\"nanoseconds\":9000}");
    assert_string_equal(accept_value(sent), "\n");
}

static void reset_forgets(void **state)
{
    struct bench *bench = *state;
    struct vm *vm = &bench->vm;
    stats_exit(&vm->stats, exit_of(EXIT_CSR, CSR_SSTATUS), VMODE_S, 100, 7);
    vm->device[0].count.loads = 5;
    vm->stats.memory = (struct stats_memory){
        .fills = 1, .pool = {.pages = 20, .peak = 30, .limit = 40}, .fixed_bytes = 50};
    now = 77;
    retired = 88;
    stats_reset(vm);
    assert_int_equal(total(&vm->stats), 0);
    assert_int_equal(vm->device[0].count.loads, 0);
    assert_int_equal(vm->stats.memory.fills, 0);
    assert_int_equal(vm->stats.memory.pool.pages, 20);
    assert_int_equal(vm->stats.memory.pool.peak, 20);
    assert_int_equal(vm->stats.memory.pool.limit, 40);
    assert_int_equal(vm->stats.memory.fixed_bytes, 50);
    assert_int_equal(vm->stats.begin_time, 77);
    assert_int_equal(vm->stats.begin_instret, 88);
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
    assert_sent(
        "\"count\":1,\"instructions\":null,\"nanoseconds\":100,\"histogram\":[0,0,0,0,0,0,1]");
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

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(adds_up),
        TEST(histogram_ends),
        TEST(overflow),
        TEST(names),
        TEST(line_is_json),
        TEST(longest_is_kept),
        TEST(report_in_pieces),
        TEST(waiting_is_added),
        TEST(waiting_is_told_while_it_lasts),
        TEST(reset_forgets),
        TEST(clock_is_no_count),
        TEST(learning_is_not_forgotten),
    };
    return cmocka_run_group_tests_name("statistics", tests, NULL, NULL);
}
