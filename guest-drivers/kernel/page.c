/*
 * Physical pages and the kernel's page table (privileged specification, Sv39).
 *
 * Pages are a bitmap, found first-fit, so that a contiguous buffer for a device is an ordinary
 * allocation. The surprise: the map is identity, so turning paging on changes no pointer.
 */
#include <libfdt.h>

#include "kernel.h"
#include "isa/riscv.h"

#define LEVELS 3

extern char kernel_base[], kernel_text_end[], kernel_end[];

static uint8_t *bitmap; /* one bit per page from `first` on; 1: the page is taken */
static uint64_t first;
static size_t total, free_pages;
static uint64_t kernel_satp;

static bool is_taken(size_t page)
{
    return bitmap[page / 8] >> (page % 8) & 1;
}

static void mark(size_t page, bool taken)
{
    uint8_t bit = (uint8_t)(1u << (page % 8));
    bitmap[page / 8] = taken ? bitmap[page / 8] | bit : bitmap[page / 8] & (uint8_t)~bit;
}

static void reserve(uint64_t base, uint64_t size)
{
    uint64_t end = (base + size + PAGE_MASK) & ~PAGE_MASK;
    for (uint64_t at = base & ~PAGE_MASK; at < end; at += PAGE_SIZE) {
        size_t page = (at - first) / PAGE_SIZE;
        if (at >= first && page < total && !is_taken(page)) {
            mark(page, true);
            free_pages--;
        }
    }
}

void page_init(void)
{
    first = ((uint64_t)kernel_end + PAGE_MASK) & ~PAGE_MASK;
    total = (board.ram_base + board.ram_size - first) / PAGE_SIZE;
    free_pages = total;
    uint64_t dtb = (uint64_t)board.dtb, dtb_end = dtb + fdt_totalsize(board.dtb);
    /* The bitmap goes right behind the kernel, or behind the device tree if the tree is there. */
    uint64_t bitmap_size = (total + 7) / 8, at = first;
    if (dtb < at + bitmap_size && dtb_end > at)
        at = (dtb_end + 7) & ~7ul;
    bitmap = (uint8_t *)at;
    memset(bitmap, 0, bitmap_size);
    reserve(at, bitmap_size);
    reserve(dtb, dtb_end - dtb);
}

void *page_alloc(size_t pages)
{
    size_t run = 0;
    for (size_t page = 0; page < total && pages > 0; page++) {
        run = is_taken(page) ? 0 : run + 1;
        if (run == pages) {
            size_t start = page + 1 - pages;
            for (size_t i = start; i <= page; i++)
                mark(i, true);
            free_pages -= pages;
            void *base = (void *)(first + start * PAGE_SIZE);
            memset(base, 0, pages * PAGE_SIZE);
            return base;
        }
    }
    return NULL;
}

void page_free(void *base, size_t pages)
{
    size_t start = ((uint64_t)base - first) / PAGE_SIZE;
    for (size_t i = start; i < start + pages; i++) {
        if (i >= total || !is_taken(i))
            panic("page_free: %p is not allocated", base);
        mark(i, false);
    }
    free_pages += pages;
}

size_t page_free_count(void)
{
    return free_pages;
}

static bool map_one(uint64_t *table, uint64_t va, uint64_t pte, int leaf_level)
{
    for (int level = LEVELS - 1; level > leaf_level; level--) {
        uint64_t *entry = &table[va >> (PAGE_SHIFT + 9 * level) & 511];
        if (!(*entry & PTE_V)) {
            void *next = page_alloc(1);
            if (!next)
                return false;
            *entry = (uint64_t)next >> PAGE_SHIFT << PTE_PPN_SHIFT | PTE_V;
        }
        table = (uint64_t *)(PTE_PPN(*entry) << PAGE_SHIFT);
    }
    table[va >> (PAGE_SHIFT + 9 * leaf_level) & 511] = pte;
    return true;
}

bool page_map(uint64_t *root, uint64_t va, uint64_t pa, uint64_t size, uint64_t flags)
{
    while (size > 0) {
        int level = LEVELS - 1;
        uint64_t step = PAGE_SIZE << (9 * level);
        while (level > 0 && (((va | pa) & (step - 1)) || size < step)) {
            level--;
            step = PAGE_SIZE << (9 * level);
        }
        if (!map_one(root, va, pa >> PAGE_SHIFT << PTE_PPN_SHIFT | flags | PTE_V, level))
            return false;
        va += step;
        pa += step;
        size -= step;
    }
    return true;
}

static bool map_range(uint64_t *root, uint64_t start, uint64_t end, uint64_t flags)
{
    start &= ~PAGE_MASK;
    end = (end + PAGE_MASK) & ~PAGE_MASK;
    return page_map(root, start, start, end - start, flags | PTE_A | PTE_D);
}

static bool map_device(uint64_t *root, const struct board_device *device)
{
    return device->base == 0 ||
           map_range(root, device->base, device->base + device->size, PTE_R | PTE_W);
}

bool page_enable(void)
{
    uint64_t *root = page_alloc(1), text_end = (uint64_t)kernel_text_end;
    if (!root || !map_range(root, board.ram_base, (uint64_t)kernel_base, PTE_R) ||
        !map_range(root, (uint64_t)kernel_base, text_end, PTE_R | PTE_X) ||
        !map_range(root, text_end, board.ram_base + board.ram_size, PTE_R | PTE_W) ||
        !map_device(root, &board.uart) || !map_device(root, &board.plic) ||
        !map_device(root, &board.finisher) || !map_device(root, &board.ahci) ||
        !map_device(root, &board.ata) ||
        (board.ata_control &&
         !map_range(root, board.ata_control, board.ata_control + 1, PTE_R | PTE_W)))
        return false;
    for (unsigned i = 0; i < board.virtios; i++)
        if (!map_device(root, &board.virtio[i]))
            return false;
    kernel_satp = SATP_MODE_SV39 << SATP_MODE_SHIFT | (uint64_t)root >> PAGE_SHIFT;
    sfence_vma_all();
    csr_write(CSR_SATP, kernel_satp);
    sfence_vma_all();
    return csr_read(CSR_SATP) == kernel_satp;
}

uint64_t page_kernel_satp(void)
{
    return kernel_satp;
}
