/*
 * Floating point: sstatus.FS off, initial, clean and dirty; the registers across traps and modes.
 *
 * Privileged specification, "Extension Context Status in mstatus Register". The surprise: QEMU
 * calls the state dirty after every instruction that may have changed an f register or fcsr, and
 * after none that only reads.
 */
#include "harness.h"

#define OFF           0ul
#define INITIAL       (1ul << 13)
#define CLEAN         (2ul << 13)
#define DIRTY         (3ul << 13)
#define SD_DIRTY      (SSTATUS_SD | DIRTY)
#define FS_SD         (SSTATUS_SD | SSTATUS_FS)
#define D             ".option arch, +d\n"
#define ILLEGAL       .ended = TRAP(CAUSE_ILLEGAL), .stval_is = STVAL_INSN
#define LEAVES(state) .status_mask = FS_SD, .status = (state)

#define ROWS(S)                                                                                    \
    S(fp_off_fadd, "fp-off-fadd", D "fadd.d f0, f1, f2", ILLEGAL, LEAVES(OFF))                     \
    S(fp_off_fmv, "fp-off-fmv-x-d", D "nop\n fmv.x.d a0, f1", .in = {7}, .a0 = 7, .offset = 4,     \
      ILLEGAL, LEAVES(OFF))                                                                        \
    S(fp_off_fld, "fp-off-fld", D "fld f1, 0(sp)", ILLEGAL, LEAVES(OFF))                           \
    S(fp_off_fsd, "fp-off-fsd", D "fsd f1, 0(sp)", ILLEGAL, LEAVES(OFF))                           \
    S(fp_off_cfld, "fp-off-c-fld", D ".option rvc\n c.fld f8, 0(a1)\n c.nop", ILLEGAL)             \
    S(fp_off_fcsr, "fp-off-fcsr", "csrr a0, fcsr", .in = {7}, .a0 = 7, ILLEGAL)                    \
    S(fp_off_frm, "fp-off-frm-write", "csrw frm, x0", ILLEGAL, LEAVES(OFF))                        \
    S(fp_off_fflags, "fp-off-fflags", "csrrsi a0, fflags, 1", .in = {7}, .a0 = 7, ILLEGAL)         \
    S(fp_off_user, "fp-off-user", D "fadd.s f0, f1, f2", .mode = MODE_U, ILLEGAL, LEAVES(OFF))     \
    S(fp_off_ucsr, "fp-off-user-fcsr", "csrr a0, fcsr", .mode = MODE_U, .in = {7}, .a0 = 7,        \
      ILLEGAL)                                                                                     \
    S(fp_bad_rm, "fp-reserved-rounding-mode", ".4byte 0x02105053", .sstatus = INITIAL, ILLEGAL)    \
    /* What makes FS dirty. */                                                                     \
    S(fp_w_fmv, "fp-initial-fmv-d-x", D "fmv.d.x f1, x0", .sstatus = INITIAL, LEAVES(SD_DIRTY))    \
    S(fp_w_fadd, "fp-clean-fadd", D "fadd.d f0, f0, f0", .sstatus = CLEAN, LEAVES(SD_DIRTY))       \
    S(fp_w_fsgnj, "fp-clean-fsgnj", D "fsgnj.d f3, f3, f3", .sstatus = CLEAN, LEAVES(SD_DIRTY))    \
    S(fp_w_fcvt, "fp-clean-fcvt", D "fcvt.d.w f3, x0", .sstatus = CLEAN, LEAVES(SD_DIRTY))         \
    S(fp_w_fcsr, "fp-clean-write-fcsr", "csrw fcsr, x0", .sstatus = CLEAN, LEAVES(SD_DIRTY))       \
    S(fp_w_frm, "fp-clean-write-frm", "csrwi frm, 0", .sstatus = CLEAN, LEAVES(SD_DIRTY))          \
    S(fp_w_user, "fp-clean-user-write", D "fmv.d.x f1, x0", .mode = MODE_U, .sstatus = CLEAN,      \
      LEAVES(SD_DIRTY))                                                                            \
    S(fp_w_fld, "fp-clean-fld",                                                                    \
      D "la t0, 1f\n fld f1, 0(t0)\n j 2f\n 1: .8byte 0x123\n"                                     \
        "2: fmv.x.d a0, f1",                                                                       \
      .sstatus = CLEAN, .a0 = 0x123, LEAVES(SD_DIRTY))                                             \
    S(fp_w_late, "fp-clean-dirty-is-seen-at-once",                                                 \
      D "csrr a0, sstatus\n fmv.d.x f1, x0\n"                                                      \
        "csrr a1, sstatus\n srli a0, a0, 13\n andi a0, a0, 3\n srli a1, a1, 13\n andi a1, a1, 3",  \
      .sstatus = CLEAN, .a0 = 2, .a1 = 3)                                                          \
    /* What leaves FS as it is. */                                                                 \
    S(fp_r_nothing, "fp-initial-stays", "nop", .sstatus = INITIAL, LEAVES(INITIAL))                \
    S(fp_r_fmv, "fp-clean-fmv-x-d-stays", D "fmv.x.d t0, f1", .sstatus = CLEAN, LEAVES(CLEAN))     \
    S(fp_r_fsd, "fp-clean-fsd-stays",                                                              \
      D "la t0, 1f\n fsd f1, 0(t0)\n j 2f\n"                                                       \
        "1: .8byte 0\n 2: nop",                                                                    \
      .sstatus = CLEAN, LEAVES(CLEAN))                                                             \
    S(fp_r_fclass, "fp-clean-fclass-stays", D "fclass.d t0, f1", .sstatus = CLEAN, LEAVES(CLEAN))  \
    S(fp_r_fcsr, "fp-clean-read-fcsr-stays", "csrr t0, fcsr", .sstatus = CLEAN, LEAVES(CLEAN))     \
    S(fp_r_frm, "fp-initial-read-frm-stays", "csrr t0, frm\n csrr t0, fflags", .sstatus = INITIAL, \
      LEAVES(INITIAL))                                                                             \
    S(fp_r_user, "fp-clean-user-read-stays", D "fmv.x.d t0, f1", .mode = MODE_U, .sstatus = CLEAN, \
      LEAVES(CLEAN))                                                                               \
    S(fp_sd, "fp-sd-follows-fs",                                                                   \
      "csrs sstatus, a1\n csrr a0, sstatus\n csrc sstatus, a1\n"                                   \
      "csrr a1, sstatus\n srli a0, a0, 63\n srli a1, a1, 63",                                      \
      .in = {0, DIRTY}, .a0 = 1)                                                                   \
    S(fp_states, "fp-each-state-is-kept",                                                          \
      "csrs sstatus, a1\n csrr t0, sstatus\n csrs sstatus, a2\n"                                   \
      "csrr t1, sstatus\n csrc sstatus, a1\n csrr t2, sstatus\n sub a0, t1, t0\n"                  \
      "srli a0, a0, 13\n and a1, t2, a3",                                                          \
      .in = {0, INITIAL, CLEAN, FS_SD}, .a0 = (SSTATUS_SD >> 13) + 2, .a1 = CLEAN)                 \
    S(fp_toggle, "fp-off-again",                                                                   \
      D "csrs sstatus, a1\n fmv.d.x f1, x0\n csrc sstatus, a1\n"                                   \
        "fmv.d.x f1, x0",                                                                          \
      .in = {0, DIRTY}, .a1 = DIRTY, .offset = 12, ILLEGAL)                                        \
    /* Values and flags. */                                                                        \
    S(fp_calc, "fp-arithmetic",                                                                    \
      D "fcvt.d.l f1, a1\n fmul.d f2, f1, f1\n fadd.d f2, f2, f1\n"                                \
        "fcvt.l.d a0, f2",                                                                         \
      .sstatus = INITIAL, .in = {0, 12}, .a0 = 156, .a1 = 12)                                      \
    S(fp_dz, "fp-flag-divide-by-zero",                                                             \
      D "csrw fcsr, x0\n li t0, 1\n fcvt.d.l f1, t0\n"                                             \
        "fmv.d.x f2, x0\n fdiv.d f3, f1, f2\n csrr a0, fflags\n fmv.x.d a1, f3\n csrw fcsr, x0",   \
      .sstatus = INITIAL, .a0 = 8, .a1 = 0x7ff0000000000000)                                       \
    S(fp_fcsr_rw, "fp-fcsr-fields",                                                                \
      "csrw fcsr, a1\n csrr a0, fcsr\n csrr t0, frm\n"                                             \
      "csrr t1, fflags\n slli t0, t0, 8\n or a1, t0, t1\n csrw fcsr, x0",                          \
      .sstatus = INITIAL, .in = {0, -1ul}, .a0 = 0xff, .a1 = 0x71f)                                \
    S(fp_box, "fp-nan-boxing", D "fmv.w.x f1, a1\n fmv.x.d a0, f1", .sstatus = INITIAL,            \
      .in = {0, 0x3f800000}, .a0 = 0xffffffff3f800000, .a1 = 0x3f800000)                           \
    S(fp_trap, "fp-survives-trap",                                                                 \
      D "la t0, 1f\n csrw stvec, t0\n fmv.d.x f5, a1\n ebreak\n"                                   \
        "1: csrw stvec, a7\n fmv.x.d a0, f5",                                                      \
      .sstatus = INITIAL, .in = {0, 0x1234567}, .a0 = 0x1234567, .a1 = 0x1234567)                  \
    S(fp_user, "fp-survives-mode-switch",                                                          \
      D "fmv.d.x f5, a1\n la t0, 1f\n csrw sepc, t0\n"                                             \
        "csrw sstatus, a2\n sret\n 1: fcvt.d.l f6, a3\n fadd.d f6, f6, f6\n fmv.x.d a0, f5\n"      \
        "fcvt.l.d a1, f6",                                                                         \
      .sstatus = INITIAL, .in = {0, 0x1234567, CLEAN, 21}, .a0 = 0x1234567, .a1 = 42,              \
      LEAVES(SD_DIRTY))                                                                            \
    S(fp_off_keeps, "fp-values-survive-off",                                                       \
      D "fmv.d.x f5, a1\n csrc sstatus, a2\n nop\n"                                                \
        "csrs sstatus, a3\n fmv.x.d a0, f5",                                                       \
      .sstatus = INITIAL, .in = {0, 0x98765, DIRTY, CLEAN}, .a0 = 0x98765, .a1 = 0x98765)

