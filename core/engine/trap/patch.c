/*
 * Code patching at level ecall. See patch.h for why, shadow.h for how a patched page is mapped: vS
 * fetches from the copy, loads are emulated from the original, and a store drops the copy.
 *
 * Surprise: the low half of a patched ecall is not a compressed instruction and the high half is
 * 0x0000, which is illegal: a jump into the middle traps, and the site is repaired.
 */
#include <string.h>

#include "engine/trap/inline.h"
#include "engine/trap/patch_internal.h"
#include "host/ends.h"
#include "isa/decode.h"
#include "isa/encode.h"
#include "isa/overlap.h"

#define BOUND       1ul   /* bit of pool_page.gva: it is executed there */
#define LOADS_MAX   8192u /* of its original, until a copy is dropped: it is data as much as code */
#define DROPS_APART 8u    /* copies at once, beyond which it is cheaper to drop all shadow tables */
#define DROPS_MAX   8u    /* a page whose copy was dropped this often is not patched again */
#define RANGE_LARGE 65536u /* frames: all copies are fewer */

/* Makes the copy of a frame and sees to it that nothing maps the original writable or executable.
 * Not of one that a device of the machine is writing to: nobody would see the copy become stale. */
static bool make_copy(struct vcpu *vcpu, uint64_t pc, uint64_t frame)
{
    struct vm *vm = vcpu->vm;
    struct shadow *shadow = shadow_of(vm);
    if (shadow->drops[frame] >= DROPS_MAX || shadow->copies >= shadow->copies_limit ||
        host_writes_to(vm->host, map_pointer_hpa(patch_original(vm, frame)), PAGE_SIZE))
        return false; /* the site stays a slow trap */
    uint8_t *copy = shadow_take(vm);
    if (!copy)
        return false; /* eviction is for tables */
    memcpy(copy, patch_original(vm, frame), PAGE_SIZE);
    riscv_fence_i();
    uint32_t index = pool_index(&shadow->pool, copy);
    shadow_drop_leaf(vcpu, pc);
    shadow->page[index].frame = (uint32_t)frame;
    shadow->page[index].gva = 0;
    shadow->page[index].loads = 0;
    shadow->patch[frame] = (uint16_t)(index + 1);
    shadow->block_patches[frame >> 9]++;
    shadow->page[index].slot = (uint16_t)shadow->copies;
    shadow->copy_list[shadow->copies++] = (uint16_t)index;
    vm->stats.memory.patched_pages++;
    if (shadow->leaves[frame] || shadow->block_leaves[frame >> 9] || shadow->giant_leaves)
        shadow_drop_frame(vm, frame);
    return true;
}

void patch_cover(struct vcpu *vcpu, uint64_t pc)
{
    uint64_t frame;
    bool patched;
    if (patch_frame_at(vcpu, pc, &frame, &patched) && !shadow_of(vcpu->vm)->patch[frame])
        make_copy(vcpu, pc, frame);
}

/* Puts a word into the copy: the guest executes it from now on. */
static void put_word(struct vm *vm, uint64_t frame, uint64_t offset, uint32_t word)
{
    memcpy(patch_copy(vm, frame) + offset, &word, sizeof(word));
    riscv_fence_i();
}

/* Whether an instruction that begins two bytes before the one at pc is executed too, as far as that
 * can be told. Looking takes long: the answer yes is remembered as long as the copy of the frame
 * holds. */
static bool is_overlapped(const struct vcpu *vcpu, uint64_t pc, uint64_t frame)
{
    struct shadow *shadow = shadow_of(vcpu->vm);
    uint64_t offset = pc & PAGE_MASK, before;
    uint32_t copy = shadow->patch[frame] - 1u;
    uint64_t key = (uint64_t)shadow->page[copy].version << 32 | copy << PAGE_SHIFT | offset | 1;
    uint64_t *refused = &shadow->refused[(offset >> 1 ^ copy) % SHADOW_REFUSED];
    bool patched;
    if (*refused == key)
        return true;
    bool known = patch_frame_at(vcpu, (pc & ~PAGE_MASK) - 2, &before, &patched);
    if (!overlap_is_reached(patch_original(vcpu->vm, frame),
                            known ? patch_original(vcpu->vm, before) : NULL, (unsigned)offset))
        return false;
    *refused = key;
    return true;
}

