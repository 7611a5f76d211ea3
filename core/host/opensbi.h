/*
 * What versions of the machine's firmware do differently, where a guest would see it: the guest is
 * to meet what it meets on this machine without the VMM. Versions by name: docs/testing.md. SBI
 * specification 2.0, "Base Extension".
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "host/firmware.h"

#define FIRMWARE_BASE         0x10ul
#define FIRMWARE_IMPL_ID      1ul
#define FIRMWARE_IMPL_VERSION 2ul
#define OPENSBI               1u /* its implementation ID */
#define OPENSBI_VERSION(a, b) ((uint64_t)(a) << 16 | (b))

/* OPENSBI_VERSION of the firmware; 0: it is another one. */
static inline uint64_t opensbi_version(void)
{
    if (firmware_call(FIRMWARE_BASE, FIRMWARE_IMPL_ID, 0, 0, 0).value != OPENSBI)
        return 0;
    return firmware_call(FIRMWARE_BASE, FIRMWARE_IMPL_VERSION, 0, 0, 0).value;
}

/* Whether it also writes to the console unasked, in the middle of the guest's output: a sentence
 * for each illegal SYSTEM instruction that accesses no CSR. */
static inline bool opensbi_talks(void)
{
    return opensbi_version() >= OPENSBI_VERSION(1, 6);
}

/* Whether it carries out each rdtime that traps, also one that scounteren.TM forbids vU. */
static inline bool opensbi_gives_time(void)
{
    uint64_t version = opensbi_version();
    return version != 0 && version < OPENSBI_VERSION(1, 6);
}
