/*
 * The model of the hart (model.h).
 *
 * Unprivileged specification, "RV64I" and "Zicsr"; privileged specification, "Supervisor-Level
 * ISA". The surprise: CSRRS and CSRRC with x0 (or 0) do not write, and with rd = rs1 the old value
 * wins.
 */
#include <stdio.h>
#include <string.h>

#include "make.h"

#define WRITABLE (SSTATUS_SIE | SSTATUS_SPIE | SSTATUS_SPP | SSTATUS_FS | SSTATUS_SUM | SSTATUS_MXR)

uint32_t model_word(const struct program *program, unsigned index)
{
    uint32_t word;
    memcpy(&word, program->code + 4ul * index, sizeof(word));
    return word;
}

void model_registers(uint64_t x[32], uint64_t low)
{
    for (unsigned n = 0; n < 32; n++)
        x[n] = ((uint64_t)n * 0x20408000000000ul & 0x3fffffc000000000ul) | low;
}

void model_start(struct model *model, const struct program *program, const struct start *start)
{
    memset(model, 0, sizeof(*model));
    memcpy(model->x, start->x, sizeof(model->x));
    model->x[0] = 0;
    model->pc = (program->gva ? program->gva : (uint64_t)program->code) + 4ul * start->entry;
    model->sstatus = (start->sstatus & WRITABLE & ~(SSTATUS_SPP | SSTATUS_SPIE)) | SSTATUS_UXL_64;
    model->sstatus |= SSTATUS_SPIE; /* as sret leaves it: SPIE = 1, SPP = U */
    model->sie = start->sie;
    model->sip = start->sip;
    model->sscratch = start->sscratch;
    model->sepc = model->pc;
}

static void trap(struct model *model, uint64_t ended, uint64_t value)
{
    model->ended = ended;
    model->trap_value = value;
    uint64_t status = model->sstatus & ~(SSTATUS_SPIE | SSTATUS_SIE);
    status |= SSTATUS_SPP | (model->sstatus & SSTATUS_SIE ? SSTATUS_SPIE : 0);
    model->sstatus = status;
}

static uint64_t csr_value(const struct model *model, uint32_t csr)
{
    bool dirty = (model->sstatus & SSTATUS_FS) == SSTATUS_FS;
    switch (csr) {
    case CSR_SSTATUS: return model->sstatus | (dirty ? SSTATUS_SD : 0);
    case CSR_SIE: return model->sie;
    case CSR_SIP: return model->sip;
    case CSR_SSCRATCH: return model->sscratch;
    case CSR_SEPC: return model->sepc;
    case CSR_SCAUSE: return model->scause;
    case CSR_STVAL: return model->stval;
    default: expect("model's csr", csr, 0); return 0;
    }
}

static void csr_assign(struct model *model, uint32_t csr, uint64_t value)
{
    switch (csr) {
    case CSR_SSTATUS: model->sstatus = (model->sstatus & ~WRITABLE) | (value & WRITABLE); break;
    case CSR_SIE: model->sie = value & SIP_ALL; break;
    case CSR_SIP: model->sip = (model->sip & ~SIP_SSIP) | (value & SIP_SSIP); break;
    case CSR_SSCRATCH: model->sscratch = value; break;
    case CSR_SEPC: model->sepc = value & ~1ul; break;
    case CSR_SCAUSE: model->scause = value; break;
    case CSR_STVAL: model->stval = value; break;
    default: break;
    }
}

static void csr_step(struct model *model, uint32_t insn)
{
    uint32_t csr = insn >> 20, funct3 = insn >> 12 & 7, rs = insn >> 15 & 31, rd = insn >> 7 & 31;
    if ((csr >> 8 & 3) > 1) { /* machine level */
        trap(model, TRAP(CAUSE_ILLEGAL), insn);
        return;
    }
    uint64_t operand = funct3 & 4 ? rs : model->x[rs], old = csr_value(model, csr);
    if ((funct3 & 3) == 1)
        csr_assign(model, csr, operand);
    else if (rs)
        csr_assign(model, csr, (funct3 & 3) == 2 ? old | operand : old & ~operand);
    if (rd)
        model->x[rd] = old;
    model->pc += 4;
}

