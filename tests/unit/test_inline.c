/*
 * The code of PATCH=inline (core/engine/trap/inline_code.c): the single instructions, and
 * trampolines, which a hart of this test executes word by word and the VMM finishes from every word
 * on, against the CSR instruction in the specification's words.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vm/csr.h"
#include "inline_hart.h"

/* --- Single instructions --- */

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

/* The form must be a load or store (op) of this register at the field; its second half must
 * trap. */
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
    for (unsigned i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
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

/* --- Bodies --- */

static const uint8_t candidates[] = {1,  5,  6,  7,  28, 29, 30, 31, 10, 11, 12, 13,
                                     14, 15, 16, 17, 9,  18, 19, 20, 21, 22, 23, 24};

/* One execution of a body. */
struct body_case {
    uint32_t word;
    unsigned dead;
    bool restore; /* what it is made for sets SIE or nothing */
    bool pending;
    uint64_t sstatus, free; /* free: what of sstatus trampolines may change */
    uint64_t operand;       /* what rs1 holds when it is executed */
};

/* What a trampoline must keep, and what it changes. */
struct state {
    uint64_t x[32], sstatus, sepc;
};

#define LONG_ENTRY (512 + 2 * (INLINE_SITES - INLINE_LONG)) /* the first with a long body */
#define SEPC       0xffffffff80201236ul                     /* before */
#define PENDING    0x20ul

#define WRITABLE (SSTATUS_SIE | SSTATUS_SPIE | SSTATUS_SPP | SSTATUS_FS | SSTATUS_SUM | SSTATUS_MXR)

static bool writes(const struct insn *insn)
{
    return insn->op == INSN_CSRRW || insn->rs1;
}

/* What the instruction writes, before the register makes of it what it can hold. */
static uint64_t written(const struct insn *insn, uint64_t old, uint64_t operand)
{
    return insn->op == INSN_CSRRW   ? operand
           : insn->op == INSN_CSRRS ? old | operand
                                    : old & ~operand;
}

/* What the instruction does, in the specification's words. */
static void model(const struct body_case *body, struct state *state)
{
    struct insn insn = insn_decode(body->word);
    bool is_sepc = insn.csr == CSR_SEPC;
    uint64_t old = is_sepc ? state->sepc : state->sstatus;
    uint64_t value = written(&insn, old, insn.immediate ? insn.rs1 : state->x[insn.rs1]);
    if (is_sepc) {
        state->sepc = value & ~1ul;
    } else if (writes(&insn)) {
        value = (old & ~(WRITABLE | SSTATUS_SD)) | (value & WRITABLE);
        state->sstatus = value | ((value & SSTATUS_FS) == SSTATUS_FS ? SSTATUS_SD : 0);
    }
    if (insn.rd)
        state->x[insn.rd] = old;
}

/* The VMM has to do it: an interrupt may be due once SIE is set, or what is not free changes. */
static bool is_slow(const struct body_case *body, const struct state *state)
{
    struct insn insn = insn_decode(body->word);
    uint64_t operand = insn.immediate ? insn.rs1 : state->x[insn.rs1];
    if (insn.csr == CSR_SEPC || !writes(&insn))
        return false;
    if (insn.immediate || body->restore)
        return insn.op == INSN_CSRRS && ((operand & ~SSTATUS_SIE) || (operand && body->pending));
    uint64_t changed = state->sstatus ^ written(&insn, state->sstatus, operand);
    return (operand & SSTATUS_SIE) || (changed & ~(body->free | SSTATUS_SD | SSTATUS_SIE));
}

static void begin(const struct body_case *body, uint64_t entry, struct state *state)
{
    struct insn insn = insn_decode(body->word);
    if (!insn.immediate && insn.rs1)
        vcpu->x[insn.rs1] = body->operand;
    inline_set_sstatus(body->sstatus);
    inlined.page.guarded = ~body->free << 1;
    inlined.page.pending = body->pending ? PENDING : 0;
    inlined.page.sepc = vcpu->csr.sepc = SEPC;
    memset(inlined.page.scratch, 0xa5, sizeof(inlined.page.scratch));
    vcpu->pc = entry;
    memcpy(state->x, vcpu->x, sizeof(state->x));
    state->sstatus = body->sstatus;
    state->sepc = SEPC;
}

/* Nothing but what trampolines write has changed in the page since it was copied. */
static void assert_page(struct inline_page *before)
{
    const struct inline_page *page = &inlined.page;
    memcpy(before->saved, page->saved, sizeof(before->saved[0])); /* of slot 0 alone */
    memcpy(before->scratch, page->scratch, sizeof(before->scratch));
    before->sie = page->sie;
    before->sstatus = page->sstatus;
    before->sepc = page->sepc;
    assert_memory_equal(before, page, sizeof(*before));
}

/* The hart executes so many words, then traps, and the VMM does the rest. False: it traps or is out
 * before. */
static bool run_body(const struct body_case *body, uint64_t entry, unsigned words)
{
    struct state state;
    begin(body, entry, &state);
    struct inline_page before = inlined.page;
    bool inside = true, slow = is_slow(body, &state);
    for (unsigned i = 0; i < words && inside; i++)
        inside = inline_step() && vcpu->pc < INLINE_LOW;
    inline_trap();
    if (vcpu->pc < INLINE_LOW)
        assert_int_equal(inline_finish(vcpu), slow ? FINISHED_SLOW : FINISHED);
    assert_int_equal(vcpu->pc, slow ? SITE : SITE + 4);
    if (!slow) {
        model(body, &state);
        assert_int_equal(vcpu->x[body->dead], INLINE_BACK(SITE));
        inline_restore(vcpu);
    }
    assert_memory_equal(vcpu->x, state.x, sizeof(state.x));
    assert_int_equal(csr_sstatus(vcpu), state.sstatus);
    assert_int_equal(inlined.page.sstatus | inlined.page.sie, state.sstatus);
    assert_int_equal(inlined.page.sstatus & SSTATUS_SIE, 0);
    assert_int_equal(vcpu->csr.sepc, state.sepc);
    assert_int_equal(inlined.page.sepc, state.sepc);
    assert_page(&before);
    return inside;
}

/* A trap may come at every word. */
static void run_words(const struct body_case *body, uint64_t entry)
{
    unsigned words = 0;
    while (run_body(body, entry, words))
        words++;
    assert_in_range(words, 5, entry < LONG_ENTRY ? 14 : 32);
}

/* Makes the body where only this register is dead. False: there must be none. */
static bool make(struct body_case *body, uint64_t hot, uint64_t *entry)
{
    struct insn insn = insn_decode(body->word);
    bool by_register = !insn.immediate && insn.rs1;
    inline_setup(NULL);
    inline_put(OFFSET, body->word);
    inline_put(OFFSET + 4, rv_li(body->dead, 0));
    if (by_register)
        vcpu->x[insn.rs1] = hot; /* as it was when the site got hot */
    body->restore = insn.op == INSN_CSRRS && !insn.rd && !(hot & ~SSTATUS_SIE);
    bool is_read = by_register && body->dead == insn.rs1 && !body->restore;
    uint32_t jump = inline_try(SITE, body->word);
    assert_int_equal(jump != 0, body->dead != insn.rd && !is_read);
    *entry = jump ? inline_target(jump) : 0;
    return jump;
}

/* Every register that may be dead, every state, every word. */
static void check_bodies(uint32_t word, const uint64_t *operands, unsigned count)
{
    for (unsigned i = 0; i < sizeof(candidates); i++) {
        struct body_case body = {.word = word, .dead = candidates[i]};
        uint64_t entry;
        if (!make(&body, 0, &entry))
            continue;
        for (unsigned bits = 0; bits < 8 * count; bits++) {
            body.sstatus = SPP_FS | (bits & 1 ? SSTATUS_SIE : 0);
            body.sstatus |= bits & 4 ? SSTATUS_SUM | SSTATUS_FS | SSTATUS_SD : 0;
            body.pending = bits & 2;
            body.operand = operands[bits / 8];
            run_words(&body, entry);
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

static void test_sepc(void **state)
{
    (void)state;
    const uint64_t operands[] = {0, 1, 2, 3, SEPC + 4, SEPC + 5, ~0ul};
    for (unsigned reg = 0; reg < 32; reg++)
        check_bodies(rv_csr(RV_RW, 0, CSR_SEPC, reg), operands, 7);
}

/* --- Changes of sstatus --- */

#define FREE \
    (SSTATUS_FS | SSTATUS_SPIE | SSTATUS_SPP) /* where the kernel reaches its processes' pages */
#define OTHERS SSTATUS_SUM                    /* neither 0 nor SIE */

/* sstatus before, of those bits that matter: SIE, SPIE with SPP, SUM, FS. */
static uint64_t sstatus_of(unsigned bits)
{
    uint64_t fs = bits >> 3 & 3;
    return SSTATUS_UXL_64 | (bits & 1 ? SSTATUS_SIE : 0) | (bits & 2 ? SSTATUS_SPIE : SSTATUS_SPP) |
           (bits & 4 ? SSTATUS_SUM : 0) | fs * SSTATUS_FS_INITIAL | (fs == 3 ? SSTATUS_SD : 0);
}

/* All combinations of the bits that can be written, and SD. */
static uint64_t operand_of(unsigned bits)
{
    const uint64_t bit[] = {SSTATUS_SIE, SSTATUS_SPIE, SSTATUS_SPP,        SSTATUS_SUM,
                            SSTATUS_MXR, SSTATUS_SD,   SSTATUS_FS_INITIAL, 2 * SSTATUS_FS_INITIAL};
    uint64_t value = 0;
    for (unsigned i = 0; i < 8; i++)
        value |= bits >> i & 1 ? bit[i] : 0;
    return value;
}

/* Every state before, every trap in the middle. */
static void check_operand(struct body_case *body, uint64_t entry, uint64_t operand)
{
    body->operand = operand;
    for (unsigned bits = 0; bits < 64; bits++) {
        body->sstatus = sstatus_of(bits & 31);
        body->free = bits & 32 ? FREE | SSTATUS_SUM : FREE;
        body->pending = bits & 1;
        run_words(body, entry);
    }
}

static void check_values(unsigned funct3, unsigned rd, unsigned dead, unsigned step)
{
    const uint64_t others[] = {1, SSTATUS_UBE, SSTATUS_VS, SSTATUS_XS, SSTATUS_UXL, 1ul << 62};
    struct body_case body = {.word = rv_csr(funct3, rd, CSR_SSTATUS, A1), .dead = dead};
    uint64_t entry, usual = funct3 == RV_RW ? SSTATUS_UXL_64 : 0;
    assert_true(make(&body, OTHERS, &entry));
    for (unsigned bits = 0; bits < 256; bits += step)
        check_operand(&body, entry, operand_of(bits) ^ usual);
    for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        check_operand(&body, entry, SSTATUS_SUM | SSTATUS_SPP | (others[i] ^ usual));
    check_operand(&body, entry, SSTATUS_UXL_64 ^ usual);
    check_operand(&body, entry, ~0ul);
}

static void test_change_values(void **state)
{
    (void)state;
    for (unsigned funct3 = RV_RW; funct3 <= RV_RC; funct3++) {
        check_values(funct3, 0, RA, 7); /* does less */
        check_values(funct3, A0, T0, 1);
    }
}

/* Which registers are borrowed depends on all others. */
static void check_registers(unsigned funct3, unsigned rd, unsigned rs1)
{
    const uint64_t operands[] = {SSTATUS_UXL_64 | SSTATUS_FS | SSTATUS_SUM,
                                 SSTATUS_FS | SSTATUS_SPP, SSTATUS_UXL_64 | SSTATUS_MXR};
    struct body_case body = {.word = rv_csr(funct3, rd, CSR_SSTATUS, rs1), .free = FREE};
    for (unsigned i = 0; i < sizeof(candidates); i++) {
        uint64_t entry;
        body.dead = candidates[i];
        if (!make(&body, OTHERS, &entry))
            continue;
        for (unsigned operand = 0; operand < 3; operand++) {
            body.operand = operands[operand];
            body.sstatus = sstatus_of(i) | SSTATUS_SUM;
            run_words(&body, entry);
        }
    }
}

static void test_change_registers(void **state)
{
    (void)state;
    const uint8_t results[] = {0, RA, 10, 11, 12, 13, 31};
    for (unsigned i = 0; i < sizeof(results); i++)
        for (unsigned rs1 = 0; rs1 < 32; rs1++) {
            if (!rs1 || rs1 != results[i])
                check_registers(RV_RW, results[i], rs1);
            if (rs1 && rs1 != results[i]) {
                check_registers(RV_RS, results[i], rs1);
                check_registers(RV_RC, results[i], rs1);
            }
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_forms, inline_setup),
        cmocka_unit_test_setup(test_bodies, inline_setup),
        cmocka_unit_test_setup(test_sepc, inline_setup),
        cmocka_unit_test_setup(test_change_values, inline_setup),
        cmocka_unit_test_setup(test_change_registers, inline_setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
