/* A guest with random page tables, for tests of the shadow: shadow_guest.c, which has its rules. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "isa/decode.h"
#include "device.h"
#include "host/map.h"
#include "engine/trap/patch.h"
#include "engine/trap/shadow_internal.h"
#include "mmu.h"
#include "vm/vm.h"

#define RAM_GPA    0x80000000ul
#define RAM_SIZE   (16ul << 20)
#define RAM_FIRST  (RAM_GPA + 0x60000)
#define VMM_HPA    (RAM_GPA + RAM_SIZE)
#define VMM_SIZE   (4ul << 20)
#define UART_GPA   0x10000000ul /* emulated: no memory */
#define WINDOW_GPA 0x10001000ul /* given to the guest */
#define WINDOW_HPA 0x20005000ul
#define HOST_ENTRY 0x2000000000000001ul /* the VMM's: anything that is no user page */

#define ROOTS  4u /* of each mode */
#define TABLES 64u
#define FRAMES 24u  /* that pages map */
#define PLENTY 400u /* pages of the pool, that never run out */

/* A table of the guest's. */
struct table {
    uint64_t gpa;
    unsigned levels, level; /* 3: Sv39, 4: Sv48; 0: of 4 KiB pages */
    bool global;            /* below the root entry that all spaces of the mode share */
};

extern uint8_t *arena; /* RAM and the VMM's memory */
extern struct vm *vm;
extern struct vcpu *vcpu;
extern struct trap_vcpu *own; /* of vcpu */
extern struct shadow *shadow;
extern struct table tables[TABLES];
extern unsigned root_of[2][ROOTS]; /* index in tables[]: of Sv39, of Sv48 */
extern uint64_t frames[FRAMES];

/* How the guest runs. */
extern unsigned patching; /* percentage of the kernel's fetches that are patched; run() sets it */
extern uint64_t lent_hpa; /* of a page that the host's disk is writing to; 0: none */
extern unsigned switches; /* enum shadow_switch */
extern bool lawless;      /* it fences nothing: what it sees is its own affair */
extern bool stingy;       /* an exit may do next to no work: tables are put aside all the time */

unsigned random_below(unsigned n);
bool chance(unsigned percent);
uint64_t *host_memory(uint64_t hpa);
uint64_t *guest_memory(uint64_t gpa);

/* A guest with random tables, on a machine with so many levels and so many pages for the VMM. */
void start(unsigned host_levels, unsigned pool_pages, unsigned in_use);

/* The same, which then does count random things: accesses, changes of its tables, fences, switches.
 * All that is seen is checked. in_use: so many ASIDs. */
void run(unsigned host_levels, unsigned pool_pages, unsigned in_use, unsigned long count);

/* A guest with one level-0 table at address 0, in vS with SUM clear. The table's gpa. */
uint64_t start_small(void);

/* A level-0 entry of frames[frame] with R, V and these bits. */
uint64_t page_entry(unsigned frame, uint64_t bits);

void set_mode(unsigned bits); /* 1: vU, 2: SUM, 4: MXR */
void enter_guest(void);
void next_exit(void);
void store_entry(uint64_t gpa, uint64_t pte); /* as a device's store */
void take_snapshot(void);                     /* the guest's tables are as they should be */

/* What the machine, walking from a root, makes of an access. */
struct mmu_result machine(uint64_t root_hpa, uint64_t va, enum access access);

/* The root that the guest is entered with. */
uint64_t current_root(void);

/* Whether the machine itself lets an access of the current mode through. */
bool is_mapped(uint64_t va, enum access access);

/* The shadow's answer to a fault there. */
void expect(uint64_t va, enum access access, enum shadow_answer answer);

/* An access, through the TLB, the shadow's tables and a fault. */
void access_memory(uint64_t va, enum access access);

/* The whole state: what is counted; the patched copies; what all roots let through, at random. */
void check_counts(void);
void check_copies(void);
void check_roots(void);

int set_up(void **state);
int tear_down(void **state);
