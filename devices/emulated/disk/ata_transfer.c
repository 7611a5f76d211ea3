/*
 * The commands of the emulated ATA disk: data between the guest, which moves it block by block, and
 * the host's disk.
 *
 * ATA/ATAPI-6, sections 9.5 to 9.7 (protocols of PIO data-in, PIO data-out and non-data commands).
 *
 * The surprise: to the guest every block of a transfer is a separate event (DRQ, interrupt), but
 * the host's disk is asked once for up to ATA_WINDOW sectors. If that read fails, it is done again
 * block by block, so that the blocks before the bad one arrive, as they would from a real disk.
 */
#include <errno.h>

#include "devices/emulated/disk/ata.h"

const struct ata_profile ata_profile = {.model = "TRIDENT ATA DISK", .sata = false};

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* --- The registers as a task file --- */

static void get_taskfile(const struct ata *ata, uint8_t command, struct ata_taskfile *tf)
{
    *tf = (struct ata_taskfile){
        .feature = (uint16_t)(ata->now[ATA_FEATURE] | ata->before[ATA_FEATURE] << 8),
        .count = (uint16_t)(ata->now[ATA_COUNT] | ata->before[ATA_COUNT] << 8),
        .device = ata->device,
        .command = command,
    };
    for (unsigned i = 0; i < 3; i++)
        tf->lba |= (uint64_t)ata->now[ATA_LBA_LOW + i] << (8 * i) |
                   (uint64_t)ata->before[ATA_LBA_LOW + i] << (24 + 8 * i);
}

static void put_lba(struct ata *ata, uint64_t lba)
{
    for (unsigned i = 0; i < 3; i++) {
        ata->now[ATA_LBA_LOW + i] = (uint8_t)(lba >> (8 * i));
        ata->before[ATA_LBA_LOW + i] = (uint8_t)(lba >> (24 + 8 * i));
    }
}

void ata_put_taskfile(struct ata *ata, const struct ata_taskfile *tf)
{
    put_lba(ata, tf->lba);
    ata->now[ATA_COUNT] = (uint8_t)tf->count;
    ata->before[ATA_COUNT] = (uint8_t)(tf->count >> 8);
    ata->device = tf->device;
    ata->error = tf->error;
}

/* --- End of a command --- */

/* A data-in command ends with its last block, without an interrupt. */
static void finish(struct device *dev, bool interrupt)
{
    struct ata *ata = dev->state;
    ata->phase = PHASE_IDLE;
    ata->status = ATA_STATUS_READY | (ata->error & ~ATA_DIAGNOSTIC_PASSED ? ATA_STATUS_ERR : 0);
    ata->irq |= interrupt;
    ata->news |= interrupt;
    if (!ata->error && ata->kind <= ATA_FLUSH)
        dev->count.requests++;
}

static void fail(struct device *dev, uint8_t error)
{
    struct ata *ata = dev->state;
    ata->error = error;
    if (ata->kind <= ATA_VERIFY && error != ATA_ERROR_ABRT) {
        if (ata->flags & ATA_EXT) {
            put_lba(ata, ata->left.lba);
        } else if (ata->device & ATA_DEVICE_LBA) {
            put_lba(ata, ata->left.lba & 0xffffff);
            ata->device = (uint8_t)((ata->device & ~ATA_DEVICE_HEAD) |
                                    (ata->left.lba >> 24 & ATA_DEVICE_HEAD));
        }
    }
    finish(dev, true);
}

/* --- The host's side --- */

void ata_transfer_submit(struct device *dev)
{
    struct ata *ata = dev->state;
    struct host_disk *disk = dev->host;
    int status = disk->submit(disk, &ata->request);
    ata->status = ATA_STATUS_BSY;
    ata->phase = status == -EAGAIN ? PHASE_WAITING : PHASE_HOST;
    if (status && status != -EAGAIN)
        fail(dev, ATA_ERROR_ABRT);
}

static void submit_op(struct device *dev, enum host_disk_op op)
{
    struct ata *ata = dev->state;
    ata->segment = (struct host_segment){ata->buffer, ata->fill};
    ata->request = (struct host_disk_request){
        .op = op,
        .sector = op == HOST_DISK_FLUSH ? 0 : ata->left.lba,
        .nsegments = op == HOST_DISK_FLUSH ? 0 : 1,
        .segments = &ata->segment,
    };
    ata_transfer_submit(dev);
}

/* The buffer for the next host request: empty, and as large as that will be. */
static void open_window(struct ata *ata)
{
    ata->fill = smaller(ata->left.count, ata->limit) * HOST_DISK_SECTOR;
    ata->pos = 0;
}

static void read_window(struct device *dev)
{
    open_window(dev->state);
    submit_op(dev, HOST_DISK_READ);
}

/* --- The guest's side --- */

