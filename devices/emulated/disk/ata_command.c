/*
 * The ATA command set of both emulated disks.
 *
 * ACS-2 (T13/2015-D), sections 6 (signature, status), 7 (commands), 7.16 (IDENTIFY DEVICE) and 7.45
 * (SET FEATURES); INITIALIZE DEVICE PARAMETERS and the CHS geometry are from ATA-5.
 *
 * The surprise: a count of 0 means the largest count, and what "count" is depends on the command:
 * 256 sectors, 65,536 sectors, or, for a queued command, the feature register.
 */
#include "devices/emulated/disk/ata_command.h"

#include <string.h>

#include "core/host/ends.h"

#define LBA28_SECTORS 0x0fffffffull
#define LBA48_SECTORS 0xffffffffffffull

/* --- Commands --- */

enum ata_code {
    RECALIBRATE = 0x10,
    READ_NATIVE_MAX_EXT = 0x27,
    SEEK = 0x70,
    EXECUTE_DIAGNOSTIC = 0x90,
    INITIALIZE_PARAMETERS = 0x91,
    SET_MULTIPLE = 0xc6,
    STANDBY_IMMEDIATE = 0xe0,
    IDLE_IMMEDIATE = 0xe1,
    STANDBY = 0xe2,
    IDLE = 0xe3,
    CHECK_POWER = 0xe5,
    SLEEP = 0xe6,
    SET_FEATURES = 0xef,
    READ_NATIVE_MAX = 0xf8,
};

/* By command code. */
static const struct ata_command commands[256] = {
    [0x06] = {ATA_TRIM, ATA_DMA},                           /* DATA SET MANAGEMENT */
    [0x20] = {ATA_READ, ATA_PIO},                           /* READ SECTOR(S) */
    [0x21] = {ATA_READ, ATA_PIO},                           /* ... without retry (ATA-3) */
    [0x24] = {ATA_READ, ATA_PIO | ATA_EXT},                 /* READ SECTOR(S) EXT */
    [0x25] = {ATA_READ, ATA_DMA | ATA_EXT},                 /* READ DMA EXT */
    [0x29] = {ATA_READ, ATA_PIO | ATA_EXT | ATA_MULTIPLE},  /* READ MULTIPLE EXT */
    [0x2f] = {ATA_READ_LOG, ATA_PIO | ATA_EXT},             /* READ LOG EXT */
    [0x30] = {ATA_WRITE, ATA_PIO},                          /* WRITE SECTOR(S) */
    [0x31] = {ATA_WRITE, ATA_PIO},                          /* ... without retry (ATA-3) */
    [0x34] = {ATA_WRITE, ATA_PIO | ATA_EXT},                /* WRITE SECTOR(S) EXT */
    [0x35] = {ATA_WRITE, ATA_DMA | ATA_EXT},                /* WRITE DMA EXT */
    [0x39] = {ATA_WRITE, ATA_PIO | ATA_EXT | ATA_MULTIPLE}, /* WRITE MULTIPLE EXT */
    [0x3d] = {ATA_WRITE, ATA_DMA | ATA_EXT | ATA_FUA},      /* WRITE DMA FUA EXT */
    [0x40] = {ATA_VERIFY, 0},                               /* READ VERIFY SECTOR(S) */
    [0x41] = {ATA_VERIFY, 0},                               /* ... without retry (ATA-3) */
    [0x42] = {ATA_VERIFY, ATA_EXT},                         /* READ VERIFY SECTOR(S) EXT */
    [0x47] = {ATA_READ_LOG, ATA_DMA | ATA_EXT},             /* READ LOG DMA EXT */
    [0x60] = {ATA_READ, ATA_DMA | ATA_EXT | ATA_NCQ},       /* READ FPDMA QUEUED */
    [0x61] = {ATA_WRITE, ATA_DMA | ATA_EXT | ATA_NCQ},      /* WRITE FPDMA QUEUED */
    [0xc4] = {ATA_READ, ATA_PIO | ATA_MULTIPLE},            /* READ MULTIPLE */
    [0xc5] = {ATA_WRITE, ATA_PIO | ATA_MULTIPLE},           /* WRITE MULTIPLE */
    [0xc8] = {ATA_READ, ATA_DMA},                           /* READ DMA */
    [0xc9] = {ATA_READ, ATA_DMA},                           /* ... without retry (ATA-3) */
    [0xca] = {ATA_WRITE, ATA_DMA},                          /* WRITE DMA */
    [0xcb] = {ATA_WRITE, ATA_DMA},                          /* ... without retry (ATA-3) */
    [0xce] = {ATA_WRITE, ATA_PIO | ATA_EXT | ATA_MULTIPLE | ATA_FUA}, /* WRITE MULTIPLE FUA EXT */
    [0xe7] = {ATA_FLUSH, 0},                                          /* FLUSH CACHE */
    [0xea] = {ATA_FLUSH, ATA_EXT},                                    /* FLUSH CACHE EXT */
    [0xec] = {ATA_IDENTIFY, ATA_PIO},                                 /* IDENTIFY DEVICE */
    [RECALIBRATE] = {ATA_IMMEDIATE, 0},
    [READ_NATIVE_MAX_EXT] = {ATA_IMMEDIATE, ATA_EXT},
    [SEEK] = {ATA_IMMEDIATE, 0},
    [EXECUTE_DIAGNOSTIC] = {ATA_IMMEDIATE, 0},
    [INITIALIZE_PARAMETERS] = {ATA_IMMEDIATE, 0},
    [SET_MULTIPLE] = {ATA_IMMEDIATE, 0},
    [STANDBY_IMMEDIATE] = {ATA_IMMEDIATE, 0},
    [IDLE_IMMEDIATE] = {ATA_IMMEDIATE, 0},
    [STANDBY] = {ATA_IMMEDIATE, 0},
    [IDLE] = {ATA_IMMEDIATE, 0},
    [CHECK_POWER] = {ATA_IMMEDIATE, 0},
    [SLEEP] = {ATA_IMMEDIATE, 0},
    [SET_FEATURES] = {ATA_IMMEDIATE, 0},
    [READ_NATIVE_MAX] = {ATA_IMMEDIATE, 0},
};

