/* RV64I computation, jumps, loads and stores on registers in memory. See interpret.h. */
#include "isa/interpret.h"

#include "isa/riscv.h"

static uint64_t word(uint64_t value)
{
    return (uint64_t)(int64_t)(int32_t)value;
}

static uint64_t compute(uint8_t funct, uint64_t a, uint64_t b)
{
    switch ((enum insn_alu)funct) {
    case ALU_ADD: return a + b;
    case ALU_SUB: return a - b;
    case ALU_SLL: return a << (b & 63);
    case ALU_SLT: return (int64_t)a < (int64_t)b;
    case ALU_SLTU: return a < b;
    case ALU_XOR: return a ^ b;
    case ALU_SRL: return a >> (b & 63);
    case ALU_SRA: return (uint64_t)((int64_t)a >> (b & 63));
    case ALU_OR: return a | b;
    case ALU_AND: return a & b;
    case ALU_ADDW: return word(a + b);
    case ALU_SUBW: return word(a - b);
    case ALU_SLLW: return word(a << (b & 31));
    case ALU_SRLW: return word((uint32_t)a >> (b & 31));
    case ALU_SRAW: return (uint64_t)(int64_t)((int32_t)a >> (b & 31));
    }
    return 0;
}

static bool is_taken(uint8_t funct, uint64_t a, uint64_t b)
{
    switch ((enum insn_branch)funct) {
    case BRANCH_EQ: return a == b;
    case BRANCH_NE: return a != b;
    case BRANCH_LT: return (int64_t)a < (int64_t)b;
    case BRANCH_GE: return (int64_t)a >= (int64_t)b;
    case BRANCH_LTU: return a < b;
    case BRANCH_GEU: return a >= b;
    }
    return false;
}

void interpret_set(uint64_t *x, uint8_t rd, uint64_t value)
{
    x[rd] = value;
    x[0] = 0;
}

uint64_t interpret_load(const void *from, const struct insn *insn)
{
    const int8_t *byte = from;
    const int16_t *half = from;
    const int32_t *word = from;
    switch (insn->width) {
    case 1: return insn->sign ? (uint64_t)byte[0] : (uint8_t)byte[0];
    case 2: return insn->sign ? (uint64_t)half[0] : (uint16_t)half[0];
    case 4: return insn->sign ? (uint64_t)word[0] : (uint32_t)word[0];
    default: return *(const uint64_t *)from;
    }
}

HOT void interpret_store(void *to, uint64_t value, unsigned width)
{
    switch (width) {
    case 1: *(uint8_t *)to = (uint8_t)value; break;
    case 2: *(uint16_t *)to = (uint16_t)value; break;
    case 4: *(uint32_t *)to = (uint32_t)value; break;
    default: *(uint64_t *)to = value; break;
    }
}

HOT uint64_t interpret_plain(uint64_t *x, uint64_t pc, const struct insn *insn)
{
    uint64_t a = x[insn->rs1], b = x[insn->rs2], imm = (uint64_t)(int64_t)insn->imm;
    uint64_t next = pc + insn->length;
    switch (insn->op) {
    case INSN_ALU_IMM: interpret_set(x, insn->rd, compute(insn->funct, a, imm)); break;
    case INSN_ALU_REG: interpret_set(x, insn->rd, compute(insn->funct, a, b)); break;
    case INSN_LUI: interpret_set(x, insn->rd, imm); break;
    case INSN_AUIPC: interpret_set(x, insn->rd, pc + imm); break;
    case INSN_JAL:
        interpret_set(x, insn->rd, next);
        next = pc + imm;
        break;
    case INSN_JALR:
        interpret_set(x, insn->rd, next);
        next = (a + imm) & ~1ul;
        break;
    case INSN_BRANCH:
        if (is_taken(insn->funct, a, b))
            next = pc + imm;
        break;
    default: break;
    }
    return next;
}
