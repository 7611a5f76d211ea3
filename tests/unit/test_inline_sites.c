/*
 * The sites of PATCH=inline (core/engine/trap/inline_code.c): which get a trampoline, where
 * registers are saved and when they are given back, and what the VMM makes of a guest that jumps
 * among trampolines itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/trap/inline_body.h"
#include "inline_hart.h"

/* --- What is no trampoline --- */

#define SET  rv_csr(RV_RS | RV_IMMEDIATE, 0, CSR_SSTATUS, SSTATUS_SIE)
#define READ rv_csr(RV_RS, A0, CSR_SSTATUS, 0)
#define SWAP rv_csr(RV_RW, A0, CSR_SSTATUS, A1) /* has a long body */

#define SHORTS (INLINE_SITES - INLINE_LONG)
#define LONGS  (PAGE_SIZE + 64 * SHORTS) /* where long bodies begin */

/* A guest that jumps somewhere itself: nothing but the site's own words is carried out. */
static void test_wild(void **state)
{
    (void)state;
    inline_put(OFFSET + 4, rv_li(RA, 0));
    vcpu->x[A1] = 0;
    uint64_t entry = inline_target(inline_try(SITE, SET)), words = 0;
    uint64_t entry_long = inline_target(inline_try(SITE + PAGE_SIZE, SWAP));
    for (uint64_t pc = 0; pc < INLINE_LOW + 16; pc++) {
        uint64_t x[32];
        memcpy(x, vcpu->x, sizeof(x));
        vcpu->pc = pc;
        bool inside = (pc >= PAGE_SIZE && pc < PAGE_SIZE + 4 * 16) ||
                      (pc >= LONGS && pc < LONGS + 4 * 36) || pc == 1024 || pc == 1024 + 4 * SHORTS;
        if (pc == entry || pc == entry_long || (inside && pc % 4 == 0)) {
            words++;
            inline_finish(vcpu);
            memcpy(vcpu->x, x, sizeof(x));
            continue;
        }
        assert_int_equal(inline_finish(vcpu), FINISHED_WILD);
        assert_int_equal(vcpu->pc, pc);
        assert_memory_equal(vcpu->x, x, sizeof(x));
    }
    assert_int_equal(words, 2 + 16 + 2 + 36);
    vcpu->pc = UINT64_MAX - 1;
    assert_int_equal(inline_finish(vcpu), FINISHED_WILD);
}

/* It jumps to a trampoline's last words with a register of its own making. */
static void test_wild_return(void **state)
{
    (void)state;
    inline_put(OFFSET + 4, rv_li(RA, 0));
    inline_try(SITE, SET);
    uint64_t last = PAGE_SIZE;
    while (trampolines.low[last / 4] != RV_RET)
        last += 4;
    const uint64_t elsewhere[] = {0, 2, 511, 514, 1028, last + 4, INLINE_LOW - 4, PAGE_SIZE + 2};
    for (unsigned i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++) {
        vcpu->pc = last;
        vcpu->x[RA] = elsewhere[i];
        assert_int_equal(inline_finish(vcpu), FINISHED_WILD);
        assert_int_equal(vcpu->pc, elsewhere[i] & ~1ul);
    }
    vcpu->pc = last;
    vcpu->x[RA] = last; /* without an end */
    assert_int_equal(inline_finish(vcpu), FINISHED_WILD);
    vcpu->pc = last;
    vcpu->x[RA] = CODE + 0x800; /* as on a hart */
    assert_int_equal(inline_finish(vcpu), FINISHED);
    assert_int_equal(vcpu->pc, CODE + 0x800);
}

