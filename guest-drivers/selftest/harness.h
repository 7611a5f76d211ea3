/*
 * What the checks of selftest are made of: fragments of assembly, run with known registers in vS
 * or vU until they trap, and what is compared afterwards.
 *
 * A check is either a row (struct snippet: a fragment, its input, its expected end) or a function
 * that runs fragments itself and says what it expects.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "isa/riscv.h"

enum mode { MODE_S, MODE_U };

/* How a run ended: END_DONE, or a trap: scause + 1, so that a row which says nothing is "done". */
#define END_DONE    0ul
#define TRAP(cause) ((uint64_t)(cause) + 1)
#define IRQ(source) (SCAUSE_INTERRUPT + (source) + 1)

#define OFFSET_ANY (-1l) /* sepc is not compared */
#define OFFSET_A0  (-2l) /* sepc must equal the input a0 */
#define STVAL_INSN 1u    /* stval must be the instruction at sepc */
#define STVAL_PC   2u    /* stval must be sepc */
#define STVAL_ANY  3u    /* stval is not compared */

/* One run. The first part is set by the caller, the rest by harness_run(). */
struct run {
    const char *start, *end; /* the fragment: it is done when it traps at `end` (an ebreak) */
    uint64_t pc;             /* where the fragment is executed; 0: at start */
    enum mode mode;
    uint64_t a[8];     /* a0..a7; where a7 is 0, the fragment gets the harness's stvec in it */
    uint64_t sstatus;  /* SIE, SUM, MXR, FS during the run */
    uint64_t satp;     /* its table must map the harness (space.h does) */
    uint64_t sie, sip; /* sip: SSIP and STIP are made pending before the run */
    uint64_t lockout;  /* scounteren bits to clear */
    uint64_t senvcfg;
    const uint64_t *registers; /* x1..x31 at the start, in place of a[] and the harness's own */
    bool any_register;         /* a change of a register other than a0-a7, t0-t6 is fine */

    uint64_t ended;        /* END_DONE, TRAP(), IRQ() */
    uint64_t sepc, offset; /* offset: from pc */
    uint64_t stval, seen_sstatus;
    uint64_t x[32];
};

/* Runs the fragment and returns when it has trapped. Unless any_register is set, the check fails if
 * a register other than a0-a7 and t0-t6 has changed then. */
void harness_run(struct run *run);

/* From now on runs with this satp leave it in place, without a flush before and after each run,
 * until another satp is given here (0: none is left in place, as when a check begins) or the
 * check ends. The satp's tables must map the checks as well. */
void harness_stay(uint64_t satp);

/* Defines a fragment `name`: 4-byte instructions unless the text says otherwise. */
#define FRAGMENT(name, text)                                                               \
    extern const char name[], name##_end[];                                                \
    __asm__(".pushsection .text.fragment, \"ax\"\n"                                        \
            ".option push\n.option norelax\n.option rvc\n.balign 4\n.option norvc\n" #name \
            ":\n" text "\n"                                                                \
            ".option norvc\n" #name "_end:\nebreak\n.option pop\n.popsection")

/* The struct run of a fragment; more fields may follow. (Versions of clang-format disagree about
 * its layout.) */
/* clang-format off */
#define RUN(name, ...) {.start = name, .end = name##_end, ##__VA_ARGS__}
/* clang-format on */

/* Compares two values, and notes the first difference of the check that is running. `what` names
 * the value, with the index if there is one. Returns whether the values were equal. */
bool expect(const char *what, uint64_t saw, uint64_t expected);
bool expect_index(const char *what, uint64_t index, uint64_t saw, uint64_t expected);

/* One of the answers that versions of QEMU, or of the firmware, give to the same question. */
struct answer {
    uint64_t value;
    const char *of; /* which version and, in its table, why */
};

/* Compares a value with each of the answers (the last one's `of` is null). The line of a check that
 * passes says whose answer the value was: the bare machine at hand is the oracle, and the VMM must
 * give the same answer there. */
bool expect_answer(const char *what, uint64_t saw, const struct answer *answers);

/* expect() for a run's end: how it ended, at which offset, with which stval. */
bool expect_end(const struct run *run, uint64_t ended, uint64_t offset, uint64_t stval);
bool expect_done(const struct run *run);

/* A check that is a row. Fields that a row leaves out are zero: it runs in vS, without input,
 * and must end by itself with a0 = a1 = 0. */
struct snippet {
    const char *name, *start, *end;
    enum mode mode;
    uint64_t in[4]; /* a0..a3 */
    uint64_t sstatus, sie, sip, lockout, senvcfg;
    uint64_t ended;
    int64_t offset; /* where the fragment trapped, from its start, or OFFSET_ */
    uint64_t stval;
    unsigned stval_is;            /* STVAL_; 0: stval must be the number above */
    uint64_t mask;                /* bits of a0 that are compared; 0: all */
    uint64_t a0, a1;              /* expected at the end */
    uint64_t status_mask, status; /* expected sstatus in the handler */
};
void harness_snippet(const struct snippet *snippet);

/* For tables of rows: a file writes its list once, as ROWS(S); a row is S(id, "name", "asm",
 * fields). */
#define SNIPPET_CODE(id, title, text, ...) FRAGMENT(id, text);
#define SNIPPET_ROW(id, title, text, ...) \
    {.name = title, .start = id, .end = id##_end, ##__VA_ARGS__},

/* A check that is a function. */
struct check {
    const char *name;
    void (*test)(void);
};

/* A subject: the two tables of one file. */
struct subject {
    const struct snippet *snippets;
    unsigned snippet_count;
    const struct check *checks;
    unsigned check_count;
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

extern const struct subject csr_subject, warl_subject, trap_subject, sret_subject,
    interrupt_subject, permission_subject, paging_subject, marks_subject, fence_subject,
    satp_subject, code_subject, alias_subject, mmio_subject, fp_subject, timer_subject, sbi_subject,
    plic_subject, irq_subject, dead_subject, where_subject, text_subject, async_subject,
    window_subject;

/* How many cases are made by those checks that make their own: 1 (some) to 10 (all). */
extern unsigned harness_effort;

/* Puts the kernel's CSRs away, runs one check and brings the CSRs back; whether the check
 * passed. The caller prints the check's line from harness_failure(), which is null if it passed,
 * and harness_answer(), which is null if no version's answer was noted. */
bool harness_check(void (*test)(const void *argument), const void *argument);
const char *harness_failure(void);
const char *harness_answer(void);
