/* The guest's clock over a host's that the test sets by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "board/board.h"
#include "board/lines.h"
#include "board/rtc.h"
#include "host/io.h"
#include "host/log.h"
#include "host/machine.h"
#include "host/map.h"
#include "vm/vm.h"

#define TIME_LOW        0x00u
#define TIME_HIGH       0x04u
#define ALARM_LOW       0x08u
#define ALARM_HIGH      0x0cu
#define IRQ_ENABLED     0x10u
#define CLEAR_ALARM     0x14u
#define ALARM_STATUS    0x18u
#define CLEAR_INTERRUPT 0x1cu

#define NOW 0x18d0123456789abcull /* some day in 2026 */

/* --- What the module asks of the rest --- */

uint64_t map_offset;
static bool line;
static unsigned edges;
static int enable_result;
static struct host_irq host_irq;

void host_log(const char *format, ...)
{
    assert_non_null(format);
}

uint64_t io_time(void)
{
    return 0;
}

uint64_t io_instret(void)
{
    return 0;
}

void lines_set(struct vm *vm, unsigned source, bool level)
{
    assert_non_null(vm);
    assert_int_equal(source, 11);
    edges += level && !line;
    line = level;
}

int host_irq_enable(struct host *host, unsigned irq, bool (*handle)(void *argument, unsigned irq),
                    void *argument)
{
    assert_int_equal(irq, host->rtc.irq);
    host_irq = (struct host_irq){handle, argument};
    return enable_result;
}

/* --- The bench --- */

struct bench {
    uint32_t host_registers[9];
    struct host host;
    struct board board;
    struct vm vm;
    struct vcpu vcpu;
};

/* The two kinds of interrupt controller that the clock tells apart. */
static const struct board_plic seen = {.name = "seen"}, unseen = {.name = "unseen", .unseen = true};

static void host_is_at(struct bench *bench, uint64_t now)
{
    bench->host_registers[TIME_LOW / 4] = (uint32_t)now;
    bench->host_registers[TIME_HIGH / 4] = (uint32_t)(now >> 32);
}

static uint64_t host_alarm(const struct bench *bench)
{
    return (uint64_t)bench->host_registers[ALARM_HIGH / 4] << 32 |
           bench->host_registers[ALARM_LOW / 4];
}

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    map_offset = 0;
    line = false;
    edges = 0;
    enable_result = 0;
    host_irq = (struct host_irq){NULL, NULL};
    bench->host.rtc = (struct host_window){
        .hpa = (uintptr_t)bench->host_registers, .size = RTC_SIZE, .irq = 11};
    bench->board.plic_row = &seen;
    bench->vm.host = &bench->host;
    bench->vm.board = &bench->board;
    bench->vcpu.vm = &bench->vm;
    host_is_at(bench, NOW);
    assert_int_equal(rtc_init(&bench->vm), 0);
    rtc_reset(&bench->vm);
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static uint32_t load(struct bench *bench, uint64_t reg)
{
    struct mmio io = {.offset = reg, .value = ~0ull, .width = 4};
    assert_true(rtc_access(&bench->vcpu, NULL, &io));
    assert_true(io.value <= UINT32_MAX);
    return (uint32_t)io.value;
}

static void store(struct bench *bench, uint64_t reg, uint32_t value)
{
    struct mmio io = {.offset = reg, .value = value, .width = 4, .store = true};
    assert_true(rtc_access(&bench->vcpu, NULL, &io));
}

static uint64_t guest_time(struct bench *bench)
{
    uint64_t low = load(bench, TIME_LOW);
    return (uint64_t)load(bench, TIME_HIGH) << 32 | low;
}

/* Both in the order of Linux' driver. */
static void set_time(struct bench *bench, uint64_t time)
{
    store(bench, TIME_HIGH, (uint32_t)(time >> 32));
    store(bench, TIME_LOW, (uint32_t)time);
}

static void set_alarm(struct bench *bench, uint64_t time)
{
    store(bench, ALARM_HIGH, (uint32_t)(time >> 32));
    store(bench, ALARM_LOW, (uint32_t)time);
}

static void host_rings(void)
{
    assert_true(host_irq.handle(host_irq.argument, 11));
}

/* --- Tests --- */

