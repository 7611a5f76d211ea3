/* What patch.c (copies and their sites) and patch_code.c (reading code) share. */
#pragma once
#include "engine/trap/patch.h"
#include "engine/trap/shadow_internal.h"
#include "host/map.h"

/* A frame as the guest wrote it. */
static inline uint8_t *patch_original(const struct vm *vm, uint64_t frame)
{
    return map_hpa(vm->ram.gpa + vm->ram.hpa_offset + (frame << PAGE_SHIFT));
}

/* Its patched copy, or null. */
static inline uint8_t *patch_copy(const struct vm *vm, uint64_t frame)
{
    uint16_t copy = shadow_of(vm)->patch[frame];
    return copy ? shadow_of(vm)->pool.base + ((uint64_t)(copy - 1) << PAGE_SHIFT) : NULL;
}

/* What is known of the copy of a frame, which has one. */
static inline struct pool_page *patch_known(const struct vm *vm, uint64_t frame)
{
    const struct shadow *shadow = shadow_of(vm);
    return &shadow->page[shadow->patch[frame] - 1u];
}

/* The frame that pc executes from through the current root; false when it is no RAM page there. */
bool patch_frame_at(const struct vcpu *vcpu, uint64_t pc, uint64_t *frame, bool *patched);
