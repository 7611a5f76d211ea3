/*
 * The trampolines of PATCH=inline: which sites have one, where it lies, and what it does when a
 * trap comes in the middle. What it is made of: inline_body.c.
 *
 * Surprise: which offsets are used is no accident. A guest may jump to the second half of a patched
 * instruction, and that half must trap as a compressed instruction, so that the site is repaired:
 *   jalr at 512..1022(x0)          half 0b001_..._......_..00: C.FLD, illegal while FS is Off
 * (inline.h)
 */
#include <string.h>

#include "engine/trap/inline.h"
#include "engine/trap/inline_body.h"
#include "isa/bits.h"
#include "isa/encode.h"
#include "isa/interpret.h"
#include "isa/liveness.h"

#define SHORT_SITES (INLINE_SITES - INLINE_LONG)
#define SHORT_BACKS (INLINE_BACKS - INLINE_LONG)

/* The low pages: a compressed jump at the entry, a long one within its reach, and the bodies. */
#define ENTRY(site) (512u + 2u * (site))
#define REACH(site) (1024u + 4u * (site))
#define SHORTS      ((uint32_t)PAGE_SIZE)
#define LONGS       (SHORTS + 4u * INLINE_SHORT_WORDS * SHORT_SITES)

_Static_assert(LONGS + 4u * INLINE_LONG_WORDS * INLINE_LONG <= INLINE_LOW,
               "all bodies lie in the low pages");
_Static_assert(ENTRY(INLINE_SITES) <= REACH(0), "all entries are C.FLD in the middle");

static bool is_long(unsigned site)
{
    return site >= SHORT_SITES;
}

static unsigned words_of(unsigned site)
{
    return is_long(site) ? INLINE_LONG_WORDS : INLINE_SHORT_WORDS;
}

static uint32_t body_of(unsigned site)
{
    return is_long(site) ? LONGS + 4 * INLINE_LONG_WORDS * (site - SHORT_SITES)
                         : SHORTS + 4 * INLINE_SHORT_WORDS * site;
}

/* A place to save a register in, or SLOTS. Sites of one page whose windows overlap must not share
 * one: at the second the register may hold the first's return address, and both values are wanted
 * back. Sites at one address, in several address spaces, must share one: a return address does not
 * tell which of them it is of. */
#define SLOTS 32u
static unsigned find_slot(const struct inline_code *code, uint64_t pc,
                          const struct liveness_range *range)
{
    uint64_t offset = pc & PAGE_MASK;
    uint32_t taken = 0, shared = 0;
    for (unsigned i = 0; i < INLINE_SITES; i++) {
        const struct inline_site *site = &code->site[i];
        uint64_t other = site->pc & PAGE_MASK;
        if (site->pc == pc)
            shared |= 1u << site->slot;
        else if (site->pc && ((site->pc ^ pc) & ~PAGE_MASK) == 0 &&
                 ((offset >= site->first && offset <= site->last) ||
                  (other >= range->first && other <= range->last)))
            taken |= 1u << site->slot;
    }
    uint32_t free = ~taken & (shared ? shared : UINT32_MAX);
    return free ? bits_first(free) : SLOTS;
}

/* A register that the trampoline may return through, or 0. It is overwritten before the code comes
 * to the same site again, which would save the return address in its place. */
static unsigned find_dead(enum inline_kind kind, const struct insn *insn, const uint8_t *page,
                          unsigned offset, struct liveness_range *range)
{
    static const uint8_t candidates[] = {1,  5,  6,  7,  28, 29, 30, 31, 10, 11, 12, 13,
                                         14, 15, 16, 17, 9,  18, 19, 20, 21, 22, 23, 24};
    for (unsigned i = 0; i < sizeof(candidates); i++) {
        unsigned reg = candidates[i];
        bool read = !insn->immediate && reg == insn->rs1;
        if (reg != insn->rd && (!read || kind == INLINE_RESTORE) &&
            liveness_is_dead(page, offset, reg, range))
            return reg;
    }
    return 0;
}

