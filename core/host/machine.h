/*
 * What the VMM knows about the machine that it runs on, and its drivers' state.
 *
 * host_probe fills in facts only: host-physical addresses and numbers, no pointer but fdt. It works
 * before paging; the drivers are started one by one when the direct map (core/host/map.h) stands.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/channel.h"
#include "host/console.h"
#include "host/disk.h"
#include "host/ends.h"
#include "host/plic.h"

#define HOST_VIRTIO_SLOTS 32u
#define HOST_ISA_SIZE     1024u

struct host {
    const void *fdt; /* the host's device tree; the caller moves it if the tree moves */

    uint64_t ram_hpa, ram_size;
    uint64_t firmware_end; /* first byte of RAM above what the firmware reserves at its bottom */

    struct host_window uart;                      /* 16550A */
    struct host_window virtio[HOST_VIRTIO_SLOTS]; /* virtio-mmio, by ascending address */
    unsigned virtios;
    struct host_window rtc; /* goldfish; all zero: none */
    struct host_window plic_window;
    unsigned plic_context; /* of the boot hart's S-mode */
    /* Of its M-mode, which no interrupt reaches: the firmware leaves it masked. */
    unsigned plic_machine;
    unsigned plic_sources; /* highest source number */
    uint64_t fwcfg_hpa;    /* 0: none */
    uint64_t finisher_hpa; /* sifive,test1 */

    uint64_t hartid;          /* of the first cpu node */
    uint32_t timebase;        /* ticks of the time CSR per second */
    bool counts_instructions; /* instret does; else it is a clock (host_counts_instructions()) */
    unsigned mmu_levels;      /* 3, 4, 5: Sv39, Sv48, Sv57 */
    char isa[HOST_ISA_SIZE];  /* riscv,isa */
    uint32_t cbom_block, cboz_block, cbop_block; /* bytes; 0: not said */

    struct host_plic plic;
    struct console console;
    struct disk disk;
    struct channel channel;
};

/* Reads the machine's facts from its device tree. 0, or a negative errno with a sentence logged. */
int host_probe(struct host *host, const void *fdt);

/* Whether instret counts retired instructions. Without -icount QEMU's is the computer's clock, and
 * nothing in the device tree says so. Takes some 10,000 instructions. */
bool host_counts_instructions(void);

/* The first virtio-mmio slot that holds a device of this type (virtio specification, section 5), or
 * null. Needs the direct map. */
struct host_window *host_find_virtio(struct host *host, uint32_t device_id);

/* Ends the machine through its finisher: QEMU's exit status is status (0..255). */
_Noreturn void host_power_off(struct host *host, unsigned status);
