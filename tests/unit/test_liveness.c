/*
 * Which registers are dead (core/isa/liveness.c): small pieces of code in a page, one rule at a
 * time. ecall ends each piece: it reads all registers, so that nothing behind it can make a
 * register dead.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "isa/liveness.h"
#include "isa/riscv.h"
#include "rv.h"

#define START 0x400u /* where the pieces begin */

static uint8_t page[PAGE_SIZE];
static struct liveness_range range;

static void put(unsigned offset, uint32_t word)
{
    memcpy(page + offset, &word, offset + 4 <= PAGE_SIZE ? 4 : PAGE_SIZE - offset);
}

static int setup(void **state)
{
    (void)state;
    for (unsigned offset = 0; offset < PAGE_SIZE; offset += 4)
        put(offset, RV_ECALL);
    return 0;
}

static bool is_dead(unsigned reg)
{
    return liveness_is_dead(page, START - LIVENESS_SITE, reg, &range);
}

/* Whether reg is dead in front of one instruction with "li reg, 0" behind it. */
static bool passes(uint32_t word, unsigned reg)
{
    setup(NULL);
    put(START, word);
    put(START + 4, rv_li(reg, 0));
    return is_dead(reg);
}

static void assert_range(unsigned first, unsigned last)
{
    assert_int_equal(range.first, first);
    assert_int_equal(range.last, last);
}

/* --- One instruction --- */

static void test_nothing_known(void **state)
{
    (void)state;
    for (unsigned reg = 1; reg < 32; reg++)
        assert_false(is_dead(reg));
    put(START, 0); /* illegal */
    assert_false(is_dead(RA));
}

static void test_straight(void **state)
{
    (void)state;
    put(START, rv_li(T0, 1));
    put(START + 4, rv_mv(T1, T0));
    put(START + 8, rv_mv(RA, A0));
    assert_true(is_dead(T0));
    assert_range(START, START);
    assert_true(is_dead(T1));
    assert_range(START, START + 4);
    assert_true(is_dead(RA));
    assert_range(START, START + 8);
    assert_false(is_dead(A0));
    assert_false(is_dead(SP));
}

/* An instruction that reads and writes a register reads it. */
static void test_read_first(void **state)
{
    (void)state;
    for (unsigned reg = 1; reg < 32; reg++) {
        put(START, rv_i(0x13, 0, reg, reg, 1));
        assert_false(is_dead(reg));
        put(START, rv_li(reg, 1));
        assert_true(is_dead(reg));
    }
}

static void test_reads(void **state)
{
    (void)state;
    const uint32_t reading[] = {
        rv_mv(T0, RA),
        rv_r(0x33, 0, 0, T0, RA, T1),       /* add */
        rv_r(0x33, 0, 0, T0, T1, RA),       /* and the other operand */
        rv_r(0x33, 0, 1, T0, T1, RA),       /* mul */
        rv_r(0x3b, 4, 1, T0, RA, T1),       /* divw */
        rv_i(0x03, 3, T0, RA, 0),           /* ld */
        rv_store(RA, SP),                   /* the value */
        rv_store(T0, RA),                   /* the address */
        rv_i(0x07, 3, 0, RA, 0),            /* fld */
        rv_i(0x27, 3, 0, RA, 0),            /* fsd */
        rv_r(0x2f, 3, 0x08, T0, RA, 0),     /* lr.d */
        rv_r(0x2f, 3, 0x0c, T0, SP, RA),    /* sc.d */
        rv_r(0x2f, 3, 0x00, T0, RA, T1),    /* amoadd.d */
        rv_beq(RA, T0, 4),                  /* either way */
        rv_beq(T0, RA, 4),                  /* and the other operand */
        rv_csr(RV_RW, 0, CSR_SSCRATCH, RA), /* a CSR's new value */
        0x0001e006u,                        /* c.sdsp ra */
    };
    for (unsigned i = 0; i < sizeof(reading) / sizeof(reading[0]); i++) {
        assert_false(passes(reading[i], RA));
        assert_true(passes(reading[i], 31));
    }
}

