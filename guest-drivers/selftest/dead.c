/*
 * Registers whose value nobody will read. Their value must still be exact when a trap comes, at
 * each instruction between one that switches interrupts and the one that overwrites the register.
 *
 * The surprise: a VMM that replaces an instruction by a jump into code of its own needs a register
 * to come back with, and finds one by looking at the code that follows. All that can be wrong with
 * that is here: another way into that code, a trap before its end, a value that is read after all.
 */
#include "make.h"

#define PLAIN_GAP 9u /* a register that the gap may write, unless it is the dead one */

/* The instruction in question; d is the register that it must not touch. */
static uint32_t site(unsigned kind, unsigned d)
{
    unsigned rd = d == 8 ? 18 : 8, rs = d == 6 ? 7 : 6;
    switch (kind % 8) {
    case 0: return MAKE_CSR(CSRRCI, rd, CSR_SSTATUS, 2);
    case 1: return MAKE_CSR(CSRRS, 0, CSR_SSTATUS, rs);
    case 2: return MAKE_CSR(CSRRS, rd, CSR_SSTATUS, rs);
    case 3: return MAKE_CSR(CSRRC, rd, CSR_SSTATUS, rs);
    case 4: return MAKE_CSR(CSRRSI, 0, CSR_SSTATUS, 2);
    case 5: return MAKE_CSR(CSRRW, rs, CSR_SSCRATCH, rs);
    case 6: return MAKE_CSR(CSRRCI, 0, CSR_SSTATUS, 2);
    default: return MAKE_CSR(CSRRS, rd, CSR_SSTATUS, 0);
    }
}

#define OVERWRITES 12u
static uint32_t overwrite(unsigned kind, unsigned d)
{
    switch (kind) {
    case 0: return MAKE_ADDI(d, 0, 77);
    case 1: return MAKE_LUI(d, 0x12345);
    case 2: return MAKE_AUIPC(d, 1);
    case 3: return MAKE_ADD(d, 1, 2);
    case 4: return MAKE_JAL(d, 1);
    case 5: return MAKE_CSR(CSRRS, d, CSR_SSCRATCH, 0);
    case 6: return MAKE_CSR(CSRRCI, d, CSR_SSTATUS, 2);
    case 7: return MAKE_C_LI(d, 5);
    case 8: return MAKE_C_MV(d, 3);
    case 9: return MAKE_LD(d, d == 4 ? 1 : 4, 0); /* x4 and x1 point to the program */
    case 10: return MAKE_FMV_X_D(d, 1);
    default: return MAKE_ANDI(d, 0, 0);
    }
}

/* An instruction that reads register d, which is not dead then. */
#define READS 9u
static uint32_t reading(unsigned kind, unsigned d)
{
    unsigned other = d == PLAIN_GAP ? 19 : PLAIN_GAP;
    switch (kind) {
    case 0: return MAKE_ADD(other, d, 0);
    case 1: return MAKE_ADD(d, d, d);
    case 2: return MAKE_BRANCH(BNE, d, 0, 2); /* jumps over the overwriting */
    case 3: return MAKE_CSR(CSRRW, 0, CSR_SSCRATCH, d);
    /* x1 and x4 point into the program: a jump there would be an endless loop. */
    case 4: return MAKE_JALR(0, d == 1 || d == 4 ? 2 : d, 0);
    case 5: return MAKE_BRANCH(BEQ, 0, 0, 2);
    case 6: return MAKE_SD(d, 0, 0x40);
    case 7: return MAKE_C_MV(other, d);
    default: return MAKE_CSR(CSRRS, other, CSR_SSTATUS, d);
    }
}

static uint32_t event(unsigned kind, unsigned d)
{
    switch (kind) {
    case 0: return EBREAK;
    case 1: return MAKE_CSR(CSRRS, d, 0x340, 0); /* mscratch */
    case 2: return MAKE_LD(d, 0, 0x100);
    case 3: return MAKE_SD(1, 0, 0x108);
    case 4: return MAKE_JALR(0, 0, 0);
    case 5: return ECALL;
    case 6: return MAKE_CSR(CSRRSI, 0, CSR_SSTATUS, 2); /* a trap if an interrupt is pending */
    default: return NOP;
    }
}

static void add_start(const struct program *program, unsigned number)
{
    struct start *start = &make_list.start[make_list.count - 1];
    *start = (struct start){.sie = SIP_SSIP,
                            .sip = number % 3 == 1 ? SIP_SSIP : 0,
                            .sstatus = SSTATUS_FS_INITIAL | (number % 5 ? 0 : SSTATUS_SIE),
                            .sscratch = 0x5c5c};
    model_registers(start->x, 0);
    start->x[6] = start->x[7] = number & 2;
    start->x[1] = start->x[4] = (uint64_t)program->code;
    start->x[17] = start->x[10] = 0x10;
    start->x[16] = 3;
}

/* A program of two sites, a trap or none between them, an instruction that reads the register or
 * none, one that overwrites it, and a last trap. */
