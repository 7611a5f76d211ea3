/*
 * What the two emulated ATA disks share: the command set, the task file, IDENTIFY data.
 *
 * ATA/ATAPI Command Set 2 (ACS-2), sections 6 and 7. Nothing here knows how a command or its data
 * reach the device: that is ahci.c (SATA FISes) or ata.c (registers).
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct host_disk;

#define ATA_STATUS_ERR   0x01u /* see the error register */
#define ATA_STATUS_DRQ   0x08u /* data wanted or offered */
#define ATA_STATUS_DSC   0x10u /* seek complete: always, when not busy */
#define ATA_STATUS_DRDY  0x40u
#define ATA_STATUS_BSY   0x80u
#define ATA_STATUS_READY (ATA_STATUS_DRDY | ATA_STATUS_DSC)

#define ATA_ERROR_ABRT        0x04u /* no such command, or not with these arguments */
#define ATA_ERROR_IDNF        0x10u /* sectors outside the disk */
#define ATA_ERROR_UNC         0x40u /* a read failed */
#define ATA_DIAGNOSTIC_PASSED 0x01u /* in the error register after a reset */

#define ATA_DEVICE_LBA  0x40u
#define ATA_DEVICE_HEAD 0x0fu

#define ATA_MULTIPLE_MAX  16u /* sectors in one DRQ block of READ and WRITE MULTIPLE */
#define ATA_LOG_NCQ_ERROR 0x10u

/* The command block: the contents of a Register FIS, or of the registers of a PIO device. */
struct ata_taskfile {
    uint64_t lba; /* 48 bits: low 24 of the registers as written last, high 24 as written before */
    uint16_t feature, count;
    uint8_t device, command, status, error;
};

enum ata_kind {
    ATA_UNKNOWN, /* no command has it */
    ATA_READ,    /* disk to guest */
    ATA_WRITE,   /* guest to disk */
    ATA_VERIFY,  /* read, and forget the data */
    ATA_FLUSH,
    ATA_TRIM,     /* one block of ranges from the guest: DATA SET MANAGEMENT */
    ATA_IDENTIFY, /* 512 bytes to the guest that the device makes itself */
    ATA_READ_LOG,
    ATA_IMMEDIATE, /* no data, no disk: ata_command_immediate() */
};

#define ATA_EXT      0x01u /* 48-bit address, 16-bit count */
#define ATA_PIO      0x02u /* data through the data register (SATA: after a PIO Setup FIS) */
#define ATA_DMA      0x04u
#define ATA_NCQ      0x08u /* queued: count is in feature, tag in count */
#define ATA_MULTIPLE 0x10u /* in blocks of the size set by SET MULTIPLE MODE */
#define ATA_FUA      0x20u /* on stable storage before the command completes */

struct ata_command {
    uint8_t kind;  /* enum ata_kind */
    uint8_t flags; /* ATA_EXT ... */
};

/* What the host may change with SET FEATURES, SET MULTIPLE MODE, INITIALIZE DEVICE PARAMETERS. */
struct ata_settings {
    bool write_cache, look_ahead;
    uint8_t multiple; /* sectors per block, 0: READ and WRITE MULTIPLE are refused */
    uint8_t mode;     /* transfer mode, as in SET FEATURES: 0x08.. PIO, 0x20.. MWDMA, 0x40.. UDMA */
    uint8_t heads, sectors_per_track; /* for a CHS address */
};

/* What a device of this kind can do. */
struct ata_profile {
    const char *model;
    bool sata; /* DMA, NCQ and logs; else programmed I/O alone */
};

struct ata_range {
    uint64_t lba;
    uint32_t count;
};

/* The table's row for a command code, or null: the device aborts it. */
const struct ata_command *ata_command_find(uint8_t code);

/* Power-on values. */
void ata_settings_reset(struct ata_settings *settings, const struct ata_profile *profile);

/* The task file after a reset of the device: what tells a disk from a packet device. */
void ata_taskfile_signature(struct ata_taskfile *tf);

/* Which sectors a READ, WRITE or VERIFY means (LBA48, LBA28, CHS; a count of 0 is the maximum).
 * 0, or the error register: ATA_ERROR_IDNF when they are not all on the disk. */
uint8_t ata_command_range(const struct ata_command *command, const struct ata_taskfile *tf,
                          const struct ata_settings *settings, uint64_t capacity,
                          struct ata_range *range);

/* Carries out a command of kind ATA_IMMEDIATE. 0, or the error register. Results are put in *tf. */
uint8_t ata_command_immediate(struct ata_taskfile *tf, struct ata_settings *settings,
                              const struct ata_profile *profile, uint64_t capacity);

/* IDENTIFY DEVICE data, 512 bytes (ACS-2 section 7.16). */
void ata_identify_fill(uint8_t *data, const struct host_disk *disk,
                       const struct ata_settings *settings, const struct ata_profile *profile);

/* Entry index (0..63) of a 512-byte block of TRIM ranges; count 0: the entry is unused. */
struct ata_range ata_trim_range(const uint8_t *block, unsigned index);
#define ATA_TRIM_RANGES 64u

/* Byte that makes the sum of the 511 before it and itself zero. */
uint8_t ata_checksum(const uint8_t *data);

/* The error register for a command whose host request ended with status (a negative errno). */
uint8_t ata_host_error(uint8_t kind);
