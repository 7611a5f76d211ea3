/*
 * The devices' turns on the board (core/board/board.c): who is served when, and what wakes the VMM
 * for it; and the row of the emulated interrupt controller (core/board/plic.c). Surprise: an
 * unfinished device is not served at each host interrupt, though it could be, but after the guest
 * has had its time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "board/plic.h"
#include "board_parts.h"
#include "vm/window.h"

#define NEVER UINT64_MAX
#define NOW   50000ul

enum { UART, DISK };

static void start(const char *name, enum plic_way plic)
{
    board_parts_row(name);
    rig.vm.options.plic = plic;
    board_parts_start();
    hart_csr[CSR_TIME] = rig.hart->begin_time = NOW;
}

/* --- Host interrupts --- */

#define LOOKS "look uart; look disk"

static const struct {
    const char *name;
    bool unasked, unfinished; /* the disk, */
    bool spent;               /* and the exit has cost much already */
    uint64_t resume_time;
    const char *calls;
    uint64_t alarm;
    bool is_unfinished; /* afterwards */
} polls[] = {
    {"nothing", false, false, false, NEVER, LOOKS, NEVER, false},
    {"unasked", true, false, false, NEVER, "service disk; settle disk; " LOOKS, NEVER, false},
    {"unfinished, later", false, true, false, NOW + 1, LOOKS, NOW + 1, true},
    {"unfinished, now", false, true, false, NOW,
     "service disk; settle disk; " LOOKS "; channel_poll", NEVER, false},
    {"unfinished and unasked, later", true, true, false, NOW + 1, LOOKS, NOW + 1, true},
    {"the interrupt cost enough", false, true, true, NOW, LOOKS "; channel_poll",
     NOW + HART_TICKS + 1000, true},
    {"unasked all the same", true, false, true, NEVER, "service disk; settle disk; " LOOKS, NEVER,
     false},
};

static void test_poll(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROWS(polls); i++) {
        start(polls[i].name, PLIC_EMULATED);
        rig.vm.device[DISK].unasked = polls[i].unasked;
        rig.vm.device[DISK].unfinished = polls[i].unfinished;
        board.resume_time = polls[i].resume_time;
        if (polls[i].spent)
            rig_pass(0, HART_TICKS);
        rig.vm.calls->poll(&rig.vm);
        rig_calls(polls[i].calls);
        rig_equal(rig.hart->alarm, polls[i].alarm);
        rig_equal(rig.vm.device[DISK].unfinished, polls[i].is_unfinished);
    }
}

/* Each goes on in its turn; one that stops again says when. */
static void test_unfinished_again(void **state)
{
    (void)state;
    start("unfinished again", PLIC_EMULATED);
    rig.vm.device[UART].unfinished = rig.vm.device[DISK].unfinished = true;
    board.resume_time = NOW;
    board_parts.services_yield = true; /* if the exit is spent, which it is not */
    rig.vm.calls->poll(&rig.vm);
    rig_calls("service uart; settle uart; service disk; settle disk; " LOOKS "; channel_poll");
    rig_equal(board.resume_time, NEVER);
    assert_false(rig.vm.device[UART].unfinished || rig.vm.device[DISK].unfinished);
    rig.vm.device[DISK].unasked = true;
    rig_pass(0, HART_TICKS);
    rig.vm.calls->poll(&rig.vm);
    rig_calls("service disk; settle disk; " LOOKS);
    assert_true(rig.vm.device[DISK].unfinished);
    rig_equal(board.resume_time, NOW + HART_TICKS + 1000);
}

/* A device of the machine's own has no end. */
static void test_without_ends(void **state)
{
    (void)state;
    board_parts_row("without ends");
    rig.vm.options.way[UART] = rig.vm.options.way[DISK] = WAY_PASSTHROUGH;
    board_parts_init();
    rig_calls("rtc_init");
    rig.vm.calls->poll(&rig.vm);
    rig.vm.calls->idle(&rig.vm, true);
    rig.vm.calls->idle(&rig.vm, false);
    rig_calls("");
    rig_equal(rig.hart->alarm, NEVER);
}

/* --- Waking and idling --- */

static void test_wake(void **state)
{
    (void)state;
    start("nobody is unfinished", PLIC_EMULATED);
    rig.vm.device[DISK].unasked = true;
    rig.vm.calls->wake(&rig.vm);
    rig_calls("");
    board.resume_time = NOW + 5;
    rig.vm.calls->wake(&rig.vm);
    rig_calls("service disk; settle disk; " LOOKS);
}

static void test_idle(void **state)
{
    (void)state;
    start("emulated controller", PLIC_EMULATED);
    rig.vm.calls->idle(&rig.vm, true);
    rig_calls("idle uart 1; idle disk 1; " LOOKS);
    board.resume_time = NOW + 5;
    rig.vm.calls->idle(&rig.vm, false);
    rig_calls("idle uart 0; idle disk 0");
    rig_equal(rig.hart->alarm, NEVER); /* it was not asked for anew */
    start("mapped controller", PLIC_MAPPED);
    board_parts.plic_next = NOW + 99;
    rig.vm.calls->idle(&rig.vm, true);
    rig_calls("idle uart 1; idle disk 1; plic_poll; " LOOKS);
    rig_equal(rig.hart->alarm, NOW + 99);
    rig.hart->alarm = NEVER; /* it rang while the guest idled */
    rig.vm.calls->idle(&rig.vm, false);
    rig_calls("idle uart 0; idle disk 0");
    rig_equal(rig.hart->alarm, NOW + 99);
}

