/*
 * The firmware's side: SBI calls, their answers and their errors.
 *
 * SBI specification 2.0. Identities and versions are not compared, only that they are given. The
 * surprise: a call changes a0 and a1 and nothing else, not even the registers that C calls lose.
 */
#include "harness.h"

#define BASE   0x10ul
#define TIME   0x54494d45ul
#define IPI    0x735049ul
#define RFENCE 0x52464e43ul
#define HSM    0x48534dul
#define SRST   0x53525354ul
#define DBCN   0x4442434eul
#define NOBODY 0x0a7e57edul /* an extension that does not exist */

#define FAILED            (-1l) /* OpenSBI 1.5 for an address above 2^64 */
#define NOT_SUPPORTED     (-2l)
#define INVALID_PARAM     (-3l)
#define INVALID_ADDRESS   (-5l)
#define ALREADY_AVAILABLE (-6l)

#define FIRMWARE 0x80000000ul /* memory that is not the guest's */

enum value { EXACT, ANY, NOT_ZERO };

struct call {
    const char *name;
    uint64_t extension, function, a[4];
    int64_t error, other;        /* other: another right error, 0 for none */
    const struct answer *errors; /* in place of these two: what versions of the firmware say */
    uint64_t value;
    enum value is;
    uint64_t sip, sie; /* as they are before the call */
    uint64_t sip_after;
};

/* A mask that names harts which do not exist. OpenSBI 1.6 does nothing for them and answers
 * success; the other versions answer the specification's error, 1.7 and later also if only some
 * of the mask's harts do not exist. */
static const struct answer missing_hart[] = {
    {(uint64_t)INVALID_PARAM, "OpenSBI 1.5"},
    {0, "OpenSBI 1.6"},
    {0, NULL},
};

FRAGMENT(sbi_ecall, "ecall\n csrr t0, sip");

static void call(const struct call *c)
{
    struct run run = RUN(
        sbi_ecall, .sip = c->sip, .sie = c->sie,
        .a = {c->a[0], c->a[1], c->a[2], c->a[3], 0x4444, 0x5555, c->function, c->extension});
    harness_run(&run);
    expect_done(&run);
    if (c->errors)
        expect_answer("error", run.x[10], c->errors);
    else if (!c->other || run.x[10] != (uint64_t)c->other)
        expect("error", run.x[10], (uint64_t)c->error);
    if (c->is == EXACT)
        expect("value", run.x[11], c->value);
    else if (c->is == NOT_ZERO)
        expect("value-not-zero", run.x[11] != 0, 1);
    expect("sip", run.x[5], c->sip_after);
    expect("a2", run.x[12], c->a[2]);
    expect("a3", run.x[13], c->a[3]);
    expect("a4", run.x[14], 0x4444);
    expect("a5", run.x[15], 0x5555);
    expect("a6", run.x[16], c->function);
    expect("a7", run.x[17], c->extension);
    for (unsigned n = 6; n < 32; n = n == 7 ? 28 : n + 1)
        expect_index("register", n, run.x[n], 0x5a00000000000000ul | n * 0x0001010101010101ul);
}

/* Fields that a row leaves out mean: no arguments, success, value 0. An error leaves a1
 * undefined. */
