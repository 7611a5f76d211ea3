/*
 * A driver of the emulated disk's AHCI port for bare guests (Serial ATA AHCI 1.3.1, sections 3 and
 * 4.2), which uses command slot 0 alone. The machine's board has no AHCI controller, so a guest
 * with this driver has no native run. Included by one file of a guest.
 */
#pragma once
#include "bare.h"

#define AHCI_BASE    0x10010000ul
#define AHCI_HBA(r)  (*(volatile uint32_t *)(AHCI_BASE + (r)))
#define AHCI_PORT(r) AHCI_HBA(0x100u + (r))

#define AHCI_GHC  0x04u /* global control: bit 0 resets */
#define AHCI_CLB  0x00u /* command list */
#define AHCI_FB   0x08u /* received FISes */
#define AHCI_IS   0x10u
#define AHCI_CMD  0x18u
#define AHCI_TFD  0x20u
#define AHCI_SCTL 0x2cu /* 1: COMRESET as long as it is set */
#define AHCI_SERR 0x30u
#define AHCI_CI   0x38u

#define AHCI_CMD_ST  (1u << 0)
#define AHCI_CMD_FRE (1u << 4)
#define AHCI_CMD_CR  (1u << 15) /* the list is still being processed */

#define AHCI_READ  0x25u /* READ DMA EXT */
#define AHCI_WRITE 0x35u /* WRITE DMA EXT */

static uint8_t ahci_list[1024] __attribute__((aligned(1024)));
static uint8_t ahci_fis[256] __attribute__((aligned(256)));
static uint8_t ahci_table[0x80 + 16 * 16] __attribute__((aligned(128)));

/* From a reset of the controller to a port that takes commands. */
static inline void ahci_start(void)
{
    AHCI_PORT(AHCI_CMD) = 0;
    AHCI_HBA(AHCI_GHC) = 1;
    AHCI_HBA(AHCI_GHC) = 1u << 31;
    AHCI_PORT(AHCI_CLB) = (uint32_t)(uint64_t)ahci_list;
    AHCI_PORT(AHCI_CLB + 4) = 0;
    AHCI_PORT(AHCI_FB) = (uint32_t)(uint64_t)ahci_fis;
    AHCI_PORT(AHCI_FB + 4) = 0;
    AHCI_PORT(AHCI_SERR) = UINT32_MAX;
    AHCI_PORT(AHCI_IS) = UINT32_MAX;
    AHCI_PORT(AHCI_CMD) = AHCI_CMD_FRE;
    AHCI_PORT(AHCI_CMD) = AHCI_CMD_FRE | AHCI_CMD_ST;
}

/* Entry i of the command's list of pieces of memory; at most 4 MiB. */
static inline void ahci_part(unsigned i, const void *memory, uint32_t len)
{
    uint32_t entry[4] = {(uint32_t)(uint64_t)memory, 0, 0, len - 1};
    memcpy(ahci_table + 0x80 + 16 * i, entry, sizeof(entry));
}

static inline void ahci_submit(uint8_t command, uint64_t sector, uint16_t count, unsigned parts)
{
    uint32_t header[4] = {5u | (command == AHCI_WRITE ? 1u << 6 : 0) | parts << 16, 0,
                          (uint32_t)(uint64_t)ahci_table, 0};
    uint8_t fis[20] = {0x27,
                       0x80,
                       command,
                       0,
                       (uint8_t)sector,
                       (uint8_t)(sector >> 8),
                       (uint8_t)(sector >> 16),
                       0x40,
                       (uint8_t)(sector >> 24)};
    fis[12] = (uint8_t)count;
    fis[13] = (uint8_t)(count >> 8);
    memcpy(ahci_list, header, sizeof(header));
    memcpy(ahci_table, fis, sizeof(fis));
    bare_fence();
    AHCI_PORT(AHCI_CI) = 1;
}

/* Waits up to 3 s for the command's end. True: it ended without an error. */
static inline bool ahci_wait(void)
{
    uint64_t start = bare_time();
    while (AHCI_PORT(AHCI_CI) & 1)
        if (bare_time() - start > 30000000ul || AHCI_PORT(AHCI_TFD) & 1)
            return false;
    bare_fence();
    return true;
}