static uint16_t *entry_of(struct inline_code *code, unsigned site)
{
    return (uint16_t *)code->low + ENTRY(site) / 2;
}

/* One with a body of this size that is free and can return there, or INLINE_SITES: the oldest
 * (*oldest) must go. */
static unsigned free_site(struct inline_code *code, uint64_t back, bool with_long_body,
                          struct inline_site **oldest)
{
    unsigned site = with_long_body ? SHORT_SITES : 0;
    code->shorts = inline_is_near(back) ? SHORT_SITES : SHORT_BACKS;
    unsigned count = with_long_body ? INLINE_LONG : code->shorts;
    if (code->sites[with_long_body] >= count) {
        do
            *oldest = &code->site[site + code->next[with_long_body]++ % count];
        while (!(*oldest)->pc);
        return INLINE_SITES;
    }
    while (code->site[site].pc)
        site++;
    return site;
}

/* The place in the page of virtual CSRs for where a site returns to; INLINE_BACKS: it has none. */
static unsigned back_of(unsigned site)
{
    return is_long(site)        ? site - SHORT_SITES + SHORT_BACKS
           : site < SHORT_BACKS ? site
                                : INLINE_BACKS;
}

/* In the page of each vcpu. */
static void set_back(struct vm *vm, unsigned at, uint64_t back)
{
    for (unsigned i = 0; i < VM_VCPUS && at < INLINE_BACKS; i++)
        trap_of(vm->vcpus[i])->inlined->page.back[at] = back;
}

uint32_t inline_make(struct vcpu *vcpu, uint64_t pc, const struct insn *insn, const uint8_t *page,
                     uint32_t frame, struct inline_site **oldest)
{
    const struct inlined *inlined = trap_of(vcpu)->inlined;
    struct inline_code *code = inlined->code;
    enum inline_kind kind = inline_kind_of(vcpu, insn);
    struct liveness_range range;
    *oldest = NULL;
    if (kind == INLINE_NONE || inlined->lost || inlined->low_lost)
        return 0;
    unsigned dead = find_dead(kind, insn, page, pc & PAGE_MASK, &range);
    unsigned slot = dead ? find_slot(code, pc, &range) : SLOTS;
    uint64_t back = INLINE_BACK(pc);
    unsigned site = slot == SLOTS ? INLINE_SITES
                                  : free_site(code, back, kind == INLINE_CHANGE, oldest);
    if (site == INLINE_SITES)
        return 0;
    code->site[site] = (struct inline_site){
        .pc = pc,
        .frame = frame,
        .first = range.first,
        .last = range.last,
        .dead = (uint8_t)dead,
        .slot = (uint8_t)slot,
    };
    code->dead_registers |= 1u << dead;
    code->sites[is_long(site)]++;
    set_back(vcpu->vm, back_of(site), back);
    struct inline_place place = {
        .word = &code->low[body_of(site) / 4],
        .words = words_of(site),
        .back = back,
        .at = back_of(site),
        .dead = dead,
        .slot = slot,
    };
    inline_write_body(&place, kind, insn);
    code->low[REACH(site) / 4] = encode_jump(body_of(site) - REACH(site));
    *entry_of(code, site) = encode_short_jump(REACH(site) - ENTRY(site));
    return ENCODE_JALR(0, (int)ENTRY(site));
}

bool inline_is_jump(const struct inline_code *code, uint32_t word, uint32_t frame, unsigned offset)
{
    unsigned site = ((word >> 20) - ENTRY(0)) / 2;
    return code && site < INLINE_SITES && word == ENCODE_JALR(0, (int)ENTRY(site)) &&
           code->site[site].pc && code->site[site].frame == frame &&
           (code->site[site].pc & PAGE_MASK) == offset;
}

void inline_free(struct inline_code *code, struct inline_site *site)
{
    unsigned number = (unsigned)(site - code->site);
    site->pc = 0;
    code->sites[is_long(number)]--;
    *entry_of(code, number) = 0; /* illegal */
    code->low[REACH(number) / 4] = ENCODE_ECALL;
    for (unsigned i = 0; i < words_of(number); i++)
        code->low[body_of(number) / 4 + i] = ENCODE_ECALL;
    riscv_fence_i();
}

