/* The statistics: every exit is counted once, in its row, and has its name. */
#include "stats_bench.h"

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
        {EXIT_PATCH, EXIT_PATCH_RUN_AGAIN, "run again"},
        {EXIT_PATCH, EXIT_PATCH_RIGHTS, "rights"},
        {EXIT_PATCH, 1, "other 1"},
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

/* What was counted and not timed has its rows, beside what was timed. */
static void brief_is_listed(void **state)
{
    struct bench *bench = *state;
    struct stats *stats = &bench->vm.stats;
    unsigned rows = 0;
    stats_exit(stats, exit_of(EXIT_SRET, 0), VMODE_S, 5, 2);
    stats->brief[STATS_SYSCALL] = 7;
    stats->brief[STATS_SRET] = 6;
    stats_list_brief(stats);
    for (unsigned i = 0; i < STATS_ROWS; i++) {
        const struct stats_row *row = &stats->rows[i];
        if (!row->id)
            continue;
        bool call = exit_class(stats_row_exit(row)) == EXIT_SYSCALL;
        rows++;
        assert_int_equal(row->untimed, call ? 7 : 6);
        assert_int_equal(row->count, call ? 0 : 1);
        assert_int_equal(stats_row_mode(row), call ? VMODE_U : VMODE_S);
    }
    assert_int_equal(rows, 2);
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

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(adds_up),          TEST(histogram_ends),  TEST(overflow),      TEST(names),
        TEST(waiting_is_added), TEST(brief_is_listed), TEST(reset_forgets),
    };
    return cmocka_run_group_tests_name("statistics", tests, NULL, NULL);
}
