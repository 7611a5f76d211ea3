/*
 * The real hart: what was last written to its CSRs, its timer, and the exit that it handles.
 *
 * There is one struct for each physical hart. While the VMM runs, tp holds its address; while the
 * guest runs, sscratch leads to the vcpu and that to the hart (engine/trap/vector.S).
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "isa/riscv.h"

struct vcpu;

/* What an exit may cost before the rest of its work is left for later: 0.4 ms at QEMU's 10 MHz,
 * which is 400,000 instructions where they are counted. A single step that follows costs far less
 * than the other 600,000 of the 1,000,000 that no exit may exceed. */
#define HART_TICKS 4000u

struct hart {
    /* Assembly knows these two by generated offsets. */
    uint64_t stack; /* top of the VMM's stack on this hart */
    uint64_t satp;  /* as last written */

    uint64_t scounteren, senvcfg; /* as last written */
    uint64_t counters;            /* the bits of scounteren that can be written */
    uint64_t comparison;          /* the guest's stimecmp */
    uint64_t alarm;               /* the VMM's own; UINT64_MAX: none */

    /* The exit being handled. */
    uint64_t begin_instret; /* when it began */
    uint64_t begin_time;    /* when it began, or when the hart last woke in it */
    uint64_t end_instret;   /* when the exit before it ended */
    uint64_t woken_of;      /* begin_instret of the exit in which the hart last woke, */
    uint64_t woken_instret; /* and when that was */
    bool spent;             /* hart_is_spent() was true in it */
    uint8_t mode;           /* the vcpu's (enum vmode), when it began */
};

#ifdef __riscv
/* The hart that executes this. */
static inline struct hart *hart_this(void)
{
    struct hart *hart;
    __asm__("mv %0, tp" : "=r"(hart));
    return hart;
}

/* From here on hart_this() is this one. Once, before anything else asks for it. */
static inline void hart_become(struct hart *hart)
{
    __asm__ volatile("mv tp, %0" : : "r"(hart));
}
#else
struct hart *hart_this(void);
#endif

/* Whether the exit being handled has cost so much that the guest, interrupts and the control
 * channel are to have their turn before it goes on. */
static inline bool hart_is_spent(void)
{
    struct hart *hart = hart_this();
    if (csr_read(CSR_TIME) - hart->begin_time < HART_TICKS)
        return false;
    hart->spent = true;
    return true;
}

/* Finds out what the hart has, and puts its timer at rest. */
void hart_start(struct hart *hart);

/* The guest's stimecmp (Sstc) is time. The host's timer interrupts at the guest's comparison or at
 * the VMM's alarm, whichever comes first; its STIE is on only while one of them is ahead. */
void hart_compare(struct hart *hart, uint64_t time);

/* The host's timer interrupts at this time (in ticks; UINT64_MAX: no more) on the VMM's own behalf,
 * once. True: the guest's comparison has been reached, and no interrupt will tell of it. */
bool hart_set_alarm(struct hart *hart, uint64_t time);

/* The host's timer has interrupted: neither of the two does so again until it is set anew. */
void hart_timer_fired(struct hart *hart);
