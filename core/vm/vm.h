/*
 * One virtual machine: vcpus, guest RAM, windows, devices. All state is reached from here; nothing
 * is global.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "device.h"
#include "vm/stats.h"
#include "vm/vcpu.h"
#include "vm/window.h"

struct board;
struct engine;
struct host;
struct control;
struct timeline;

enum patch_level { PATCH_OFF, PATCH_ECALL, PATCH_CLUSTER, PATCH_INLINE };

/* How a device is given to the guest. */
enum device_way { WAY_EMULATED, WAY_VIRTIO, WAY_PASSTHROUGH };

/* What the guest's board has a device for, if the machine has what
 * it needs (core/board/board.c). */
#define VM_ROLES 2u

/* opt/org.trident/options of QEMU's fw_cfg. */
struct vm_options {
    uint64_t mem;                  /* bytes of guest RAM */
    enum device_way way[VM_ROLES]; /* by role */
    unsigned model[VM_ROLES];      /* which of the emulated devices of the role: 0, 1, ... */
    unsigned plic;                 /* row of the interrupt controller (core/board/board.c) */
    enum patch_level patch;
    unsigned ablate; /* enum ablation (host/ends.h) */
    unsigned shadow; /* set of the engine's switches (engine/trap/shadow.h): what is on */
    bool eager;      /* PATCH=inline: each site gets a trampoline at once, for tests
                        (engine/trap/inline.h) */
    bool times;      /* the time of every exit is taken (struct vm.timed) */
    bool watch;      /* passed-through registers trap and are counted, then passed on */
    uint64_t trace;  /* records of the run's timeline (observe/timeline.h); 0: none */
};

#define VM_VCPUS   1u
#define VM_DEVICES 2u
#define VM_WINDOWS 24u

_Static_assert(VM_WINDOWS <= 32, "struct vm.covered has a bit for each window");
_Static_assert(VM_DEVICES <= STATS_DEVICES, "STATS_DEVICES (vm/stats.h)");

/* Guest RAM: VM 0 has gpa == hpa. The firmware below `first` is no RAM to the guest. */
struct vm_ram_range {
    uint64_t gpa, size;  /* what the device tree says */
    uint64_t first;      /* first gpa that the guest may touch (above the host's firmware) */
    uint64_t hpa_offset; /* hpa = gpa + hpa_offset */
};

/* What an exit may ask of the board, whose code lies above this layer (core/board/board.c). */
struct vm_board {
    /* A host interrupt was handled: devices whose work has waited have their turn. */
    void (*poll)(struct vm *vm);
    /* The hart has woken while the guest waits: what was put off to a time that has come. */
    void (*wake)(struct vm *vm);
    /* The guest begins to idle (and then poll()'s work is done once more), or is
     * through with it. */
    void (*idle)(struct vm *vm, bool idle);
    /* The guest goes on itself: devices that have put something off (io->more) have their turn. */
    void (*settle)(struct vm *vm);
    /* Is the vcpu's external interrupt, which is pending, still so? Null: the board knows without
     * looking. */
    void (*follow)(struct vm *vm);
    /* An ecall of the guest's kernel; pc is already past it. */
    struct exit (*call)(struct vcpu *vcpu);
};

enum vm_end { VM_POWEROFF, VM_REBOOT };

/* First what each exit needs: it stays in reach of short offsets. */
struct vm {
    void *engine_state; /* the engine's own */
    const struct engine *engine;
    const struct vm_board *calls;
    struct board *board; /* the board's own */
    struct host *host;
    struct control *control;   /* the control channel's (observe/control.h) */
    struct timeline *timeline; /* null: the run is not recorded */
    bool paused;
    bool timed;       /* each exit is to be timed: asked for at the start, or since */
    bool has_put_off; /* a device has put something off until calls->settle() */
    struct vcpu *vcpus[VM_VCPUS];
    struct vm_options options;
    struct vm_ram_range ram;
    unsigned mmu_levels; /* of the guest's page tables at most: 3 (Sv39), 4 (Sv48) */

    const struct window *recent; /* the window that was accessed last, if none covers it; or null */
    unsigned windows;
    uint32_t covered; /* by window: one in front of it answers for a part of its addresses */
    struct window window[VM_WINDOWS];
    unsigned devices;
    struct device device[VM_DEVICES];

    /* Ends the VM: prints nothing on the guest's console, sends the statistics through the control
     * channel, and powers the machine off with status (0..255), or resets the VM. */
    void (*end)(struct vm *vm, enum vm_end end, unsigned status);
    /* The guest's call for a report with this label, made at the instruction before the vcpu's pc.
     * False: it is to be made again, since the report is not all written. */
    bool (*mark)(struct vm *vm, int label);

    struct stats stats;
};

/* Does not return to the caller's guest instruction. */
static inline _Noreturn void vm_end(struct vm *vm, enum vm_end end, unsigned status)
{
    vm->end(vm, end, status);
    __builtin_unreachable();
}

/* Whether gpa is RAM that the guest may touch. */
static inline bool vm_is_ram(const struct vm *vm, uint64_t gpa)
{
    return gpa >= vm->ram.first && gpa < vm->ram.gpa + vm->ram.size;
}

/* The window that holds gpa, or null. */
static inline const struct window *vm_window_at(struct vm *vm, uint64_t gpa)
{
    const struct window *recent = vm->recent;
    return recent && window_holds(recent, gpa) ? recent : window_at(vm, gpa);
}

/* As vm_ram_for_write (device.h), for bytes that vm_ram has given. Bytes that are not guest RAM are
 * the VMM's own: nothing is done. */
void vm_ram_written(struct vm *vm, const void *bytes, uint64_t len);
