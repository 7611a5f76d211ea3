/*
 * The code that PATCH=inline puts in place of a privileged instruction, and its trampolines.
 *
 * Surprise: which offsets are used is no accident. A guest may jump to the second half of a patched
 * instruction, and that half must trap as a compressed instruction, so that the site is repaired:
 *   ld, sd at -0x700..-0x601(x0)   half 0b100_1.._......_..00: reserved in quadrant 0
 *   jalr at 512..1022(x0)          half 0b001_..._......_..00: C.FLD, illegal while FS is Off (inline_fs)
 */
#include <string.h>

#include "vm/csr.h"
#include "engine/trap/inline.h"
#include "isa/interpret.h"
#include "isa/liveness.h"
#include "engine/trap/patch.h"
#include "vm/vm.h"

/* --- Encodings: unprivileged ISA, "RV32I Base Instruction Formats" ------------------------------------- */

#define ECALL 0x00000073u

static uint32_t type_i(uint32_t opcode, uint32_t funct3, unsigned rd, unsigned rs1, int imm)
{
    return (uint32_t)imm << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode;
}

static uint32_t type_s(uint32_t funct3, unsigned rs1, unsigned rs2, int imm)
{
    uint32_t bits = (uint32_t)imm;
    return (bits >> 5 & 0x7f) << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | (bits & 31) << 7 |
           0x23;
}

static uint32_t type_r(uint32_t funct3, unsigned rd, unsigned rs1, unsigned rs2)
{
    return rs2 << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | 0x33;
}

/* BEQ (funct3 0) or BNE (1) with x0, forward by less than 2 KiB. */
static uint32_t branch_zero(uint32_t funct3, unsigned rs1, unsigned distance)
{
    return (distance >> 5 & 0x3f) << 25 | rs1 << 15 | funct3 << 12 | (distance >> 1 & 15) << 8 |
           0x63;
}

static uint32_t jump(unsigned distance) /* JAL x0, forward by less than 1 MiB */
{
    return (distance >> 1 & 0x3ff) << 21 | (distance >> 11 & 1) << 20 |
           (distance >> 12 & 0xff) << 12 | 0x6f;
}

static uint16_t short_jump(unsigned distance) /* C.J, forward by less than 2 KiB */
{
    return (uint16_t)(0xa001 | (distance >> 4 & 1) << 11 | (distance >> 8 & 3) << 9 |
                      (distance >> 10 & 1) << 8 | (distance >> 6 & 1) << 7 |
                      (distance >> 7 & 1) << 6 | (distance >> 1 & 7) << 3 |
                      (distance >> 5 & 1) << 2);
}

#define LD(rd, imm)       type_i(0x03, 3, rd, 0, imm)
#define SLLI(rd, rs, by)  type_i(0x13, 1, rd, rs, by)
#define SRLI(rd, rs, by)  type_i(0x13, 5, rd, rs, by)
#define XORI(rd, rs, imm) type_i(0x13, 4, rd, rs, imm)
#define ORI(rd, rs, imm)  type_i(0x13, 6, rd, rs, imm)
#define SD(rs, imm)       type_s(3, 0, rs, imm)
#define ADDI(rd, rs, imm) type_i(0x13, 0, rd, rs, imm)
#define ANDI(rd, rs, imm) type_i(0x13, 7, rd, rs, imm)
#define OR(rd, a, b)      type_r(6, rd, a, b)
#define AND(rd, a, b)     type_r(7, rd, a, b)
#define XOR(rd, a, b)     type_r(4, rd, a, b)
#define JALR(rs, imm)     type_i(0x67, 0, 0, rs, imm)

/* A field of the page of virtual CSRs, as an offset from x0. */
#define FIELD(name) ((int)offsetof(struct inline_page, name) - (int)PAGE_SIZE)

/* --- One instruction for one --------------------------------------------------------------------------- */

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
        return SD(0, FIELD(sie));
    for (unsigned i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        if (plain[i].csr != insn->csr)
            continue;
        if (!writes(insn) && insn->rd)
            return LD(insn->rd, plain[i].field);
        if (insn->op == INSN_CSRRW && !insn->rd && plain[i].writable &&
            (!insn->immediate || insn->imm == 0))
            return SD(insn->rs1, plain[i].field);
    }
    return 0;
}

/* --- Trampolines ----------------------------------------------------------------------------------------- */

