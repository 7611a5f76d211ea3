/* The emulated AHCI disk: registers, FISes, commands, PRD lists, errors and resets. */
#include "mock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "devices/emulated/disk/ata_command.h"
#include "devices/emulated/emulated.h"

enum {
    CAP = 0x00,
    GHC = 0x04,
    IS = 0x08,
    PI = 0x0c,
    VS = 0x10,
    CAP2 = 0x24,
    CLB = 0x100,
    CLBU = 0x104,
    FB = 0x108,
    FBU = 0x10c,
    PXIS = 0x110,
    PXIE = 0x114,
    CMD = 0x118,
    TFD = 0x120,
    SIG = 0x124,
    SSTS = 0x128,
    SCTL = 0x12c,
    SERR = 0x130,
    SACT = 0x134,
    CI = 0x138
};

#define ST  0x0001u
#define CLO 0x0008u
#define FRE 0x0010u
#define FR  0x4000u
#define CR  0x8000u

#define DHRS (1u << 0)
#define PSS  (1u << 1)
#define SDBS (1u << 3)
#define DPS  (1u << 5)
#define PCS  (1u << 6)
#define PRCS (1u << 22)
#define OFS  (1u << 24)
#define IFS  (1u << 27)
#define HBDS (1u << 28)
#define HBFS (1u << 29)
#define TFES (1u << 30)

#define LIST    0x80001000ull
#define FISES   0x80002000ull
#define TABLES  0x80100000ull /* 64 KiB for each slot */
#define PAGES   0x80300000ull
#define NOWHERE 0x70000000ull
#define RAM_END (MOCK_RAM_BASE + MOCK_RAM_SIZE)

static uint32_t get(struct mock *mock, unsigned reg)
{
    return (uint32_t)mock_load(mock, reg, 4);
}

static void put(struct mock *mock, unsigned reg, uint32_t value)
{
    mock_store(mock, reg, 4, value);
}

static void start_port(struct mock *mock)
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

static int setup(void **state)
{
    *state = mock_new_disk(&emulated_ahci);
    return 0;
}

static int setup_started(void **state)
{
    setup(state);
    start_port(*state);
    return 0;
}

static int teardown(void **state)
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

static void header(struct mock *mock, unsigned slot, unsigned prds)
{
    uint8_t *at = mock_ram(mock, LIST + 32 * slot, 32);
    uint64_t table = TABLES + 0x10000 * slot;
    memset(at, 0, 32);
    put32(at, 5 | prds << 16);
    memcpy(at + 8, &table, 8);
}

static void prd(struct mock *mock, unsigned slot, unsigned index, uint64_t gpa, uint32_t len)
{
    uint8_t *at = mock_ram(mock, TABLES + 0x10000 * slot + 0x80 + 16 * index, 16);
    memcpy(at, &gpa, 8);
    put32(at + 8, 0);
    put32(at + 12, len - 1);
}

static uint8_t *command_fis(struct mock *mock, unsigned slot)
{
    return mock_ram(mock, TABLES + 0x10000 * slot, 64);
}

static void command(struct mock *mock, unsigned slot, uint8_t code, uint64_t lba, uint16_t count)
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

/* One PRD at the slot's own page. */
static uint64_t page_of(unsigned slot)
{
    return PAGES + 0x4000 * slot;
}

static void simple(struct mock *mock, unsigned slot, uint8_t code, uint64_t lba, uint16_t count)
{
    command(mock, slot, code, lba, count);
    header(mock, slot, 1);
    prd(mock, slot, 0, page_of(slot), count ? count * 512u : 512u);
}

static void queued(struct mock *mock, unsigned slot, uint8_t code, uint64_t lba, uint16_t count)
{
    uint8_t *fis;
    simple(mock, slot, code, lba, count);
    fis = command_fis(mock, slot);
    fis[3] = (uint8_t)count;
    fis[11] = (uint8_t)(count >> 8);
    fis[12] = (uint8_t)(slot << 3);
    fis[13] = 0;
}

static void issue_queued(struct mock *mock, uint32_t slots)
{
    put(mock, SACT, slots);
    put(mock, CI, slots);
}

static void finish(struct mock *mock)
{
    mock_disk_finish(mock);
}

/* As a driver's interrupt handler: what happened, and acknowledged. */
static uint32_t acknowledge(struct mock *mock)
{
    uint32_t pxis;
    assert_true(mock->dev.line);
    assert_int_equal(get(mock, IS), 1);
    pxis = get(mock, PXIS);
    put(mock, PXIS, pxis);
    put(mock, IS, 1);
    return pxis;
}

static void restart(struct mock *mock)
{
    put(mock, CMD, FRE);
    put(mock, SERR, 0xffffffff);
    put(mock, PXIS, 0xffffffff);
    put(mock, IS, 1);
    put(mock, CMD, FRE | CLO);
    put(mock, CMD, FRE | ST);
}

static void assert_sectors(struct mock *mock, uint64_t gpa, uint64_t sector, unsigned count)
{
    const uint8_t *data = mock_ram(mock, gpa, count * 512u);
    for (unsigned i = 0; i < count * 512; i++)
        assert_int_equal(data[i], mock_disk_pattern(sector + i / 512, i % 512));
}

static void fill(struct mock *mock, uint64_t gpa, unsigned len, uint8_t seed)
{
    uint8_t *data = mock_ram(mock, gpa, len);
    for (unsigned i = 0; i < len; i++)
        data[i] = (uint8_t)(seed + i * 5 + i / 512);
}

static void run_ok(struct mock *mock, unsigned slot, uint32_t expected)
{
    put(mock, CI, 1u << slot);
    finish(mock);
    assert_int_equal(acknowledge(mock), expected);
    assert_int_equal(get(mock, CI), 0);
    assert_int_equal(get(mock, TFD), 0x50);
    assert_false(mock->dev.line);
}

static void run_error(struct mock *mock, unsigned slot, uint8_t error)
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

/* --- Registers --- */

static void hba_registers(void **state)
{
    struct mock *mock = *state;
    uint64_t value;
    assert_int_equal(get(mock, CAP),
                     0xc1341f00); /* 64 bit, NCQ, CLO, 6 Gb/s, AHCI only, 32 slots, 1 port */
    assert_int_equal(get(mock, PI), 1);
    assert_int_equal(get(mock, VS), 0x00010301);
    assert_int_equal(get(mock, CAP2), 0);
    assert_int_equal(get(mock, GHC), 0x80000000);
    put(mock, GHC, 0x00000002);
    assert_int_equal(get(mock, GHC), 0x80000002);
    put(mock, CAP, 0);
    put(mock, PI, 0xff);
    put(mock, VS, 0);
    assert_int_equal(get(mock, CAP), 0xc1341f00);
    assert_int_equal(get(mock, PI), 1);
    put(mock, 0x180, 0xffffffff); /* port 1 is not there */
    assert_int_equal(get(mock, 0x180), 0);
    assert_int_equal(get(mock, 0xffc), 0);
    assert_int_equal(mock_load(mock, VS, 2), 0x0301);
    assert_int_equal(mock_load(mock, VS + 2, 2), 0x0001);
    assert_int_equal(mock_load(mock, CAP + 3, 1), 0xc1);
    assert_int_equal(mock_load(mock, CAP, 8), 0x80000002c1341f00);
    assert_false(mock_try_store(mock, GHC, 2, 0));
    assert_false(mock_try_store(mock, GHC, 1, 0));
    assert_true(mock_try_load(mock, 0xff8, 8, &value));
}

