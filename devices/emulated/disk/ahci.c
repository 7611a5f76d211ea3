/*
 * An AHCI host bus adapter with one port, and a SATA disk at it: registers, interrupts and resets.
 *
 * Serial ATA AHCI 1.3.1, sections 3 (registers), 5.3 (port states), 6 (errors), 10 (initialization,
 * resets).
 *
 * The surprise: clearing PxCMD.ST is how a driver forgets commands, but their data may still be on
 * the way. PxCMD.CR therefore stays set until the host's disk has let go of the guest's memory.
 */
#include "devices/emulated/disk/ahci.h"

#include <string.h>

#include "devices/emulated/emulated.h"

enum hba_register {
    HBA_CAP = 0x00,
    HBA_GHC = 0x04,
    HBA_IS = 0x08, /* ports with an interrupt */
    HBA_PI = 0x0c, /* ports implemented */
    HBA_VS = 0x10,
    HBA_CAP2 = 0x24, /* 0: none of it is there */
    HBA_BOHC = 0x28,
    HBA_PORT = 0x100, /* port 0: */
    PORT_CLB = 0x00,  /* command list, 1 KiB aligned */
    PORT_CLBU = 0x04,
    PORT_FB = 0x08, /* received FISes, 256 bytes aligned */
    PORT_FBU = 0x0c,
    PORT_IS = 0x10,
    PORT_IE = 0x14,
    PORT_CMD = 0x18,
    PORT_TFD = 0x20,
    PORT_SIG = 0x24,
    PORT_SSTS = 0x28,
    PORT_SCTL = 0x2c,
    PORT_SERR = 0x30,
    PORT_SACT = 0x34,
    PORT_CI = 0x38,
    PORT_SNTF = 0x3c, /* from here on: features that CAP says are not there */
    PORT_FBS = 0x40,
    PORT_DEVSLP = 0x44,
    PORT_END = 0x80,
};

static const struct device_register ahci_registers[] = {
    {HBA_CAP, "CAP", NULL, 0, 0},
    {HBA_GHC, "GHC", "GHC", 0, 0},
    {HBA_IS, "IS", "IS", 0, 0},
    {HBA_PI, "PI", NULL, 0, 0},
    {HBA_VS, "VS", NULL, 0, 0},
    {HBA_CAP2, "CAP2", NULL, 0, 0},
    {HBA_BOHC, "BOHC", "BOHC", 0, 0},
    {HBA_PORT + PORT_CLB, "PxCLB", "PxCLB", 0, 0},
    {HBA_PORT + PORT_CLBU, "PxCLBU", "PxCLBU", 0, 0},
    {HBA_PORT + PORT_FB, "PxFB", "PxFB", 0, 0},
    {HBA_PORT + PORT_FBU, "PxFBU", "PxFBU", 0, 0},
    {HBA_PORT + PORT_IS, "PxIS", "PxIS", 0, 0},
    {HBA_PORT + PORT_IE, "PxIE", "PxIE", 0, 0},
    {HBA_PORT + PORT_CMD, "PxCMD", "PxCMD", 0, 0},
    {HBA_PORT + PORT_TFD, "PxTFD", NULL, 0, 0},
    {HBA_PORT + PORT_SIG, "PxSIG", NULL, 0, 0},
    {HBA_PORT + PORT_SSTS, "PxSSTS", NULL, 0, 0},
    {HBA_PORT + PORT_SCTL, "PxSCTL", "PxSCTL", 0, 0},
    {HBA_PORT + PORT_SERR, "PxSERR", "PxSERR", 0, 0},
    {HBA_PORT + PORT_SACT, "PxSACT", "PxSACT", 0, 0},
    {HBA_PORT + PORT_CI, "PxCI", "PxCI", 0, 0},
    {HBA_PORT + PORT_SNTF, "PxSNTF", "PxSNTF", 0, 0},
    {HBA_PORT + PORT_FBS, "PxFBS", "PxFBS", 0, 0},
    {HBA_PORT + PORT_DEVSLP, "PxDEVSLP", "PxDEVSLP", 0, 0},
    {0, NULL, NULL, 0, 0},
};