static void float_step(struct model *model, uint32_t insn)
{
    if (!(model->sstatus & SSTATUS_FS)) {
        trap(model, TRAP(CAUSE_ILLEGAL), insn);
        return;
    }
    if (insn >> 25 == 0x79) /* fmv.d.x */
        model->sstatus |= SSTATUS_FS;
    else
        model->x[insn >> 7 & 31] = 0; /* the checks move nothing but zeros */
    model->x[0] = 0;
    model->pc += 4;
}

/* c.li or c.mv, and a c.nop behind it. */
static void compressed_step(struct model *model, uint32_t insn)
{
    unsigned rd = insn >> 7 & 31, rs = insn >> 2 & 31;
    bool li = (insn & 0xe003) == 0x4001, mv = (insn & 0xf003) == 0x8002 && rs;
    if (!expect("model's compressed pair", insn >> 16 == 1 && (li || mv), 1))
        model->ended = TRAP(CAUSE_ILLEGAL);
    model->x[rd] = li ? (uint64_t)((int64_t)rs - (int64_t)(insn >> 12 & 1) * 32) : model->x[rs];
    model->x[0] = 0;
    model->pc += 4;
}

static int64_t branch_offset(uint32_t insn)
{
    int64_t high = (int32_t)insn >> 31;
    return high * 4096 + (insn >> 7 & 1) * 2048 + (insn >> 25 & 63) * 32 + (insn >> 8 & 15) * 2;
}

static void plain_step(struct model *model, uint32_t insn)
{
    uint64_t *rd = &model->x[insn >> 7 & 31], a = model->x[insn >> 15 & 31];
    uint64_t b = model->x[insn >> 20 & 31], funct3 = insn >> 12 & 7, next = model->pc + 4;
    int64_t imm = (int32_t)insn >> 20;
    switch (insn & 0x7f) {
    case 0x13: *rd = funct3 == 7 ? a & (uint64_t)imm : a + (uint64_t)imm; break;
    case 0x33: *rd = funct3 == 4 ? a ^ b : a + b; break;
    case 0x37: *rd = (uint64_t)(int64_t)(int32_t)(insn & 0xfffff000); break;
    case 0x17: *rd = model->pc + (uint64_t)(int64_t)(int32_t)(insn & 0xfffff000); break;
    case 0x67: *rd = next, next = (a + (uint64_t)imm) & ~1ul; break;
    case 0x6f: *rd = next, next = model->pc + (insn >> 20 & 0x7fe); break;
    case 0x63:
        if ((a == b) == (funct3 == 0) /* beq, else bne */)
            next = model->pc + (uint64_t)branch_offset(insn);
        break;
    default: expect("model's instruction", insn, 0), model->ended = TRAP(CAUSE_ILLEGAL);
    }
    model->x[0] = 0;
    model->pc = next;
}

/* SBI's "probe extension" of BASE, which every firmware has; the program must ask for just that. */
static void sbi_step(struct model *model)
{
    uint64_t *x = model->x;
    expect("model's ecall", x[17] == 0x10 && x[16] == 3 && x[10] == 0x10, 1);
    x[10] = 0;
    x[11] = 1;
    model->pc += 4;
}

/* A load reads a word pair of the program itself or faults; a store always faults. */
static void memory_step(struct model *model, const struct program *program, uint32_t insn)
{
    bool store = (insn & 0x7f) == 0x23;
    int64_t at = (int32_t)insn >> 20;
    if (store)
        at = (at & ~31l) | (insn >> 7 & 31);
    uint64_t address = model->x[insn >> 15 & 31] + (uint64_t)at;
    uint64_t offset = address - (program->gva ? program->gva : (uint64_t)program->code);
    if (!store && offset <= 4ul * program->length - 8) {
        memcpy(&model->x[insn >> 7 & 31], program->code + offset, 8);
        model->x[0] = 0;
        model->pc += 4;
        return;
    }
    bool paged = program->satp;
    uint64_t load = paged ? TRAP(CAUSE_LOAD_PAGE) : TRAP(CAUSE_LOAD_ACCESS);
    trap(model, !store ? load : paged ? TRAP(CAUSE_STORE_PAGE) : TRAP(CAUSE_STORE_ACCESS), address);
}

