/*
 * The device's side of one split virtqueue in guest RAM: virtio 1.2, section 2.7.
 *
 * Nothing that the guest wrote is trusted. A ring that breaks a rule of the specification is
 * reported once as RING_BROKEN; the caller must then leave it alone until the guest resets it.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct vm;

#define RING_MAX_NUM      1024u /* largest queue that we offer (QueueNumMax): QEMU's */
#define RING_MAX_SEGMENTS 128u  /* longest chain that we accept: header, 126 of data, status */

/* When the driver is asked to notify. */
enum ring_ask {
    RING_ASKS_WHEN_EMPTY, /* when all that it had made available was taken */
    RING_ASKS_NEVER,      /* the device will look again by itself */
    RING_ASKS_ALWAYS,     /* of every chain */
};

/* Plain data, zero when the queue is not in use. The first five are the driver's choice. */
struct ring {
    uint64_t desc_gpa;   /* descriptor table: num * 16 bytes, 16-byte aligned */
    uint64_t driver_gpa; /* available ring: 6 + num * 2 bytes, 2-byte aligned */
    uint64_t device_gpa; /* used ring: 6 + num * 8 bytes, 4-byte aligned */
    uint32_t num;        /* descriptors: a power of two, or 0 when not chosen */
    bool ready;
    bool indirect, event_idx; /* negotiated */
    uint8_t asks;             /* enum ring_ask: set by the device, any time */
    bool listening;           /* the driver has been asked to notify */
    uint16_t next_avail;      /* first entry of the available ring that we have not taken */
    uint16_t next_used;       /* used->idx as we wrote it last */
    uint16_t asked_used;      /* next_used when ring_wants_interrupt() was asked last */
};

/* A piece of one buffer: all of it was guest RAM when the chain was taken. */
struct ring_segment {
    uint64_t gpa;
    uint8_t *ram; /* the same bytes, as vm_ram() gives them */
    uint32_t len; /* bytes, never 0 */
};

/* One buffer of the driver: the segments that the device reads come first, then those it writes. */
struct ring_chain {
    uint16_t head;                           /* names the chain in ring_push() */
    uint16_t readable, writable;             /* number of segments */
    uint32_t readable_bytes, writable_bytes; /* their sum is below 2^32 */
    struct ring_segment segment[RING_MAX_SEGMENTS];
};

enum ring_result { RING_EMPTY, RING_CHAIN, RING_BROKEN };

/* Starts a queue from its first entry, with num and the three addresses set. False: num is no power
 * of two up to RING_MAX_NUM, or an area is misaligned or not all guest RAM. */
bool ring_start(struct vm *vm, struct ring *ring, bool indirect, bool event_idx);

/* Takes the next available chain. Also steers the driver's notifications (2.7.7, 2.7.10), unless
 * ring->asks says otherwise: after RING_CHAIN it need not notify, after RING_EMPTY it will. So a
 * caller that stops early, because it is full, is left in peace, and one that goes on to RING_EMPTY
 * misses nothing. */
enum ring_result ring_pop(struct vm *vm, struct ring *ring, struct ring_chain *chain);

/* Gives a chain back; written bytes at the front of its writable part are new (2.7.8). */
enum ring_result ring_push(struct vm *vm, struct ring *ring, uint16_t head, uint32_t written);

/* Does the driver want an interrupt for what was pushed since the last call (2.7.7)? */
bool ring_wants_interrupt(struct vm *vm, struct ring *ring);
