/*
 * What inline.c asks of the rest where something is mapped or given up: no test of inlined code, nor
 * of brief exits, gets there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "engine/trap/patch.h"
#include "engine/trap/shadow.h"

static void *unexpected(void)
{
    fail_msg("nothing is mapped, and nothing given up");
    return NULL;
}

void shadow_put_fixed(struct vcpu *of, uint64_t gva, uint64_t hpa, uint64_t rights)
{
    (void)of, (void)gva, (void)hpa, (void)rights;
    unexpected();
}

uint64_t *shadow_leaf(const struct vcpu *of, uint64_t gva, unsigned *level)
{
    (void)of, (void)gva, (void)level;
    return unexpected();
}

void shadow_drop_leaf(struct vcpu *of, uint64_t gva)
{
    (void)of, (void)gva;
    unexpected();
}

void shadow_drop_all(struct vm *of)
{
    (void)of;
    unexpected();
}

void patch_drop_all(struct vm *of)
{
    (void)of;
    unexpected();
}

uint64_t walk_guest(struct vm *of, const struct walk_mode *mode, uint64_t gva, enum access access,
                    struct walk *walk)
{
    (void)of, (void)mode, (void)gva, (void)access, (void)walk;
    unexpected();
    return CAUSE_LOAD_PAGE;
}

const uint64_t *walk_table(struct vm *of, uint64_t satp, uint64_t gva, unsigned level, bool *global)
{
    (void)of, (void)satp, (void)gva, (void)level, (void)global;
    return unexpected();
}
