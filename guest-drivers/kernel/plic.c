/*
 * The platform-level interrupt controller (RISC-V PLIC specification 1.0), one context: this
 * hart's S-mode.
 *
 * The handler claims until there is nothing left, as Linux does, so that an interrupt costs this
 * kernel what it costs Linux.
 */
#include "kernel.h"

#define PLIC_PRIORITY(irq)    (4ul * (irq))                                /* 0: never */
#define PLIC_ENABLE(ctx, irq) (0x2000ul + 0x80ul * (ctx) + (irq) / 32 * 4) /* bit per source */
#define PLIC_THRESHOLD(ctx)   (0x200000ul + 0x1000ul * (ctx)) /* priorities up to it are masked */
#define PLIC_CLAIM(ctx)       (0x200004ul + 0x1000ul * (ctx)) /* read claims, write completes */
#define SOURCES_MAX           128u

struct route {
    void (*handler)(void *argument);
    void *argument;
};

static struct route routes[SOURCES_MAX];

static volatile uint32_t *reg(uint64_t offset)
{
    return (volatile uint32_t *)(board.plic.base + offset);
}

void plic_init(void)
{
    for (unsigned irq = 0; irq <= board.plic_sources; irq += 32)
        *reg(PLIC_ENABLE(board.plic_context, irq)) = 0;
    *reg(PLIC_THRESHOLD(board.plic_context)) = 0;
}

void plic_restart(void)
{
    bool were_on = interrupts_off();
    plic_init();
    volatile uint32_t *claim = reg(PLIC_CLAIM(board.plic_context));
    uint32_t irq;
    for (unsigned i = 0; i <= board.plic_sources && (irq = *claim) != 0; i++)
        *claim = irq;
    for (irq = 1; irq < SOURCES_MAX && irq <= board.plic_sources; irq++)
        plic_route(irq, routes[irq].handler, routes[irq].argument);
    if (were_on)
        interrupts_on();
}

void plic_route(unsigned irq, void (*handler)(void *argument), void *argument)
{
    if (irq == 0 || irq >= SOURCES_MAX || irq > board.plic_sources)
        return;
    bool were_on = interrupts_off();
    routes[irq] = (struct route){handler, argument};
    volatile uint32_t *enable = reg(PLIC_ENABLE(board.plic_context, irq));
    *reg(PLIC_PRIORITY(irq)) = handler ? 1 : 0;
    *enable = handler ? *enable | 1u << irq % 32 : *enable & ~(1u << irq % 32);
    if (were_on)
        interrupts_on();
}

void plic_interrupt(void)
{
    uint32_t irq;
    while ((irq = *reg(PLIC_CLAIM(board.plic_context))) != 0) {
        if (irq < SOURCES_MAX && routes[irq].handler)
            routes[irq].handler(routes[irq].argument);
        *reg(PLIC_CLAIM(board.plic_context)) = irq;
    }
}
