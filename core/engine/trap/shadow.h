/*
 * Shadow page tables: a software TLB in the format of the hardware's page tables.
 *
 * Filled on a fault, dropped by sfence.vma; the guest's tables are never write-protected, so a
 * stale entry is as legal here as in a TLB. Roots are cached by (satp, view). What a view may
 * reach:
 *
 *   view         guest pages with U=0    guest pages with U=1
 *   USER         nothing                 R W X as the guest's entry says
 *   KERNEL       R W X as it says        nothing
 *   KERNEL_SUM   R W X as it says        R W, never X
 *
 * each also with MXR (X implies R). With paging off USER and KERNEL both show everything, but
 * patched copies of code are in KERNEL alone, as they are with paging on. KERNEL and KERNEL_SUM
 * differ only in pages that a guest touches with SUM set: KERNEL_SUM is installed when such an
 * access faults, and left when SUM is cleared.
 *
 * A fence does not empty the tables: each entry is compared with the guest's and stays if it still
 * holds, as if it had been forgotten and fetched again. Another address space is compared when it
 * is next chosen. So that a fence costs the same however much is mapped, tables that are not in use
 * are put aside: the machine no longer reaches them, and they are compared when a fault asks for
 * them (shadow_renew.c). What is forgotten is buried, and dug up table by table when the pool needs
 * pages (shadow_drop.c).
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "host/pool.h"
#include "vm/engine.h"
#include "vm/walk.h"

struct vm;
struct vcpu;

extern const char *const shadow_switch_names[]; /* ends with a null */

enum shadow_view { VIEW_USER, VIEW_KERNEL, VIEW_KERNEL_SUM, SHADOW_VIEWS };

/* What can be turned off, to see what it saves (SHADOW=, docs/memory.md). Their names, by bit:
 * shadow_switch_names. */
enum shadow_switch {
    SWITCH_PREFILL = 1,    /* neighbours are filled with a page */
    SWITCH_SUPERPAGES = 2, /* a guest's superpage stays one */
    SWITCH_CACHE = 4,      /* address spaces that the guest may come back to are kept */
    SWITCH_SHARED = 8,     /* all spaces share one table of the guest's global kernel pages */
    SWITCH_FENCE = 16,     /* a fence touches only what it names, and there only what has changed */
    SWITCH_RETRY =
        32, /* what a fault or a fence was about is filled before the guest tries again */
    SWITCH_ALL = 63,
};

#define SHADOW_SPACES   64u /* bits of a set of them */
#define SHADOW_BUCKETS  64u
#define SHADOW_ROOTS    (2u * SHADOW_VIEWS)
#define SHADOW_UPPERS   4u
#define SHADOW_MAPPINGS 4u
#define SHADOW_NO_FAULT 1ul /* trap_vcpu.fault_gva: none */
#define SHADOW_REFUSED  16u /* by a hash; a power of two */

/* A root table of the host's mode, for one guest address space and one view. */
struct shadow_root {
    uint64_t *table; /* null: not built */
    uint64_t satp;   /* with an ASID of its own: switching needs no flush */
};

static inline unsigned shadow_root_index(enum shadow_view view, bool mxr)
{
    return 2u * view + mxr;
}

/* One guest address space: what a satp value means until it is flushed. */
struct shadow_space {
    uint64_t satp;
    uint64_t used;                         /* shadow.clock at the last use; 0: free */
    bool stale;                            /* a fence named it: renewed before its next use */
    struct shadow_root root[SHADOW_ROOTS]; /* by shadow_root_index(view, mxr) */
};

/* Host pages given to the guest (pass-through windows). */
struct shadow_mapping {
    uint64_t gpa, hpa, size;
};

