/*
 * The timeline of a run: one record per exit and per call of a device, in a buffer of fixed size
 * that goes out over the control channel when it is full (scripts/runner/trace.py makes a picture
 * of it).
 *
 * Off, it costs nothing: a run that is traced has another stvec, and its devices have wrapped
 * strategies.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct vm;

enum timeline_kind {
    TIMELINE_EXIT,
    TIMELINE_ACCESS,  /* a device's access function */
    TIMELINE_SERVICE, /* a device's service function */
    TIMELINE_END,     /* begin and guest alone: the exit that ended the run, which has no cost */
};

enum timeline_flag {
    TIMELINE_INJECTED = 1,  /* the guest's trap handler comes next */
    TIMELINE_RETURNED = 2,  /* the guest's handler has ended */
    TIMELINE_FROM_USER = 4, /* with INJECTED: from vU */
    TIMELINE_RESET = 8,     /* the statistics start anew with this exit */
    TIMELINE_STORE = 16,    /* ACCESS */
};

/* As it is sent, little-endian. scripts/runner/trace.py knows this layout. */
struct timeline_record {
    uint64_t begin;        /* instret */
    uint64_t instructions; /* retired from begin to its end */
    uint64_t guest;        /* EXIT, END: retired by the guest before it, since the last one */
    uint64_t pc;           /* EXIT: the guest's */
    uint64_t value;        /* EXIT: the guest's pc after it; ACCESS: what was loaded or stored */
    uint32_t detail;       /* EXIT: as in the statistics; ACCESS: register offset */
    uint8_t kind, flags;
    uint8_t unit;  /* EXIT: enum exit_class; ACCESS, SERVICE: number of the device */
    uint8_t mode;  /* EXIT: enum vmode at the exit, after it << 1; ACCESS: width in bytes */
    uint8_t cause; /* EXIT: of what was injected, bit 7: an interrupt */
    uint8_t irqs;  /* ACCESS, SERVICE: how often it raised its interrupt line */
    uint8_t unused[6];
};

_Static_assert(sizeof(struct timeline_record) == 56, "trace.py knows the size");

/* Begins with up to options.trace records, and takes the buffer from free_hpa on. No trace wanted:
 * does nothing. After the board's devices are made and before they are reset. */
void timeline_start(struct vm *vm, uint64_t *free_hpa);

/* Sends what has been recorded; at the end of a run (finish) also the guest's last instructions. */
void timeline_send(struct vm *vm);
void timeline_finish(struct vm *vm);

/* The reader has taken what was sent: its command `traced`. */
void timeline_heard(struct vm *vm);
