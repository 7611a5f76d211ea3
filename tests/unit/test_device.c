/*
 * The core's side of the seam (core/board/device.c): what is counted, what becomes of an access,
 * and what a device and its host end may ask for. Surprise: an access and its device's work may end
 * with the alarm being set anew, and only then: when the end had something to do, or an alarm is
 * set already.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "board/board.h"
#include "board/devices.h"
#include "host/guard.h"
#include "host/map.h"
#include "rig.h"

#define IRQ      12u
#define HOST_IRQ 33u
#define HPA      0x10001000ul

static struct board board;
static struct device *const dev = &rig.vm.device[0];
static struct host_end end;
static bool refuses, settles, puts_off;
static struct host_irq routed;

/* --- What stands beside it --- */

static bool strategy_access(struct device *of, struct mmio *io)
{
    assert_ptr_equal(of, dev);
    rig_note("%s %#lx %u%s", io->store ? "store" : "load", io->offset, io->width,
             io->more ? " more" : "");
    io->put_off = puts_off;
    io->value = io->store ? io->value : 0x4711;
    return !refuses;
}

static void strategy_service(struct device *of)
{
    assert_ptr_equal(of, dev);
    rig_note("service");
}

static const struct strategy ours = {.access = strategy_access, .service = strategy_service};
static const struct strategy given = {.name = "passthrough"};

static bool end_settle(struct host_end *of)
{
    assert_ptr_equal(of, &end);
    rig_note("settle");
    return settles;
}

static uint64_t end_next_look(const struct host_end *of)
{
    (void)of;
    rig_note("next_look");
    return 5000;
}

static void follow(struct vm *vm)
{
    (void)vm;
    rig_note("follow");
}

static const struct board_plic seen = {.follow = follow};
static const struct board_plic unseen = {.follow = follow, .unseen = true};

bool guard_load(uintptr_t address, unsigned width, uint64_t *value)
{
    rig_note("guard_load %#lx %u", map_pointer_hpa((void *)address), width);
    *value = 0x4712;
    return !refuses;
}

bool guard_store(uintptr_t address, unsigned width, uint64_t value)
{
    rig_note("guard_store %#lx %u %#lx", map_pointer_hpa((void *)address), width, value);
    return !refuses;
}

int host_irq_enable(struct host *host, unsigned irq, bool (*handle)(void *, unsigned),
                    void *argument)
{
    assert_ptr_equal(host, &rig.host);
    rig_note("host_irq_enable %u", irq);
    routed = (struct host_irq){handle, argument};
    return refuses ? -EINVAL : 0;
}

static void row(const char *name)
{
    rig_row(name);
    board = (struct board){
        .plic_row = &seen, .plic_poll_time = UINT64_MAX, .resume_time = UINT64_MAX};
    vplic_reset(&board.plic);
    refuses = settles = puts_off = false;
    end = (struct host_end){.settle = end_settle, .next_look = end_next_look};
    rig.vm.board = &board;
    rig.vm.devices = 1;
    *dev = (struct device){.strategy = &ours, .irq = IRQ, .vm = &rig.vm, .end = &end};
}

static bool access(bool store, bool more)
{
    struct mmio io = {.offset = 8, .width = 4, .store = store, .more = more, .value = 0x77};
    bool done = device_access(&rig.vcpu, dev, &io);
    if (!store)
        rig_equal(io.value, dev->strategy->access ? 0x4711 : 0x4712);
    return done;
}

/* --- Accesses --- */

static void test_counts(void **state)
{
    struct mmio io = {.offset = 8, .width = 1};
    (void)state;
    row("counts");
    assert_true(access(true, false));
    assert_true(access(true, false));
    refuses = true;
    assert_false(access(false, false)); /* the guest has tried */
    rig_equal(dev->count.stores, 2);
    rig_equal(dev->count.loads, 1);
    rig_calls("store 0x8 4; settle; store 0x8 4; settle; load 0x8 4; settle");
    assert_false(device_carry_out(dev, &io));
    rig_calls("load 0x8 1");
    rig_equal(dev->count.loads, 1);
}

