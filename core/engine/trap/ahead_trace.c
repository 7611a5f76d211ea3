/*
 * Traces: the instructions behind a pc, decoded once, up to the last one that is worth running
 * ahead to.
 *
 * Surprise: what PATCH=inline made cheap is carried out like any other sensitive instruction, but
 * it is no reason to run ahead.
 */
#include "engine/trap/ahead.h"
#include "engine/trap/patch.h"
#include "engine/trap/shadow.h"
#include "engine/trap/trap.h"
#include "isa/encode.h"
#include "isa/riscv.h"
#include "vm/priv.h"
#include "vm/vm.h"

/* What a run may cost, in the VMM's instructions, between two that would trap. A trap that is saved
 * is worth about 400, and more in time: the register stores of a trap handler's entry shall be
 * worth it. */
#define COST_LIMIT     900u
#define COST_PLAIN     12u
#define COST_NEIGHBOUR 12u /* a page that was found before */
#define COST_MEMORY    60u
#define COST_INLINED   80u

#define LOOP_MAX    256 /* bytes of a loop that is looked at, */
#define LOOP_TAIL   32  /* and of what of it may lie behind its jump back */
#define DEVICE_HITS 16u /* traps of a device's access until its code is worth a trace */

void ahead_note_device(struct vcpu *vcpu, uint64_t pc)
{
    struct ahead *ahead = trap_of(vcpu)->ahead;
    unsigned slot = (pc >> 1) & (AHEAD_HINTS - 1);
    if (ahead->device_pc[slot] != pc) {
        bool first = ahead->device_pc[slot] == 0; /* traces may be worth it now */
        ahead->hint_epoch += first;
        vcpu->vm->stats.memory.hints += first;
        ahead->device_pc[slot] = pc;
        ahead->device_hits[slot] = 0;
    }
    bool may = vcpu->vm->options.patch >= PATCH_CLUSTER && vcpu->mode == VMODE_S;
    if (may && ahead->device_hits[slot] < DEVICE_HITS &&
        ++ahead->device_hits[slot] == DEVICE_HITS) {
        patch_cover(vcpu, pc); /* a loop, perhaps */
        ahead->hint_epoch++;
        vcpu->vm->stats.memory.hints++;
    }
}

static enum ahead_kind kind_of_branch(const struct insn *insn)
{
    return insn->funct == BRANCH_EQ   ? AHEAD_EQUAL
           : insn->funct == BRANCH_NE ? AHEAD_UNEQUAL
                                      : AHEAD_PLAIN;
}

static enum ahead_kind kind_of(const struct insn *insn)
{
    switch (insn->op) {
    case INSN_LOAD: return insn->width == 8 ? AHEAD_LOAD_64 : AHEAD_LOAD;
    case INSN_STORE: return insn->width == 8 ? AHEAD_STORE_64 : AHEAD_STORE;
    case INSN_SC: return AHEAD_SC;
    case INSN_ALU_IMM: return insn->funct == ALU_ADD ? AHEAD_ADD : AHEAD_PLAIN;
    case INSN_BRANCH: return kind_of_branch(insn);
    case INSN_CSRRW:
        return insn->csr == CSR_SSCRATCH && !insn->immediate ? AHEAD_SWAP : AHEAD_SENSITIVE;
    default: return insn->op >= INSN_ALU_IMM ? AHEAD_PLAIN : AHEAD_SENSITIVE;
    }
}

static bool is_memory(enum ahead_kind kind)
{
    return kind >= AHEAD_LOAD_64 && kind <= AHEAD_SC;
}

static unsigned cost_of(const struct ahead_insn *ahead, uint8_t *base)
{
    if (ahead->kind >= AHEAD_SWAP)
        return COST_INLINED;
    if (!is_memory(ahead->kind))
        return COST_PLAIN;
    bool near = ahead->insn.rs1 == *base;
    *base = ahead->insn.rs1;
    return near ? COST_NEIGHBOUR : COST_MEMORY;
}

/* Whether insn goes on with a row of loads or stores that began with first and came to last. */
static bool joins(const struct ahead_insn *first, const struct ahead_insn *last,
                  const struct ahead_insn *insn)
{
    bool load = first->kind == AHEAD_LOAD_64;
    bool base_lost = load && last->insn.rd == first->insn.rs1;
    return insn->kind == first->kind && insn->insn.rs1 == first->insn.rs1 && !base_lost &&
           insn->insn.imm % 8 == 0 && (!load || insn->insn.rd != 0);
}

/* Makes rows of what is carried out faster together. */
static void find_rows(struct ahead_trace *trace)
{
    for (unsigned i = 0; i < trace->count; i += trace->insn[i].row) {
        struct ahead_insn *first = &trace->insn[i];
        uint8_t kind = first->kind, row = 1;
        first->low = first->high = (int16_t)first->insn.imm;
        first->bytes = first->insn.length;
        bool may = (kind == AHEAD_LOAD_64 || kind == AHEAD_STORE_64) && first->insn.imm % 8 == 0;
        for (; may && i + row < trace->count; row++) {
            const struct ahead_insn *next = &trace->insn[i + row];
            if (!joins(first, next - 1, next))
                break;
            first->low = (int16_t)(next->insn.imm < first->low ? next->insn.imm : first->low);
            first->high = (int16_t)(next->insn.imm > first->high ? next->insn.imm : first->high);
            first->bytes = (uint16_t)(first->bytes + next->insn.length);
        }
        first->row = row;
        if (row > 1 && (kind == AHEAD_STORE_64 || first->insn.rd))
            first->kind = kind == AHEAD_LOAD_64 ? AHEAD_LOADS : AHEAD_STORES;
    }
}

