/*
 * A VM of one vcpu on one hart for unit tests of the core. Its engine, its board's calls and
 * whatever else a test replaces only note that they were called: a test says what is to be heard,
 * in order. Link rig.c and hart.c with the part of core/ under test and a cmocka program.
 *
 *     rig_row("by address");
 *     priv_execute(&rig.vcpu, &insn);
 *     rig_calls("fence 1 0x5000 0");
 *     rig_equal(rig.vcpu.pc, RIG_PC + 4);
 *
 * Guest RAM is an array of exact size, so that the address sanitizer sees one byte too many.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "hart.h"
#include "host/hart.h"
#include "host/machine.h"
#include "isa/riscv.h"
#include "vm/engine.h"
#include "vm/vm.h"

#define RIG_RAM      0x80200000ul /* the first address that the guest may touch */
#define RIG_RAM_SIZE (16 * PAGE_SIZE)
#define RIG_FIRMWARE 0x80000000ul /* where its RAM begins in the device tree */
#define RIG_PC       0x80200100ul
#define RIG_STVEC    0x80201000ul
#define RIG_HARTID   3u

struct rig {
    struct vm vm;
    struct vcpu vcpu;
    struct host host;
    struct hart *hart; /* hart_this(), and the vcpu's */

    /* Called, where not null, after the board's call of that name was noted. */
    void (*on_poll)(void);
    void (*on_settle)(void);
};

extern struct rig rig;
extern uint8_t rig_ram[RIG_RAM_SIZE];
extern const struct vm_board rig_board; /* without follow */
extern const struct engine rig_engine;

/* All as at the guest's first instruction, but pc is RIG_PC and stvec RIG_STVEC; nothing has been
 * noted or changed. name: what a failure says first. */
void rig_row(const char *name);

/* A cmocka setup: rig_row() without a name. */
int rig_setup(void **state);

/* Notes a call. Calls are separated by "; ". */
__attribute__((format(printf, 1, 2))) void rig_note(const char *format, ...);

/* These calls have been noted, and no others, since the last rig_calls(). */
#define rig_calls(calls) rig_check_calls(calls, __FILE__, __LINE__)

/* Two numbers are the same. */
#define rig_equal(actual, wanted) \
    rig_check(#actual, (uint64_t)(actual), (uint64_t)(wanted), __FILE__, __LINE__)

/* What an exit is counted as. */
#define rig_exit(exit, class, detail) rig_equal((exit).bits, exit_of(class, detail).bits)

/* The guest got this exception at RIG_PC, or at another pc. */
#define rig_raised(cause, stval)        rig_raised_at(RIG_PC, cause, stval)
#define rig_raised_at(pc, cause, stval) rig_check_raised(pc, cause, stval, __FILE__, __LINE__)

/* The clocks go on: retired instructions, and ticks of the timebase. */
void rig_pass(uint64_t instructions, uint64_t ticks);

/* What the macros above call. */
void rig_check_calls(const char *calls, const char *file, int line);
void rig_check(const char *what, uint64_t actual, uint64_t wanted, const char *file, int line);
void rig_check_raised(uint64_t pc, uint64_t cause, uint64_t stval, const char *file, int line);

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))
