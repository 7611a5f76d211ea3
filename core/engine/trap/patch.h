/*
 * Code patching (PATCH=ecall): a privileged instruction in vS code becomes an ecall in a private,
 * execute-only copy of its page, because an ecall from U is delegated to S-mode and an illegal
 * instruction is not: ~80 instead of ~560 instructions per trap.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct inline_site;
struct insn;
struct vcpu;
struct vm;

/* Replaces the 4-byte instruction at pc, which just trapped in vS, in the page's copy. False: it
 * stays as it is, for want of memory or because other code overlaps with it (isa/overlap.h). */
bool patch_site(struct vcpu *vcpu, uint64_t pc, const struct insn *insn);

/* Makes a copy of the page that pc executes from, even though it has no site: its code may be
 * cached then, because a store to it is seen. */
void patch_cover(struct vcpu *vcpu, uint64_t pc);

/* The patched site at pc traps often: lets it jump to a trampoline (engine/trap/inline.h). False:
 * it cannot. */
bool patch_promote(struct vcpu *vcpu, uint64_t pc, const struct insn *insn);

/* Takes back a trampoline's site: it traps again. Its register is given back to any vcpu that has
 * it in use. */
void patch_take_back(struct vm *vm, struct inline_site *site);

/* The copy of frame is about to be mapped at gva: a trampoline only fits the address it was made
 * for. */
void patch_bind(struct vm *vm, uint64_t frame, uint64_t gva);

/* The page that pc executes from, as the guest wrote it, if a patched copy of it is mapped (*copy);
 * else null. */
const uint8_t *patch_page(const struct vcpu *vcpu, uint64_t pc, const uint8_t **copy);

/* Puts the original back at the site that the guest jumped into the middle of (pc - 2). */
bool patch_repair(struct vcpu *vcpu, uint64_t pc);

/* Drops the copy of the frame at gpa, if there is one: the guest, or a device, writes to it. */
void patch_drop(struct vm *vm, uint64_t gpa);

/* The same for all frames of [gpa, gpa+len), which is RAM. Its cost is that of the copies that
 * there are, and hardly that of the range. */
void patch_drop_range(struct vm *vm, uint64_t gpa, uint64_t len);

/* A load at gpa was read from the original of a copy. Too many, and the copy is dropped. */
void patch_note_load(struct vm *vm, uint64_t gpa);

/* Drops every copy, which no write was the reason for: they are to be made anew. */
void patch_drop_all(struct vm *vm);

/* Drops every copy and forgets which pages were dropped often: the VM starts anew. */
void patch_reset(struct vm *vm);

/* Drops the copy that pc executes from. */
void patch_drop_at(struct vcpu *vcpu, uint64_t pc);

/* Drops the copy if the original has changed behind the VMM's back: a passed-through device that
 * masters the bus writes RAM unseen. Asked when the copy is about to be mapped for fetching. */
void patch_verify(struct vm *vm, uint64_t gpa);

/* What an exit is about: up to 4 bytes of code, through the translation that they were executed
 * through. */
struct patch_code {
    uint32_t raw;  /* as the guest wrote them */
    bool replaced; /* the hart executed something else: a copy differs there */
    /* Of the copy that all of it lies in, which counts up when what the copy holds changes; null:
     * in no copy. */
    const uint32_t *version;
};

/* Reads the code at gva in the vcpu's root. 0; CAUSE_FETCH_ACCESS where a device's window is
 * executed; or PATCH_AGAIN: the translation is gone, so that what trapped cannot be known, and the
 * guest shall run it again. Changes nothing. */
#define PATCH_AGAIN UINT64_MAX
uint64_t patch_fetch(const struct vcpu *vcpu, uint64_t gva, struct patch_code *code);
