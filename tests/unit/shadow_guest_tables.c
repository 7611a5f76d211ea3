/* The guest of shadow_guest.h: its page tables, its addresses and its address spaces, at random. */
#include "shadow_guest_internal.h"

#include <string.h>

/* --- The guest's tables --- */

struct table tables[TABLES];
unsigned ntables;
unsigned root_of[2][ROOTS];
uint64_t frames[FRAMES];
uint8_t snapshot[TABLES * PAGE_SIZE];

const unsigned top_indices[] = {0, 1, 255, 256, 511};
const unsigned low_indices[] = {0, 3, 511};
const unsigned page_indices[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 511};

static unsigned add_table(unsigned levels, unsigned level, bool global)
{
    assert_true(ntables < TABLES);
    tables[ntables] = (struct table){0x80200000ul + ntables * PAGE_SIZE, levels, level, global};
    return ntables++;
}

bool is_table(uint64_t gpa)
{
    return gpa - tables[0].gpa < ntables * PAGE_SIZE;
}

static uint64_t random_leaf_address(unsigned level)
{
    static const uint64_t odd[] = {UART_GPA,           WINDOW_GPA, RAM_GPA,
                                   RAM_GPA + RAM_SIZE, 0x10002000, 1ul << 55};
    if (level == 0)
        return chance(85) ? SOME(frames) : SOME(odd);
    if (level > 1)
        return chance(50) ? RAM_GPA : 0; /* 1 GiB that holds RAM, or the devices; 512 GiB */
    return chance(80)   ? RAM_GPA + random_below(9) * (2ul << 20)
           : chance(50) ? UART_GPA
                        : SOME(frames);
}

static uint64_t random_leaf(const struct table *table)
{
    static const uint64_t permissions[] = {2, 6, 8, 10, 14, 14, 10};
    uint64_t address = random_leaf_address(table->level) & ((1ul << 56) - 1);
    if (table->level > 1)
        address &= -(1ul << (12 + 9 * table->level));
    uint64_t pte = address >> 12 << 10 | PTE_V | (chance(96) ? SOME(permissions) : 4);
    pte |= (chance(50) ? PTE_U : 0) | (chance(60) ? PTE_A : 0) | (chance(50) ? PTE_D : 0);
    pte |= table->global && chance(70) ? PTE_G : 0;
    return pte | (chance(3) ? 1ul << (54 + random_below(10)) : 0);
}

static uint64_t random_entry(const struct table *table)
{
    unsigned kind = random_below(100);
    bool root = table->level == table->levels - 1;
    if (kind < 8)
        return random_leaf(table) & ~(uint64_t)PTE_V;
    if (table->level == 0 || kind > (root ? 95 : 70))
        return random_leaf(table);
    unsigned child;
    do
        child = random_below(ntables);
    while (tables[child].levels != table->levels || tables[child].level != table->level - 1 ||
           tables[child].global != table->global);
    uint64_t gpa = chance(98) ? tables[child].gpa : chance(50) ? UART_GPA : RAM_GPA + RAM_SIZE;
    return gpa >> 12 << 10 | PTE_V | (table->global && chance(30) ? PTE_G : 0) |
           (chance(2) ? PTE_A : 0);
}

unsigned random_index(const struct table *table)
{
    return table->level == table->levels - 1 ? SOME(top_indices)
           : table->level > 0                ? SOME(low_indices)
                                             : SOME(page_indices);
}

/* A store to guest memory that does not go through the shadow, as a device's. */
void store_entry(uint64_t gpa, uint64_t pte)
{
    uint64_t *entry = vm_ram_for_write(vm, gpa, 8);
    assert_non_null(entry);
    *entry = pte;
}

void put_entry(const struct table *table, unsigned index, uint64_t pte)
{
    if (table->level < table->levels - 1 || index != GLOBAL_INDEX) {
        store_entry(table->gpa + 8 * index, pte);
        return;
    }
    for (unsigned i = 0; i < ROOTS; i++)
        store_entry(tables[root_of[table->levels - 3][i]].gpa + 8 * index, pte);
}