enum kind {
    KIND_NONE,
    KIND_SET,     /* csrsi sstatus, SIE */
    KIND_RESTORE, /* csrs sstatus, rs1: where rs1 is 0 or SIE */
    KIND_SAVE,    /* csrrci rd, sstatus, SIE */
    KIND_READ,    /* csrr rd, sstatus */
    KIND_SEPC,    /* csrw sepc, rs1 */
    KIND_CHANGE,  /* csrrw, csrrs, csrrc rd, sstatus, rs1: of what is not guarded */
};

#define SHORT_WORDS 16u
#define LONG_WORDS  36u
#define SHORT_SITES (INLINE_SITES - INLINE_LONG)

/* The low pages: a compressed jump at the entry, a long one within its reach, and the bodies. */
#define ENTRY(site) (512u + 2u * (site))
#define REACH(site) (1024u + 4u * (site))
#define SHORTS      ((uint32_t)PAGE_SIZE)
#define LONGS       (SHORTS + 4u * SHORT_WORDS * SHORT_SITES)

_Static_assert(LONGS + 4u * LONG_WORDS * INLINE_LONG <= INLINE_LOW,
               "all bodies lie in the low pages");
_Static_assert(ENTRY(INLINE_SITES) <= REACH(0), "all entries are C.FLD in the middle");

static bool is_long(unsigned site)
{
    return site >= SHORT_SITES;
}

static unsigned words_of(unsigned site)
{
    return is_long(site) ? LONG_WORDS : SHORT_WORDS;
}

static uint32_t body_of(unsigned site)
{
    return is_long(site) ? LONGS + 4 * LONG_WORDS * (site - SHORT_SITES)
                         : SHORTS + 4 * SHORT_WORDS * site;
}

/* A register operand, as it looks now. */
static enum kind kind_of_change(uint64_t value, const struct insn *insn)
{
    if (insn->op == INSN_CSRRS && !insn->rd && !(value & ~SSTATUS_SIE))
        return KIND_RESTORE;
    return (value & SSTATUS_SIE) || (insn->rd && insn->rd == insn->rs1) ? KIND_NONE : KIND_CHANGE;
}

static enum kind kind_of(const struct vcpu *vcpu, const struct insn *insn)
{
    if (!is_csr(insn))
        return KIND_NONE;
    if (insn->csr == CSR_SEPC)
        return insn->op == INSN_CSRRW && !insn->rd && !insn->immediate ? KIND_SEPC : KIND_NONE;
    if (insn->csr != CSR_SSTATUS)
        return KIND_NONE;
    if (!writes(insn))
        return insn->rd ? KIND_READ : KIND_NONE;
    if (!insn->immediate)
        return kind_of_change(vcpu->x[insn->rs1], insn);
    return insn->imm != SSTATUS_SIE              ? KIND_NONE
           : insn->op == INSN_CSRRS && !insn->rd ? KIND_SET
           : insn->op == INSN_CSRRC && insn->rd  ? KIND_SAVE
                                                 : KIND_NONE;
}

/* A body ends in its slow way: it gives back what it borrowed, then traps. */
struct body {
    uint32_t *word;
    unsigned count, words;
    unsigned dead;
    int saved;            /* where dead is */
    unsigned borrowed[2]; /* of a long one */
};

static void emit(struct body *body, uint32_t word)
{
    body->word[body->count++] = word;
}

static void emit_slow_unless_zero(struct body *body, unsigned reg)
{
    unsigned slow = body->words - (body->words == LONG_WORDS ? 4 : 2);
    emit(body, branch_zero(1, reg, 4 * (slow - body->count)));
}

static void emit_give_back(struct body *body)
{
    emit(body, LD(body->borrowed[0], FIELD(scratch)));
    emit(body, LD(body->borrowed[1], FIELD(scratch) + 8));
}

/* sie = SIE, unless an interrupt is due then. */
static void emit_set(struct body *body)
{
    emit(body, LD(body->dead, FIELD(pending)));
    emit_slow_unless_zero(body, body->dead);
    emit(body, ADDI(body->dead, 0, SSTATUS_SIE));
    emit(body, SD(body->dead, FIELD(sie)));
}

/* rd = sstatus, with SIE from reg. */
static void emit_read(struct body *body, unsigned reg, unsigned rd)
{
    emit(body, LD(rd, FIELD(sstatus)));
    emit(body, OR(rd, rd, reg));
}