static void add_program(unsigned number, unsigned d)
{
    unsigned way = number / 31;
    struct program *p = make_another(13);
    make_add(p, MAKE_STOP);
    make_add(p, site(way, d));
    if (way & 1)
        make_add(p, MAKE_ADDI(d == PLAIN_GAP ? 19 : PLAIN_GAP, 0, way));
    make_add(p, event(way / 2 % 8, d));
    if (way % 3 == 0) {
        make_add(p, way % 2 ? MAKE_STOP : NOP);
        make_add(p, site(way / 3 + 1, d));
    }
    if (way % 5 == 4)
        make_add(p, reading(way / 5 % READS, d));
    make_add(p, overwrite(way % OVERWRITES, d));
    make_add(p, event(way / 7 % 5, d));
    make_add(p, EBREAK);
    make_add(p, EBREAK);
    add_start(p, number);
    if (d == 17 || d == 16 || d == 10) /* an ecall reads these: they are its arguments */
        make_set(p, way & 1 ? 3 : 2, event(way / 2 % 5, d));
}

static void registers(unsigned first)
{
    make_list.count = 0;
    for (unsigned i = first; i < MAKE_MANY * 4; i += 4 + (10 - harness_effort))
        add_program(i, 1 + i % 31);
    make_check_all(make_list.program, make_list.start, make_list.count, 2);
}

static void every_register(void)
{
    for (unsigned first = 0; first < (harness_effort + 2) / 3; first++)
        registers(first);
}

/* The same programs entered behind the first site, when what the VMM may have put away for that
 * site is long out of date. */
static void entered_behind(void)
{
    make_list.count = 0;
    for (unsigned i = 0; i < MAKE_MANY / 2; i += 11 - harness_effort)
        add_program(i * 3, 1 + i % 31);
    make_check_all(make_list.program, make_list.start, make_list.count, 2);
    for (unsigned i = 0; i < make_list.count; i++) {
        struct start *start = &make_list.start[i];
        start->entry = 2;
        for (unsigned n = 1; n < 32; n++)
            if (n != 1 && n != 4 && n != 10 && n != 16 && n != 17)
                start->x[n] ^= 0x1111000000000000;
    }
    make_check_all(make_list.program, make_list.start, make_list.count, 1);
}

/* --- A handler of the fragment's own, in the middle --- */

/* Each time interrupts are enabled one is taken, whose handler uses the same instructions and
 * registers, and leaves all registers as they were. a0 counts interrupts, a1 sums what each
 * round leaves behind. */
FRAGMENT(dead_nested,
         "la t0, 1f\n csrw stvec, t0\n li s2, 50\n"
         "2: csrrci s3, sstatus, 2\n csrrsi x0, sip, 2\n li t1, 3\n csrrsi x0, sstatus, 2\n"
         "li t0, 1\n li t1, 7\n add a1, a1, t0\n add a1, a1, t1\n"
         "csrrci s4, sstatus, 2\n andi s4, s4, 2\n add a1, a1, s4\n csrs sstatus, s4\n"
         "li t2, 4\n add a1, a1, t2\n addi s2, s2, -1\n bnez s2, 2b\n csrci sstatus, 2\n"
         "csrw stvec, a7\n j 3f\n .balign 4\n"
         "1: csrw sscratch, t0\n li t0, 0\n csrrci t0, sip, 2\n addi a0, a0, 1\n"
         "csrrci t0, sstatus, 2\n andi t0, t0, 2\n add a2, a2, t0\n li t0, 99\n"
         "csrr t0, sepc\n csrw sepc, t0\n csrr t0, sscratch\n sret\n 3: nop");
static void nested(void)
{
    for (unsigned again = 0; again < 3; again++) {
        struct run run = RUN(dead_nested, .sie = SIP_SSIP, .any_register = true);
        harness_run(&run);
        expect_done(&run);
        expect("interrupts", run.x[10], 50);
        expect("sum", run.x[11], 50 * (1 + 7 + 2 + 4));
        expect("sie-in-handler", run.x[12], 0);
    }
}

/* The handler resumes one instruction early: the site is executed twice, and the second execution's
 * value is in its rd. */
FRAGMENT(dead_again, "la t0, 1f\n csrw stvec, t0\n csrsi sstatus, 2\n"
                     "2: csrrci a0, sstatus, 2\n .4byte 0\n li t1, 5\n j 3f\n .balign 4\n"
                     "1: csrr a2, sepc\n mv a3, t1\n la t2, 2b\n sub a4, a2, t2\n bnez a1, 4f\n"
                     "li a1, 1\n csrw sepc, t2\n sret\n"
                     "4: addi a2, a2, 4\n csrw sepc, a2\n sret\n 3: csrw stvec, a7");
static void executed_twice(void)
{
    for (unsigned again = 0; again < 3; again++) {
        struct run run = RUN(dead_again);
        harness_run(&run);
        expect_done(&run);
        expect("t1-in-handler", run.x[13], 0x5a00000000000000ul | 6 * 0x0001010101010101ul);
        expect("t1", run.x[6], 5);
        expect("sepc", run.x[14], 4);
        expect("a0", run.x[10] & (SSTATUS_SIE | SSTATUS_SPIE | SSTATUS_SPP), SSTATUS_SPIE);
    }
}

static const struct check checks[] = {
    {"dead-every-register", every_register},
    {"dead-entered-behind", entered_behind},
    {"dead-nested-handler", nested},
    {"dead-executed-twice", executed_twice},
};

const struct subject dead_subject = {.checks = checks, .check_count = COUNT(checks)};
