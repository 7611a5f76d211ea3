/* An AHCI driver for unit tests: ahci_guest.h. */
#include "ahci_guest.h"

#include "devices/emulated/emulated.h"

uint32_t get(struct mock *mock, unsigned reg)
{
    return (uint32_t)mock_load(mock, reg, 4);
}

void put(struct mock *mock, unsigned reg, uint32_t value)
{
    mock_store(mock, reg, 4, value);
}

void start_port(struct mock *mock)
{
    put(mock, CLB, (uint32_t)LIST);
    put(mock, FB, (uint32_t)FISES);
    put(mock, CMD, FRE);
    put(mock, SERR, 0xffffffff);
    put(mock, PXIS, 0xffffffff);
    put(mock, IS, 1);
    put(mock, PXIE, 0xffffffff);
    put(mock, GHC, 0x80000002);
    put(mock, CMD, FRE | ST);
}

int setup(void **state)
{
    *state = mock_new_disk(&emulated_ahci);
    return 0;
}

int setup_started(void **state)
{
    setup(state);
    start_port(*state);
    return 0;
}

int teardown(void **state)
{
    struct mock *mock = *state;
    assert_int_equal(mock->disk.invalid, 0);
    mock_free(mock);
    return 0;
}

static void put32(uint8_t *at, uint32_t value)
{
    memcpy(at, &value, 4);
}

void header(struct mock *mock, unsigned slot, unsigned prds)
{
    uint8_t *at = mock_ram(mock, LIST + 32 * slot, 32);
    uint64_t table = TABLES + 0x10000 * slot;
    memset(at, 0, 32);
    put32(at, 5 | prds << 16);
    memcpy(at + 8, &table, 8);
}

void prd(struct mock *mock, unsigned slot, unsigned index, uint64_t gpa, uint32_t len)
{
    uint8_t *at = mock_ram(mock, TABLES + 0x10000 * slot + 0x80 + 16 * index, 16);
    memcpy(at, &gpa, 8);
    put32(at + 8, 0);
    put32(at + 12, len - 1);
}

uint8_t *command_fis(struct mock *mock, unsigned slot)
{
    return mock_ram(mock, TABLES + 0x10000 * slot, 64);
}

void command(struct mock *mock, unsigned slot, uint8_t code, uint64_t lba, uint16_t count)
{
    uint8_t *fis = command_fis(mock, slot);
    memset(fis, 0, 64);
    fis[0] = 0x27;
    fis[1] = 0x80;
    fis[2] = code;
    fis[7] = 0x40;
    for (unsigned i = 0; i < 3; i++) {
        fis[4 + i] = (uint8_t)(lba >> (8 * i));
        fis[8 + i] = (uint8_t)(lba >> (24 + 8 * i));
    }
    fis[12] = (uint8_t)count;
    fis[13] = (uint8_t)(count >> 8);
}

uint64_t page_of(unsigned slot)
{
    return PAGES + 0x4000 * slot;
}

void simple(struct mock *mock, unsigned slot, uint8_t code, uint64_t lba, uint16_t count)
{
    command(mock, slot, code, lba, count);
    header(mock, slot, 1);
    prd(mock, slot, 0, page_of(slot), count ? count * 512u : 512u);
}

void queued(struct mock *mock, unsigned slot, uint8_t code, uint64_t lba, uint16_t count)
{
    uint8_t *fis;
    simple(mock, slot, code, lba, count);
    fis = command_fis(mock, slot);
    fis[3] = (uint8_t)count;
    fis[11] = (uint8_t)(count >> 8);
    fis[12] = (uint8_t)(slot << 3);
    fis[13] = 0;
}

void issue_queued(struct mock *mock, uint32_t slots)
{
    put(mock, SACT, slots);
    put(mock, CI, slots);
}

void finish(struct mock *mock)
{
    mock_disk_finish(mock);
}

uint32_t acknowledge(struct mock *mock)
{
    uint32_t pxis;
    assert_true(mock->dev.line);
    assert_int_equal(get(mock, IS), 1);
    pxis = get(mock, PXIS);
    put(mock, PXIS, pxis);
    put(mock, IS, 1);
    return pxis;
}

void restart(struct mock *mock)
{
    put(mock, CMD, FRE);
    put(mock, SERR, 0xffffffff);
    put(mock, PXIS, 0xffffffff);
    put(mock, IS, 1);
    put(mock, CMD, FRE | CLO);
    put(mock, CMD, FRE | ST);
}

void assert_sectors(struct mock *mock, uint64_t gpa, uint64_t sector, unsigned count)
{
    const uint8_t *data = mock_ram(mock, gpa, count * 512u);
    for (unsigned i = 0; i < count * 512; i++)
        assert_int_equal(data[i], mock_disk_pattern(sector + i / 512, i % 512));
}

void fill(struct mock *mock, uint64_t gpa, unsigned len, uint8_t seed)
{
    uint8_t *data = mock_ram(mock, gpa, len);
    for (unsigned i = 0; i < len; i++)
        data[i] = (uint8_t)(seed + i * 5 + i / 512);
}

void run_ok(struct mock *mock, unsigned slot, uint32_t expected)
{
    put(mock, CI, 1u << slot);
    finish(mock);
    assert_int_equal(acknowledge(mock), expected);
    assert_int_equal(get(mock, CI), 0);
    assert_int_equal(get(mock, TFD), 0x50);
    assert_false(mock->dev.line);
}

void run_error(struct mock *mock, unsigned slot, uint8_t error)
{
    put(mock, CI, 1u << slot);
    finish(mock);
    assert_int_equal(acknowledge(mock) & (TFES | DHRS), TFES | DHRS);
    assert_int_equal(get(mock, CI), 1u << slot);
    assert_int_equal(get(mock, TFD), (uint32_t)error << 8 | 0x51);
    assert_int_equal((get(mock, CMD) >> 8) & 0x1f, slot);
    restart(mock);
    assert_int_equal(get(mock, CI), 0);
}

uint16_t word(const uint8_t *data, unsigned index)
{
    return (uint16_t)(data[2 * index] | data[2 * index + 1] << 8);
}
