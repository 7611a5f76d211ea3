/*
 * Driver of the host's PLIC (RISC-V PLIC specification 1.0.0, memory map).
 *
 * The surprises: completion of a source that is not enabled is ignored, so enable comes first. QEMU
 * looks at its outputs again after a claim and after a line changed, not after a write of an enable
 * register.
 */
#include "host/plic.h"

#include <errno.h>
#include <stddef.h>

#include "host/hart.h"
#include "host/io.h"
#include "host/machine.h"
#include "host/map.h"
#include "isa/riscv.h"

#define PLIC_PRIORITY(source)   (4u * (source))
#define PLIC_PENDING            0x1000u
#define PLIC_ENABLE(context)    (0x2000u + 0x80u * (context))     /* one bit for each source */
#define PLIC_CONTEXT(context)   (0x200000u + 0x1000u * (context)) /* a page of registers: */
#define PLIC_THRESHOLD(context) PLIC_CONTEXT(context)             /* sources above it interrupt */
#define PLIC_CLAIM(context)     (PLIC_CONTEXT(context) + 4)       /* load: claim; store: complete */

#define HIGHEST 7u /* priority, threshold */

#define CLAIMS_AT_ONCE 32u /* then the guest, or the next trap, has its turn */

static uint32_t read_register(const struct host *host, uint32_t offset)
{
    return io_read32(host->plic.registers + offset);
}

static void write_register(const struct host *host, uint32_t offset, uint32_t value)
{
    io_write32(host->plic.registers + offset, value);
}

void host_plic_start(struct host *host, bool given)
{
    struct host_plic *plic = &host->plic;
    plic->given = given;
    plic->registers = (uintptr_t)map_hpa(host->plic_window.hpa);
    plic->context = plic->given ? host->plic_machine : host->plic_context;
    for (unsigned word = 0; word <= host->plic_sources / 32; word++) {
        write_register(host, PLIC_ENABLE(host->plic_context) + 4 * word, 0);
        write_register(host, PLIC_ENABLE(plic->context) + 4 * word, 0);
    }
    write_register(host, PLIC_THRESHOLD(plic->context), 0);
}

static void take_source(struct host *host, unsigned irq)
{
    uint32_t word = PLIC_ENABLE(host->plic.context) + irq / 32 * 4;
    uint32_t bit = 1u << irq % 32;
    write_register(host, word, read_register(host, word) | bit);
    host->plic.own[irq / 32] |= bit;
}

int host_irq_enable(struct host *host, unsigned irq, bool (*handle)(void *argument, unsigned irq),
                    void *argument)
{
    if (irq == 0 || irq >= HOST_IRQS || irq > host->plic_sources)
        return -EINVAL;
    host->plic.irq[irq] = (struct host_irq){.handle = handle, .argument = argument};
    write_register(host, PLIC_PRIORITY(irq), host->plic.given ? HIGHEST : 1);
    take_source(host, irq);
    host_irq_complete(host, irq);
    return 0;
}

void host_irq_complete(struct host *host, unsigned irq)
{
    write_register(host, PLIC_CLAIM(host->plic.context), irq);
}

/* Claims and handles what is pending in our context. */
static void handle_pending(struct host *host)
{
    for (unsigned i = 0; i < CLAIMS_AT_ONCE; i++) {
        unsigned irq = read_register(host, PLIC_CLAIM(host->plic.context));
        struct host_irq *handler;
        if (irq == 0)
            return;
        handler = irq < HOST_IRQS ? &host->plic.irq[irq] : NULL;
        if (!handler || !handler->handle || handler->handle(handler->argument, irq))
            host_irq_complete(host, irq);
        if (hart_is_spent())
            return;
    }
}

void host_interrupt(struct host *host)
{
    if (host->plic.given)
        host->plic.output(host->plic.output_argument);
    else
        handle_pending(host);
}

/* --- The S context is the guest's --- */

void host_plic_poll(struct host *host)
{
    handle_pending(host);
}

/* Whose sources are enabled in the S context. QEMU's outputs follow with the next claim. */
static void set_enabled(struct host *host, bool own, bool guests)
{
    const struct host_plic *plic = &host->plic;
    for (unsigned word = 0; word < HOST_IRQS / 32; word++) {
        if (plic->own[word] | plic->guests[word])
            write_register(host, PLIC_ENABLE(host->plic_context) + 4 * word,
                           (own ? plic->own[word] : 0) | (guests ? plic->guests[word] : 0));
    }
}

/* While the guest idles the VMM's sources are enabled in its context too: they have to wake the
 * hart. At a threshold of 7 no source of the guest can interrupt, nor would the VMM's: the context
 * is the VMM's alone. */
void host_wait(struct host *host, bool for_guest)
{
    const uint32_t at = PLIC_THRESHOLD(host->plic_context);
    uint32_t threshold;
    if (!host->plic.given) {
        riscv_wfi();
        return;
    }
    threshold = read_register(host, at);
    set_enabled(host, true, for_guest && threshold < HIGHEST);
    if (threshold >= HIGHEST)
        write_register(host, at, 0);
    handle_pending(host);       /* what was pending before wakes nobody */
    csr_set(CSR_SIE, SIP_SEIP); /* the caller looks (vm/run.c), and masks it again */
    riscv_wfi();
    set_enabled(host, false, true);
    if (threshold >= HIGHEST)
        write_register(host, at, threshold);
    handle_pending(host);
}

uint64_t host_plic_page(const struct host *host)
{
    return host->plic_window.hpa + PLIC_CONTEXT(host->plic_context);
}

void host_plic_set_priority(struct host *host, unsigned irq, uint32_t priority)
{
    write_register(host, PLIC_PRIORITY(irq), priority);
}

void host_plic_set_enable(struct host *host, unsigned word, uint32_t bits)
{
    host->plic.guests[word] = bits;
    write_register(host, PLIC_ENABLE(host->plic_context) + 4 * word, bits);
}

uint32_t host_plic_pending(struct host *host, unsigned word)
{
    return read_register(host, PLIC_PENDING + 4 * word);
}

void host_plic_reset_given(struct host *host, const uint32_t sources[HOST_IRQS / 32])
{
    const unsigned context = host->plic_context;
    for (unsigned irq = 1; irq < HOST_IRQS && irq <= host->plic_sources; irq++) {
        if (!(sources[irq / 32] >> irq % 32 & 1))
            continue;
        host_plic_set_priority(host, irq, HIGHEST);
        host_plic_set_enable(host, irq / 32, 1u << irq % 32);
        write_register(host, PLIC_THRESHOLD(context), 0);
        write_register(host, PLIC_CLAIM(context), irq);      /* claimed before the reset */
        if (read_register(host, PLIC_CLAIM(context)) == irq) /* pending before it */
            write_register(host, PLIC_CLAIM(context), irq);
        host_plic_set_priority(host, irq, 0);
        host_plic_set_enable(host, irq / 32, 0);
    }
    write_register(host, PLIC_THRESHOLD(context), HIGHEST);
}
