/*
 * The trap-and-emulate engine: guest code runs on the real hart, always in U-mode, with shadow page
 * tables. What is privileged traps, and the VMM carries it out.
 *
 * Here is what it keeps for each vcpu, and its way in and out of the guest.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "isa/decode.h"
#include "vm/vcpu.h"
#include "vm/vm.h"

struct ahead;
struct inlined;
struct shadow;
struct shadow_root;
struct shadow_space;
struct site;

/* An instruction of the guest's kernel, known to be there as a struct site is (site.h). */
struct trap_known {
    uint64_t pc, tag, epoch; /* epoch 0: none is */
    uint8_t rd, rs1;
};

/* vcpu->engine */
struct trap_vcpu {
    /* Assembly knows these three by generated offsets. The last two wait until the guest is
     * entered: under QEMU both empty the TLB and make all code that the VMM still executes be
     * looked up again. */
    uint64_t sstatus; /* of the real hart while the guest runs: SPP = U, SPIE = 1, FS as far as it
                         is shown */
    uint64_t satp;    /* of the root to run the guest in */
    uint64_t flush;   /* not 0: sfence.vma */

    uint64_t scause, stval;     /* of the exit in hand */
    struct shadow_root *root;   /* satp's; null: to be chosen (shadow_select) */
    struct shadow_space *space; /* the guest's address space that it belongs to, or null */
    uint64_t upper_tag;         /* tag of pcs in the upper half */
    bool fs_hidden;             /* the machine's FS is Off, whatever the guest's is (inline.h) */
    /* Of the last page fault that a process of the guest got, or SHADOW_NO_FAULT. */
    uint64_t fault_gva;
    uint64_t fault_satp; /* satp then */

    /* Brief exits (brief.h). */
    bool brief;                       /* there are any */
    struct trap_known swaps, returns; /* assembly knows returns.pc */

    uint32_t more_rights; /* rights.h: not 0: the kernel has more than its processes, for so many
                             changes of mode or of what they have */

    struct inlined *inlined; /* PATCH=inline; else null */
    struct ahead *ahead;     /* traces for running ahead */
    struct site *site;       /* decoded instructions by pc */
    struct insn insn;        /* the one that was fetched last and is not among them */
};

static inline struct trap_vcpu *trap_of(const struct vcpu *vcpu)
{
    return vcpu->engine;
}

/* What it keeps for all vcpus of a VM. */
static inline struct shadow *shadow_of(const struct vm *vm)
{
    return vm->engine_state;
}

/* What tells apart two address spaces' code at one pc: satp, or in an upper half that all
 * share the mode alone. */
static inline uint64_t trap_code_tag(const struct vcpu *vcpu)
{
    return (int64_t)vcpu->pc < 0 ? trap_of(vcpu)->upper_tag : vcpu->csr.satp;
}

/* The real hart's FS while the guest runs. */
static inline void trap_show_fs(struct trap_vcpu *own, uint64_t fs)
{
    own->sstatus = (own->sstatus & ~SSTATUS_FS) | (fs & SSTATUS_FS);
}

/* The guest has written f registers: Dirty, which is all that the hart makes of FS by itself. */
static inline void trap_take_float(struct vcpu *vcpu)
{
    if (csr_read(CSR_SSTATUS) & SSTATUS_SD)
        vcpu->csr.sstatus |= SSTATUS_FS;
}

/* Set in stvec: saves the guest, calls trap_handle, and goes back to it. trap_observed_entry calls
 * *trap_observer instead, for a run that is recorded (observe/timeline.h). (vector.S) */
void trap_entry(void);
void trap_observed_entry(void);
extern struct vcpu *(*trap_observer)(struct vcpu *vcpu);

/* Enters the guest. (vector.S) */
_Noreturn void trap_return(struct vcpu *vcpu);

/* Handles one exit, with the guest's registers saved; returns the vcpu to enter. */
struct vcpu *trap_handle(struct vcpu *vcpu);

/* What the guest has done without a trap is taken over into the vcpu: for whoever looks at it
 * before trap_handle does the same. */
void trap_take_over(struct vcpu *vcpu);

/* Takes a due interrupt, and chooses the root and what of the hart the guest may use. */
void trap_prepare(struct vcpu *vcpu);
