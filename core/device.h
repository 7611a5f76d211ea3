/*
 * The one seam between the VMM core and the three strategies.
 *
 * A strategy is three functions. It never sees the instruction, rd, sepc, sign extension or a guest
 * virtual address: the core decodes an access once and hands over a value.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct host_end;
struct vm;
struct device;

/* One guest load or store inside a device window, already decoded. */
struct mmio {
    uint64_t offset; /* from the start of the window; aligned to width by the core */
    uint64_t value;  /* store: what the guest wrote, zero-extended; load: what it will read */
    uint8_t width;   /* 1, 2, 4 or 8 bytes */
    bool store;
    /* The VMM itself carries out the guest's next instructions: others may follow at once. */
    bool more;
    /* Set by the device, if more: its service is to be called before the guest goes on. */
    bool put_off;
};

/* One cell of the device's node in the guest's device tree, besides compatible, reg, interrupts. */
struct device_property {
    const char *name; /* null ends the list */
    uint32_t value;
};

/* What a register of a window is called, for statistics and traces. A window's list ends with two
 * nulls. */
struct device_register {
    uint32_t offset;          /* in the window */
    const char *load, *store; /* two names, the same twice, or null: not for that */
    uint16_t count, width;    /* not 0: so many of so many bytes, called NAME[0], NAME[1], ... */
};

/* How one device is given to the guest. A null function means "cannot happen here". */
struct strategy {
    const char *name;       /* folder and file, as in options and reports: "emulated/uart" */
    const char *compatible; /* for the guest's device tree: "ns16550a" */
    const char *node;       /* device tree node name without the unit address: "serial" */
    const struct device_property *properties; /* may be null */
    const struct device_register *registers;  /* may be null */
    uint64_t size;     /* of the register window in bytes; a multiple of the page size */
    size_t state_size; /* bytes of device state: plain data, allocated zeroed by the core */

    /* Reset; map host pages and route the host interrupt if this strategy owns any.
     * Also called again when the VM is reset. 0, or a negative errno with a sentence logged. */
    int (*attach)(struct device *dev);

    /* Carry out one trapped access. False raises an access fault in the guest. */
    bool (*access)(struct device *dev, struct mmio *io);

    /* The host end has input, has room again, or has completed requests: move them to the guest.
     * Never spins; may be called when there is nothing to do. */
    void (*service)(struct device *dev);
};

/* What the statistics say about one device. Loads, stores and irqs are counted by the core. */
struct device_count {
    uint64_t loads, stores; /* trapped register accesses */
    uint64_t irqs;          /* rising edges of the interrupt line */
    uint64_t notifications; /* "work for you" signals: queue notify, command issue, THR store */
    uint64_t requests;      /* completed: transfers, or buffers of a console */
    uint64_t bytes;         /* payload moved, both directions */
};

/* One row of the guest's board (core/board/board.c). A swap changes .strategy and .host. */
struct device {
    const struct strategy *strategy;
    const char *name;     /* of its role: "uart" ... */
    uint64_t base;        /* of the window, guest-physical, page-aligned */
    unsigned irq;         /* source on the guest's PLIC */
    void *host;           /* what stands behind it: struct host_console, host_disk or host_window */
    struct host_end *end; /* the same as the board sees it (host/ends.h); null for a host_window */
    void *state;          /* private to the strategy, state_size bytes */
    struct vm *vm;
    bool line;       /* current level of the interrupt line */
    bool unasked;    /* the guest may have work and was told not to say so: serve before it idles */
    bool put_off;    /* serve before the guest goes on */
    bool unfinished; /* stopped in the middle of its work: serve again soon */
    struct device_count count;
};

/* --- Called by a strategy: all it may ask of the core --- */

/* Drives the device's vPLIC line. Each call with true makes the source pending, also if the line is
 * high already and while the guest handles an earlier interrupt, as QEMU's PLIC does: call it when
 * there is something new to say, or still something when the driver has dealt with a part, and not
 * at every access. Only an edge is counted. */
void device_set_irq(struct device *dev, bool level);

/* To be asked between two pieces of work of which the guest can make many. True: this exit has cost
 * enough. The device remembers where it is and returns; its service is called again soon, when the
 * guest, interrupts and the control channel have had their turn. No piece may cost more than some
 * 100,000 instructions. */
bool device_yield(struct device *dev);

/* Checked pointer to guest RAM: null unless all of [gpa, gpa+len) is guest RAM (len 0: null).
 * The bytes may be changed by the guest at any time: copy before validating. */
void *vm_ram(struct vm *vm, uint64_t gpa, uint64_t len);

/* As vm_ram, for a range that the caller is about to write itself, before the guest goes on: also
 * makes the core forget what it derived from those bytes (patched code). What a device of the
 * machine writes, at a time of its own, is the concern of its driver (core/host). */
void *vm_ram_for_write(struct vm *vm, uint64_t gpa, uint64_t len);

/* Maps [hpa, hpa+size) at gpa into the guest, uncounted and untrapped. 0 or a negative errno. */
int vm_map(struct vm *vm, uint64_t gpa, uint64_t hpa, uint64_t size);

/* Routes a host interrupt to the device's line; it is completed on the host when the guest
 * completes it on the vPLIC. 0 or a negative errno. */
int vm_route_irq(struct device *dev, unsigned host_irq);
