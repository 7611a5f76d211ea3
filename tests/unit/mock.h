/*
 * A board of one device for unit tests: the seam of core/device.h and the host ends of
 * core/host/ends.h without a machine behind them. Link mock.c with the strategy under test and a
 * cmocka program.
 *
 *     struct mock *mock = mock_new_console(&emulated_uart);
 *     mock_store(mock, 0, 1, 'x');
 *     mock_service(mock);
 *     mock_free(mock);
 *
 * Guest RAM and the disk image live in malloc'ed blocks of exact size, so that the address
 * sanitizer sees one byte too many. Nothing completes by itself: a test says when, in which order
 * and how.
 */
#pragma once
#include "core/device.h"
#include "core/host/ends.h"

#define MOCK_RAM_BASE     0x80000000ull
#define MOCK_RAM_SIZE     (4u << 20)
#define MOCK_SECTORS      4096u
#define MOCK_CONSOLE_SIZE 65536u

struct vm {
    uint8_t *ram;           /* MOCK_RAM_SIZE bytes, guest-physical MOCK_RAM_BASE */
    unsigned writable_asks; /* calls of vm_ram_for_write that succeeded */
    unsigned maps;          /* calls of vm_map, with the last one's arguments */
    uint64_t map_gpa, map_hpa, map_size;
    unsigned routes; /* calls of vm_route_irq, with the last one's argument */
    unsigned route_irq;
    unsigned yield_after; /* device_yield says yes at each so many-th question; 0: never */
    unsigned asked;       /* so many questions since it did last */
    bool runs_ahead;      /* io->more of each access; a test ends that with mock_settle */
};

struct mock_disk {
    struct host_disk front; /* what the device is given: a test may change .sectors, .depth ... */
    uint8_t *image;         /* MOCK_SECTORS sectors; byte b of sector s is initially s * 7 + b */
    bool immediate;         /* complete at submit; the test still has to call mock_service */
    uint64_t bad_sector;    /* a READ or WRITE that touches it ends with -EIO; UINT64_MAX: none */
    int fail_next;          /* non-zero: status of the next completion, then cleared */
    int refuse_next;        /* non-zero: what the next submit returns, then cleared */

    struct host_disk_request *inflight, *done;    /* lists in order of submission, of completion */
    unsigned ninflight, max_inflight;             /* now, and the most there ever were */
    unsigned submits[HOST_DISK_WRITE_ZEROES + 1]; /* accepted, by enum host_disk_op */
    unsigned refusals;                            /* -EAGAIN and -EINVAL answers */
    unsigned invalid;                             /* of those, -EINVAL by this mock's own checks */
    unsigned resets;
    uint32_t last_nsegments; /* of the last accepted request */
};

struct mock_console {
    struct host_console front;
    size_t room;                       /* bytes that write still accepts; SIZE_MAX: all */
    unsigned writes;                   /* calls of write that took something */
    uint8_t output[MOCK_CONSOLE_SIZE]; /* what the device wrote */
    size_t noutput;
    uint8_t input[MOCK_CONSOLE_SIZE]; /* what waits for the device, from .input_taken */
    size_t ninput, input_taken;
};

struct mock {
    struct vm vm;
    struct device dev;
    struct mock_disk disk;
    struct mock_console console;
    unsigned edges;    /* rising edges of the interrupt line (also in dev.count.irqs) */
    unsigned asserted; /* how often it was made, or kept, high: each makes the source pending */
};

/* A board whose device is attached with the disk or the console as its host end. */
struct mock *mock_new_disk(const struct strategy *strategy);
struct mock *mock_new_console(const struct strategy *strategy);
void mock_free(struct mock *mock);

/* One register access through device_access; false: the device raised an access fault. */
bool mock_try_load(struct mock *mock, uint64_t offset, unsigned width, uint64_t *value);
bool mock_try_store(struct mock *mock, uint64_t offset, unsigned width, uint64_t value);

/* The same, and the test fails if the device raises an access fault. */
uint64_t mock_load(struct mock *mock, uint64_t offset, unsigned width);
void mock_store(struct mock *mock, uint64_t offset, unsigned width, uint64_t value);

/* What the core does when the host end announces something. */
void mock_service(struct mock *mock);

/* What it does before the guest goes on, when it was not the guest that executed the accesses. */
void mock_settle(struct mock *mock);

/* Guest RAM as the guest sees it; the test fails if the range is not all RAM. */
void *mock_ram(struct mock *mock, uint64_t gpa, uint64_t len);

/* Carries out the nth request in flight (0 = oldest) and moves it to the done list.
 * mock_disk_finish does so with all, oldest first, and calls mock_service until nothing is left. */
void mock_disk_complete(struct mock *mock, unsigned nth);
void mock_disk_finish(struct mock *mock);

/* Initial contents: byte index of a sector. */
uint8_t mock_disk_pattern(uint64_t sector, unsigned index);

/* Appends input for the device; it is offered at the next mock_service (or read by the device). */
void mock_console_type(struct mock *mock, const void *bytes, size_t len);

/* xorshift64: repeatable noise for the hostile loops. State must not be 0. */
uint64_t mock_random(uint64_t *state);