static void port_registers(void **state)
{
    static const struct {
        unsigned reg;
        uint32_t stored, loaded;
    } rows[] = {{CLB, 0xffffffff, 0xfffffc00},
                {CLBU, 0x12345678, 0x12345678},
                {FB, 0xffffffff, 0xffffff00},
                {FBU, 0x9abcdef0, 0x9abcdef0},
                {PXIE, 0xffffffff, 0xfdc000ff},
                {SIG, 0, 0xffffffff},
                {TFD, 0, 0x7f},
                {SSTS, 0, 0x133},
                {SACT, 0xff, 0},
                {CI, 0xff, 0},
                {0x11c, 0xff, 0},
                {0x140, 0xff, 0}};
    struct mock *mock = *state;
    assert_int_equal(get(mock, CMD), 0x0006);
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        put(mock, rows[i].reg, rows[i].stored);
        assert_int_equal(get(mock, rows[i].reg), rows[i].loaded);
    }
    mock_store(mock, CLB, 8, 0x1122334455667788);
    assert_int_equal(get(mock, CLBU), 0x11223344);
    assert_int_equal(get(mock, CLB), 0x55667400);
    put(mock, CMD, 0xfffffff0 & ~FRE);
    assert_int_equal(get(mock, CMD), 0x03000006);
}

static void start_and_stop(void **state)
{
    struct mock *mock = *state;
    put(mock, FB, (uint32_t)FISES);
    put(mock, CMD, FRE);
    assert_int_equal(get(mock, CMD), 0x0006 | FRE | FR);
    put(mock, CMD, FRE | ST);
    assert_int_equal(get(mock, CMD), 0x0006 | FRE | FR | ST | CR);
    put(mock, CMD, FRE);
    assert_int_equal(get(mock, CMD), 0x0006 | FRE | FR);
    put(mock, CMD, 0);
    assert_int_equal(get(mock, CMD), 0x0006);
}

/* The first FIS waits for FRE, then shows in memory, PxTFD and PxSIG. */
static void signature(void **state)
{
    static const uint8_t expected[20] = {0x34, 0, 0x50, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1};
    struct mock *mock = *state;
    assert_int_equal(get(mock, TFD), 0x7f);
    put(mock, FB, (uint32_t)FISES);
    put(mock, CMD, FRE);
    assert_int_equal(get(mock, TFD), 0x0150);
    assert_int_equal(get(mock, SIG), 0x00000101);
    assert_memory_equal(mock_ram(mock, FISES + 0x40, 20), expected, 20);
    assert_int_equal(get(mock, PXIS) & DHRS, 0);
}

static void comreset(void **state)
{
    struct mock *mock = *state;
    put(mock, SCTL, 0x301);
    assert_int_equal(get(mock, SSTS), 0);
    assert_int_equal(get(mock, TFD), 0x7f);
    assert_int_equal(get(mock, SIG), 0xffffffff);
    assert_false(mock->dev.line);
    put(mock, SCTL, 0x300);
    assert_int_equal(get(mock, SCTL), 0x300);
    assert_int_equal(get(mock, SSTS), 0x133);
    assert_int_equal(get(mock, SERR), 0x04010000);
    assert_int_equal(get(mock, PXIS), PCS | PRCS);
    assert_true(mock->dev.line);
    put(mock, PXIS, 0xffffffff); /* only PxSERR clears these */
    assert_int_equal(get(mock, PXIS), PCS | PRCS);
    put(mock, SERR, 0xffffffff);
    assert_int_equal(get(mock, PXIS), 0);
    put(mock, IS, 1);
    assert_false(mock->dev.line);
    assert_int_equal(get(mock, TFD), 0x0150);
    put(mock, SCTL, 0x004);
    assert_int_equal(get(mock, SSTS), 4);
    put(mock, SCTL, 0x010);
    assert_int_equal(get(mock, SSTS), 0x113); /* limited to 1.5 Gb/s */
}

static void interrupt_latch(void **state)
{
    struct mock *mock = *state;
    simple(mock, 0, 0xec, 0, 1);
    put(mock, CI, 1);
    assert_true(mock->dev.line);
    mock->asserted = 0;
    put(mock, IS, 1); /* the cause is still there */
    assert_true(mock->dev.line);
    assert_int_equal(mock->asserted, 1);
    put(mock, CI, 1); /* the same cause once more */
    assert_int_equal(mock->asserted, 2);
    get(mock, PXIS);
    mock_service(mock);
    put(mock, PXIS, PSS);
    assert_true(mock->dev.line); /* and now it is the latch, which is no news */
    assert_int_equal(mock->asserted, 2);
    put(mock, IS, 1);
    assert_false(mock->dev.line);
    put(mock, PXIE, 0);
    put(mock, CI, 1);
    assert_false(mock->dev.line);
    assert_int_equal(get(mock, PXIS), PSS);
    put(mock, PXIE, PSS);
    assert_true(mock->dev.line);
    put(mock, GHC, 0x80000000);
    assert_false(mock->dev.line);
    put(mock, GHC, 0x80000002);
    assert_true(mock->dev.line);
}

static void hba_reset(void **state)
{
    struct mock *mock = *state;
    queued(mock, 3, 0x60, 0, 8);
    issue_queued(mock, 1u << 3);
    assert_int_equal(mock->disk.ninflight, 1);
    put(mock, GHC, 0x80000001);
    assert_int_equal(mock->disk.ninflight, 0);
    assert_int_equal(get(mock, GHC), 0x80000000);
    assert_int_equal(get(mock, CMD), 0x0006);
    assert_int_equal(get(mock, SACT), 0);
    assert_int_equal(get(mock, PXIE), 0);
    assert_int_equal(get(mock, TFD), 0x7f);
    assert_int_equal(get(mock, CLB), (uint32_t)LIST); /* survives */
    assert_int_equal(get(mock, FB), (uint32_t)FISES);
    assert_false(mock->dev.line);
    mock_service(mock);
    start_port(mock);
    simple(mock, 3, 0xc8, 5, 1);
    run_ok(mock, 3, DHRS);
    assert_sectors(mock, page_of(3), 5, 1);
}

/* --- Commands --- */

static uint16_t word(const uint8_t *data, unsigned index)
{
    return (uint16_t)(data[2 * index] | data[2 * index + 1] << 8);
}

static void identify(void **state)
{
    struct mock *mock = *state;
    const uint8_t *data = mock_ram(mock, page_of(0), 512);
    const uint8_t *setup_fis = mock_ram(mock, FISES + 0x20, 20);
    uint8_t sum = 0;
    simple(mock, 0, 0xec, 0, 0);
    run_ok(mock, 0, PSS);
    assert_int_equal(setup_fis[0], 0x5f);
    assert_int_equal(setup_fis[1], 0x60);
    assert_int_equal(setup_fis[2], 0x58);
    assert_int_equal(setup_fis[15], 0x50);
    assert_int_equal(setup_fis[16] | setup_fis[17] << 8, 512);
    assert_int_equal(*(uint32_t *)mock_ram(mock, LIST + 4, 4), 512); /* byte count */
    for (unsigned i = 0; i < 512; i++)
        sum = (uint8_t)(sum + data[i]);
    assert_int_equal(sum, 0);
    assert_memory_equal(data + 54, "RTDINE THAICD SI K  ", 20);
    assert_int_equal(word(data, 49), 0x0b00);
    assert_int_equal(word(data, 75), 31);
    assert_int_equal(word(data, 76), 0x010e);
    assert_int_equal(word(data, 80), 0x03f0);
    assert_int_equal(word(data, 84), 0x4060);
    assert_int_equal(word(data, 85), 0x0060);
    assert_int_equal(word(data, 87), 0x4060);
    assert_int_equal(word(data, 88), 0x203f);
    assert_int_equal(word(data, 93), 0); /* SATA */
    assert_int_equal(word(data, 100), MOCK_SECTORS);
    assert_int_equal(word(data, 169), 1);
    mock->disk.front.can_discard = false;
    run_ok(mock, 0, PSS);
    assert_int_equal(word(data, 169), 0);
    assert_int_equal(mock->dev.count.requests, 0);
    assert_int_equal(mock->dev.count.notifications, 2);
}