uint64_t random_for(const struct table *table, unsigned index)
{
    struct table as = *table;
    as.global |= table->level == table->levels - 1 && index == GLOBAL_INDEX;
    return random_entry(&as);
}

void take_snapshot(void)
{
    memcpy(snapshot, host_memory(tables[0].gpa), ntables * PAGE_SIZE);
}

void make_tables(void)
{
    ntables = 0;
    for (unsigned levels = 3; levels <= 4; levels++) {
        for (unsigned i = 0; i < ROOTS; i++)
            root_of[levels - 3][i] = add_table(levels, levels - 1, false);
        for (unsigned level = 0; level < levels - 1; level++)
            for (unsigned i = 0; i < 6; i++)
                add_table(levels, level, i >= 4);
    }
    for (unsigned i = 0; i < FRAMES; i++) /* some next to each other, some in the tables' block */
        frames[i] = RAM_GPA + 0x300000 + (i / 3) * 0xc0000 + (i % 3) * PAGE_SIZE;
    frames[0] = RAM_FIRST;
    frames[1] = RAM_GPA + RAM_SIZE - PAGE_SIZE;
    frames[2] = tables[ntables - 1].gpa + 5 * PAGE_SIZE;
    frames[3] = tables[6].gpa; /* code and table in one page */
    frames[4] = tables[ntables - 3].gpa;
    for (unsigned i = 0; i < ntables; i++) {
        bool root = tables[i].level == tables[i].levels - 1;
        for (unsigned index = 0; index < 512; index++) {
            bool used = false;
            for (unsigned j = 0; j < sizeof(page_indices) / sizeof(page_indices[0]); j++)
                used |= tables[i].level == 0 && page_indices[j] == index;
            for (unsigned j = 0; j < 3; j++)
                used |= tables[i].level > 0 && !root && low_indices[j] == index;
            for (unsigned j = 0; j < 5; j++)
                used |= root && top_indices[j] == index;
            if (used)
                put_entry(&tables[i], index, random_for(&tables[i], index));
        }
    }
}

/* --- Addresses and spaces --- */

uint64_t canonical(uint64_t va, unsigned levels)
{
    unsigned unused = 64 - (12 + 9 * levels);
    return (uint64_t)((int64_t)(va << unused) >> unused);
}

uint64_t random_va(unsigned levels)
{
    if (levels < 3 || chance(1)) { /* paging off, or nonsense */
        static const uint64_t odd[] = {0xffff800080200000, 0xff00000080200000, 0x8000000000,
                                       UART_GPA, 0};
        return chance(70)   ? SOME(frames) + random_below(PAGE_SIZE)
               : chance(50) ? WINDOW_GPA + 8
                            : SOME(odd);
    }
    uint64_t va = (uint64_t)SOME(top_indices) << (12 + 9 * (levels - 1));
    for (unsigned level = 1; level < levels - 1; level++)
        va |= (uint64_t)SOME(low_indices) << (12 + 9 * level);
    return canonical(va | (uint64_t)SOME(page_indices) << 12 | random_below(PAGE_SIZE), levels);
}

unsigned space_levels(uint64_t satp)
{
    return satp >> 60 ? (unsigned)(satp >> 60) - 5 : 0;
}

uint64_t random_satp(void)
{
    if (chance(6))
        return 0;
    unsigned asid = random_below(asids), space = asid % (2 * ROOTS), levels = 3 + space / ROOTS;
    if (levels == 4 && shadow->host_levels == 4)
        levels = 3;
    return (uint64_t)(levels + 5) << 60 | (uint64_t)asid << 44 |
           tables[root_of[levels - 3][space % ROOTS]].gpa >> 12;
}

uint64_t satp_of(unsigned asid)
{
    unsigned space = asid % (2 * ROOTS), levels = shadow->host_levels == 4 ? 3 : 3 + space / ROOTS;
    return (uint64_t)(levels + 5) << 60 | (uint64_t)asid << 44 |
           tables[root_of[levels - 3][space % ROOTS]].gpa >> 12;
}
