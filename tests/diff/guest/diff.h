/*
 * What the runner (tests/diff/batch.py) and this guest agree on: the records of a batch and the
 * physical memory that a program has. All numbers are little-endian 64-bit words.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define BATCH_MAGIC 0x6666696474ul /* the initrd's first word; then the number of programs */

/* Physical memory of a program. Its code has frames of its own in each slot of a batch. */
#define TABLES      0x80800000ul
#define TABLE_COUNT 16u
#define DATA        0x80a00000ul
#define DATA_PAGES  16u
#define CODE_PAGES  8u

/* What it sees of it with paging on (the Python side says which page has which permission). */
#define PHYSMAP   0x100000000ul        /* vS alone: RAM from 0x80000000, 1 GiB, read and write */
#define UPPER     0xffffffff00000000ul /* vS alone: code once more, in the upper half */
#define USER_CODE 0x12800000ul         /* vU: the code pages */

#define POOL_WORDS 32u
#define SLOT_WORDS 16u
#define TRAPS_MAX  96u /* a program ends there */
#define STRAYS_MAX 16u

/* One program. x, pool, entries, reactions and chunks follow, in this order. */
struct program {
    uint64_t bytes;   /* of the whole record */
    uint64_t verbose; /* print everything, not only the hash */
    uint64_t code;    /* physical address of its code pages */
    uint64_t home;    /* where vS executes them */
    uint64_t pc, sstatus, sie, sip, stimecmp, satp, stvec, sscratch, scounteren, senvcfg;
    uint64_t exit; /* code through which the handler returns; 0: its own */
    uint64_t fill; /* seed of the data pages */
    uint64_t entries, reactions, chunks;
    uint64_t x[32];
    uint64_t pool[POOL_WORDS];
};

struct entry {
    uint64_t table, index, value;
};

/* What the handler does about an exception at an offset of the code, instead of skipping. */
enum { REACTION_END, REACTION_GOTO };
struct reaction {
    uint64_t offset, action, target; /* target: an offset, reached in vS */
};

struct chunk {
    uint64_t offset, bytes; /* then the bytes, padded to 8 */
};

/* Below the vector, reached by gp. Assembly and generated code know these offsets. */
struct frame {
    uint64_t x[32];
    uint64_t sstatus, sepc; /* as the trap left them, and to return with */
    uint64_t exit, busy;
    uint64_t slot[SLOT_WORDS]; /* of the program's own handler */
    uint64_t pool[POOL_WORDS];
    uint64_t kept[14]; /* C registers while a program runs */
};

extern struct frame frame;
extern char vector[];

/* Into the program by sret; returns when handle_trap() has said that it is over. (entry.S) */
void enter_program(void);

/* Whether the program goes on. (run.c) */
bool handle_trap(void);
_Noreturn void handle_own_trap(void);

/* All f registers, and fcsr last. sstatus.FS must not be Off. (entry.S) */
void float_save(uint64_t f[33]);
void float_load(const uint64_t f[33]);