/* Every read command that there is. */
static void reads(void **state)
{
    static const struct {
        uint8_t code;
        uint32_t pxis;
    } rows[] = {{0xc8, DHRS}, {0xc9, DHRS}, {0x25, DHRS}, {0x20, PSS},
                {0x24, PSS},  {0xc4, PSS},  {0x29, PSS}};
    struct mock *mock = *state;
    command(mock, 0, 0xc6, 0, 8);
    header(mock, 0, 0);
    run_ok(mock, 0, DHRS);
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        simple(mock, i, rows[i].code, 100 + i, 8);
        put(mock, CI, 1u << i);
        assert_int_equal(get(mock, TFD) & 0x80, 0x80);
        assert_int_equal(get(mock, CI), 1u << i);
        assert_false(mock->dev.line);
        finish(mock);
        assert_int_equal(acknowledge(mock), rows[i].pxis);
        assert_int_equal(get(mock, CI), 0);
        assert_int_equal(get(mock, TFD), 0x50);
        assert_sectors(mock, page_of(i), 100 + i, 8);
        assert_int_equal(*(uint32_t *)mock_ram(mock, LIST + 32 * i + 4, 4), 4096);
    }
    assert_int_equal(mock->dev.count.requests, 7);
    assert_int_equal(mock->dev.count.bytes, 7 * 4096);
    assert_int_equal(mock->dev.count.notifications, 8);
}

static void writes(void **state)
{
    static const struct {
        uint8_t code;
        bool flush;
    } rows[] = {{0xca, false}, {0xcb, false}, {0x35, false}, {0x30, false}, {0x34, false},
                {0xc5, false}, {0x39, false}, {0x3d, true},  {0xce, true}};
    struct mock *mock = *state;
    unsigned flushes = 0;
    command(mock, 0, 0xc6, 0, 8);
    header(mock, 0, 0);
    run_ok(mock, 0, DHRS);
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        simple(mock, i, rows[i].code, 200 + 8 * i, 8);
        fill(mock, page_of(i), 4096, (uint8_t)(i + 1));
        run_ok(mock, i, DHRS);
        flushes += rows[i].flush;
        assert_int_equal(mock->disk.submits[HOST_DISK_FLUSH], flushes);
        assert_memory_equal(mock->disk.image + (200 + 8 * i) * 512,
                            mock_ram(mock, page_of(i), 4096), 4096);
    }
    assert_int_equal(mock->dev.count.requests, 9);
}

/* A write is acknowledged only when the host has completed it. */
static void write_waits(void **state)
{
    struct mock *mock = *state;
    simple(mock, 1, 0x35, 50, 8);
    put(mock, CI, 2);
    mock_service(mock);
    assert_int_equal(get(mock, CI), 2);
    assert_false(mock->dev.line);
    finish(mock);
    assert_int_equal(get(mock, CI), 0);
}

static void lba28(void **state)
{
    struct mock *mock = *state;
    mock->disk.front.sectors = 1ull << 40; /* only addresses are looked at here */
    mock->disk.refuse_next = -EAGAIN;
    simple(mock, 0, 0xc8, 0x123456, 1);
    command_fis(mock, 0)[7] = 0x4a;
    put(mock, CI, 1);
    mock->disk.front.sectors = MOCK_SECTORS;
    mock->disk.refuse_next = -EINVAL;
    mock_service(mock); /* given up: and the error shows which address it was */
    assert_int_equal(get(mock, TFD), 0x0451);
    restart(mock);
    simple(mock, 0, 0xc8, 0, 0); /* 0 is 256 sectors */
    prd(mock, 0, 0, PAGES, 256 * 512);
    run_ok(mock, 0, DHRS);
    assert_sectors(mock, PAGES, 0, 256);
    simple(mock, 0, 0x25, 0, 0); /* 65,536 */
    run_error(mock, 0, 0x10);
}

static void immediate_commands(void **state)
{
    static const struct {
        uint8_t code, feature;
        uint16_t count;
        uint8_t error;
    } rows[] = {
        {0xef, 0x03, 0x45, 0}, {0xef, 0x03, 0x46, 4}, {0xef, 0x03, 0x0c, 0}, {0xef, 0x02, 0, 0},
        {0xef, 0x82, 0, 0},    {0xef, 0x10, 3, 4},    {0xe0, 0, 0, 0},       {0xe1, 0, 0, 0},
        {0xe2, 0, 0, 0},       {0xe3, 0, 0, 0},       {0xe5, 0, 0, 0},       {0xf8, 0, 0, 0},
        {0x27, 0, 0, 0},       {0xc6, 0, 3, 4},       {0x00, 0, 0, 4},       {0xa1, 0, 0, 4},
        {0xb0, 0, 0, 4},       {0xf5, 0, 0, 4},       {0x63, 0, 0, 4},       {0x65, 0, 0, 4}};
    struct mock *mock = *state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        command(mock, i, rows[i].code, 0, rows[i].count);
        command_fis(mock, i)[3] = rows[i].feature;
        header(mock, i, 0);
        if (rows[i].error)
            run_error(mock, i, rows[i].error);
        else
            run_ok(mock, i, DHRS);
    }
    assert_int_equal(mock->dev.count.requests, 0);
}

static void native_max(void **state)
{
    struct mock *mock = *state;
    const uint8_t *fis = mock_ram(mock, FISES + 0x40, 20);
    command(mock, 0, 0x27, 0, 0);
    header(mock, 0, 0);
    run_ok(mock, 0, DHRS);
    assert_int_equal(fis[0], 0x34);
    assert_int_equal(fis[1], 0x40);
    assert_int_equal(fis[4] | fis[5] << 8, MOCK_SECTORS - 1);
    command(mock, 0, 0xe5, 0, 0);
    run_ok(mock, 0, DHRS);
    assert_int_equal(fis[12], 0xff);
}

static void flush_and_verify(void **state)
{
    struct mock *mock = *state;
    header(mock, 0, 0);
    command(mock, 0, 0xe7, 0, 0);
    run_ok(mock, 0, DHRS);
    command(mock, 0, 0xea, 0xffffffffffff, 0);
    run_ok(mock, 0, DHRS);
    assert_int_equal(mock->disk.submits[HOST_DISK_FLUSH], 2);
    command(mock, 0, 0x42, 1000, 20);
    run_ok(mock, 0, DHRS);
    mock->disk.bad_sector = 1010;
    run_error(mock, 0, 0x40);
    mock->disk.fail_next = -EIO;
    command(mock, 0, 0xea, 0, 0);
    run_error(mock, 0, 0x04);
    assert_int_equal(mock->dev.count.requests, 3);
    assert_int_equal(mock->dev.count.bytes, 0);
}

static void write_cache_off(void **state)
{
    struct mock *mock = *state;
    command(mock, 0, 0xef, 0, 0);
    command_fis(mock, 0)[3] = 0x82;
    header(mock, 0, 0);
    run_ok(mock, 0, DHRS);
    queued(mock, 1, 0x61, 9, 1);
    issue_queued(mock, 2);
    mock_disk_complete(mock, 0);
    mock_service(mock);
    assert_int_equal(get(mock, SACT), 2);
    finish(mock);
    assert_int_equal(get(mock, SACT), 0);
    assert_int_equal(mock->disk.submits[HOST_DISK_FLUSH], 1);
}

