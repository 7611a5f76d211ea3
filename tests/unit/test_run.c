/*
 * The phases of an exit that every engine's loop has (core/vm/run.h): beginning, host interrupts,
 * waiting, pausing, counting. Surprise: each time that the hart wakes begins an exit of its own for
 * the longest exit and for the budget, while the statistics' row still gets one exit with all its
 * instructions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rig.h"
#include "vm/run.h"

/* --- What the module asks of the host --- */

/* What happens while the hart sleeps. */
struct sleep {
    uint64_t sip;          /* the real hart's, when it wakes */
    uint64_t guest;        /* the guest's own: SSIP, SEIP */
    uint64_t instructions; /* of the VMM, until the hart sleeps again or the exit ends */
    uint64_t ticks;        /* asleep */
    bool go_on;            /* the control channel ends the pause */
};

static const struct sleep *sleeps; /* the next one */

void host_interrupt(struct host *host)
{
    assert_ptr_equal(host, &rig.host);
    rig_note("host_interrupt");
}

void host_wait(struct host *host, bool for_guest)
{
    const struct sleep *sleep = sleeps++;
    assert_ptr_equal(host, &rig.host);
    rig_note("host_wait %d", for_guest);
    rig_pass(0, sleep->ticks);
    hart_csr[CSR_SIP] = sleep->sip;
    rig.vcpu.csr.sip |= sleep->guest & SIP_SSIP;
    rig.vcpu.external |= (sleep->guest & SIP_SEIP) != 0;
    rig.vm.paused &= !sleep->go_on;
}

/* Where the statistics count an exit of vS. */
static const struct stats_row *counted(struct exit exit)
{
    for (unsigned i = 0; i < STATS_ROWS; i++)
        if (rig.vm.stats.rows[i].id == (exit.bits | (uint64_t)VMODE_S << 40))
            return &rig.vm.stats.rows[i];
    fail_msg("exit %#lx is not counted", exit.bits);
    return NULL;
}

static const struct exit wfi = {(uint64_t)EXIT_WFI << 32};
static const struct exit fence = {(uint64_t)EXIT_FENCE << 32 | FENCE_ASID};

/* --- Beginning and end --- */

static void test_begin(void **state)
{
    (void)state;
    rig.hart->end_instret = 300;
    rig.hart->spent = true;
    rig.vm.stats.guest_instructions = 10;
    rig_pass(500, 70);
    run_begin(&rig.vcpu);
    rig_equal(rig.vm.stats.guest_instructions, 210);
    rig_equal(rig.hart->begin_instret, 500);
    rig_equal(rig.hart->begin_time, 70);
    rig_equal(rig.hart->mode, VMODE_S);
    assert_false(rig.hart->spent);
}

/* The mode is that of the begin, whatever the exit has made of it. */
static void test_end(void **state)
{
    (void)state;
    run_begin(&rig.vcpu);
    rig_pass(400, 30);
    rig.vcpu.mode = VMODE_U;
    hart_csr[CSR_SEPC] = 0x1234;
    run_end(&rig.vcpu, fence);
    rig_equal(counted(fence)->count, 1);
    rig_equal(counted(fence)->instructions, 400);
    rig_equal(counted(fence)->ticks, 30);
    rig_equal(rig.hart->end_instret, 400);
    rig_equal(rig.vm.stats.longest.instructions, 400);
    rig_equal(rig.vm.stats.longest.ticks, 30);
    rig_equal(rig.vm.stats.longest.pc, 0x1234);
    rig_equal(rig.vm.stats.longest.exit.bits, fence.bits);
    rig_equal(rig.vm.stats.longest.mode, VMODE_S);
}

/* --- Host interrupts --- */

static const struct {
    const char *name;
    uint64_t number;
    const char *calls;
    uint64_t sip, sie; /* of the real hart afterwards, all having been set */
    unsigned changed;
} interrupts[] = {
    {"software", 1, "poll", SIP_STIP | SIP_SEIP, SIP_ALL, 0},
    {"timer", 5, "poll", SIP_ALL, SIP_SSIP | SIP_SEIP, VCPU_INTERRUPTS},
    {"external", 9, "host_interrupt; poll", SIP_ALL, SIP_ALL, 0},
    {"unknown", 13, "poll", SIP_ALL, SIP_ALL, 0},
};

