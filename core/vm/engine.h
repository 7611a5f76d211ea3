/*
 * The seam between what the guest can see of a hart (struct vcpu) and how its instructions are
 * carried out.
 *
 * An engine runs guest code: engine/trap runs it on the real hart, deprivileged in U-mode, with
 * shadow page tables. It uses vm/ as it likes; vm/ and board/ reach it through this table alone.
 * What the guest changes of itself the engine reads from vcpu->changed before it goes on with the
 * guest.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct vcpu;
struct vm;

/* Memory for what an engine keeps, and the VMM's own place in every address space. */
struct engine_memory {
    void *base; /* in the direct map */
    uint64_t size;
    uint64_t satp;      /* of a root with the VMM alone */
    uint64_t map_entry; /* root entry MAP_ROOT_SLOT of every root */
};

/* What a fence names (privileged specification, "Supervisor Memory-Management Fence Instruction"):
 * a set. */
enum fence {
    FENCE_ALL = 0,
    FENCE_ADDRESS = 1, /* rs1 is not x0 */
    FENCE_ASID = 2,    /* rs2 is not x0 */
};

struct engine {
    const char *name;

    /* Once, before all else: vm->engine_state and each vcpu->engine are made. Returns the bytes
     * that are used up, of the memory's begin, however large the guest is. */
    uint64_t (*init)(struct vm *vm, const struct engine_memory *memory);

    /* Everything derived from the guest's state and memory is forgotten: the VM is reset. The vcpu
     * is in vS with paging off. */
    void (*reset)(struct vm *vm);

    /* Enters the guest; does not return. */
    void (*run)(struct vcpu *vcpu);

    /* Before a trap is injected in vS, if vcpu->borrowed: the registers become what the guest's own
     * instructions have made of them. */
    void (*sync)(struct vcpu *vcpu);

    /* SFENCE.VMA: the guest's page tables have changed, and it wants that to be seen. by: enum
     * fence. */
    void (*fence)(struct vcpu *vcpu, unsigned by, uint64_t gva, uint64_t asid);

    /* The VMM or a device has written, or is about to write, guest RAM in [gpa, gpa+len). */
    void (*ram_written)(struct vm *vm, uint64_t gpa, uint64_t len);

    /* Maps [hpa, hpa+size) at gpa, for the guest's own use. 0, or -ENOSPC. */
    int (*map)(struct vm *vm, uint64_t gpa, uint64_t hpa, uint64_t size);

    /* A device masters the bus by itself: what it writes is not announced by ram_written(). */
    void (*expect_dma)(struct vm *vm);
};