static void test_refused(void **state)
{
    (void)state;
    const uint32_t refused[] = {
        RV_SRET,
        rv_csr(RV_RW, 0, CSR_SSTATUS, T0), /* which holds SIE and SUM */
        rv_csr(RV_RW, A0, CSR_SSTATUS, T0),
        rv_csr(RV_RS, 0, CSR_SSTATUS, T0),
        rv_csr(RV_RS, A0, CSR_SSTATUS, T0),
        rv_csr(RV_RC, 0, CSR_SSTATUS, T0),
        rv_csr(RV_RC, A0, CSR_SSTATUS, T0),
        rv_csr(RV_RW, T1, CSR_SSTATUS, T1), /* which holds SUM */
        rv_csr(RV_RS, T1, CSR_SSTATUS, T1),
        rv_csr(RV_RC, T1, CSR_SSTATUS, T1),
        rv_csr(RV_RW | RV_IMMEDIATE, 0, CSR_SSTATUS, 0),
        rv_csr(RV_RW | RV_IMMEDIATE, T0, CSR_SSTATUS, 2),
        rv_csr(RV_RS | RV_IMMEDIATE, T0, CSR_SSTATUS, 2),
        rv_csr(RV_RS | RV_IMMEDIATE, 0, CSR_SSTATUS, 3),
        rv_csr(RV_RC | RV_IMMEDIATE, T0, CSR_SSTATUS, 6),
        rv_csr(RV_RC | RV_IMMEDIATE, 0, CSR_SSTATUS, 2), /* has a form */
        rv_csr(RV_RS, 0, CSR_SSTATUS, 0),
        rv_csr(RV_RS, T0, CSR_SIE, 0),
        rv_csr(RV_RW, 0, CSR_SIE, T1),
        rv_csr(RV_RW, A0, CSR_SEPC, T1),
        rv_csr(RV_RW | RV_IMMEDIATE, 0, CSR_SEPC, 4),
        rv_csr(RV_RS, 0, CSR_SEPC, T1),
        rv_csr(RV_RC, 0, CSR_SEPC, T1),
        rv_csr(RV_RS, A0, CSR_SEPC, 0), /* has a form */
    };
    vcpu->x[T0] = SSTATUS_SUM | SSTATUS_SIE;
    vcpu->x[T1] = SSTATUS_SUM;
    inline_put(OFFSET + 4, rv_li(RA, 0));
    for (unsigned i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        assert_int_equal(inline_try(SITE, refused[i]), 0);
    assert_int_equal(trampolines.sites[0] | trampolines.sites[1] | trampolines.dead_registers, 0);
}

/* What could be inlined, were it elsewhere. */
static void test_refused_here(void **state)
{
    (void)state;
    inline_put(OFFSET + 4, rv_li(RA, 0));
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
    assert_int_equal(trampolines.sites[0] | trampolines.sites[1] | trampolines.dead_registers, 0);
    inline_put(OFFSET + 4, rv_li(RA, 0));
    assert_int_not_equal(inline_try(SITE, SET), 0);
}

/* What its register holds tells a change of anything else from one of SIE. */
static void test_length(void **state)
{
    const struct {
        uint32_t word;
        uint64_t operand; /* in t0 */
        int length;       /* -1: refused */
    } rows[] = {
        {rv_csr(RV_RS, 0, CSR_SSTATUS, T0), 0, 0},
        {rv_csr(RV_RS, 0, CSR_SSTATUS, T0), SSTATUS_SIE, 0},
        {rv_csr(RV_RS, 0, CSR_SSTATUS, T0), SSTATUS_SUM, 1},
        {rv_csr(RV_RS, 0, CSR_SSTATUS, T0), SSTATUS_SUM | SSTATUS_SIE, -1},
        {rv_csr(RV_RS, A0, CSR_SSTATUS, T0), 0, 1},
        {rv_csr(RV_RS, A0, CSR_SSTATUS, T0), SSTATUS_SIE, -1},
        {rv_csr(RV_RC, 0, CSR_SSTATUS, T0), 0, 1},
        {rv_csr(RV_RC, 0, CSR_SSTATUS, T0), SSTATUS_SIE, -1},
        {rv_csr(RV_RC, A0, CSR_SSTATUS, T0), SSTATUS_FS, 1},
        {rv_csr(RV_RW, 0, CSR_SSTATUS, T0), ~SSTATUS_SIE, 1},
        {rv_csr(RV_RW, A0, CSR_SSTATUS, T0), ~0ul, -1},
        {rv_csr(RV_RW, A0, CSR_SSTATUS, 0), 0, 1},
        {rv_csr(RV_RW, 0, CSR_SEPC, T0), ~0ul, 0},
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        inline_setup(state);
        inline_put(OFFSET + 4, rv_li(RA, 0));
        vcpu->x[T0] = rows[i].operand;
        assert_int_equal(inline_try(SITE, rows[i].word) != 0, rows[i].length >= 0);
        assert_int_equal(trampolines.sites[0], rows[i].length == 0);
        assert_int_equal(trampolines.sites[1], rows[i].length == 1);
        assert_int_equal(trampolines.site[SHORTS].pc != 0, rows[i].length == 1);
    }
}

/* --- Return addresses that are still in a register --- */

/* So many sites in a row with ra dead until behind the last, made in the one order or the other;
 * the hart executes all. */
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
            slots |= 1u << trampolines.site[i].slot;
        assert_int_equal(__builtin_popcount(slots), count);
        inline_restore(vcpu);
        assert_int_equal(vcpu->x[RA], before);
    }
    inline_put(OFFSET + 4 * 32, SET); /* a 33rd has no place to save ra in */
    inline_put(OFFSET + 4 * 33, rv_li(RA, 0));
    assert_int_equal(inline_try(SITE + 4 * 32, SET), 0);
    assert_int_not_equal(inline_try(SITE + PAGE_SIZE + 4 * 32, SET), 0);
    assert_int_equal(trampolines.site[32].slot, 0);
}

