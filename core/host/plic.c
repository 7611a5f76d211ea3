/*
 * Driver of the host's PLIC (RISC-V PLIC specification 1.0.0, memory map).
 * The surprise: completion of a source that is not enabled is ignored, so enable comes first.
 */
#include "host/plic.h"

#include <errno.h>
#include <stddef.h>

#include "host/io.h"
#include "host/machine.h"
#include "memory/map.h"

#define PLIC_PRIORITY(source)   (4u * (source))
#define PLIC_ENABLE(context)    (0x2000u + 0x80u * (context))     /* one bit for each source */
#define PLIC_THRESHOLD(context) (0x200000u + 0x1000u * (context)) /* sources above it interrupt */
#define PLIC_CLAIM(context)     (0x200004u + 0x1000u * (context)) /* load: claim; store: complete */

#define CLAIMS_AT_ONCE 32u /* then the guest, or the next trap, has its turn */

void host_plic_start(struct host *host)
{
    struct host_plic *plic = &host->plic;

    plic->registers = (uintptr_t)map_hpa(host->plic_window.hpa);
    for (unsigned word = 0; word <= host->plic_sources / 32; word++)
        io_write32(plic->registers + PLIC_ENABLE(host->plic_context) + 4 * word, 0);
    io_write32(plic->registers + PLIC_THRESHOLD(host->plic_context), 0);
}

static void set_enable(struct host *host, unsigned irq, bool enable)
{
    uintptr_t word = host->plic.registers + PLIC_ENABLE(host->plic_context) + irq / 32 * 4;
    uint32_t bit = 1u << irq % 32;
    uint32_t old = io_read32(word);

    io_write32(word, enable ? old | bit : old & ~bit);
}

int host_irq_enable(struct host *host, unsigned irq, bool (*handle)(void *argument, unsigned irq),
                    void *argument)
{
    if (irq == 0 || irq >= HOST_IRQS || irq > host->plic_sources)
        return -EINVAL;
    host->plic.irq[irq] = (struct host_irq){.handle = handle, .argument = argument};
    io_write32(host->plic.registers + PLIC_PRIORITY(irq), 1);
    set_enable(host, irq, true);
    host_irq_complete(host, irq);
    return 0;
}

void host_irq_disable(struct host *host, unsigned irq)
{
    if (irq == 0 || irq >= HOST_IRQS || irq > host->plic_sources)
        return;
    set_enable(host, irq, false);
    host->plic.irq[irq] = (struct host_irq){.handle = NULL};
}

void host_irq_complete(struct host *host, unsigned irq)
{
    io_write32(host->plic.registers + PLIC_CLAIM(host->plic_context), irq);
}

void host_interrupt(struct host *host)
{
    for (unsigned i = 0; i < CLAIMS_AT_ONCE; i++) {
        unsigned irq = io_read32(host->plic.registers + PLIC_CLAIM(host->plic_context));
        struct host_irq *handler;

        if (irq == 0)
            return;
        handler = irq < HOST_IRQS ? &host->plic.irq[irq] : NULL;
        if (!handler || !handler->handle || handler->handle(handler->argument, irq))
            host_irq_complete(host, irq);
    }
}
