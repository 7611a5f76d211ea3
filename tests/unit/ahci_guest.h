/*
 * The AHCI driver of the tests of devices/emulated/disk: a command list, received FISes and a
 * command table for each slot in the guest's RAM, and what a driver does with the registers. The
 * pieces are written one by one, so that a test can write bad ones.
 */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "mock.h"

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

/* A test of a disk as it comes up; of one whose port has been started. */
#define RAW(f)  cmocka_unit_test_setup_teardown(f, setup, teardown)
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup_started, teardown)

int setup(void **state);
int setup_started(void **state);
int teardown(void **state);

/* One register, of 32 bits. */
uint32_t get(struct mock *mock, unsigned reg);
void put(struct mock *mock, unsigned reg, uint32_t value);

/* The port with its list and FIS area, all interrupts enabled; again after an error. */
void start_port(struct mock *mock);
void restart(struct mock *mock);

/* What a slot consists of: the command header, an entry of the PRD list, the command's FIS. */
void header(struct mock *mock, unsigned slot, unsigned prds);
void prd(struct mock *mock, unsigned slot, unsigned index, uint64_t gpa, uint32_t len);
uint8_t *command_fis(struct mock *mock, unsigned slot);
void command(struct mock *mock, unsigned slot, uint8_t code, uint64_t lba, uint16_t count);

/* A whole slot: a command of one PRD, at the slot's own page; the same for a queued command, whose
 * tag is its slot. */
uint64_t page_of(unsigned slot);
void simple(struct mock *mock, unsigned slot, uint8_t code, uint64_t lba, uint16_t count);
void queued(struct mock *mock, unsigned slot, uint8_t code, uint64_t lba, uint16_t count);

/* The device gets these queued slots. */
void issue_queued(struct mock *mock, uint32_t slots);

/* The host's disk completes all that is in flight. */
void finish(struct mock *mock);

/* As a driver's interrupt handler: what happened, and acknowledged. */
uint32_t acknowledge(struct mock *mock);

/* A slot from its issue to its end: with this in PxIS; with this in the error register, and the
 * port started again. */
void run_ok(struct mock *mock, unsigned slot, uint32_t expected);
void run_error(struct mock *mock, unsigned slot, uint8_t error);

/* The guest's memory holds what the disk held at first; it is filled with something else. */
void assert_sectors(struct mock *mock, uint64_t gpa, uint64_t sector, unsigned count);
void fill(struct mock *mock, uint64_t gpa, unsigned len, uint8_t seed);

/* A 16-bit word of what IDENTIFY or a log has brought. */
uint16_t word(const uint8_t *data, unsigned index);
