/*
 * One virtual hart: everything the guest can see of it, and how to make it trap.
 *
 * The real hart is always in U-mode while the guest runs; mode says what the guest believes.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "isa/decode.h"

struct vm;
struct shadow_root;
struct ahead;
struct inlined;

enum vmode { VMODE_U = 0, VMODE_S = 1 };

/* The virtual supervisor CSRs, as the guest wrote them and WARL left them. */
struct vcsr {
    uint64_t
        sstatus; /* SIE SPIE SPP SUM MXR only: FS lives in the host's sstatus, the rest is fixed */
    uint64_t sie;
    uint64_t sip; /* SSIP only: STIP is the timer's comparison, SEIP the vPLIC's output */
    uint64_t stvec, sscratch, sepc, scause, stval;
    uint64_t satp;
    uint64_t scounteren, senvcfg;
    uint64_t stimecmp;
    /* sedeleg, sideleg, scontext: do not exist here */
};

/* Where an ecall of the guest's kernel trapped lately: what its own instruction is, an ecall or one that was patched.
 * Valid while epoch is the shadow's: it counts up when kernel code is unmapped anywhere. (An ecall of vU is not looked
 * up: no copy is in its view.) */
struct vcpu_site {
    uint64_t pc, tag, epoch; /* tag: vcpu_code_tag */
    struct insn insn;
    int32_t hits;   /* traps there */
    bool sensitive; /* insn is; else other code was put there unseen */
};

/* An exception of the guest's own, other than its system calls, and how often in a row it was this one. */
struct vcpu_fault {
    uint64_t cause, sepc, stval, stvec;
    uint64_t count; /* 0: none yet */
};

#define VCPU_SITES 2048u /* by a hash of pc; a power of two */

struct vcpu {
    /* Assembly knows these by generated offsets (offsets.c). */
    uint64_t x[32]; /* x[0] is 0 and stays 0 */
    uint64_t pc;
    uint64_t host_sstatus; /* sstatus while the guest runs: FS is the guest's, SPP = U, SPIE = 1 */
    uint64_t host_stack;   /* top of this hart's VMM stack */
    /* What waits until the guest is entered: under QEMU both empty the TLB and make all code that the VMM
     * still executes be looked up again. */
    uint64_t satp, satp_installed; /* of the root to run the guest in; what was last written */
    uint64_t flush;                /* not 0: sfence.vma */

    struct vm *vm;
    uint64_t hartid;
    uint8_t mode;          /* enum vmode */
    bool external;         /* vPLIC output for the S context */
    bool view_stale;       /* mode, SUM, MXR or satp changed since the root was chosen */
    bool interrupts_stale; /* something that interrupt delivery depends on changed */
    struct vcsr csr;

    bool
        fs_hidden; /* the machine's FS is Off, and the guest's is fs_behind (engine/trap/inline.h) */
    uint64_t fs_behind;

    uint64_t counters_given; /* read by vU whatever scounteren says, as natively on this machine */
    uint64_t upper_tag;      /* tag of pcs in the upper half */
    uint64_t alarm;          /* the VMM's own (vm/timer.h); UINT64_MAX: none */

    struct shadow_root *root;               /* satp's */
    uint64_t host_scounteren, host_senvcfg; /* as last written to the host's CSRs */
    uint64_t counters;                      /* writable bits of scounteren: the machine's */

    /* The exit being handled. */
    uint64_t scause, stval;
    uint64_t begin_instret;           /* when it began */
    uint64_t exit_instret;            /* when the last exit ended */
    uint64_t exit_time;               /* when this one began, or when the hart last woke in it */
    uint64_t woken_of, woken_instret; /* of the exit that began at woken_of: when it last woke */
    uint32_t exit_detail;             /* for the statistics: CSR number, SBI function, ... */
    uint8_t exit_class;               /* enum exit_class (core/vm/stats.h) */
    uint8_t exit_mode;                /* mode at the exit */

    /* For whoever asks what a guest that gets nowhere does: the last fault, and the one before it that was
     * another, which may be where it went wrong. */
    struct vcpu_fault fault, fault_before;

    struct inlined *inlined;           /* PATCH=inline (engine/trap/inline.h); else null */
    struct ahead *ahead;               /* traces for running ahead (engine/trap/ahead.h) */
    struct vcpu_site site[VCPU_SITES]; /* last: what is above stays in reach of short offsets */
};

/* What tells apart two address spaces' code at one pc: satp, or in an upper half that all
 * share the mode alone. */
static inline uint64_t vcpu_code_tag(const struct vcpu *vcpu)
{
    return (int64_t)vcpu->pc < 0 ? vcpu->upper_tag : vcpu->csr.satp;
}

/* Puts the vcpu in its reset state: vS, paging off, pc and a0/a1 as the SBI specification's HSM says. */
void vcpu_reset(struct vcpu *vcpu, uint64_t pc, uint64_t opaque);

/* Leads the vcpu, which is in vS, to pc as the firmware does after a non-retentive suspend (SBI specification,
 * HSM): vS, paging and interrupts off, a0 and a1 set. What is pending stays so, and the timer goes on. */
void vcpu_resume(struct vcpu *vcpu, uint64_t pc, uint64_t opaque);

/* Runs the guest; does not return. */
_Noreturn void vcpu_run(struct vcpu *vcpu);

/* Before every entry: takes a due interrupt, installs the right root. */
void vcpu_prepare(struct vcpu *vcpu);

/* Injects an exception with sepc = pc (privileged specification, "Supervisor Trap ..."). */
void vcpu_raise(struct vcpu *vcpu, uint64_t cause, uint64_t stval);

/* Takes the most urgent deliverable interrupt, if any (SEI > SSI > STI). */
void vcpu_deliver_interrupt(struct vcpu *vcpu);

/* sip as the guest reads it. */
uint64_t vcpu_sip(const struct vcpu *vcpu);

/* Level of the vPLIC's S-context output changed. */
void vcpu_set_external(struct vcpu *vcpu, bool level);

/* SRET, WFI: the guest's, already known to be in vS. */
void vcpu_sret(struct vcpu *vcpu);
void vcpu_wfi(struct vcpu *vcpu);
