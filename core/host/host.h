/*
 * The real machine behind tiny structs: what a strategy may use as its host end.
 *
 * All calls return at once; completions and input are announced by calling the owner's
 * strategy->service from the host interrupt path.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct device;

/* Bytes in and out. Implemented by core/host/console.c over the machine's 16550A. */
struct host_console {
    struct device *owner; /* served when there is input, or room again after a short write */

    /* Takes up to len bytes, returns how many were accepted (0 when full). Never blocks. */
    size_t (*write)(struct host_console *console, const uint8_t *bytes, size_t len);

    /* Gives up to len bytes of input that are waiting, returns how many. Never blocks. */
    size_t (*read)(struct host_console *console, uint8_t *bytes, size_t len);
};

enum host_disk_op {
    HOST_DISK_READ,
    HOST_DISK_WRITE,
    HOST_DISK_FLUSH,
    HOST_DISK_DISCARD,      /* sector, count only */
    HOST_DISK_WRITE_ZEROES, /* sector, count only */
};

#define HOST_DISK_SECTOR       512u
#define HOST_DISK_MAX_SEGMENTS 126u /* per request; QEMU's seg_max for its default queue */

/* A piece of memory from vm_ram() (or the VMM's own): the disk reads or writes it in place. */
struct host_segment {
    void *base;
    uint32_t len;
};

/* One request, owned by the caller until host_disk_completed() returns it. */
struct host_disk_request {
    enum host_disk_op op;
    uint64_t sector; /* first sector, in 512-byte units */
    uint32_t count;  /* sectors: DISCARD and WRITE_ZEROES */
    uint32_t nsegments;
    struct host_segment *segments;  /* READ, WRITE: total length is a multiple of 512 */
    bool unmap;                     /* WRITE_ZEROES: may deallocate */
    int status;                     /* when completed: 0, -EIO, -ENOTSUP */
    void *cookie;                   /* the caller's */
    struct host_disk_request *next; /* the driver's */
};

/* Implemented by core/host/disk.c over QEMU's virtio-blk, several requests in flight, zero-copy. */
struct host_disk {
    struct device *owner; /* served when requests have completed */
    uint64_t sectors;     /* capacity in 512-byte sectors */
    bool read_only;
    bool can_discard, can_write_zeroes;
    unsigned depth;  /* requests that may be in flight */
    char serial[21]; /* what GET_ID or IDENTIFY shows; NUL-terminated */

    /* 0: accepted; -EAGAIN: depth reached, try after the next completion; -EINVAL: out of range,
     * bad length or too many segments. The segments array must live until completion. */
    int (*submit)(struct host_disk *disk, struct host_disk_request *request);

    /* Next completed request in order of completion, or null. */
    struct host_disk_request *(*completed)(struct host_disk *disk);

    /* Abandons every request in flight: waits for the device to let go of their memory. After it no
     * completion of an earlier request is returned. For device and VM reset. */
    void (*reset)(struct host_disk *disk);
};

/* A device of the real machine that can be given away: one page-aligned window and an interrupt. */
struct host_window {
    uint64_t hpa, size;
    uintptr_t registers; /* in the direct map; 0 until the device is given away */
    unsigned irq;        /* source on the host's PLIC */
};