bool patch_site(struct vcpu *vcpu, uint64_t pc, const struct insn *insn)
{
    struct vm *vm = vcpu->vm;
    uint64_t frame, offset = pc & PAGE_MASK;
    bool patched;
    if (vm->options.patch == PATCH_OFF || offset > PAGE_SIZE - 4 ||
        !patch_frame_at(vcpu, pc, &frame, &patched))
        return false;
    if (!shadow_of(vm)->patch[frame] && !make_copy(vcpu, pc, frame))
        return false;
    const struct inlined *inlined = trap_of(vcpu)->inlined;
    uint32_t form = inlined && !inlined->lost ? inline_form(insn) : 0;
    uint32_t word = form ? form : ENCODE_ECALL;
    if ((uint16_t)word != (uint16_t)insn->raw && is_overlapped(vcpu, pc, frame))
        return false;
    put_word(vm, frame, offset, word);
    patch_known(vm, frame)->version++;
    vm->stats.memory.patched_sites++;
    vm->stats.memory.inline_sites += form != 0;
    return true;
}

/* Whether the copy of frame has at offset what was put in place of an instruction. */
static bool is_site(const struct vm *vm, uint64_t frame, unsigned offset)
{
    if (offset > PAGE_SIZE - 4)
        return false;
    uint32_t word = insn_word(patch_copy(vm, frame) + offset);
    struct insn original = insn_decode(insn_word(patch_original(vm, frame) + offset));
    uint32_t form = inline_form(&original);
    return word == ENCODE_ECALL || (form && word == form) ||
           inline_is_jump(shadow_of(vm)->inline_code, word, (uint32_t)frame, offset);
}

/* --- Trampolines --- */

/* In each vcpu that executes the guest's kernel: a register that holds a return address gets back
 * what it held. */
static void give_back(struct vm *vm)
{
    for (unsigned i = 0; i < VM_VCPUS; i++)
        if (vm->vcpus[i]->mode == VMODE_S)
            inline_restore(vm->vcpus[i]);
}

void patch_take_back(struct vm *vm, struct inline_site *site)
{
    struct pool_page *copy = patch_known(vm, site->frame);
    give_back(vm);
    put_word(vm, site->frame, site->pc & PAGE_MASK, ENCODE_ECALL);
    copy->jumps--;
    copy->version++; /* it traps again */
    inline_free(shadow_of(vm)->inline_code, site);
}

/* Takes back the sites of a frame that are made for another page than gva, or all of them. */
static void take_back(struct vm *vm, uint64_t frame, uint64_t gva, bool all)
{
    const uint8_t *jumps = &patch_known(vm, frame)->jumps;
    for (unsigned i = 0; *jumps && i < INLINE_SITES; i++) {
        struct inline_site *site = &shadow_of(vm)->inline_code->site[i];
        bool ours = site->pc && site->frame == frame;
        if (ours && (all || (site->pc & ~PAGE_MASK) != (gva & ~PAGE_MASK)))
            patch_take_back(vm, site);
    }
}

