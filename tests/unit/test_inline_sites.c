/*
 * The sites of PATCH=inline (core/cpu/inline_code.c): which get a trampoline, where registers are saved and
 * when they are given back, and what the VMM makes of a guest that jumps among trampolines itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "inline_hart.h"

/* --- What is no trampoline -------------------------------------------------------------------- */

#define SET  rv_csr(RV_RS | RV_IMMEDIATE, 0, CSR_SSTATUS, SSTATUS_SIE)
#define READ rv_csr(RV_RS, A0, CSR_SSTATUS, 0)

/* A guest that jumps somewhere itself: nothing but the site's own words is carried out. */
static void test_wild(void **state)
{
    (void)state;
    inline_put(OFFSET + 4, rv_li(RA, 0));
    uint64_t entry = inline_target(inline_try(SITE, SET)), words = 0;
    for (uint64_t pc = 0; pc < INLINE_LOW + 16; pc++) {
        uint64_t x[32];
        memcpy(x, vcpu->x, sizeof x);
        vcpu->pc = pc;
        if (pc == entry || pc == 1024 || (pc >= PAGE_SIZE && pc < PAGE_SIZE + 64 && pc % 4 == 0)) {
            words++;
            inline_settle(vcpu);
            memcpy(vcpu->x, x, sizeof x);
            continue;
        }
        assert_int_equal(inline_settle(vcpu), SETTLED_WILD);
        assert_int_equal(vcpu->pc, pc);
        assert_memory_equal(vcpu->x, x, sizeof x);
    }
    assert_int_equal(words, 18);
    vcpu->pc = UINT64_MAX - 1;
    assert_int_equal(inline_settle(vcpu), SETTLED_WILD);
}

/* It jumps to a trampoline's last words with a register of its own making. */
static void test_wild_return(void **state)
{
    (void)state;
    inline_put(OFFSET + 4, rv_li(RA, 0));
    inline_try(SITE, SET);
    uint64_t last = PAGE_SIZE;
    while (inlined.low[last / 4] != RV_RET)
        last += 4;
    const uint64_t elsewhere[] = {0, 2, 511, 514, 1028, last + 4, INLINE_LOW - 4, PAGE_SIZE + 2};
    for (unsigned i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++) {
        vcpu->pc = last;
        vcpu->x[RA] = elsewhere[i];
        assert_int_equal(inline_settle(vcpu), SETTLED_WILD);
        assert_int_equal(vcpu->pc, elsewhere[i] & ~1ul);
    }
    vcpu->pc = last;
    vcpu->x[RA] = last; /* without an end */
    assert_int_equal(inline_settle(vcpu), SETTLED_WILD);
    vcpu->pc = last;
    vcpu->x[RA] = CODE + 0x800; /* as on a hart */
    assert_int_equal(inline_settle(vcpu), SETTLED);
    assert_int_equal(vcpu->pc, CODE + 0x800);
}

