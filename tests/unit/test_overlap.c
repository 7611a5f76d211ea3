/*
 * Which code overlaps with an instruction (core/isa/overlap.c): half-words in front of one in a
 * page. NOP (4 bytes) and C.NOP (2 bytes) stand for what an instruction of each length is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "isa/overlap.h"
#include "isa/riscv.h"

#define AT     0x400u  /* where the instruction is */
#define LONG   0x0013u /* a half-word that may begin an instruction of 32 bits: NOP's first, */
#define SHORT  0x0001u /* and one that may not: C.NOP */
#define BRANCH 0x00000063u
#define JAL    0x0000006fu
#define C_J    0xa001u
#define C_BEQZ 0xc001u

static uint8_t page[PAGE_SIZE] __attribute__((aligned(4096)));
static uint8_t page_before[PAGE_SIZE] __attribute__((aligned(4096)));

static void put_half(uint8_t *to, unsigned offset, unsigned half)
{
    to[offset] = (uint8_t)half;
    to[offset + 1] = (uint8_t)(half >> 8);
}

static int setup(void **state)
{
    (void)state;
    for (unsigned offset = 0; offset < PAGE_SIZE; offset += 2) {
        put_half(page, offset, SHORT);
        put_half(page_before, offset, SHORT);
    }
    return 0;
}

/* count half-words that may begin an instruction of 32 bits, up to AT. */
static void put_chain(unsigned count)
{
    for (unsigned i = 1; i <= count; i++)
        put_half(page, AT - 2 * i, LONG);
}

static bool is_reached(void)
{
    return overlap_is_reached(page, NULL, AT);
}

static void test_without_jumps(void **state)
{
    (void)state;
    assert_false(is_reached());
    for (unsigned count = 1; count < 60; count++) {
        put_chain(count);
        assert_int_equal(is_reached(), count % 2);
    }
    put_chain(200); /* too long to look at: on the safe side */
    assert_true(is_reached());
}

static void test_start_of_page(void **state)
{
    (void)state;
    assert_false(overlap_is_reached(page, NULL, 0));
    assert_false(overlap_is_reached(page, page_before, 0));
    put_half(page_before, PAGE_SIZE - 2, LONG);
    assert_true(overlap_is_reached(page, page_before, 0));
    put_half(page_before, PAGE_SIZE - 4, LONG);
    assert_false(overlap_is_reached(page, page_before, 0));
    put_half(page, 0, LONG);
    assert_true(overlap_is_reached(page, NULL, 2));
    assert_true(overlap_is_reached(page, page_before, 2));
    put_half(page_before, PAGE_SIZE - 4, SHORT);
    assert_false(overlap_is_reached(page, page_before, 2));
}

/* A direct jump of each kind, forwards and back, to the half-word in front; and none when it leads
 * elsewhere. */
static void test_jumps(void **state)
{
    static const struct {
        unsigned from; /* the jump's offset */
        uint32_t word;
        unsigned length;
    } jumps[] = {
        {AT - 2 - 16, BRANCH | 8u << 8, 4},                         /* BEQ x0, x0, +16 */
        {AT - 2 - 16, JAL | 8u << 21, 4},                           /* JAL x0, +16 */
        {AT - 2 + 16, 0xfe000000u | BRANCH | 8u << 8 | 1u << 7, 4}, /* BEQ x0, x0, -16 */
        {AT - 2 + 16, 0x80000000u | JAL | 0x3f8u << 21 | 1u << 20 | 0xffu << 12,
         4},                                 /* JAL x0, -16 */
        {AT - 2 - 16, C_J | 1u << 11, 2},    /* C.J +16 */
        {AT - 2 - 16, C_BEQZ | 2u << 10, 2}, /* C.BEQZ x8, +16 */
    };
    for (unsigned i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++) {
        setup(state);
        put_chain(2); /* an instruction of 32 bits, behind which one begins at AT */
        assert_false(is_reached());
        put_half(page, jumps[i].from, jumps[i].word & 0xffff);
        if (jumps[i].length == 4)
            put_half(page, jumps[i].from + 2, jumps[i].word >> 16);
        assert_true(is_reached());
        put_half(page, AT - 4, SHORT); /* what is in front is 16 bits, and ends there */
        put_half(page, AT - 2, SHORT);
        assert_false(is_reached());
        setup(state);
        put_chain(2);
        put_half(page, jumps[i].from + 2, jumps[i].word & 0xffff); /* to AT itself */
        if (jumps[i].length == 4)
            put_half(page, jumps[i].from + 4, jumps[i].word >> 16);
        assert_false(is_reached());
    }
}

/* What looks like a jump is the second half of an instruction. */
static void test_no_jump(void **state)
{
    (void)state;
    put_chain(2);
    put_half(page, AT - 2 - 16, C_J | 1u << 11); /* C.J +16 */
    assert_true(is_reached());
    put_half(page, AT - 4 - 16, LONG);
    assert_false(is_reached());
    put_half(page, AT - 6 - 16, LONG); /* an instruction of 32 bits, and then the jump */
    assert_true(is_reached());
}

/* The last half-word of the page, and a jump whose second half is in the next page. */
static void test_end_of_page(void **state)
{
    (void)state;
    put_chain(2);
    put_half(page, PAGE_SIZE - 2, BRANCH);
    assert_false(is_reached());
    unsigned at = PAGE_SIZE - 20;
    put_half(page, at - 2, LONG);
    put_half(page, at - 4, LONG);
    assert_false(overlap_is_reached(page, NULL, at));
    put_half(page, PAGE_SIZE - 2, 0xb7f5u); /* C.J -20: to at - 2 */
    assert_true(overlap_is_reached(page, NULL, at));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_without_jumps, setup),
        cmocka_unit_test_setup(test_start_of_page, setup),
        cmocka_unit_test_setup(test_jumps, setup),
        cmocka_unit_test_setup(test_no_jump, setup),
        cmocka_unit_test_setup(test_end_of_page, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
