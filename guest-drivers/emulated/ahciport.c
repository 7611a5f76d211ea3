/*
 * An AHCI controller and one port of it (ahciport.h; AHCI 1.3.1, sections 3, 4 and 10).
 *
 * The surprise: the port may be started only while its disk is idle, so start_port() waits until
 * the disk has sent its signature.
 */
#include "ahciport.h"

#define FIS_H2D           0x27u
#define FIS_COMMAND       0x80u
#define HEADER_FIS_DWORDS 5u
#define HEADER_WRITE      (1u << 6)

#define RESET_MS 1000u
#define STOP_MS  500u

struct ahciport ahciport;

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

/* --- Commands --- */

static uint32_t fill_prdt(struct command_table *table, char *bytes, uint32_t len)
{
    uint32_t count = 0;
    while (len > 0) {
        uint32_t part = len < AHCI_PRD_BYTES ? len : AHCI_PRD_BYTES;
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

void ahciport_build(unsigned slot, const struct command *command)
{
    struct command_table *table = &ahciport.table[slot];
    fill_fis(table->fis, command, slot);
    uint32_t prds = fill_prdt(table, command->buffer, command->bytes);
    ahciport.list[slot] = (struct command_header){
        .flags = HEADER_FIS_DWORDS | (command->write ? HEADER_WRITE : 0) | prds << 16,
        .table = (uint64_t)table,
    };
}

void ahciport_issue(uint32_t slots, bool queued)
{
    barrier();
    if (queued)
        *reg(PORT_SACT) = slots;
    *reg(PORT_CI) = slots;
}

/* --- The port --- */

bool ahciport_open(const struct board_device *device)
{
    ahciport.base = device->base;
    uint32_t ports = *hba(HBA_PI);
    if (ports == 0)
        return false;
    ahciport.number = (unsigned)__builtin_ctz(ports);
    return true;
}

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
    *reg(PORT_CLB) = (uint32_t)(uint64_t)ahciport.list;
    *reg(PORT_CLB + 4) = (uint32_t)((uint64_t)ahciport.list >> 32);
    *reg(PORT_FB) = (uint32_t)(uint64_t)ahciport.received;
    *reg(PORT_FB + 4) = (uint32_t)((uint64_t)ahciport.received >> 32);
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

bool ahciport_stop(void)
{
    *reg(PORT_CMD) &= ~CMD_START;
    return wait_register(reg(PORT_CMD), CMD_RUNS, 0, STOP_MS);
}

bool ahciport_reset(void)
{
    return reset_hba() && start_port();
}

void ahciport_continue(void)
{
    *reg(PORT_SERR) = ~0u;
    *reg(PORT_IS) = ~0u;
    *reg(PORT_CMD) |= CMD_START;
}