static void test_refused(void **state)
{
    (void)state;
    const uint32_t others[] = {
        RV_SRET,
        rv_csr(RV_RW, 0, CSR_SSTATUS, T0),
        rv_csr(RV_RW, T0, CSR_SSTATUS, 0),
        rv_csr(RV_RS | RV_IMMEDIATE, T0, CSR_SSTATUS, 2),
        rv_csr(RV_RS | RV_IMMEDIATE, 0, CSR_SSTATUS, 3),
        rv_csr(RV_RC | RV_IMMEDIATE, T0, CSR_SSTATUS, 6),
        rv_csr(RV_RC | RV_IMMEDIATE, 0, CSR_SSTATUS, 2), /* has a form */
        rv_csr(RV_RS, 0, CSR_SSTATUS, 0),
        rv_csr(RV_RS, 0, CSR_SSTATUS, T0), /* which is neither 0 nor SIE */
        rv_csr(RV_RS, T1, CSR_SSTATUS, T0),
        rv_csr(RV_RC, 0, CSR_SSTATUS, T0),
        rv_csr(RV_RS, T0, CSR_SIE, 0),
    };
    inline_put(OFFSET + 4, rv_li(RA, 0));
    for (unsigned i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_int_equal(inline_try(SITE, others[i]), 0);
    inlined.lost = true;
    assert_int_equal(inline_try(SITE, SET), 0);
    inlined.lost = false;
    inlined.low_lost = true;
    assert_int_equal(inline_try(SITE, SET), 0);
    inlined.low_lost = false;
    inline_put(OFFSET, SET);
    inline_put(OFFSET + 4, rv_beq(T0, T1, -4)); /* back to the site, with ra as it is */
    inline_put(OFFSET + 8, rv_li(RA, 0));
    assert_int_equal(inline_try(SITE, SET), 0);
    assert_int_equal(inline_try(CODE + PAGE_SIZE - 4, SET),
                     0); /* nothing is known of the next page */
    assert_int_equal(inlined.sites | inlined.dead_registers, 0);
    inline_put(OFFSET + 4, rv_li(RA, 0));
    assert_int_not_equal(inline_try(SITE, SET), 0);
}

/* --- Return addresses that are still in a register ---------------------------------------------- */

/* So many sites in a row with ra dead until behind the last, made in the one order or the other; the hart
 * executes all. */
static void run_row(unsigned count)
{
    uint32_t jump[32];
    for (unsigned i = 0; i < count; i++)
        inline_put(OFFSET + 4 * i, SET);
    inline_put(OFFSET + 4 * count, rv_li(RA, 0));
    for (unsigned made = 0; made < count; made++) {
        unsigned i = count % 2 ? count - 1 - made : made;
        jump[i] = inline_try(SITE + 4 * i, SET);
    }
    for (unsigned i = 0; i < count; i++) {
        vcpu->pc = inline_target(jump[i]);
        while (vcpu->pc < INLINE_LOW)
            assert_true(inline_step());
        assert_int_equal(vcpu->x[RA], INLINE_BACK(SITE + 4 * i));
    }
}

static void test_chain(void **state)
{
    for (unsigned count = 1; count <= 32; count++) {
        inline_setup(state);
        uint64_t before = vcpu->x[RA];
        run_row(count);
        uint32_t slots = 0;
        for (unsigned i = 0; i < count; i++)
            slots |= 1u << inlined.site[i].slot;
        assert_int_equal(__builtin_popcount(slots), count);
        inline_restore(vcpu);
        assert_int_equal(vcpu->x[RA], before);
    }
    inline_put(OFFSET + 4 * 32, SET); /* a 33rd has no place to save ra in */
    inline_put(OFFSET + 4 * 33, rv_li(RA, 0));
    assert_int_equal(inline_try(SITE + 4 * 32, SET), 0);
    assert_int_not_equal(inline_try(SITE + PAGE_SIZE + 4 * 32, SET), 0);
    assert_int_equal(inlined.site[32].slot, 0);
}

/* Windows that do not overlap share a slot. */
static void test_slot_shared(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 40; i++) {
        inline_put(OFFSET + 8 * i + 4, rv_li(RA, 0));
        assert_int_not_equal(inline_try(SITE + 8 * i, SET), 0);
        assert_int_equal(inlined.site[i].slot, 0);
    }
}

static void test_not_restored(void **state)
{
    (void)state;
    inline_put(OFFSET + 4, rv_li(T0, 0));
    assert_int_not_equal(inline_try(SITE + PAGE_SIZE, SET), 0); /* so that t0 may hold one, too */
    assert_int_equal(inlined.site[0].dead, T0);
    run_row(1);
    uint64_t back = INLINE_BACK(SITE);
    const struct {
        uint64_t pc, value;
    } others[] = {
        {SITE, back},                 /* in front of the window */
        {SITE + 8, back},             /* behind it */
        {SITE + 4 + PAGE_SIZE, back}, /* another page */
        {SITE + 4, back & ~1ul},      /* an address of the guest's */
        {SITE + 4, back + 4},
    };
    for (unsigned i = 0; i < sizeof others / sizeof others[0]; i++) {
        vcpu->pc = others[i].pc;
        vcpu->x[RA] = others[i].value;
        inline_restore(vcpu);
        assert_int_equal(vcpu->x[RA], others[i].value);
    }
    vcpu->pc = SITE + 4;
    vcpu->x[T0] = back; /* not the site's register */
    inline_restore(vcpu);
    assert_int_equal(vcpu->x[T0], back);
    inlined.page.saved[inlined.site[1].slot] = back; /* the guest wrote there: without an end */
    vcpu->x[RA] = back;
    inline_restore(vcpu);
    assert_int_equal(vcpu->x[RA], back);
}