const struct ata_command *ata_command_find(uint8_t code)
{
    return commands[code].kind == ATA_UNKNOWN ? NULL : &commands[code];
}

/* --- The task file --- */

void ata_settings_reset(struct ata_settings *settings, const struct ata_profile *profile)
{
    *settings = (struct ata_settings){
        .write_cache = true,
        .look_ahead = true,
        .mode = profile->sata ? 0x45 : 0x0c, /* UDMA 5; PIO 4 */
        .heads = 16,
        .sectors_per_track = 63,
    };
}

void ata_taskfile_signature(struct ata_taskfile *tf)
{
    *tf = (struct ata_taskfile){
        .lba = 1, .count = 1, .status = ATA_STATUS_READY, .error = ATA_DIAGNOSTIC_PASSED};
}

/* UINT64_MAX for what no track has. */
static uint64_t chs_address(const struct ata_taskfile *tf, const struct ata_settings *settings)
{
    uint64_t sector = tf->lba & 0xff, cylinder = (tf->lba >> 8) & 0xffff;
    unsigned head = tf->device & ATA_DEVICE_HEAD;
    if (!sector || sector > settings->sectors_per_track || head >= settings->heads)
        return UINT64_MAX;
    return (cylinder * settings->heads + head) * settings->sectors_per_track + sector - 1;
}

uint8_t ata_command_range(const struct ata_command *command, const struct ata_taskfile *tf,
                          const struct ata_settings *settings, uint64_t capacity,
                          struct ata_range *range)
{
    uint16_t count = command->flags & ATA_NCQ ? tf->feature : tf->count;
    if (command->flags & ATA_EXT) {
        range->lba = tf->lba & LBA48_SECTORS;
        range->count = count ? count : 65536;
    } else {
        range->lba = tf->device & ATA_DEVICE_LBA
                         ? (tf->lba & 0xffffff) | (uint64_t)(tf->device & ATA_DEVICE_HEAD) << 24
                         : chs_address(tf, settings);
        range->count = count & 0xff ? count & 0xff : 256;
    }
    if (range->count > capacity || range->lba > capacity - range->count)
        return ATA_ERROR_IDNF;
    return 0;
}

/* --- Commands without data --- */

/* Subcommands of SET FEATURES. REVERT_AT_RESET is what happens anyway; its opposite, 0x66, is
 * refused. */
enum ata_feature {
    WRITE_CACHE_ON = 0x02,
    TRANSFER_MODE = 0x03,
    LOOK_AHEAD_OFF = 0x55,
    WRITE_CACHE_OFF = 0x82,
    LOOK_AHEAD_ON = 0xaa,
    REVERT_AT_RESET = 0xcc,
};

static bool mode_is_supported(uint8_t mode, const struct ata_profile *profile)
{
    if (mode <= 0x01 || (mode >= 0x08 && mode <= 0x0c)) /* PIO: default, and flow control 0..4 */
        return true;
    return profile->sata && ((mode >= 0x20 && mode <= 0x22) || (mode >= 0x40 && mode <= 0x45));
}

