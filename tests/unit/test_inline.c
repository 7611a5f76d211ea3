/*
 * The code of PATCH=inline (core/cpu/inline_code.c): the single instructions, and trampolines, which a hart
 * of this test executes word by word and the VMM finishes from every word on, against the CSR instruction
 * in the specification's words.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "inline_hart.h"

/* --- Single instructions ---------------------------------------------------------------------- */

static const struct {
    unsigned csr;
    bool writable;
    size_t field;
} fields[] = {
    {CSR_SSCRATCH, true, offsetof(struct inline_page, sscratch)},
    {CSR_SCAUSE, true, offsetof(struct inline_page, scause)},
    {CSR_STVAL, true, offsetof(struct inline_page, stval)},
    {CSR_SEPC, false, offsetof(struct inline_page, sepc)},
    {CSR_STVEC, false, offsetof(struct inline_page, stvec)},
    {CSR_SATP, false, offsetof(struct inline_page, satp)},
};

/* The form must be a load or store (op) of this register at the field; its second half must trap. */
static void assert_form(uint32_t form, unsigned op, unsigned reg, size_t field)
{
    struct insn insn = insn_decode(form);
    assert_int_equal(insn.op, op);
    assert_int_equal(insn.width, 8);
    assert_int_equal(insn.rs1, 0);
    assert_int_equal(op == INSN_LOAD ? insn.rd : insn.rs2, reg);
    assert_int_equal(INLINE_TOP + (uint64_t)(int64_t)insn.imm, INLINE_TOP - PAGE_SIZE + field);
    assert_int_equal(insn_length((uint16_t)(form >> 16)), 2);
    assert_int_equal(insn_decode(form >> 16).op, INSN_ILLEGAL);
}

static void check_form(unsigned funct3, unsigned rd, unsigned csr, unsigned rs1)
{
    struct insn insn = insn_decode(rv_csr(funct3, rd, csr, rs1));
    uint32_t form = inline_form(&insn);
    bool immediate = funct3 & RV_IMMEDIATE, replaces = (funct3 & 3) == RV_RW;
    if (csr == CSR_SSTATUS && funct3 == (RV_RC | RV_IMMEDIATE) && !rd && rs1 == SSTATUS_SIE) {
        assert_form(form, INSN_STORE, 0, offsetof(struct inline_page, sie));
        return;
    }
    for (unsigned i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (fields[i].csr != csr)
            continue;
        if (!replaces && !rs1 && rd) {
            assert_form(form, INSN_LOAD, rd, fields[i].field);
            return;
        }
        if (replaces && !rd && fields[i].writable && (!immediate || !rs1)) {
            assert_form(form, INSN_STORE, rs1, fields[i].field);
            return;
        }
    }
    assert_int_equal(form, 0);
}

static void test_forms(void **state)
{
    (void)state;
    for (unsigned csr = 0; csr < 4096; csr++) {
        unsigned step = csr >> 8 == 1 ? 1 : 15;
        for (unsigned funct3 = 1; funct3 < 8; funct3++)
            for (unsigned rd = 0; funct3 != 4 && rd < 32; rd += step)
                for (unsigned rs1 = 0; rs1 < 32; rs1 += step)
                    check_form(funct3, rd, csr, rs1);
    }
    struct insn other = insn_decode(RV_SRET);
    assert_int_equal(inline_form(&other), 0);
}

/* --- Bodies ----------------------------------------------------------------------------------- */

static const uint8_t candidates[] = {1,  5,  6,  7,  28, 29, 30, 31, 10, 11, 12, 13,
                                     14, 15, 16, 17, 9,  18, 19, 20, 21, 22, 23, 24};

struct body_case {
    uint32_t word;
    unsigned dead;
    bool sie, pending;
    uint64_t operand; /* what rs1 holds when it is executed */
};

/* What the instruction does, in the specification's words: fills rd and *sie. */
static void model(const struct body_case *body, uint64_t *x, uint64_t *sie)
{
    struct insn insn = insn_decode(body->word);
    uint64_t old = SPP_FS | *sie;
    uint64_t operand = insn.immediate ? insn.rs1 : x[insn.rs1];
    *sie = (insn.op == INSN_CSRRS ? old | operand : old & ~operand) & SSTATUS_SIE;
    if (insn.rd)
        x[insn.rd] = old;
}