#define CAP_NCS   ((AHCI_SLOTS - 1) << 8)
#define CAP_SAM   (1u << 18) /* AHCI only, no legacy registers */
#define CAP_ISS   (3u << 20) /* up to 6 Gb/s */
#define CAP_SCLO  (1u << 24) /* command list override */
#define CAP_SNCQ  (1u << 30)
#define CAP_S64A  (1u << 31)
#define CAP_VALUE (CAP_NCS | CAP_SAM | CAP_ISS | CAP_SCLO | CAP_SNCQ | CAP_S64A)
#define VS_VALUE  0x00010301u

#define GHC_HR (1u << 0)
#define GHC_IE (1u << 1)
#define GHC_AE (1u << 31) /* always: CAP.SAM */

#define PXIE_MASK 0xfdc000ffu

#define PXCMD_SUD       (1u << 1) /* spun up and powered: fixed without staggered spin-up */
#define PXCMD_POD       (1u << 2)
#define PXCMD_CLO       (1u << 3) /* clear BSY and DRQ; done at once */
#define PXCMD_CCS_SHIFT 8
#define PXCMD_FR        (1u << 14) /* receiving FISes */
#define PXCMD_CR        (1u << 15) /* processing the command list */
#define PXCMD_ATAPI     (1u << 24)
#define PXCMD_DLAE      (1u << 25)
#define PXCMD_STICKY    (PXCMD_ST | PXCMD_FRE | PXCMD_ATAPI | PXCMD_DLAE)

#define PXSSTS_SPEED  3u
#define PXSSTS_ACTIVE (1u << 8)
#define PXSCTL_DET    0x0fu /* 0 nothing, 1 COMRESET as long as it is 1, 4 interface off */
#define PXSCTL_MASK   0xfffu

#define PXSERR_N (1u << 16) /* the link came or went */
#define PXSERR_X (1u << 26) /* a device was attached, or reset */

#define TFD_NO_DEVICE 0x7fu /* until the first D2H FIS */
#define SIG_NONE      0xffffffffu

const struct ata_profile ahci_profile = {.model = "TRIDENT AHCI DISK", .sata = true};

/* --- Interrupts --- */

static uint32_t port_is(const struct ahci *ahci)
{
    return ahci->pxis | (ahci->serr & PXSERR_X ? PXIS_PCS : 0) |
           (ahci->serr & PXSERR_N ? PXIS_PRCS : 0);
}

static void update_irq(struct device *dev)
{
    struct ahci *ahci = dev->state;
    bool cause = port_is(ahci) & ahci->pxie;
    ahci->is |= cause;
    bool level = ahci->is && ahci->interrupts;
    if ((ahci->news && cause) || level != dev->line)
        device_set_irq(dev, level);
    ahci->news = false;
}

void ahci_halt(struct device *dev, uint32_t pxis)
{
    struct ahci *ahci = dev->state;
    ahci_set_is(ahci, pxis);
    ahci->halted = true;
    ahci_slots_abandon(dev);
}

/* --- Resets --- */

/* The first FIS after a reset; the device holds it back until the port receives. */
static void send_signature(struct device *dev)
{
    struct ahci *ahci = dev->state;
    if (!ahci->signature || !(ahci->cmd & PXCMD_FRE))
        return;
    ahci->signature = false;
    struct ata_taskfile tf;
    ata_taskfile_signature(&tf);
    ahci->sig = (uint32_t)(tf.lba << 8 | tf.count);
    ahci_receive_d2h(dev, &tf, false);
}

/* The link goes down, and the device with it. */
static void link_down(struct device *dev)
{
    struct ahci *ahci = dev->state;
    ahci_slots_reset(dev);
    ahci->tfd = TFD_NO_DEVICE;
    ahci->sig = SIG_NONE;
    ahci->sact = ahci->ci = 0;
    ahci->halted = ahci->signature = false;
}