/* What the core says to the device, and does not say for it. */
static void test_more(void **state)
{
    (void)state;
    row("more");
    end.ablate = ABLATE_COALESCE; /* the device's own concern */
    access(true, true);
    access(true, false);
    dev->end = NULL;
    access(true, true);
    rig_calls("store 0x8 4 more; settle; store 0x8 4; settle; store 0x8 4 more");
    assert_false(dev->put_off || rig.vm.has_put_off);
}

static void test_put_off(void **state)
{
    (void)state;
    row("put off");
    puts_off = true;
    access(true, true);
    assert_true(dev->put_off && rig.vm.has_put_off);
    puts_off = false;
    access(true, true);
    assert_true(dev->put_off && rig.vm.has_put_off); /* until the board settles */
}

static const struct {
    const char *name;
    bool settles, has_alarm;
    const char *calls;
    uint64_t alarm;
} alarms[] = {
    {"nothing", false, false, "load 0x8 4; settle", UINT64_MAX},
    {"the end had something to do", true, false, "load 0x8 4; settle; next_look", 5000},
    {"there is an alarm", false, true, "load 0x8 4; settle; next_look", 5000},
};

static void test_alarm(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROWS(alarms); i++) {
        row(alarms[i].name);
        settles = alarms[i].settles;
        rig.hart->alarm = alarms[i].has_alarm ? 9000 : UINT64_MAX;
        access(false, false);
        rig_calls(alarms[i].calls);
        rig_equal(rig.hart->alarm, alarms[i].alarm);
    }
}

/* The machine's own device: counted, and the machine says what it answers. */
static void test_passed_on(void **state)
{
    static const struct host_window window = {.hpa = HPA, .size = 0x1000};
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        row(i ? "refused" : "passed on");
        refuses = i;
        dev->strategy = &given;
        dev->host = (void *)&window;
        dev->end = NULL;
        rig_equal(access(false, false), !i);
        rig_equal(access(true, false), !i);
        rig_calls("guard_load 0x10001008 4; guard_store 0x10001008 4 0x77");
        rig_equal(dev->count.loads + dev->count.stores, 2);
    }
}

/* --- The interrupt line --- */

/* +: high, -: low. The controller is followed when its source becomes pending. */
static const struct {
    const char *levels, *calls;
    unsigned edges;
} levels[] = {
    {"-", "", 0},         {"+", "follow", 1},     {"++", "follow", 1},    {"+-", "follow", 1},
    {"+-+", "follow", 2}, {"--+--", "follow", 1}, {"+-+-+", "follow", 3},
};

static void test_irq(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROWS(levels); i++) {
        bool level = false;
        row(levels[i].levels);
        for (const char *next = levels[i].levels; *next; next++) {
            level = *next == '+';
            device_set_irq(dev, level);
        }
        rig_calls(levels[i].calls);
        rig_equal(dev->count.irqs, levels[i].edges);
        rig_equal(dev->line, level);
        rig_equal(board.plic.line[0] >> IRQ & 1, level);
        rig_equal(board.plic.pending[0] >> IRQ & 1, levels[i].edges > 0);
    }
}

/* --- Yielding --- */

static void test_yield(void **state)
{
    (void)state;
    row("yield");
    hart_csr[CSR_TIME] = HART_TICKS - 1;
    assert_false(device_yield(dev));
    assert_false(dev->unfinished);
    rig_equal(rig.vcpu.changed, 0);
    rig_calls("");
    hart_csr[CSR_TIME] = HART_TICKS;
    assert_true(device_yield(dev));
    assert_true(dev->unfinished);
    rig_equal(rig.vcpu.changed, VCPU_INTERRUPTS);
    rig_equal(board.resume_time, HART_TICKS + 1000);
    rig_equal(rig.hart->alarm, 5000); /* the end's time and this one: both are */
    rig_calls("next_look");
    assert_true(rig.hart->spent);
}

