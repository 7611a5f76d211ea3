/* Shared by the tests of inlined code. See inline_hart.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "engine/trap/patch.h"
#include "engine/trap/shadow.h"
#include "host/map.h"
#include "inline_hart.h"

struct vm vm;
struct inlined inlined;
struct inline_code trampolines;
static struct vcpu the_vcpu;
struct vcpu *const vcpu = &the_vcpu;
static struct trap_vcpu own;
uint8_t code[PAGE_SIZE];
unsigned taken_back, flushes;

/* --- What inline.c asks of the rest. Nothing is mapped: the first of it alone is reached --- */

bool shadow_reaches_user(const struct vcpu *of)
{
    assert_ptr_equal(of, vcpu);
    return false;
}

uint64_t map_offset;

static void *unexpected(void)
{
    fail_msg("trampolines are made and carried out without a mapping");
    return NULL;
}

void shadow_select(struct vcpu *of)
{
    (void)of;
    unexpected();
}

void shadow_tlb_flush(struct vm *of)
{
    assert_ptr_equal(of, vcpu->vm);
    flushes++;
}

uint64_t vcpu_sip(const struct vcpu *of)
{
    (void)of;
    unexpected();
    return 0;
}

/* --- A vcpu with trampolines --- */

void inline_trap(void)
{
    inline_pull(vcpu);
}

void inline_set_sstatus(uint64_t value)
{
    vcpu->csr.sstatus = value & VCSR_SSTATUS;
    assert_int_equal(csr_sstatus(vcpu), value);
    inlined.page.sie = value & SSTATUS_SIE;
    inlined.page.sstatus = value & ~SSTATUS_SIE;
}

void inline_put(unsigned offset, uint32_t word)
{
    memcpy(code + offset, &word, 4);
}

int inline_setup(void **state)
{
    (void)state;
    memset(&vm, 0, sizeof(vm));
    memset(vcpu, 0, sizeof(*vcpu));
    memset(&inlined, 0, sizeof(inlined));
    memset(&trampolines, 0, sizeof(trampolines));
    trampolines.shorts = INLINE_SITES - INLINE_LONG;
    for (unsigned i = 0; i < INLINE_LOW / 4; i++)
        trampolines.low[i] = RV_ECALL;
    for (unsigned offset = 0; offset < PAGE_SIZE; offset += 4)
        inline_put(offset, RV_ECALL);
    vm.vcpus[0] = vcpu;
    vcpu->vm = &vm;
    vcpu->engine = &own;
    own.inlined = &inlined;
    inlined.code = &trampolines;
    vcpu->mode = VMODE_S;
    for (unsigned reg = 1; reg < 32; reg++)
        vcpu->x[reg] = 0x1000000000000000ul * reg + 0x123 * reg;
    inline_set_sstatus(SPP_FS);
    taken_back = flushes = 0;
    return 0;
}

uint32_t inline_try(uint64_t pc, uint32_t word)
{
    struct insn insn = insn_decode(word);
    struct inline_site *oldest;
    uint32_t jump = inline_make(vcpu, pc, &insn, code, FRAME, &oldest);
    if (!oldest)
        return jump;
    assert_int_equal(jump, 0);
    taken_back++;
    inline_free(&trampolines, oldest);
    jump = inline_make(vcpu, pc, &insn, code, FRAME, &oldest);
    assert_int_not_equal(jump, 0);
    return jump;
}

static uint64_t compute(unsigned funct, uint64_t a, uint64_t b)
{
    switch (funct) {
    case ALU_ADD: return a + b;
    case ALU_XOR: return a ^ b;
    case ALU_OR: return a | b;
    case ALU_AND: return a & b;
    case ALU_SLL: assert_in_range(b, 0, 63); return a << b;
    case ALU_SRL: assert_in_range(b, 0, 63); return a >> b;
    default: fail_msg("ALU operation %u at %#lx", funct, vcpu->pc);
    }
    return 0;
}

bool inline_step(void)
{
    uint32_t raw;
    assert_true(vcpu->pc <= INLINE_LOW - 4);
    memcpy(&raw, (uint8_t *)trampolines.low + vcpu->pc, 4);
    struct insn insn = insn_decode(raw);
    uint64_t *x = vcpu->x, a = x[insn.rs1], imm = (uint64_t)(int64_t)insn.imm, value = 0;
    uint64_t next = vcpu->pc + insn.length;
    uint8_t *memory = (uint8_t *)&inlined.page + (imm & PAGE_MASK);
    switch (insn.op) {
    case INSN_ECALL: return false;
    case INSN_LOAD: memcpy(&value, memory, 8); break;
    case INSN_STORE: memcpy(memory, &x[insn.rs2], 8); break;
    case INSN_ALU_IMM: value = compute(insn.funct, a, imm); break;
    case INSN_ALU_REG: value = compute(insn.funct, a, x[insn.rs2]); break;
    case INSN_LUI: value = imm; break;
    case INSN_BRANCH: next = (a == 0) == (insn.funct == BRANCH_EQ) ? vcpu->pc + imm : next; break;
    case INSN_JAL: next = vcpu->pc + imm; break;
    case INSN_JALR: next = (a + imm) & ~1ul; break;
    default: fail_msg("op %u at %#lx", insn.op, vcpu->pc);
    }
    if (insn.op == INSN_LOAD || insn.op == INSN_STORE) {
        assert_int_equal(insn.rs1, 0);
        assert_in_range(imm, INLINE_TOP - PAGE_SIZE + 0x800, UINT64_MAX);
        assert_int_equal(insn.width, 8);
    }
    if (insn.rd)
        x[insn.rd] = value;
    vcpu->pc = next;
    return true;
}

uint64_t inline_target(uint32_t jump)
{
    struct insn insn = insn_decode(jump);
    assert_int_equal(insn.op, INSN_JALR);
    assert_int_equal(insn.rd | insn.rs1, 0);
    assert_int_equal(insn_length((uint16_t)(jump >> 16)), 2);
    assert_int_equal(insn_decode(jump >> 16).op, INSN_FLOAT_LOAD); /* FS is Off there */
    return (uint64_t)insn.imm;
}
