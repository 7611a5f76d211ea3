/*
 * The code that PATCH=inline makes: single instructions, and the bodies of trampolines. Where they
 * lie: inline_code.c.
 *
 * Surprise: which offsets single instructions use is no accident. A guest may jump to the second
 * half of a patched instruction, and that half must trap as a compressed instruction, so that the
 * site is repaired: ld, sd at -0x700..-0x601(x0)   half 0b100_1.._......_..00: reserved in quadrant
 * 0
 */
#include "engine/trap/inline_body.h"

#include "engine/trap/inline.h"
#include "isa/encode.h"

/* A field of the page of virtual CSRs, as an offset from x0. */
#define FIELD(name) ((int)offsetof(struct inline_page, name) - (int)PAGE_SIZE)

/* --- One instruction for one --- */

static const struct {
    uint16_t csr;
    bool writable;
    int field;
} plain[] = {
    {CSR_SSCRATCH, true, FIELD(sscratch)}, {CSR_SCAUSE, true, FIELD(scause)},
    {CSR_STVAL, true, FIELD(stval)},       {CSR_SEPC, false, FIELD(sepc)},
    {CSR_STVEC, false, FIELD(stvec)},      {CSR_SATP, false, FIELD(satp)},
};

static bool writes(const struct insn *insn)
{
    return insn->op == INSN_CSRRW || insn->rs1 != 0;
}

static bool is_csr(const struct insn *insn)
{
    return insn->op >= INSN_CSRRW && insn->op <= INSN_CSRRC;
}

uint32_t inline_form(const struct insn *insn)
{
    if (!is_csr(insn))
        return 0;
    if (insn->csr == CSR_SSTATUS && insn->op == INSN_CSRRC && insn->immediate && !insn->rd &&
        insn->imm == SSTATUS_SIE)
        return ENCODE_SD(0, FIELD(sie));
    for (unsigned i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        if (plain[i].csr != insn->csr)
            continue;
        if (!writes(insn) && insn->rd)
            return ENCODE_LD(insn->rd, plain[i].field);
        if (insn->op == INSN_CSRRW && !insn->rd && plain[i].writable &&
            (!insn->immediate || insn->imm == 0))
            return ENCODE_SD(insn->rs1, plain[i].field);
    }
    return 0;
}

/* --- Trampolines --- */

/* A register operand, as it looks now. */
static enum inline_kind kind_of_change(uint64_t value, const struct insn *insn)
{
    if (insn->op == INSN_CSRRS && !insn->rd && !(value & ~SSTATUS_SIE))
        return INLINE_RESTORE;
    return (value & SSTATUS_SIE) || (insn->rd && insn->rd == insn->rs1) ? INLINE_NONE
                                                                        : INLINE_CHANGE;
}

enum inline_kind inline_kind_of(const struct vcpu *vcpu, const struct insn *insn)
{
    if (!is_csr(insn))
        return INLINE_NONE;
    if (insn->csr == CSR_SEPC)
        return insn->op == INSN_CSRRW && !insn->rd && !insn->immediate ? INLINE_SEPC : INLINE_NONE;
    if (insn->csr != CSR_SSTATUS)
        return INLINE_NONE;
    if (!writes(insn))
        return insn->rd ? INLINE_READ : INLINE_NONE;
    if (!insn->immediate)
        return kind_of_change(vcpu->x[insn->rs1], insn);
    return insn->imm != SSTATUS_SIE              ? INLINE_NONE
           : insn->op == INSN_CSRRS && !insn->rd ? INLINE_SET
           : insn->op == INSN_CSRRC && insn->rd  ? INLINE_SAVE
                                                 : INLINE_NONE;
}

/* A body ends in its slow way: it gives back what it borrowed, then traps. */
struct body {
    uint32_t *word;
    unsigned count, words;
    unsigned dead;
    int saved;            /* where dead is */
    unsigned borrowed[2]; /* of a long one */
};

/* How many words the slow way takes. */
static unsigned slow_words(unsigned words)
{
    return words == INLINE_LONG_WORDS ? 4 : 2;
}

static void emit(struct body *body, uint32_t word)
{
    body->word[body->count++] = word;
}

static void emit_slow_unless_zero(struct body *body, unsigned reg)
{
    unsigned slow = body->words - slow_words(body->words);
    emit(body, encode_branch_zero(1, reg, 4 * (slow - body->count)));
}

static void emit_give_back(struct body *body)
{
    emit(body, ENCODE_LD(body->borrowed[0], FIELD(scratch)));
    emit(body, ENCODE_LD(body->borrowed[1], FIELD(scratch) + 8));
}

/* sie = SIE, unless an interrupt is due then. */
static void emit_set(struct body *body)
{
    emit(body, ENCODE_LD(body->dead, FIELD(pending)));
    emit_slow_unless_zero(body, body->dead);
    emit(body, ENCODE_ADDI(body->dead, 0, SSTATUS_SIE));
    emit(body, ENCODE_SD(body->dead, FIELD(sie)));
}

/* rd = sstatus, with SIE from reg. */
static void emit_read(struct body *body, unsigned reg, unsigned rd)
{
    emit(body, ENCODE_LD(rd, FIELD(sstatus)));
    emit(body, ENCODE_OR(rd, rd, reg));
}

/* old = sstatus, with SIE set if it is not to be cleared; new = what the instruction
 * makes of it. */