static void trim_range(struct mock *mock, unsigned index, uint64_t lba, uint16_t count)
{
    uint64_t entry = lba | (uint64_t)count << 48;
    memcpy(mock_ram(mock, page_of(0) + 8 * index, 8), &entry, 8);
}

static void trim(void **state)
{
    struct mock *mock = *state;
    uint8_t zero[512] = {0};
    trim_range(mock, 0, 10, 2);
    trim_range(mock, 5, 100, 1);
    trim_range(mock, 63, MOCK_SECTORS - 1, 1);
    simple(mock, 0, 0x06, 0, 1);
    command_fis(mock, 0)[3] = 1;
    run_ok(mock, 0, DHRS);
    assert_int_equal(mock->disk.submits[HOST_DISK_DISCARD], 3);
    assert_memory_equal(mock->disk.image + 10 * 512, zero, 512);
    assert_memory_equal(mock->disk.image + 11 * 512, zero, 512);
    assert_int_equal(mock->disk.image[12 * 512 + 1], mock_disk_pattern(12, 1));
    assert_memory_equal(mock->disk.image + 100 * 512, zero, 512);
    assert_memory_equal(mock->disk.image + (MOCK_SECTORS - 1) * 512, zero, 512);
    assert_int_equal(mock->dev.count.requests, 1);
    trim_range(mock, 63, MOCK_SECTORS - 1, 2); /* one bad range: nothing is done */
    run_error(mock, 0, 0x10);
    assert_int_equal(mock->disk.submits[HOST_DISK_DISCARD], 3);
    memset(mock_ram(mock, page_of(0), 512), 0, 512);
    run_ok(mock, 0, DHRS); /* nothing to do */
    command_fis(mock, 0)[3] = 0;
    run_error(mock, 0, 0x04);
    command_fis(mock, 0)[3] = 1;
    command_fis(mock, 0)[12] = 2;
    run_error(mock, 0, 0x04);
    command_fis(mock, 0)[12] = 1;
    mock->disk.front.can_discard = false;
    run_error(mock, 0, 0x04);
}

/* --- PRD lists --- */

static void adjacent_prds_join(void **state)
{
    struct mock *mock = *state;
    command(mock, 0, 0x25, 30, 64);
    header(mock, 0, 8);
    for (unsigned i = 0; i < 8; i++)
        prd(mock, 0, i, PAGES + 4096 * i, 4096);
    put(mock, CI, 1);
    assert_int_equal(mock->disk.last_nsegments, 1);
    finish(mock);
    assert_sectors(mock, PAGES, 30, 64);
}

/* More pieces than one host request takes: two requests, one command. */
static void many_segments(void **state)
{
    struct mock *mock = *state;
    command(mock, 0, 0x25, 40, 168);
    header(mock, 0, 168);
    for (unsigned i = 0; i < 168; i++)
        prd(mock, 0, i, PAGES + 1024 * i, 512);
    put(mock, CI, 1);
    assert_int_equal(mock->disk.last_nsegments, HOST_DISK_MAX_SEGMENTS);
    finish(mock);
    assert_int_equal(mock->disk.submits[HOST_DISK_READ], 2);
    assert_int_equal(mock->disk.last_nsegments, 168 - HOST_DISK_MAX_SEGMENTS);
    for (unsigned i = 0; i < 168; i++)
        assert_sectors(mock, PAGES + 1024 * i, 40 + i, 1);
    assert_int_equal(get(mock, CI), 0);
    assert_int_equal(*(uint32_t *)mock_ram(mock, LIST + 4, 4), 168 * 512);
    assert_int_equal(mock->dev.count.requests, 1);
}

static unsigned scatter(struct mock *mock, unsigned slot, unsigned bytes, unsigned piece,
                        unsigned gap)
{
    unsigned n = 0;
    for (unsigned done = 0; done < bytes; done += piece, n++) {
        unsigned len = bytes - done < piece ? bytes - done : piece;
        prd(mock, slot, n, PAGES + (uint64_t)n * (piece + gap), len);
    }
    return n;
}

static void gather(struct mock *mock, uint8_t *out, unsigned bytes, unsigned piece, unsigned gap,
                   bool in)
{
    for (unsigned done = 0, n = 0; done < bytes; done += piece, n++) {
        unsigned len = bytes - done < piece ? bytes - done : piece;
        uint8_t *at = mock_ram(mock, PAGES + (uint64_t)n * (piece + gap), len);
        if (in)
            memcpy(out + done, at, len);
        else
            memcpy(at, out + done, len);
    }
}

/* Every shape of list gives the same bytes, both ways: odd lengths, pieces of 2 bytes (a sector in
 * more pieces than a request takes), pieces that straddle sectors. */
static void odd_prds(void **state)
{
    static const unsigned pieces[] = {1,   2,   3,   4,   6,   30,   126,  254,
                                      510, 511, 513, 514, 700, 1022, 1536, 5000};
    struct mock *mock = *state;
    static uint8_t data[8 * 512];
    for (unsigned i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        unsigned piece = pieces[i], n = scatter(mock, 0, sizeof(data), piece, 2);
        command(mock, 0, 0x25, 64, 8);
        header(mock, 0, n);
        if (n > 4000)
            continue; /* the table of slot 0 holds no more */
        run_ok(mock, 0, DHRS);
        gather(mock, data, sizeof(data), piece, 2, true);
        for (unsigned b = 0; b < sizeof(data); b++)
            assert_int_equal(data[b], mock->disk.image[64 * 512 + b]);

        for (unsigned b = 0; b < sizeof(data); b++)
            data[b] = (uint8_t)(b * 7 + i + b / 512);
        gather(mock, data, sizeof(data), piece, 2, false);
        command(mock, 0, 0x35, 64, 8);
        run_ok(mock, 0, DHRS);
        assert_memory_equal(mock->disk.image + 64 * 512, data, sizeof(data));
    }
}

static void prd_interrupt(void **state)
{
    struct mock *mock = *state;
    uint8_t *entry;
    simple(mock, 0, 0x25, 0, 8);
    entry = mock_ram(mock, TABLES + 0x80, 16);
    entry[15] |= 0x80;
    put(mock, CI, 1);
    finish(mock);
    assert_int_equal(acknowledge(mock), DHRS | DPS);
}

/* More PRDs than data is fine; the rest is not touched. */
static void spare_prds(void **state)
{
    struct mock *mock = *state;
    memset(mock_ram(mock, PAGES, 8192), 0xee, 8192);
    command(mock, 0, 0x25, 0, 1);
    header(mock, 0, 2);
    prd(mock, 0, 0, PAGES, 4096);
    prd(mock, 0, 1, NOWHERE, 4096);
    run_ok(mock, 0, DHRS);
    assert_sectors(mock, PAGES, 0, 1);
    assert_int_equal(*(uint8_t *)mock_ram(mock, PAGES + 512, 1), 0xee);
}

static void too_few_prds(void **state)
{
    static const uint8_t codes[] = {0x25, 0x35, 0xec};
    struct mock *mock = *state;
    for (unsigned i = 0; i < sizeof(codes); i++) {
        command(mock, 0, codes[i], 0, 8);
        header(mock, 0, 1);
        prd(mock, 0, 0, PAGES, 510);
        put(mock, CI, 1);
        finish(mock);
        assert_int_equal(acknowledge(mock), OFS | TFES | DHRS);
        assert_int_equal(get(mock, TFD), 0x0451);
        restart(mock);
        header(mock, 0, 0);
        put(mock, CI, 1);
        assert_int_equal(acknowledge(mock), OFS | TFES | DHRS);
        restart(mock);
    }
    queued(mock, 2, 0x60, 0, 8);
    prd(mock, 2, 0, PAGES, 512);
    issue_queued(mock, 4);
    assert_int_equal(acknowledge(mock), OFS | TFES | SDBS);
}