#define CALLS(C)                                                                                  \
    C(spec, "sbi-base-spec-version", BASE, 0, .is = NOT_ZERO)                                     \
    C(impl_id, "sbi-base-impl-id", BASE, 1, .is = ANY)                                            \
    C(impl_version, "sbi-base-impl-version", BASE, 2, .is = ANY)                                  \
    C(mvendorid, "sbi-base-mvendorid", BASE, 4, .is = ANY)                                        \
    C(marchid, "sbi-base-marchid", BASE, 5, .is = ANY)                                            \
    C(mimpid, "sbi-base-mimpid", BASE, 6, .is = ANY)                                              \
    C(base_7, "sbi-base-unknown-function", BASE, 7, .error = NOT_SUPPORTED, .is = ANY)            \
    C(probe_base, "sbi-probe-base", BASE, 3, .a = {BASE}, .is = NOT_ZERO)                         \
    C(probe_time, "sbi-probe-time", BASE, 3, .a = {TIME}, .is = NOT_ZERO)                         \
    C(probe_ipi, "sbi-probe-ipi", BASE, 3, .a = {IPI}, .is = NOT_ZERO)                            \
    C(probe_rfence, "sbi-probe-rfence", BASE, 3, .a = {RFENCE}, .is = NOT_ZERO)                   \
    C(probe_hsm, "sbi-probe-hsm", BASE, 3, .a = {HSM}, .is = NOT_ZERO)                            \
    C(probe_srst, "sbi-probe-srst", BASE, 3, .a = {SRST}, .is = NOT_ZERO)                         \
    C(probe_dbcn, "sbi-probe-dbcn", BASE, 3, .a = {DBCN}, .is = NOT_ZERO)                         \
    C(probe_none, "sbi-probe-nobody", BASE, 3, .a = {NOBODY}, .value = 0)                         \
    C(probe_high, "sbi-probe-upper-half", BASE, 3, .a = {0x7777777700000000}, .value = 0)         \
    C(nobody, "sbi-unknown-extension", NOBODY, 0, .error = NOT_SUPPORTED, .is = ANY)              \
    C(nobody_1, "sbi-unknown-extension-function", NOBODY, 0x1234, .a = {1, 2, 3, 4},              \
      .error = NOT_SUPPORTED, .is = ANY)                                                          \
    C(nobody_0, "sbi-extension-all-ones", -1ul, -1ul, .error = NOT_SUPPORTED, .is = ANY)          \
    C(time_1, "sbi-time-unknown-function", TIME, 1, .error = NOT_SUPPORTED, .is = ANY)            \
    C(ipi_1, "sbi-ipi-unknown-function", IPI, 1, .error = NOT_SUPPORTED, .is = ANY)               \
    C(rfence_99, "sbi-rfence-unknown-function", RFENCE, 99, .error = NOT_SUPPORTED, .is = ANY)    \
    C(hsm_99, "sbi-hsm-unknown-function", HSM, 99, .error = NOT_SUPPORTED, .is = ANY)             \
    C(srst_1, "sbi-srst-unknown-function", SRST, 1, .error = NOT_SUPPORTED, .is = ANY)            \
    C(dbcn_3, "sbi-dbcn-unknown-function", DBCN, 3, .error = NOT_SUPPORTED, .is = ANY)            \
    C(ipi_self, "sbi-ipi-self", IPI, 0, .a = {1, 0}, .sip_after = SIP_SSIP)                       \
    C(ipi_all, "sbi-ipi-all-harts", IPI, 0, .a = {0, -1ul}, .sip_after = SIP_SSIP)                \
    C(ipi_none, "sbi-ipi-empty-mask", IPI, 0, .a = {0, 0})                                        \
    C(ipi_keep, "sbi-ipi-keeps-others", IPI, 0, .a = {1, 0}, .sip = SIP_STIP,                     \
      .sip_after = SIP_SSIP | SIP_STIP)                                                           \
    C(ipi_bad, "sbi-ipi-missing-hart", IPI, 0, .a = {1, 1000}, .errors = missing_hart, .is = ANY) \
    C(ipi_more, "sbi-ipi-self-and-missing", IPI, 0, .a = {-1ul, 0}, .sip_after = SIP_SSIP)        \
    C(ipi_other, "sbi-ipi-only-missing", IPI, 0, .a = {2, 0})                                     \
    C(rf_more, "sbi-rfence-self-and-missing", RFENCE, 1, .a = {-1ul, 0, 0, -1ul})                 \
    C(rf_other, "sbi-rfence-only-missing", RFENCE, 2, .a = {2, 0, 0, -1ul})                       \
    C(rf_i, "sbi-rfence-fence-i", RFENCE, 0, .a = {1, 0})                                         \
    C(rf_vma, "sbi-rfence-sfence-vma", RFENCE, 1, .a = {1, 0, 0x1000, 0x2000})                    \
    C(rf_all, "sbi-rfence-sfence-vma-all", RFENCE, 1, .a = {0, -1ul, 0, -1ul})                    \
    C(rf_asid, "sbi-rfence-sfence-vma-asid", RFENCE, 2, .a = {1, 0, 0x1000, 0x2000})              \
    C(rf_bad, "sbi-rfence-missing-hart", RFENCE, 1, .a = {1, 1000}, .errors = missing_hart,       \
      .is = ANY)                                                                                  \
    C(rf_h, "sbi-rfence-hfence", RFENCE, 4, .a = {1, 0}, .error = NOT_SUPPORTED, .is = ANY)       \
    C(hsm_status, "sbi-hsm-status", HSM, 2, .a = {0}, .value = 0)                                 \
    C(hsm_status_1, "sbi-hsm-status-missing-hart", HSM, 2, .a = {1}, .error = INVALID_PARAM,      \
      .is = ANY)                                                                                  \
    C(hsm_status_x, "sbi-hsm-status-absurd-hart", HSM, 2, .a = {-1ul}, .error = INVALID_PARAM,    \
      .is = ANY)                                                                                  \
    C(hsm_start, "sbi-hsm-start-running-hart", HSM, 0, .a = {0, 0x80200000},                      \
      .error = ALREADY_AVAILABLE, .is = ANY)                                                      \
    C(hsm_start_1, "sbi-hsm-start-missing-hart", HSM, 0, .a = {1, 0x80200000},                    \
      .error = INVALID_PARAM, .is = ANY)                                                          \
    C(hsm_start_x, "sbi-hsm-start-at-firmware", HSM, 0, .a = {0, FIRMWARE},                       \
      .error = INVALID_ADDRESS, .is = ANY)                                                        \
    C(hsm_start_1x, "sbi-hsm-start-missing-hart-at-firmware", HSM, 0, .a = {1, FIRMWARE},         \
      .error = INVALID_PARAM, .is = ANY)                                                          \
    C(hsm_own, "sbi-hsm-suspend-platforms-type", HSM, 3, .a = {0x10000000},                       \
      .error = NOT_SUPPORTED, .is = ANY)                                                          \
    C(hsm_lost, "sbi-hsm-suspend-lost-at-firmware", HSM, 3, .a = {0x80000000, FIRMWARE},          \
      .error = INVALID_ADDRESS, .is = ANY)                                                        \
    C(hsm_lost_x, "sbi-hsm-suspend-lost-reserved", HSM, 3, .a = {0x80000001, FIRMWARE},           \
      .error = INVALID_PARAM, .is = ANY)                                                          \
    C(hsm_lost_own, "sbi-hsm-suspend-lost-platform", HSM, 3, .a = {0x90000000, 0x80200000},       \
      .error = NOT_SUPPORTED, .is = ANY)                                                          \
    C(hsm_suspend, "sbi-hsm-suspend-pending", HSM, 3, .a = {0}, .sip = SIP_SSIP, .sie = SIP_SSIP, \
      .sip_after = SIP_SSIP, .is = ANY)                                                           \
    C(hsm_suspend_x, "sbi-hsm-suspend-reserved-type", HSM, 3, .a = {5}, .error = INVALID_PARAM,   \
      .is = ANY)                                                                                  \
    C(srst_type, "sbi-srst-reserved-type", SRST, 0, .a = {3, 0}, .error = INVALID_PARAM,          \
      .is = ANY)                                                                                  \
    C(srst_big, "sbi-srst-absurd-type", SRST, 0, .a = {0x12345678, 0}, .error = INVALID_PARAM,    \
      .is = ANY)                                                                                  \
    C(srst_reason, "sbi-srst-reserved-reason", SRST, 0, .a = {0, 0x1234}, .error = INVALID_PARAM, \
      .is = ANY)                                                                                  \
    C(dbcn_none, "sbi-dbcn-write-nothing", DBCN, 0, .a = {0, 0x80200000, 0}, .value = 0)          \
    C(dbcn_high, "sbi-dbcn-write-high-address", DBCN, 0, .a = {1, 0, 1}, .error = INVALID_PARAM,  \
      .other = FAILED, .is = ANY)                                                                 \
    C(dbcn_fw, "sbi-dbcn-write-firmware", DBCN, 0, .a = {1, 0x80000000, 0},                       \
      .error = INVALID_PARAM, .is = ANY)                                                          \
    C(dbcn_rfw, "sbi-dbcn-read-firmware", DBCN, 1, .a = {1, 0x80000000, 0},                       \
      .error = INVALID_PARAM, .is = ANY)                                                          \
    C(dbcn_rnone, "sbi-dbcn-read-nothing", DBCN, 1, .a = {0, 0x80200000, 0}, .value = 0)

#define AS_FUNCTION(id, title, extension_, function_, ...)                                 \
    static void sbi_##id(void)                                                             \
    {                                                                                      \
        static const struct call c = {                                                     \
            .name = title, .extension = extension_, .function = function_, ##__VA_ARGS__}; \
        call(&c);                                                                          \
    }
#define AS_ROW(id, title, ...) {title, sbi_##id},
CALLS(AS_FUNCTION)

/* The call that makes an interrupt pending is followed by that interrupt. */
FRAGMENT(sbi_ipi_taken, "ecall\n li a2, 1");
static void ipi_taken(void)
{
    struct run run = RUN(sbi_ipi_taken, .sie = SIP_SSIP, .sstatus = SSTATUS_SIE,
                         .a = {1, 0, 0, 0, 0, 0, 0, IPI});
    harness_run(&run);
    expect_end(&run, IRQ(INTERRUPT_SOFTWARE), 4, 0);
    expect("error", run.x[10], 0);
    expect("not-executed", run.x[12], 0);
}

static const struct check checks[] = {
    CALLS(AS_ROW){"sbi-ipi-self-is-taken", ipi_taken},
};

const struct subject sbi_subject = {.checks = checks, .check_count = COUNT(checks)};