/* --- Carrying out, when a trap came in the middle --- */

/* The site in whose trampoline pc is, or null. */
static const struct inline_site *site_at(const struct inline_code *code, uint64_t pc)
{
    uint64_t number = pc >= LONGS      ? SHORT_SITES + (pc - LONGS) / (4 * INLINE_LONG_WORDS)
                      : pc >= SHORTS   ? (pc - SHORTS) / (4 * INLINE_SHORT_WORDS)
                      : pc >= REACH(0) ? (pc - REACH(0)) / 4
                                       : (pc - ENTRY(0)) / 2;
    bool is_entry = pc < REACH(0);
    bool is_site = pc < INLINE_LOW && pc % (is_entry ? 2 : 4) == 0 && number < INLINE_SITES;
    return is_site && code->site[number].pc ? &code->site[number] : NULL;
}

/* The instruction of a trampoline at pc. */
static struct insn insn_at(const struct inline_code *code, uint64_t pc)
{
    return insn_decode(insn_word((const uint8_t *)code->low + pc));
}

/* Carries out what the trampolines do from pc on. */
enum inline_finished inline_carry_out(struct vcpu *vcpu)
{
    struct inlined *inlined = trap_of(vcpu)->inlined;
    const struct inline_code *code = inlined->code;
    for (unsigned i = 0; i < 2 * INLINE_LONG_WORDS; i++) { /* no body has a loop */
        const struct inline_site *site = site_at(code, vcpu->pc);
        if (!site)
            return i == 0 || vcpu->pc < INLINE_LOW ? FINISHED_WILD : FINISHED;
        struct insn insn = insn_at(code, vcpu->pc);
        uint8_t *field = (uint8_t *)&inlined->page + PAGE_SIZE + insn.imm; /* of x0 + imm */
        if (insn.op == INSN_ECALL) {
            unsigned number = (unsigned)(site - code->site);
            bool slow = vcpu->pc == body_of(number) + 4 * (words_of(number) - 1);
            vcpu->pc = slow ? site->pc : vcpu->pc;
            return slow ? FINISHED_SLOW : FINISHED_WILD;
        }
        if (insn.op == INSN_LOAD)
            interpret_set(vcpu->x, insn.rd, interpret_load(field, &insn));
        else if (insn.op == INSN_STORE)
            interpret_store(field, vcpu->x[insn.rs2], insn.width);
        vcpu->pc = insn.op <= INSN_STORE ? vcpu->pc + insn.length
                                         : interpret_plain(vcpu->x, vcpu->pc, &insn);
    }
    return FINISHED_WILD;
}

/* The site whose return address the register still holds, or null. */
static const struct inline_site *site_of_value(const struct vcpu *vcpu, unsigned reg)
{
    uint64_t value = vcpu->x[reg], offset = vcpu->pc & PAGE_MASK;
    if ((value ^ vcpu->pc) & ~PAGE_MASK)
        return NULL;
    for (unsigned i = 0; i < INLINE_SITES; i++) {
        const struct inline_site *site = &trap_of(vcpu)->inlined->code->site[i];
        if (site->pc && INLINE_BACK(site->pc) == value && site->dead == reg &&
            offset >= site->first && offset <= site->last)
            return site;
    }
    return NULL;
}

void inline_restore(struct vcpu *vcpu)
{
    for (uint32_t left = trap_of(vcpu)->inlined->code->dead_registers; left; left &= left - 1) {
        unsigned reg = bits_first(left);
        const struct inline_site *site;
        unsigned chain = 0; /* what was saved may be the return address of a site before */
        while ((site = site_of_value(vcpu, reg)) && chain++ < INLINE_SITES)
            vcpu->x[reg] = trap_of(vcpu)->inlined->page.saved[site->slot];
    }
}