/* What is known of a page of the pool. */
struct pool_page {
    /* As a shadow table. groups: bit i: entries 8 * i to 8 * i + 7 may be set. */
    uint64_t groups;
    /* Of a table below PTE_SPLIT: the guest's superpage entry that all in it stems from; 0: it is
     * not only one. Of a buried table: the next one. */
    uint64_t origin;
    /* As a patched copy: where it is executed; 0: nowhere yet. */
    uint64_t gva;
    uint32_t version; /* counts what was read from the copy and is stale */
    uint32_t frame;   /* the frame that it is a copy of */
    uint16_t loads;   /* loads of the original */
    uint16_t slot;    /* its place in copy_list */
    uint8_t jumps;    /* sites of the copy that jump to trampolines */
    /* As a table: groups that fences may still compare until it is put aside, how often it was put
     * aside and taken up again, and whether code of the kernel may be mapped in it or below it. */
    uint8_t taken_up;
    uint16_t credit;
    bool code;
    bool fixed; /* as a table: all in it and below it is the VMM's own (shadow_put_fixed()) */
};

/* What the engine keeps for the VM: vm->engine_state. */
struct shadow {
    unsigned spaces; /* slots used so far: those above are free */
    uint64_t clock;
    struct pool pool;
    struct stats_memory *stats; /* of the VM */
    unsigned host_levels;       /* 4: Sv48, 5: Sv57 */
    uint64_t host_satp;         /* a root with the VMM alone */
    uint64_t host_entry;        /* root entry MAP_ROOT_SLOT of every root: the VMM */
    /* Root entry for gva 0 of the kernel's roots: trampolines (inline.h); 0: none. */
    uint64_t low_entry;
    /* By 2 * Sv48 + mxr: table of global kernel pages for all roots. */
    uint64_t *upper[SHADOW_UPPERS];
    struct shadow_mapping mapping[SHADOW_MAPPINGS];
    bool private_upper;   /* a space may have kernel pages that are not in the shared table */
    bool unseen_writes;   /* a device was given away: its DMA is not seen (patch_verify) */
    uint64_t space_epoch; /* counts changes of the guest's address space */

    /* The VMM's own pages that the guest may reach: shadow_put_fixed(). */
    uint64_t fixed_hpa, fixed_size;
    struct inline_code *inline_code; /* the trampolines (inline.h); null: none */

    /* By guest page frame, from ram.first on: writable or kernel-executable leaves that map it,
     * those in buried tables included, and the pool page + 1 of its patched copy. By 2 MiB block:
     * the same for superpages, and patched frames. A count that reached UINT8_MAX is "many". */
    uint8_t *leaves;
    uint16_t *patch;
    uint8_t *block_leaves;
    uint16_t *block_patches;
    uint8_t *drops; /* by frame: how often a patched copy was dropped */
    uint64_t giant_leaves;

    uint32_t copies,
        copies_limit;    /* patched copies: never the whole pool, for tables must fit too */
    uint16_t *copy_list; /* pool pages that are copies, in no order */
    /* Instructions that are not patched (patch.c): 0, or one by its copy, the copy's version and
     * its offset. */
    uint64_t refused[SHADOW_REFUSED];
    uint64_t flush_epoch; /* counts the machine's TLB flushes: what was cached before is stale */
    uint64_t code_epoch;  /* counts up when kernel code is unmapped or a patched site changes */

    uint64_t buried;        /* the first table that is forgotten and not yet given back; 0: none */
    uint64_t exit;          /* the exit that the two rests are of (hart.end_instret) */
    uint32_t fence_rest;    /* groups that fences may still compare in this exit */
    uint32_t search_rest;   /* groups that searches for leaves may still look at in this exit */
    struct pool_page *page; /* by page of the pool */
    struct shadow_space space[SHADOW_SPACES];

    /* Sets of spaces, so that a fence for one address looks into few: those that have had a page in
     * a GiB, and those of an ASID, both by the low bits of their number. */
    uint64_t with_gib[SHADOW_BUCKETS], with_asid[SHADOW_BUCKETS];
};

/* Software bit of a shadow leaf: it maps the patched copy of a code page, execute-only. */
#define PTE_PATCHED (1ul << 8)

/* Sets up the memory system over what is left of [base, base+size) behind *used bytes: tables
 * first, the rest is the pool. *used becomes what is not the pool. */
void shadow_init(struct vm *vm, const struct engine_memory *memory, uint64_t *used);

