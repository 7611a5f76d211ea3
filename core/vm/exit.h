/*
 * Why the guest stopped: what a handler returns, and what the statistics count by.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define EXIT_STORE 0x80000000u /* in a detail of EXIT_MMIO, EXIT_PLIC, EXIT_BOARD */

/* The detail's meaning is in the comment. */
enum exit_class {
    EXIT_NONE,
    EXIT_CSR, /* CSR number */
    EXIT_SRET,
    EXIT_WFI,         /* and all waiting: in the firmware's calls, and while the guest is paused */
    EXIT_FENCE,       /* sfence.vma: enum fence (vm/engine.h) */
    EXIT_SBI,         /* EXIT_SBI_CALL(EID, FID) */
    EXIT_SYSCALL,     /* ecall from vU */
    EXIT_SHADOW_FILL, /* hidden page fault: cause */
    EXIT_GUEST_FAULT, /* page or access fault that is the guest's own: cause */
    EXIT_MMIO,        /* device index << 16 | register offset (bit 31: store) */
    EXIT_PLIC,        /* register offset >> 2 (bit 31: store) */
    EXIT_BOARD,       /* other windows: enum exit_window << 16 | offset in it (bit 31: store) */
    EXIT_INTERRUPT,   /* host interrupt: 1, 5, 9 */
    EXIT_EXCEPTION,   /* any other exception that is the guest's own: cause */
    EXIT_PATCH,       /* enum exit_patch */
    EXIT_CLASSES,
};

/* What was to be done about code that is patched. */
enum exit_patch {
    EXIT_PATCH_LOAD = 0,       /* a load of patched code was carried out on the original */
    EXIT_PATCH_REPAIRED = 2,   /* a jump into the middle of a patched instruction */
    EXIT_PATCH_RUN_AGAIN = 3,  /* what trapped is no longer there: the guest runs what is */
    EXIT_PATCH_TRAMPOLINE = 4, /* the guest was in a trampoline, or jumped where they are */
    EXIT_PATCH_FLOAT = 5,      /* the FPU is opened */
    EXIT_PATCH_RIGHTS = 6, /* the kernel may use more of the hart than its processes (rights.h) */
};

/* The other windows that answer (core/board/windows.c). */
enum exit_window { EXIT_WINDOW_FINISHER, EXIT_WINDOW_RTC, EXIT_WINDOW_VIRTIO, EXIT_WINDOWS };

/* In one register: enum exit_class << 32 | detail. */
struct exit {
    uint64_t bits;
};

static inline struct exit exit_of(enum exit_class exit_class, uint64_t detail)
{
    return (struct exit){(uint64_t)exit_class << 32 | (uint32_t)detail};
}

static inline enum exit_class exit_class(struct exit exit)
{
    return (enum exit_class)(exit.bits >> 32);
}

static inline uint32_t exit_detail(struct exit exit)
{
    return (uint32_t)exit.bits;
}

/* One number for an SBI call: different for all calls that are known. */
#define EXIT_SBI_CALL(eid, fid) ((uint32_t)(eid) ^ (uint32_t)(fid) << 24)

/* The detail of EXIT_MMIO and EXIT_BOARD: an access to the register at offset of a device, or
 * window. */
static inline uint32_t exit_access_detail(unsigned index, uint64_t offset, bool store)
{
    return (uint32_t)index << 16 | (uint32_t)offset | (store ? EXIT_STORE : 0);
}
