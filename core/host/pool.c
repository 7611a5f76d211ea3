/* Page pool: a free list over one range. See pool.h. */
#include "host/pool.h"

#include <stddef.h>

#include "isa/riscv.h"

void pool_reset(struct pool *pool, void *base, uint64_t size, struct pool_count *count)
{
    pool->base = base;
    pool->pages = (uint32_t)(size >> PAGE_SHIFT);
    pool->next = 0;
    pool->free = NULL;
    pool->clean = NULL;
    pool->count = count;
    count->pages = 0;
    count->limit = pool->pages;
}

/* picolibc's memset goes byte by byte: 8 times as many instructions for the commonest
 * thing of all. */
static void clear_page(void *page)
{
    uint64_t *word = page;
    for (uint64_t *end = word + PAGE_SIZE / sizeof(*word); word < end; word += 8) {
        word[0] = word[1] = word[2] = word[3] = 0;
        word[4] = word[5] = word[6] = word[7] = 0;
    }
}

void *pool_take(struct pool *pool)
{
    void *page = pool->clean;
    if (page) {
        pool->clean = *(void **)page;
        *(void **)page = NULL;
    } else if (pool->free) {
        page = pool->free;
        pool->free = *(void **)page;
        clear_page(page);
    } else if (pool->next < pool->pages) {
        page = pool->base + ((uint64_t)pool->next++ << PAGE_SHIFT);
        clear_page(page);
    } else {
        return NULL;
    }
    if (++pool->count->pages > pool->count->peak)
        pool->count->peak = pool->count->pages;
    return page;
}

static void give(struct pool *pool, void **list, void *page)
{
    *(void **)page = *list;
    *list = page;
    pool->count->pages--;
}

void pool_give(struct pool *pool, void *page)
{
    give(pool, &pool->free, page);
}

void pool_give_clean(struct pool *pool, void *page)
{
    give(pool, &pool->clean, page);
}
