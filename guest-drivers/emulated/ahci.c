/*
 * Driver for an AHCI disk, `generic-ahci` (AHCI 1.3.1; commands of ATA8-ACS; NCQ of SATA 3).
 *
 * The driver uses one port. Reads and writes are queued (FPDMA, one tag per slot) if the disk can
 * queue; a FLUSH is not queued, and waits for an idle port. The surprise is an error under NCQ: the
 * disk abandons everything in flight, so the driver restarts the port, reads the NCQ error log to
 * learn which tag failed, fails that request and issues the others again (AHCI 6.2.2.2).
 */
#include "kernel.h"

#define HBA_CAP 0x00u /* capabilities */
#define HBA_GHC 0x04u /* global control */
#define HBA_IS  0x08u /* ports that interrupt, write 1 to clear */
#define HBA_PI  0x0cu /* ports that exist */

#define CAP_SLOTS(cap) (((cap) >> 8 & 31) + 1)
#define CAP_SPIN_UP    (1u << 27)
#define CAP_NCQ        (1u << 30)
#define GHC_RESET      (1u << 0)
#define GHC_INTERRUPTS (1u << 1)
#define GHC_ENABLE     (1u << 31)

#define PORT_CLB  0x00u /* command list; high half 4 further */
#define PORT_FB   0x08u /* received FISes; high half 4 further */
#define PORT_IS   0x10u /* interrupt status, write 1 to clear */
#define PORT_IE   0x14u
#define PORT_CMD  0x18u
#define PORT_TFD  0x20u /* status and error of the disk */
#define PORT_SIG  0x24u
#define PORT_SSTS 0x28u
#define PORT_SCTL 0x2cu
#define PORT_SERR 0x30u /* write 1 to clear */
#define PORT_SACT 0x34u /* tags in flight */
#define PORT_CI   0x38u /* commands issued */

#define CMD_START     (1u << 0)
#define CMD_SPIN_UP   (1u << 1)
#define CMD_POWER_UP  (1u << 2)
#define CMD_FIS       (1u << 4)
#define CMD_FIS_RUNS  (1u << 14)
#define CMD_RUNS      (1u << 15)
#define IS_D2H        (1u << 0)
#define IS_PIO        (1u << 1)
#define IS_DMA        (1u << 2)
#define IS_BITS       (1u << 3) /* Set Device Bits: tags completed */
#define IS_OVERFLOW   (1u << 24)
#define IS_LINK       (1u << 27) /* interface fatal error */
#define IS_BUS_DATA   (1u << 28)
#define IS_BUS        (1u << 29)
#define IS_TASK       (1u << 30) /* the disk reports an error */
#define IS_BUS_ERRORS (IS_LINK | IS_BUS_DATA | IS_BUS)
#define IS_ERRORS     (IS_OVERFLOW | IS_BUS_ERRORS | IS_TASK)
#define IS_WANTED     (IS_D2H | IS_PIO | IS_DMA | IS_BITS | IS_ERRORS)
#define TFD_BUSY      (0x80u | 0x08u) /* BSY, DRQ */
#define SIG_DISK      0x00000101u
#define SSTS_PRESENT  3u /* DET */

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

#define FIS_H2D           0x27u
#define FIS_COMMAND       0x80u
#define HEADER_FIS_DWORDS 5u
#define HEADER_WRITE      (1u << 6)

#define SLOTS      32u
#define PRDS       16u
#define PRD_BYTES  65536u
#define RESET_MS   1000u
#define STOP_MS    500u
#define HOSTILE_MS 300u

struct command_header {
    uint32_t flags; /* FIS length, write, PRDT length << 16 */
    uint32_t transferred;
    uint64_t table;
    uint32_t reserved[4];
};

struct command_table {
    uint8_t fis[64];
    uint8_t atapi[64];
    struct {
        uint64_t base;
        uint32_t reserved;
        uint32_t last; /* bytes - 1 */
    } prd[PRDS];
};

/* All of a command but its slot. */
struct command {
    uint8_t code, device, feature_low;
    bool queued, write;
    uint64_t lba;
    uint32_t count; /* sectors, as the FIS says */
    void *buffer;
    uint32_t bytes;
};

enum state { RUNNING, READING_LOG };