static void test_time(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(guest_time(bench), NOW);
    /* The upper half belongs to the lower half that was read last. */
    host_is_at(bench, 0x1ffffffff);
    assert_int_equal(load(bench, TIME_LOW), 0xffffffff);
    host_is_at(bench, 0x200000000);
    assert_int_equal(load(bench, TIME_HIGH), 1);
    assert_int_equal(guest_time(bench), 0x200000000);
}

static void test_set_time(void **state)
{
    struct bench *bench = *state;
    set_time(bench, 1000);
    assert_int_equal(guest_time(bench), 1000);
    host_is_at(bench, NOW + 5);
    assert_int_equal(guest_time(bench), 1005);
    set_time(bench, UINT64_MAX);
    assert_int_equal(guest_time(bench), UINT64_MAX);
    set_time(bench, NOW + 7000);
    assert_int_equal(guest_time(bench), NOW + 7000);
    /* It survives a reset, and the machine's own clock was never written. */
    rtc_reset(&bench->vm);
    assert_int_equal(guest_time(bench), NOW + 7000);
    assert_int_equal(bench->host_registers[TIME_LOW / 4], (uint32_t)(NOW + 5));
    assert_int_equal(bench->host_registers[TIME_HIGH / 4], NOW >> 32);
}

static void test_alarm(void **state)
{
    struct bench *bench = *state;
    store(bench, IRQ_ENABLED, 1);
    set_alarm(bench, NOW + 100);
    assert_int_equal(load(bench, ALARM_STATUS), 1);
    assert_int_equal(load(bench, ALARM_LOW), (uint32_t)(NOW + 100));
    assert_int_equal(load(bench, ALARM_HIGH), NOW >> 32);
    assert_int_equal(host_alarm(bench), NOW + 100);
    assert_false(line);
    host_is_at(bench, NOW + 100);
    host_rings();
    assert_true(line);
    assert_int_equal(load(bench, ALARM_STATUS), 0);
    assert_int_equal(bench->host_registers[CLEAR_INTERRUPT / 4], 1);
    host_rings(); /* once more, for nothing */
    assert_int_equal(edges, 1);
    store(bench, CLEAR_INTERRUPT, 1);
    assert_false(line);
    host_rings();
    assert_int_equal(edges, 1);
}

/* Rings at once, and is seen when the interrupt is enabled. */
static void test_alarm_in_the_past(void **state)
{
    struct bench *bench = *state;
    set_alarm(bench, NOW);
    assert_int_equal(load(bench, ALARM_STATUS), 0);
    assert_false(line);
    store(bench, IRQ_ENABLED, 1);
    assert_true(line);
    store(bench, IRQ_ENABLED, 0);
    assert_false(line);
    store(bench, IRQ_ENABLED, 3);
    assert_int_equal(load(bench, IRQ_ENABLED), 1);
    assert_true(line);
    rtc_reset(&bench->vm);
    store(bench, IRQ_ENABLED, 1);
    assert_int_equal(edges, 2);
}

/* The host's alarm is in the host's time, and never beyond what it can count. */
static void test_alarm_of_another_day(void **state)
{
    struct bench *bench = *state;
    set_time(bench, 1000);
    set_alarm(bench, 1500);
    assert_int_equal(host_alarm(bench), NOW + 500);
    set_alarm(bench, UINT64_MAX);
    assert_int_equal(host_alarm(bench), INT64_MAX);
    assert_int_equal(load(bench, ALARM_STATUS), 1);
    host_is_at(bench, UINT64_MAX);
    set_alarm(bench, UINT64_MAX);
    assert_int_equal(host_alarm(bench), INT64_MAX);
}

/* An interrupt that was on its way when the guest changed its mind. */
static void test_late_interrupt(void **state)
{
    struct bench *bench = *state;
    store(bench, IRQ_ENABLED, 1);
    set_alarm(bench, NOW + 10);
    host_is_at(bench, NOW + 10);
    set_alarm(bench, NOW + 20);
    host_rings();
    assert_false(line);
    assert_int_equal(load(bench, ALARM_STATUS), 1);
    store(bench, CLEAR_ALARM, 1);
    assert_int_equal(load(bench, ALARM_STATUS), 0);
    assert_int_equal(bench->host_registers[CLEAR_ALARM / 4], 1);
    host_is_at(bench, NOW + 20);
    host_rings();
    assert_int_equal(edges, 0);
    /* A reset forgets it as well. */
    set_alarm(bench, NOW + 30);
    rtc_reset(&bench->vm);
    store(bench, IRQ_ENABLED, 1);
    host_is_at(bench, NOW + 30);
    host_rings();
    assert_int_equal(edges, 0);
}