static void test_interrupt(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROWS(interrupts); i++) {
        rig_row(interrupts[i].name);
        hart_csr[CSR_SIP] = hart_csr[CSR_SIE] = SIP_ALL;
        struct exit exit = run_interrupt(&rig.vcpu, interrupts[i].number);
        rig_exit(exit, EXIT_INTERRUPT, interrupts[i].number);
        rig_calls(interrupts[i].calls);
        rig_equal(hart_csr[CSR_SIP], interrupts[i].sip);
        rig_equal(hart_csr[CSR_SIE], interrupts[i].sie);
        rig_equal(rig.vcpu.changed, interrupts[i].changed);
    }
}

/* --- Waiting --- */

/* Of what is pending when the hart wakes, what sie enables is handled. */
static const struct {
    const char *name;
    uint64_t sip, sie;
    const char *calls;
    unsigned changed;
} wakings[] = {
    {"nothing", 0, SIP_ALL, "host_wait 1; wake", 0},
    {"timer", SIP_STIP, SIP_ALL, "host_wait 1; wake", VCPU_INTERRUPTS},
    {"timer, off", SIP_STIP, SIP_SEIP, "host_wait 1; wake", 0},
    {"external", SIP_SEIP, SIP_ALL, "host_wait 1; host_interrupt; wake", 0},
    {"external, off", SIP_SEIP, SIP_STIP, "host_wait 1; wake", 0},
    {"both", SIP_ALL, SIP_ALL, "host_wait 1; host_interrupt; wake", VCPU_INTERRUPTS},
};

static void test_wait(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROWS(wakings); i++) {
        const struct sleep sleep = {.sip = wakings[i].sip};
        rig_row(wakings[i].name);
        sleeps = &sleep;
        hart_csr[CSR_SIE] = wakings[i].sie;
        rig.hart->spent = true;
        run_wait(&rig.vcpu, fence, true);
        rig_calls(wakings[i].calls);
        rig_equal(rig.vcpu.changed, wakings[i].changed);
        assert_false(rig.hart->spent);
    }
}

/* Time asleep is WFI's, whatever the exit is; the rest is the exit's. */
static void test_time_of_waiting(void **state)
{
    static const struct sleep sleep = {.ticks = 1000};
    (void)state;
    sleeps = &sleep;
    run_begin(&rig.vcpu);
    rig_pass(100, 20);
    run_wait(&rig.vcpu, fence, true);
    rig_pass(50, 3);
    run_end(&rig.vcpu, fence);
    rig_equal(counted(fence)->ticks, 23);
    rig_equal(counted(fence)->count, 1);
    rig_equal(counted(fence)->instructions, 150);
    rig_equal(counted(wfi)->ticks, 1000);
    rig_equal(counted(wfi)->count, 0);
}

/* Instructions before the hart slept, and after it woke, of one exit. */
static const struct {
    const char *name;
    uint64_t before, after, longest;
} lengths[] = {
    {"before", 1000, 300, 1000},
    {"after", 300, 1000, 1000},
    {"never both", 600, 600, 600},
};

static void test_longest(void **state)
{
    static const struct sleep sleep = {.ticks = 1};
    (void)state;
    for (unsigned i = 0; i < ROWS(lengths); i++) {
        rig_row(lengths[i].name);
        sleeps = &sleep;
        rig_pass(7, 0);
        run_begin(&rig.vcpu);
        rig_pass(lengths[i].before, 0);
        run_wait(&rig.vcpu, fence, true);
        rig_pass(lengths[i].after, 0);
        run_end(&rig.vcpu, fence);
        rig_equal(rig.vm.stats.longest.instructions, lengths[i].longest);
        rig_equal(rig.vm.stats.longest.exit.bits, fence.bits);
    }
}

