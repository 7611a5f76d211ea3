/*
 * Driver for an AHCI disk, `generic-ahci` (AHCI 1.3.1; commands of ATA8-ACS; NCQ of SATA 3).
 *
 * The driver uses one port. Reads and writes are queued (FPDMA, one tag per slot) if the disk can
 * queue; a FLUSH is not queued, and waits for an idle port. The surprise is an error under NCQ: the
 * disk abandons everything in flight, so the driver restarts the port, reads the NCQ error log to
 * learn which tag failed, fails that request and issues the others again (AHCI 6.2.2.2).
 */
#include "ahciport.h"

#define ATA_READ_DMA_EXT  0x25u
#define ATA_READ_LOG_EXT  0x2fu
#define ATA_WRITE_DMA_EXT 0x35u
#define ATA_READ_FPDMA    0x60u
#define ATA_WRITE_FPDMA   0x61u
#define ATA_FLUSH_EXT     0xeau
#define ATA_IDENTIFY      0xecu
#define ATA_LBA           0x40u /* device register */
#define LOG_NCQ_ERROR     0x10u
#define LOG_NOT_QUEUED    0x80u

#define ID_SERIAL   10u /* words of IDENTIFY DEVICE */
#define ID_DEPTH    75u
#define ID_SATA     76u
#define ID_SATA_NCQ (1u << 8)
#define ID_SECTORS  100u

#define HOSTILE_MS 300u

enum state { RUNNING, READING_LOG };

struct queue {
    uint16_t identity[256], log[256];
    bool ncq;
    enum state state;
    bool exclusive;  /* the command in flight is not queued: it is the only one */
    uint32_t active; /* slots issued and not completed */
    uint32_t retry;  /* slots to issue again: all at once if the log was read, else singly */
    bool no_log;     /* the disk refused READ LOG */
    struct disk_request *owner[AHCI_SLOTS];
};

static struct queue queue;
static struct disk ahci;

/* --- Commands --- */

static void issue(uint32_t slots, bool queued)
{
    queue.active |= slots;
    ahciport_issue(slots, queued);
}

static struct command command_of(const struct disk_request *request)
{
    if (request->op == DISK_FLUSH)
        return (struct command){.code = ATA_FLUSH_EXT, .device = ATA_LBA};
    bool write = request->op == DISK_WRITE;
    return (struct command){
        .code = queue.ncq ? (write ? ATA_WRITE_FPDMA : ATA_READ_FPDMA)
                          : (write ? ATA_WRITE_DMA_EXT : ATA_READ_DMA_EXT),
        .device = ATA_LBA,
        .queued = queue.ncq,
        .write = write,
        .lba = request->sector,
        .count = request->count,
        .buffer = request->buffer,
        .bytes = request->count * DISK_SECTOR,
    };
}

static bool submit_command(struct disk_request *request, const struct command *command)
{
    if (queue.state != RUNNING || queue.exclusive || queue.retry ||
        (!command->queued && queue.active))
        return false;
    unsigned slot = 0;
    while (slot < ahci.depth && queue.owner[slot])
        slot++;
    if (slot == ahci.depth)
        return false;
    request->status = DISK_PENDING;
    queue.owner[slot] = request;
    queue.exclusive = !command->queued;
    ahciport_build(slot, command);
    issue(1u << slot, command->queued);
    return true;
}

static bool submit(struct disk *self, struct disk_request *request)
{
    if (request->count > self->max_count) {
        request->status = DISK_ERROR;
        return true;
    }
    struct command command = command_of(request);
    return submit_command(request, &command);
}

/* --- Completion --- */

static void finish(uint32_t slots, enum disk_status status)
{
    for (unsigned slot = 0; slot < AHCI_SLOTS; slot++) {
        if ((slots >> slot & 1) && queue.owner[slot]) {
            queue.owner[slot]->status = status;
            queue.owner[slot] = NULL;
        }
    }
    queue.active &= ~slots;
    queue.retry &= ~slots;
    if (queue.active == 0)
        queue.exclusive = false;
}

/* --- The port --- */

/* Stops and starts the port: SACT and CI become 0, errors are forgotten. A disk without a log
 * (QEMU's) carries the error over to the next command, until the controller is reset. */