static void fatal(struct mock *mock, uint32_t pxis)
{
    put(mock, CI, 1);
    finish(mock);
    assert_int_equal(acknowledge(mock) & (pxis | TFES), pxis);
    put(mock, CI, 2); /* halted: nothing more is issued */
    assert_int_equal(get(mock, CI) & 2, 2);
    assert_int_equal(mock->disk.ninflight, 0);
    restart(mock);
    simple(mock, 1, 0x25, 3, 1);
    run_ok(mock, 1, DHRS);
    simple(mock, 0, 0x25, 3, 8);
}

static void bad_pointers(void **state)
{
    static const uint64_t bad[] = {NOWHERE,
                                   0,
                                   RAM_END,
                                   RAM_END - 512,
                                   MOCK_RAM_BASE - 512,
                                   0xfffffffffffffe00,
                                   0xffffffffffffffff,
                                   0x8000000080000000};
    struct mock *mock = *state;
    uint64_t gpa;
    simple(mock, 0, 0x25, 3, 8);
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        prd(mock, 0, 0, bad[i], 4096); /* data */
        fatal(mock, HBDS);
        command(mock, 0, 0x35, 3, 8);
        prd(mock, 0, 0, bad[i], 4096);
        fatal(mock, HBDS);
        gpa = bad[i];
        memcpy(mock_ram(mock, LIST + 8, 8), &gpa, 8); /* command table */
        if (gpa != RAM_END - 512)
            fatal(mock, HBFS);
        simple(mock, 0, 0x25, 3, 8);
    }
    gpa = RAM_END - 0x80; /* the FIS is in RAM, the PRDs are not */
    memcpy(mock_ram(mock, gpa, 20), command_fis(mock, 0), 20);
    memcpy(mock_ram(mock, LIST + 8, 8), &gpa, 8);
    fatal(mock, HBFS);
    put(mock, CLB, (uint32_t)NOWHERE); /* command list */
    put(mock, CI, 1);
    assert_int_equal(acknowledge(mock), HBFS);
    put(mock, CLB, (uint32_t)LIST);
    restart(mock);
    put(mock, FB, (uint32_t)NOWHERE); /* received FISes */
    put(mock, CI, 1);
    finish(mock);
    assert_int_equal(acknowledge(mock) & HBFS, HBFS);
    put(mock, FB, (uint32_t)FISES);
    restart(mock);
    simple(mock, 0, 0x30, 3, 1); /* the PIO Setup FIS that comes before the data */
    put(mock, FB, (uint32_t)NOWHERE);
    put(mock, CI, 1);
    assert_int_equal(acknowledge(mock) & HBFS, HBFS);
    assert_int_equal(mock->disk.submits[HOST_DISK_WRITE], 0);
    put(mock, FB, (uint32_t)FISES);
    restart(mock);
    simple(mock, 0, 0x25, 3, 8);
    run_ok(mock, 0, DHRS);
}

/* The guest changes the list of a transfer that goes in several steps. */
static void list_changes_in_use(void **state)
{
    struct mock *mock = *state;
    header(mock, 0, scatter(mock, 0, 1024, 2, 2)); /* sector by sector, through the buffer */
    command(mock, 0, 0x25, 64, 2);
    put(mock, CI, 1);
    prd(mock, 0, 100, NOWHERE, 2); /* a piece of the first sector, which is on its way */
    finish(mock);
    assert_int_equal(acknowledge(mock), HBDS);
    restart(mock);

    command(mock, 0, 0x25, 64, 2 + HOST_DISK_MAX_SEGMENTS);
    header(mock, 0, 129);
    for (unsigned i = 0; i < 129;
         i++) /* the last piece of the first request ends inside an entry */
        prd(mock, 0, i, PAGES + 2048 * i, i == 125 ? 1024 : 512);
    put(mock, CI, 1);
    assert_int_equal(mock->disk.last_nsegments, HOST_DISK_MAX_SEGMENTS);
    finish(mock);
    assert_int_equal(acknowledge(mock), DHRS);
    prd(mock, 0, 0, PAGES, 700);
    prd(mock, 0, 1, PAGES + 4096, 324);
    for (unsigned i = 2; i < 129; i++)
        prd(mock, 0, i, PAGES + 4096 * i, 2);
    command(mock, 0, 0x25, 64, 3);
    put(mock, CI, 1); /* two sectors at once; the third, of pieces, through the buffer */
    prd(mock, 0, 2, PAGES, 0x1001);
    prd(mock, 0, 1, PAGES + 4096, 324);
    finish(mock);
    assert_int_equal(get(mock, CI), 0);
    acknowledge(mock);
    prd(mock, 0, 0, PAGES, 612);
    for (unsigned i = 1; i < 206; i++)
        prd(mock, 0, i, PAGES + 4096 + 4 * i, 2);
    header(mock, 0, 206 + 128);
    command(mock, 0, 0x35, 64, 2);
    for (unsigned i = 206; i < 334; i++)
        prd(mock, 0, i, PAGES + 4096 + 4 * i, 2);
    put(mock, CI, 1); /* the first sector ends at byte 512 of an entry of 612 */
    prd(mock, 0, 0, PAGES, 512);
    finish(mock);
    assert_int_equal(acknowledge(mock), HBFS);
    restart(mock);

    header(mock, 1, 0); /* TRIM without its block of ranges */
    command(mock, 1, 0x06, 0, 1);
    command_fis(mock, 1)[3] = 1;
    run_error(mock, 1, 0x04);
}

static void bad_fis(void **state)
{
    struct mock *mock = *state;
    simple(mock, 0, 0x25, 3, 8);
    command_fis(mock, 0)[0] = 0x34;
    fatal(mock, IFS);
    *(uint8_t *)mock_ram(mock, LIST, 1) = 2; /* shorter than a Register FIS */
    fatal(mock, IFS);
}

/* --- Queued commands --- */

static void all_slots_in_flight(void **state)
{
    struct mock *mock = *state;
    uint32_t left = 0xffffffff;
    for (unsigned slot = 0; slot < 32; slot++)
        queued(mock, slot, 0x60, 64 * slot, 8);
    issue_queued(mock, 0xffffffff);
    assert_int_equal(get(mock, CI), 0); /* the device has them all */
    assert_int_equal(get(mock, SACT), 0xffffffff);
    assert_int_equal(get(mock, TFD), 0x50);
    assert_int_equal(mock->disk.ninflight, 32);
    assert_int_equal(mock->dev.count.notifications, 1);
    assert_false(mock->dev.line);
    for (unsigned slot = 0; slot < 32; slot += 2) { /* the odd ones last */
        const uint8_t *sdb = mock_ram(mock, FISES + 0x58, 8);
        mock_disk_complete(mock, slot / 2);
        mock_service(mock);
        left &= ~(1u << slot);
        assert_int_equal(acknowledge(mock), SDBS);
        assert_int_equal(get(mock, SACT), left);
        assert_int_equal(sdb[0], 0xa1);
        assert_int_equal(sdb[1], 0x40);
        assert_int_equal(*(const uint32_t *)(sdb + 4), 1u << slot);
        assert_sectors(mock, page_of(slot), 64 * slot, 8);
    }
    finish(mock);
    assert_int_equal(get(mock, SACT), 0);
    assert_int_equal(acknowledge(mock), SDBS); /* one FIS for all that completed together */
    assert_int_equal(*(uint32_t *)mock_ram(mock, FISES + 0x5c, 4), 0xaaaaaaaa);
    assert_int_equal(mock->dev.count.irqs, 17);
    assert_int_equal(mock->dev.count.requests, 32);
    assert_int_equal(mock->dev.count.bytes, 32 * 4096);
}

