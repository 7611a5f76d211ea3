/*
 * The instructions that switch interrupts off and on, as kernels use them: every operand, every
 * order of four, with interrupts pending and without. Each program is stopped right behind them,
 * and all registers are compared with the model (model.h).
 *
 * Privileged specification, "Supervisor Status (sstatus) Register". The surprise: these are the
 * most frequent privileged instructions of Linux by far, so a VMM has reason to make them something
 * else.
 */
#include <string.h>

#include "make.h"

#define ILLEGAL_CSR 0x340u /* mscratch */

/* --- Operands --- */

static const uint64_t lows[] = {SSTATUS_SIE,
                                0,
                                SSTATUS_SUM,
                                SSTATUS_SUM | SSTATUS_SIE,
                                SSTATUS_FS,
                                SSTATUS_SPP | SSTATUS_SPIE | SSTATUS_SIE,
                                SSTATUS_MXR | SSTATUS_SUM | SSTATUS_FS_INITIAL,
                                0x1000000};
static const uint64_t initials[] = {0, SSTATUS_SIE, SSTATUS_SUM | SSTATUS_FS,
                                    SSTATUS_SIE | SSTATUS_MXR | SSTATUS_FS_INITIAL};

/* One form: every rd with x0, ra, sp, itself and some others as rs. */
static void operands(uint32_t csr, enum csr_op op)
{
    make_list.count = 0;
    for (unsigned i = 0; i < 1024; i++) {
        unsigned rd = i % 32, rs = i / 32;
        if (rs > 2 && rs != rd && (rs + rd) % (15 - harness_effort))
            continue;
        struct program *p = make_another(4);
        make_add(p, MAKE_STOP);
        make_add(p, MAKE_CSR(op, rd, csr, rs));
        if (csr != CSR_SSTATUS)
            make_add(p, MAKE_CSR(CSRRS, rd == 9 || rs == 9 ? 8 : 9, csr, 0));
        make_add(p, EBREAK);
        struct start *s = &make_list.start[make_list.count - 1];
        *s = (struct start){.sstatus = initials[i % COUNT(initials)], .sscratch = 0x1230000 + i};
        model_registers(s->x, lows[(i / 3 + i / 32) % COUNT(lows)]);
    }
    make_check_all(make_list.program, make_list.start, make_list.count, 2);
}

