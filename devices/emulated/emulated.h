/*
 * The devices that a guest believes to be real, for the board table.
 *
 * Their register windows are never mapped: every access traps and becomes an operation on device
 * state. Host ends: struct host_console for the UART, struct host_disk for the two disks.
 */
#pragma once
#include "core/device.h"

extern const struct strategy emulated_uart; /* 16550A, "ns16550a", registers 1 byte apart */
extern const struct strategy emulated_ahci; /* AHCI 1.3.1, one port, "generic-ahci" */
extern const struct strategy emulated_ata;  /* ATA by programmed I/O, "ata-generic" */

/* What a 16550A's registers are called, whoever has it. */
extern const struct device_register emulated_uart_registers[];

/* The two register blocks of emulated_ata inside its one page: its device tree node has two reg
 * entries, base + 0 and base + EMULATED_ATA_CONTROL, each EMULATED_ATA_BLOCK bytes. */
#define EMULATED_ATA_CONTROL 0x100u
#define EMULATED_ATA_BLOCK   0x20u
