/*
 * The tables of the guest's SBI (core/board/sbi.c): which extensions and legacy calls there are,
 * what a call leaves in a0 and a1, and what it is counted as. Calls about harts and the console are
 * replaced here (test_sbi.c has them). Surprise: a legacy call answers in a0 alone, and one that
 * goes on elsewhere answers nowhere.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "board/sbi.h"
#include "board/sbi_internal.h"
#include "host/firmware.h"
#include "rig.h"
#include "vm/run.h"

#define EID_TIME    0x54494d45ul
#define EID_RFENCE  0x52464e43ul
#define EID_HSM     0x48534dul
#define EID_SRST    0x53525354ul
#define EID_DBCN    0x4442434eul
#define EID_TRIDENT 0x09000001ul
#define EID_PMU     0x504d55ul
#define EID_SUSP    0x53555350ul

#define A0 rig.vcpu.x[10]
#define A1 rig.vcpu.x[11]
#define A6 rig.vcpu.x[16]
#define A7 rig.vcpu.x[17]

#define OLD_A0 0x7770ul
#define OLD_A1 0x7771ul

static struct sbi_answer answer; /* of the calls that are replaced */
static bool mark_is_written;
static jmp_buf ended;

/* --- What the module calls --- */

#define PART(name)                                                     \
    struct sbi_answer sbi_call_##name(struct vcpu *vcpu, uint64_t fid) \
    {                                                                  \
        (void)vcpu;                                                    \
        rig_note(#name " %lu", fid);                                   \
        return answer;                                                 \
    }

#define LEGACY(name)                                       \
    struct sbi_answer sbi_legacy_##name(struct vcpu *vcpu) \
    {                                                      \
        (void)vcpu;                                        \
        rig_note(#name);                                   \
        return answer;                                     \
    }

PART(ipi)
PART(rfence)
PART(hsm)
PART(dbcn)
LEGACY(putchar)
LEGACY(getchar)
LEGACY(clear_ipi)
LEGACY(send_ipi)
LEGACY(fence_i)
LEGACY(sfence)
LEGACY(sfence_asid)

struct firmware_answer firmware_call(uint64_t extension, uint64_t function, uint64_t a0,
                                     uint64_t a1, uint64_t a2)
{
    rig_equal(extension, SBI_EID_BASE);
    rig_equal(a0 | a1 | a2, 0);
    rig_note("firmware %lu", function);
    return (struct firmware_answer){.value = 0x100 + function};
}

void run_wait(struct vcpu *vcpu, struct exit exit, bool for_guest)
{
    (void)vcpu;
    rig_note("run_wait %#x %d", exit_detail(exit), for_guest);
}

void stats_reset(struct vm *vm)
{
    assert_ptr_equal(vm, &rig.vm);
    rig_note("stats_reset");
}

static bool mark(struct vm *vm, int label)
{
    (void)vm;
    rig_note("mark %d", label);
    return mark_is_written;
}

static void end(struct vm *vm, enum vm_end how, unsigned status)
{
    (void)vm;
    rig_note("%s %u", how == VM_POWEROFF ? "poweroff" : "reboot", status);
    longjmp(ended, 1);
}

/* --- The guest --- */

static void row(const char *name)
{
    rig_row(name);
    answer = (struct sbi_answer){0};
    mark_is_written = true;
    rig.vm.mark = mark;
    rig.vm.end = end;
    rig.vcpu.pc = RIG_PC + 4; /* behind the ecall */
    A0 = OLD_A0;
    A1 = OLD_A1;
}

static struct exit call(uint64_t eid, uint64_t fid)
{
    A7 = eid;
    A6 = fid;
    return sbi_call(&rig.vcpu);
}

/* --- Which there are --- */

static const struct {
    const char *name;
    uint64_t eid;
    bool probed;
    const char *calls; /* of function 77, which goes to the extension and no further */
} extensions[] = {
    {"base", SBI_EID_BASE, true, ""},
    {"time", EID_TIME, true, ""},
    {"ipi", SBI_EID_IPI, true, "ipi 77"},
    {"rfence", EID_RFENCE, true, "rfence 77"},
    {"hsm", EID_HSM, true, "hsm 77"},
    {"srst", EID_SRST, true, ""},
    {"dbcn", EID_DBCN, true, "dbcn 77"},
    {"trident", EID_TRIDENT, true, ""},
    {"pmu", EID_PMU, false, ""},
    {"susp", EID_SUSP, false, ""},
    {"9", 9, false, ""},
    {"upper half", 1ul << 32 | SBI_EID_BASE, false, ""},
    {"last", UINT64_MAX, false, ""},
};

static void test_extensions(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROWS(extensions); i++) {
        row(extensions[i].name);
        answer = sbi_error(SBI_ERR_NOT_SUPPORTED);
        call(extensions[i].eid, 77);
        rig_calls(extensions[i].calls);
        rig_equal(A0, SBI_ERR_NOT_SUPPORTED);
        rig_equal(A1, 0);
        A0 = extensions[i].eid;
        call(SBI_EID_BASE, 3);
        rig_equal(A0, SBI_SUCCESS);
        rig_equal(A1, extensions[i].probed);
    }
}

static const char *const legacy_calls[] = {
    "", "putchar", "getchar", "clear_ipi", "send_ipi", "fence_i", "sfence", "sfence_asid",
};

/* By EID, whatever a6 says; probe knows them, too. */
static void test_legacy(void **state)
{
    (void)state;
    for (uint64_t eid = 0; eid <= 8; eid++) {
        row("legacy");
        A0 = eid;
        call(SBI_EID_BASE, 3);
        rig_equal(A1, 1);
        if (eid == 8)
            break; /* shutdown does not come back */
        row(legacy_calls[eid]);
        answer = (struct sbi_answer){.error = eid ? 66 : 0, .value = 5};
        rig_exit(call(eid, 3), EXIT_SBI, eid);
        rig_calls(legacy_calls[eid]);
        rig_equal(A0, eid ? 66 : 0);
        rig_equal(A1, OLD_A1);
        rig_equal(rig.vcpu.pc, RIG_PC + 4);
    }
}

/* --- What a call leaves behind --- */

static const struct {
    const char *name;
    uint64_t eid;
    long error;
    uint64_t value;
    bool elsewhere, wait;
    const char *calls;
    uint64_t a0, a1;
} answers[] = {
    {"value", SBI_EID_IPI, 0, 7, false, false, "ipi 2", 0, 7},
    {"error", SBI_EID_IPI, SBI_ERR_FAILED, 0, false, false, "ipi 2", UINT64_MAX, 0},
    {"elsewhere", EID_HSM, 0, 9, true, false, "hsm 2", OLD_A0, OLD_A1},
    {"later", EID_DBCN, 0, 9, true, true, "dbcn 2; run_wait 0x4642434e 1", OLD_A0, OLD_A1},
    {"legacy, elsewhere", 4, 6, 0, true, false, "send_ipi", OLD_A0, OLD_A1},
    {"legacy, later", 1, 6, 0, true, true, "putchar; run_wait 0x1 1", OLD_A0, OLD_A1},
};

static void test_answers(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROWS(answers); i++) {
        row(answers[i].name);
        answer = (struct sbi_answer){answers[i].error, answers[i].value, answers[i].elsewhere,
                                     answers[i].wait};
        call(answers[i].eid, 2);
        rig_calls(answers[i].calls);
        rig_equal(A0, answers[i].a0);
        rig_equal(A1, answers[i].a1);
    }
}