static void emit_compute(struct body *body, const struct insn *insn, unsigned old, unsigned new)
{
    emit(body, ENCODE_LD(old, FIELD(sstatus)));
    if (insn->op == INSN_CSRRW) {
        emit(body, ENCODE_ADDI(new, insn->rs1, 0));
    } else if (insn->op == INSN_CSRRS) {
        emit(body, ENCODE_OR(new, old, insn->rs1));
    } else {
        emit(body, ENCODE_ORI(old, old, SSTATUS_SIE));
        emit(body, ENCODE_XORI(new, insn->rs1, -1));
        emit(body, ENCODE_AND(new, new, old));
    }
}

/* SD of value follows its FS: set if both bits are. */
static void emit_sd(struct body *body, unsigned value, unsigned a, unsigned b)
{
    emit(body, ENCODE_SLLI(a, value, 49));
    emit(body, ENCODE_SLLI(b, value, 50));
    emit(body, ENCODE_AND(a, a, b));
    emit(body, ENCODE_SRLI(a, a, 63));
    emit(body, ENCODE_SLLI(a, a, 63));
    emit(body, ENCODE_SLLI(value, value, 1));
    emit(body, ENCODE_SRLI(value, value, 1));
    emit(body, ENCODE_OR(value, value, a));
}

static void emit_change(struct body *body, const struct insn *insn)
{
    unsigned value = body->dead, a = body->borrowed[0], b = body->borrowed[1];
    emit(body, ENCODE_SD(a, FIELD(scratch)));
    emit(body, ENCODE_SD(b, FIELD(scratch) + 8));
    emit_compute(body, insn, a, value);
    emit(body, ENCODE_XOR(a, a, value));
    emit(body, ENCODE_SLLI(a, a, 1));
    emit(body, ENCODE_LD(b, FIELD(guarded)));
    emit(body, ENCODE_AND(a, a, b));
    emit_slow_unless_zero(body, a);
    emit_sd(body, value, a, b);
    if (insn->op == INSN_CSRRC)
        emit(body, ENCODE_ANDI(value, value, ~(int)SSTATUS_SIE));
    if (insn->rd) {
        emit(body, ENCODE_LD(a, FIELD(sie)));
        emit_read(body, a, insn->rd);
    }
    emit(body, ENCODE_SD(value, FIELD(sstatus)));
    if (insn->op == INSN_CSRRW)
        emit(body, ENCODE_SD(0, FIELD(sie)));
    emit_give_back(body);
}

static void emit_body(struct body *body, enum inline_kind kind, const struct insn *insn)
{
    unsigned dead = body->dead;
    switch (kind) {
    case INLINE_NONE: return;
    case INLINE_SET: emit_set(body); return;
    case INLINE_RESTORE:
        emit(body, ENCODE_ANDI(dead, insn->rs1, ~(int)SSTATUS_SIE));
        emit_slow_unless_zero(body, dead);
        if (insn->rs1 == dead)
            emit(body, ENCODE_LD(dead, body->saved));
        emit(body, encode_branch_zero(0, insn->rs1, 4 * 5)); /* 0: nothing to set */
        emit_set(body);
        return;
    case INLINE_SAVE:
        emit(body, ENCODE_LD(dead, FIELD(sie)));
        emit(body, ENCODE_SD(0, FIELD(sie)));
        emit_read(body, dead, insn->rd);
        return;
    case INLINE_READ:
        emit(body, ENCODE_LD(dead, FIELD(sie)));
        emit_read(body, dead, insn->rd);
        return;
    case INLINE_SEPC:
        emit(body, ENCODE_ANDI(dead, insn->rs1, -2)); /* IALIGN = 16 */
        emit(body, ENCODE_SD(dead, FIELD(sepc)));
        return;
    case INLINE_CHANGE: emit_change(body, insn); return;
    }
}

/* dead = where it returns to. */
static void emit_back(struct body *body, const struct inline_place *place)
{
    uint32_t low = (uint32_t)place->back & 0xfff;
    if (!inline_is_near(place->back)) {
        emit(body, ENCODE_LD(body->dead, FIELD(back) + 8 * (int)place->at));
        return;
    }
    emit(body, encode_lui(body->dead, (uint32_t)place->back + 0x800));
    emit(body, ENCODE_ADDI(body->dead, body->dead, (int)(low ^ 0x800) - 0x800));
}

/* Two registers that neither the instruction nor the way back uses. */
static void borrow(struct body *body, const struct insn *insn)
{
    unsigned count = 0;
    for (unsigned reg = 10; count < 2; reg++)
        if (reg != body->dead && reg != insn->rd && reg != insn->rs1)
            body->borrowed[count++] = reg;
}

void inline_write_body(const struct inline_place *place, enum inline_kind kind,
                       const struct insn *insn)
{
    unsigned slow = slow_words(place->words);
    struct body body = {
        .word = place->word,
        .words = place->words,
        .dead = place->dead,
        .saved = FIELD(saved) + 8 * (int)place->slot,
    };
    borrow(&body, insn);
    emit(&body, ENCODE_SD(body.dead, body.saved));
    emit_body(&body, kind, insn);
    emit_back(&body, place);
    emit(&body, ENCODE_JALR(body.dead, 0));
    while (body.count < body.words - slow)
        emit(&body, ENCODE_ECALL);
    if (body.words == INLINE_LONG_WORDS)
        emit_give_back(&body);
    emit(&body, ENCODE_LD(body.dead, body.saved));
    emit(&body, ENCODE_ECALL);
}