#define OPERANDS(name, csr, op)  \
    static void name(void)       \
    {                            \
        operands(CSR_##csr, op); \
    }
OPERANDS(sstatus_csrrw, SSTATUS, CSRRW)
OPERANDS(sstatus_csrrs, SSTATUS, CSRRS)
OPERANDS(sstatus_csrrc, SSTATUS, CSRRC)
OPERANDS(sstatus_csrrwi, SSTATUS, CSRRWI)
OPERANDS(sstatus_csrrsi, SSTATUS, CSRRSI)
OPERANDS(sstatus_csrrci, SSTATUS, CSRRCI)
OPERANDS(sscratch_csrrw, SSCRATCH, CSRRW)
OPERANDS(sscratch_csrrs, SSCRATCH, CSRRS)
OPERANDS(sscratch_csrrc, SSCRATCH, CSRRC)
OPERANDS(sie_csrrs, SIE, CSRRS)
OPERANDS(sie_csrrw, SIE, CSRRW)

/* The CSRs that a trap fills are written, and read back. */
static void trap_csrs(void)
{
    static const uint32_t csrs[] = {CSR_SEPC, CSR_SCAUSE, CSR_STVAL};
    static const enum csr_op ops[] = {CSRRW, CSRRS, CSRRC, CSRRWI, CSRRSI, CSRRCI};
    make_list.count = 0;
    for (unsigned i = 0; i < COUNT(csrs) * COUNT(ops) * 64; i++) {
        uint32_t csr = csrs[i % COUNT(csrs)];
        unsigned op = ops[i / COUNT(csrs) % COUNT(ops)], n = i / COUNT(csrs) / COUNT(ops);
        struct program *p = make_another(7);
        make_add(p, MAKE_STOP);
        make_add(p, MAKE_CSR(CSRRW, 0, csr, 5 + n % 3));
        make_add(p, MAKE_CSR(op, n % 32, csr, (n * 7 + n / 32) % 32 & (op > CSRRC ? 30 : 31)));
        make_add(p, MAKE_CSR(CSRRS, n % 32 == 28 ? 29 : 28, csr, 0));
        make_add(p, EBREAK);
        make_list.start[make_list.count - 1] = (struct start){.sscratch = i};
        model_registers(make_list.start[make_list.count - 1].x, 0x12345678);
    }
    make_check_all(make_list.program, make_list.start, make_list.count, 2);
}

/* --- Order --- */

#define SAVED  8u /* two callee-saved registers, as kernels have them */
#define SAVED2 9u
#define SCRAP  15u

enum step { SAVE, RESTORE, SAVE2, RESTORE2, ENABLE, DISABLE, RAISE, LOWER, READ, SWAP, STEPS };

static void add_step(struct program *p, unsigned step)
{
    switch (step) {
    case SAVE: make_add(p, MAKE_CSR(CSRRCI, SAVED, CSR_SSTATUS, 2)); break;
    case SAVE2: make_add(p, MAKE_CSR(CSRRCI, SAVED2, CSR_SSTATUS, 2)); break;
    case RESTORE:
        make_add(p, MAKE_ANDI(SCRAP, SAVED, 2));
        make_add(p, MAKE_CSR(CSRRS, 0, CSR_SSTATUS, SCRAP));
        break;
    case RESTORE2:
        make_add(p, MAKE_ANDI(SAVED2, SAVED2, 2));
        make_add(p, MAKE_CSR(CSRRS, 0, CSR_SSTATUS, SAVED2));
        break;
    case ENABLE: make_add(p, MAKE_CSR(CSRRSI, 0, CSR_SSTATUS, 2)); break;
    case DISABLE: make_add(p, MAKE_CSR(CSRRCI, 0, CSR_SSTATUS, 2)); break;
    case RAISE: make_add(p, MAKE_CSR(CSRRSI, 0, CSR_SIP, 2)); break;
    case LOWER: make_add(p, MAKE_CSR(CSRRCI, 0, CSR_SIP, 2)); break;
    case READ: make_add(p, MAKE_CSR(CSRRS, SCRAP, CSR_SSTATUS, 0)); break;
    default: make_add(p, MAKE_CSR(CSRRW, SAVED, CSR_SSTATUS, SAVED)); break;
    }
}

/* All sequences of four steps, in pieces of a thousand; the digits of a sequence's number say which
 * four steps it has. */
static void sequences(unsigned first, uint64_t sie, uint64_t sip)
{
    make_list.count = 0;
    for (unsigned i = 0; i < 1000; i++) {
        struct program *p = make_another(13);
        unsigned number = first * 1000 + i;
        for (unsigned left = 0; left < 4; left++, number /= STEPS) {
            if (left < i % 5) /* a VMM may run ahead of the steps behind this one */
                make_add(p, MAKE_STOP);
            add_step(p, number % STEPS);
        }
        make_add(p, EBREAK);
        struct start *s = &make_list.start[make_list.count - 1];
        *s = (struct start){.sie = sie, .sip = i % 3 ? sip : 0, .sstatus = i & 1 ? SSTATUS_SIE : 0};
        model_registers(s->x, i & 2);
    }
    make_check_all(make_list.program, make_list.start, make_list.count, 1);
}

static void sequences_of_four(void)
{
    for (unsigned first = 0; first < 10; first += 10 / harness_effort)
        sequences(first, SIP_SSIP, SIP_SSIP);
}
static void sequences_timer(void)
{
    for (unsigned first = 3; first < 10; first += 10 / harness_effort)
        sequences(first, SIP_STIP, SIP_STIP);
}
static void sequences_masked(void)
{
    sequences(4, 0, SIP_SSIP | SIP_STIP);
}

/* Programs of 16 steps at random, between which are instructions that have nothing to do with
 * interrupts, with all registers in all roles. */
static uint32_t random_plain(uint64_t *state, unsigned keep)
{
    unsigned rd = make_random(state) % 32, a = make_random(state) % 32, b = make_random(state) % 32;
    if (rd == keep)
        rd = 0;
    switch (make_random(state) % 9) {
    case 0: return MAKE_ADDI(rd, a, b);
    case 1: return MAKE_ADD(rd, a, b);
    case 2: return MAKE_LUI(rd, a);
    case 3: return MAKE_AUIPC(rd, b);
    case 4: return MAKE_ANDI(rd, a, 2);
    case 5: return MAKE_XOR(rd, a, b);
    default: return MAKE_STOP;
    }
}

static uint32_t random_csr(uint64_t *state)
{
    static const uint32_t csrs[] = {CSR_SSCRATCH, CSR_SCAUSE, CSR_STVAL, CSR_SSCRATCH};
    unsigned rd = make_random(state) % 32, rs = make_random(state) % 32;
    switch (make_random(state) % 8) {
    case 0:
    case 1: return MAKE_CSR(CSRRCI, rd, CSR_SSTATUS, 2);
    case 2: return MAKE_CSR(CSRRSI, rd % 2 ? 0 : rd, CSR_SSTATUS, 2);
    case 3: return MAKE_CSR(CSRRS, 0, CSR_SSTATUS, rs);
    case 4: return MAKE_CSR(make_random(state) % 3 + 1, rd, CSR_SSTATUS, rs);
    case 5: return MAKE_CSR(make_random(state) % 2 ? CSRRSI : CSRRCI, rd % 2 ? 0 : rd, CSR_SIP, 2);
    default: return MAKE_CSR(make_random(state) % 3 + 1, rd, csrs[rs % COUNT(csrs)], rs);
    }
}

/* What ends a program: a trap of each kind, or none. */
static uint32_t random_trap(uint64_t *state)
{
    switch (make_random(state) % 6) {
    case 0: return MAKE_LD(make_random(state) % 32, 0, 0x100);
    case 1: return MAKE_SD(make_random(state) % 32, 0, 0x108);
    case 2: return MAKE_CSR(CSRRS, make_random(state) % 32, ILLEGAL_CSR, 0);
    case 3: return MAKE_JALR(make_random(state) % 32, 0, 0);
    default: return EBREAK;
    }
}

static void add_random(struct program *p, uint64_t *state)
{
    make_add(p, MAKE_STOP);
    for (unsigned i = 0; i < 14; i++) {
        unsigned kind = make_random(state) % 16;
        if (kind < 7)
            make_add(p, random_csr(state));
        else if (kind < 13)
            make_add(p, random_plain(state, 32));
        else if (kind == 13)
            make_add(p, MAKE_BRANCH(make_random(state) % 2, make_random(state) % 32,
                                    make_random(state) % 4, 1 + (int)(make_random(state) % 4)));
        else if (kind == 14)
            make_add(p, MAKE_JAL(make_random(state) % 3, 1 + make_random(state) % 3));
        else
            make_add(p, random_trap(state));
    }
    for (unsigned i = 0; i < 4; i++)
        make_add(p, EBREAK);
}

/* The low half of every register: bits that sstatus may have, a small number, or 0. */
static uint64_t random_low(uint64_t *state)
{
    return make_random(state) &
           (SSTATUS_SIE | SSTATUS_SUM | SSTATUS_FS | SSTATUS_SPP | SSTATUS_MXR);
}

static void random_programs(uint64_t seed)
{
    uint64_t state = seed;
    make_list.count = 0;
    for (unsigned i = 0; i < 200 * harness_effort; i++) {
        struct program *p = make_another(19);
        add_random(p, &state);
        struct start *s = &make_list.start[make_list.count - 1];
        *s = (struct start){.sie = SIP_SSIP,
                            .sip = make_random(&state) & SIP_SSIP,
                            .sstatus = random_low(&state) & ~(SSTATUS_SPP | SSTATUS_SPIE),
                            .sscratch = make_random(&state)};
        model_registers(s->x, random_low(&state));
    }
    make_check_all(make_list.program, make_list.start, make_list.count, 2);
    /* The programs are also entered at each of their instructions: then the instructions before it
     * were not executed, and nothing that they leave behind may be there. */
    for (unsigned i = 0; i < make_list.count; i++)
        make_list.start[i].entry = i % 14;
    make_check_all(make_list.program, make_list.start, make_list.count, 1);
}

static void random_first(void)
{
    random_programs(1);
}
static void random_second(void)
{
    random_programs(77);
}

/* --- FS --- */

/* All sequences of three of eight steps, from each FS. a1 holds FS INITIAL, a2 CLEAN, a3 all of
 * FS. */
static void float_states(void)
{
    static const uint32_t steps[] = {
        MAKE_CSR(CSRRS, 8, CSR_SSTATUS, 0),
        MAKE_CSR(CSRRCI, 9, CSR_SSTATUS, 2),
        MAKE_FMV_D_X(1, 0),
        MAKE_FMV_X_D(18, 1),
        MAKE_CSR(CSRRS, 0, CSR_SSTATUS, 11),
        MAKE_CSR(CSRRC, 19, CSR_SSTATUS, 12),
        MAKE_CSR(CSRRC, 0, CSR_SSTATUS, 13),
        MAKE_CSR(CSRRW, 20, CSR_SSTATUS, 12),
    };
    const unsigned step = harness_effort > 1 ? 1 : 3;
    make_list.count = 0;
    for (unsigned i = 0; i < 4 * 512; i += step) {
        struct program *p = make_another(9);
        for (unsigned n = 1; n < 512; n *= 8) {
            make_add(p, MAKE_STOP);
            make_add(p, steps[i / n % 8]);
        }
        make_add(p, MAKE_CSR(CSRRCI, 21, CSR_SSTATUS, 2));
        make_add(p, EBREAK);
        make_list.start[make_list.count - 1] = (struct start){.sstatus = (uint64_t)(i / 512) *
                                                                         SSTATUS_FS_INITIAL};
        model_registers(make_list.start[make_list.count - 1].x, 0);
        make_list.start[make_list.count - 1].x[11] = SSTATUS_FS_INITIAL;
        make_list.start[make_list.count - 1].x[12] = 2 * SSTATUS_FS_INITIAL;
        make_list.start[make_list.count - 1].x[13] = SSTATUS_FS;
    }
    make_check_all(make_list.program, make_list.start, make_list.count, 2);
}

static const struct check checks[] = {
    {"irq-operands-csrrw-sstatus", sstatus_csrrw},
    {"irq-operands-csrrs-sstatus", sstatus_csrrs},
    {"irq-operands-csrrc-sstatus", sstatus_csrrc},
    {"irq-operands-csrrwi-sstatus", sstatus_csrrwi},
    {"irq-operands-csrrsi-sstatus", sstatus_csrrsi},
    {"irq-operands-csrrci-sstatus", sstatus_csrrci},
    {"irq-operands-csrrw-sscratch", sscratch_csrrw},
    {"irq-operands-csrrs-sscratch", sscratch_csrrs},
    {"irq-operands-csrrc-sscratch", sscratch_csrrc},
    {"irq-operands-csrrs-sie", sie_csrrs},
    {"irq-operands-csrrw-sie", sie_csrrw},
    {"irq-operands-trap-csrs", trap_csrs},
    {"irq-sequences-of-four", sequences_of_four},
    {"irq-sequences-timer", sequences_timer},
    {"irq-sequences-masked", sequences_masked},
    {"irq-random-programs", random_first},
    {"irq-random-programs-again", random_second},
    {"irq-float-states", float_states},
};

const struct subject irq_subject = {.checks = checks, .check_count = COUNT(checks)};
