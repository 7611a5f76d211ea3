/*
 * A model of the hart, small enough to be believed: what programs of a few instructions that checks
 * make themselves must leave in all 31 registers, in sstatus and in what their trap reports.
 *
 * It knows the instructions that make.h makes, one S-mode without devices, and interrupts SSI and
 * STI. The bare machine is asked the same questions, so the model is tested wherever it is used.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "harness.h"

struct model {
    uint64_t x[32], pc; /* pc: where the next instruction is executed */
    uint64_t sstatus, sie, sip, sscratch, sepc, scause, stval;
    uint64_t ended; /* TRAP() or IRQ(); 0: still running */
    uint64_t trap_value;
};

/* One program: words at `code`, executed at address `gva` (0: at `code`) with the tables of
 * satp. */
struct program {
    char *code;      /* may be an odd halfword */
    unsigned length; /* words; every program ends in a trap of its own */
    uint64_t gva, satp;
};

/* The state in which a program starts; x[0] is ignored. */
struct start {
    uint64_t x[32];
    uint64_t sstatus, sie, sip, sscratch;
    unsigned entry; /* word at which the program is entered */
};

uint32_t model_word(const struct program *program, unsigned index);

/* A value for each register that says whose it is; the low 32 bits are all `low`. */
void model_registers(uint64_t x[32], uint64_t low);

/* Sets the model to the state before the first instruction. */
void model_start(struct model *model, const struct program *program, const struct start *start);

/* Executes one instruction, or takes the interrupt that is due before it. An instruction that the
 * model does not know is a failure of the check. */
void model_step(struct model *model, const struct program *program);

/* Runs the program on the hart and in the model and compares everything. `number` names the program
 * in the failure. Returns whether they agree. */
bool model_check(const struct program *program, const struct start *start, unsigned number);

/* Runs the program on the hart alone. */
void model_run(struct run *run, const struct program *program, const struct start *start);

/* The bits of sstatus that are compared. */
#define MODEL_SSTATUS \
    (SSTATUS_SIE | SSTATUS_SPIE | SSTATUS_SPP | SSTATUS_FS | SSTATUS_SUM | SSTATUS_MXR | SSTATUS_SD)
