/*
 * What the emulated AHCI disk does for a command: requests to the host's disk, and the answer to
 * the guest.
 *
 * AHCI 1.3.1, sections 5.5 and 5.6 (command issue and completion), 6.2 (errors); Serial ATA 3.1,
 * section 13.6 (queued commands, log 10h); ACS-2, section 7 (commands).
 *
 * The surprise: a command that failed keeps its bit in PxCI or PxSACT, and nothing further is
 * issued: the driver has to clear PxCMD.ST, and it is that which forgets all commands.
 */
#include "devices/emulated/disk/ahci.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define NCQ_FUA  0x80u /* in the device register */
#define DSM_TRIM 0x01u /* DATA SET MANAGEMENT, in feature */

/* READ LOG: the page, in two registers of lba. The lowest register has the address of the log. */
#define LOG_PAGE 0xff0000ff00ull

/* --- Completion --- */

static void store_byte_count(struct device *dev, const struct ahci_slot *slot)
{
    uint64_t gpa = ahci_header_gpa(dev->state, slot) + offsetof(struct ahci_header, bytes);
    void *bytes = vm_ram_for_write(dev->vm, gpa, sizeof(slot->bytes));
    if (bytes)
        memcpy(bytes, &slot->bytes, sizeof(slot->bytes));
}

static void count_request(struct device *dev, const struct ahci_slot *slot)
{
    if (slot->kind == ATA_IDENTIFY || slot->kind == ATA_READ_LOG || slot->kind == ATA_IMMEDIATE)
        return;
    dev->count.requests++;
    if (slot->kind == ATA_READ || slot->kind == ATA_WRITE)
        dev->count.bytes += slot->bytes;
}

static void succeed(struct device *dev, struct ahci_slot *slot)
{
    struct ahci *ahci = dev->state;
    unsigned number = ahci_slot_number(ahci, slot);
    slot->tf.status = ATA_STATUS_READY;
    count_request(dev, slot);
    if (slot->cursor.interrupt)
        ahci_set_is(ahci, PXIS_DPS);
    if (slot->flags & ATA_NCQ) {
        ahci->queued &= ~(1u << number);
        ahci->finished |= 1u << number;
        return;
    }
    ahci->busy = AHCI_NO_SLOT;
    store_byte_count(dev, slot);
    ahci->ci &= ~(1u << number);
    if ((slot->flags & ATA_PIO) && ahci_to_guest(slot))
        ahci_receive_pio_setup(dev, &slot->tf, true);
    else
        ahci_receive_d2h(dev, &slot->tf, true);
}

/* The device reports an error. PxCI (or PxSACT) keeps the command's bit until the driver restarts
 * the port. */
static void fail(struct device *dev, struct ahci_slot *slot, uint8_t error)
{
    struct ahci *ahci = dev->state;
    uint32_t finished = ahci->finished;
    slot->tf.error = error;
    slot->tf.status = ATA_STATUS_READY | ATA_STATUS_ERR;
    if (slot->kind <= ATA_VERIFY && (slot->flags & ATA_EXT) && error != ATA_ERROR_ABRT)
        slot->tf.lba = slot->left.lba;
    if (slot->flags & ATA_NCQ) {
        ahci->ncq_error = slot->tf;
        ahci->ncq_tag = (uint8_t)ahci_slot_number(ahci, slot);
        ahci->queued &= ~(1u << ahci->ncq_tag);
        ahci->finished = 0;
        ahci_receive_sdb(dev, finished, slot->tf.status, error);
    } else {
        ahci->ncq_tag = AHCI_NOT_QUEUED;
        ahci->busy = AHCI_NO_SLOT;
        ahci_receive_d2h(dev, &slot->tf, true);
    }
}

/* The guest's memory is not what the command says: fatal; with too few PRDs the device
 * aborts the command. */
static void fail_memory(struct device *dev, struct ahci_slot *slot, uint32_t pxis)
{
    struct ahci *ahci = dev->state;
    if (pxis == PXIS_OFS) {
        ahci_set_is(ahci, PXIS_OFS);
        fail(dev, slot, ATA_ERROR_ABRT);
        return;
    }
    ahci_halt(dev, pxis); /* PxTFD stays busy, for CLO or COMRESET */
}

/* --- Requests to the host --- */

void ahci_command_submit(struct device *dev, struct ahci_slot *slot)
{
    struct ahci *ahci = dev->state;
    struct host_disk *disk = dev->host;
    uint32_t bit = 1u << ahci_slot_number(ahci, slot);
    int status = disk->submit(disk, &slot->request);
    ahci->waiting &= ~bit;
    if (status == 0)
        ahci->in_flight |= bit;
    else if (status == -EAGAIN)
        ahci->waiting |= bit;
    else
        fail(dev, slot, ATA_ERROR_ABRT);
}