struct port {
    struct command_header list[SLOTS] __attribute__((aligned(1024)));
    uint8_t received[256] __attribute__((aligned(256)));
    struct command_table table[SLOTS] __attribute__((aligned(128)));
    uint16_t identity[256], log[256];
    unsigned number;
    bool ncq;
    enum state state;
    bool exclusive;  /* the command in flight is not queued: it is the only one */
    uint32_t active; /* slots issued and not completed */
    uint32_t retry;  /* slots to issue again: all at once if the log was read, else singly */
    bool no_log;     /* the disk refused READ LOG */
    struct disk_request *owner[SLOTS];
};

static struct port port;
static struct disk ahci;

static volatile uint32_t *hba(unsigned offset)
{
    return (volatile uint32_t *)(ahci.device->base + offset);
}

static volatile uint32_t *reg(unsigned offset)
{
    return hba(0x100 + 0x80 * port.number + offset);
}

static void barrier(void)
{
    __asm__ volatile("fence iorw, iorw" : : : "memory");
}

/* Polls until (register & mask) == value. */
static bool wait_register(volatile uint32_t *at, uint32_t mask, uint32_t value, uint64_t ms)
{
    uint64_t deadline = time_now() + time_from_ms(ms);
    while ((*at & mask) != value)
        if (time_now() > deadline)
            return false;
    return true;
}

/* --- Commands --------------------------------------------------------------------------------- */

static uint32_t fill_prdt(struct command_table *table, char *bytes, uint32_t len)
{
    uint32_t count = 0;
    while (len > 0) {
        uint32_t part = len < PRD_BYTES ? len : PRD_BYTES;
        table->prd[count].base = (uint64_t)bytes;
        table->prd[count].last = part - 1;
        bytes += part;
        len -= part;
        count++;
    }
    return count;
}

static void fill_fis(uint8_t *fis, const struct command *command, unsigned slot)
{
    /* A queued command carries the sector count in the features and its tag in the count. */
    uint32_t feature = command->queued ? command->count : command->feature_low;
    uint32_t count = command->queued ? slot << 3 : command->count;
    const uint8_t value[] = {
        FIS_H2D,
        FIS_COMMAND,
        command->code,
        (uint8_t)feature,
        (uint8_t)command->lba,
        (uint8_t)(command->lba >> 8),
        (uint8_t)(command->lba >> 16),
        command->device,
        (uint8_t)(command->lba >> 24),
        (uint8_t)(command->lba >> 32),
        (uint8_t)(command->lba >> 40),
        (uint8_t)(feature >> 8),
        (uint8_t)count,
        (uint8_t)(count >> 8),
        0,
        0,
    };
    memset(fis, 0, 64);
    memcpy(fis, value, sizeof(value));
}

static void build(unsigned slot, const struct command *command)
{
    struct command_table *table = &port.table[slot];
    fill_fis(table->fis, command, slot);
    uint32_t prds = fill_prdt(table, command->buffer, command->bytes);
    port.list[slot] = (struct command_header){
        .flags = HEADER_FIS_DWORDS | (command->write ? HEADER_WRITE : 0) | prds << 16,
        .table = (uint64_t)table,
    };
}

static void issue(uint32_t slots, bool queued)
{
    port.active |= slots;
    barrier();
    if (queued)
        *reg(PORT_SACT) = slots;
    *reg(PORT_CI) = slots;
}

static struct command command_of(const struct disk_request *request)
{
    if (request->op == DISK_FLUSH)
        return (struct command){.code = ATA_FLUSH_EXT, .device = ATA_LBA};
    bool write = request->op == DISK_WRITE;
    return (struct command){
        .code = port.ncq ? (write ? ATA_WRITE_FPDMA : ATA_READ_FPDMA)
                         : (write ? ATA_WRITE_DMA_EXT : ATA_READ_DMA_EXT),
        .device = ATA_LBA,
        .queued = port.ncq,
        .write = write,
        .lba = request->sector,
        .count = request->count,
        .buffer = request->buffer,
        .bytes = request->count * DISK_SECTOR,
    };
}

static bool submit_command(struct disk_request *request, const struct command *command)
{
    if (port.state != RUNNING || port.exclusive || port.retry || (!command->queued && port.active))
        return false;
    unsigned slot = 0;
    while (slot < ahci.depth && port.owner[slot])
        slot++;
    if (slot == ahci.depth)
        return false;
    request->status = DISK_PENDING;
    port.owner[slot] = request;
    port.exclusive = !command->queued;
    build(slot, command);
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

/* --- Completion ------------------------------------------------------------------------------- */

static void finish(uint32_t slots, enum disk_status status)
{
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        if ((slots >> slot & 1) && port.owner[slot]) {
            port.owner[slot]->status = status;
            port.owner[slot] = NULL;
        }
    }
    port.active &= ~slots;
    port.retry &= ~slots;
    if (port.active == 0)
        port.exclusive = false;
}

