/*
 * A vcpu of PATCH=inline that makes system calls, by brief exits (core/engine/trap/brief.c) and
 * the long way: for test_brief.c. Of the shadow there are two roots, and of the guest's memory
 * nothing.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "engine/trap/brief.h"
#include "engine/trap/inline.h"
#include "engine/trap/shadow_internal.h"
#include "engine/trap/site.h"
#include "rig.h"

#define SATP (SATP_MODE_SV39 << SATP_MODE_SHIFT | 3ul << SATP_ASID_SHIFT | 0x80300)

extern struct trap_vcpu own;
extern struct inlined inlined;
extern struct shadow shadow;

/* rig_row(), with the vcpu in this mode. */
void brief_setup(const char *name, enum vmode mode);

/* Random contents of what the guest owns. */
void brief_fill(void);

/* The instruction at pc is known to the engine. */
struct site *brief_site(uint64_t pc);
void brief_put_site(uint64_t pc, uint32_t raw);

/* The two long ways. */
void brief_call_long(void);
void brief_return_long(void);

/* Both ways from here on. True: it was brief, and all is as by the long way. False: it was not, and
 * nothing has changed. */
bool brief_compare(void (*long_way)(void));