/* Where the pc jumps, or what is mapped there changes. */
static bool ends_trace(const struct insn *insn)
{
    return insn->op == INSN_JAL || insn->op == INSN_JALR || insn->op == INSN_SRET ||
           insn->op == INSN_SFENCE_VMA;
}

/* Whether a jump at pc goes back over a device's access, or before one that is near: a loop that
 * polls, or moves data. */
static bool loops_over_device(const struct ahead *ahead, const struct insn *insn, uint64_t pc)
{
    bool back = insn->op == INSN_BRANCH || insn->op == INSN_JAL;
    if (!back || insn->imm >= 0 || insn->imm < -LOOP_MAX)
        return false;
    for (int offset = insn->imm; offset < LOOP_TAIL; offset += 2)
        if (ahead_is_device(ahead, pc + (uint64_t)(int64_t)offset))
            return true;
    return false;
}

/* To the next round of a loop, or to what follows it. */
static bool goes_back(const struct insn *insn)
{
    return insn->op == INSN_JAL || (insn->op == INSN_BRANCH && insn->imm < 0);
}

/* Whether the copy's word at offset is no longer the instruction, nor a trap: it is inlined. */
static bool is_inlined(const uint8_t *page, const uint8_t *copy, uint64_t offset)
{
    uint32_t word = insn_word(copy + offset);
    return word != insn_word(page + offset) && word != ENCODE_ECALL;
}

/* Decodes from pc on, and keeps what leads to the last instruction that would trap. */
static void decode(struct vcpu *vcpu, struct ahead_trace *trace, const uint8_t *page,
                   const uint8_t *copy)
{
    uint64_t offset = trace->pc & PAGE_MASK;
    unsigned cost = 0;
    uint8_t base = 0;
    trace->count = 0;
    trace->goes_on = false;
    for (unsigned i = 0; i < AHEAD_TRACE && offset <= PAGE_SIZE - 4 && cost <= COST_LIMIT; i++) {
        struct ahead_insn *insn = &trace->insn[i];
        insn->insn = insn_decode(insn_word(page + offset));
        insn->kind = (uint8_t)kind_of(&insn->insn);
        bool sensitive = priv_is_sensitive(&insn->insn) && insn->insn.op != INSN_WFI;
        if (insn->kind == AHEAD_SENSITIVE && !sensitive)
            return;
        uint64_t pc = (trace->pc & ~PAGE_MASK) + offset;
        bool device = is_memory(insn->kind) && ahead_is_device(trap_of(vcpu)->ahead, pc);
        device |= loops_over_device(trap_of(vcpu)->ahead, &insn->insn, pc);
        bool reaches = trace->reach &&
                       (is_memory(insn->kind) || sensitive || goes_back(&insn->insn));
        if (device || reaches || (sensitive && !is_inlined(page, copy, offset))) {
            trace->count = (uint16_t)(i + 1);
            trace->goes_on = ends_trace(&insn->insn);
            cost = 0;
        } else {
            cost += cost_of(insn, &base);
        }
        if (ends_trace(&insn->insn))
            return;
        offset += insn->insn.length;
    }
}

static void build(struct vcpu *vcpu, struct ahead_trace *trace, const uint8_t *page,
                  const uint8_t *copy)
{
    decode(vcpu, trace, page, copy);
    find_rows(trace);
    vcpu->vm->stats.memory.traces++;
}

/* When only the mapping of code has changed somewhere, it is enough that this pc still executes
 * from the same patched page. */
RARE static void renew(struct vcpu *vcpu, struct ahead_trace *trace, bool reach)
{
    static const uint32_t none;
    struct shadow *shadow = shadow_of(vcpu->vm);
    const uint8_t *copy, *page = patch_page(vcpu, vcpu->pc, &copy);
    const uint32_t *version = page ? &shadow->page[pool_index(&shadow->pool, copy)].version : &none;
    uint64_t contents = *version + trap_of(vcpu)->ahead->hint_epoch;
    if (trace->pc != vcpu->pc || trace->reach != reach || trace->version != version ||
        trace->page != page || trace->contents != contents) {
        trace->pc = vcpu->pc;
        trace->reach = reach;
        trace->count = 0;
        if (page)
            build(vcpu, trace, page, copy);
    }
    trace->page = page;
    trace->version = version;
    trace->contents = contents;
    trace->tag = trap_code_tag(vcpu);
    trace->epoch = shadow->code_epoch;
}

/* Kernels align their functions: pcs a page apart shall not meet. */
static unsigned slot_of(uint64_t pc)
{
    return (pc >> 1 ^ pc >> 9 ^ pc >> 17) & (AHEAD_TRACES - 1);
}

HOT const struct ahead_trace *ahead_find(struct vcpu *vcpu, bool reach)
{
    struct ahead_trace *trace = &trap_of(vcpu)->ahead->trace[slot_of(vcpu->pc)];
    if (!trace->version || trace->pc != vcpu->pc || trace->reach != reach ||
        trace->contents != *trace->version + trap_of(vcpu)->ahead->hint_epoch ||
        trace->epoch != shadow_of(vcpu->vm)->code_epoch || trace->tag != trap_code_tag(vcpu))
        renew(vcpu, trace, reach);
    return trace->count ? trace : NULL;
}
