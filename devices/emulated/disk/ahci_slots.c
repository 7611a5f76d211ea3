/*
 * The command slots of the emulated AHCI disk: a command is fetched from the guest's command list,
 * and given to the device; what the host's disk has finished comes back here.
 *
 * AHCI 1.3.1, sections 4.2.2 and 4.2.3 (command list and table), 5.3 and 5.5 (port states, command
 * issue); Serial ATA 3.1, section 10.5 (FIS layouts).
 *
 * The surprise: a slot can be empty for the guest and full for the host. A driver that clears
 * PxCMD.ST has forgotten its commands, but the host's disk may still be at work on them: such a
 * slot is issued again only when the host has let go of it.
 */
#include "devices/emulated/disk/ahci.h"

#include <string.h>

#include "core/isa/bits.h"

#define HEADER_CFL   0x1fu /* in a command header's flags: length of the FIS in words */
#define TABLE_ALIGN  0x7full
#define FIS_H2D      0x27u
#define FIS_WORDS    5u
#define FIS_COMMAND  0x80u /* in byte 1: a command, not a change of the control register */
#define FIS_CONTROL  15u
#define CONTROL_SRST 0x04u

/* --- Issue --- */

/* A change of the control register: a software reset is one with SRST and one without. */
static void control(struct device *dev, struct ahci_slot *slot, uint8_t value)
{
    struct ahci *ahci = dev->state;
    ahci->ci &= ~(1u << ahci_slot_number(ahci, slot));
    if (value & CONTROL_SRST) {
        ahci_slots_reset(dev);
        ahci->soft_reset = true;
        ahci->tfd &= ~(ATA_STATUS_BSY | ATA_STATUS_DRQ);
    } else if (ahci->soft_reset) {
        struct ata_taskfile tf;
        ata_taskfile_signature(&tf);
        ahci->soft_reset = false;
        ahci->sig = (uint32_t)(tf.lba << 8 | tf.count);
        ahci_receive_d2h(dev, &tf, false);
    }
}

static void decode_fis(struct ata_taskfile *tf, const uint8_t *fis)
{
    *tf = (struct ata_taskfile){
        .command = fis[2],
        .feature = (uint16_t)(fis[3] | fis[11] << 8),
        .device = fis[7],
        .count = (uint16_t)(fis[12] | fis[13] << 8),
    };
    for (unsigned i = 0; i < 3; i++)
        tf->lba |= (uint64_t)fis[4 + i] << (8 * i) | (uint64_t)fis[8 + i] << (24 + 8 * i);
}

/* Fetches the header and the FIS of a free slot and starts its command. */
static void start(struct device *dev, struct ahci_slot *slot)
{
    struct ahci *ahci = dev->state;
    struct ahci_header header;
    const void *in_list = vm_ram(dev->vm, ahci_header_gpa(ahci, slot), sizeof(header));
    ahci->current = (uint8_t)ahci_slot_number(ahci, slot);
    if (!in_list) {
        ahci_halt(dev, PXIS_HBFS);
        return;
    }
    memcpy(&header, in_list, sizeof(header));
    slot->table_gpa = header.table_gpa & ~TABLE_ALIGN;
    slot->prds = header.prds;
    const void *table = vm_ram(dev->vm, slot->table_gpa, AHCI_TABLE_PRDS);
    if (!table) {
        ahci_halt(dev, PXIS_HBFS);
        return;
    }
    uint8_t fis[4 * FIS_WORDS];
    memcpy(fis, table, sizeof(fis));
    if (fis[0] != FIS_H2D || (header.flags & HEADER_CFL) != FIS_WORDS) {
        ahci->serr |= PXSERR_P;
        ahci_halt(dev, PXIS_IFS);
        return;
    }
    slot->bounced = slot->flush = false;
    slot->cursor = (struct ahci_cursor){0};
    slot->bytes = 0;
    decode_fis(&slot->tf, fis);
    if (fis[1] & FIS_COMMAND)
        ahci_command_start(dev, slot);
    else
        control(dev, slot, fis[FIS_CONTROL]);
}

/* --- What the registers ask for --- */

/* Whether the port gives its device another command. */
static bool may_issue(const struct ahci *ahci)
{
    return (ahci->cmd & PXCMD_ST) && !ahci->halted && ahci->busy == AHCI_NO_SLOT &&
           !(ahci->tfd & (ATA_STATUS_BSY | ATA_STATUS_DRQ));
}

void ahci_slots_run(struct device *dev)
{
    struct ahci *ahci = dev->state;
    for (uint32_t left = ahci->ci; left && may_issue(ahci); left &= left - 1) {
        unsigned number = bits_first(left);
        if ((ahci->waiting | ahci->in_flight) >> number & 1)
            continue;
        start(dev, &ahci->slot[number]);
        if (device_yield(dev))
            return;
    }
}

/* False: the rest follows later, as it does for what the host's disk refused before. */
static bool finish_requests(struct device *dev)
{
    struct host_disk *disk = dev->host;
    struct host_disk_request *request;
    while ((request = disk->completed(disk))) {
        ahci_command_complete(dev, request->cookie);
        if (device_yield(dev))
            return false;
    }
    return true;
}

static bool submit_waiting(struct device *dev)
{
    struct ahci *ahci = dev->state;
    while (ahci->waiting) {
        unsigned number = bits_first(ahci->waiting);
        ahci_command_submit(dev, &ahci->slot[number]);
        if (ahci->waiting >> number & 1) /* still full */
            break;
        if (device_yield(dev))
            return false;
    }
    return true;
}

void ahci_slots_service(struct device *dev)
{
    struct ahci *ahci = dev->state;
    bool all = finish_requests(dev) && submit_waiting(dev);
    if (ahci->finished) {
        uint32_t finished = ahci->finished;
        ahci->finished = 0;
        ahci_receive_sdb(dev, finished, ATA_STATUS_READY, 0);
    }
    if (all)
        ahci_slots_run(dev);
}

void ahci_slots_abandon(struct device *dev)
{
    struct ahci *ahci = dev->state;
    uint32_t busy = ahci->busy == AHCI_NO_SLOT ? 0 : 1u << ahci->busy;
    if (ahci->waiting & busy)
        ahci->tfd = ATA_STATUS_READY;
    if (!(ahci->in_flight & busy))
        ahci->busy = AHCI_NO_SLOT;
    ahci->waiting = ahci->queued = ahci->finished = 0;
    ahci->abandoned = ahci->in_flight;
}

void ahci_slots_reset(struct device *dev)
{
    struct ahci *ahci = dev->state;
    struct host_disk *disk = dev->host;
    if (ahci->in_flight)
        disk->reset(disk);
    ahci->waiting = ahci->in_flight = ahci->abandoned = ahci->queued = ahci->finished = 0;
    ahci->busy = AHCI_NO_SLOT;
    ahci->soft_reset = false;
    ahci->ncq_tag = AHCI_NOT_QUEUED;
    ahci->ncq_error = (struct ata_taskfile){0};
    ata_settings_reset(&ahci->settings, &ahci_profile);
}