/* PLIC=mapped: the host's line is the guest's, so all that it depends on is the guest's too. */
static void test_direct(void **state)
{
    struct bench *bench = *state;
    uint32_t *host = bench->host_registers;
    host_irq = (struct host_irq){NULL, NULL};
    bench->board.plic_row = &unseen;
    assert_int_equal(rtc_init(&bench->vm), 0);
    assert_null(host_irq.handle);
    rtc_reset(&bench->vm);
    assert_int_equal(host[IRQ_ENABLED / 4], 0);
    store(bench, IRQ_ENABLED, 3);
    assert_int_equal(host[IRQ_ENABLED / 4], 1);
    set_time(bench, 1000);
    set_alarm(bench, 1500);
    assert_int_equal(host_alarm(bench), NOW + 500);
    set_alarm(bench, 900); /* in the past: the host's rings at once */
    assert_int_equal(host_alarm(bench), NOW);
    host[ALARM_STATUS / 4] = 1;
    assert_int_equal(load(bench, ALARM_STATUS), 1);
    host[CLEAR_INTERRUPT / 4] = 0;
    store(bench, CLEAR_INTERRUPT, 1);
    assert_int_equal(host[CLEAR_INTERRUPT / 4], 1);
    host[CLEAR_ALARM / 4] = 0;
    rtc_reset(&bench->vm);
    assert_int_equal(host[CLEAR_ALARM / 4], 1);
    assert_int_equal(host[IRQ_ENABLED / 4], 0);
    assert_int_equal(guest_time(bench), 1000);
    assert_int_equal(edges, 0); /* the vPLIC's line stays out of it */
}

/* Eight bytes are two registers: the lower first, which sets the alarm without the upper half. */
static void test_eight_bytes(void **state)
{
    struct bench *bench = *state;
    struct mmio io = {.offset = TIME_LOW, .width = 8};
    host_is_at(bench, 0x1234567890abcdef);
    assert_true(rtc_access(&bench->vcpu, NULL, &io));
    assert_int_equal(io.value, 0x1234567890abcdef);
    io = (struct mmio){.offset = ALARM_LOW, .width = 8, .store = true, .value = 0xffffffff00000001};
    assert_true(rtc_access(&bench->vcpu, NULL, &io));
    assert_int_equal(load(bench, ALARM_LOW), 1);
    assert_int_equal(load(bench, ALARM_HIGH), 0xffffffff);
    io = (struct mmio){.offset = ALARM_LOW, .width = 8};
    assert_true(rtc_access(&bench->vcpu, NULL, &io));
    assert_int_equal(io.value, 0xffffffff00000001);
}

static void test_bad_accesses(void **state)
{
    struct bench *bench = *state;
    struct mmio io = {.offset = 0};
    for (unsigned i = 0; i < 4; i++) {
        for (io.offset = 0; io.offset < RTC_SIZE; io.offset += 1u << i) {
            io.width = (uint8_t)(1u << i);
            io.store = io.offset & 8;
            assert_int_equal(rtc_access(&bench->vcpu, NULL, &io),
                             i >= 2 && io.offset + io.width <= 0x24);
        }
    }
    assert_int_equal(load(bench, 0x20), 0);
    assert_int_equal(load(bench, CLEAR_ALARM), 0);
}

static void test_no_clock(void **state)
{
    struct bench *bench = *state;
    struct mmio io = {.width = 4};
    memset(&bench->board.rtc, 0, sizeof(bench->board.rtc));
    bench->host.rtc = (struct host_window){.hpa = 0};
    assert_int_equal(rtc_init(&bench->vm), 0);
    rtc_reset(&bench->vm);
    assert_false(rtc_access(&bench->vcpu, NULL, &io));

    bench->host.rtc.hpa = (uintptr_t)bench->host_registers;
    enable_result = -1;
    assert_true(rtc_init(&bench->vm) < 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(test_time),
        TEST(test_set_time),
        TEST(test_alarm),
        TEST(test_alarm_in_the_past),
        TEST(test_alarm_of_another_day),
        TEST(test_late_interrupt),
        TEST(test_direct),
        TEST(test_eight_bytes),
        TEST(test_bad_accesses),
        TEST(test_no_clock),
    };
    return cmocka_run_group_tests_name("rtc", tests, NULL, NULL);
}
