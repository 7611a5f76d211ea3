/*
 * Running ahead (PATCH=cluster): after a trap the VMM carries on with the guest kernel's next
 * instructions, as long as another one that would trap is near, and returns to the guest once for
 * all.
 *
 * What follows a pc is decoded once into a trace (ahead_trace.c), which is carried out by ahead.c.
 * Traces are taken from patched pages alone: a store to one of those is seen, so a trace cannot
 * outlive its code.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "isa/decode.h"

struct shadow_root;
struct vcpu;

#define AHEAD_TRACE  64u  /* instructions of a trace at most */
#define AHEAD_TRACES 256u /* by pc; a power of two */
#define AHEAD_BUDGET 512u /* instructions per trap, if what the exit may cost lasts (host/hart.h) */
#define AHEAD_REACH  128u /* instructions while SUM is set */
#define AHEAD_PAGES  32u  /* by gva; a power of two */
#define AHEAD_HINTS  1024u /* pcs of device accesses; a power of two */

/* How an instruction of a trace is carried out. */
enum ahead_kind {
    AHEAD_PLAIN,   /* arithmetic, jumps: interpret_plain() */
    AHEAD_ADD,     /* rd = rs1 + imm */
    AHEAD_LOAD_64, /* LD, SD */
    AHEAD_STORE_64,
    AHEAD_LOADS, /* LD, SD in a row by one base register: most of a trap's entry and exit */
    AHEAD_STORES,
    AHEAD_LOAD, /* other widths */
    AHEAD_STORE,
    AHEAD_SC,
    AHEAD_EQUAL, /* BEQ, BNE */
    AHEAD_UNEQUAL,
    AHEAD_SWAP,      /* CSRRW of sscratch: how a handler begins */
    AHEAD_SENSITIVE, /* priv_execute() */
};

struct ahead_insn {
    struct insn insn;
    uint8_t kind;
    uint8_t row;       /* AHEAD_LOADS, AHEAD_STORES: so many instructions, */
    uint16_t bytes;    /* so many bytes, */
    int16_t low, high; /* with offsets from low to high */
};

struct ahead_trace {
    uint64_t pc, tag, epoch; /* as struct site */
    const uint32_t *version; /* of the copy (struct pool_page); null: never made */
    uint64_t contents;       /* sum of *version and hint_epoch when it was made */
    const uint8_t *page;     /* whose code it is */
    bool reach;              /* made while SUM was set: each load or store is worth it */
    uint16_t count;          /* instructions worth carrying out; 0: none */
    bool goes_on;            /* what is behind the last may be worth a trace of its own */
    struct ahead_insn insn[AHEAD_TRACE];
};

/* RAM behind a page of the guest, as far as one kind of access may go there: as an entry
 * of a TLB. */
struct ahead_page {
    uint64_t tag; /* gva of the page, with struct ahead's generation below it */
    uint8_t *ram;
};

/* The same, where a device is. */
struct ahead_device {
    uint64_t tag, gpa;
};

struct ahead {
    const struct shadow_root *root;
    uint64_t flush_epoch; /* of shadow */
    uint64_t generation;  /* counts both; in bits 3 to 11 of each valid tag */
    uint64_t hint_epoch;  /* counts changes of device_pc */
    /* By whether SUM is set, and whether it is a store. Valid for one root until a flush. */
    struct ahead_page page[2][2][AHEAD_PAGES];
    struct ahead_device device[2][2]; /* the same, of devices */
    struct ahead_trace trace[AHEAD_TRACES];
    /* Hints, by pc alone and in whatever space: they decide what is tried, and never
     * what is done. */
    uint64_t device_pc[AHEAD_HINTS];  /* where a load or store lately was a device's, */
    uint8_t device_hits[AHEAD_HINTS]; /* and how often it trapped there */
    uint8_t reach_later[AHEAD_HINTS]; /* by pc: so often it is not worth trying ahead_reach() */
};

/* Carries on from the vcpu's pc. The vcpu is in vS, in its root, with no interrupt due. Returns how
 * many instructions were carried out. Devices may have put something off then (struct mmio). */
uint64_t ahead_run(struct vcpu *vcpu);

/* The guest's kernel faulted at an address that may be its process's, with SUM set, and its root
 * does not reach such pages. Carries on until SUM is cleared, so that a short access needs no other
 * root: for one of more than AHEAD_REACH instructions it is installed. 0: nothing was done, as the
 * process's root has no such page. */
uint64_t ahead_reach(struct vcpu *vcpu);

/* The load or store at pc was a device's: others are worth running ahead to it. */
void ahead_note_device(struct vcpu *vcpu, uint64_t pc);

/* Whether the access at pc was a device's lately. */
static inline bool ahead_is_device(const struct ahead *ahead, uint64_t pc)
{
    return ahead->device_pc[(pc >> 1) & (AHEAD_HINTS - 1)] == pc;
}

/* The trace at the vcpu's pc, or null: nothing there is worth it. reach: see there. */
const struct ahead_trace *ahead_find(struct vcpu *vcpu, bool reach);