static void submit_op(struct device *dev, struct ahci_slot *slot, enum host_disk_op op)
{
    slot->request.op = op;
    slot->request.sector = op == HOST_DISK_FLUSH ? 0 : slot->left.lba;
    slot->request.count = slot->chunk;
    slot->request.segments = slot->segments;
    slot->request.cookie = slot;
    ahci_command_submit(dev, slot);
}

static void transfer(struct device *dev, struct ahci_slot *slot)
{
    uint32_t error = 0;
    slot->bounced = false;
    slot->chunk = 0;
    if (slot->kind != ATA_VERIFY)
        error = ahci_prd_collect(dev, slot);
    if (!error && !slot->chunk)
        error = ahci_prd_bounce(dev, slot);
    if (error)
        fail_memory(dev, slot, error);
    else
        submit_op(dev, slot, slot->kind == ATA_WRITE ? HOST_DISK_WRITE : HOST_DISK_READ);
}

static void transferred(struct device *dev, struct ahci_slot *slot)
{
    if (slot->bounced && slot->kind == ATA_READ) {
        uint32_t error = ahci_prd_copy_sector(dev, slot);
        if (error) {
            fail_memory(dev, slot, error);
            return;
        }
    }
    if (slot->kind != ATA_VERIFY)
        slot->bytes += slot->chunk * HOST_DISK_SECTOR;
    slot->left.lba += slot->chunk;
    slot->left.count -= slot->chunk;
    if (slot->left.count)
        transfer(dev, slot);
    else if (slot->flush)
        submit_op(dev, slot, HOST_DISK_FLUSH);
    else
        succeed(dev, slot);
}

/* The next range of the block; .left.count is the index of the one to look at. */
static void trim(struct device *dev, struct ahci_slot *slot)
{
    while (slot->left.count < ATA_TRIM_RANGES) {
        struct ata_range range = ata_trim_range(slot->sector, slot->left.count++);
        if (range.count) {
            slot->left.lba = range.lba;
            slot->chunk = range.count;
            submit_op(dev, slot, HOST_DISK_DISCARD);
            return;
        }
    }
    succeed(dev, slot);
}

void ahci_command_complete(struct device *dev, struct ahci_slot *slot)
{
    struct ahci *ahci = dev->state;
    unsigned number = ahci_slot_number(ahci, slot);
    bool abandoned = ahci->abandoned >> number & 1;
    ahci->in_flight &= ~(1u << number);
    ahci->abandoned &= ~(1u << number);
    if (abandoned) {
        if (ahci->busy == number) {
            ahci->busy = AHCI_NO_SLOT;
            ahci->tfd = ATA_STATUS_READY;
        }
    } else if (slot->request.status) {
        fail(dev, slot, ata_host_error(slot->kind));
    } else if (slot->request.op == HOST_DISK_FLUSH) {
        succeed(dev, slot);
    } else if (slot->request.op == HOST_DISK_DISCARD) {
        trim(dev, slot);
    } else {
        transferred(dev, slot);
    }
}

/* --- Commands --- */

static void begin_transfer(struct device *dev, struct ahci_slot *slot,
                           const struct ata_command *command)
{
    struct ahci *ahci = dev->state;
    struct host_disk *disk = dev->host;
    bool fua = (slot->flags & ATA_FUA) || ((slot->flags & ATA_NCQ) && (slot->tf.device & NCQ_FUA));
    uint8_t error = ata_command_range(command, &slot->tf, &ahci->settings, disk->sectors,
                                      &slot->left);
    if ((slot->flags & ATA_MULTIPLE) && !ahci->settings.multiple)
        error = ATA_ERROR_ABRT;
    if (slot->kind == ATA_WRITE && disk->read_only)
        error = ATA_ERROR_ABRT;
    if (error) {
        fail(dev, slot, error);
        return;
    }
    slot->flush = slot->kind == ATA_WRITE && (fua || !ahci->settings.write_cache);
    if (slot->kind == ATA_WRITE && (slot->flags & ATA_PIO)) {
        slot->tf.status = ATA_STATUS_BSY;
        ahci_receive_pio_setup(dev, &slot->tf, false);
        if (ahci->halted)
            return;
    }
    transfer(dev, slot);
}