/* The exit behind one that waited counts from its own begin. */
static void test_longest_behind(void **state)
{
    static const struct sleep sleep = {.ticks = 1};
    (void)state;
    sleeps = &sleep;
    run_begin(&rig.vcpu);
    rig_pass(10, 0);
    run_wait(&rig.vcpu, fence, true);
    run_end(&rig.vcpu, fence);
    rig_pass(5000, 0);
    run_begin(&rig.vcpu);
    rig_pass(200, 0);
    run_end(&rig.vcpu, fence);
    rig_equal(rig.vm.stats.longest.instructions, 200);
}

/* --- WFI --- */

static const struct sleep to_software[] = {{.guest = SIP_SEIP}, {.guest = SIP_SSIP}};
static const struct sleep to_external[] = {{.guest = SIP_SSIP}, {.guest = SIP_SEIP}};
static const struct sleep to_timer[] = {{.ticks = 99}, {.ticks = 1}};

static const struct {
    const char *name;
    const struct sleep *sleeps;
    uint64_t pending, sie;
    const char *calls;
} wfis[] = {
    {"pending already", NULL, SIP_SSIP, SIP_SSIP, "idle 1; idle 0"},
    {"software", to_software, 0, SIP_SSIP,
     "idle 1; host_wait 1; wake; host_wait 0; wake; idle 0"}, /* what is pending must not end it */
    {"external", to_external, 0, SIP_SEIP, "idle 1; host_wait 1; wake; host_wait 1; wake; idle 0"},
    {"timer", to_timer, 0, SIP_STIP, "idle 1; host_wait 1; wake; host_wait 1; wake; idle 0"},
    {"another pending", to_external, SIP_SSIP, SIP_SEIP,
     "idle 1; host_wait 1; wake; host_wait 1; wake; idle 0"},
};

/* sstatus.SIE is off in all rows: WFI does not ask for it. */
static void test_wfi(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROWS(wfis); i++) {
        rig_row(wfis[i].name);
        sleeps = wfis[i].sleeps;
        rig.vcpu.csr.stimecmp = 100;
        rig.vcpu.csr.sip = wfis[i].pending;
        rig.vcpu.csr.sie = wfis[i].sie;
        run_wfi(&rig.vcpu, wfi);
        rig_calls(wfis[i].calls);
        rig_equal(rig.vcpu.changed, VCPU_INTERRUPTS);
    }
}

/* --- Pause --- */

static unsigned pauses; /* so often a poll pauses the VM again */

static void pause_again(void)
{
    rig.vm.paused = pauses > 0;
    pauses -= rig.vm.paused;
}

static const struct sleep once[] = {{.go_on = true}};
static const struct sleep second[] = {{0}, {.go_on = true}};
static const struct sleep twice[] = {{.go_on = true}, {.go_on = true}};

static const struct {
    const char *name;
    const struct sleep *sleeps;
    unsigned pauses;
    bool paused;
    const char *calls;
} pausings[] = {
    {"not paused", NULL, 0, false, ""},
    {"once", once, 0, true, "host_wait 0; wake; poll"},
    {"woken for another reason", second, 0, true, "host_wait 0; wake; host_wait 0; wake; poll"},
    {"paused again", twice, 1, true, "host_wait 0; wake; poll; host_wait 0; wake; poll"},
};

static void test_pause(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROWS(pausings); i++) {
        rig_row(pausings[i].name);
        rig.on_poll = pause_again;
        sleeps = pausings[i].sleeps;
        pauses = pausings[i].pauses;
        rig.vm.paused = pausings[i].paused;
        rig.vcpu.csr.sip = rig.vcpu.csr.sie = SIP_SSIP; /* the guest's interrupts do not end it */
        run_pause(&rig.vcpu, fence);
        rig_calls(pausings[i].calls);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_begin, rig_setup),
        cmocka_unit_test_setup(test_end, rig_setup),
        cmocka_unit_test(test_interrupt),
        cmocka_unit_test(test_wait),
        cmocka_unit_test_setup(test_time_of_waiting, rig_setup),
        cmocka_unit_test(test_longest),
        cmocka_unit_test_setup(test_longest_behind, rig_setup),
        cmocka_unit_test(test_wfi),
        cmocka_unit_test(test_pause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
