/*
 * The host's PLIC, seen from this hart's S context, and who handles which of its sources.
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
};

/* Masks every source and opens the threshold of our context. */
void host_plic_start(struct host *host);

/* Takes a source: its handler is called for each interrupt from now on. An interrupt that an
 * earlier owner had claimed and not completed is completed. 0, or -EINVAL for a source that does
 * not exist. */
int host_irq_enable(struct host *host, unsigned irq, bool (*handle)(void *argument, unsigned irq),
                    void *argument);
void host_irq_disable(struct host *host, unsigned irq);

/* Lets the source interrupt again; for handlers that returned false. */
void host_irq_complete(struct host *host, unsigned irq);

/* Claims and handles what is pending. The host's SEIP stays set if more than a fair number was. */
void host_interrupt(struct host *host);