bool patch_promote(struct vcpu *vcpu, uint64_t pc, const struct insn *insn)
{
    struct vm *vm = vcpu->vm;
    struct inline_site *oldest;
    uint64_t frame;
    bool patched;
    if (!patch_frame_at(vcpu, pc, &frame, &patched) || !patched)
        return false;
    struct pool_page *copy = patch_known(vm, frame);
    if (copy->gva == SHADOW_BOUND_TWICE)
        return false;
    const uint8_t *original = patch_original(vm, frame);
    uint32_t jump = inline_make(vcpu, pc, insn, original, (uint32_t)frame, &oldest);
    if (oldest) {
        patch_take_back(vm, oldest);
        jump = inline_make(vcpu, pc, insn, original, (uint32_t)frame, &oldest);
    }
    if (!jump)
        return false;
    put_word(vm, frame, pc & PAGE_MASK, jump);
    copy->jumps++;
    copy->version++; /* no longer worth running ahead to */
    vm->stats.memory.trampolines++;
    return true;
}

void patch_bind(struct vm *vm, uint64_t frame, uint64_t gva)
{
    uint64_t *bound = &patch_known(vm, frame)->gva;
    gva &= ~PAGE_MASK;
    if (*bound && *bound != (gva | BOUND))
        gva = SHADOW_BOUND_TWICE & ~BOUND;
    *bound = gva | BOUND;
    take_back(vm, frame, gva, false);
}

bool patch_repair(struct vcpu *vcpu, uint64_t pc)
{
    uint64_t frame, offset = pc & PAGE_MASK;
    bool patched;
    if (!shadow_of(vcpu->vm)->copies || offset < 2 || !patch_frame_at(vcpu, pc, &frame, &patched) ||
        !patched)
        return false;
    uint8_t *original = patch_original(vcpu->vm, frame) + offset - 2;
    uint8_t *copy = patch_copy(vcpu->vm, frame) + offset - 2;
    if (!is_site(vcpu->vm, frame, offset - 2) || insn_word(copy) == insn_word(original))
        return false;
    take_back(vcpu->vm, frame, 0, true); /* rare enough to be rough */
    memcpy(copy, original, 4);
    shadow_of(vcpu->vm)->code_epoch++;
    riscv_fence_i();
    return true;
}

/* Drops the copy of a frame, which has one. */
static void drop_copy(struct vm *vm, uint64_t frame)
{
    struct shadow *shadow = shadow_of(vm);
    uint8_t *copy = patch_copy(vm, frame);
    uint32_t index = pool_index(&shadow->pool, copy);
    shadow_drop_copy(vm, frame);
    take_back(vm, frame, 0, true);
    shadow->patch[frame] = 0;
    shadow->block_patches[frame >> 9]--;
    pool_give(&shadow->pool, copy);
    uint16_t last = shadow->copy_list[--shadow->copies];
    shadow->copy_list[shadow->page[index].slot] = last;
    shadow->page[last].slot = shadow->page[index].slot;
    vm->stats.memory.patched_pages--;
    vm->stats.memory.dropped_patches++;
    shadow->page[index].version++;
}

/* The same because it was written. */
static void drop_written(struct vm *vm, uint64_t frame)
{
    drop_copy(vm, frame);
    if (shadow_of(vm)->drops[frame] < DROPS_MAX)
        shadow_of(vm)->drops[frame]++;
}

void patch_drop(struct vm *vm, uint64_t gpa)
{
    uint64_t frame = shadow_frame(vm, gpa);
    if (shadow_of(vm)->patch[frame])
        drop_written(vm, frame);
}

/* Whether none of four frames from a multiple of four on has a copy. (patch[] begins a page.) */
static bool four_are_plain(const struct shadow *shadow, uint64_t frame)
{
    uint64_t copies;
    _Static_assert(sizeof(copies) == 4 * sizeof(*shadow->patch), "four at once");
    memcpy(&copies, __builtin_assume_aligned(&shadow->patch[frame], sizeof(copies)),
           sizeof(copies));
    return copies == 0;
}

/* The first of frames frame to last that has a copy, or one beyond last. */
static uint64_t next_copy(const struct shadow *shadow, uint64_t frame, uint64_t last)
{
    while (frame <= last && shadow->patch[frame] == 0) {
        if (shadow->block_patches[frame >> 9] == 0)
            frame = (frame | 511) + 1;
        else
            frame += frame % 4 == 0 && last - frame >= 3 && four_are_plain(shadow, frame) ? 4 : 1;
    }
    return frame <= last ? frame : last + 1;
}