/* The VMM has to do it: other bits are written, or an interrupt is due once SIE is set. */
static bool is_slow(const struct body_case *body, const uint64_t *x)
{
    struct insn insn = insn_decode(body->word);
    uint64_t operand = insn.immediate ? insn.rs1 : x[insn.rs1];
    return insn.op == INSN_CSRRS && ((operand & ~SSTATUS_SIE) || (operand && body->pending));
}

/* The hart executes so many words, then traps, and the VMM does the rest. False: it traps or is out before. */
static bool run_body(const struct body_case *body, uint64_t entry, unsigned words)
{
    struct insn insn = insn_decode(body->word);
    uint64_t x[32], sie = body->sie ? SSTATUS_SIE : 0;
    if (!insn.immediate && insn.rs1)
        vcpu->x[insn.rs1] = body->operand;
    memcpy(x, vcpu->x, sizeof x);
    inlined.page.sie = sie;
    inlined.page.sstatus = SPP_FS;
    inlined.page.pending = body->pending ? 0x20 : 0;
    vcpu->pc = entry;
    bool inside = true;
    for (unsigned i = 0; i < words && inside; i++)
        inside = inline_step() && vcpu->pc < INLINE_LOW;
    if (inside || vcpu->pc < INLINE_LOW) {
        bool slow = is_slow(body, x);
        assert_int_equal(inline_settle(vcpu), slow ? SETTLED_SLOW : SETTLED);
        assert_int_equal(vcpu->pc, slow ? SITE : SITE + 4);
    } else {
        assert_false(is_slow(body, x));
        assert_int_equal(vcpu->pc, SITE + 4);
    }
    if (vcpu->pc == SITE + 4) {
        model(body, x, &sie);
        assert_int_equal(vcpu->x[body->dead], INLINE_BACK(SITE));
        inline_restore(vcpu);
    }
    assert_memory_equal(vcpu->x, x, sizeof x);
    assert_int_equal(inlined.page.sie, sie);
    return inside;
}

/* Every register that may be dead, every state, every word. */
static void check_bodies(uint32_t word, const uint64_t *operands, unsigned count)
{
    struct insn insn = insn_decode(word);
    for (unsigned i = 0; i < sizeof candidates; i++) {
        inline_setup(NULL);
        inline_put(OFFSET, word);
        inline_put(OFFSET + 4, rv_li(candidates[i], 0));
        vcpu->x[insn.immediate ? 0 : insn.rs1] = 0; /* as it was when the site got hot */
        uint32_t jump = inline_try(SITE, word);
        assert_int_equal(jump != 0, candidates[i] != insn.rd);
        if (!jump)
            continue;
        for (unsigned bits = 0; bits < 4 * count; bits++) {
            struct body_case body = {word, candidates[i], bits & 1, bits & 2, operands[bits / 4]};
            unsigned words = 0;
            while (run_body(&body, inline_target(jump), words))
                words++;
            assert_in_range(words, 5, 13);
        }
    }
}

static void test_bodies(void **state)
{
    (void)state;
    const uint64_t zero[] = {0},
                   operands[] = {0, SSTATUS_SIE, SSTATUS_SPIE, SSTATUS_SPIE | 2, ~0ul};
    check_bodies(rv_csr(RV_RS | RV_IMMEDIATE, 0, CSR_SSTATUS, 2), zero, 1);
    for (unsigned reg = 1; reg < 32; reg++) {
        check_bodies(rv_csr(RV_RC | RV_IMMEDIATE, reg, CSR_SSTATUS, 2), zero, 1);
        check_bodies(rv_csr(RV_RS, reg, CSR_SSTATUS, 0), zero, 1);
        check_bodies(rv_csr(RV_RC | RV_IMMEDIATE, reg, CSR_SSTATUS, 0), zero, 1);
        check_bodies(rv_csr(RV_RS, 0, CSR_SSTATUS, reg), operands, 5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_forms, inline_setup),
        cmocka_unit_test_setup(test_bodies, inline_setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
