/*
 * A device that raises an interrupt when asked: the disk, by a read whose completion nobody
 * acknowledges, or else the 16550A by its transmitter-empty interrupt.
 *
 * The surprise: a line's change may take a while to arrive (the VMM routes the line of a device
 * that is passed through), so everything here waits, but not for ever, and nobody may expect the
 * line to fall before a claim.
 */
#include "external.h"
#include "harness.h"
#include "kernel.h"

#define UART_IER      1u
#define UART_IER_THRI 0x02u
#define SOURCES_MAX   128u
#define WAIT          10000000ul /* ticks of time */

static struct {
    uint32_t priority[SOURCES_MAX], enable[SOURCES_MAX / 32], threshold;
} kernel_plic;
static bool taken;
static bool raised;
static uint8_t kernel_ier;
static struct disk_request request;
static uint8_t sector[DISK_SECTOR] __attribute__((aligned(4096)));

volatile uint32_t *external_plic(uint64_t offset)
{
    return (volatile uint32_t *)(board.plic.base + offset);
}

static volatile uint8_t *uart_ier(void)
{
    return (volatile uint8_t *)(board.uart.base + UART_IER);
}

unsigned external_source(void)
{
    return disk ? disk->device->irq : board.uart.irq;
}

static unsigned sources(void)
{
    return board.plic_sources < SOURCES_MAX ? board.plic_sources : SOURCES_MAX - 1;
}

void external_take(void)
{
    if (taken)
        return;
    taken = true;
    for (unsigned i = 0; i <= sources() / 32; i++) {
        kernel_plic.enable[i] = *external_plic(PLIC_ENABLE(32 * i));
        *external_plic(PLIC_ENABLE(32 * i)) = 0;
    }
    for (unsigned i = 1; i <= sources(); i++) {
        kernel_plic.priority[i] = *external_plic(PLIC_PRIORITY(i));
        *external_plic(PLIC_PRIORITY(i)) = 0;
    }
    kernel_plic.threshold = *external_plic(PLIC_THRESHOLD);
    *external_plic(PLIC_THRESHOLD) = 0;
}

void external_give_back(void)
{
    if (!taken)
        return;
    if (raised)
        external_lower();
    taken = false;
    for (unsigned i = 1; i <= sources(); i++)
        *external_plic(PLIC_PRIORITY(i)) = kernel_plic.priority[i];
    for (unsigned i = 0; i <= sources() / 32; i++)
        *external_plic(PLIC_ENABLE(32 * i)) = kernel_plic.enable[i];
    *external_plic(PLIC_THRESHOLD) = kernel_plic.threshold;
}

static bool pending(void)
{
    unsigned source = external_source();
    return *external_plic(PLIC_PENDING(source)) >> source % 32 & 1;
}

bool external_raise(void)
{
    unsigned source = external_source();
    *external_plic(PLIC_PRIORITY(source)) = 1;
    *external_plic(PLIC_ENABLE(source)) = 1u << source % 32;
    raised = true;
    if (disk) {
        request = (struct disk_request){.op = DISK_READ, .count = 1, .buffer = sector};
        bool accepted = disk->submit(disk, &request);
        disk_commit();
        if (!accepted)
            return false;
    } else {
        kernel_ier = *uart_ier();
        *uart_ier() = UART_IER_THRI;
    }
    uint64_t end = csr_read(CSR_TIME) + WAIT;
    while (!pending() && csr_read(CSR_TIME) < end)
        continue;
    return pending();
}

/* Serves the disk as the kernel does, until its request is done. QEMU's PLIC, and so the VMM's,
 * looks at what the device asserts alone: a line that was high all through claim and complete
 * interrupts no more, so that the driver would wait for ever; then the device is started over. */
static bool serve_disk(void)
{
    uint64_t end = csr_read(CSR_TIME) + WAIT / 100;
    while (request.status == DISK_PENDING && csr_read(CSR_TIME) < end)
        plic_interrupt();
    return request.status == DISK_OK || disk->restart(disk);
}

bool external_lower(void)
{
    unsigned source = external_source();
    bool ok = true;
    raised = false;
    *external_plic(PLIC_CLAIM) = source; /* in case a check has claimed it */
    *external_plic(PLIC_THRESHOLD) = 0;
    *external_plic(PLIC_PRIORITY(source)) = 1;
    *external_plic(PLIC_ENABLE(source)) = 1u << source % 32;
    if (disk)
        ok = serve_disk();
    else
        *uart_ier() = kernel_ier;
    uint64_t end = csr_read(CSR_TIME) + WAIT;
    for (unsigned i = 0; i < 2 || pending(); i++) {
        *external_plic(PLIC_CLAIM) = *external_plic(PLIC_CLAIM);
        if (csr_read(CSR_TIME) >= end)
            return false;
    }
    return ok;
}