/* old = sstatus, with SIE set if it is not to be cleared; new = what the instruction makes of it. */
static void emit_compute(struct body *body, const struct insn *insn, unsigned old, unsigned new)
{
    emit(body, LD(old, FIELD(sstatus)));
    if (insn->op == INSN_CSRRW) {
        emit(body, ADDI(new, insn->rs1, 0));
    } else if (insn->op == INSN_CSRRS) {
        emit(body, OR(new, old, insn->rs1));
    } else {
        emit(body, ORI(old, old, SSTATUS_SIE));
        emit(body, XORI(new, insn->rs1, -1));
        emit(body, AND(new, new, old));
    }
}

/* SD of value follows its FS: set if both bits are. */
static void emit_sd(struct body *body, unsigned value, unsigned a, unsigned b)
{
    emit(body, SLLI(a, value, 49));
    emit(body, SLLI(b, value, 50));
    emit(body, AND(a, a, b));
    emit(body, SRLI(a, a, 63));
    emit(body, SLLI(a, a, 63));
    emit(body, SLLI(value, value, 1));
    emit(body, SRLI(value, value, 1));
    emit(body, OR(value, value, a));
}

static void emit_change(struct body *body, const struct insn *insn)
{
    unsigned value = body->dead, a = body->borrowed[0], b = body->borrowed[1];
    emit(body, SD(a, FIELD(scratch)));
    emit(body, SD(b, FIELD(scratch) + 8));
    emit_compute(body, insn, a, value);
    emit(body, XOR(a, a, value));
    emit(body, SLLI(a, a, 1));
    emit(body, LD(b, FIELD(guarded)));
    emit(body, AND(a, a, b));
    emit_slow_unless_zero(body, a);
    emit_sd(body, value, a, b);
    if (insn->op == INSN_CSRRC)
        emit(body, ANDI(value, value, ~(int)SSTATUS_SIE));
    if (insn->rd) {
        emit(body, LD(a, FIELD(sie)));
        emit_read(body, a, insn->rd);
    }
    emit(body, SD(value, FIELD(sstatus)));
    if (insn->op == INSN_CSRRW)
        emit(body, SD(0, FIELD(sie)));
    emit_give_back(body);
}

static void emit_body(struct body *body, enum kind kind, const struct insn *insn)
{
    unsigned dead = body->dead;
    switch (kind) {
    case KIND_NONE: return;
    case KIND_SET: emit_set(body); return;
    case KIND_RESTORE:
        emit(body, ANDI(dead, insn->rs1, ~(int)SSTATUS_SIE));
        emit_slow_unless_zero(body, dead);
        if (insn->rs1 == dead)
            emit(body, LD(dead, body->saved));
        emit(body, branch_zero(0, insn->rs1, 4 * 5)); /* 0: nothing to set */
        emit_set(body);
        return;
    case KIND_SAVE:
        emit(body, LD(dead, FIELD(sie)));
        emit(body, SD(0, FIELD(sie)));
        emit_read(body, dead, insn->rd);
        return;
    case KIND_READ:
        emit(body, LD(dead, FIELD(sie)));
        emit_read(body, dead, insn->rd);
        return;
    case KIND_SEPC:
        emit(body, ANDI(dead, insn->rs1, -2)); /* IALIGN = 16 */
        emit(body, SD(dead, FIELD(sepc)));
        return;
    case KIND_CHANGE: emit_change(body, insn); return;
    }
}

/* Two registers that neither the instruction nor the way back uses. */
static void borrow(struct body *body, const struct insn *insn)
{
    unsigned count = 0;
    for (unsigned reg = 10; count < 2; reg++)
        if (reg != body->dead && reg != insn->rd && reg != insn->rs1)
            body->borrowed[count++] = reg;
}

static void write_body(struct inlined *inlined, unsigned site, enum kind kind,
                       const struct insn *insn)
{
    struct body body = {
        .word = &inlined->low[body_of(site) / 4],
        .words = words_of(site),
        .dead = inlined->site[site].dead,
        .saved = FIELD(saved) + 8 * (int)inlined->site[site].slot,
    };
    borrow(&body, insn);
    emit(&body, SD(body.dead, body.saved));
    emit_body(&body, kind, insn);
    emit(&body, LD(body.dead, FIELD(back) + 8 * (int)site));
    emit(&body, JALR(body.dead, 0));
    while (body.count < body.words - (is_long(site) ? 4 : 2))
        emit(&body, ECALL);
    if (is_long(site))
        emit_give_back(&body);
    emit(&body, LD(body.dead, body.saved));
    emit(&body, ECALL);
}

