/*
 * The VMM's own pages: shadow tables and patched code copies. Bounded; exhaustion is a null return
 * that the caller answers by evicting.
 */
#pragma once
#include <stdint.h>

/* How much of a pool is in use, in pages. */
struct pool_count {
    uint64_t pages, peak, limit;
};

struct pool {
    uint8_t *base;  /* page-aligned, in the direct map */
    uint32_t pages; /* that the pool may hand out */
    uint32_t next;  /* pages below it have been handed out at least once */
    void *free;     /* list through the first word of each free page */
    void *clean;    /* the same, of pages whose other words are all zero */
    struct pool_count *count;
};

/* Pages of [base, base+size). */
void pool_reset(struct pool *pool, void *base, uint64_t size, struct pool_count *count);

/* A zeroed page, or null when the limit is reached. */
void *pool_take(struct pool *pool);

/* Returns a page taken before; pool_give_clean: one that is zero again, which need
 * not be cleared. */
void pool_give(struct pool *pool, void *page);
void pool_give_clean(struct pool *pool, void *page);

/* Number of the page of the pool that holds an address, for tables indexed by it. */
static inline uint32_t pool_index(const struct pool *pool, const void *page)
{
    return (uint32_t)(((uint64_t)page - (uint64_t)pool->base) >> 12);
}