ROWS(SNIPPET_CODE)
static const struct snippet snippets[] = {ROWS(SNIPPET_ROW)};

/* All 32 registers are written, then read in another run: nothing in between may use any of
 * them. */
FRAGMENT(fp_fill,
         D ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,"
           "27,28,29,30,31\n fmv.d.x f\\n, a0\n add a0, a0, a1\n .endr");
FRAGMENT(fp_sum, D ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,"
                   "27,28,29,30,31\n fmv.x.d t0, f\\n\n slli t1, a2, 1\n srli a2, a2, 63\n"
                   "or a2, a2, t1\n xor a2, a2, t0\n .endr");
static void all_registers(void)
{
    struct run fill = RUN(fp_fill, .mode = MODE_U, .sstatus = INITIAL,
                          .a = {0x0123456789abcdef, 0x1111111111111111});
    harness_run(&fill);
    expect_done(&fill);
    for (unsigned again = 0; again < 2; again++) {
        struct run sum = RUN(fp_sum, .mode = again ? MODE_S : MODE_U, .sstatus = CLEAN);
        harness_run(&sum);
        expect_done(&sum);
        uint64_t expected = 0, value = 0x0123456789abcdef;
        for (unsigned i = 0; i < 32; i++, value += 0x1111111111111111)
            expected = (expected << 1 | expected >> 63) ^ value;
        expect("sum", sum.x[12], expected);
        expect("fs", sum.seen_sstatus & FS_SD, CLEAN);
    }
}

static const struct check checks[] = {
    {"fp-all-registers", all_registers},
};

const struct subject fp_subject = {snippets, COUNT(snippets), checks, COUNT(checks)};