/* Windows that do not overlap share a slot. */
static void test_slot_shared(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 40; i++) {
        inline_put(OFFSET + 8 * i + 4, rv_li(RA, 0));
        assert_int_not_equal(inline_try(SITE + 8 * i, SET), 0);
        assert_int_equal(trampolines.site[i].slot, 0);
    }
}

static void test_not_restored(void **state)
{
    (void)state;
    inline_put(OFFSET + 4, rv_li(T0, 0));
    assert_int_not_equal(inline_try(SITE + PAGE_SIZE, SET), 0); /* so that t0 may hold one, too */
    assert_int_equal(trampolines.site[0].dead, T0);
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
    for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        vcpu->pc = others[i].pc;
        vcpu->x[RA] = others[i].value;
        inline_restore(vcpu);
        assert_int_equal(vcpu->x[RA], others[i].value);
    }
    vcpu->pc = SITE + 4;
    vcpu->x[T0] = back; /* not the site's register */
    inline_restore(vcpu);
    assert_int_equal(vcpu->x[T0], back);
    inlined.page.saved[trampolines.site[1].slot] = back; /* the guest wrote there: without an end */
    vcpu->x[RA] = back;
    inline_restore(vcpu);
    assert_int_equal(vcpu->x[RA], back);
}

/* --- Sites --- */

/* All sites of one length, for code from pc on: they are the first ones from here on. */
static void take_all(bool is_long, uint64_t first_pc, unsigned first, unsigned count)
{
    uint32_t jump[INLINE_SITES], words[] = {is_long ? SWAP : SET, is_long ? SWAP : READ};
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(inline_threshold(&trampolines), INLINE_HITS);
        jump[i] = inline_try(first_pc + i * PAGE_SIZE, words[0]);
        assert_int_equal(inline_target(jump[i]), 512 + 2 * (first + i));
    }
    assert_int_equal(taken_back, 0);
    assert_int_equal(inline_threshold(&trampolines), 4 * INLINE_HITS);
    for (unsigned i = 0; i < 2 * count; i++) { /* the oldest goes */
        uint64_t pc = first_pc + (count + i) * PAGE_SIZE;
        assert_int_equal(inline_try(pc, words[1]), jump[i % count]);
        assert_int_equal(taken_back, i + 1);
        assert_int_equal(trampolines.sites[is_long], count);
        assert_int_equal(trampolines.sites[!is_long], 0);
        assert_int_equal(trampolines.site[first + i % count].pc, pc);
        inline_set_sstatus(SPP_FS);
        vcpu->x[A1] = SPP_FS;
        vcpu->pc = inline_target(jump[i % count]);
        assert_int_equal(inline_finish(vcpu), FINISHED);
        assert_int_equal(vcpu->pc, pc + 4);
    }
    assert_int_not_equal(inline_try(SITE, is_long ? SET : SWAP),
                         0); /* of the other, there are some */
    assert_int_equal(taken_back, 2 * count);
}

/* What two instructions make the address of, and what they do not. */
static const struct {
    uint64_t pc;
    bool far;
} places[] = {
    {SITE, false},
    {0x10000000 + OFFSET, false},
    {0x80200000 + OFFSET, true},
    {0x3f80200000 + OFFSET, true},
    {0xffffffd600000000 + OFFSET, true},
};

static void test_all_taken(void **state)
{
    for (unsigned i = 0; i < 2 * sizeof(places) / sizeof(places[0]); i++) {
        bool is_long = i & 1, far = places[i / 2].far;
        inline_setup(state);
        trampolines.shorts = far ? INLINE_BACKS - INLINE_LONG : SHORTS;
        inline_put(OFFSET + 4, rv_li(RA, 0));
        vcpu->x[A1] = SPP_FS;
        take_all(is_long, places[i / 2].pc, is_long ? SHORTS : 0,
                 is_long ? INLINE_LONG : trampolines.shorts);
    }
}

/* The last addresses that two instructions make, and the first that they do not. */
static void test_near(void **state)
{
    (void)state;
    assert_true(inline_is_near(0) && inline_is_near(0x7ffff7ff) && inline_is_near(UINT64_MAX));
    assert_true(inline_is_near(0xffffffff80000000));
    assert_false(inline_is_near(0x7ffff800) || inline_is_near(0x80000000));
    assert_false(inline_is_near(0xffffffff7fffffff) || inline_is_near(1ul << 32));
}

