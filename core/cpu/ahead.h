/*
 * Running ahead (PATCH=cluster): after a trap the VMM carries on with the guest kernel's next
 * instructions, as long as another one that would trap is near, and returns to the guest once for all.
 *
 * What follows a pc is decoded once into a trace. Traces are taken from patched pages alone: a store to
 * one of those is seen, so a trace cannot outlive its code (shadow.code_epoch).
 */
#pragma once
#include <stdint.h>

#include "cpu/decode.h"

struct shadow_root;
struct vcpu;

#define AHEAD_TRACE  64u  /* instructions of a trace at most */
#define AHEAD_TRACES 512u /* by pc; a power of two */
#define AHEAD_COST   900u /* of what may lie between two instructions that would trap (ahead.c) */
#define AHEAD_BUDGET 512u /* instructions per trap: bounds how long an interrupt may wait */
#define AHEAD_PAGES  32u  /* by gva; a power of two */
#define AHEAD_HINTS  256u /* pcs of device accesses; a power of two */

struct ahead_trace {
    uint64_t pc, tag, epoch; /* as struct vcpu_site */
    uint64_t contents;       /* sum of shadow.patch_epoch and hint_epoch when it was made */
    const uint8_t *page;     /* whose code it is */
    uint32_t count;          /* instructions worth carrying out; 0: none */
    struct insn insn[AHEAD_TRACE];
};

/* Mapped RAM, found in the shadow lately. Valid as an entry of a TLB is: for one root, until a flush. */
struct ahead_page {
    const struct shadow_root *root;
    uint64_t gva, epoch; /* epoch: shadow.flush_epoch */
    uint8_t *ram;
};

struct ahead {
    struct ahead_page load_page[AHEAD_PAGES], store_page[AHEAD_PAGES];
    struct ahead_trace trace[AHEAD_TRACES];
    uint64_t hint_epoch;             /* counts changes of device_pc */
    uint64_t device_pc[AHEAD_HINTS]; /* where a load or store lately was a device's */
};

/* Carries on from the vcpu's pc. The vcpu is in vS, in its root, with no interrupt due. */
void ahead_run(struct vcpu *vcpu);

/* The load or store at pc was a device's: others are worth running ahead to it. */
void ahead_note_device(struct vcpu *vcpu, uint64_t pc);
