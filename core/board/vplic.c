/*
 * The guest's PLIC. RISC-V Platform-Level Interrupt Controller Specification 1.0.0, "Memory Map"
 * and the chapters from "Interrupt Priorities" to "Interrupt Completion".
 *
 * The surprise: a line that falls does not take its pending bit back; only a claim does. Where the
 * specification and QEMU's model (hw/intc/sifive_plic.c) differ, a guest gets what it would see on
 * QEMU. A completion works whether the source is enabled or not. A source becomes pending whenever
 * its device asserts the line, also while it is high or claimed, and not by a completion: a driver
 * that leaves a cause standing has one interrupt and not a storm. In one case QEMU can lose an
 * interrupt, and this does not: the outputs follow the enable bits at once.
 */
#include "board/vplic.h"

#include <stddef.h>

#include "device.h"
#include "isa/bits.h"

/* Registers, as offsets in the window. Not listed: reads as 0, ignores writes. */
#define PRIORITY       0x000000u /* one word per source */
#define PENDING        0x001000u /* bitmap, read-only */
#define ENABLE         0x002000u /* bitmap, one per context */
#define ENABLE_STRIDE  0x80u
#define CONTEXT        0x200000u /* one page per context: */
#define CONTEXT_STRIDE 0x1000u
#define THRESHOLD      0x0u /* priorities up to this one do not interrupt */
#define CLAIM          0x4u /* read: claim, write: complete */

#define ENABLE_OF(context)  (ENABLE + ENABLE_STRIDE * (context))
#define CONTEXT_OF(context) (CONTEXT + CONTEXT_STRIDE * (context))

/* What is called nothing else is S-mode's: a guest's kernel uses only that. */
const struct device_register vplic_registers[] = {
    {PRIORITY, "priority", "priority", (PENDING - PRIORITY) / 4, 4},
    {PENDING, "pending", NULL, (ENABLE - PENDING) / 4, 4},
    {ENABLE_OF(VPLIC_CONTEXT_M), "enable M", "enable M", ENABLE_STRIDE / 4, 4},
    {ENABLE_OF(VPLIC_CONTEXT_S), "enable", "enable", ENABLE_STRIDE / 4, 4},
    {CONTEXT_OF(VPLIC_CONTEXT_M) + THRESHOLD, "threshold M", "threshold M", 0, 0},
    {CONTEXT_OF(VPLIC_CONTEXT_M) + CLAIM, "claim M", "complete M", 0, 0},
    {CONTEXT_OF(VPLIC_CONTEXT_S) + THRESHOLD, "threshold", "threshold", 0, 0},
    {CONTEXT_OF(VPLIC_CONTEXT_S) + CLAIM, "claim", "complete", 0, 0},
    {0, NULL, NULL, 0, 0},
};

static bool test_bit(const uint32_t *map, unsigned source)
{
    return map[source / 32] >> source % 32 & 1;
}

static void set_bit(uint32_t *map, unsigned source)
{
    map[source / 32] |= 1u << source % 32;
}

static void clear_bit(uint32_t *map, unsigned source)
{
    map[source / 32] &= ~(1u << source % 32);
}

/* The source that a claim would return: the highest priority above the threshold, the lowest number
 * among equals; 0 if none. */
static unsigned best(const struct vplic *plic, unsigned context)
{
    uint32_t priority = plic->threshold[context];
    unsigned source = 0;
    for (unsigned word = 0; word < VPLIC_WORDS; word++) {
        uint32_t left = plic->pending[word] & ~plic->claimed[word] & plic->enable[context][word];
        for (; left != 0; left &= left - 1) {
            unsigned candidate = word * 32 + bits_first(left);
            if (plic->priority[candidate] > priority) {
                priority = plic->priority[candidate];
                source = candidate;
            }
        }
    }
    return source;
}