/* --- The port --------------------------------------------------------------------------------- */

static bool reset_hba(void)
{
    *hba(HBA_GHC) = GHC_ENABLE;
    *hba(HBA_GHC) = GHC_ENABLE | GHC_RESET;
    if (!wait_register(hba(HBA_GHC), GHC_RESET, 0, RESET_MS))
        return false;
    *hba(HBA_GHC) = GHC_ENABLE;
    return true;
}

static bool start_port(void)
{
    *reg(PORT_CLB) = (uint32_t)(uint64_t)port.list;
    *reg(PORT_CLB + 4) = (uint32_t)((uint64_t)port.list >> 32);
    *reg(PORT_FB) = (uint32_t)(uint64_t)port.received;
    *reg(PORT_FB + 4) = (uint32_t)((uint64_t)port.received >> 32);
    barrier();
    *reg(PORT_CMD) |= CMD_FIS | CMD_POWER_UP | (*hba(HBA_CAP) & CAP_SPIN_UP ? CMD_SPIN_UP : 0);
    if (!wait_register(reg(PORT_SSTS), 15, SSTS_PRESENT, RESET_MS))
        return false;
    *reg(PORT_SERR) = ~0u;
    if (!wait_register(reg(PORT_TFD), TFD_BUSY, 0, RESET_MS) || *reg(PORT_SIG) != SIG_DISK)
        return false;
    *reg(PORT_IS) = ~0u;
    *hba(HBA_IS) = ~0u;
    *reg(PORT_CMD) |= CMD_START;
    *reg(PORT_IE) = IS_WANTED;
    *hba(HBA_GHC) = GHC_ENABLE | GHC_INTERRUPTS;
    return true;
}

static bool stop_port(void)
{
    *reg(PORT_CMD) &= ~CMD_START;
    return wait_register(reg(PORT_CMD), CMD_RUNS, 0, STOP_MS);
}

/* Stops and starts the port: SACT and CI become 0, errors are forgotten. A disk without a log
 * (QEMU's) carries the error over to the next command, until the controller is reset. */
static bool bounce_port(void)
{
    if (!stop_port() || port.no_log || (*reg(PORT_TFD) & TFD_BUSY))
        return reset_hba() && start_port();
    *reg(PORT_SERR) = ~0u;
    *reg(PORT_IS) = ~0u;
    *reg(PORT_CMD) |= CMD_START;
    return true;
}

/* --- Errors and interrupts -------------------------------------------------------------------- */

static void read_log(void)
{
    struct command command = {
        .code = ATA_READ_LOG_EXT,
        .device = ATA_LBA,
        .lba = LOG_NCQ_ERROR,
        .count = 1,
        .buffer = port.log,
        .bytes = DISK_SECTOR,
    };
    port.retry |= port.active;
    port.active = 0;
    port.state = READING_LOG;
    build(0, &command);
    issue(1, false);
}

static void log_was_read(void)
{
    port.state = RUNNING;
    port.active = 0;
    uint8_t first = (uint8_t)port.log[0];
    uint32_t culprit = 1u << (first & 31);
    if ((first & LOG_NOT_QUEUED) || !(port.retry & culprit)) {
        finish(port.retry, DISK_ERROR); /* the log blames no single request */
        return;
    }
    finish(culprit, DISK_ERROR);
    uint32_t again = port.retry;
    port.retry = 0;
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        if (again >> slot & 1) {
            struct command command = command_of(port.owner[slot]);
            build(slot, &command);
        }
    }
    if (again)
        issue(again, true);
}

static void retry_next(void)
{
    unsigned slot = (unsigned)__builtin_ctz(port.retry);
    struct command command = command_of(port.owner[slot]);
    port.retry &= ~(1u << slot);
    build(slot, &command);
    issue(1u << slot, true);
}