static bool bounce_port(void)
{
    if (!ahciport_stop() || queue.no_log || (*reg(PORT_TFD) & TFD_BUSY))
        return ahciport_reset();
    ahciport_continue();
    return true;
}

/* --- Errors and interrupts --- */

static void read_log(void)
{
    struct command command = {
        .code = ATA_READ_LOG_EXT,
        .device = ATA_LBA,
        .lba = LOG_NCQ_ERROR,
        .count = 1,
        .buffer = queue.log,
        .bytes = DISK_SECTOR,
    };
    queue.retry |= queue.active;
    queue.active = 0;
    queue.state = READING_LOG;
    ahciport_build(0, &command);
    issue(1, false);
}

static void log_was_read(void)
{
    queue.state = RUNNING;
    queue.active = 0;
    uint8_t first = (uint8_t)queue.log[0];
    uint32_t culprit = 1u << (first & 31);
    if ((first & LOG_NOT_QUEUED) || !(queue.retry & culprit)) {
        finish(queue.retry, DISK_ERROR); /* the log blames no single request */
        return;
    }
    finish(culprit, DISK_ERROR);
    uint32_t again = queue.retry;
    queue.retry = 0;
    for (unsigned slot = 0; slot < AHCI_SLOTS; slot++) {
        if (again >> slot & 1) {
            struct command command = command_of(queue.owner[slot]);
            ahciport_build(slot, &command);
        }
    }
    if (again)
        issue(again, true);
}

static void retry_next(void)
{
    unsigned slot = (unsigned)__builtin_ctz(queue.retry);
    struct command command = command_of(queue.owner[slot]);
    queue.retry &= ~(1u << slot);
    ahciport_build(slot, &command);
    issue(1u << slot, true);
}

static void recover(uint32_t reasons)
{
    bool single = (queue.active & (queue.active - 1)) == 0;
    queue.no_log |= queue.state == READING_LOG;
    if (!bounce_port()) {
        ahci.restart(&ahci); /* fails all requests */
    } else if (queue.state == READING_LOG) {
        queue.state = RUNNING;
        queue.active = 0;
    } else if (queue.exclusive || (reasons & IS_BUS_ERRORS) || (queue.no_log && single)) {
        finish(queue.active, DISK_ERROR);
    } else if (queue.no_log) {
        queue.retry |= queue.active;
        queue.active = 0;
    } else {
        read_log();
    }
}

static void interrupt(void *argument)
{
    (void)argument;
    uint32_t reasons = *reg(PORT_IS);
    *reg(PORT_IS) = reasons;
    *hba(HBA_IS) = 1u << ahciport.number;
    /* Slots done: a queued one leaves SACT, any other leaves CI. */
    uint32_t in_flight = queue.exclusive || queue.state == READING_LOG
                             ? *reg(PORT_CI)
                             : *reg(PORT_SACT) | *reg(PORT_CI);
    bool error = reasons & IS_ERRORS;
    if (queue.state == READING_LOG) {
        if (!error && !(in_flight & 1))
            log_was_read();
    } else if (!(error && queue.exclusive))
        finish(queue.active & ~in_flight, DISK_OK);
    if (error)
        recover(reasons);
    if (queue.state == RUNNING && queue.retry && !queue.active)
        retry_next();
}

/* --- Start-up --- */

static bool restart(struct disk *self)
{
    (void)self;
    bool were_on = interrupts_off();
    bool good = ahciport_reset();
    queue.state = RUNNING;
    finish(~0u, DISK_ERROR);
    if (were_on)
        interrupts_on();
    return good;
}