/* A place to save a register in, or SLOTS. Sites of one page whose windows overlap must not share one: at the
 * second the register may hold the first's return address, and both values are wanted back. Sites at one address,
 * in several address spaces, must share one: a return address does not tell which of them it is of. */
#define SLOTS 32u
static unsigned find_slot(const struct inlined *inlined, uint64_t pc,
                          const struct liveness_range *range)
{
    uint64_t offset = pc & PAGE_MASK;
    uint32_t taken = 0, shared = 0;
    for (unsigned i = 0; i < INLINE_SITES; i++) {
        const struct inline_site *site = &inlined->site[i];
        uint64_t other = site->pc & PAGE_MASK;
        if (site->pc == pc)
            shared |= 1u << site->slot;
        else if (site->pc && ((site->pc ^ pc) & ~PAGE_MASK) == 0 &&
                 ((offset >= site->first && offset <= site->last) ||
                  (other >= range->first && other <= range->last)))
            taken |= 1u << site->slot;
    }
    uint32_t free = ~taken & (shared ? shared : UINT32_MAX);
    return free ? (unsigned)__builtin_ctz(free) : SLOTS;
}

/* A register that the trampoline may return through, or 0. It must be overwritten before the code comes
 * to the same site again, which would save the return address in its place. */
static unsigned find_dead(enum kind kind, const struct insn *insn, const uint8_t *page,
                          unsigned offset, struct liveness_range *range)
{
    static const uint8_t candidates[] = {1,  5,  6,  7,  28, 29, 30, 31, 10, 11, 12, 13,
                                         14, 15, 16, 17, 9,  18, 19, 20, 21, 22, 23, 24};
    for (unsigned i = 0; i < sizeof(candidates); i++) {
        unsigned reg = candidates[i];
        bool read = !insn->immediate && reg == insn->rs1;
        if (reg != insn->rd && (!read || kind == KIND_RESTORE) &&
            liveness_is_dead(page, offset + 4, reg, range) && range->first > offset)
            return reg;
    }
    return 0;
}

static uint16_t *entry_of(struct inlined *inlined, unsigned site)
{
    return (uint16_t *)inlined->low + ENTRY(site) / 2;
}

/* One with a body of this size; if all are taken, the oldest goes. */
static unsigned free_site(struct vm *vm, bool with_long_body)
{
    struct inlined *inlined = vm->vcpu.inlined;
    unsigned site = with_long_body ? SHORT_SITES : 0;
    unsigned count = with_long_body ? INLINE_LONG : SHORT_SITES;
    if (inlined->sites[with_long_body] == count)
        patch_take_back(vm, &inlined->site[site + inlined->next[with_long_body]++ % count]);
    while (inlined->site[site].pc)
        site++;
    return site;
}

uint32_t inline_make(struct vcpu *vcpu, uint64_t pc, const struct insn *insn, const uint8_t *page,
                     uint32_t frame)
{
    struct inlined *inlined = vcpu->inlined;
    enum kind kind = kind_of(vcpu, insn);
    struct liveness_range range;
    if (kind == KIND_NONE || inlined->lost || inlined->low_lost)
        return 0;
    unsigned dead = find_dead(kind, insn, page, pc & PAGE_MASK, &range);
    unsigned slot = dead ? find_slot(inlined, pc, &range) : SLOTS;
    if (slot == SLOTS)
        return 0;
    unsigned site = free_site(vcpu->vm, kind == KIND_CHANGE);
    inlined->site[site] = (struct inline_site){
        .pc = pc,
        .frame = frame,
        .first = range.first,
        .last = range.last,
        .dead = (uint8_t)dead,
        .slot = (uint8_t)slot,
    };
    inlined->dead_registers |= 1u << dead;
    inlined->sites[is_long(site)]++;
    inlined->page.back[site] = INLINE_BACK(pc);
    write_body(inlined, site, kind, insn);
    inlined->low[REACH(site) / 4] = jump(body_of(site) - REACH(site));
    *entry_of(inlined, site) = short_jump(REACH(site) - ENTRY(site));
    return JALR(0, (int)ENTRY(site));
}

bool inline_is_jump(const struct inlined *inlined, uint32_t word, uint32_t frame, unsigned offset)
{
    unsigned site = ((word >> 20) - ENTRY(0)) / 2;
    return inlined && site < INLINE_SITES && word == JALR(0, (int)ENTRY(site)) &&
           inlined->site[site].pc && inlined->site[site].frame == frame &&
           (inlined->site[site].pc & PAGE_MASK) == offset;
}