static void recover(uint32_t reasons)
{
    bool single = (port.active & (port.active - 1)) == 0;
    port.no_log |= port.state == READING_LOG;
    if (!bounce_port()) {
        ahci.restart(&ahci); /* fails all requests */
    } else if (port.state == READING_LOG) {
        port.state = RUNNING;
        port.active = 0;
    } else if (port.exclusive || (reasons & IS_BUS_ERRORS) || (port.no_log && single)) {
        finish(port.active, DISK_ERROR);
    } else if (port.no_log) {
        port.retry |= port.active;
        port.active = 0;
    } else {
        read_log();
    }
}

static void interrupt(void *argument)
{
    (void)argument;
    uint32_t reasons = *reg(PORT_IS);
    *reg(PORT_IS) = reasons;
    *hba(HBA_IS) = 1u << port.number;
    /* Slots done: a queued one leaves SACT, any other leaves CI. */
    uint32_t in_flight = port.exclusive || port.state == READING_LOG
                             ? *reg(PORT_CI)
                             : *reg(PORT_SACT) | *reg(PORT_CI);
    bool error = reasons & IS_ERRORS;
    if (port.state == READING_LOG) {
        if (!error && !(in_flight & 1))
            log_was_read();
    } else if (!(error && port.exclusive)) {
        finish(port.active & ~in_flight, DISK_OK);
    }
    if (error)
        recover(reasons);
    if (port.state == RUNNING && port.retry && !port.active)
        retry_next();
}

/* --- Start-up --------------------------------------------------------------------------------- */

static bool restart(struct disk *self)
{
    (void)self;
    bool were_on = interrupts_off();
    bool good = reset_hba() && start_port();
    port.state = RUNNING;
    finish(~0u, DISK_ERROR);
    if (were_on)
        interrupts_on();
    return good;
}

static bool identify(struct disk *self)
{
    struct disk_request request = {.op = DISK_READ};
    struct command command = {.code = ATA_IDENTIFY, .buffer = port.identity, .bytes = DISK_SECTOR};
    disk = self;
    bool were_on = interrupts_off();
    bool accepted = submit_command(&request, &command);
    if (were_on)
        interrupts_on();
    if (!accepted || disk_wait(&request) != DISK_OK)
        return false;
    const uint16_t *id = port.identity;
    /* The serial number has two characters per word, the first in the high byte. */
    for (unsigned i = 0; i < 20; i++)
        self->serial[i] = (char)(id[ID_SERIAL + i / 2] >> (i % 2 ? 0 : 8));
    for (unsigned i = 20; i > 0 && self->serial[i - 1] == ' '; i--)
        self->serial[i - 1] = '\0';
    for (unsigned i = 4; i > 0; i--)
        self->sectors = self->sectors << 16 | id[ID_SECTORS + i - 1];
    uint32_t cap = *hba(HBA_CAP);
    port.ncq = (cap & CAP_NCQ) && (id[ID_SATA] & ID_SATA_NCQ);
    unsigned disk_depth = (id[ID_DEPTH] & 31u) + 1, slots = CAP_SLOTS(cap);
    self->depth = !port.ncq ? 1 : disk_depth < slots ? disk_depth : slots;
    return true;
}

/* --- hostile dma ------------------------------------------------------------------------------ */

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
    case BREAK_DATA: port.table[0].prd[0].base = value; break;
    case BREAK_LENGTH:
        port.list[0].flags = (port.list[0].flags & 0xffff) | (uint32_t)value << 16;
        break;
    case BREAK_TABLE: port.list[0].table = value; break;
    case BREAK_LIST:
        stop_port();
        *reg(PORT_CLB) = (uint32_t)value;
        *reg(PORT_CLB + 4) = (uint32_t)(value >> 32);
        *reg(PORT_CMD) |= CMD_START;
        break;
    case BREAK_FIS: port.table[0].fis[0] = (uint8_t)value; break;
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
        port.owner[0] = &request;
        port.exclusive = !command.queued;
        build(0, &command);
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
        .max_count = PRDS * PRD_BYTES / DISK_SECTOR,
        .submit = submit,
        .restart = restart,
        .hostile = hostile,
        .device = device,
    };
    uint32_t ports = *hba(HBA_PI);
    if (ports == 0)
        return NULL;
    port.number = (unsigned)__builtin_ctz(ports);
    if (!restart(&ahci))
        return NULL;
    plic_route(device->irq, interrupt, &ahci);
    if (!identify(&ahci)) {
        plic_route(device->irq, NULL, NULL);
        return NULL;
    }
    return &ahci;
}
