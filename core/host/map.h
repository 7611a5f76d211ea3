/*
 * The VMM's own view of memory: one direct map, va = hpa + map_offset, supervisor-only, present in
 * every shadow root. Before paging is on, map_offset is 0.
 *
 * It lies in the hole that is non-canonical for the guest: slot 256 of the host's root table. With
 * an Sv48 host that is the hole of an Sv39 guest, with an Sv57 host that of an Sv48 guest.
 */
#pragma once
#include <stdint.h>

extern uint64_t map_offset __attribute__((visibility("hidden"))); /* no detour by the GOT */

#define MAP_ROOT_SLOT   256u
#define MAP_OFFSET_SV48 0xffff800000000000ul
#define MAP_OFFSET_SV57 0xff00000000000000ul
#define MAP_SIZE        (512ul << 30) /* hpa [0, 512 GiB) */

static inline void *map_hpa(uint64_t hpa)
{
    return (void *)(hpa + map_offset);
}

static inline uint64_t map_pointer_hpa(const void *pointer)
{
    return (uint64_t)pointer - map_offset;
}
