/*
 * One virtual hart: everything that the guest can see of it, as plain data, and how it is made to
 * trap.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "isa/riscv.h"

struct hart;
struct vm;

enum vmode { VMODE_U = 0, VMODE_S = 1 };

/* What the engine has to look at before the guest goes on. */
enum vcpu_change {
    VCPU_VIEW = 1,       /* mode, SUM, MXR or satp: what the guest may reach */
    VCPU_INTERRUPTS = 2, /* something that the delivery of interrupts depends on */
    VCPU_FS = 4,         /* sstatus.FS, by the guest's own write */
    VCPU_RIGHTS = 8,     /* scounteren or senvcfg */
};

/* The virtual supervisor CSRs, as the guest wrote them and WARL left them. */
struct vcsr {
    uint64_t sstatus; /* SIE SPIE SPP FS SUM MXR only: the rest is fixed, or follows from these */
    uint64_t sie;
    uint64_t sip; /* SSIP only: STIP is the timer's comparison, SEIP the vPLIC's output */
    uint64_t stvec, sscratch, sepc, scause, stval;
    uint64_t satp;
    uint64_t scounteren, senvcfg;
    uint64_t stimecmp;
    /* sedeleg, sideleg, scontext: do not exist here */
};

/* What of sstatus is kept in struct vcsr. */
#define VCSR_SSTATUS \
    (SSTATUS_SIE | SSTATUS_SPIE | SSTATUS_SPP | SSTATUS_FS | SSTATUS_SUM | SSTATUS_MXR)

/* An exception of the guest's own, other than its system calls, and how often in a row it was this
 * one. */
struct vcpu_fault {
    uint64_t cause, sepc, stval, stvec;
    uint64_t count; /* 0: none yet */
};

struct vcpu {
    /* Assembly knows these by generated offsets (engine/trap/offsets.c). */
    uint64_t x[32]; /* x[0] is 0 and stays 0 */
    uint64_t pc;
    struct hart *hart; /* the real hart that runs it */
    void *engine;      /* what the engine keeps for it (vm/engine.h) */

    struct vm *vm;
    uint64_t hartid;
    uint8_t mode;  /* enum vmode; assembly knows it too */
    bool external; /* vPLIC output for the S context */
    bool borrowed; /* registers may hold something of the engine's own: engine->sync() */

    uint8_t changed; /* enum vcpu_change, since the engine last looked: it clears what it has dealt
                        with */

    struct vcsr csr;
    uint64_t counters;       /* writable bits of scounteren: the machine's */
    uint64_t counters_given; /* read by vU whatever scounteren says, as natively on this machine */

    /* For whoever asks what a guest that gets nowhere does: the last fault, and the one before it
     * that was another, which may be where it went wrong. */
    struct vcpu_fault fault, fault_before;
};

/* Puts the vcpu in its reset state: vS, paging off, pc and a0/a1 as the SBI specification's HSM
 * says. */
void vcpu_reset(struct vcpu *vcpu, uint64_t pc, uint64_t opaque);

/* Leads the vcpu, which is in vS, to pc as the firmware does after a non-retentive suspend (SBI
 * specification, HSM): vS, paging and interrupts off, a0 and a1 set. What is pending stays so, and
 * the timer goes on. */
void vcpu_resume(struct vcpu *vcpu, uint64_t pc, uint64_t opaque);

/* Injects an exception with sepc = pc (privileged specification, "Supervisor Trap ..."). */
void vcpu_raise(struct vcpu *vcpu, uint64_t cause, uint64_t stval);

/* Takes the most urgent deliverable interrupt, if any (SEI > SSI > STI). */
void vcpu_deliver_interrupt(struct vcpu *vcpu);

/* sip as the guest reads it. */
uint64_t vcpu_sip(const struct vcpu *vcpu);

/* Level of the vPLIC's S-context output changed. */
void vcpu_set_external(struct vcpu *vcpu, bool level);

/* sstatus's part of taking a trap into vS from a mode, and of SRET (privileged specification,
 * "Supervisor Status Register"). */
static inline uint64_t vcpu_sstatus_pushed(uint64_t sstatus, enum vmode mode)
{
    uint64_t pushed = sstatus & ~(SSTATUS_SPIE | SSTATUS_SIE | SSTATUS_SPP);
    if (sstatus & SSTATUS_SIE)
        pushed |= SSTATUS_SPIE;
    return mode == VMODE_S ? pushed | SSTATUS_SPP : pushed;
}

static inline uint64_t vcpu_sstatus_popped(uint64_t sstatus)
{
    uint64_t popped = (sstatus & ~(SSTATUS_SPP | SSTATUS_SIE)) | SSTATUS_SPIE;
    return sstatus & SSTATUS_SPIE ? popped | SSTATUS_SIE : popped;
}

/* SRET, already known to be in vS. */
void vcpu_sret(struct vcpu *vcpu);

static inline bool vcpu_is_bare(const struct vcpu *vcpu)
{
    return vcpu->csr.satp >> SATP_MODE_SHIFT == SATP_MODE_BARE;
}
