/*
 * QEMU's firmware configuration device: named files given on QEMU's command line
 * (-fw_cfg name=opt/org.trident/kernel,file=...). Works before paging too.
 *
 * registers is map_hpa() of the device's window.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct fwcfg_file {
    uint16_t selector;
    uint32_t size; /* bytes */
};

/* 0, or -ENODEV if there is no fw_cfg device with DMA at these registers. */
int fwcfg_check(void *registers);

/* Looks a file up by its full name. 0, -ENOENT, or -EIO. */
int fwcfg_find(void *registers, const char *name, struct fwcfg_file *file);

/* Reads len bytes from the file's offset into buffer by one DMA. 0; -EINVAL past the end; -EIO. */
int fwcfg_read(void *registers, const struct fwcfg_file *file, uint32_t offset, void *buffer,
               uint32_t len);
