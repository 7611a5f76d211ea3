/* The VM of the tests of statistics: stats_bench.h. */
#include "stats_bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "board/windows.h"
#include "engine/trap/shadow.h"
#include "host/channel.h"
#include "host/io.h"

/* --- What the modules ask of the rest --- */

char sent[1 << 20];
size_t nsent;
uint64_t now, retired;

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

/* --- The bench --- */

int setup(void **state)
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

int teardown(void **state)
{
    free(*state);
    return 0;
}

uint64_t total(const struct stats *stats)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < STATS_ROWS; i++)
        count += stats->rows[i].count;
    return count;
}

enum exit_class some_class(unsigned number)
{
    return (enum exit_class)(EXIT_NONE + 1 + number % (EXIT_CLASSES - EXIT_NONE - 1));
}