static uint32_t claim(struct vplic *plic, unsigned context)
{
    unsigned source = best(plic, context);
    if (source != 0) {
        clear_bit(plic->pending, source);
        set_bit(plic->claimed, source);
    }
    return source;
}

static void complete(struct vplic *plic, uint32_t source)
{
    if (source >= VPLIC_SOURCES || !test_bit(plic->claimed, source))
        return;
    clear_bit(plic->claimed, source);
    if (plic->completed != NULL)
        plic->completed(plic, source, plic->arg);
}

/* The word behind an offset, and its writable bits. Null: there is none. */
static uint32_t *find_register(struct vplic *plic, uint64_t offset, uint32_t *writable)
{
    uint64_t index;
    *writable = 0;
    if (offset < PRIORITY + 4 * VPLIC_SOURCES) {
        index = (offset - PRIORITY) / 4;
        *writable = index == 0 ? 0 : VPLIC_PRIORITY;
        return &plic->priority[index];
    }
    if (offset >= PENDING && offset < PENDING + 4 * VPLIC_WORDS)
        return &plic->pending[(offset - PENDING) / 4];
    if (offset >= ENABLE && offset < ENABLE + ENABLE_STRIDE * VPLIC_CONTEXTS) {
        index = (offset - ENABLE) % ENABLE_STRIDE / 4;
        *writable = ~0u;
        return index < VPLIC_WORDS ? &plic->enable[(offset - ENABLE) / ENABLE_STRIDE][index] : NULL;
    }
    if (offset >= CONTEXT && offset < CONTEXT + CONTEXT_STRIDE * VPLIC_CONTEXTS &&
        offset % CONTEXT_STRIDE == THRESHOLD) {
        *writable = VPLIC_PRIORITY;
        return &plic->threshold[(offset - CONTEXT) / CONTEXT_STRIDE];
    }
    return NULL;
}

void vplic_reset(struct vplic *plic)
{
    struct vplic fresh = {.completed = plic->completed, .arg = plic->arg};
    for (unsigned context = 0; context < VPLIC_CONTEXTS; context++)
        fresh.threshold[context] = VPLIC_PRIORITY;
    *plic = fresh;
}

bool vplic_access(struct vplic *plic, struct mmio *io)
{
    uint64_t context = (io->offset - CONTEXT) / CONTEXT_STRIDE;
    uint32_t *reg, writable;
    if (io->width != 4 || io->offset % 4 != 0 || io->offset >= VPLIC_SIZE)
        return false;
    if (io->offset >= CONTEXT && context < VPLIC_CONTEXTS && io->offset % CONTEXT_STRIDE == CLAIM) {
        if (io->store)
            complete(plic, (uint32_t)io->value);
        else
            io->value = claim(plic, (unsigned)context);
        return true;
    }
    reg = find_register(plic, io->offset, &writable);
    if (!io->store)
        io->value = reg != NULL ? *reg : 0;
    else if (reg != NULL && writable != 0)
        *reg = (uint32_t)io->value & writable;
    return true;
}

bool vplic_set_line(struct vplic *plic, unsigned source, bool level)
{
    if (source == 0 || source >= VPLIC_SOURCES)
        return false;
    if (!level) {
        clear_bit(plic->line, source);
        return false;
    }
    set_bit(plic->line, source);
    if (test_bit(plic->pending, source))
        return false;
    set_bit(plic->pending, source);
    return true;
}

bool vplic_output(const struct vplic *plic, unsigned context)
{
    return context < VPLIC_CONTEXTS && best(plic, context) != 0;
}

bool vplic_is_open(const struct vplic *plic, unsigned source, unsigned context)
{
    if (source >= VPLIC_SOURCES || context >= VPLIC_CONTEXTS)
        return false;
    if (test_bit(plic->claimed, source))
        return true;
    return test_bit(plic->line, source) && test_bit(plic->pending, source) &&
           test_bit(plic->enable[context], source) &&
           plic->priority[source] > plic->threshold[context];
}
