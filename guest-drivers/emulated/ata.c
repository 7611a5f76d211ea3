/*
 * Driver for an ATA disk with programmed I/O, `ata-generic` (ATA8-ACS; Linux's pata_of_platform
 * binding: command block, control block, reg-shift).
 *
 * There is one request at a time; the CPU moves every word, of 32 bits if the drive offers that,
 * else of 16. The surprise: a read interrupts before each block of data, a write after each block,
 * and for the first block of a write the driver polls: that asymmetry is the protocol's (ATA8-APT
 * 9.5 and 9.6). A request uses LBA28 if it fits, else LBA48, and the MULTIPLE commands if it has
 * more than one sector.
 */
#include "kernel.h"

/* Register 0 is data, 16 or 32 bits wide; the others are bytes. */
#define ATA_FEATURE  1u
#define ATA_COUNT    2u
#define ATA_LBA_LOW  3u
#define ATA_LBA_MID  4u
#define ATA_LBA_HIGH 5u
#define ATA_DEVICE   6u
#define ATA_STATUS   7u /* read: also acknowledges the interrupt */
#define ATA_COMMAND  7u /* write */

#define STATUS_ERROR  0x01u
#define STATUS_DRQ    0x08u /* data request */
#define STATUS_FAULT  0x20u
#define STATUS_READY  0x40u
#define STATUS_BUSY   0x80u
#define CONTROL_RESET 0x04u /* SRST */
#define DEVICE_LBA    0xe0u /* LBA, and two bits that are always set */

#define CMD_READ               0x20u
#define CMD_READ_EXT           0x24u
#define CMD_READ_MULTIPLE_EXT  0x29u
#define CMD_WRITE              0x30u
#define CMD_WRITE_EXT          0x34u
#define CMD_WRITE_MULTIPLE_EXT 0x39u
#define CMD_READ_MULTIPLE      0xc4u
#define CMD_WRITE_MULTIPLE     0xc5u
#define CMD_SET_MULTIPLE       0xc6u
#define CMD_FLUSH              0xe7u
#define CMD_FLUSH_EXT          0xeau
#define CMD_IDENTIFY           0xecu

#define ID_SERIAL    10u /* words of IDENTIFY DEVICE */
#define ID_MULTIPLE  47u /* most sectors per block */
#define ID_WIDE      48u
#define ID_SECTORS28 60u
#define ID_COMMANDS  83u
#define ID_LBA48     (1u << 10)
#define ID_SECTORS48 100u

#define LBA28_END    (1ull << 28)
#define LBA28_COUNT  256u
#define LBA48_COUNT  2048u /* the protocol's limit is 65536, but a request is at most 1 MiB */
#define SECTOR_WORDS (DISK_SECTOR / 2)
#define RESET_MS     2000u
#define POLL_MS      1000u

struct drive {
    struct disk_request *request; /* in progress, or null */
    uint16_t *at;                 /* next word */
    uint32_t left;                /* sectors not yet moved */
    uint32_t block;               /* sectors per data request of this command */
    uint32_t multiple;            /* block of the MULTIPLE commands, 0: none */
    bool lba48;
    bool wide; /* the data register takes 32 bits at once */
};

static struct drive drive;
static struct disk ata;

/* [write][multiple][lba48] */
static const uint8_t command_code[2][2][2] = {
    {{CMD_READ, CMD_READ_EXT}, {CMD_READ_MULTIPLE, CMD_READ_MULTIPLE_EXT}},
    {{CMD_WRITE, CMD_WRITE_EXT}, {CMD_WRITE_MULTIPLE, CMD_WRITE_MULTIPLE_EXT}},
};

static volatile uint8_t *reg(unsigned index)
{
    return (volatile uint8_t *)(ata.device->base + ((uint64_t)index << board.ata_shift));
}

/* A read gives the status without acknowledging the interrupt; a write sets the device control. */
static volatile uint8_t *control(void)
{
    return (volatile uint8_t *)board.ata_control;
}

