/* Page pool: a free list over one range. See pool.h. */
#include "memory/pool.h"

#include <string.h>

#include "riscv.h"
#include "stats.h"

void pool_reset(struct pool *pool, void *base, uint64_t size, struct stats_memory *stats)
{
    pool->base = base;
    pool->pages = (uint32_t)(size >> PAGE_SHIFT);
    pool->next = 0;
    pool->free = NULL;
    pool->stats = stats;
    stats->pool_pages = 0;
    stats->pool_limit = pool->pages;
}

void *pool_take(struct pool *pool)
{
    void *page = pool->free;
    if (page) {
        pool->free = *(void **)page;
    } else if (pool->next < pool->pages) {
        page = pool->base + ((uint64_t)pool->next++ << PAGE_SHIFT);
    } else {
        return NULL;
    }
    memset(page, 0, PAGE_SIZE);
    if (++pool->stats->pool_pages > pool->stats->pool_peak)
        pool->stats->pool_peak = pool->stats->pool_pages;
    return page;
}

void pool_give(struct pool *pool, void *page)
{
    *(void **)page = pool->free;
    pool->free = page;
    pool->stats->pool_pages--;
}
