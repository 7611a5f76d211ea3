/*
 * Private to the emulated ATA disk: ata.c has the registers and the resets; ata_transfer.c has the
 * commands, whose data goes block by block through the data register.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "core/device.h"
#include "core/host/ends.h"
#include "devices/emulated/disk/ata_command.h"

/* Offset / 4 in the command block. */
enum ata_register {
    ATA_DATA = 0,
    ATA_FEATURE = 1, /* load: error */
    ATA_COUNT = 2,
    ATA_LBA_LOW = 3,
    ATA_LBA_MID = 4,
    ATA_LBA_HIGH = 5,
    ATA_DEVICE = 6,
    ATA_COMMAND = 7, /* load: status, and acknowledges the interrupt */
    ATA_REGISTERS = 8,
};

#define ATA_WINDOW ATA_MULTIPLE_MAX /* sectors of buffer */

enum ata_phase {
    PHASE_IDLE,
    PHASE_WAITING, /* the host's disk was full: submit again */
    PHASE_HOST,    /* BSY: the host's disk works */
    PHASE_IN,      /* DRQ: the guest loads data */
    PHASE_OUT,     /* DRQ: the guest stores data */
};

struct ata {
    struct ata_settings settings;
    uint8_t now[ATA_DEVICE], before[ATA_DEVICE]; /* FEATURE..LBA_HIGH: two bytes deep */
    uint8_t device, status, error;
    bool hob, nien, srst;
    bool irq;              /* INTRQ, before nIEN and device selection */
    bool news;             /* the device asserts it, perhaps once more */
    uint8_t phase;         /* enum ata_phase */
    uint8_t kind, flags;   /* of the command's struct ata_command */
    bool flush;            /* a FLUSH follows before completion */
    struct ata_range left; /* not yet moved by the host */
    uint32_t limit;        /* sectors in one host request */
    uint32_t block;        /* bytes of one DRQ block */
    uint32_t fill, pos;    /* bytes in the buffer, and where the guest is */
    uint32_t block_end;    /* of the current DRQ block, in the buffer */
    struct host_disk_request request;
    struct host_segment segment;
    _Alignas(uint64_t) uint8_t buffer[ATA_WINDOW * HOST_DISK_SECTOR];
};

extern const struct ata_profile ata_profile;

/* What a task file says, into the registers where the guest finds it. */
void ata_put_taskfile(struct ata *ata, const struct ata_taskfile *tf);

/* The guest has stored code into the command register: begins what it asks for, or refuses it. */
void ata_transfer_start(struct device *dev, uint8_t code);

/* Gives ata->request to the host's disk. If that is full, the command waits for its next turn. */
void ata_transfer_submit(struct device *dev);

/* The host has finished ata->request: the next step of the command, or its end. */
void ata_transfer_complete(struct device *dev);

/* The guest has moved the last byte of a DRQ block. */
void ata_transfer_block_done(struct device *dev);