/* One command is started, or completed, for each time that the disk has its turn. */
static void in_pieces(void **state)
{
    struct mock *mock = *state;
    mock->vm.yield_after = 1;
    for (unsigned slot = 0; slot < 32; slot++)
        queued(mock, slot, 0x60, 64 * slot, 8);
    issue_queued(mock, 0xffffffff);
    for (unsigned slot = 0; slot < 31; slot++) {
        assert_int_equal(mock->disk.ninflight, slot + 1);
        assert_int_equal(get(mock, CI), ~((2u << slot) - 1));
        assert_true(mock->dev.unfinished);
        mock_service(mock);
    }
    assert_int_equal(get(mock, CI), 0);
    while (mock->disk.ninflight)
        mock_disk_complete(mock, 0);
    for (unsigned slot = 0; slot < 32; slot++) {
        mock_service(mock);
        assert_int_equal(get(mock, SACT), slot < 31 ? ~((2u << slot) - 1) : 0);
        assert_sectors(mock, page_of(slot), 64 * slot, 8);
    }
    assert_int_equal(mock->dev.count.requests, 32);

    issue_queued(mock, 0xff); /* the port stops before it has come to most of them */
    put(mock, CMD, FRE);
    finish(mock);
    assert_int_equal(mock->disk.submits[HOST_DISK_READ], 33);
    assert_false(mock->dev.unfinished);
    assert_int_equal(get(mock, CMD) & CR, 0);
    assert_int_equal(get(mock, SACT), 0);
}

/* A list of entries of one byte each: not more of them than 256 are looked at for one request. */
static void tiny_prds(void **state)
{
    struct mock *mock = *state;
    scatter(mock, 0, 7 * 512, 1, 0);
    command(mock, 0, 0x25, 64, 7);
    header(mock, 0, 7 * 512);
    run_ok(mock, 0, DHRS);
    assert_sectors(mock, PAGES, 64, 7);
    assert_int_equal(mock->disk.submits[HOST_DISK_READ], 7);

    scatter(mock, 0, 7 * 512, 4, 0); /* two sectors in 256 of them */
    run_ok(mock, 0, DHRS);
    assert_sectors(mock, PAGES, 64, 7);
    assert_int_equal(mock->disk.submits[HOST_DISK_READ], 7 + 4);
}

static void queued_write_fua(void **state)
{
    struct mock *mock = *state;
    queued(mock, 4, 0x61, 70, 8);
    fill(mock, page_of(4), 4096, 9);
    issue_queued(mock, 1u << 4);
    finish(mock);
    assert_int_equal(acknowledge(mock), SDBS);
    assert_memory_equal(mock->disk.image + 70 * 512, mock_ram(mock, page_of(4), 4096), 4096);
    assert_int_equal(mock->disk.submits[HOST_DISK_FLUSH], 0);
    command_fis(mock, 4)[7] |= 0x80;
    issue_queued(mock, 1u << 4);
    finish(mock);
    assert_int_equal(mock->disk.submits[HOST_DISK_FLUSH], 1);
    assert_int_equal(get(mock, SACT), 0);
}

static void depth_reached(void **state)
{
    struct mock *mock = *state;
    mock->disk.front.depth = 3;
    for (unsigned slot = 0; slot < 10; slot++)
        queued(mock, slot, 0x60, 10 * slot, 4);
    issue_queued(mock, 0x3ff);
    assert_int_equal(mock->disk.ninflight, 3);
    while (mock->disk.ninflight) {
        mock_disk_complete(mock, 0);
        mock_service(mock);
    }
    assert_int_equal(get(mock, SACT), 0);
    assert_int_equal(mock->disk.max_inflight, 3);
    for (unsigned slot = 0; slot < 10; slot++)
        assert_sectors(mock, page_of(slot), 10 * slot, 4);
}

static void read_log(struct mock *mock, uint8_t code, uint8_t address, uint32_t pxis)
{
    simple(mock, 31, code, address, 1);
    run_ok(mock, 31, pxis);
}

static void queued_error(void **state)
{
    struct mock *mock = *state;
    const uint8_t *log = mock_ram(mock, page_of(31), 512);
    uint8_t sum = 0;
    for (unsigned slot = 0; slot < 4; slot++)
        queued(mock, slot, 0x60, 300 + 10 * slot, 4);
    mock->disk.bad_sector = 321;
    issue_queued(mock, 0xf);
    mock_disk_complete(mock, 0); /* slot 0 is good */
    mock_disk_complete(mock, 1); /* slot 2 is not */
    mock_service(mock);
    assert_int_equal(acknowledge(mock), SDBS | TFES);
    assert_int_equal(get(mock, TFD), 0x4051);
    assert_int_equal(get(mock, SACT), 0xe);
    finish(mock); /* the others end without a word */
    assert_int_equal(get(mock, SACT), 0xe);
    assert_false(mock->dev.line);
    restart(mock);
    assert_int_equal(get(mock, SACT), 0);
    read_log(mock, 0x2f, 0x10, PSS);
    for (unsigned i = 0; i < 512; i++)
        sum = (uint8_t)(sum + log[i]);
    assert_int_equal(sum, 0);
    assert_int_equal(log[0], 2);
    assert_int_equal(log[2], 0x51);
    assert_int_equal(log[3], 0x40);
    assert_int_equal(log[4] | log[5] << 8, 320);
    mock->disk.bad_sector = UINT64_MAX;
    issue_queued(mock, 0xe);
    finish(mock);
    assert_int_equal(acknowledge(mock), SDBS);
    assert_int_equal(get(mock, SACT), 0);
}

static void logs(void **state)
{
    struct mock *mock = *state;
    const uint8_t *log = mock_ram(mock, page_of(31), 512);
    read_log(mock, 0x47, 0, DHRS); /* the directory */
    assert_int_equal(word(log, 0), 1);
    assert_int_equal(word(log, 0x10), 1);
    assert_int_equal(word(log, 0x30), 0);
    read_log(mock, 0x47, 0x10, DHRS);
    assert_int_equal(log[0], 0x80); /* no queued command failed */
    simple(mock, 0, 0x2f, 0x30, 1);
    run_error(mock, 0, 0x04);
    simple(mock, 0, 0x2f, 0x10, 2);
    run_error(mock, 0, 0x04);
    simple(mock, 0, 0x2f, 0x0110, 1);
    run_error(mock, 0, 0x04);
    simple(mock, 0, 0x2f, 0x0100000010, 1);
    run_error(mock, 0, 0x04);
}

static void queued_errors_at_issue(void **state)
{
    struct mock *mock = *state;
    queued(mock, 1, 0x60, MOCK_SECTORS - 4, 8);
    issue_queued(mock, 2);
    assert_int_equal(acknowledge(mock), SDBS | TFES);
    assert_int_equal(get(mock, TFD), 0x1051);
    assert_int_equal(get(mock, CI), 0);
    assert_int_equal(get(mock, SACT), 2);
    restart(mock);
    queued(mock, 1, 0x60, 0, 8);
    command_fis(mock, 1)[12] = 5 << 3; /* another tag than its slot */
    issue_queued(mock, 2);
    assert_int_equal(get(mock, TFD), 0x0451);
    restart(mock);
    queued(mock, 1, 0x60, 0, 8); /* an unqueued command among queued ones */
    queued(mock, 2, 0x60, 8, 8);
    simple(mock, 3, 0x25, 16, 8);
    put(mock, SACT, 6);
    put(mock, CI, 0xe);
    assert_int_equal(acknowledge(mock), DHRS | TFES);
    assert_int_equal(get(mock, CI), 8);
    assert_int_equal(get(mock, TFD), 0x0451);
    put(mock, CMD, FRE);
    assert_int_equal(get(mock, CMD) & CR, CR); /* two reads are still on their way */
    finish(mock);
    assert_int_equal(get(mock, CMD) & CR, 0);
    restart(mock);
    read_log(mock, 0x2f, 0x10, PSS);
    assert_int_equal(*(uint8_t *)mock_ram(mock, page_of(31), 1), 0x80);
}