/* --- Sites ------------------------------------------------------------------------------------ */

static void test_all_taken(void **state)
{
    (void)state;
    inline_put(OFFSET + 4, rv_li(RA, 0));
    uint32_t jump[INLINE_SITES];
    for (unsigned i = 0; i < INLINE_SITES; i++) {
        assert_int_equal(inline_threshold(&inlined), INLINE_HITS);
        jump[i] = inline_try(SITE + i * PAGE_SIZE, SET);
        assert_int_equal(inline_target(jump[i]), 512 + 2 * i);
    }
    assert_int_equal(taken_back, 0);
    assert_int_equal(inline_threshold(&inlined), 4 * INLINE_HITS);
    for (unsigned i = 0; i < 2 * INLINE_SITES; i++) { /* the oldest goes */
        uint64_t pc = SITE + (INLINE_SITES + i) * PAGE_SIZE;
        assert_int_equal(inline_try(pc, READ), jump[i % INLINE_SITES]);
        assert_int_equal(taken_back, i + 1);
        assert_int_equal(inlined.sites, INLINE_SITES);
        assert_int_equal(inlined.site[i % INLINE_SITES].pc, pc);
        vcpu->pc = inline_target(jump[i % INLINE_SITES]);
        assert_int_equal(inline_settle(vcpu), SETTLED);
        assert_int_equal(vcpu->pc, pc + 4);
    }
}

static void test_given_back(void **state)
{
    (void)state;
    run_row(2);
    uint32_t jump = rv_i(0x67, 0, 0, 0, 512);
    assert_true(inline_is_jump(&inlined, jump, FRAME, OFFSET));
    assert_false(inline_is_jump(&inlined, jump, FRAME + 1, OFFSET));
    assert_false(inline_is_jump(&inlined, jump, FRAME, OFFSET + 4)); /* of the other site */
    assert_false(inline_is_jump(&inlined, rv_i(0x67, 0, 0, 0, 513), FRAME, OFFSET));
    assert_false(inline_is_jump(&inlined, rv_i(0x67, 0, RA, 0, 512), FRAME, OFFSET));
    assert_false(inline_is_jump(&inlined, rv_i(0x67, 0, 0, 0, 516), FRAME, OFFSET + 8));
    assert_false(inline_is_jump(NULL, jump, FRAME, OFFSET));
    inline_free(&inlined, &inlined.site[0]);
    assert_int_equal(inlined.sites, 1);
    assert_false(inline_is_jump(&inlined, jump, FRAME, OFFSET));
    assert_int_equal(inlined.low[512 / 4] & 0xffff, 0);  /* illegal */
    assert_int_not_equal(inlined.low[512 / 4] >> 16, 0); /* the other's entry */
    assert_int_equal(inlined.low[1024 / 4], RV_ECALL);
    for (unsigned i = 0; i < 16; i++)
        assert_int_equal(inlined.low[PAGE_SIZE / 4 + i], RV_ECALL);
    assert_int_not_equal(inlined.low[PAGE_SIZE / 4 + 16], RV_ECALL);
    vcpu->pc = 512;
    assert_int_equal(inline_settle(vcpu), SETTLED_WILD);
    vcpu->pc = 514;
    assert_int_equal(inline_settle(vcpu), SETTLED);
    assert_int_equal(vcpu->pc, SITE + 8);
    assert_int_equal(inline_try(SITE, SET), jump); /* and its place is taken again */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_wild, inline_setup),
        cmocka_unit_test_setup(test_wild_return, inline_setup),
        cmocka_unit_test_setup(test_refused, inline_setup),
        cmocka_unit_test_setup(test_chain, inline_setup),
        cmocka_unit_test_setup(test_slot_shared, inline_setup),
        cmocka_unit_test_setup(test_not_restored, inline_setup),
        cmocka_unit_test_setup(test_all_taken, inline_setup),
        cmocka_unit_test_setup(test_given_back, inline_setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
