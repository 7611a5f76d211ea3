/* The driver of the tests of core/board/vplic.c: its registers, and a source that is ready. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "board/vplic.h"
#include "device.h"

#define PRIORITY(source)      (4u * (source))
#define PENDING(word)         (0x1000u + 4u * (word))
#define ENABLE(context, word) (0x2000u + 0x80u * (context) + 4u * (word))
#define THRESHOLD(context)    (0x200000u + 0x1000u * (context))
#define CLAIM(context)        (0x200004u + 0x1000u * (context))

#define M VPLIC_CONTEXT_M
#define S VPLIC_CONTEXT_S

/* One register, of 32 bits. */
static inline uint32_t load(struct vplic *plic, uint64_t offset)
{
    struct mmio io = {.offset = offset, .value = ~0ull, .width = 4};
    assert_true(vplic_access(plic, &io));
    assert_true(io.value <= UINT32_MAX);
    return (uint32_t)io.value;
}

static inline void store(struct vplic *plic, uint64_t offset, uint32_t value)
{
    struct mmio io = {.offset = offset, .value = value, .width = 4, .store = true};
    assert_true(vplic_access(plic, &io));
}

/* A PLIC with one source ready to interrupt the S context. */
static inline void set_up(struct vplic *plic, unsigned source, unsigned priority)
{
    memset(plic, 0, sizeof(*plic));
    vplic_reset(plic);
    store(plic, THRESHOLD(S), 0);
    store(plic, PRIORITY(source), priority);
    store(plic, ENABLE(S, source / 32), 1u << source % 32);
}

/* Who hears of completions: arg and completed of struct vplic. */
struct host_line {
    unsigned calls, last;
    bool lower;
};

static inline void on_completed(struct vplic *plic, unsigned source, void *arg)
{
    struct host_line *host = arg;
    host->calls++;
    host->last = source;
    if (host->lower)
        vplic_set_line(plic, source, false);
}