/* --- What a strategy asks for --- */

static int no_space(struct vm *vm, uint64_t gpa, uint64_t hpa, uint64_t size)
{
    (void)vm, (void)gpa, (void)hpa, (void)size;
    return -ENOSPC;
}

/* Whoever has a page of the machine's own device may master the bus, watched or not. */
static void test_map(void **state)
{
    struct engine full = rig_engine;
    (void)state;
    row("map");
    rig_equal(vm_map(&rig.vm, 0x10001000, HPA, 0x1000), 0);
    rig_calls("expect_dma; map 0x10001000 0x10001000 0x1000");
    rig.vm.options.watch = true;
    rig_equal(vm_map(&rig.vm, 0x10001000, HPA, 0x1000), 0);
    rig_calls("expect_dma");
    rig.vm.options.watch = false;
    full.map = no_space;
    rig.vm.engine = &full;
    rig_equal(vm_map(&rig.vm, 0x10001000, HPA, 0x1000), -ENOSPC);
}

static void test_route(void **state)
{
    (void)state;
    row("route");
    rig_equal(vm_route_irq(dev, HOST_IRQ), 0);
    rig_equal(board.routed[IRQ], HOST_IRQ);
    rig_calls("host_irq_enable 33");
    assert_false(routed.handle(routed.argument, HOST_IRQ)); /* it stays claimed */
    rig_calls("follow");
    rig_equal(dev->count.irqs, 1);
    rig_equal(board.plic.line[0] >> IRQ & 1, 1);
    refuses = true;
    rig_equal(vm_route_irq(dev, HOST_IRQ), -EINVAL);
    row("the guest claims it itself");
    board.plic_row = &unseen;
    rig_equal(vm_route_irq(dev, HOST_IRQ), 0);
    rig_equal(board.routed[IRQ], 0);
    rig_calls("");
}

/* --- What a host end asks for --- */

static void test_owner(void **state)
{
    (void)state;
    row("owner");
    device_owner.notify(dev);
    rig_calls("service");
    assert_false(device_owner.is_unfinished(dev));
    dev->unfinished = true;
    assert_true(device_owner.is_unfinished(dev));
    assert_false(device_owner.yield(dev));
    device_owner.written(dev, rig_ram + 0x123, 16);
    rig_calls("ram_written 0x80200123 16");
    device_owner.written(dev, &board, 16); /* the VMM's own */
    rig_calls("");
    dev->strategy = &given;
    device_owner.notify(dev);
    rig_calls("");
}

/* Before the guest, or claimed and not completed, in its S context. */
static void test_interrupting(void **state)
{
    (void)state;
    row("interrupting");
    board.plic.priority[IRQ] = 1;
    board.plic.threshold[VPLIC_CONTEXT_M] = board.plic.threshold[VPLIC_CONTEXT_S] = 0;
    device_set_irq(dev, true);
    assert_false(device_owner.is_interrupting(dev)); /* not enabled */
    board.plic.enable[VPLIC_CONTEXT_M][0] = 1u << IRQ;
    assert_false(device_owner.is_interrupting(dev));
    board.plic.enable[VPLIC_CONTEXT_S][0] = 1u << IRQ;
    assert_true(device_owner.is_interrupting(dev));
    device_set_irq(dev, false);
    assert_false(device_owner.is_interrupting(dev));
    board.plic.claimed[0] = 1u << IRQ;
    assert_true(device_owner.is_interrupting(dev));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),       cmocka_unit_test(test_more),
        cmocka_unit_test(test_put_off),      cmocka_unit_test(test_alarm),
        cmocka_unit_test(test_passed_on),    cmocka_unit_test(test_irq),
        cmocka_unit_test(test_yield),        cmocka_unit_test(test_map),
        cmocka_unit_test(test_route),        cmocka_unit_test(test_owner),
        cmocka_unit_test(test_interrupting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