static void link_up(struct device *dev)
{
    struct ahci *ahci = dev->state;
    ahci->serr |= PXSERR_X | PXSERR_N;
    ahci->news = true;
    ahci->signature = true;
    send_signature(dev);
}

/* GHC.HR: everything but PxCLB and PxFB (section 10.4.3). */
static void hba_reset(struct device *dev)
{
    struct ahci *ahci = dev->state;
    link_down(dev);
    ahci->interrupts = ahci->is = false;
    ahci->pxis = ahci->pxie = ahci->cmd = ahci->sctl = ahci->serr = 0;
    ahci->current = 0;
    link_up(dev);
}

/* --- Registers --- */

static uint32_t load_cmd(const struct ahci *ahci)
{
    return ahci->cmd | PXCMD_SUD | PXCMD_POD | (uint32_t)ahci->current << PXCMD_CCS_SHIFT |
           (ahci->cmd & PXCMD_FRE ? PXCMD_FR : 0) |
           ((ahci->cmd & PXCMD_ST) || ahci->in_flight ? PXCMD_CR : 0);
}

static void store_cmd(struct device *dev, uint32_t value)
{
    struct ahci *ahci = dev->state;
    uint32_t before = ahci->cmd;
    ahci->cmd = value & PXCMD_STICKY;
    if ((before & PXCMD_ST) && !(value & PXCMD_ST)) {
        ahci->ci = ahci->sact = 0;
        ahci->current = 0;
        ahci->halted = false;
        ahci_slots_abandon(dev);
    }
    if ((value & PXCMD_CLO) && !(before & PXCMD_ST)) {
        ahci->tfd &= ~(ATA_STATUS_BSY | ATA_STATUS_DRQ);
        ahci->busy = AHCI_NO_SLOT;
    }
    send_signature(dev);
    ahci_slots_run(dev);
}

static uint32_t load_ssts(const struct ahci *ahci)
{
    uint32_t limit = (ahci->sctl >> 4) & 0xf;
    switch (ahci->sctl & PXSCTL_DET) {
    case 0: return PXSSTS_ACTIVE | (limit && limit < PXSSTS_SPEED ? limit : PXSSTS_SPEED) << 4 | 3;
    case 4: return 4;
    default: return 0;
    }
}

static void store_sctl(struct device *dev, uint32_t value)
{
    struct ahci *ahci = dev->state;
    bool was_up = !(ahci->sctl & PXSCTL_DET), is_up = !(value & PXSCTL_DET);
    ahci->sctl = value & PXSCTL_MASK;
    if (!is_up)
        link_down(dev);
    else if (!was_up)
        link_up(dev);
}

static void store_ci(struct device *dev, uint32_t value)
{
    struct ahci *ahci = dev->state;
    if (!(ahci->cmd & PXCMD_ST))
        return;
    if (value & ~ahci->ci)
        dev->count.notifications++;
    ahci->ci |= value;
    ahci_slots_run(dev);
}

static uint32_t load_port(const struct ahci *ahci, uint32_t reg)
{
    switch (reg) {
    case PORT_CLB: return (uint32_t)ahci->clb_gpa;
    case PORT_CLBU: return (uint32_t)(ahci->clb_gpa >> 32);
    case PORT_FB: return (uint32_t)ahci->fb_gpa;
    case PORT_FBU: return (uint32_t)(ahci->fb_gpa >> 32);
    case PORT_IS: return port_is(ahci);
    case PORT_IE: return ahci->pxie;
    case PORT_CMD: return load_cmd(ahci);
    case PORT_TFD: return ahci->tfd;
    case PORT_SIG: return ahci->sig;
    case PORT_SSTS: return load_ssts(ahci);
    case PORT_SCTL: return ahci->sctl;
    case PORT_SERR: return ahci->serr;
    case PORT_SACT: return ahci->sact;
    case PORT_CI: return ahci->ci;
    default: /* reserved, and features that CAP says are not there */ return 0;
    }
}

static uint64_t with_low(uint64_t address, uint32_t low)
{
    return (address & ~0xffffffffull) | low;
}