static void test_passes(void **state)
{
    (void)state;
    const uint32_t passing[] = {
        rv_mv(T0, T1),
        rv_store(T0, SP),
        rv_r(0x33, 0, 1, T0, T1, A0),      /* mul */
        rv_r(0x33, 5, 7, T0, T1, A0),      /* czero.eqz */
        rv_r(0x2f, 3, 0x00, T0, SP, T1),   /* amoadd.d */
        rv_i(0x07, 3, RA, SP, 0),          /* fld f1: not x1 */
        rv_i(0x27, 3, 0, SP, RA),          /* fsd f1: its number is in the offset here */
        rv_r(0x27, 3, 0, 0, SP, RA),       /* fsd f1 */
        rv_csr(RV_RS, T0, CSR_SSTATUS, 0), /* csrr */
        rv_csr(RV_RS | RV_IMMEDIATE, 0, CSR_SSTATUS, RA), /* a zimm of 1 is no register */
        rv_beq(T0, T1, 4),
        RV_FENCE,
        RV_FENCEI,
        RV_WFI,
        0x00010001u, /* c.nop, twice */
    };
    for (unsigned i = 0; i < sizeof(passing) / sizeof(passing[0]); i++)
        assert_true(passes(passing[i], RA));
}

/* What is not plainly understood reads all registers, whichever it names. */
static void test_all_read(void **state)
{
    (void)state;
    const uint32_t opaque[] = {
        RV_ECALL,
        RV_SRET,
        0x30200073u, /* mret */
        RV_SFENCE,
        0x16000073u,                    /* sinval.vma */
        rv_csr(RV_RW, 0, CSR_SATP, T0), /* other code may come behind it */
        rv_csr(RV_RS, T0, CSR_SATP, 0), /* also when it is only read */
        rv_i(0x13, 1, T0, T1, 0x600),   /* clz */
        rv_r(0x53, 0, 0x61, T0, 0, 0),  /* fcvt.w.d: FP, with an integer rd */
        rv_r(0x53, 0, 0x01, 0, 0, 0),   /* fadd.d */
        rv_i(0x57, 7, T0, T1, 0),       /* vsetvli */
        rv_i(0x0f, 2, 0, T0, 1),        /* cbo.clean */
        rv_r(0x0b, 0, 0, T0, T1, A0),   /* custom-0 */
        rv_r(0x73, 4, 0x36, T0, T1, 0), /* hlv */
        0xffffffffu,
        0x00000000u,
        0x00018000u, /* c.lbu (Zcb) */
    };
    for (unsigned i = 0; i < sizeof(opaque) / sizeof(opaque[0]); i++)
        assert_false(passes(opaque[i], RA));
}

/* --- Ways on --- */

/* A branch: dead on both ways, on one, on none. */
static void test_branch(void **state)
{
    (void)state;
    for (unsigned ways = 0; ways < 4; ways++) {
        for (int distance = -0x100; distance <= 0x100; distance += 0x200) {
            setup(NULL);
            unsigned target = (unsigned)((int)START + distance);
            put(START, rv_beq(T0, T1, distance));
            put(START + 4, ways & 1 ? rv_li(RA, 0) : rv_mv(T0, RA));
            put(target, ways & 2 ? rv_li(RA, 0) : rv_mv(T0, RA));
            assert_int_equal(is_dead(RA), ways == 3);
            if (ways == 3)
                assert_range(distance < 0 ? target : START, distance < 0 ? START + 4 : target);
        }
    }
}

static void test_jump(void **state)
{
    (void)state;
    put(START, rv_jal(0, 0x200));
    put(START + 4, rv_mv(T0, RA)); /* not on the way */
    put(START + 0x200, rv_li(RA, 0));
    assert_true(is_dead(RA));
    assert_range(START, START + 0x200);
    put(START, 0x0000a001u | 4u << 3); /* c.j 8 */
    put(START + 8, rv_li(RA, 0));
    assert_true(is_dead(RA));
    assert_range(START, START + 8);
}

