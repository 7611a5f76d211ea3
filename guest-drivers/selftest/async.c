/*
 * A timer that goes off anywhere in a loop of instructions that switch interrupts: wherever the
 * timer's interrupt is taken, all registers must be what the program's text says they are there.
 *
 * The surprise: nobody knows where the interrupt will be taken, but the loop counts its rounds, so
 * the model can be set to the round in question and asked which of its states has this pc and these
 * registers.
 */
#include "make.h"

#define ROUND  27u /* s11 counts rounds */
#define BEGIN  4u  /* tp: where the loop begins */
#define PROLOG 4u

/* Sets the timer to a0 ticks from now; then a loop that writes the registers of one parity and
 * reads those of the other and s11, so that all it leaves behind depends on s11 alone. */
static struct program make_loop(uint64_t *state, unsigned length)
{
    struct program p = make_program(PROLOG + 2 * length + 4);
    unsigned odd = make_random(state) % 2;
    make_add(&p, MAKE_CSR(CSRRS, 5, CSR_TIME, 0));
    make_add(&p, MAKE_ADD(5, 5, 10));
    make_add(&p, MAKE_CSR(CSRRW, 0, CSR_STIMECMP, 5));
    make_add(&p, MAKE_ADDI(5, 0, 0));
    for (unsigned i = 0; i < length; i++) {
        unsigned rd = make_random(state) % 16 * 2 + odd, rs = make_random(state) % 16 * 2 + !odd;
        rd = rd == ROUND || rd == BEGIN ? 0 : rd;
        switch (make_random(state) % 8) {
        case 0:
        case 1: make_add(&p, MAKE_CSR(CSRRCI, rd, CSR_SSTATUS, 2)); break;
        case 2: make_add(&p, MAKE_CSR(CSRRSI, rd % 2 ? 0 : rd, CSR_SSTATUS, 2)); break;
        case 3:
            make_add(&p, MAKE_ANDI(rd, rs, 2));
            make_add(&p, MAKE_CSR(CSRRS, 0, CSR_SSTATUS, rd));
            break;
        case 4: make_add(&p, MAKE_CSR(CSRRW, rd, CSR_SSCRATCH, rs)); break;
        case 5: make_add(&p, MAKE_LUI(rd, rs)); break;
        case 6: make_add(&p, MAKE_ADD(rd, rs, ROUND)); break;
        default: make_add(&p, MAKE_CSR(CSRRS, rd, CSR_SSTATUS, 0)); break;
        }
    }
    make_add(&p, MAKE_CSR(CSRRSI, 0, CSR_SSTATUS, 2));
    make_add(&p, MAKE_ADDI(ROUND, ROUND, 1));
    make_add(&p, MAKE_JALR(0, BEGIN, 0));
    return p;
}

static uint64_t loop_begin(const struct program *p)
{
    return (uint64_t)p->code + 4ul * PROLOG;
}

/* Runs the model to the end of the round that it is in. */
static void model_round(struct model *model, const struct program *p)
{
    do
        model_step(model, p);
    while (model->pc != loop_begin(p) && !model->ended);
}

/* Whether the model, from the beginning of a round on, comes to the state that was seen within
 * three rounds. */
static bool comes_to(struct model model, const struct program *p, const struct run *run)
{
    for (unsigned steps = 0; steps < 3ul * p->length; steps++) {
        bool same = model.pc == run->sepc && (model.sstatus & SSTATUS_SIE);
        for (unsigned n = 1; n < 32 && same; n++)
            same = model.x[n] == run->x[n];
        if (same)
            return true;
        model_step(&model, p);
    }
    return false;
}

static void check_state(const struct program *p, const struct start *start, const struct run *run,
                        unsigned number)
{
    struct model model;
    model_start(&model, p, start);
    model.pc = loop_begin(p);
    model.x[5] = 0;
    for (unsigned round = 0; round < 2 && run->x[ROUND] > 2; round++)
        model_round(&model, p);
    if (run->x[ROUND] > 2)
        model.x[ROUND] = run->x[ROUND] - 1;
    if (!comes_to(model, p, run))
        expect_index("sepc-offset-of-impossible-state", number, run->sepc - (uint64_t)p->code, 0);
}

static void timer_anywhere(uint64_t seed, bool paged, unsigned loops)
{
    uint64_t state = seed;
    struct program programs[8];
    for (unsigned i = 0; i < loops; i++)
        programs[i] = make_loop(&state, 4 + make_random(&state) % 16);
    uint64_t satp = paged ? space_satp(space_reset(), 0) : 0;
    code_fence_i();
    harness_stay(satp);
    for (unsigned i = 0; i < loops * 6 * (harness_effort + 3); i++) {
        struct program *p = &programs[i % loops];
        struct start start = {.sie = SIP_STIP, .sscratch = 77};
        model_registers(start.x, 0);
        p->satp = satp;
        start.x[10] = 20 + i * 7 % 251;
        start.x[ROUND] = 0;
        start.x[BEGIN] = loop_begin(p);
        struct run run;
        model_run(&run, p, &start);
        if (expect("scause+1", run.ended, IRQ(INTERRUPT_TIMER)))
            check_state(p, &start, &run, i);
    }
}