static bool interrupt_due(struct model *model)
{
    uint64_t due = model->sip & model->sie;
    if (!(model->sstatus & SSTATUS_SIE) || !due)
        return false;
    trap(model, IRQ(due & SIP_SSIP ? INTERRUPT_SOFTWARE : INTERRUPT_TIMER), 0);
    return true;
}

void model_step(struct model *model, const struct program *program)
{
    if (interrupt_due(model))
        return;
    uint64_t offset = model->pc - (program->gva ? program->gva : (uint64_t)program->code);
    if (offset >= 4ul * program->length) {
        trap(model, program->satp ? TRAP(CAUSE_FETCH_PAGE) : TRAP(CAUSE_FETCH_ACCESS), model->pc);
        return;
    }
    uint32_t insn = model_word(program, (unsigned)(offset / 4)), opcode = insn & 0x7f;
    if (insn == EBREAK)
        trap(model, TRAP(CAUSE_BREAKPOINT), model->pc);
    else if (insn == ECALL)
        sbi_step(model);
    else if ((insn & 3) != 3)
        compressed_step(model, insn);
    else if (insn == MAKE_STOP)
        model->pc += 4;
    else if (opcode == 0x73)
        csr_step(model, insn);
    else if (opcode == 0x53)
        float_step(model, insn);
    else if (opcode == 0x03 || opcode == 0x23)
        memory_step(model, program, insn);
    else
        plain_step(model, insn);
}

void model_run(struct run *run, const struct program *program, const struct start *start)
{
    *run = (struct run){.start = program->code,
                        .end = program->code - 4, /* no ebreak counts as "done": each is a trap */
                        .pc = (program->gva ? program->gva : (uint64_t)program->code) +
                              4ul * start->entry,
                        .sstatus = start->sstatus,
                        .satp = program->satp,
                        .sie = start->sie,
                        .sip = start->sip,
                        .registers = start->x};
    csr_write(CSR_SSCRATCH, start->sscratch);
    csr_write(CSR_SCAUSE, 0);
    csr_write(CSR_STVAL, 0);
    harness_run(run);
}

#define STEPS 10000u

bool model_check(const struct program *program, const struct start *start, unsigned number)
{
    struct model model;
    model_start(&model, program, start);
    for (unsigned i = 0; i < STEPS && !model.ended; i++)
        model_step(&model, program);
    if (!expect("end of program in the model", model.ended != 0, 1))
        return false;
    struct run run;
    model_run(&run, program, start);
    bool same = model.ended == run.ended && model.pc == run.sepc;
    for (unsigned n = 1; n < 32; n++)
        same = same && model.x[n] == run.x[n];
    uint64_t status = csr_value(&model, CSR_SSTATUS) & MODEL_SSTATUS;
    /* QEMU 10.0 may give a breakpoint the stval of an alias. */
    bool valued = run.ended != TRAP(CAUSE_BREAKPOINT);
    same = same && status == (run.seen_sstatus & MODEL_SSTATUS);
    if (same && (!valued || run.stval == model.trap_value))
        return true;
    char what[48];
    snprintf(what, sizeof(what), "program %u scause+1", number);
    expect(what, run.ended, model.ended);
    snprintf(what, sizeof(what), "program %u sepc-offset", number);
    uint64_t at = program->gva ? program->gva : (uint64_t)program->code;
    expect(what, run.sepc - at, model.pc - at);
    snprintf(what, sizeof(what), "program %u x", number);
    for (unsigned n = 1; n < 32; n++)
        expect_index(what, n, run.x[n], model.x[n]);
    snprintf(what, sizeof(what), "program %u sstatus", number);
    expect(what, run.seen_sstatus & MODEL_SSTATUS, status);
    snprintf(what, sizeof(what), "program %u stval", number);
    if (valued)
        expect(what, run.stval, model.trap_value);
    return false;
}