static uint64_t with_high(uint64_t address, uint32_t high)
{
    return (address & 0xffffffffull) | (uint64_t)high << 32;
}

static void store_port(struct device *dev, uint32_t reg, uint32_t value)
{
    struct ahci *ahci = dev->state;
    switch (reg) {
    case PORT_CLB: ahci->clb_gpa = with_low(ahci->clb_gpa, value & ~0x3ffu); break;
    case PORT_CLBU: ahci->clb_gpa = with_high(ahci->clb_gpa, value); break;
    case PORT_FB: ahci->fb_gpa = with_low(ahci->fb_gpa, value & ~0xffu); break;
    case PORT_FBU: ahci->fb_gpa = with_high(ahci->fb_gpa, value); break;
    case PORT_IS: ahci->pxis &= ~value; break;
    case PORT_IE: ahci->pxie = value & PXIE_MASK; break;
    case PORT_CMD: store_cmd(dev, value); break;
    case PORT_SCTL: store_sctl(dev, value); break;
    case PORT_SERR: ahci->serr &= ~value; break;
    case PORT_SACT:
        if (ahci->cmd & PXCMD_ST)
            ahci->sact |= value;
        break;
    case PORT_CI: store_ci(dev, value); break;
    default: /* read-only or reserved */ break;
    }
    ahci->news |= reg == PORT_IS || reg == PORT_IE || reg == PORT_SERR;
}

static uint32_t load(const struct ahci *ahci, uint32_t reg)
{
    if (reg >= HBA_PORT)
        return reg < HBA_PORT + PORT_END ? load_port(ahci, reg - HBA_PORT) : 0;
    switch (reg) {
    case HBA_CAP: return CAP_VALUE;
    case HBA_GHC: return GHC_AE | (ahci->interrupts ? GHC_IE : 0);
    case HBA_IS: return ahci->is;
    case HBA_PI: return 1;
    case HBA_VS: return VS_VALUE;
    default: return 0;
    }
}

static void store(struct device *dev, uint32_t reg, uint32_t value)
{
    struct ahci *ahci = dev->state;
    if (reg >= HBA_PORT && reg < HBA_PORT + PORT_END)
        store_port(dev, reg - HBA_PORT, value);
    else if (reg == HBA_GHC && (value & GHC_HR))
        hba_reset(dev);
    else if (reg == HBA_GHC)
        ahci->interrupts = value & GHC_IE;
    else if (reg == HBA_IS && (value & 1))
        ahci->is = false;
    ahci->news |= reg == HBA_IS;
}

/* --- The strategy --- */

/* Loads of any width; stores of whole registers, one or two. */
static bool ahci_access(struct device *dev, struct mmio *io)
{
    uint32_t reg = (uint32_t)io->offset & ~3u;
    if (io->store && io->width < 4)
        return false;
    if (io->store) {
        store(dev, reg, (uint32_t)io->value);
        if (io->width == 8)
            store(dev, reg + 4, (uint32_t)(io->value >> 32));
    } else {
        io->value = load(dev->state, reg) >> (8 * (io->offset & 3));
        if (io->width == 8)
            io->value |= (uint64_t)load(dev->state, reg + 4) << 32;
        else
            io->value &= (1ull << (8 * io->width)) - 1;
    }
    update_irq(dev);
    return true;
}

static void ahci_service(struct device *dev)
{
    ahci_slots_service(dev);
    update_irq(dev);
}

static int ahci_attach(struct device *dev)
{
    struct host_disk *disk = dev->host;
    disk->reset(disk);
    memset(dev->state, 0, sizeof(struct ahci));
    hba_reset(dev);
    update_irq(dev);
    return 0;
}

const struct strategy emulated_ahci = {
    .name = "emulated/ahci",
    .compatible = "generic-ahci",
    .node = "sata",
    .registers = ahci_registers,
    .size = 0x1000,
    .state_size = sizeof(struct ahci),
    .attach = ahci_attach,
    .access = ahci_access,
    .service = ahci_service,
};
