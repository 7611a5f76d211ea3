/*
 * Runs fragments of assembly and catches what they end in.
 *
 * Privileged specification, "Supervisor-Level ISA". The surprise: a fragment has no return. It ends
 * with an ebreak, which is delegated, and means the same in vS and in vU, with paging on and off.
 */
#include <stdio.h>
#include <string.h>

#include "harness.h"

/* Order known to enter.S. */
struct harness_frame {
    uint64_t x[32];
    uint64_t kept[16], guard[16];
    uint64_t *resume; /* kept or guard: the one that the vector returns with */
};
_Static_assert(offsetof(struct harness_frame, kept) == 8 * 32, "enter.S");
_Static_assert(offsetof(struct harness_frame, guard) == 8 * (32 + 16), "enter.S");
_Static_assert(offsetof(struct harness_frame, resume) == 8 * (32 + 16 + 16), "enter.S");

extern struct harness_frame harness_frame;
struct harness_frame harness_frame;

void harness_enter(void);
bool harness_guard(void (*test)(const void *argument), const void *argument);
extern char harness_vector[];

static uint64_t current_satp, stay; /* 0 when a check begins */
static char failure[120];           /* of the check that is running; empty: none so far */
static const char *noted;           /* where versions differ: the version whose answer was given */

bool expect_index(const char *what, uint64_t index, uint64_t saw, uint64_t expected)
{
    if (saw != expected && !failure[0])
        snprintf(failure, sizeof(failure), "%s[0x%llx] saw 0x%llx expected 0x%llx", what,
                 (unsigned long long)index, (unsigned long long)saw, (unsigned long long)expected);
    return saw == expected;
}

bool expect(const char *what, uint64_t saw, uint64_t expected)
{
    if (saw != expected && !failure[0])
        snprintf(failure, sizeof(failure), "%s saw 0x%llx expected 0x%llx", what,
                 (unsigned long long)saw, (unsigned long long)expected);
    return saw == expected;
}

bool expect_answer(const char *what, uint64_t saw, const struct answer *answers)
{
    const struct answer *answer = answers;
    while (answer->of && answer->value != saw)
        answer++;
    if (!answer->of)
        return expect(what, saw, answers->value);
    noted = answer->of;
    return true;
}

/* The value of "end" is scause + 1, which nobody wants to read: 0 is shown as "done", any other
 * value as its scause. */
static bool expect_ended(uint64_t saw, uint64_t expected)
{
    if (saw != expected && !failure[0]) {
        char text[2][24];
        uint64_t value[2] = {saw, expected};
        for (unsigned i = 0; i < 2; i++)
            if (value[i] == END_DONE)
                snprintf(text[i], sizeof(text[i]), "no trap");
            else
                snprintf(text[i], sizeof(text[i]), "0x%llx", (unsigned long long)value[i] - 1);
        snprintf(failure, sizeof(failure), "scause saw %s expected %s", text[0], text[1]);
    }
    return saw == expected;
}

bool expect_end(const struct run *run, uint64_t ended, uint64_t offset, uint64_t stval)
{
    return expect_ended(run->ended, ended) && expect("sepc-offset", run->offset, offset) &&
           expect("stval", run->stval, stval);
}

bool expect_done(const struct run *run)
{
    return expect_ended(run->ended, END_DONE);
}

/* Each register has a value of its own, so that a mix-up shows. */
static uint64_t register_pattern(unsigned n)
{
    return 0x5a00000000000000ul | (uint64_t)n * 0x0001010101010101ul;
}

static bool is_temporary(unsigned n)
{
    return (n >= 5 && n <= 7) || (n >= 10 && n <= 17) || n >= 28;
}

static void prepare(const struct run *run)
{
    for (unsigned n = 1; n < 32; n++)
        harness_frame.x[n] = register_pattern(n);
    for (unsigned i = 0; i < 8; i++)
        harness_frame.x[10 + i] = run->a[i];
    if (!run->a[7])
        harness_frame.x[17] = (uint64_t)harness_vector;
    if (run->registers)
        memcpy(harness_frame.x, run->registers, sizeof(harness_frame.x));
    csr_write(CSR_SCOUNTEREN, 7 & ~run->lockout);
    csr_write(CSR_SENVCFG, run->senvcfg);
    csr_write(CSR_STIMECMP, (run->sip & SIP_STIP) ? 0 : UINT64_MAX);
    csr_write(CSR_SIP, run->sip & SIP_SSIP);
    csr_write(CSR_SIE, run->sie);
    csr_write(CSR_SEPC, run->pc ? run->pc : (uint64_t)run->start);
    uint64_t sstatus = run->sstatus & ~SSTATUS_SIE;
    if (run->sstatus & SSTATUS_SIE)
        sstatus |= SSTATUS_SPIE;
    if (run->mode == MODE_S)
        sstatus |= SSTATUS_SPP;
    csr_write(CSR_SSTATUS, sstatus);
}

/* If satp does not change, nothing is flushed either. */
static void set_satp(uint64_t satp)
{
    if (satp == current_satp)
        return;
    current_satp = satp;
    csr_write(CSR_SATP, satp);
    sfence_vma_all();
}

void harness_stay(uint64_t satp)
{
    stay = satp;
    set_satp(satp);
}

