/*
 * The trap engine as trap.c sees it, with every part beside it replaced: each part notes what it is
 * told to do (rig.h), and answers what a row of a test says. What is only asked, and changes
 * nothing, is not noted.
 */
#pragma once
#include "engine/trap/inline.h"
#include "engine/trap/patch.h"
#include "engine/trap/shadow.h"
#include "engine/trap/site.h"
#include "engine/trap/trap.h"
#include "rig.h"

#define PARTS_GPA   0x10000040ul /* shadow_fault()'s */
#define PARTS_STVAL 0x40000040ul /* of a trap, unless a row says otherwise */

/* Codes for what is at pc. */
#define CODE_ADD       0x00b50533u
#define CODE_LD        0x04053583u /* ld a1, 64(a0) */
#define CODE_SD        0x04b53023u /* sd a1, 64(a0) */
#define CODE_LR        0x1005b52fu
#define CODE_CSRR      0x10002573u
#define CODE_FLD       0x04053587u
#define CODE_CBO_CLEAN 0x0015200fu
#define CODE_CBO_ZERO  0x0045200fu
#define CODE_RDTIME    0xc0102573u

/* What the parts answer. */
struct parts {
    uint32_t code;    /* at pc */
    uint64_t unknown; /* patch_fetch() of it: not 0 */
    uint32_t before;  /* at a page before pc; 0: unknown */
    bool lost;        /* site_read() and site_fetch() do not know it */
    bool sensitive;
    bool cannot_fault; /* site_may_have_faulted() */

    bool repairs, patches, promotes, opens_float;
    enum shadow_answer answer, second; /* of shadow_fault(), the first time and later */
    bool code_changes;                 /* in it */
    bool may_reach, reaches;           /* shadow_may_reach(), ahead_reach() */
    uint64_t fetch_fault;              /* shadow_fetch_fault() */
    uint64_t read_fault;               /* emulate_read() */

    bool inlines;  /* PATCH=inline: the vcpu has a page of virtual CSRs */
    bool maps;     /* inline_may_map() */
    uint32_t form; /* inline_form() */
    bool low;      /* inline_has_low() */
    bool gives_way;
    enum inline_finished finished;
    uint64_t finished_pc; /* where the vcpu is then; 0: as before */

    uint8_t changes; /* vcpu->changed, by ahead_run() */
    bool changes_fs; /* priv_execute() */
};

struct parts_state {
    struct trap_vcpu own;
    struct shadow shadow;
    struct inlined inlined;
    struct inline_code code;
    struct site sites[SITES]; /* site_renew() fills them */
    unsigned asked;           /* shadow_fault() */
};

/* In a row of a table: what is not 0. */
#define WITH(...) ((struct parts){__VA_ARGS__})

extern struct parts parts;
extern struct parts_state parts_state;

/* rig_row(), and the parts answer so from now on; null: they answer with zeroes. */
void parts_row(const char *name, const struct parts *answers);

/* What is remembered of the instruction at RIG_PC. */
struct site *parts_site(void);

/* The guest traps at pc. Returns what the exit was counted as; all but its begin and its end has
 * been noted. */
struct exit parts_trap(uint64_t cause, uint64_t stval);

/* The same with a cause that must not come: true if it ends in a panic. */
bool parts_panics(uint64_t cause);
