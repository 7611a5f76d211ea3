/*
 * The driver of the tests of devices/emulated/disk/ata.c: commands by 28 and by 48 bits, and blocks
 * of data through the data register.
 */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "mock.h"

#include "devices/emulated/emulated.h"

enum {
    DATA = 0x00,
    ERROR = 0x04,
    FEATURE = 0x04,
    COUNT = 0x08,
    LOW = 0x0c,
    MID = 0x10,
    HIGH = 0x14,
    DEVICE = 0x18,
    STATUS = 0x1c,
    COMMAND = 0x1c,
    CONTROL = EMULATED_ATA_CONTROL
};

#define READY  0x50
#define WANTS  0x58 /* READY and DRQ */
#define FAILED 0x51
#define BUSY   0x80

static inline int setup(void **state)
{
    *state = mock_new_disk(&emulated_ata);
    return 0;
}

static inline int teardown(void **state)
{
    struct mock *mock = *state;
    assert_int_equal(mock->disk.invalid, 0);
    mock_free(mock);
    return 0;
}

static inline uint8_t get(struct mock *mock, unsigned reg)
{
    return (uint8_t)mock_load(mock, reg, 1);
}

static inline void put(struct mock *mock, unsigned reg, uint8_t value)
{
    mock_store(mock, reg, 1, value);
}

/* A command with its address of 28 bits, of 48 bits. */
static inline void command28(struct mock *mock, uint8_t code, uint32_t lba, uint8_t count)
{
    put(mock, COUNT, count);
    put(mock, LOW, (uint8_t)lba);
    put(mock, MID, (uint8_t)(lba >> 8));
    put(mock, HIGH, (uint8_t)(lba >> 16));
    put(mock, DEVICE, (uint8_t)(0xe0 | lba >> 24));
    put(mock, COMMAND, code);
}

static inline void command48(struct mock *mock, uint8_t code, uint64_t lba, uint16_t count)
{
    put(mock, COUNT, (uint8_t)(count >> 8));
    put(mock, COUNT, (uint8_t)count);
    for (unsigned i = 0; i < 3; i++) {
        put(mock, LOW + 4 * i, (uint8_t)(lba >> (24 + 8 * i)));
        put(mock, LOW + 4 * i, (uint8_t)(lba >> (8 * i)));
    }
    put(mock, DEVICE, 0x40);
    put(mock, COMMAND, code);
}

/* Data through the data register, width bytes at a time. */
static inline void load_block(struct mock *mock, uint8_t *data, unsigned bytes, unsigned width)
{
    for (unsigned i = 0; i < bytes; i += width) {
        uint64_t value = mock_load(mock, DATA, width);
        memcpy(data + i, &value, width);
    }
}

static inline void store_block(struct mock *mock, const uint8_t *data, unsigned bytes,
                               unsigned width)
{
    for (unsigned i = 0; i < bytes; i += width) {
        uint64_t value = 0;
        memcpy(&value, data + i, width);
        mock_store(mock, DATA, width, value);
    }
}

/* The data are what the disk held at first; they are filled with something else. */
static inline void assert_sector(const uint8_t *data, uint64_t sector)
{
    for (unsigned i = 0; i < 512; i++)
        assert_int_equal(data[i], mock_disk_pattern(sector, i));
}

static inline void fill(uint8_t *data, unsigned bytes, uint8_t seed)
{
    for (unsigned i = 0; i < bytes; i++)
        data[i] = (uint8_t)(seed + i * 3 + i / 512);
}

/* A 16-bit word of what IDENTIFY has brought. */
static inline uint16_t word(const uint8_t *data, unsigned index)
{
    return (uint16_t)(data[2 * index] | data[2 * index + 1] << 8);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
