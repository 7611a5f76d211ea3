/*
 * One virtual machine: vcpu, guest RAM, board. All state is reached from here; nothing is global.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "board/rtc.h"
#include "board/vplic.h"
#include "vm/vcpu.h"
#include "device.h"
#include "host/plic.h"
#include "vm/stats.h"

struct host;
struct shadow;
struct trace;

enum patch_level { PATCH_OFF, PATCH_ECALL, PATCH_CLUSTER, PATCH_INLINE };
enum device_way { WAY_EMULATED, WAY_VIRTIO, WAY_PASSTHROUGH };
enum disk_model { DISK_AHCI, DISK_ATA };

/* opt/org.trident/options of QEMU's fw_cfg. */
struct vm_options {
    uint64_t mem; /* bytes of guest RAM */
    enum device_way uart, disk;
    enum disk_model disk_model;
    enum patch_level patch;
    bool plic_mapped; /* the host's PLIC context belongs to the guest */
    unsigned ablate;  /* enum ablation (device.h) */
    unsigned shadow;  /* enum shadow_switch: what is on */
    bool
        eager; /* PATCH=inline: each site gets a trampoline at once, for tests (engine/trap/inline.h) */
    bool watch;     /* passed-through registers trap and are counted, then passed on */
    uint64_t trace; /* records of the run's timeline (trace.h); 0: none */
};

#define VM_DEVICES 2u /* uart, disk */
_Static_assert(VM_DEVICES <= STATS_DEVICES, "STATS_DEVICES (stats.h)");

_Static_assert(VPLIC_SOURCES <= HOST_IRQS, "struct vm.plic_sources has a bit for each");

/* Guest RAM: VM 0 has gpa == hpa. The firmware below reserved_end is no RAM to the guest. */
struct vm_ram_range {
    uint64_t gpa, size;  /* what the device tree says */
    uint64_t first;      /* first gpa that the guest may touch (above the host's firmware) */
    uint64_t hpa_offset; /* hpa = gpa + hpa_offset */
};

/* First what each trap needs: it stays in reach of short offsets. */
struct vm {
    struct shadow *shadow;
    struct host *host;
    struct trace *trace; /* null: the run is not traced */
    bool paused;
    bool runs_ahead; /* the VMM carries out the guest's instructions: board_settle() follows */
    bool deferred;   /* a device has put something off until then */
    bool
        sbi_returned; /* UART=passthrough: the SBI console has written a line feed's carriage return */
    struct vm_options options;
    struct vm_ram_range ram;
    struct stats stats;
    struct vcpu vcpu; /* one hart today; the devices and the memory do not assume it */
    struct vplic plic;
    uint32_t plic_sources[HOST_IRQS / 32]; /* PLIC=mapped: those that are the guest's */
    struct rtc rtc;
    unsigned routed[VPLIC_SOURCES]; /* host source behind a guest source, 0 = none */
    struct device device[VM_DEVICES];
    unsigned devices;
    uint64_t
        plic_look_time; /* PLIC=mapped: when the VMM's own sources are looked at, whatever the guest does */
    uint64_t resume_time;  /* when unfinished devices go on; UINT64_MAX: there is none */
    struct device *recent; /* the one that was accessed last, or null */
    struct stats_report report;
};

enum vm_end { VM_POWEROFF, VM_REBOOT };

/* Ends the VM: prints nothing on the guest's console, sends the statistics through the control channel,
 * and powers the machine off with status (0..255), or resets the VM. Does not return to the caller's
 * guest instruction. */
_Noreturn void vm_end(struct vm *vm, enum vm_end end, unsigned status);
