/*
 * The guest's interrupt controller: sources in, one output per context. RISC-V PLIC 1.0.0 with the
 * geometry of QEMU's virt board for one hart.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "device.h"

#define VPLIC_BASE     0x0c000000ul
#define VPLIC_SIZE     0x00600000ul
#define VPLIC_SOURCES  96u /* source 0 does not exist: 95 real ones ("riscv,ndev") */
#define VPLIC_CONTEXTS 2u
#define VPLIC_WORDS    (VPLIC_SOURCES / 32)
#define VPLIC_PRIORITY 7u /* highest; 0 never interrupts */

enum vplic_context { VPLIC_CONTEXT_M, VPLIC_CONTEXT_S };

/* Plain data but for the callback. Bitmaps: source n is bit n % 32 of word n / 32. */
struct vplic {
    uint32_t priority[VPLIC_SOURCES];
    uint32_t pending[VPLIC_WORDS];
    uint32_t claimed[VPLIC_WORDS]; /* claimed and not yet completed */
    uint32_t line[VPLIC_WORDS];    /* levels of the devices' interrupt lines */
    uint32_t enable[VPLIC_CONTEXTS][VPLIC_WORDS];
    uint32_t threshold[VPLIC_CONTEXTS];

    /* May be null: the guest has completed a source that it had claimed. It may call
     * vplic_set_line. Kept by vplic_reset. */
    void (*completed)(struct vplic *plic, unsigned source, void *arg);
    void *arg;
};

/* What the registers are called (core/device.h). */
extern const struct device_register vplic_registers[];

/* The state in which the firmware hands the board to a kernel: nothing enabled, thresholds 7. All
 * lines are low: the devices are to be reset with it. */
void vplic_reset(struct vplic *plic);

/* One guest access, offset relative to VPLIC_BASE. False: access fault (any width but 4). May
 * change either output. */
bool vplic_access(struct vplic *plic, struct mmio *io);

/* Drives the line of a source; one that does not exist is ignored. Each call with true makes it
 * pending. True: it was not, so that either output may have changed. */
bool vplic_set_line(struct vplic *plic, unsigned source, bool level);

/* Has the context the source before it (enabled and pending, and its line high), or claimed and not
 * completed? */
bool vplic_is_open(const struct vplic *plic, unsigned source, unsigned context);

/* The context's interrupt output: is there something to claim? */
bool vplic_output(const struct vplic *plic, unsigned context);
