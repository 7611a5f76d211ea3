/*
 * The paravirtual strategy: virtio 1.2 devices, whose drivers know that they are in a VM.
 *
 * One row each of the guest's board (core/board). dev->host is a struct host_console for the
 * console and a struct host_disk for the disk, owned by the device.
 */
#pragma once
#include "core/device.h"

extern const struct strategy paravirt_console; /* virtio-console, device id 3 */
extern const struct strategy paravirt_disk;    /* virtio-blk, device id 2 */

/* What the registers of virtio-mmio are called, whoever has them. */
extern const struct device_register paravirt_registers[];