static uint8_t set_features(const struct ata_taskfile *tf, struct ata_settings *settings,
                            const struct ata_profile *profile)
{
    switch (tf->feature & 0xff) {
    case WRITE_CACHE_ON:
    case WRITE_CACHE_OFF: settings->write_cache = (tf->feature & 0xff) == WRITE_CACHE_ON; return 0;
    case LOOK_AHEAD_ON:
    case LOOK_AHEAD_OFF: settings->look_ahead = (tf->feature & 0xff) == LOOK_AHEAD_ON; return 0;
    case TRANSFER_MODE:
        if (!mode_is_supported(tf->count & 0xff, profile))
            return ATA_ERROR_ABRT;
        settings->mode = tf->count & 0xff;
        return 0;
    case REVERT_AT_RESET: return 0;
    default: return ATA_ERROR_ABRT;
    }
}

static uint8_t set_multiple(struct ata_settings *settings, uint8_t count)
{
    if (count > ATA_MULTIPLE_MAX || (count & (count - 1)))
        return ATA_ERROR_ABRT;
    settings->multiple = count;
    return 0;
}

static uint8_t initialize_parameters(const struct ata_taskfile *tf, struct ata_settings *settings)
{
    if (!(tf->count & 0xff))
        return ATA_ERROR_ABRT;
    settings->sectors_per_track = tf->count & 0xff;
    settings->heads = (tf->device & ATA_DEVICE_HEAD) + 1;
    return 0;
}

static void read_native_max(struct ata_taskfile *tf, uint64_t capacity)
{
    uint64_t last = capacity ? capacity - 1 : 0;
    if (tf->command == READ_NATIVE_MAX_EXT) {
        tf->lba = last & LBA48_SECTORS;
        return;
    }
    if (last >= LBA28_SECTORS)
        last = LBA28_SECTORS - 1;
    tf->lba = last & 0xffffff;
    tf->device = (tf->device & ~ATA_DEVICE_HEAD) | (uint8_t)(last >> 24);
}

uint8_t ata_command_immediate(struct ata_taskfile *tf, struct ata_settings *settings,
                              const struct ata_profile *profile, uint64_t capacity)
{
    switch (tf->command) {
    case SET_FEATURES: return set_features(tf, settings, profile);
    case SET_MULTIPLE: return set_multiple(settings, tf->count & 0xff);
    case INITIALIZE_PARAMETERS: return initialize_parameters(tf, settings);
    case READ_NATIVE_MAX:
    case READ_NATIVE_MAX_EXT: read_native_max(tf, capacity); return 0;
    case CHECK_POWER:
        tf->count = 0xff; /* active */
        return 0;
    case EXECUTE_DIAGNOSTIC: {
        uint8_t command = tf->command;
        ata_taskfile_signature(tf);
        tf->command = command;
        return 0;
    }
    default: /* seeks and power modes: nothing moves here, nothing sleeps */ return 0;
    }
}

/* --- IDENTIFY DEVICE --- */

static void put_word(uint8_t *data, unsigned word, uint16_t value)
{
    data[2 * word] = (uint8_t)value;
    data[2 * word + 1] = (uint8_t)(value >> 8);
}

/* ATA strings are padded with spaces, and the first byte of each pair is the word's high byte. */
static void put_string(uint8_t *data, unsigned word, unsigned words, const char *text)
{
    for (unsigned i = 0; i < 2 * words; i++)
        data[2 * word + (i ^ 1)] = (uint8_t)(*text ? *text++ : ' ');
}

static void put_geometry(uint8_t *data, uint64_t sectors, const struct ata_settings *settings)
{
    uint64_t lba28 = sectors < LBA28_SECTORS ? sectors : LBA28_SECTORS;
    uint64_t cylinders = sectors / (16 * 63);
    uint64_t current = sectors / ((uint64_t)settings->heads * settings->sectors_per_track);
    if (cylinders > 16383)
        cylinders = 16383;
    if (current > 65535)
        current = 65535;
    put_word(data, 1, (uint16_t)cylinders);
    put_word(data, 3, 16);
    put_word(data, 6, 63);
    put_word(data, 54, (uint16_t)current);
    put_word(data, 55, settings->heads);
    put_word(data, 56, settings->sectors_per_track);
    current *= (uint64_t)settings->heads * settings->sectors_per_track;
    put_word(data, 57, (uint16_t)current);
    put_word(data, 58, (uint16_t)(current >> 16));
    put_word(data, 60, (uint16_t)lba28);
    put_word(data, 61, (uint16_t)(lba28 >> 16));
    for (unsigned i = 0; i < 4; i++)
        put_word(data, 100 + i, (uint16_t)(sectors >> (16 * i)));
}