static void offer_block(struct device *dev, enum ata_phase phase, bool interrupt)
{
    struct ata *ata = dev->state;
    ata->phase = (uint8_t)phase;
    ata->block_end = smaller(ata->pos + ata->block, ata->fill);
    ata->status = ATA_STATUS_READY | ATA_STATUS_DRQ;
    ata->irq |= interrupt;
    ata->news |= interrupt;
}

void ata_transfer_block_done(struct device *dev)
{
    struct ata *ata = dev->state;
    if (ata->pos < ata->fill)
        offer_block(dev, ata->phase, true);
    else if (ata->phase == PHASE_OUT)
        submit_op(dev, HOST_DISK_WRITE);
    else if (ata->left.count)
        read_window(dev);
    else
        finish(dev, false);
}

/* --- The host is done --- */

static void window_done(struct device *dev)
{
    struct ata *ata = dev->state;
    ata->left.lba += ata->fill / HOST_DISK_SECTOR;
    ata->left.count -= ata->fill / HOST_DISK_SECTOR;
    if (ata->kind != ATA_VERIFY)
        dev->count.bytes += ata->fill;
    if (ata->kind == ATA_READ) {
        offer_block(dev, PHASE_IN, true);
    } else if (ata->left.count && ata->kind == ATA_VERIFY) {
        read_window(dev);
    } else if (ata->left.count) {
        open_window(ata);
        offer_block(dev, PHASE_OUT, true);
    } else if (ata->flush) {
        submit_op(dev, HOST_DISK_FLUSH);
    } else {
        finish(dev, true);
    }
}

void ata_transfer_complete(struct device *dev)
{
    struct ata *ata = dev->state;
    if (ata->request.status && ata->request.op == HOST_DISK_READ && ata->fill > ata->block) {
        ata->limit = ata->block / HOST_DISK_SECTOR;
        read_window(dev);
    } else if (ata->request.status) {
        fail(dev, ata_host_error(ata->kind));
    } else if (ata->request.op == HOST_DISK_FLUSH) {
        finish(dev, true);
    } else {
        window_done(dev);
    }
}

/* --- Commands --- */

static void begin_transfer(struct device *dev, const struct ata_command *command,
                           const struct ata_taskfile *tf)
{
    struct ata *ata = dev->state;
    struct host_disk *disk = dev->host;
    uint8_t error = ata_command_range(command, tf, &ata->settings, disk->sectors, &ata->left);
    if ((ata->flags & ATA_MULTIPLE) && !ata->settings.multiple)
        error = ATA_ERROR_ABRT;
    if (ata->kind == ATA_WRITE && disk->read_only)
        error = ATA_ERROR_ABRT;
    if (error) {
        fail(dev, error);
        return;
    }
    ata->limit = ATA_WINDOW;
    ata->block = (ata->flags & ATA_MULTIPLE ? ata->settings.multiple : 1) * HOST_DISK_SECTOR;
    ata->flush = ata->kind == ATA_WRITE && ((ata->flags & ATA_FUA) || !ata->settings.write_cache);
    if (ata->kind == ATA_WRITE) {
        open_window(ata);
        offer_block(dev, PHASE_OUT, false);
    } else {
        read_window(dev);
    }
}

static void begin_identify(struct device *dev)
{
    struct ata *ata = dev->state;
    ata_identify_fill(ata->buffer, dev->host, &ata->settings, &ata_profile);
    ata->left.count = 0;
    ata->block = ata->fill = HOST_DISK_SECTOR;
    ata->pos = 0;
    offer_block(dev, PHASE_IN, true);
}

static void begin_immediate(struct device *dev, struct ata_taskfile *tf)
{
    struct ata *ata = dev->state;
    struct host_disk *disk = dev->host;
    uint8_t error = ata_command_immediate(tf, &ata->settings, &ata_profile, disk->sectors);
    if (error) {
        fail(dev, error);
        return;
    }
    ata_put_taskfile(ata, tf);
    finish(dev, true);
}

void ata_transfer_start(struct device *dev, uint8_t code)
{
    struct ata *ata = dev->state;
    const struct ata_command *command = ata_command_find(code);
    dev->count.notifications++;
    ata->irq = false;
    ata->error = 0;
    ata->kind = command ? command->kind : ATA_IMMEDIATE;
    ata->flags = command ? command->flags : 0;
    struct ata_taskfile tf;
    get_taskfile(ata, code, &tf);
    if (!command || (ata->flags & (ATA_DMA | ATA_NCQ)) || ata->kind == ATA_READ_LOG) {
        ata->kind = ATA_IMMEDIATE;
        fail(dev, ATA_ERROR_ABRT);
    } else if (ata->kind == ATA_FLUSH) {
        submit_op(dev, HOST_DISK_FLUSH);
    } else if (ata->kind == ATA_IDENTIFY) {
        begin_identify(dev);
    } else if (ata->kind == ATA_IMMEDIATE) {
        begin_immediate(dev, &tf);
    } else {
        begin_transfer(dev, command, &tf);
    }
}
