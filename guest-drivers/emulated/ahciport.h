/*
 * An AHCI controller (AHCI 1.3.1) and one port of it: registers, command list and command tables.
 * What a command is for is not known here (ahci.c).
 */
#pragma once
#include "kernel.h"

#define HBA_CAP 0x00u /* capabilities */
#define HBA_GHC 0x04u /* global control */
#define HBA_IS  0x08u /* ports that interrupt, write 1 to clear */
#define HBA_PI  0x0cu /* ports that exist */

#define CAP_SLOTS(cap) (((cap) >> 8 & 31) + 1)
#define CAP_SPIN_UP    (1u << 27)
#define CAP_NCQ        (1u << 30)
#define GHC_RESET      (1u << 0)
#define GHC_INTERRUPTS (1u << 1)
#define GHC_ENABLE     (1u << 31)

#define PORT_CLB  0x00u /* command list; high half 4 further */
#define PORT_FB   0x08u /* received FISes; high half 4 further */
#define PORT_IS   0x10u /* interrupt status, write 1 to clear */
#define PORT_IE   0x14u
#define PORT_CMD  0x18u
#define PORT_TFD  0x20u /* status and error of the disk */
#define PORT_SIG  0x24u
#define PORT_SSTS 0x28u
#define PORT_SCTL 0x2cu
#define PORT_SERR 0x30u /* write 1 to clear */
#define PORT_SACT 0x34u /* tags in flight */
#define PORT_CI   0x38u /* commands issued */

#define CMD_START     (1u << 0)
#define CMD_SPIN_UP   (1u << 1)
#define CMD_POWER_UP  (1u << 2)
#define CMD_FIS       (1u << 4)
#define CMD_FIS_RUNS  (1u << 14)
#define CMD_RUNS      (1u << 15)
#define IS_D2H        (1u << 0)
#define IS_PIO        (1u << 1)
#define IS_DMA        (1u << 2)
#define IS_BITS       (1u << 3) /* Set Device Bits: tags completed */
#define IS_OVERFLOW   (1u << 24)
#define IS_LINK       (1u << 27) /* interface fatal error */
#define IS_BUS_DATA   (1u << 28)
#define IS_BUS        (1u << 29)
#define IS_TASK       (1u << 30) /* the disk reports an error */
#define IS_BUS_ERRORS (IS_LINK | IS_BUS_DATA | IS_BUS)
#define IS_ERRORS     (IS_OVERFLOW | IS_BUS_ERRORS | IS_TASK)
#define IS_WANTED     (IS_D2H | IS_PIO | IS_DMA | IS_BITS | IS_ERRORS)
#define TFD_BUSY      (0x80u | 0x08u) /* BSY, DRQ */
#define SIG_DISK      0x00000101u
#define SSTS_PRESENT  3u /* DET */

#define AHCI_SLOTS     32u
#define AHCI_PRDS      16u    /* pieces of memory per command */
#define AHCI_PRD_BYTES 65536u /* longest piece */

struct command_header {
    uint32_t flags; /* FIS length, write, PRDT length << 16 */
    uint32_t transferred;
    uint64_t table;
    uint32_t reserved[4];
};

struct command_table {
    uint8_t fis[64];
    uint8_t atapi[64];
    struct {
        uint64_t base;
        uint32_t reserved;
        uint32_t last; /* bytes - 1 */
    } prd[AHCI_PRDS];
};

/* All of a command but its slot. */
struct command {
    uint8_t code, device, feature_low;
    bool queued, write;
    uint64_t lba;
    uint32_t count; /* sectors, as the FIS says */
    void *buffer;
    uint32_t bytes;
};

struct ahciport {
    struct command_header list[AHCI_SLOTS] __attribute__((aligned(1024)));
    uint8_t received[256] __attribute__((aligned(256)));
    struct command_table table[AHCI_SLOTS] __attribute__((aligned(128)));
    uint64_t base;   /* of the controller's registers */
    unsigned number; /* of the port */
};

extern struct ahciport ahciport;

/* A register of the controller. */
static inline volatile uint32_t *hba(unsigned offset)
{
    return (volatile uint32_t *)(ahciport.base + offset);
}

/* A register of the port. */
static inline volatile uint32_t *reg(unsigned offset)
{
    return hba(0x100 + 0x80 * ahciport.number + offset);
}

/* Takes the controller's first port. False: it has none. */
bool ahciport_open(const struct board_device *device);

/* Resets the controller and starts the port. False: it does not answer, or there is no disk. */
bool ahciport_reset(void);

/* Stops the port; false if it does not stop. Then starts it again: SACT, CI and errors are 0. */
bool ahciport_stop(void);
void ahciport_continue(void);

/* Writes a command into a slot of the list. */
void ahciport_build(unsigned slot, const struct command *command);

/* Gives the commands in these slots, a mask, to the disk. */
void ahciport_issue(uint32_t slots, bool queued);