static void queued_zero_is_65536(void **state)
{
    struct mock *mock = *state;
    queued(mock, 0, 0x60, 0, 0);
    issue_queued(mock, 1);
    assert_int_equal(get(mock, TFD), 0x1051);
}

/* --- Errors and resets --- */

static void disk_errors(void **state)
{
    struct mock *mock = *state;
    const uint8_t *fis = mock_ram(mock, FISES + 0x40, 20);
    mock->disk.bad_sector = 505;
    simple(mock, 5, 0x25, 500, 8);
    run_error(mock, 5, 0x40);
    assert_int_equal(fis[2], 0x51);
    assert_int_equal(fis[3], 0x40);
    assert_int_equal(fis[4] | fis[5] << 8, 500);
    simple(mock, 5, 0x20, 500, 8); /* by PIO: a D2H FIS, no PIO Setup */
    run_error(mock, 5, 0x40);
    simple(mock, 6, 0x35, 500, 8);
    run_error(mock, 6, 0x04);
    simple(mock, 7, 0xc8, MOCK_SECTORS, 1);
    run_error(mock, 7, 0x10);
    simple(mock, 7, 0xc4, 0, 1); /* before SET MULTIPLE */
    run_error(mock, 7, 0x04);
    mock->disk.front.read_only = true;
    simple(mock, 8, 0x35, 0, 1);
    run_error(mock, 8, 0x04);
    assert_int_equal(mock->dev.count.requests, 0);
}

/* Commands behind a failed one wait; those behind a slow one too, and then run in order. */
static void one_at_a_time(void **state)
{
    struct mock *mock = *state;
    for (unsigned slot = 0; slot < 4; slot++)
        simple(mock, slot, 0x25, slot, 1);
    put(mock, CI, 0xf);
    for (unsigned slot = 0; slot < 4; slot++) {
        assert_int_equal(mock->disk.ninflight, 1);
        assert_int_equal(get(mock, CI), 0xf & ~((1u << slot) - 1));
        mock_disk_complete(mock, 0);
        mock_service(mock);
    }
    assert_int_equal(get(mock, CI), 0);
    mock->disk.fail_next = -EIO;
    put(mock, CI, 0xf);
    mock_disk_complete(mock, 0);
    mock_service(mock);
    assert_int_equal(get(mock, CI), 0xf);
    assert_int_equal(mock->disk.ninflight, 0);
}

/* ST cleared while the host works: CR says when the memory is free again. */
static void stop_in_flight(void **state)
{
    struct mock *mock = *state;
    queued(mock, 0, 0x60, 10, 8);
    queued(mock, 1, 0x60, 20, 8);
    issue_queued(mock, 3);
    put(mock, CMD, FRE);
    assert_int_equal(get(mock, CMD) & (ST | CR), CR);
    assert_int_equal(get(mock, SACT), 0);
    mock_disk_complete(mock, 0);
    mock_service(mock);
    assert_int_equal(get(mock, CMD) & CR, CR);
    put(mock, CMD, FRE | ST); /* impatient: slot 1 is still busy, and waits for itself */
    queued(mock, 1, 0x60, 30, 8);
    issue_queued(mock, 2);
    assert_int_equal(mock->disk.ninflight, 1);
    finish(mock);
    assert_int_equal(acknowledge(mock), SDBS);
    assert_int_equal(get(mock, SACT), 0);
    assert_sectors(mock, page_of(1), 30, 8);
    assert_int_equal(mock->dev.count.requests, 1);

    simple(mock, 2, 0x25, 40, 8); /* an unqueued one: the device stays busy until it is done */
    put(mock, CI, 4);
    put(mock, CMD, FRE);
    assert_int_equal(get(mock, TFD) & 0x80, 0x80);
    finish(mock);
    assert_int_equal(get(mock, TFD), 0x50);
    assert_int_equal(get(mock, CMD) & CR, 0);
    assert_int_equal(get(mock, PXIS), 0);
    put(mock, CMD, FRE | ST);
    put(mock, CI, 4);
    put(mock, CMD, FRE);
    put(mock, CMD, FRE | CLO);
    assert_int_equal(get(mock, TFD) & 0x88, 0);
    assert_int_equal(get(mock, CMD) & CLO, 0);
    put(mock, CMD, FRE | ST);
    simple(mock, 3, 0x25, 50, 8);
    put(mock, CI, 8);
    finish(mock);
    assert_int_equal(get(mock, CI), 0);
    assert_sectors(mock, page_of(3), 50, 8);
}

/* ST cleared while the host's disk is full: the command never started. */
static void stop_while_waiting(void **state)
{
    struct mock *mock = *state;
    mock->disk.refuse_next = -EAGAIN;
    simple(mock, 2, 0x25, 40, 8);
    put(mock, CI, 4);
    put(mock, CMD, FRE);
    assert_int_equal(get(mock, CMD) & CR, 0);
    assert_int_equal(get(mock, TFD), 0x50);
    mock_service(mock);
    assert_int_equal(mock->disk.ninflight, 0);
    restart(mock);
    run_ok(mock, 2, DHRS);
}

static void comreset_in_flight(void **state)
{
    struct mock *mock = *state;
    uint8_t *page = mock_ram(mock, page_of(1), 4096);
    memset(page, 0xcc, 4096);
    queued(mock, 1, 0x60, 20, 8);
    issue_queued(mock, 2);
    put(mock, CMD, FRE);
    put(mock, SCTL, 1);
    assert_int_equal(mock->disk.ninflight, 0);
    assert_int_equal(get(mock, CMD) & CR, 0);
    put(mock, SCTL, 0);
    mock_service(mock);
    assert_int_equal(page[0], 0xcc);
    assert_int_equal(get(mock, TFD), 0x0150);
    restart(mock);
    issue_queued(mock, 2);
    finish(mock);
    assert_sectors(mock, page_of(1), 20, 8);
}

static void software_reset(void **state)
{
    struct mock *mock = *state;
    uint8_t *fis = command_fis(mock, 0);
    command(mock, 0, 0, 0, 0);
    header(mock, 0, 0);
    *(uint8_t *)mock_ram(mock, LIST + 1, 1) = 0x05; /* R and C: clear busy upon R_OK */
    fis[1] = 0;
    fis[15] = 0x04;
    put(mock, CI, 1);
    assert_int_equal(get(mock, CI), 0);
    *(uint8_t *)mock_ram(mock, LIST + 1, 1) = 0;
    fis[15] = 0;
    memset(mock_ram(mock, FISES, 256), 0, 256);
    put(mock, CI, 1);
    assert_int_equal(get(mock, CI), 0);
    assert_int_equal(get(mock, TFD), 0x0150);
    assert_int_equal(get(mock, SIG), 0x101);
    assert_int_equal(*(uint8_t *)mock_ram(mock, FISES + 0x40, 1), 0x34);
    put(mock, CI, 1); /* again, without SRST before: no reset */
    assert_int_equal(get(mock, CI), 0);
    simple(mock, 0, 0x25, 8, 1);
    run_ok(mock, 0, DHRS);
}

