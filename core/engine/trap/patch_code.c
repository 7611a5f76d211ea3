/*
 * Code patching: what the guest's code is at an address, whatever a copy has there. See patch.h.
 */
#include <string.h>

#include "engine/trap/patch_internal.h"
#include "isa/decode.h"
#include "vm/vm.h"

bool patch_frame_at(const struct vcpu *vcpu, uint64_t pc, uint64_t *frame, bool *patched)
{
    const struct vm *vm = vcpu->vm;
    unsigned level;
    const uint64_t *entry = shadow_leaf(vcpu, pc, &level);
    if (!entry || !(*entry & PTE_X))
        return false;
    uint64_t offset = pc & ((1ul << (PAGE_SHIFT + 9 * level)) - 1);
    uint64_t hpa = (PTE_PPN(*entry) << PAGE_SHIFT) + offset;
    *patched = *entry & PTE_PATCHED;
    if (*patched) {
        *frame = shadow_of(vm)->page[pool_index(&shadow_of(vm)->pool, map_hpa(hpa))].frame;
        return true;
    }
    uint64_t gpa = hpa - vm->ram.hpa_offset;
    *frame = shadow_frame(vm, gpa);
    return vm_is_ram(vm, gpa);
}

const uint8_t *patch_page(const struct vcpu *vcpu, uint64_t pc, const uint8_t **copy)
{
    uint64_t frame;
    bool patched;
    if (!patch_frame_at(vcpu, pc, &frame, &patched) || !patched)
        return NULL;
    *copy = patch_copy(vcpu->vm, frame);
    return patch_original(vcpu->vm, frame);
}

/* Two bytes of code, as the guest wrote them, and whether a copy has others there. */
static uint64_t fetch_half(const struct vcpu *vcpu, uint64_t gva, uint16_t *half, bool *replaced)
{
    uint64_t frame;
    bool patched;
    unsigned level;
    if (!patch_frame_at(vcpu, gva, &frame, &patched)) {
        const uint64_t *entry = shadow_leaf(vcpu, gva, &level);
        return entry && (*entry & PTE_X) ? CAUSE_FETCH_ACCESS : PATCH_AGAIN;
    }
    const struct vm *vm = vcpu->vm;
    memcpy(half, patch_original(vm, frame) + (gva & PAGE_MASK), sizeof(*half));
    *replaced |= patched && memcmp(half, patch_copy(vm, frame) + (gva & PAGE_MASK), sizeof(*half));
    return 0;
}

/* By halves, of which one may be in the next page; or there is nothing to fetch. */
RARE static uint64_t fetch_slowly(const struct vcpu *vcpu, uint64_t gva, struct patch_code *code)
{
    uint16_t low = 0, high = 0;
    code->replaced = false;
    uint64_t cause = fetch_half(vcpu, gva, &low, &code->replaced);
    if (!cause && insn_length(low) == 4)
        cause = fetch_half(vcpu, gva + 2, &high, &code->replaced);
    code->raw = low | (uint32_t)high << 16;
    return cause;
}

uint64_t patch_fetch(const struct vcpu *vcpu, uint64_t gva, struct patch_code *code)
{
    uint64_t frame, offset = gva & PAGE_MASK;
    bool patched;
    code->version = NULL;
    if (offset > PAGE_SIZE - 4 || !patch_frame_at(vcpu, gva, &frame, &patched))
        return fetch_slowly(vcpu, gva, code);
    uint32_t raw = insn_word(patch_original(vcpu->vm, frame) + offset), mask = UINT32_MAX;
    if (insn_length((uint16_t)raw) == 2)
        mask = UINT16_MAX;
    code->raw = raw & mask;
    code->replaced = false;
    if (!patched)
        return 0;
    code->replaced = (insn_word(patch_copy(vcpu->vm, frame) + offset) ^ raw) & mask;
    code->version = &patch_known(vcpu->vm, frame)->version;
    return 0;
}
