/*
 * Private to the emulated AHCI disk. In the order of a command: ahci.c has the registers and the
 * resets; ahci_slots.c fetches commands from the guest's command list, and takes back what the
 * host's disk has finished; ahci_command.c is what the disk does for a command; ahci_prd.c reads
 * the guest's scatter/gather lists; ahci_fis.c has the FISes by which the disk answers.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "core/device.h"
#include "core/host/ends.h"
#include "devices/emulated/disk/ata_command.h"

#define AHCI_SLOTS   32u
#define AHCI_NO_SLOT 0xffu

#define PXIS_DHRS (1u << 0)  /* a D2H Register FIS arrived, with its interrupt bit */
#define PXIS_PSS  (1u << 1)  /* a PIO Setup FIS */
#define PXIS_SDBS (1u << 3)  /* a Set Device Bits FIS */
#define PXIS_DPS  (1u << 5)  /* a PRD with its interrupt bit was processed */
#define PXIS_PCS  (1u << 6)  /* shows PxSERR.DIAG.X */
#define PXIS_PRCS (1u << 22) /* shows PxSERR.DIAG.N */
#define PXIS_OFS  (1u << 24) /* more data than the PRDs hold */
#define PXIS_IFS  (1u << 27) /* fatal: a FIS that no device takes */
#define PXIS_HBDS (1u << 28) /* fatal: a data pointer outside RAM */
#define PXIS_HBFS (1u << 29) /* fatal: a pointer to a list, a table or a FIS outside RAM */
#define PXIS_TFES (1u << 30) /* the device set ERR in its status */

#define PXCMD_ST  (1u << 0) /* process the command list */
#define PXCMD_FRE (1u << 4) /* receive FISes */

#define PXSERR_P (1u << 10) /* protocol error */

/* An entry of the command list (AHCI 1.3.1, section 4.2.2): little-endian, as the host is. */
struct ahci_header {
    uint16_t flags;
    uint16_t prds;      /* entries in the PRD table */
    uint32_t bytes;     /* moved by the command: PRDBC */
    uint64_t table_gpa; /* command table: FIS, then PRDs */
    uint32_t reserved[4];
};

/* Where in the PRD table a transfer has got to. */
struct ahci_cursor {
    uint32_t prd, done; /* entry, and bytes of it that are used up */
    bool interrupt;     /* an entry with the I bit was used up */
};

/* A command between its issue and its completion. */
struct ahci_slot {
    uint8_t kind, flags; /* of struct ata_command */
    bool bounced;        /* the request moves one sector through .sector */
    bool flush;          /* a FLUSH follows before completion */
    struct ata_taskfile tf;
    uint64_t table_gpa; /* of the command's header, aligned */
    uint32_t prds;      /* entries in its PRD table */
    struct ahci_cursor cursor;
    struct ata_range left; /* TRIM: .count is the next index in the block of ranges */
    uint32_t chunk;        /* sectors in the request */
    uint32_t bytes;        /* moved so far */
    struct host_disk_request request;
    struct host_segment segments[HOST_DISK_MAX_SEGMENTS];
    /* Data that the device makes, or that no list of segments can hold. */
    uint8_t sector[HOST_DISK_SECTOR];
};

struct ahci {
    bool interrupts; /* GHC.IE */
    bool is;         /* IS.IPS, a latch: set by the port, cleared by the driver */
    bool news;       /* a cause came, or the driver has dealt with some of them */
    uint64_t clb_gpa, fb_gpa;
    uint32_t pxis, pxie, cmd, tfd, sig, sctl, serr, sact, ci;
    uint8_t current; /* PxCMD.CCS */
    uint8_t busy;    /* slot of the command that keeps the device busy, or AHCI_NO_SLOT */
    bool halted;     /* after an error, until PxCMD.ST is cleared */
    bool signature;  /* the device's first D2H FIS waits for PxCMD.FRE */
    bool soft_reset; /* between the two FISes of a software reset */
    /* Sets of slots, a bit for each. A slot that is neither waiting nor in flight is free. */
    uint32_t waiting;   /* the host's disk was full: slot->request is to be submitted again */
    uint32_t in_flight; /* the host's disk works on slot->request */
    uint32_t abandoned; /* of those in flight: the port stopped, their end is not reported */
    uint32_t queued;    /* commands by NCQ that the device has, and that are not abandoned */
    uint32_t finished;  /* commands by NCQ for the next Set Device Bits FIS */
    struct ata_settings settings;
    struct ata_taskfile ncq_error; /* log 10h: the queued command that failed */
    uint8_t ncq_tag;               /* its tag, or AHCI_NOT_QUEUED */
    struct ahci_slot slot[AHCI_SLOTS];
};

