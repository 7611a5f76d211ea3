/*
 * An ATA disk with programmed I/O: the task file of a parallel ATA device 0, without a device 1.
 *
 * ATA/ATAPI-6, sections 7 (registers), 9.1 and 9.2 (resets). Command block at offset 0, control
 * block at EMULATED_ATA_CONTROL, registers 4 bytes apart.
 *
 * The surprise: most of the registers are two bytes deep. A store pushes the byte that was there
 * down, and a 48-bit command takes both bytes: it means the same register stored twice.
 */
#include "devices/emulated/disk/ata.h"

#include <string.h>

#include "devices/emulated/emulated.h"

#define DEVICE_ONE         0x10u /* device 1 is selected: there is none */
#define DEVICE_OBSOLETE    0xa0u /* read as ones */
#define EXECUTE_DIAGNOSTIC 0x90u /* the one command that both devices obey */

#define CONTROL_NIEN 0x02u /* no interrupts */
#define CONTROL_SRST 0x04u /* reset as long as it is set */
#define CONTROL_HOB  0x80u /* loads show the bytes written before the last; until the next store */

static void update_irq(struct device *dev)
{
    struct ata *ata = dev->state;
    bool level = ata->irq && !ata->nien && !(ata->device & DEVICE_ONE);
    if (ata->news || level != dev->line)
        device_set_irq(dev, level);
    ata->news = false;
}

/* --- Data --- */

static uint32_t load_data(struct device *dev, unsigned width)
{
    struct ata *ata = dev->state;
    uint32_t value = 0;
    if (ata->phase != PHASE_IN)
        return 0;
    for (unsigned i = 0; i < width && ata->pos < ata->block_end; i++)
        value |= (uint32_t)ata->buffer[ata->pos++] << (8 * i);
    if (ata->pos == ata->block_end)
        ata_transfer_block_done(dev);
    return value;
}

static void store_data(struct device *dev, unsigned width, uint32_t value)
{
    struct ata *ata = dev->state;
    if (ata->phase != PHASE_OUT)
        return;
    for (unsigned i = 0; i < width && ata->pos < ata->block_end; i++)
        ata->buffer[ata->pos++] = (uint8_t)(value >> (8 * i));
    if (ata->pos == ata->block_end)
        ata_transfer_block_done(dev);
}

/* --- Resets --- */

static void stop(struct device *dev)
{
    struct ata *ata = dev->state;
    struct host_disk *disk = dev->host;
    if (ata->phase == PHASE_HOST)
        disk->reset(disk);
    ata->phase = PHASE_IDLE;
    ata->irq = false;
    ata->status = ATA_STATUS_BSY;
    ata_settings_reset(&ata->settings, &ata_profile);
}

static void restart(struct device *dev)
{
    struct ata *ata = dev->state;
    struct ata_taskfile tf;
    ata_taskfile_signature(&tf);
    ata_put_taskfile(ata, &tf);
    ata->status = tf.status;
}

static void store_control(struct device *dev, uint8_t value)
{
    struct ata *ata = dev->state;
    ata->hob = value & CONTROL_HOB;
    ata->nien = value & CONTROL_NIEN;
    if ((value & CONTROL_SRST) && !ata->srst)
        stop(dev);
    else if (!(value & CONTROL_SRST) && ata->srst)
        restart(dev);
    ata->srst = value & CONTROL_SRST;
}

/* --- Registers --- */

static uint8_t load_status(const struct ata *ata)
{
    return ata->device & DEVICE_ONE ? 0 : ata->status;
}

static uint8_t load(struct device *dev, unsigned reg)
{
    struct ata *ata = dev->state;
    switch (reg) {
    case ATA_FEATURE: return ata->error;
    case ATA_DEVICE: return ata->device | DEVICE_OBSOLETE;
    case ATA_COMMAND:
        if (!(ata->device & DEVICE_ONE))
            ata->irq = false;
        return load_status(ata);
    default: return ata->hob ? ata->before[reg] : ata->now[reg];
    }
}

static void store(struct device *dev, unsigned reg, uint8_t value)
{
    struct ata *ata = dev->state;
    ata->hob = false;
    if (ata->status & (ATA_STATUS_BSY | ATA_STATUS_DRQ))
        return;
    if (reg == ATA_COMMAND) {
        if (!(ata->device & DEVICE_ONE) || value == EXECUTE_DIAGNOSTIC)
            ata_transfer_start(dev, value);
    } else if (reg == ATA_DEVICE) {
        ata->device = value;
    } else {
        ata->before[reg] = ata->now[reg];
        ata->now[reg] = value;
    }
}