static void attach_resets(void **state)
{
    struct mock *mock = *state;
    queued(mock, 1, 0x60, 20, 8);
    issue_queued(mock, 2);
    assert_int_equal(emulated_ahci.attach(&mock->dev), 0);
    assert_int_equal(mock->disk.ninflight, 0);
    assert_false(mock->dev.line);
    assert_int_equal(get(mock, CLB), 0);
    assert_int_equal(get(mock, CMD), 6);
    start_port(mock);
    simple(mock, 1, 0x25, 8, 1);
    run_ok(mock, 1, DHRS);
}

/* No FIS area: registers alone still work. */
static void without_fre(void **state)
{
    struct mock *mock = *state;
    put(mock, CMD, ST);
    memset(mock_ram(mock, FISES, 256), 0, 256);
    simple(mock, 1, 0x25, 8, 1);
    run_ok(mock, 1, DHRS);
    assert_int_equal(*(uint8_t *)mock_ram(mock, FISES + 0x40, 1), 0);
}

/* --- Hostile --- */

static uint64_t seed = 0x9e3779b97f4a7c15;

static uint64_t wild_address(void)
{
    static const uint64_t bases[] = {LIST,    FISES, TABLES,          PAGES,
                                     NOWHERE, 0,     RAM_END - 0x100, UINT64_MAX - 0x80};
    return bases[mock_random(&seed) % 8] + mock_random(&seed) % 0x400;
}

static void wild_memory(struct mock *mock)
{
    static const uint8_t codes[] = {0x25, 0x35, 0x60, 0x61, 0x60, 0x61, 0xec, 0x2f,
                                    0x06, 0xea, 0x20, 0x30, 0xc8, 0xef, 0x42};
    unsigned slot = mock_random(&seed) % 32;
    uint64_t r = mock_random(&seed);
    uint8_t *fis = command_fis(mock, slot), *head;
    queued(mock, slot, codes[r % sizeof(codes)], (r >> 8) % (MOCK_SECTORS + 8), 1 + (r >> 24) % 40);
    if (codes[r % sizeof(codes)] != 0x60 && codes[r % sizeof(codes)] != 0x61)
        fis[12] = fis[3];
    header(mock, slot, (r >> 32) % 64);
    for (unsigned i = 0; i < 64; i++) {
        uint64_t gpa = (r >> 40) % 16 ? PAGES + mock_random(&seed) % 0x40000 : wild_address();
        prd(mock, slot, i, gpa,
            1 + (uint32_t)mock_random(&seed) % ((r >> 44) % 2 ? 0x600 : 0x400000));
    }
    if ((r >> 48) % 8 == 0)
        fis[mock_random(&seed) % 20] = (uint8_t)mock_random(&seed);
    if ((r >> 52) % 16 == 0) {
        head = mock_ram(mock, LIST + 32 * slot, 32);
        head[mock_random(&seed) % 16] = (uint8_t)mock_random(&seed);
    }
}

static void wild_register(struct mock *mock, uint64_t r)
{
    static const uint32_t offsets[] = {CI,   CI,  CI,   SACT, CMD, CMD, PXIS, IS,
                                       PXIE, GHC, SCTL, SERR, TFD, CLB, FB,   CLBU};
    uint32_t reg = offsets[r % 16], value = (uint32_t)mock_random(&seed);
    uint64_t loaded;
    if ((r >> 8) % 64 == 0)
        reg = (r >> 16) % 0x1000 & ~3u;
    if (reg == CMD)
        value = (r >> 32) % 4 ? FRE | ST : value;
    if (reg == CLB)
        value = (r >> 36) % 8 ? (uint32_t)LIST : (uint32_t)wild_address();
    if (reg == FB)
        value = (r >> 36) % 8 ? (uint32_t)FISES : (uint32_t)wild_address();
    if (reg == CLBU || reg == 0x10c)
        value = (r >> 36) % 64 ? 0 : value;
    if (reg == GHC)
        value &= (r >> 40) % 32 ? 2 : 3;
    if (reg == SCTL)
        value = (r >> 40) % 8 ? 0 : value;
    mock_try_store(mock, reg, (r >> 48) % 16 ? 4 : 8 >> (r >> 52) % 4, value);
    mock_try_load(mock, (r >> 20) % 0x200 & ~7u, 1u << (r >> 30) % 4, &loaded);
}

static void hostile(void **state)
{
    struct mock *mock = *state;
    mock->disk.front.depth = 20;
    for (unsigned i = 0; i < 100000; i++) {
        uint64_t r = mock_random(&seed);
        if (r % 8 == 0)
            wild_memory(mock);
        wild_register(mock, mock_random(&seed));
        if ((r >> 8) % 64 == 0)
            mock->disk.bad_sector = (r >> 32) % MOCK_SECTORS;
        if ((r >> 8) % 64 == 1)
            mock->disk.refuse_next = (r >> 32) % 2 ? -EAGAIN : -EINVAL;
        if ((r >> 16) % 4 == 0 && mock->disk.ninflight)
            mock_disk_complete(mock, (unsigned)(r >> 32) % mock->disk.ninflight);
        if ((r >> 24) % 4 == 0)
            mock_service(mock);
        if ((r >> 40) % 64 == 0) {
            put(mock, CLBU, 0);
            put(mock, FBU, 0);
            put(mock, SCTL, 0);
            start_port(mock);
            restart(mock);
        }
    }
    assert_true(mock->dev.count.requests > 100);
    finish(mock);
    put(mock, GHC, 1);
    put(mock, CLBU, 0);
    put(mock, FBU, 0);
    mock->disk.refuse_next = 0;
    mock->disk.bad_sector = UINT64_MAX;
    start_port(mock);
    simple(mock, 0, 0xec, 0, 1);
    run_ok(mock, 0, PSS);
}

#define RAW(f)  cmocka_unit_test_setup_teardown(f, setup, teardown)
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup_started, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {RAW(hba_registers),
                                              RAW(port_registers),
                                              RAW(start_and_stop),
                                              RAW(signature),
                                              TEST(comreset),
                                              TEST(interrupt_latch),
                                              TEST(hba_reset),
                                              TEST(identify),
                                              TEST(reads),
                                              TEST(writes),
                                              TEST(write_waits),
                                              TEST(lba28),
                                              TEST(immediate_commands),
                                              TEST(native_max),
                                              TEST(flush_and_verify),
                                              TEST(write_cache_off),
                                              TEST(trim),
                                              TEST(adjacent_prds_join),
                                              TEST(many_segments),
                                              TEST(odd_prds),
                                              TEST(in_pieces),
                                              TEST(tiny_prds),
                                              TEST(prd_interrupt),
                                              TEST(spare_prds),
                                              TEST(too_few_prds),
                                              TEST(bad_pointers),
                                              TEST(list_changes_in_use),
                                              TEST(bad_fis),
                                              TEST(all_slots_in_flight),
                                              TEST(queued_write_fua),
                                              TEST(depth_reached),
                                              TEST(queued_error),
                                              TEST(logs),
                                              TEST(queued_errors_at_issue),
                                              TEST(queued_zero_is_65536),
                                              TEST(disk_errors),
                                              TEST(one_at_a_time),
                                              TEST(stop_in_flight),
                                              TEST(stop_while_waiting),
                                              TEST(comreset_in_flight),
                                              TEST(software_reset),
                                              TEST(attach_resets),
                                              TEST(without_fre),
                                              TEST(hostile)};
    return cmocka_run_group_tests_name("emulated/ahci", tests, NULL, NULL);
}
