/*
 * Overlapping instructions: unprivileged ISA, "Base Instruction-Length Encoding". A half-word whose
 * low two bits are 11 begins a 32-bit instruction if an instruction begins there at all.
 *
 * Surprise: for code without jumps no disassembly is needed. Behind a half-word with other low bits
 * an instruction begins in any case, whether it is one of 16 bits or the second half of one of 32.
 * From there on the half-words with 11 pair up: an odd number of them in front of an offset means
 * that the last begins an instruction, of which the half-word at the offset is the second half.
 */
#include "isa/overlap.h"

#include <stddef.h>

#include "isa/decode.h"
#include "isa/riscv.h"

#define CHAIN_MAX 64u /* half-words looked at; a longer chain counts as reached */

#define OPCODE(half)  (0x7fu & (half))
#define OPCODE_BRANCH 0x63u
#define OPCODE_JAL    0x6fu

static uint16_t half_at(const uint8_t *page, unsigned offset)
{
    return *(const uint16_t *)__builtin_assume_aligned(page + offset, 2);
}

/* How many half-words in front of offset could each begin a 32-bit instruction, without a gap. */
static unsigned chain_before(const uint8_t *page, const uint8_t *before, unsigned offset)
{
    unsigned count = 0;
    for (; count < CHAIN_MAX; count++) {
        if (offset == 0 && !before)
            break;
        if (offset == 0) {
            page = before;
            before = NULL;
            offset = PAGE_SIZE;
        }
        offset -= 2;
        if (insn_length(half_at(page, offset)) != 4)
            break;
    }
    return count;
}

/* Whether the half-word at an offset may begin a direct jump or branch by so many bytes: then it is
 * decoded. */
static bool may_jump(const uint8_t *page, unsigned at, int distance)
{
    uint16_t half = half_at(page, at);
    bool back = distance < 0;
    if ((half & 3) == 1 && half >> 13 >= 5) { /* C.J, C.BEQZ, C.BNEZ; bit 12 is the sign */
        int reach = half >> 13 == 5 ? 2048 : 256;
        return (half >> 12 & 1) == back && distance >= -reach && distance < reach;
    }
    if (OPCODE(half) != OPCODE_BRANCH && OPCODE(half) != OPCODE_JAL)
        return false;
    return at <= PAGE_SIZE - 4 && half_at(page, at + 2) >> 15 == back;
}

/* Whether a direct jump or branch in the page leads to offset: one that is reached without a jump
 * itself. Second halves of other instructions that look like one are many. */
static bool is_target(const uint8_t *page, unsigned offset)
{
    for (unsigned at = 0; at <= PAGE_SIZE - 2; at += 2) {
        int distance = (int)offset - (int)at;
        if (!may_jump(page, at, distance))
            continue;
        bool compressed = insn_length(half_at(page, at)) == 2;
        struct insn insn = insn_decode(compressed ? half_at(page, at) : insn_word(page + at));
        bool jumps = insn.op == INSN_JAL || insn.op == INSN_BRANCH;
        if (jumps && insn.imm == distance && chain_before(page, NULL, at) % 2 == 0)
            return true;
    }
    return false;
}

bool overlap_is_reached(const uint8_t *page, const uint8_t *before, unsigned offset)
{
    unsigned chain = chain_before(page, before, offset);
    if (chain == 0)
        return false; /* what is in front ends there */
    return chain % 2 || chain == CHAIN_MAX || (offset >= 2 && is_target(page, offset - 2));
}