void harness_run(struct run *run)
{
    prepare(run);
    set_satp(run->satp);
    harness_enter();
    harness_frame.resume = harness_frame.guard;
    uint64_t scause = csr_read(CSR_SCAUSE);
    run->seen_sstatus = csr_read(CSR_SSTATUS);
    run->sepc = csr_read(CSR_SEPC);
    run->stval = csr_read(CSR_STVAL);
    csr_write(CSR_STVEC, harness_vector);
    csr_write(CSR_SIE, 0);
    current_satp = csr_read(CSR_SATP); /* the fragment may have changed it */
    set_satp(run->satp == stay ? stay : 0);
    memcpy(run->x, harness_frame.x, sizeof(run->x));
    uint64_t pc = run->pc ? run->pc : (uint64_t)run->start;
    run->offset = run->sepc - pc;
    bool at_end = run->offset == (uint64_t)(run->end - run->start);
    run->ended = scause == CAUSE_BREAKPOINT && at_end ? END_DONE : scause + 1;
    for (unsigned n = 1; n < 32 && !run->any_register && !run->registers; n++)
        if (!is_temporary(n))
            expect_index("register", n, run->x[n], register_pattern(n));
}

static uint64_t instruction_at(uint64_t pc)
{
    const uint16_t *half = (const uint16_t *)pc;
    return (half[0] & 3) == 3 ? half[0] | (uint64_t)half[1] << 16 : half[0];
}

void harness_snippet(const struct snippet *s)
{
    struct run run = {.start = s->start,
                      .end = s->end,
                      .mode = s->mode,
                      .sstatus = s->sstatus,
                      .sie = s->sie,
                      .sip = s->sip,
                      .lockout = s->lockout,
                      .senvcfg = s->senvcfg};
    memcpy(run.a, s->in, sizeof(s->in));
    harness_run(&run);
    if (!expect_ended(run.ended, s->ended))
        return;
    if (s->ended != END_DONE) {
        if (s->offset == OFFSET_A0)
            expect("sepc", run.sepc, s->in[0]);
        else if (s->offset != OFFSET_ANY)
            expect("sepc-offset", run.offset, (uint64_t)s->offset);
        if (s->stval_is == STVAL_INSN)
            expect("stval", run.stval, instruction_at(run.sepc));
        else if (s->stval_is == STVAL_PC)
            expect("stval-less-sepc", run.stval - run.sepc, 0);
        else if (s->stval_is == 0)
            expect("stval", run.stval, s->stval);
    }
    uint64_t mask = s->mask ? s->mask : UINT64_MAX;
    expect("a0", run.x[10] & mask, s->a0);
    expect("a1", run.x[11], s->a1);
    expect("sstatus", run.seen_sstatus & s->status_mask, s->status);
}

/* The kernel's CSRs are kept here while checks run with theirs. */
struct kernel_csrs {
    uint64_t sstatus, sie, stvec, sscratch, satp, scounteren, senvcfg, stimecmp;
};

static struct kernel_csrs put_away(void)
{
    uint64_t sstatus = csr_read(CSR_SSTATUS);
    csr_clear(CSR_SSTATUS, SSTATUS_SIE);
    struct kernel_csrs kernel = {
        .sstatus = sstatus,
        .sie = csr_read(CSR_SIE),
        .stvec = csr_read(CSR_STVEC),
        .sscratch = csr_read(CSR_SSCRATCH),
        .satp = csr_read(CSR_SATP),
        .scounteren = csr_read(CSR_SCOUNTEREN),
        .senvcfg = csr_read(CSR_SENVCFG),
        .stimecmp = csr_read(CSR_STIMECMP),
    };
    csr_write(CSR_SIE, 0);
    csr_write(CSR_STVEC, harness_vector);
    csr_write(CSR_SATP, 0);
    sfence_vma_all();
    return kernel;
}

static void bring_back(const struct kernel_csrs *kernel)
{
    csr_write(CSR_SATP, kernel->satp);
    sfence_vma_all();
    csr_write(CSR_STIMECMP, kernel->stimecmp);
    csr_write(CSR_SIP, 0);
    csr_write(CSR_SCOUNTEREN, kernel->scounteren);
    csr_write(CSR_SENVCFG, kernel->senvcfg);
    csr_write(CSR_SSCRATCH, kernel->sscratch);
    csr_write(CSR_STVEC, kernel->stvec);
    csr_write(CSR_SIE, kernel->sie);
    csr_write(CSR_SSTATUS, kernel->sstatus);
}

bool harness_check(void (*test)(const void *argument), const void *argument)
{
    failure[0] = 0;
    noted = NULL;
    current_satp = stay = 0;
    struct kernel_csrs kernel = put_away();
    bool trapped = harness_guard(test, argument);
    uint64_t scause = csr_read(CSR_SCAUSE), sepc = csr_read(CSR_SEPC), stval = csr_read(CSR_STVAL);
    bring_back(&kernel);
    if (trapped && !failure[0])
        snprintf(failure, sizeof(failure),
                 "saw scause 0x%llx sepc 0x%llx stval 0x%llx expected no trap here",
                 (unsigned long long)scause, (unsigned long long)sepc, (unsigned long long)stval);
    return !failure[0];
}

const char *harness_failure(void)
{
    return failure[0] ? failure : NULL;
}

const char *harness_answer(void)
{
    return noted;
}
