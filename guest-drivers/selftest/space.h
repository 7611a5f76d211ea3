/*
 * Address spaces for the checks: tables in static memory, in which the kernel's RAM is mapped
 * identity for vS (the harness needs it) and everything else is free.
 */
#pragma once
#include <stdint.h>

#include "harness.h"

#define SPACE_WINDOW 0x100000000ul               /* gvas that checks map their pages at */
#define SPACE_CODE   (SPACE_WINDOW + 0x10000000) /* where space_user_code() maps a fragment */

#define PTE_LEAF(gpa, flags) ((gpa) >> PAGE_SHIFT << PTE_PPN_SHIFT | PTE_V | (flags))
#define PTE_S_RW             (PTE_R | PTE_W | PTE_A | PTE_D)
#define PTE_S_RWX            (PTE_S_RW | PTE_X)
#define PTE_U_RW             (PTE_S_RW | PTE_U)

/* Pages for the checks' own use. */
#define SPACE_PAGES 8
extern uint64_t space_page[SPACE_PAGES][PAGE_SIZE / 8];

/* Forgets all tables, zeroes the pages, and returns the root of the first space. */
uint64_t *space_reset(void);
/* The root of one more space. */
uint64_t *space_new(void);

/* satp of an Sv39 space. */
uint64_t space_satp(const uint64_t *root, uint64_t asid);
/* satp of the same space seen through a fourth level; 0 if the hart has no Sv48. */
uint64_t space_satp48(const uint64_t *root);

/* The entry that maps gva at that level (0: 4 KiB, 1: 2 MiB, 2: 1 GiB); makes the tables above. */
uint64_t *space_pte(uint64_t *root, uint64_t gva, unsigned level);

/* Maps a page of 4 KiB. */
void space_map(uint64_t *root, uint64_t gva, const void *gpa, uint64_t flags);

/* Maps the run's fragment at SPACE_CODE and lets the run execute it there, in vU. */
void space_user_code(uint64_t *root, struct run *run);

/* One access to one address, in the run's mode, sstatus and satp. The operand is 8 bytes; a fetch
 * has arrived if it ends in CAUSE_BREAKPOINT, so space_access() puts an ebreak where `where` is. */
enum access { ACCESS_LOAD, ACCESS_STORE, ACCESS_FETCH };
#define SPACE_EBREAKS 0x0010007300100073ul /* what the access loads, stores or executes */
void space_access(struct run *run, enum access access, uint64_t *root, uint64_t gva);

/* Checks what that access has ended in: it went well, or in a page fault, or in an access fault,
 * each with the exact sepc and stval. */
enum outcome { ACCESS_DONE, PAGE_FAULT, ACCESS_FAULT };
bool space_expect(const struct run *run, enum access access, uint64_t gva, enum outcome outcome);

/* space_access() and its check in one, from a mode and with an sstatus. */
bool space_try(uint64_t *root, enum access access, enum mode mode, uint64_t sstatus, uint64_t gva,
               enum outcome outcome);
