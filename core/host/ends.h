/*
 * Host ends: what stands for a part of the real machine, such as its disk or its console. A
 * strategy uses one, and the board gives each its turn without knowing what it is.
 *
 * All calls return at once; completions and input are announced to the owner (struct host_owner)
 * from the host's interrupts.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct device;

/* What the option ABLATE= takes away from the device paths: a set. See docs/devices.md. */
enum ablation {
    /* A completion does not wait for those behind it, nor does a 16550's byte. */
    ABLATE_COALESCE = 1 << 0,
    /* virtio: no EVENT_IDX, and the driver notifies of each request. */
    ABLATE_NOTIFY = 1 << 1,
    /* There is one completion for each interrupt. */
    ABLATE_BATCH = 1 << 2,
    /* The host's disk works on a buffer of the VMM, not on the guest's pages. */
    ABLATE_COPY = 1 << 3,
    /* One request at a time is with the host's disk, and the VMM is busy until it is done. */
    ABLATE_QUEUE = 1 << 4,
};

/* What an end may ask of the device that uses it (core/board/device.c). */
struct host_owner {
    /* There is input, or room again after a short write, or requests have completed: the device's
     * turn. */
    void (*notify)(struct device *owner);
    /* As device_yield (core/device.h). */
    bool (*yield)(struct device *owner);
    /* Is the device's turn put off, because it has yielded? */
    bool (*is_unfinished)(const struct device *owner);
    /* ABLATE_BATCH: has the guest an interrupt of the device before it, or is it still handling
     * one? */
    bool (*is_interrupting)(const struct device *owner);
    /* These bytes, from vm_ram, are about to be written: what the core derived from them is to be
     * forgotten. */
    void (*written)(struct device *owner, const void *bytes, uint64_t len);
};

/* What all ends have in common. A null function means that the end needs none. */
struct host_end {
    struct device *owner; /* null: nobody uses it yet */
    const struct host_owner *calls;
    unsigned ablate; /* enum ablation */
    uint64_t held;   /* how often completions were held back, since the machine was started */

    /* The owner has had its turn: what it submitted is announced, and it is served again as long as
     * there is something for it. To be called after each access to the owner's registers. False:
     * there was nothing to do. */
    bool (*settle)(struct host_end *end);

    /* Ends what has waited long enough. To be called at host interrupts, and when the guest begins
     * to idle. */
    void (*look)(struct host_end *end);

    /* When look() is to be called in any case: in ticks of the time CSR; UINT64_MAX: need not. */
    uint64_t (*next_look)(const struct host_end *end);

    /* The guest begins to idle, or ends it. */
    void (*idle)(struct host_end *end, bool idle);
};

/* Bytes in and out. Implemented by core/host/console.c over the machine's 16550A. */
struct host_console {
    /* Its owner is served when there is input, or room again after a short write. */
    struct host_end end;

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
    struct host_end end; /* its owner is served when requests have completed */
    uint64_t sectors;    /* capacity in 512-byte sectors */
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

struct host;

/* Is a request with a device of the machine that it writes to any of these host-physical bytes for?
 * Also after a reset from which the device did not come back. */
bool host_writes_to(const struct host *host, uint64_t hpa, uint64_t len);