/* What makes dropping one copy dear is done once for all: finding its leaves,
 * and its trampolines. */
static void prepare_drops(struct vm *vm)
{
    struct inline_code *code = shadow_of(vm)->inline_code;
    shadow_drop_all(vm);
    for (unsigned i = 0; code && i < INLINE_SITES; i++)
        if (code->site[i].pc)
            patch_take_back(vm, &code->site[i]);
}

/* Drops the copy of a frame that was written, the count-th of several: beyond a few, all tables
 * with it. */
static void drop_one_of_many(struct vm *vm, uint64_t frame, unsigned count)
{
    if (count == DROPS_APART)
        prepare_drops(vm);
    drop_written(vm, frame);
}

void patch_drop_range(struct vm *vm, uint64_t gpa, uint64_t len)
{
    const struct shadow *shadow = shadow_of(vm);
    uint64_t first = shadow_frame(vm, gpa), last = shadow_frame(vm, gpa + len - 1);
    unsigned count = 0;
    if (first == last && !shadow->patch[first])
        return;
    if (last - first < RANGE_LARGE) {
        for (uint64_t at = first; (at = next_copy(shadow, at, last)) <= last; at++)
            drop_one_of_many(vm, at, count++);
        return;
    }
    for (uint32_t i = shadow->copies; i-- > 0;) {
        uint64_t frame = shadow->page[shadow->copy_list[i]].frame;
        if (frame - first <= last - first)
            drop_one_of_many(vm, frame, count++); /* another takes its place that was looked at */
    }
}

void patch_note_load(struct vm *vm, uint64_t gpa)
{
    struct shadow *shadow = shadow_of(vm);
    uint16_t copy = shadow->patch[shadow_frame(vm, gpa)];
    vm->stats.memory.patched_loads++;
    if (copy && ++shadow->page[copy - 1u].loads == LOADS_MAX)
        patch_drop(vm, gpa);
}

void patch_drop_all(struct vm *vm)
{
    const struct shadow *shadow = shadow_of(vm);
    while (shadow->copies)
        drop_copy(vm, shadow->page[shadow->copy_list[shadow->copies - 1]].frame);
}

void patch_reset(struct vm *vm)
{
    patch_drop_all(vm);
    memset(shadow_of(vm)->drops, 0, vm->ram.size >> PAGE_SHIFT);
}

void patch_drop_at(struct vcpu *vcpu, uint64_t pc)
{
    uint64_t frame;
    bool patched;
    if (patch_frame_at(vcpu, pc, &frame, &patched) && patched)
        patch_drop(vcpu->vm, vcpu->vm->ram.gpa + (frame << PAGE_SHIFT));
}

/* Whether the half-word at offset belongs to a patched site of the copy, as its first or second
 * half. */
static bool in_site(const struct vm *vm, uint64_t frame, unsigned offset)
{
    return is_site(vm, frame, offset) || (offset >= 2 && is_site(vm, frame, offset - 2));
}

void patch_verify(struct vm *vm, uint64_t gpa)
{
    uint64_t frame = shadow_frame(vm, gpa);
    const uint8_t *copy = patch_copy(vm, frame), *original = patch_original(vm, frame);
    for (unsigned i = 0; copy && i < PAGE_SIZE; i += 2) {
        if (i % 8 == 0 && *(const uint64_t *)(copy + i) == *(const uint64_t *)(original + i)) {
            i += 6; /* most of a page is equal */
            continue;
        }
        if (*(const uint16_t *)(copy + i) != *(const uint16_t *)(original + i) &&
            !in_site(vm, frame, i)) {
            patch_drop(vm, gpa);
            return;
        }
    }
}