/* --- Settling --- */

static void test_settle(void **state)
{
    (void)state;
    start("settle", PLIC_EMULATED);
    rig.vm.device[DISK].put_off = rig.vm.has_put_off = true;
    rig.vm.device[UART].unfinished = rig.vm.device[UART].unasked = true;
    rig.vm.calls->settle(&rig.vm);
    rig_calls("service disk");
    assert_false(rig.vm.device[DISK].put_off || rig.vm.has_put_off);
    rig.vm.calls->settle(&rig.vm);
    rig_calls("");
}

/* --- The end of the VM --- */

static void test_finish(void **state)
{
    (void)state;
    start("nothing left", PLIC_EMULATED);
    board_finish(&rig.vm);
    rig_calls("");
    start("put off, and unfinished", PLIC_EMULATED);
    rig.vm.device[UART].put_off = true;
    rig.vm.device[DISK].unfinished = true;
    board.resume_time = NOW;
    hart_csr[CSR_TIME] = NOW +
                         HART_TICKS; /* the exit that ends the VM is spent: pieces begin anew */
    board_finish(&rig.vm);
    rig_calls("service uart; service disk; settle disk; " LOOKS "; channel_poll");
    rig_equal(board.resume_time, NEVER);
}

static uint64_t slow_poll(struct vm *vm)
{
    (void)vm;
    rig_pass(0, rig.host.timebase / 2);
    rig_note("slow_poll");
    return NEVER;
}

/* One that never comes to an end gets a second. */
static void test_finish_in_vain(void **state)
{
    static const struct board_plic slow = {.poll = slow_poll};
    (void)state;
    start("in vain", PLIC_EMULATED);
    board.plic_row = &slow;
    board.resume_time = NEVER - 1;
    board_finish(&rig.vm);
    rig_calls("slow_poll; " LOOKS "; slow_poll; " LOOKS);
}

/* --- The interrupt controller --- */

/* What the guest reads from a register of the controller, or stores there. */
static uint64_t plic(uint64_t offset, bool store, uint64_t value)
{
    const struct window *window = vm_window_at(&rig.vm, VPLIC_BASE);
    struct mmio io = {.offset = offset, .width = 4, .store = store, .value = value};
    rig_equal(window->class, EXIT_PLIC);
    assert_true(window->access(&rig.vcpu, window->self, &io));
    return io.value;
}

#define PRIORITY(source) (4 * (source))
#define ENABLE_S         0x2080ul
#define THRESHOLD_S      0x201000ul
#define CLAIM_S          0x201004ul

static void open_disk(void)
{
    plic(PRIORITY(12), true, 1);
    plic(ENABLE_S, true, 1u << 12);
    plic(THRESHOLD_S, true, 0);
}

/* From the device's line to the vcpu's external interrupt, and back by the guest's claim. */
static void test_emulated_plic(void **state)
{
    (void)state;
    start("emulated", PLIC_EMULATED);
    assert_null(rig.vm.calls->follow);
    open_disk();
    assert_false(rig.vcpu.external);
    device_set_irq(&rig.vm.device[DISK], true);
    assert_true(rig.vcpu.external);
    rig_equal(rig.vcpu.changed, VCPU_INTERRUPTS);
    rig_equal(plic(CLAIM_S, false, 0), 12);
    assert_false(rig.vcpu.external);
    plic(ENABLE_S, true, 0);
    plic(CLAIM_S, true, 12);
    assert_false(rig.vcpu.external);
    rig_calls("");
}

/* ABLATE=batch: a completion that waited for this one may follow. */
static void test_batch(void **state)
{
    (void)state;
    start("batch", PLIC_EMULATED);
    rig.vm.options.ablate = ABLATE_BATCH;
    plic(CLAIM_S, false, 0);
    rig_calls("settle uart; settle disk");
}

/* A source of the host's is completed there when the guest completes its own. */
static void test_completed(void **state)
{
    (void)state;
    start("completed", PLIC_EMULATED);
    board.routed[12] = 33;
    open_disk();
    device_set_irq(&rig.vm.device[DISK], true);
    rig_equal(plic(CLAIM_S, false, 0), 12);
    rig_calls("");
    plic(CLAIM_S, true, 12);
    rig_calls("host_irq_complete 33");
    rig_equal(board.plic.line[0], 0);
    assert_false(rig.vcpu.external);
}

static void test_mapped_plic(void **state)
{
    (void)state;
    start("mapped", PLIC_MAPPED);
    rig.vm.calls->follow(&rig.vm);
    rig_calls("follow");
    plic(CLAIM_S, false, 0);
    rig_calls("plic 0x201004");
    device_set_irq(&rig.vm.device[DISK], true);
    rig_calls("follow");
    board_parts.plic_next = NOW + 7;
    rig.vm.calls->poll(&rig.vm);
    rig_calls("plic_poll; " LOOKS);
    rig_equal(board.plic_poll_time, NOW + 7);
    rig_equal(rig.hart->alarm, NOW + 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_poll),          cmocka_unit_test(test_unfinished_again),
        cmocka_unit_test(test_without_ends),  cmocka_unit_test(test_wake),
        cmocka_unit_test(test_idle),          cmocka_unit_test(test_settle),
        cmocka_unit_test(test_finish),        cmocka_unit_test(test_finish_in_vain),
        cmocka_unit_test(test_emulated_plic), cmocka_unit_test(test_batch),
        cmocka_unit_test(test_completed),     cmocka_unit_test(test_mapped_plic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