#define AHCI_TABLE_PRDS 0x80u /* offset of the first PRD in a command table */
#define AHCI_NOT_QUEUED 0x80u /* for ncq_tag: the error was not a queued command's */

extern const struct ata_profile ahci_profile;

/* Sets bits in PxIS, perhaps once more: the line is asserted anew. */
static inline void ahci_set_is(struct ahci *ahci, uint32_t pxis)
{
    ahci->pxis |= pxis;
    ahci->news = true;
}

/* Sets bits in PxIS and stops the command list until the driver restarts it. */
void ahci_halt(struct device *dev, uint32_t pxis);

/* --- ahci_slots.c --- */

/* Issues what is in PxCI as far as the port and the device can take it. */
void ahci_slots_run(struct device *dev);

/* Takes what the host has completed, submits what it refused before. */
void ahci_slots_service(struct device *dev);

/* Forgets all commands; those that the host still works on end without a report. */
void ahci_slots_abandon(struct device *dev);

/* As that, at once: the host lets go of the guest's memory. For resets. */
void ahci_slots_reset(struct device *dev);

static inline unsigned ahci_slot_number(const struct ahci *ahci, const struct ahci_slot *slot)
{
    return (unsigned)(slot - ahci->slot);
}

/* Where the slot's struct ahci_header is. */
static inline uint64_t ahci_header_gpa(const struct ahci *ahci, const struct ahci_slot *slot)
{
    return ahci->clb_gpa + sizeof(struct ahci_header) * ahci_slot_number(ahci, slot);
}

/* --- ahci_command.c --- */

/* The device gets the command in slot->tf: it is queued, keeps the device busy, or is refused. */
void ahci_command_start(struct device *dev, struct ahci_slot *slot);

/* Gives slot->request to the host's disk. If that is full the slot waits, to be submitted again. */
void ahci_command_submit(struct device *dev, struct ahci_slot *slot);

/* The host has finished slot->request: the next one of the command, or the command's end. */
void ahci_command_complete(struct device *dev, struct ahci_slot *slot);

/* --- ahci_prd.c --- */

/* Each of the three returns 0, or the PxIS bit that says what is wrong with the guest's list. */

/* Moves slot->sector to or from the guest, from the cursor on. */
uint32_t ahci_prd_copy_sector(struct device *dev, struct ahci_slot *slot);

/* Fills slot->request with as many whole sectors of slot->left as fit, in place; slot->chunk says
 * how many: 0 when not even one sector fits. */
uint32_t ahci_prd_collect(struct device *dev, struct ahci_slot *slot);

/* Makes slot->request one sector through slot->sector; for a write, fetches it from the guest. */
uint32_t ahci_prd_bounce(struct device *dev, struct ahci_slot *slot);

/* --- ahci_fis.c --- */

/* The port receives a FIS: stored in memory if PxCMD.FRE, and PxTFD and PxIS follow. If the guest's
 * receive area is not RAM the port halts with HBFS. */
void ahci_receive_d2h(struct device *dev, const struct ata_taskfile *tf, bool interrupt);
void ahci_receive_pio_setup(struct device *dev, const struct ata_taskfile *tf, bool to_guest);
void ahci_receive_sdb(struct device *dev, uint32_t finished, uint8_t status, uint8_t error);

/* --- Small things --- */

/* Which way a command's data goes. */
static inline bool ahci_to_guest(const struct ahci_slot *slot)
{
    return slot->kind != ATA_WRITE && slot->kind != ATA_TRIM;
}
