/*
 * The FISes that the emulated AHCI port receives from its disk, stored in the guest's memory.
 *
 * AHCI 1.3.1, section 4.2.1 (received FISes); Serial ATA 3.1, section 10.5 (FIS layouts).
 *
 * The surprise: DMA Setup FISes are not stored: no interrupt announces them and no register shows
 * them.
 */
#include "devices/emulated/disk/ahci.h"

#include <string.h>

/* The received-FIS area. */
#define FIS_PIO_SETUP 0x20u
#define FIS_D2H       0x40u
#define FIS_SDB       0x58u
#define FIS_BYTES     20u
#define FIS_SDB_BYTES 8u
#define FIS_INTERRUPT 0x40u /* in byte 1 */
#define FIS_TO_HOST   0x20u

static void store_fis(struct device *dev, uint32_t offset, const uint8_t *fis, uint32_t len)
{
    const struct ahci *ahci = dev->state;
    if (!(ahci->cmd & PXCMD_FRE))
        return;
    void *area = vm_ram_for_write(dev->vm, ahci->fb_gpa + offset, len);
    if (area)
        memcpy(area, fis, len);
    else
        ahci_halt(dev, PXIS_HBFS);
}

static void fill_fis(uint8_t *fis, uint8_t type, uint8_t flags, const struct ata_taskfile *tf)
{
    memset(fis, 0, FIS_BYTES);
    fis[0] = type;
    fis[1] = flags;
    fis[2] = tf->status;
    fis[3] = tf->error;
    for (unsigned i = 0; i < 3; i++) {
        fis[4 + i] = (uint8_t)(tf->lba >> (8 * i));
        fis[8 + i] = (uint8_t)(tf->lba >> (24 + 8 * i));
    }
    fis[7] = tf->device;
    fis[12] = (uint8_t)tf->count;
    fis[13] = (uint8_t)(tf->count >> 8);
}

void ahci_receive_d2h(struct device *dev, const struct ata_taskfile *tf, bool interrupt)
{
    struct ahci *ahci = dev->state;
    uint8_t fis[FIS_BYTES];
    fill_fis(fis, 0x34, interrupt ? FIS_INTERRUPT : 0, tf);
    ahci->tfd = (uint32_t)tf->error << 8 | tf->status;
    if (interrupt)
        ahci_set_is(ahci, PXIS_DHRS);
    store_fis(dev, FIS_D2H, fis, sizeof(fis));
    if (tf->status & ATA_STATUS_ERR)
        ahci_halt(dev, PXIS_TFES);
}

/* One FIS stands for all of a command's blocks: memory and registers would show the last one. */
void ahci_receive_pio_setup(struct device *dev, const struct ata_taskfile *tf, bool to_guest)
{
    struct ahci *ahci = dev->state;
    uint8_t fis[FIS_BYTES];
    fill_fis(fis, 0x5f, to_guest ? FIS_INTERRUPT | FIS_TO_HOST : 0, tf);
    fis[2] = ATA_STATUS_READY | ATA_STATUS_DRQ;
    fis[15] = tf->status;            /* when the data has been moved */
    fis[17] = HOST_DISK_SECTOR >> 8; /* transfer count */
    if (to_guest) {
        ahci->tfd = (uint32_t)tf->error << 8 | tf->status;
        ahci_set_is(ahci, PXIS_PSS);
    }
    store_fis(dev, FIS_PIO_SETUP, fis, sizeof(fis));
}

void ahci_receive_sdb(struct device *dev, uint32_t finished, uint8_t status, uint8_t error)
{
    struct ahci *ahci = dev->state;
    uint8_t fis[FIS_SDB_BYTES] = {0xa1, FIS_INTERRUPT, status, error};
    for (unsigned i = 0; i < 4; i++)
        fis[4 + i] = (uint8_t)(finished >> (8 * i));
    ahci->sact &= ~finished;
    ahci->tfd = (uint32_t)error << 8 | (ahci->tfd & (ATA_STATUS_BSY | ATA_STATUS_DRQ)) | status;
    ahci_set_is(ahci, PXIS_SDBS);
    store_fis(dev, FIS_SDB, fis, sizeof(fis));
    if (status & ATA_STATUS_ERR)
        ahci_halt(dev, PXIS_TFES);
}