/* Polls until BSY is clear and all bits of mask, or an error bit, are set; the last status read. */
static uint8_t wait_status(uint8_t mask, uint64_t ms)
{
    uint64_t deadline = time_now() + time_from_ms(ms);
    uint8_t status;
    do {
        status = *control();
        if (!(status & STATUS_BUSY) &&
            ((status & mask) == mask || (status & (STATUS_ERROR | STATUS_FAULT))))
            break;
    } while (time_now() < deadline);
    return status;
}

static void finish(enum disk_status status)
{
    if (drive.request) {
        drive.request->status = status;
        drive.request = NULL;
    }
}

/* Each direction and width has a loop of its own, as small as can be: under a VMM each instruction
 * between two accesses of the port may have to be interpreted. The pointers are locals: when a loop
 * advances a pointer in memory, gcc 12 at -O2 repeats the last store to the data register, and the
 * drive takes that store for the next block's first word. */
static void move_wide(volatile uint32_t *port, uint32_t *at, const uint32_t *end, bool write)
{
    if (write) {
        while (at < end)
            *port = *at++;
        return;
    }
    while (at < end)
        *at++ = *port;
}

static void move_narrow(volatile uint16_t *port, uint16_t *at, const uint16_t *end, bool write)
{
    if (write) {
        while (at < end)
            *port = *at++;
        return;
    }
    while (at < end)
        *at++ = *port;
}

static void move_block(bool write)
{
    void *port = (void *)ata.device->base;
    uint32_t sectors = drive.left < drive.block ? drive.left : drive.block;
    uint16_t *at = drive.at, *end = at + sectors * SECTOR_WORDS;
    drive.left -= sectors;
    drive.at = end;
    if (drive.wide)
        move_wide(port, (uint32_t *)at, (uint32_t *)end, write);
    else
        move_narrow(port, at, end, write);
}

static void interrupt(void *argument)
{
    (void)argument;
    uint8_t status = *reg(ATA_STATUS);
    if (!drive.request || (status & STATUS_BUSY))
        return;
    if (status & (STATUS_ERROR | STATUS_FAULT)) {
        finish(DISK_ERROR);
    } else if (drive.left == 0) {
        finish(DISK_OK); /* the last block of a write, or a command without data */
    } else if (!(status & STATUS_DRQ)) {
        finish(DISK_ERROR); /* data is missing and the drive offers none */
    } else if (drive.request->op == DISK_WRITE) {
        move_block(true);
    } else {
        move_block(false);
        if (drive.left == 0)
            finish(DISK_OK);
    }
}

/* --- Commands --- */

static void write_address(uint64_t lba, uint32_t count, bool ext)
{
    /* Each register is two deep: the high bytes go first. */
    if (ext) {
        *reg(ATA_COUNT) = (uint8_t)(count >> 8);
        *reg(ATA_LBA_LOW) = (uint8_t)(lba >> 24);
        *reg(ATA_LBA_MID) = (uint8_t)(lba >> 32);
        *reg(ATA_LBA_HIGH) = (uint8_t)(lba >> 40);
    }
    *reg(ATA_COUNT) = (uint8_t)count;
    *reg(ATA_LBA_LOW) = (uint8_t)lba;
    *reg(ATA_LBA_MID) = (uint8_t)(lba >> 8);
    *reg(ATA_LBA_HIGH) = (uint8_t)(lba >> 16);
    *reg(ATA_DEVICE) = (uint8_t)(DEVICE_LBA | (ext ? 0 : lba >> 24 & 15));
}

/* Sends the command and, for a write, its first block. */
static void start(struct disk_request *request, uint8_t code, uint32_t sectors, uint32_t block)
{
    request->status = DISK_PENDING;
    drive.request = request;
    drive.at = request->buffer;
    drive.left = sectors;
    drive.block = block;
    *reg(ATA_COMMAND) = code;
    if (request->op != DISK_WRITE)
        return;
    uint8_t status = wait_status(STATUS_DRQ, POLL_MS);
    if ((status & (STATUS_BUSY | STATUS_ERROR | STATUS_FAULT)) || !(status & STATUS_DRQ)) {
        (void)*reg(ATA_STATUS); /* acknowledges, if there was an interrupt */
        finish(DISK_ERROR);
        return;
    }
    move_block(true);
}