/* --- The strategy --- */

/* A word of 32 bits that is not the last one of its block: nothing but data changes. False: it is
 * not such a word. Almost every access is, and its cost is that of programmed I/O. */
static bool move_word(struct ata *ata, struct mmio *io)
{
    uint32_t word = (uint32_t)io->value, pos = ata->pos; /* guest and host are little-endian */
    uint8_t *at = __builtin_assume_aligned(ata->buffer + (pos & ~3u), sizeof(word));
    if (io->offset != 4 * ATA_DATA || io->width != sizeof(word) || pos % sizeof(word) ||
        ata->phase != (io->store ? PHASE_OUT : PHASE_IN) || pos + sizeof(word) >= ata->block_end)
        return false;
    if (io->store) {
        __builtin_memcpy(at, &word, sizeof(word)); /* one instruction */
    } else {
        __builtin_memcpy(&word, at, sizeof(word));
        io->value = word;
    }
    ata->pos = pos + sizeof(word);
    return true;
}

static bool access_data(struct device *dev, struct mmio *io)
{
    if (io->width == 1)
        return false;
    if (io->store)
        store_data(dev, io->width, (uint32_t)io->value);
    else
        io->value = load_data(dev, io->width);
    return true;
}

static bool access_register(struct device *dev, struct mmio *io)
{
    if (io->offset == EMULATED_ATA_CONTROL) {
        if (io->store)
            store_control(dev, (uint8_t)io->value);
        else
            io->value = load_status(dev->state);
        return true;
    }
    if (io->offset % 4 || io->offset / 4 >= ATA_REGISTERS)
        return false;
    if (io->store)
        store(dev, (unsigned)io->offset / 4, (uint8_t)io->value);
    else
        io->value = load(dev, (unsigned)io->offset / 4);
    return true;
}

static __attribute__((noinline)) bool access_any(struct device *dev, struct mmio *io)
{
    bool ok = io->width <= 4 &&
              (io->offset == 4 * ATA_DATA ? access_data(dev, io) : access_register(dev, io));
    update_irq(dev);
    return ok;
}

static bool ata_access(struct device *dev, struct mmio *io)
{
    return move_word(dev->state, io) || access_any(dev, io);
}

static void ata_service(struct device *dev)
{
    struct ata *ata = dev->state;
    struct host_disk *disk = dev->host;
    while (disk->completed(disk)) {
        ata_transfer_complete(dev);
        if (device_yield(dev))
            break; /* a VERIFY of 65,536 sectors, from a disk that answers at once */
    }
    if (ata->phase == PHASE_WAITING)
        ata_transfer_submit(dev);
    update_irq(dev);
}

static int ata_attach(struct device *dev)
{
    struct host_disk *disk = dev->host;
    disk->reset(disk);
    memset(dev->state, 0, sizeof(struct ata));
    stop(dev);
    restart(dev);
    update_irq(dev);
    return 0;
}

static const struct device_register ata_registers[] = {
    {4 * ATA_DATA, "Data", "Data", 0, 0},
    {4 * ATA_FEATURE, "Error", "Features", 0, 0},
    {4 * ATA_COUNT, "Sector Count", "Sector Count", 0, 0},
    {4 * ATA_LBA_LOW, "LBA Low", "LBA Low", 0, 0},
    {4 * ATA_LBA_MID, "LBA Mid", "LBA Mid", 0, 0},
    {4 * ATA_LBA_HIGH, "LBA High", "LBA High", 0, 0},
    {4 * ATA_DEVICE, "Device", "Device", 0, 0},
    {4 * ATA_COMMAND, "Status", "Command", 0, 0},
    {EMULATED_ATA_CONTROL, "Alternate Status", "Device Control", 0, 0},
    {0, NULL, NULL, 0, 0},
};

static const struct device_property ata_properties[] = {
    {"reg-shift", 2},
    {"pio-mode", 4},
    {NULL, 0},
};

const struct strategy emulated_ata = {
    .name = "emulated/ata",
    .compatible = "ata-generic",
    .node = "ata",
    .properties = ata_properties,
    .registers = ata_registers,
    .size = 0x1000,
    .state_size = sizeof(struct ata),
    .attach = ata_attach,
    .access = ata_access,
    .service = ata_service,
};