static void begin_trim(struct device *dev, struct ahci_slot *slot)
{
    const struct host_disk *disk = dev->host;
    if (!disk->can_discard || slot->tf.feature != DSM_TRIM || slot->tf.count != 1) {
        fail(dev, slot, ATA_ERROR_ABRT);
        return;
    }
    uint32_t error = ahci_prd_copy_sector(dev, slot);
    if (error) {
        fail_memory(dev, slot, error);
        return;
    }
    for (unsigned i = 0; i < ATA_TRIM_RANGES; i++) {
        struct ata_range range = ata_trim_range(slot->sector, i);
        if (range.count &&
            (range.count > disk->sectors || range.lba > disk->sectors - range.count)) {
            fail(dev, slot, ATA_ERROR_IDNF);
            return;
        }
    }
    slot->bytes = HOST_DISK_SECTOR;
    slot->left.count = 0;
    trim(dev, slot);
}

/* The two logs there are, of one page each. False: no such page. */
static bool fill_log(const struct ahci *ahci, struct ahci_slot *slot)
{
    uint8_t address = (uint8_t)slot->tf.lba, *page = slot->sector;
    const struct ata_taskfile *tf = &ahci->ncq_error;
    if (slot->tf.count != 1 || (slot->tf.lba & LOG_PAGE))
        return false;
    memset(page, 0, HOST_DISK_SECTOR);
    if (address == 0) { /* the directory: pages in each log, by address */
        page[0] = 1;
        page[2 * ATA_LOG_NCQ_ERROR] = 1;
        return true;
    }
    if (address != ATA_LOG_NCQ_ERROR)
        return false;
    page[0] = ahci->ncq_tag;
    page[2] = tf->status;
    page[3] = tf->error;
    for (unsigned i = 0; i < 3; i++) {
        page[4 + i] = (uint8_t)(tf->lba >> (8 * i));
        page[8 + i] = (uint8_t)(tf->lba >> (24 + 8 * i));
    }
    page[7] = tf->device;
    page[12] = (uint8_t)tf->count;
    page[13] = (uint8_t)(tf->count >> 8);
    page[511] = ata_checksum(page);
    return true;
}

static void give_sector(struct device *dev, struct ahci_slot *slot)
{
    uint32_t error = ahci_prd_copy_sector(dev, slot);
    slot->bytes = HOST_DISK_SECTOR;
    if (error)
        fail_memory(dev, slot, error);
    else
        succeed(dev, slot);
}

static void begin(struct device *dev, struct ahci_slot *slot, const struct ata_command *command)
{
    struct ahci *ahci = dev->state;
    const struct host_disk *disk = dev->host;
    uint8_t error = 0;
    switch (slot->kind) {
    case ATA_FLUSH: submit_op(dev, slot, HOST_DISK_FLUSH); break;
    case ATA_TRIM: begin_trim(dev, slot); break;
    case ATA_IDENTIFY:
        ata_identify_fill(slot->sector, disk, &ahci->settings, &ahci_profile);
        give_sector(dev, slot);
        break;
    case ATA_READ_LOG:
        if (fill_log(ahci, slot))
            give_sector(dev, slot);
        else
            fail(dev, slot, ATA_ERROR_ABRT);
        break;
    case ATA_IMMEDIATE:
        error = ata_command_immediate(&slot->tf, &ahci->settings, &ahci_profile, disk->sectors);
        if (error)
            fail(dev, slot, error);
        else
            succeed(dev, slot);
        break;
    default: begin_transfer(dev, slot, command); break;
    }
}

void ahci_command_start(struct device *dev, struct ahci_slot *slot)
{
    struct ahci *ahci = dev->state;
    const struct ata_command *command = ata_command_find(slot->tf.command);
    unsigned number = ahci_slot_number(ahci, slot);
    slot->kind = command ? command->kind : ATA_IMMEDIATE;
    slot->flags = command ? command->flags : 0;
    slot->tf.error = 0;
    if (slot->flags & ATA_NCQ) {
        slot->tf.status = ATA_STATUS_READY; /* the bus is free for the next command */
        ahci->ci &= ~(1u << number);
        ahci_receive_d2h(dev, &slot->tf, false);
        if (ahci->halted)
            return;
        ahci->queued |= 1u << number;
        if (((slot->tf.count >> 3) & 0x1f) != number) {
            fail(dev, slot, ATA_ERROR_ABRT);
            return;
        }
    } else {
        ahci->busy = (uint8_t)number;
        ahci->tfd |= ATA_STATUS_BSY;
        if (!command || ahci->queued) {
            fail(dev, slot, ATA_ERROR_ABRT);
            return;
        }
    }
    begin(dev, slot, command);
}