/* The oldest of one length and of the other. */
static void test_all_taken_of_both(void **state)
{
    (void)state;
    uint64_t pc = SITE;
    inline_put(OFFSET + 4, rv_li(RA, 0));
    vcpu->x[A1] = 0;
    for (unsigned i = 0; i < INLINE_SITES; i++, pc += PAGE_SIZE)
        assert_int_not_equal(inline_try(pc, i < SHORTS ? SET : SWAP), 0);
    assert_int_equal(taken_back, 0);
    for (unsigned i = 0; i < INLINE_LONG; i++) {
        for (unsigned j = 0; j < 2; j++, pc += PAGE_SIZE)
            assert_int_equal(inline_target(inline_try(pc, SET)), 512 + 2 * (2 * i + j));
        assert_int_equal(inline_target(inline_try(pc, SWAP)), 512 + 2 * (SHORTS + i));
        pc += PAGE_SIZE;
    }
    assert_int_equal(taken_back, 3 * INLINE_LONG);
    assert_int_equal(trampolines.sites[0], SHORTS);
    assert_int_equal(trampolines.sites[1], INLINE_LONG);
}

static void test_given_back(void **state)
{
    (void)state;
    run_row(2);
    uint32_t jump = rv_i(0x67, 0, 0, 0, 512);
    assert_true(inline_is_jump(&trampolines, jump, FRAME, OFFSET));
    assert_false(inline_is_jump(&trampolines, jump, FRAME + 1, OFFSET));
    assert_false(inline_is_jump(&trampolines, jump, FRAME, OFFSET + 4)); /* of the other site */
    assert_false(inline_is_jump(&trampolines, rv_i(0x67, 0, 0, 0, 513), FRAME, OFFSET));
    assert_false(inline_is_jump(&trampolines, rv_i(0x67, 0, RA, 0, 512), FRAME, OFFSET));
    assert_false(inline_is_jump(&trampolines, rv_i(0x67, 0, 0, 0, 516), FRAME, OFFSET + 8));
    assert_false(inline_is_jump(NULL, jump, FRAME, OFFSET));
    inline_free(&trampolines, &trampolines.site[0]);
    assert_int_equal(trampolines.sites[0], 1);
    assert_false(inline_is_jump(&trampolines, jump, FRAME, OFFSET));
    assert_int_equal(trampolines.low[512 / 4] & 0xffff, 0);  /* illegal */
    assert_int_not_equal(trampolines.low[512 / 4] >> 16, 0); /* the other's entry */
    assert_int_equal(trampolines.low[1024 / 4], RV_ECALL);
    for (unsigned i = 0; i < 16; i++)
        assert_int_equal(trampolines.low[PAGE_SIZE / 4 + i], RV_ECALL);
    assert_int_not_equal(trampolines.low[PAGE_SIZE / 4 + 16], RV_ECALL);
    vcpu->pc = 512;
    assert_int_equal(inline_finish(vcpu), FINISHED_WILD);
    vcpu->pc = 514;
    assert_int_equal(inline_finish(vcpu), FINISHED);
    assert_int_equal(vcpu->pc, SITE + 8);
    assert_int_equal(inline_try(SITE, SET), jump); /* and its place is taken again */
}

/* Long bodies are given back as a whole, too. */
static void test_given_back_long(void **state)
{
    (void)state;
    const uint32_t *body = &trampolines.low[LONGS / 4];
    vcpu->x[A1] = 0;
    inline_put(OFFSET + 4, rv_li(RA, 0));
    uint32_t jump = inline_try(SITE, SWAP);
    assert_true(inline_is_jump(&trampolines, jump, FRAME, OFFSET));
    assert_int_not_equal(inline_try(SITE + PAGE_SIZE, SWAP), 0);
    assert_int_equal(trampolines.sites[1], 2);
    inline_free(&trampolines, &trampolines.site[SHORTS]);
    assert_int_equal(trampolines.sites[1], 1);
    assert_false(inline_is_jump(&trampolines, jump, FRAME, OFFSET));
    for (unsigned i = 0; i < 36; i++)
        assert_int_equal(body[i], RV_ECALL);
    assert_int_not_equal(body[36], RV_ECALL);
    vcpu->pc = inline_target(jump);
    assert_int_equal(inline_finish(vcpu), FINISHED_WILD);
    assert_int_equal(inline_try(SITE, SWAP), jump);
}

/* --- FS --- */

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_wild, inline_setup),
        cmocka_unit_test_setup(test_wild_return, inline_setup),
        cmocka_unit_test_setup(test_refused, inline_setup),
        cmocka_unit_test_setup(test_refused_here, inline_setup),
        cmocka_unit_test_setup(test_length, inline_setup),
        cmocka_unit_test_setup(test_chain, inline_setup),
        cmocka_unit_test_setup(test_slot_shared, inline_setup),
        cmocka_unit_test_setup(test_not_restored, inline_setup),
        cmocka_unit_test(test_near),
        cmocka_unit_test_setup(test_all_taken, inline_setup),
        cmocka_unit_test_setup(test_all_taken_of_both, inline_setup),
        cmocka_unit_test_setup(test_given_back, inline_setup),
        cmocka_unit_test_setup(test_given_back_long, inline_setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
