/*
 * What the parts of the guest of shadow_guest.h share: the machine and one access of it
 * (shadow_guest.c), its tables and addresses (shadow_guest_tables.c), what must hold
 * (shadow_guest_check.c), and runs of random things (shadow_guest_run.c).
 */
#pragma once
#include "shadow_guest.h"

#define GLOBAL_INDEX 511u /* of the root entry that all spaces of a mode share */
#define SOME(array)  ((array)[random_below(sizeof(array) / sizeof((array)[0]))])

extern unsigned long rounds; /* for messages */
extern unsigned ntables;
extern unsigned asids; /* in use: space s has ASIDs s, s + 2 * ROOTS, ... */
extern uint8_t snapshot[TABLES * PAGE_SIZE];

/* The indices that tables have entries at: of roots, of those below, of pages. */
extern const unsigned top_indices[5], low_indices[3], page_indices[11];

/* As trap_prepare() does (core/engine/trap/trap.c): what has forgotten all translations left no
 * root. */
void prepare(void);

/* --- The tables --- */

void make_tables(void);
bool is_table(uint64_t gpa);
unsigned random_index(const struct table *table);
uint64_t random_for(const struct table *table, unsigned index);

/* The root entry GLOBAL_INDEX is the same in all roots of a mode: what lies below may be global. */
void put_entry(const struct table *table, unsigned index, uint64_t pte);

uint64_t canonical(uint64_t va, unsigned levels);
uint64_t random_va(unsigned levels);
uint64_t random_satp(void);
uint64_t satp_of(unsigned asid);
unsigned space_levels(uint64_t satp);

/* --- What must hold --- */

bool is_window(uint64_t gpa);

/* What the machine lets through must be what the guest's tables say, with A and D already set. */
void check_allowed(const struct mmu_hart *hart, uint64_t va, enum access access, uint64_t hpa);

/* The guest's tables are as before but for A, and D of a store, in the leaf. */
void check_accessed_dirty(const struct mmu_result *guest, enum access access);

/* The vcpu's root is of its space and view, and it is entered with it. */
void check_current_root(void);

/* The kernel's access is one that SUM permits, and its process's root has the page now. */
void check_in_user_view(const struct mmu_hart *hart, uint64_t va, enum access access);

/* All roots of a space: what they let through at an address. */
void check_space(uint64_t satp, uint64_t va);
