/*
 * Liveness of a register over the code behind a site. Anything that is not plainly understood reads
 * all registers: an instruction of another extension, an ecall, a return, the end of the page.
 *
 * Surprise: ra is the register that is dead most often: once saved, it is written by the next call.
 */
#include "isa/liveness.h"

#include <string.h>

#include "isa/decode.h"
#include "isa/riscv.h"

#define BUDGET   256u /* instructions looked at, over all branches */
#define BRANCHES 64u  /* followed both ways: bounds the depth of the search, and so the stack */
#define ALL      UINT32_MAX

#define OPCODE(raw)  (0x7fu & (raw))
#define OPCODE_FENCE 0x0fu
#define OPCODE_OP    0x33u
#define OPCODE_OP_32 0x3bu

struct effect {
    uint32_t reads, writes; /* bit n: xn */
};

static uint32_t bit(unsigned reg)
{
    return 1u << reg & ~1u;
}

/* M, Zba, Zbb ... : the decoder does not name them, but their registers stand where
 * ADD has them. */
static struct effect effect_of_other(const struct insn *insn)
{
    uint32_t raw = insn->raw, opcode = OPCODE(raw);
    if (insn->length == 4 && (opcode == OPCODE_OP || opcode == OPCODE_OP_32))
        return (struct effect){bit(raw >> 15 & 31) | bit(raw >> 20 & 31), bit(raw >> 7 & 31)};
    if (insn->length == 4 && opcode == OPCODE_FENCE && insn->op == INSN_OTHER)
        return (struct effect){0, 0};
    return (struct effect){ALL, 0};
}

static struct effect effect_of(const struct insn *insn)
{
    uint32_t rd = bit(insn->rd), rs1 = bit(insn->rs1), rs2 = bit(insn->rs2);
    switch (insn->op) {
    case INSN_LOAD:
    case INSN_LR:
    case INSN_ALU_IMM:
    case INSN_JALR: return (struct effect){rs1, rd};
    case INSN_STORE:
    case INSN_BRANCH: return (struct effect){rs1 | rs2, 0};
    case INSN_FLOAT_LOAD:
    case INSN_FLOAT_STORE: return (struct effect){rs1, 0};
    case INSN_SC:
    case INSN_AMO:
    case INSN_ALU_REG: return (struct effect){rs1 | rs2, rd};
    case INSN_CSRRW:
    case INSN_CSRRS:
    case INSN_CSRRC:
        if (insn->csr == CSR_SATP)
            return (struct effect){ALL, 0}; /* other code may be behind the same address */
        return (struct effect){insn->immediate ? 0 : rs1, rd};
    case INSN_SFENCE_VMA: return (struct effect){ALL, 0};
    case INSN_LUI:
    case INSN_AUIPC:
    case INSN_JAL: return (struct effect){0, rd};
    case INSN_WFI:
    case INSN_FENCE_I: return (struct effect){0, 0};
    case INSN_EBREAK: return (struct effect){0, ALL}; /* by the trap: liveness.h */
    default: return effect_of_other(insn);
    }
}

struct search {
    const uint8_t *page;
    struct liveness_range *range;
    int site;
    unsigned reg, budget, branches;
    /* A bit for each half-word: where a way on was followed already. */
    uint8_t seen[PAGE_SIZE / 16];
};

/* Marks an offset. True: it was marked before, and what lies behind is either found out or about to
 * be. */
static bool mark(struct search *search, int offset)
{
    uint8_t *byte = &search->seen[offset / 16], bit_of_it = (uint8_t)(1u << offset / 2 % 8);
    bool before = *byte & bit_of_it;
    *byte |= bit_of_it;
    return before;
}

static bool fetch(const struct search *search, int offset, struct insn *insn)
{
    if (offset < 0 || offset > (int)PAGE_SIZE - 2)
        return false;
    if (offset <= (int)PAGE_SIZE - 4) {
        *insn = insn_decode(insn_word(search->page + offset));
        return true;
    }
    uint16_t last;
    memcpy(&last, search->page + offset, sizeof(last));
    *insn = insn_decode(last);
    return insn->length == 2;
}

static bool is_dead(struct search *search, int offset)
{
    struct insn insn;
    while (search->budget-- > 1 && fetch(search, offset, &insn)) {
        struct effect effect = effect_of(&insn);
        if (offset == search->site)
            return false;
        if (mark(search, offset))
            return true;
        if (offset < search->range->first)
            search->range->first = (uint16_t)offset;
        if (offset > search->range->last)
            search->range->last = (uint16_t)offset;
        if (effect.reads & bit(search->reg))
            return false;
        if (effect.writes & bit(search->reg))
            return true;
        if (insn.op == INSN_JALR)
            return false;
        if (insn.op == INSN_BRANCH &&
            (search->branches++ >= BRANCHES || !is_dead(search, offset + insn.imm)))
            return false;
        offset += insn.op == INSN_JAL ? insn.imm : insn.length;
    }
    return false;
}

bool liveness_is_dead(const uint8_t *page, unsigned site, unsigned reg,
                      struct liveness_range *range)
{
    struct search search = {
        .page = page,
        .range = range,
        .site = (int)site,
        .reg = reg,
        .budget = BUDGET,
    };
    unsigned behind = site + LIVENESS_SITE;
    *range = (struct liveness_range){(uint16_t)behind, (uint16_t)behind};
    return is_dead(&search, (int)behind);
}