static bool identify(struct disk *self)
{
    struct disk_request request = {.op = DISK_READ};
    struct command command = {.code = ATA_IDENTIFY, .buffer = queue.identity, .bytes = DISK_SECTOR};
    disk = self;
    bool were_on = interrupts_off();
    bool accepted = submit_command(&request, &command);
    if (were_on)
        interrupts_on();
    if (!accepted || disk_wait(&request) != DISK_OK)
        return false;
    const uint16_t *id = queue.identity;
    /* The serial number has two characters per word, the first in the high byte. */
    for (unsigned i = 0; i < 20; i++)
        self->serial[i] = (char)(id[ID_SERIAL + i / 2] >> (i % 2 ? 0 : 8));
    for (unsigned i = 20; i > 0 && self->serial[i - 1] == ' '; i--)
        self->serial[i - 1] = '\0';
    for (unsigned i = 4; i > 0; i--)
        self->sectors = self->sectors << 16 | id[ID_SECTORS + i - 1];
    uint32_t cap = *hba(HBA_CAP);
    queue.ncq = (cap & CAP_NCQ) && (id[ID_SATA] & ID_SATA_NCQ);
    unsigned disk_depth = (id[ID_DEPTH] & 31u) + 1, slots = CAP_SLOTS(cap);
    self->depth = !queue.ncq ? 1 : disk_depth < slots ? disk_depth : slots;
    return true;
}

/* --- hostile dma --- */

enum break_what { BREAK_DATA, BREAK_LENGTH, BREAK_TABLE, BREAK_LIST, BREAK_FIS };

static const struct {
    enum break_what what;
    uint64_t value;
} breakage[] = {
    {BREAK_DATA, 0},
    {BREAK_DATA, 0x40000000},
    {BREAK_DATA, 0xfffffffffffff000ull},
    {BREAK_DATA, 0x7fffffff0000ull},
    {BREAK_LENGTH, 0},      /* no PRD at all */
    {BREAK_LENGTH, 0xffff}, /* more PRDs than the table has */
    {BREAK_TABLE, 0x40000000},
    {BREAK_TABLE, 0xffffffffffffff80ull},
    {BREAK_LIST, 0x40000000},
    {BREAK_LIST, 0xfffffffffffffc00ull},
    {BREAK_FIS, 0x00},
};

static void break_slot0(enum break_what what, uint64_t value)
{
    switch (what) {
    case BREAK_DATA: ahciport.table[0].prd[0].base = value; break;
    case BREAK_LENGTH:
        ahciport.list[0].flags = (ahciport.list[0].flags & 0xffff) | (uint32_t)value << 16;
        break;
    case BREAK_TABLE: ahciport.list[0].table = value; break;
    case BREAK_LIST:
        ahciport_stop();
        *reg(PORT_CLB) = (uint32_t)value;
        *reg(PORT_CLB + 4) = (uint32_t)(value >> 32);
        *reg(PORT_CMD) |= CMD_START;
        break;
    case BREAK_FIS: ahciport.table[0].fis[0] = (uint8_t)value; break;
    }
}

static bool is_complete(void *argument)
{
    return ((struct disk_request *)argument)->status != DISK_PENDING;
}

static unsigned hostile(struct disk *self)
{
    static char sector[DISK_SECTOR];
    unsigned refused = 0;
    for (unsigned i = 0; i < sizeof(breakage) / sizeof(*breakage); i++) {
        struct disk_request request = {
            .op = DISK_READ, .count = 1, .buffer = sector, .status = DISK_PENDING};
        struct command command = command_of(&request);
        bool were_on = interrupts_off();
        queue.owner[0] = &request;
        queue.exclusive = !command.queued;
        ahciport_build(0, &command);
        break_slot0(breakage[i].what, breakage[i].value);
        issue(1, command.queued);
        if (were_on)
            interrupts_on();
        time_wait(is_complete, &request, time_now() + time_from_ms(HOSTILE_MS));
        refused += request.status == DISK_ERROR;
        self->restart(self); /* a command that was not answered is forgotten here */
    }
    return refused;
}

struct disk *ahci_disk(struct board_device *device)
{
    ahci = (struct disk){
        .name = "AHCI disk",
        .depth = 1,
        .max_count = AHCI_PRDS * AHCI_PRD_BYTES / DISK_SECTOR,
        .submit = submit,
        .restart = restart,
        .hostile = hostile,
        .device = device,
    };
    if (!ahciport_open(device) || !restart(&ahci))
        return NULL;
    plic_route(device->irq, interrupt, &ahci);
    if (!identify(&ahci)) {
        plic_route(device->irq, NULL, NULL);
        return NULL;
    }
    return &ahci;
}