/* A loop that neither reads nor writes a register never reads it; what comes behind it counts. */
static void test_loops(void **state)
{
    (void)state;
    put(START, rv_jal(0, 0));
    assert_true(is_dead(RA));
    assert_range(START, START);
    put(START, rv_mv(T0, T1));
    put(START + 4, rv_beq(T0, A0, -4));
    assert_false(is_dead(RA));
    put(START + 8, rv_li(RA, 0));
    assert_true(is_dead(RA));
    assert_range(START, START + 8);
    put(START + 8, rv_beq(T0, A1, -0x100)); /* a way out in front of it */
    put(START + 12, rv_li(RA, 0));
    assert_false(is_dead(RA));
    put(START - 0x100 + 8, rv_jal(0, 0x100 - 8));
    assert_true(is_dead(RA));
    assert_range(START - 0x100 + 8, START + 12);
}

/* What comes to the site again would save the return address in the register's place. */
static void test_comes_back(void **state)
{
    (void)state;
    put(START, rv_jal(0, -4));
    assert_false(is_dead(RA));
    put(START, rv_beq(T0, T1, -4));
    put(START + 4, rv_li(RA, 0));
    assert_false(is_dead(RA));
    put(START, rv_li(RA, 0)); /* it is written on the way back */
    put(START + 4, rv_jal(0, -8));
    assert_true(is_dead(RA));
    assert_range(START, START);
    put(START, rv_jal(0, -0x80)); /* in front of the site, and past it again */
    put(START - 0x80, rv_jal(0, 0x80 + 8));
    put(START + 8, rv_li(RA, 0));
    assert_true(is_dead(RA));
    assert_range(START - 0x80, START + 8);
    put(START - 0x80, rv_mv(T0, T1)); /* a straight way to the site */
    for (unsigned offset = START - 0x7c; offset < START - 4; offset += 4)
        put(offset, rv_mv(T0, T1));
    assert_false(is_dead(RA));
}

/* A trap gives the register back, so what always traps is as good as a write; the window of the
 * return address reaches to it. */
static void test_traps(void **state)
{
    (void)state;
    const uint32_t traps[] = {0x00100073u /* ebreak */, 0x00019002u /* c.ebreak */};
    for (unsigned i = 0; i < sizeof(traps) / sizeof(traps[0]); i++) {
        setup(NULL);
        put(START, rv_beq(T0, T1, 0x100));
        put(START + 4, rv_li(RA, 0));
        assert_false(is_dead(RA));
        put(START + 0x100, traps[i]);
        assert_true(is_dead(RA));
        assert_range(START, START + 0x100);
        put(START, rv_mv(T0, RA));
        put(START + 4, traps[i]);
        assert_false(is_dead(RA));
    }
}

/* A call writes ra; what it calls reads what it reads. Behind an indirect jump nothing is known. */
static void test_calls(void **state)
{
    (void)state;
    put(START, rv_jal(RA, 0x100));
    put(START + 0x100, rv_mv(T0, A0));
    put(START + 0x104, rv_li(A1, 0));
    put(START + 0x108, RV_RET);
    assert_true(is_dead(RA));
    assert_range(START, START);
    assert_true(is_dead(T0));
    assert_true(is_dead(A1));
    assert_range(START, START + 0x104);
    assert_false(is_dead(A0));
    assert_false(is_dead(T1)); /* the caller's code is not looked at */
    put(START, rv_jal(RA, 0x1000));
    assert_true(is_dead(RA)); /* even into another page */
    assert_false(is_dead(A1));
}

static void test_indirect(void **state)
{
    (void)state;
    put(START + 4, rv_li(T1, 0));         /* comes after it only if it returns there */
    put(START, rv_i(0x67, 0, RA, T0, 0)); /* jalr ra, t0 */
    assert_true(is_dead(RA));
    assert_false(is_dead(T0));
    assert_false(is_dead(T1));
    put(START, rv_i(0x67, 0, RA, RA, 0)); /* jalr ra, ra: read before it is written */
    assert_false(is_dead(RA));
    put(START, 0x00009282u); /* c.jalr t0 */
    assert_true(is_dead(RA));
    put(START, RV_RET);
    assert_false(is_dead(RA));
    assert_false(is_dead(T1));
}