static bool submit(struct disk *self, struct disk_request *request)
{
    if (drive.request)
        return false;
    bool ext = request->sector + request->count > LBA28_END || request->count > LBA28_COUNT;
    bool flush = request->op == DISK_FLUSH;
    if (request->count > self->max_count || (ext && !drive.lba48) ||
        (wait_status(STATUS_READY, POLL_MS) & (STATUS_BUSY | STATUS_DRQ))) {
        request->status = DISK_ERROR;
        return true;
    }
    if (flush) {
        start(request, drive.lba48 ? CMD_FLUSH_EXT : CMD_FLUSH, 0, 1);
        return true;
    }
    bool multiple = drive.multiple > 0 && request->count > 1;
    write_address(request->sector, request->count, ext);
    start(request, command_code[request->op == DISK_WRITE][multiple][ext], request->count,
          multiple ? drive.multiple : 1);
    return true;
}

/* --- Start-up --- */

static bool set_multiple(void)
{
    *reg(ATA_COUNT) = (uint8_t)drive.multiple;
    *reg(ATA_COMMAND) = CMD_SET_MULTIPLE;
    wait_status(STATUS_READY, POLL_MS);
    return !(*reg(ATA_STATUS) & (STATUS_BUSY | STATUS_ERROR | STATUS_FAULT));
}

static bool restart(struct disk *self)
{
    (void)self;
    bool were_on = interrupts_off();
    *control() = CONTROL_RESET;
    uint64_t begin = time_now();
    while (time_to_us(time_now() - begin) < 5) { /* SRST must stay set for 5 us */
    }
    *control() = 0;
    finish(DISK_ERROR);
    *reg(ATA_DEVICE) = DEVICE_LBA;
    uint8_t status = wait_status(STATUS_READY, RESET_MS);
    bool good = !(status & (STATUS_BUSY | STATUS_DRQ)) && (status & STATUS_READY);
    if (good && drive.multiple && !set_multiple())
        drive.multiple = 0; /* one sector per interrupt will do */
    (void)*reg(ATA_STATUS);
    if (were_on)
        interrupts_on();
    return good;
}

static bool identify(struct disk *self)
{
    static uint16_t id[SECTOR_WORDS];
    struct disk_request request = {.op = DISK_READ, .buffer = id};
    disk = self;
    bool were_on = interrupts_off();
    start(&request, CMD_IDENTIFY, 1, 1);
    if (were_on)
        interrupts_on();
    if (disk_wait(&request) != DISK_OK)
        return false;
    /* The serial number has two characters per word, the first in the high byte. */
    for (unsigned i = 0; i < 20; i++)
        self->serial[i] = (char)(id[ID_SERIAL + i / 2] >> (i % 2 ? 0 : 8));
    for (unsigned i = 20; i > 0 && self->serial[i - 1] == ' '; i--)
        self->serial[i - 1] = '\0';
    drive.lba48 = id[ID_COMMANDS] & ID_LBA48;
    drive.wide = id[ID_WIDE] & 1;
    self->sectors = id[ID_SECTORS28] | (uint64_t)id[ID_SECTORS28 + 1] << 16;
    if (drive.lba48)
        self->sectors = id[ID_SECTORS48] | (uint64_t)id[ID_SECTORS48 + 1] << 16 |
                        (uint64_t)id[ID_SECTORS48 + 2] << 32 | (uint64_t)id[ID_SECTORS48 + 3] << 48;
    self->max_count = drive.lba48 ? LBA48_COUNT : LBA28_COUNT;
    drive.multiple = id[ID_MULTIPLE] & 0xff;
    were_on = interrupts_off();
    if (drive.multiple && !set_multiple())
        drive.multiple = 0;
    if (were_on)
        interrupts_on();
    return true;
}

struct disk *ata_disk(struct board_device *device)
{
    ata = (struct disk){
        .name = "ATA disk",
        .depth = 1,
        .max_count = 1,
        .submit = submit,
        .restart = restart,
        .device = device,
    };
    if (!restart(&ata))
        return NULL;
    plic_route(device->irq, interrupt, &ata);
    if (!identify(&ata)) {
        plic_route(device->irq, NULL, NULL);
        return NULL;
    }
    return &ata;
}