/* Chooses and installs the root for the vcpu's mode, SUM, MXR and satp. What forgets translations
 * leaves a vcpu without a root (trap_vcpu.root): this is how it gets one again, at the latest
 * before it goes on. */
void shadow_select(struct vcpu *vcpu);

/* The guest is back in a process, after one of its own had a page fault (trap_vcpu.fault_gva) that
 * the kernel may have mended: then the page is filled before it is asked for. */
void shadow_retry(struct vcpu *vcpu);

/* Answers a page fault of the guest at gva. */
enum shadow_answer {
    SHADOW_RETRY,  /* filled: run the instruction again */
    SHADOW_GUEST,  /* the guest's own fault: *cause. Its page does not permit that, */
    SHADOW_ABSENT, /* or it has none there that could permit anything */
    SHADOW_MMIO,   /* gpa is no RAM: *gpa, for device emulation or an access fault */
    SHADOW_USER, /* the kernel's access to its process's page, filled in the process's view: either
                   * it is  carried out there (ahead.h), or shadow_reach_user() */
    SHADOW_PATCHED, /* a load from a page whose execute-only copy is mapped: *gpa, to be emulated */
};
enum shadow_answer shadow_fault(struct vcpu *vcpu, uint64_t gva, enum access access, uint64_t *gpa,
                                uint64_t *cause);

/* The cause of the fault that a fetch of vS at gva has by the guest's own tables, or 0. Changes
 * nothing. */
uint64_t shadow_fetch_fault(struct vcpu *vcpu, uint64_t gva);

/* Whether an access that the kernel's root does not permit may be one to its process's page: SUM is
 * set. */
bool shadow_may_reach(const struct vcpu *vcpu);

/* Installs the view in which the guest's kernel reaches its processes' pages. SUM is set. */
void shadow_reach_user(struct vcpu *vcpu);

/* SFENCE.VMA (vm/engine.h). */
void shadow_fence(struct vcpu *vcpu, unsigned by, uint64_t gva, uint64_t asid);

/* Forgets every translation (no memory left, a search that would be too long). Costs the same
 * whatever is mapped. No vcpu has a root afterwards. */
void shadow_drop_all(struct vm *vm);

/* The same, and gives back all memory, however long that takes: the VM is reset. */
void shadow_reset(struct vm *vm);

/* Forgets, in all spaces, every translation by which the guest could write a frame of RAM or its
 * kernel execute it, patched or not. If the exit has searched too much already, every translation
 * there is: hold no entry and no root over a call. */
void shadow_drop_frame(struct vm *vm, uint64_t frame);

/* The same for the patched copy of a frame alone: looks only where it is bound to. */
void shadow_drop_copy(struct vm *vm, uint64_t frame);

/* A zeroed page of the pool, for a table or a copy; null: there is none, though buried tables were
 * given back. */
void *shadow_take(struct vm *vm);

/* Whether the installed root is still the one for the vcpu's mode, SUM, MXR and satp. */
bool shadow_view_holds(const struct vcpu *vcpu);

/* Whether it is one in which the guest's kernel reaches its processes' pages. */
bool shadow_reaches_user(const struct vcpu *vcpu);

/* The current root's leaf for gva: the entry, its level, or null when there is none. */
uint64_t *shadow_leaf(const struct vcpu *vcpu, uint64_t gva, unsigned *level);

/* The same in the process's view of the current address space. */
uint64_t *shadow_user_leaf(const struct vcpu *vcpu, uint64_t gva, unsigned *level);

/* Maps a page of the VMM's in the current root, for the guest. It stands in its address space and
 * not in its tables: no fence is about it. */
void shadow_put_fixed(struct vcpu *vcpu, uint64_t gva, uint64_t hpa, uint64_t rights);

/* Drops the leaf for gva from the current root, whatever its size. */
void shadow_drop_leaf(struct vcpu *vcpu, uint64_t gva);

/* The machine's TLB is emptied before the guest goes on. Counted. */
void shadow_tlb_flush(struct vm *vm);