void inline_free(struct inlined *inlined, struct inline_site *site)
{
    unsigned number = (unsigned)(site - inlined->site);
    site->pc = 0;
    inlined->sites[is_long(number)]--;
    *entry_of(inlined, number) = 0; /* illegal */
    inlined->low[REACH(number) / 4] = ECALL;
    for (unsigned i = 0; i < words_of(number); i++)
        inlined->low[body_of(number) / 4 + i] = ECALL;
    riscv_fence_i();
}

/* --- Carrying out, when a trap came in the middle ---------------------------------------------------------- */

/* The site in whose trampoline pc is, or null. */
static const struct inline_site *site_at(const struct inlined *inlined, uint64_t pc)
{
    uint64_t number = pc >= LONGS      ? SHORT_SITES + (pc - LONGS) / (4 * LONG_WORDS)
                      : pc >= SHORTS   ? (pc - SHORTS) / (4 * SHORT_WORDS)
                      : pc >= REACH(0) ? (pc - REACH(0)) / 4
                                       : (pc - ENTRY(0)) / 2;
    bool is_entry = pc < REACH(0);
    bool is_site = pc < INLINE_LOW && pc % (is_entry ? 2 : 4) == 0 && number < INLINE_SITES;
    return is_site && inlined->site[number].pc ? &inlined->site[number] : NULL;
}

/* The instruction of a trampoline at pc. */
static struct insn insn_at(const struct inlined *inlined, uint64_t pc)
{
    return insn_decode(insn_word((const uint8_t *)inlined->low + pc));
}

/* Carries out what the trampolines do from pc on. */
static enum inline_settled follow(struct vcpu *vcpu)
{
    struct inlined *inlined = vcpu->inlined;
    for (unsigned i = 0; i < 2 * LONG_WORDS; i++) { /* no body has a loop */
        const struct inline_site *site = site_at(inlined, vcpu->pc);
        if (!site)
            return i == 0 || vcpu->pc < INLINE_LOW ? SETTLED_WILD : SETTLED;
        struct insn insn = insn_at(inlined, vcpu->pc);
        uint8_t *field = (uint8_t *)&inlined->page + PAGE_SIZE + insn.imm; /* of x0 + imm */
        if (insn.op == INSN_ECALL) {
            unsigned number = (unsigned)(site - inlined->site);
            bool slow = vcpu->pc == body_of(number) + 4 * (words_of(number) - 1);
            vcpu->pc = slow ? site->pc : vcpu->pc;
            return slow ? SETTLED_SLOW : SETTLED_WILD;
        }
        if (insn.op == INSN_LOAD)
            interpret_set(vcpu, insn.rd, interpret_load(field, &insn));
        else if (insn.op == INSN_STORE)
            interpret_store(field, vcpu->x[insn.rs2], insn.width);
        else
            interpret_plain(vcpu, &insn);
        if (insn.op <= INSN_STORE)
            vcpu->pc += insn.length;
    }
    return SETTLED_WILD;
}

enum inline_settled inline_settle(struct vcpu *vcpu)
{
    struct inlined *inlined = vcpu->inlined;
    inlined->page.sstatus = csr_sstatus(vcpu) & ~SSTATUS_SIE; /* FS may have become Dirty since */
    enum inline_settled settled = follow(vcpu);
    inline_set_fs(vcpu, inlined->page.sstatus);
    inline_pull(vcpu);
    return settled;
}

/* The site whose return address the register still holds, or null. */
static const struct inline_site *site_of_value(const struct vcpu *vcpu, unsigned reg)
{
    uint64_t value = vcpu->x[reg], offset = vcpu->pc & PAGE_MASK;
    if ((value ^ vcpu->pc) & ~PAGE_MASK)
        return NULL;
    for (unsigned i = 0; i < INLINE_SITES; i++) {
        const struct inline_site *site = &vcpu->inlined->site[i];
        if (site->pc && INLINE_BACK(site->pc) == value && site->dead == reg &&
            offset >= site->first && offset <= site->last)
            return site;
    }
    return NULL;
}

void inline_restore(struct vcpu *vcpu)
{
    for (uint32_t left = vcpu->inlined->dead_registers; left; left &= left - 1) {
        unsigned reg = (unsigned)__builtin_ctz(left);
        const struct inline_site *site;
        unsigned chain = 0; /* what was saved may be the return address of a site before */
        while ((site = site_of_value(vcpu, reg)) && chain++ < INLINE_SITES)
            vcpu->x[reg] = vcpu->inlined->page.saved[site->slot];
    }
}