static void put_sata(uint8_t *data, const struct host_disk *disk,
                     const struct ata_settings *settings)
{
    unsigned udma = settings->mode >= 0x40 ? 1u << (settings->mode & 7) : 0;
    unsigned mwdma = settings->mode >= 0x20 && !udma ? 1u << (settings->mode & 7) : 0;
    put_word(data, 63, (uint16_t)(0x0007 | mwdma << 8)); /* multiword DMA 0..2 */
    put_word(data, 75, 31);                              /* queue depth less one */
    put_word(data, 76, 0x010e);                          /* NCQ; 1.5, 3, 6 Gb/s */
    put_word(data, 88, (uint16_t)(0x003f | udma << 8));  /* UDMA 0..5 */
    put_word(data, 119, 0x4008);                         /* READ LOG DMA EXT: supported */
    put_word(data, 120, 0x4008);                         /* ... and enabled */
    if (disk->can_discard) {
        put_word(data, 105, 1); /* blocks of ranges in one DATA SET MANAGEMENT */
        put_word(data, 169, 1); /* TRIM */
    }
}

static const struct {
    uint8_t word;
    uint16_t value;
} identify_words[] = {
    {0, 0x0040},                     /* fixed ATA device */
    {47, 0x8000 | ATA_MULTIPLE_MAX}, /* READ and WRITE MULTIPLE */
    {50, 0x4000},                    /* capabilities: none of these */
    {53, 0x0007},                    /* words 54..58, 64..70 and 88 are valid */
    {64, 0x0003},                    /* PIO modes 3 and 4 */
    {65, 120},
    {66, 120},
    {67, 120},
    {68, 120},     /* cycle times in ns */
    {80, 0x03f0},  /* ATA-4 to ACS-2 */
    {82, 0x0060},  /* supported: look-ahead, write cache */
    {83, 0x7400},  /* FLUSH CACHE (EXT), LBA48 */
    {86, 0x3400},  /* the same, enabled */
    {106, 0x4000}, /* 512-byte logical sectors, one in a physical one */
    {217, 0x0001}, /* does not rotate */
};

void ata_identify_fill(uint8_t *data, const struct host_disk *disk,
                       const struct ata_settings *settings, const struct ata_profile *profile)
{
    /* General-purpose logging and WRITE DMA FUA EXT need DMA. */
    uint16_t extensions = profile->sata ? 0x4060 : 0x4000;
    memset(data, 0, 512);
    for (unsigned i = 0; i < sizeof(identify_words) / sizeof(identify_words[0]); i++)
        put_word(data, identify_words[i].word, identify_words[i].value);
    put_geometry(data, disk->sectors, settings);
    put_string(data, 10, 10, disk->serial);
    put_string(data, 23, 4, "1.0");
    put_string(data, 27, 20, profile->model);
    put_word(data, 49, profile->sata ? 0x0b00 : 0x0a00); /* IORDY, LBA, DMA */
    put_word(data, 59, settings->multiple ? 0x0100 | settings->multiple : 0);
    put_word(data, 84, extensions);
    put_word(data, 85, (settings->write_cache ? 0x20 : 0) | (settings->look_ahead ? 0x40 : 0));
    put_word(data, 87, extensions);
    if (profile->sata) {
        put_word(data, 86, 0xb400); /* and words 119, 120 are valid */
        put_sata(data, disk, settings);
    } else {
        put_word(data, 48, 0x0001); /* 32-bit accesses to the data register */
        put_word(data, 93, 0x4001); /* device 0, by its jumper */
    }
    data[510] = 0xa5;
    data[511] = ata_checksum(data);
}

uint8_t ata_checksum(const uint8_t *data)
{
    uint8_t sum = 0;
    for (unsigned i = 0; i < 511; i++)
        sum += data[i];
    return (uint8_t)-sum;
}

/* --- The rest --- */

struct ata_range ata_trim_range(const uint8_t *block, unsigned index)
{
    uint64_t entry = 0;
    for (unsigned i = 0; i < 8; i++)
        entry |= (uint64_t)block[8 * index + i] << (8 * i);
    return (struct ata_range){.lba = entry & LBA48_SECTORS, .count = (uint32_t)(entry >> 48)};
}

uint8_t ata_host_error(uint8_t kind)
{
    return kind == ATA_READ || kind == ATA_VERIFY ? ATA_ERROR_UNC : ATA_ERROR_ABRT;
}
