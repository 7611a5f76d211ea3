/*
 * The CSR instructions and who may name which CSR.
 *
 * Unprivileged specification, "Zicsr"; privileged specification, "CSR Address Mapping Conventions".
 * The surprise: CSRRS and CSRRC write nothing when rs1 is x0, whatever x0's value is good for, and
 * write even a read-only CSR (so: illegal) when rs1 is another register that holds zero.
 */
#include "harness.h"

#define ILLEGAL .ended = TRAP(CAUSE_ILLEGAL), .stval_is = STVAL_INSN

#define OLD 0x1122334455667788ul
#define NEW 0x0f0f0f0f0f0f0f0ful

#define ROWS(S)                                                                                    \
    S(csr_rw, "csr-csrrw", "csrw sscratch, a1\n csrrw a0, sscratch, a2\n csrr a1, sscratch",       \
      .in = {0, OLD, NEW}, .a0 = OLD, .a1 = NEW)                                                   \
    S(csr_rs, "csr-csrrs", "csrw sscratch, a1\n csrrs a0, sscratch, a2\n csrr a1, sscratch",       \
      .in = {0, OLD, NEW}, .a0 = OLD, .a1 = OLD | NEW)                                             \
    S(csr_rc, "csr-csrrc", "csrw sscratch, a1\n csrrc a0, sscratch, a2\n csrr a1, sscratch",       \
      .in = {0, OLD, NEW}, .a0 = OLD, .a1 = OLD & ~NEW)                                            \
    S(csr_rwi, "csr-csrrwi", "csrw sscratch, a1\n csrrwi a0, sscratch, 21\n csrr a1, sscratch",    \
      .in = {0, OLD}, .a0 = OLD, .a1 = 21)                                                         \
    S(csr_rsi, "csr-csrrsi", "csrw sscratch, a1\n csrrsi a0, sscratch, 23\n csrr a1, sscratch",    \
      .in = {0, OLD}, .a0 = OLD, .a1 = OLD | 23)                                                   \
    S(csr_rci, "csr-csrrci", "csrw sscratch, a1\n csrrci a0, sscratch, 31\n csrr a1, sscratch",    \
      .in = {0, OLD}, .a0 = OLD, .a1 = OLD & ~31ul)                                                \
    S(csr_rwi0, "csr-csrrwi-zero-writes",                                                          \
      "csrw sscratch, a1\n csrrwi a0, sscratch, 0\n csrr a1, sscratch", .in = {0, OLD}, .a0 = OLD) \
    S(csr_rsi0, "csr-csrrsi-zero",                                                                 \
      "csrw sscratch, a1\n csrrsi a0, sscratch, 0\n csrr a1, sscratch", .in = {0, OLD}, .a0 = OLD, \
      .a1 = OLD)                                                                                   \
    S(csr_rci0, "csr-csrrci-zero",                                                                 \
      "csrw sscratch, a1\n csrrci a0, sscratch, 0\n csrr a1, sscratch", .in = {0, OLD}, .a0 = OLD, \
      .a1 = OLD)                                                                                   \
    S(csr_rwx0, "csr-csrrw-x0-writes",                                                             \
      "csrw sscratch, a1\n csrrw a0, sscratch, x0\n csrr a1, sscratch", .in = {0, OLD}, .a0 = OLD) \
    S(csr_rd0, "csr-csrrw-rd-x0", "csrrw x0, sscratch, a1\n mv a0, x0\n csrr a1, sscratch",        \
      .in = {0, NEW}, .a0 = 0, .a1 = NEW)                                                          \
    S(csr_rd0s, "csr-csrrs-rd-x0",                                                                 \
      "csrw sscratch, a1\n csrrs x0, sscratch, a2\n csrr a1, sscratch", .in = {0, OLD, NEW},       \
      .a1 = OLD | NEW)                                                                             \
    S(csr_same_rw, "csr-csrrw-rd-is-rs1",                                                          \
      "csrw sscratch, a1\n csrrw a0, sscratch, a0\n csrr a1, sscratch", .in = {NEW, OLD},          \
      .a0 = OLD, .a1 = NEW)                                                                        \
    S(csr_same_rs, "csr-csrrs-rd-is-rs1",                                                          \
      "csrw sscratch, a1\n csrrs a0, sscratch, a0\n csrr a1, sscratch", .in = {NEW, OLD},          \
      .a0 = OLD, .a1 = OLD | NEW)                                                                  \
    S(csr_same_rc, "csr-csrrc-rd-is-rs1",                                                          \
      "csrw sscratch, a1\n csrrc a0, sscratch, a0\n csrr a1, sscratch", .in = {NEW, OLD},          \
      .a0 = OLD, .a1 = OLD & ~NEW)                                                                 \
    S(csr_all_rd, "csr-rd-is-sp-gp-tp",                                                            \
      "mv t0, sp\n mv t1, gp\n mv t2, tp\n csrw sscratch, a1\n csrr sp, sscratch\n"                \
      "csrr gp, sscratch\n csrr tp, sscratch\n add a0, sp, gp\n add a0, a0, tp\n"                  \
      "mv sp, t0\n mv gp, t1\n mv tp, t2",                                                         \
      .in = {0, 5}, .a0 = 15, .a1 = 5)                                                             \
    S(csr_all_rs, "csr-rs1-is-sp-ra",                                                              \
      "csrrw x0, sscratch, sp\n csrr a0, sscratch\n sub a0, a0, sp\n"                              \
      "csrrw x0, sscratch, ra\n csrr a1, sscratch\n sub a1, a1, ra",                               \
      .a0 = 0)                                                                                     \
    /* Read-only CSRs: reading is legal exactly when the instruction cannot write. */              \
    S(csr_ro_rs, "csr-read-only-csrrs-x0", "csrrs a0, time, x0\n snez a0, a0", .a0 = 1)            \
    S(csr_ro_rc, "csr-read-only-csrrc-x0", "csrrc a0, cycle, x0\n snez a0, a0", .a0 = 1)           \
    S(csr_ro_rsi, "csr-read-only-csrrsi-0", "csrrsi a0, instret, 0\n snez a0, a0", .a0 = 1)        \
    S(csr_ro_rci, "csr-read-only-csrrci-0", "csrrci a0, time, 0\n snez a0, a0", .a0 = 1)           \
    S(csr_ro_w, "csr-read-only-csrrw", "csrrw a0, time, a1", .in = {7, 8}, .a0 = 7, .a1 = 8,       \
      ILLEGAL)                                                                                     \
    S(csr_ro_wx0, "csr-read-only-csrrw-x0", "csrrw x0, cycle, x0", .in = {7}, .a0 = 7, ILLEGAL)    \
    S(csr_ro_wi, "csr-read-only-csrrwi", "nop\n csrrwi a0, time, 0", .offset = 4, ILLEGAL)         \
    S(csr_ro_s, "csr-read-only-csrrs-zero-register", "csrrs a0, time, a1", .in = {7, 0}, .a0 = 7,  \
      ILLEGAL)                                                                                     \
    S(csr_ro_c, "csr-read-only-csrrc-register", "csrrc a0, cycle, a1", .in = {7, 1}, .a0 = 7,      \
      .a1 = 1, ILLEGAL)                                                                            \
    S(csr_ro_si, "csr-read-only-csrrsi-1", "csrrsi a0, instret, 1", .in = {7}, .a0 = 7, ILLEGAL)   \
    S(csr_ro_ci, "csr-read-only-csrrci-1", "csrrci a0, time, 1", .in = {7}, .a0 = 7, ILLEGAL)      \
    /* CSRs that this hart does not have: the instruction traps and rd keeps its value. */         \
    S(csr_no_5ff, "csr-unknown-5ff", "csrr a0, 0x5ff", .in = {7}, .a0 = 7, ILLEGAL)                \
    S(csr_no_9ff, "csr-unknown-9ff", "csrw 0x9ff, a0", .in = {7}, .a0 = 7, ILLEGAL)                \
    S(csr_no_dff, "csr-unknown-dff", "csrr a0, 0xdff", .in = {7}, .a0 = 7, ILLEGAL)                \
    S(csr_no_000, "csr-unknown-ustatus", "csrr a0, 0x000", .in = {7}, .a0 = 7, ILLEGAL)            \
    S(csr_no_sed, "csr-unknown-sedeleg", "csrw 0x102, a0", .in = {7}, .a0 = 7, ILLEGAL)            \
    S(csr_no_ss0, "csr-unknown-sstateen0", "csrr a0, 0x10c", .in = {7}, .a0 = 7, ILLEGAL)          \
    S(csr_no_sis, "csr-unknown-siselect", "csrw 0x150, a0", .in = {7}, .a0 = 7, ILLEGAL)           \
    S(csr_no_sto, "csr-unknown-stopi", "csrr a0, 0xdb0", .in = {7}, .a0 = 7, ILLEGAL)              \
    S(csr_no_sco, "csr-unknown-scountovf", "csrr a0, 0xda0", .in = {7}, .a0 = 7, ILLEGAL)          \
    S(csr_no_seed, "csr-unknown-seed", "csrrw a0, 0x015, x0", .in = {7}, .a0 = 7, ILLEGAL)         \
    S(csr_no_vst, "csr-unknown-vstart", "csrr a0, 0x008", .in = {7}, .a0 = 7, ILLEGAL)             \
    S(csr_no_vl, "csr-unknown-vl", "csrr a0, 0xc20", .in = {7}, .a0 = 7, ILLEGAL)                  \
    S(csr_no_jvt, "csr-unknown-jvt", "csrr a0, 0x017", .in = {7}, .a0 = 7, ILLEGAL)                \
    S(csr_no_cyh, "csr-unknown-cycleh", "csrr a0, 0xc80", .in = {7}, .a0 = 7, ILLEGAL)             \
    S(csr_no_hst, "csr-hypervisor-hstatus", "csrr a0, 0x600", .in = {7}, .a0 = 7, ILLEGAL)         \
    S(csr_no_hg, "csr-hypervisor-hgatp", "csrw 0x680, a0", .in = {7}, .a0 = 7, ILLEGAL)            \
    S(csr_no_vss, "csr-hypervisor-vsstatus", "csrr a0, 0x200", .in = {7}, .a0 = 7, ILLEGAL)        \
    S(csr_no_vsa, "csr-hypervisor-vsatp", "csrrc a0, 0x280, a1", .in = {7}, .a0 = 7, ILLEGAL)      \
    S(csr_m_st, "csr-machine-mstatus", "csrr a0, mstatus", .in = {7}, .a0 = 7, ILLEGAL)            \
    S(csr_m_ie, "csr-machine-mie", "csrsi mie, 2", .in = {7}, .a0 = 7, ILLEGAL)                    \
    S(csr_m_id, "csr-machine-mhartid", "csrr a0, mhartid", .in = {7}, .a0 = 7, ILLEGAL)            \
    S(csr_m_cy, "csr-machine-mcycle", "csrr a0, mcycle", .in = {7}, .a0 = 7, ILLEGAL)              \
    S(csr_m_del, "csr-machine-medeleg", "csrw medeleg, x0", .in = {7}, .a0 = 7, ILLEGAL)           \
    S(csr_m_pmp, "csr-machine-pmpaddr0", "csrr a0, pmpaddr0", .in = {7}, .a0 = 7, ILLEGAL)         \
    S(csr_m_dcsr, "csr-debug-dcsr", "csrr a0, 0x7b0", .in = {7}, .a0 = 7, ILLEGAL)                 \
    /* From vU: no supervisor CSR, read or written; the sequence stops exactly there. */           \
    S(csr_u_ss, "csr-user-sstatus", "csrr a0, sstatus", .mode = MODE_U, .in = {7}, .a0 = 7,        \
      ILLEGAL)                                                                                     \
    S(csr_u_sc, "csr-user-sscratch", "csrrw a0, sscratch, a1", .mode = MODE_U, .in = {7}, .a0 = 7, \
      ILLEGAL)                                                                                     \
    S(csr_u_sa, "csr-user-satp", "nop\n csrrs a0, satp, x0", .mode = MODE_U, .in = {7}, .a0 = 7,   \
      .offset = 4, ILLEGAL)                                                                        \
    S(csr_u_sip, "csr-user-sip", "csrsi sip, 2", .mode = MODE_U, .in = {7}, .a0 = 7, ILLEGAL)      \
    S(csr_u_cmp, "csr-user-stimecmp", "csrw stimecmp, x0", .mode = MODE_U, .in = {7}, .a0 = 7,     \
      ILLEGAL)                                                                                     \
    S(csr_u_m, "csr-user-mstatus", "csrr a0, mstatus", .mode = MODE_U, .in = {7}, .a0 = 7,         \
      ILLEGAL)                                                                                     \
    S(csr_u_no, "csr-user-unknown", "csrr a0, 0x5ff", .mode = MODE_U, .in = {7}, .a0 = 7, ILLEGAL) \
    S(csr_u_time, "csr-user-time", "rdtime a0\n snez a0, a0", .mode = MODE_U, .a0 = 1)             \
    S(csr_u_cy, "csr-user-cycle", "rdcycle a0\n snez a0, a0", .mode = MODE_U, .a0 = 1)             \
    S(csr_u_ir, "csr-user-instret", "rdinstret a0\n snez a0, a0", .mode = MODE_U, .a0 = 1)         \
    S(csr_u_nocy, "csr-user-cycle-locked", "rdcycle a0", .mode = MODE_U, .in = {7}, .a0 = 7,       \
      .lockout = 1, ILLEGAL)                                                                       \
    S(csr_u_noir, "csr-user-instret-locked", "rdinstret a0", .mode = MODE_U, .in = {7}, .a0 = 7,   \
      .lockout = 4, ILLEGAL)                                                                       \
    S(csr_u_cynoir, "csr-user-cycle-instret-locked", "rdcycle a0\n snez a0, a0", .mode = MODE_U,   \
      .a0 = 1, .lockout = 4)                                                                       \
    S(csr_s_nocy, "csr-supervisor-cycle-locked-for-user", "rdcycle a0\n snez a0, a0", .a0 = 1,     \
      .lockout = 5)                                                                                \
    S(csr_u_wtime, "csr-user-write-time", "csrrs a0, time, a1", .mode = MODE_U, .in = {7},         \
      .a0 = 7, ILLEGAL)

ROWS(SNIPPET_CODE)
static const struct snippet snippets[] = {ROWS(SNIPPET_ROW)};

/* With scounteren.TM clear rdtime traps to the firmware. */
static const struct answer time_locked[] = {
    {END_DONE, "OpenSBI 1.5"}, /* carries the instruction out all the same */
    {TRAP(CAUSE_ILLEGAL), "OpenSBI 1.6"},
    {0, NULL},
};

FRAGMENT(csr_time_locked, "rdtime a0\n nop\n nop");
static void user_time_locked(void)
{
    struct run run = RUN(csr_time_locked, .mode = MODE_U, .lockout = 2, .a = {7});
    harness_run(&run);
    if (expect_answer("scause-plus-1", run.ended, time_locked) && run.ended != END_DONE) {
        expect_end(&run, TRAP(CAUSE_ILLEGAL), 0, 0xc0102573);
        expect("a0", run.x[10], 7);
    }
}

static const struct check checks[] = {{"csr-user-time-locked", user_time_locked}};

const struct subject csr_subject = {snippets, COUNT(snippets), checks, COUNT(checks)};
