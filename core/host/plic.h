/*
 * The host's PLIC, seen from this hart's S context, and who handles which of its sources.
 *
 * The S context can be given to the guest (PLIC=mapped). Then the VMM keeps its own sources in the
 * hart's M context, whose interrupt the firmware leaves masked, and looks there when it has the
 * time.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define HOST_IRQS 128u /* sources that can be handled: 1..127 */

struct host;

/* Called with the source claimed. True: done, complete it now. False: its level still stands for
 * the guest to see; the handler's owner calls host_irq_complete later. */
struct host_irq {
    bool (*handle)(void *argument, unsigned irq);
    void *argument;
};

struct host_plic {
    uintptr_t registers; /* in the direct map */
    struct host_irq irq[HOST_IRQS];
    unsigned context;                /* where the VMM's own sources are enabled */
    bool given;                      /* the S context is the guest's */
    uint32_t own[HOST_IRQS / 32];    /* given: the VMM's sources */
    uint32_t guests[HOST_IRQS / 32]; /* given: what the guest has enabled of its own */

    /* given: the S context's output may have changed. */
    void (*output)(void *argument);
    void *output_argument;
};

/* Masks every source and opens the threshold of our context. given: the S context
 * is the guest's. */
void host_plic_start(struct host *host, bool given);

/* Takes a source: its handler is called for each interrupt from now on. An interrupt that an
 * earlier owner had claimed and not completed is completed. 0, or -EINVAL for a source that does
 * not exist. */
int host_irq_enable(struct host *host, unsigned irq, bool (*handle)(void *argument, unsigned irq),
                    void *argument);

/* Lets the source interrupt again; for handlers that returned false. */
void host_irq_complete(struct host *host, unsigned irq);

/* Claims and handles what is pending. The host's SEIP stays set if more than a fair number was. If
 * the context is the guest's it only says so. */
void host_interrupt(struct host *host);

/* Idles until there is an interrupt for the VMM or, with for_guest, for the guest. Without it a
 * context that is the guest's does not wake the hart: its interrupt is known to be pending, or it
 * shall wait. */
void host_wait(struct host *host, bool for_guest);

/* --- PLIC=mapped: what the guest's emulated registers pass on --- */

/* Handles the VMM's own sources, which do not interrupt the guest. */
void host_plic_poll(struct host *host);

/* The S context's page of registers. */
uint64_t host_plic_page(const struct host *host);

/* As after power-on: nothing enabled or claimed, threshold 7. sources: the guest's. */
void host_plic_reset_given(struct host *host, const uint32_t sources[HOST_IRQS / 32]);

void host_plic_set_priority(struct host *host, unsigned irq, uint32_t priority);
void host_plic_set_enable(struct host *host, unsigned word, uint32_t bits);
uint32_t host_plic_pending(struct host *host, unsigned word);
