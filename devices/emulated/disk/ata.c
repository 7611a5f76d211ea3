/*
 * An ATA disk with programmed I/O: the task file of a parallel ATA device 0, without a device 1.
 *
 * ATA/ATAPI-6, sections 7 (registers), 9.1 and 9.2 (resets), 9.5 to 9.7 (PIO data and non-data protocols);
 * commands in ata_command.c. Command block at offset 0, control block at EMULATED_ATA_CONTROL, registers 4
 * bytes apart.
 *
 * The surprise: to the guest every block of a transfer is a separate event (DRQ, interrupt), but the
 * host's disk is asked once for up to ATA_WINDOW sectors. If that read fails, it is done again block by
 * block, so that the blocks before the bad one arrive, as they would from a real disk.
 */
#include <errno.h>
#include <string.h>

#include "core/host/host.h"
#include "devices/emulated/disk/ata_command.h"
#include "devices/emulated/emulated.h"

enum ata_register { /* offset / 4 in the command block */
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

#define DEVICE_ONE         0x10u /* device 1 is selected: there is none */
#define DEVICE_OBSOLETE    0xa0u /* read as ones */
#define EXECUTE_DIAGNOSTIC 0x90u /* the one command that both devices obey */

#define CONTROL_NIEN 0x02u /* no interrupts */
#define CONTROL_SRST 0x04u /* reset as long as it is set */
#define CONTROL_HOB  0x80u /* loads show the bytes written before the last; until the next store */

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

static const struct ata_profile ata_profile = {.model = "TRIDENT ATA DISK", .sata = false};

static void update_irq(struct device *dev)
{
    struct ata *ata = dev->state;
    bool level = ata->irq && !ata->nien && !(ata->device & DEVICE_ONE);

    if (ata->news || level != dev->line)
        device_set_irq(dev, level);
    ata->news = false;
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* --- The registers as a task file ------------------------------------------------------------ */

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

static void put_taskfile(struct ata *ata, const struct ata_taskfile *tf)
{
    put_lba(ata, tf->lba);
    ata->now[ATA_COUNT] = (uint8_t)tf->count;
    ata->before[ATA_COUNT] = (uint8_t)(tf->count >> 8);
    ata->device = tf->device;
    ata->error = tf->error;
}

/* --- End of a command ------------------------------------------------------------------------ */

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

/* --- The host's side ------------------------------------------------------------------------- */

static void submit(struct device *dev)
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
    submit(dev);
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

/* --- The guest's side ------------------------------------------------------------------------ */

static void offer_block(struct device *dev, enum ata_phase phase, bool interrupt)
{
    struct ata *ata = dev->state;

    ata->phase = (uint8_t)phase;
    ata->block_end = smaller(ata->pos + ata->block, ata->fill);
    ata->status = ATA_STATUS_READY | ATA_STATUS_DRQ;
    ata->irq |= interrupt;
    ata->news |= interrupt;
}

/* The guest has moved the last byte of a DRQ block. */
static void block_done(struct device *dev)
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

static uint32_t load_data(struct device *dev, unsigned width)
{
    struct ata *ata = dev->state;
    uint32_t value = 0;

    if (ata->phase != PHASE_IN)
        return 0;
    for (unsigned i = 0; i < width && ata->pos < ata->block_end; i++)
        value |= (uint32_t)ata->buffer[ata->pos++] << (8 * i);
    if (ata->pos == ata->block_end)
        block_done(dev);
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
        block_done(dev);
}

/* --- The host is done ------------------------------------------------------------------------ */

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

static void host_done(struct device *dev)
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

/* --- Commands -------------------------------------------------------------------------------- */

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
    put_taskfile(ata, tf);
    finish(dev, true);
}

static void store_command(struct device *dev, uint8_t code)
{
    struct ata *ata = dev->state;
    const struct ata_command *command = ata_command_find(code);
    struct ata_taskfile tf;

    if ((ata->device & DEVICE_ONE) && code != EXECUTE_DIAGNOSTIC)
        return;
    dev->count.notifications++;
    ata->irq = false;
    ata->error = 0;
    ata->kind = command ? command->kind : ATA_IMMEDIATE;
    ata->flags = command ? command->flags : 0;
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

/* --- Resets ---------------------------------------------------------------------------------- */

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
    put_taskfile(ata, &tf);
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

/* --- Registers ------------------------------------------------------------------------------- */

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
        store_command(dev, value);
    } else if (reg == ATA_DEVICE) {
        ata->device = value;
    } else {
        ata->before[reg] = ata->now[reg];
        ata->now[reg] = value;
    }
}

/* --- The strategy ---------------------------------------------------------------------------- */

/* A word of 32 bits that is not the last one of its block: nothing but data changes. False: it is not such
 * a word. Almost every access is, and its cost is that of programmed I/O. */
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
        host_done(dev);
        if (device_yield(dev))
            break; /* a VERIFY of 65,536 sectors, from a disk that answers at once */
    }
    if (ata->phase == PHASE_WAITING)
        submit(dev);
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