/* EID and eight bits of the FID. */
static void test_counted_as(void **state)
{
    static const struct {
        uint64_t eid, fid;
        uint32_t detail;
    } calls[] = {
        {SBI_EID_BASE, 0, 0x10},
        {SBI_EID_BASE, 3, 0x03000010},
        {EID_RFENCE, 2, 0x50464e43},
        {EID_PMU, 0x105, 0x05504d55},
        {2, 9, 2},
    };
    (void)state;
    for (unsigned i = 0; i < ROWS(calls); i++) {
        row("counted as");
        rig_exit(call(calls[i].eid, calls[i].fid), EXIT_SBI, calls[i].detail);
    }
}

/* --- BASE, TIME --- */

static void test_base(void **state)
{
    static const struct {
        uint64_t fid, value;
        const char *calls;
    } rows[] = {
        {0, 0x02000000, ""},      {1, 0x5452, ""},          {2, 1, ""},
        {4, 0x104, "firmware 4"}, {5, 0x105, "firmware 5"}, {6, 0x106, "firmware 6"},
    };
    (void)state;
    for (unsigned i = 0; i < ROWS(rows); i++) {
        row("base");
        call(SBI_EID_BASE, rows[i].fid);
        rig_calls(rows[i].calls);
        rig_equal(A0, SBI_SUCCESS);
        rig_equal(A1, rows[i].value);
    }
}

