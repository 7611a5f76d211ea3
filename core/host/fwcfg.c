/*
 * QEMU fw_cfg by its DMA interface (QEMU docs/specs/fw_cfg.rst).
 * The surprise: everything is big-endian, the register that takes the address too.
 */
#include "host/fwcfg.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "host/io.h"
#include "host/map.h"

/* The one register that is used. */
#define FWCFG_DMA 0x10 /* 64 bits, big-endian: hpa of a struct dma_command; starts it */

/* Items. */
#define FWCFG_ITEM_SIGNATURE 0x0000 /* "QEMU" */
#define FWCFG_ITEM_ID        0x0001 /* bit 1: has DMA; little-endian, the only one */
#define FWCFG_ITEM_DIRECTORY 0x0019

#define FWCFG_ID_DMA 2u

/* dma_command.control */
#define DMA_ERROR  (1u << 0)
#define DMA_READ   (1u << 1)
#define DMA_SKIP   (1u << 2)
#define DMA_SELECT (1u << 3) /* the item is in bits 16 to 31 */

#define DMA_TICKS 100000000u /* give up after this time: 10 s at 10 MHz; QEMU answers at once */

#define DIRECTORY_LIMIT 4096u /* entries; QEMU has some dozens */

struct dma_command {
    uint32_t control, length;
    uint64_t address;
};

struct directory_entry {
    uint32_t size;
    uint16_t selector, reserved;
    char name[56];
};

static uint32_t be32(uint32_t value)
{
    return __builtin_bswap32(value);
}

/* One DMA: moves len bytes of the selected item to buffer (READ) or past them (SKIP). */
static int dma(void *registers, uint32_t control, void *buffer, uint32_t len)
{
    volatile struct dma_command command __attribute__((aligned(16)));
    uint64_t start = io_time();
    command.control = be32(control);
    command.length = be32(len);
    command.address = __builtin_bswap64(map_pointer_hpa(buffer));
    io_fence();
    io_write64((uintptr_t)registers + FWCFG_DMA,
               __builtin_bswap64(map_pointer_hpa((const void *)&command)));
    while ((be32(command.control) & ~DMA_ERROR) != 0) {
        if (io_time() - start > DMA_TICKS)
            return -EIO;
    }
    io_fence();
    return command.control == 0 ? 0 : -EIO;
}

static uint32_t select_item(uint16_t item)
{
    return (uint32_t)item << 16 | DMA_SELECT;
}

int fwcfg_check(void *registers)
{
    char signature[4];
    uint32_t id;
    if (dma(registers, select_item(FWCFG_ITEM_SIGNATURE) | DMA_READ, signature, 4) < 0 ||
        memcmp(signature, "QEMU", 4) != 0)
        return -ENODEV;
    if (dma(registers, select_item(FWCFG_ITEM_ID) | DMA_READ, &id, sizeof(id)) < 0)
        return -ENODEV;
    return id & FWCFG_ID_DMA ? 0 : -ENODEV;
}

int fwcfg_find(void *registers, const char *name, struct fwcfg_file *file)
{
    struct directory_entry entry;
    uint32_t count;
    if (dma(registers, select_item(FWCFG_ITEM_DIRECTORY) | DMA_READ, &count, sizeof(count)) < 0)
        return -EIO;
    count = be32(count);
    for (uint32_t i = 0; i < count && i < DIRECTORY_LIMIT; i++) {
        if (dma(registers, DMA_READ, &entry, sizeof(entry)) < 0)
            return -EIO;
        if (strncmp(entry.name, name, sizeof(entry.name)) == 0) {
            file->selector = __builtin_bswap16(entry.selector);
            file->size = be32(entry.size);
            return 0;
        }
    }
    return -ENOENT;
}

int fwcfg_read(void *registers, const struct fwcfg_file *file, uint32_t offset, void *buffer,
               uint32_t len)
{
    int error;
    if (offset > file->size || len > file->size - offset)
        return -EINVAL;
    error = dma(registers, select_item(file->selector) | DMA_SKIP, NULL, offset);
    if (error == 0)
        error = dma(registers, DMA_READ, buffer, len);
    return error;
}
