/*
 * The trap-and-emulate engine behind the seam: set-up, reset, and what the rest of the VMM asks of
 * it.
 *
 * Surprise: all that it keeps can be made anew from the guest's own state. Only the registers may
 * hold something of its own, and sync() takes that back.
 */
#include "engine/trap/engine.h"

#include <errno.h>
#include <string.h>

#include "engine/trap/ahead.h"
#include "engine/trap/brief.h"
#include "engine/trap/inline.h"
#include "engine/trap/patch.h"
#include "engine/trap/rights.h"
#include "engine/trap/shadow.h"
#include "engine/trap/site.h"
#include "engine/trap/trap.h"
#include "host/hart.h"
#include "host/map.h"
#include "vm/vm.h"

/* --- Set-up and reset --- */

/* Cuts whole pages from the memory for one struct; zeroed. */
static void *cut(const struct engine_memory *memory, uint64_t *used, uint64_t bytes)
{
    void *place = (uint8_t *)memory->base + *used;
    memset(place, 0, bytes);
    *used += (bytes + PAGE_MASK) & ~PAGE_MASK;
    return place;
}

static uint64_t init(struct vm *vm, const struct engine_memory *memory)
{
    bool inlines = vm->options.patch == PATCH_INLINE;
    uint64_t used = 0, fixed = 0;
    struct inlined *inlined = cut(memory, &used, inlines ? VM_VCPUS * sizeof(*inlined) : 0);
    struct inline_code *code = cut(memory, &used, inlines ? sizeof(*code) : 0);
    fixed = used;
    for (unsigned i = 0; i < VM_VCPUS; i++) {
        struct trap_vcpu *own = cut(memory, &used, sizeof(*own));
        own->ahead = cut(memory, &used, sizeof(*own->ahead));
        own->site = cut(memory, &used, SITES * sizeof(*own->site));
        own->sstatus = SSTATUS_SPIE | SSTATUS_UXL_64;
        own->fault_gva = SHADOW_NO_FAULT;
        if (inlines) {
            own->inlined = &inlined[i];
            own->inlined->code = code;
            vm->vcpus[i]->borrowed = true;
        }
        vm->vcpus[i]->engine = own;
    }
    shadow_init(vm, memory, &used);
    struct shadow *shadow = shadow_of(vm);
    shadow->fixed_hpa = map_pointer_hpa(memory->base);
    shadow->fixed_size = fixed;
    shadow->inline_code = inlines ? code : NULL;
    return used;
}

static void reset(struct vm *vm)
{
    shadow_reset(vm);
    patch_reset(vm);
    for (unsigned i = 0; i < VM_VCPUS; i++) {
        struct vcpu *vcpu = vm->vcpus[i];
        struct trap_vcpu *own = trap_of(vcpu);
        memset(own->ahead, 0, sizeof(*own->ahead));
        memset(own->site, 0, SITES * sizeof(*own->site));
        own->fault_gva = SHADOW_NO_FAULT;
        inline_reset(vcpu);
        brief_start(vcpu);
        rights_reset(vcpu);
    }
}

static _Noreturn void run(struct vcpu *vcpu)
{
    if (trap_of(vcpu)->brief)
        csr_write(CSR_STVEC, (uint64_t)trap_brief_entry);
    vcpu->changed |= VCPU_VIEW;
    trap_prepare(vcpu);
    inline_push(vcpu);
    vcpu->hart->end_instret = csr_read(CSR_INSTRET); /* the guest's instructions count from here */
    trap_return(vcpu);
}

/* --- What is asked of it --- */

static void sync(struct vcpu *vcpu)
{
    inline_restore(vcpu);
}

/* A fence's cost is not that of one instruction: it may end what the exit goes on with. */
static void fence(struct vcpu *vcpu, unsigned by, uint64_t gva, uint64_t asid)
{
    inline_note_fence(vcpu, by, gva);
    shadow_fence(vcpu, by, gva, asid);
    if (hart_is_spent())
        vcpu->changed |= VCPU_INTERRUPTS;
}

_Static_assert(
    VM_DEVICES + 1 <= SHADOW_MAPPINGS,
    "SHADOW_MAPPINGS (engine/trap/shadow.h): every device passed through, and the PLIC's page");

static int map(struct vm *vm, uint64_t gpa, uint64_t hpa, uint64_t size)
{
    for (unsigned i = 0; i < SHADOW_MAPPINGS; i++) {
        struct shadow_mapping *mapping = &shadow_of(vm)->mapping[i];
        if (mapping->size && mapping->gpa != gpa)
            continue;
        *mapping = (struct shadow_mapping){gpa, hpa, size};
        return 0;
    }
    return -ENOSPC;
}

static void expect_dma(struct vm *vm)
{
    shadow_of(vm)->unseen_writes = true;
}

const struct engine trap_engine = {
    .name = "trap",
    .init = init,
    .reset = reset,
    .run = run,
    .sync = sync,
    .fence = fence,
    .ram_written = patch_drop_range,
    .map = map,
    .expect_dma = expect_dma,
};