static void test_timer(void **state)
{
    (void)state;
    for (unsigned legacy = 0; legacy < 2; legacy++) {
        row(legacy ? "legacy timer" : "timer");
        A0 = 12345;
        call(legacy ? 0 : EID_TIME, 0);
        rig_equal(A0, SBI_SUCCESS);
        rig_equal(A1, legacy ? OLD_A1 : 0);
        rig_equal(rig.vcpu.csr.stimecmp, 12345);
        rig_equal(rig.hart->comparison, 12345);
        rig_equal(rig.vcpu.changed, VCPU_INTERRUPTS);
    }
}

/* --- SRST, shutdown --- */

static const struct {
    const char *name;
    uint64_t eid, fid, type, reason;
    const char *calls; /* "": it comes back, */
    long error;        /* with this */
} resets[] = {
    {"shutdown", EID_SRST, 0, 0, 0, "poweroff 0", 0},
    {"failure", EID_SRST, 0, 0, 1, "poweroff 1", 0},
    {"cold", EID_SRST, 0, 1, 0, "reboot 0", 0},
    {"warm", EID_SRST, 0, 2, 1, "reboot 1", 0},
    {"arguments have 32 bits", EID_SRST, 0, 1ul << 32, 1ul << 32, "poweroff 0", 0},
    {"reserved type", EID_SRST, 0, 3, 0, "", SBI_ERR_INVALID_PARAM},
    {"reserved reason", EID_SRST, 0, 0, 2, "", SBI_ERR_INVALID_PARAM},
    {"no function", EID_SRST, 1, 0, 0, "", SBI_ERR_NOT_SUPPORTED},
    {"legacy", 8, 0, 5, 5, "poweroff 0", 0},
};

static bool comes_back(uint64_t eid, uint64_t fid)
{
    if (setjmp(ended))
        return false;
    call(eid, fid);
    return true;
}

static void test_reset(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROWS(resets); i++) {
        row(resets[i].name);
        A0 = resets[i].type;
        A1 = resets[i].reason;
        if (comes_back(resets[i].eid, resets[i].fid))
            rig_equal(A0, resets[i].error);
        rig_calls(resets[i].calls);
    }
}

/* --- Marks --- */

static void test_marks(void **state)
{
    (void)state;
    row("begin");
    call(EID_TRIDENT, 0);
    rig_calls("stats_reset");
    rig_equal(A0, SBI_SUCCESS);
    row("end");
    A0 = 42;
    call(EID_TRIDENT, 1);
    rig_calls("mark 42");
    rig_equal(A0, SBI_SUCCESS);
    rig_equal(rig.vcpu.pc, RIG_PC + 4);
    row("end, not all written");
    mark_is_written = false;
    A0 = 43;
    call(EID_TRIDENT, 1);
    rig_calls("mark 43");
    rig_equal(A0, 43); /* the call is made again */
    rig_equal(A1, OLD_A1);
    rig_equal(rig.vcpu.pc, RIG_PC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_extensions), cmocka_unit_test(test_legacy),
        cmocka_unit_test(test_answers),    cmocka_unit_test(test_counted_as),
        cmocka_unit_test(test_base),       cmocka_unit_test(test_timer),
        cmocka_unit_test(test_reset),      cmocka_unit_test(test_marks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