/* --- Bounds --- */

static bool is_dead_at(unsigned offset)
{
    return liveness_is_dead(page, offset - LIVENESS_SITE, RA, &range);
}

/* Code must not go beyond the page: not by running on, by an instruction that lies across, by a
 * jump. */
static void test_page_end(void **state)
{
    (void)state;
    put(PAGE_SIZE - 4, rv_li(RA, 0));
    assert_true(is_dead_at(PAGE_SIZE - 4));
    assert_range(PAGE_SIZE - 4, PAGE_SIZE - 4);
    put(PAGE_SIZE - 4, rv_mv(T0, T1));
    assert_false(is_dead_at(PAGE_SIZE - 4));
    assert_false(is_dead_at(PAGE_SIZE)); /* behind a site that is the page's last instruction */
    put(PAGE_SIZE - 4, 0x00010001u);     /* c.nop, c.nop */
    assert_false(is_dead_at(PAGE_SIZE - 4));
    put(PAGE_SIZE - 2, rv_li(RA, 0)); /* half of it */
    assert_false(is_dead_at(PAGE_SIZE - 2));
    put(PAGE_SIZE - 2, 0x00004081u); /* c.li ra, 0 */
    assert_true(is_dead_at(PAGE_SIZE - 4));
    assert_range(PAGE_SIZE - 4, PAGE_SIZE - 2);
}

static void test_jumps_out(void **state)
{
    (void)state;
    const int distances[] = {
        -0x100000, -0x1000, -(int)START - 4, -(int)START - 2, (int)(PAGE_SIZE - START),
        0x1000,    0xffffe};
    for (unsigned i = 0; i < sizeof(distances) / sizeof(distances[0]); i++) {
        put(START, rv_jal(0, distances[i]));
        put(START + 4, rv_li(RA, 0));
        assert_false(is_dead(RA));
        if (distances[i] < -0x1000 || distances[i] > 0xffe)
            continue;
        put(START, rv_beq(T0, T1, distances[i]));
        assert_false(is_dead(RA));
    }
    put(START, rv_jal(0, -(int)START)); /* the first instruction of the page is still in it */
    put(0, rv_li(RA, 0));
    assert_true(is_dead(RA));
    assert_range(0, START);
}

/* The search is bounded, in its steps and by that in its depth: short of the write, or of the way
 * back. */
static void test_budget(void **state)
{
    (void)state;
    unsigned length = 1;
    for (; length < 600; length++) {
        put(START + 4 * length - 4, rv_beq(T0, T1, 4));
        put(START + 4 * length, rv_li(RA, 0));
        if (!is_dead(RA))
            break;
        assert_range(START, START + 4 * length);
    }
    assert_in_range(length, 24, 256);
    for (unsigned offset = 0; offset < PAGE_SIZE; offset += 4)
        put(offset, rv_beq(T0, T1, 4));
    assert_false(is_dead_at(0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_nothing_known, setup),
        cmocka_unit_test_setup(test_straight, setup),
        cmocka_unit_test_setup(test_read_first, setup),
        cmocka_unit_test_setup(test_reads, setup),
        cmocka_unit_test_setup(test_passes, setup),
        cmocka_unit_test_setup(test_all_read, setup),
        cmocka_unit_test_setup(test_branch, setup),
        cmocka_unit_test_setup(test_jump, setup),
        cmocka_unit_test_setup(test_loops, setup),
        cmocka_unit_test_setup(test_comes_back, setup),
        cmocka_unit_test_setup(test_traps, setup),
        cmocka_unit_test_setup(test_calls, setup),
        cmocka_unit_test_setup(test_indirect, setup),
        cmocka_unit_test_setup(test_page_end, setup),
        cmocka_unit_test_setup(test_jumps_out, setup),
        cmocka_unit_test_setup(test_budget, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
