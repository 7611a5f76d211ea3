/*
 * The emulated AHCI disk: its registers, how a port starts and stops, and every kind of reset, with
 * commands in flight too.
 */
#include "ahci_guest.h"

#include <errno.h>

#include "devices/emulated/emulated.h"

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

/* --- Stops and resets with commands in flight --- */

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

int main(void)
{
    static const struct CMUnitTest tests[] = {
        RAW(hba_registers),       RAW(port_registers),  RAW(start_and_stop),
        RAW(signature),           TEST(comreset),       TEST(interrupt_latch),
        TEST(hba_reset),          TEST(stop_in_flight), TEST(stop_while_waiting),
        TEST(comreset_in_flight), TEST(software_reset), TEST(attach_resets),
        TEST(without_fre),
    };
    return cmocka_run_group_tests_name("emulated/ahci", tests, NULL, NULL);
}
