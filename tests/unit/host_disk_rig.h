/*
 * core/host/disk.c between a virtio-blk device and an owner of the test's: what the device has got
 * and when it finishes it, and what the owner submits and is given back.
 */
#pragma once
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "device.h"
#include "host/bounce.h"
#include "host/machine.h"

#define REG_DEVICE_FEATURES 0x010
#define REG_QUEUE_NUM_MAX   0x034

#define REQUESTS 32u /* as many as an owner has under way */

extern struct host host;
extern struct device owner;
extern uint32_t registers[0x200 / 4]; /* the device's */
extern uint64_t now;
extern uint16_t device_seen; /* entries of the available ring that the device has taken */

/* The owner's requests. */
extern struct host_disk_request request[REQUESTS];
extern struct host_segment segment[REQUESTS];
extern uint8_t sector[REQUESTS][HOST_DISK_SECTOR];
extern bool busy[REQUESTS];
extern unsigned submitted, taken;
extern struct host_disk_request *again; /* the owner submits it once more when it is finished */
extern bool interrupts;                 /* the owner interrupts the guest for what it takes, */
extern bool interrupting;               /* and the guest is not through with that */

/* What the core was told that will be written, or is. */
extern const void *written[8];
extern uint64_t written_len[8];
extern unsigned nwritten;

/* All anew, with these ways of the disk left out; setup: with none. */
void start(unsigned ablate);
int setup(void **state);

/* An exit of the guest, in which what costs much may be asked for once or without end. */
void begin_exit(bool ends_soon);

/* The device: what it has and has not finished. It finishes so many; true if that makes an
 * interrupt, which is then for the test to pass on. */
unsigned outstanding(void);
bool finish(unsigned requests);
void interrupt(void);

/* What the core calls of the host's end. */
bool settle(void);
void look(void);
uint64_t next_look(void);
void idle(bool begins);

/* The owner submits one request, or so many reads; it looks at what is finished. */
void submit_as(enum host_disk_op op);
void submit(unsigned requests);
void service(struct device *dev);

/* Whether something finished is held back. */
bool is_held(void);

/* A guest that makes one request after the other, on a disk that is faster. Until the first is
 * held. */
void until_held(void);