/* --- The same with the handler in the program --- */

/* Thirty interrupts arrive as they like, ever further apart so that the slowest machine gets on;
 * a handler counts them, arms the next one and goes back. Nothing else may change in the loop,
 * which adds 10 in each of its rounds (s2). */
FRAGMENT(async_handler,
         "la t0, 1f\n csrw stvec, t0\n li s2, 0\n rdtime t0\n csrw stimecmp, t0\n"
         "csrsi sstatus, 2\n"
         "2: csrrci s3, sstatus, 2\n li t1, 1\n add a1, a1, t1\n andi s3, s3, 2\n add a1, a1, s3\n"
         "csrs sstatus, s3\n li t1, 3\n csrrw t2, sstatus, s3\n li t2, 5\n add a1, a1, t2\n"
         "csrrci s4, sstatus, 2\n csrrci s5, sstatus, 2\n li t1, 2\n andi s5, s5, 2\n"
         "add a2, a2, s5\n andi s4, s4, 2\n csrs sstatus, s5\n csrs sstatus, s4\n"
         "add a1, a1, t1\n addi s2, s2, 1\n li t1, 30\n bltu a0, t1, 2b\n csrci sstatus, 2\n"
         "csrw stvec, a7\n j 3f\n .balign 4\n"
         "1: csrrw tp, sscratch, tp\n addi a0, a0, 1\n mv s6, t1\n rdtime t1\n slli s7, a0, 2\n"
         "add t1, t1, s7\n addi t1, t1, 30\n csrw stimecmp, t1\n csrr t1, scause\n"
         "xor t1, t1, a6\n or a3, a3, t1\n csrr t1, sstatus\n andi t1, t1, 2\n or a3, a3, t1\n"
         "mv t1, s6\n csrrw tp, sscratch, tp\n sret\n 3: nop");
static void handler(uint64_t satp)
{
    struct run run = RUN(async_handler, .sie = SIP_STIP, .satp = satp, .any_register = true,
                         .a = {[6] = SCAUSE_INTERRUPT | INTERRUPT_TIMER});
    harness_run(&run);
    expect_done(&run);
    expect("sum", run.x[11], run.x[18] * (1 + 2 + 5 + 2));
    expect("sie-saved-second", run.x[12], 0);
    expect("scause-or-sie", run.x[13], 0);
}
static void handler_bare(void)
{
    handler(0);
}
static void handler_paged(void)
{
    uint64_t *root = space_reset();
    handler(space_satp(root, 0));
}

/* --- Waiting --- */

/* A kernel's idle loop: interrupts off, a look for work, wfi, interrupts on. The timer's interrupt
 * comes before, while or after the loop waits. */
FRAGMENT(async_idle,
         "la t0, 1f\n csrw stvec, t0\n li s2, 150\n"
         "2: li s3, 0\n rdtime t0\n andi t1, s2, 63\n add t0, t0, t1\n csrw stimecmp, t0\n"
         "li t0, 4\n"
         "4: csrrci s4, sstatus, 2\n li t0, 6\n bnez s3, 5f\n wfi\n csrsi sstatus, 2\n li t0, 7\n"
         "j 4b\n 5: csrsi sstatus, 2\n addi s2, s2, -1\n bnez s2, 2b\n csrci sstatus, 2\n"
         "csrw stvec, a7\n j 3f\n .balign 4\n"
         "1: csrw sscratch, t0\n addi a0, a0, 1\n li s3, 1\n li t0, -1\n csrw stimecmp, t0\n"
         "csrr t0, sscratch\n sret\n 3: nop");
static void idle(void)
{
    uint64_t *root = space_reset();
    for (unsigned paged = 0; paged < 2; paged++) {
        struct run run = RUN(async_idle, .sie = SIP_STIP, .any_register = true,
                             .satp = paged ? space_satp(root, 0) : 0);
        harness_run(&run);
        expect_done(&run);
        expect("interrupts", run.x[10], 150);
    }
}

static void anywhere_paged(void)
{
    timer_anywhere(1, true, 8);
}
static void anywhere_again(void)
{
    timer_anywhere(5, true, 8);
}
static void anywhere_bare(void)
{
    timer_anywhere(9, false, 4);
}

static const struct check checks[] = {
    {"async-timer-anywhere", anywhere_paged},     {"async-timer-anywhere-again", anywhere_again},
    {"async-timer-anywhere-bare", anywhere_bare}, {"async-handler-bare", handler_bare},
    {"async-handler-paged", handler_paged},       {"async-idle", idle},
};

const struct subject async_subject = {.checks = checks, .check_count = COUNT(checks)};
