/*
 * One decoded load or store: rd, sign extension and pc are settled here, once, for every device.
 *
 * Only naturally aligned accesses reach a device. AMO and LR to a device, and misaligned accesses, are access faults;
 * an SC fails.
 */
#include "cpu/emulate.h"

#include <string.h>

#include "board/board.h"
#include "cpu/ahead.h"
#include "cpu/decode.h"
#include "cpu/fp.h"
#include "memory/patch.h"
#include "memory/shadow_internal.h"
#include "vm.h"

static void fault(struct vcpu *vcpu, uint64_t cause, uint64_t stval)
{
    vcpu->exit_class = EXIT_GUEST_FAULT;
    vcpu->exit_detail = (uint32_t)cause;
    vcpu_raise(vcpu, cause, stval);
}

static bool is_load(const struct insn *insn)
{
    return insn->op == INSN_LOAD || insn->op == INSN_FLOAT_LOAD;
}

static bool is_store(const struct insn *insn)
{
    return insn->op == INSN_STORE || insn->op == INSN_FLOAT_STORE;
}

static uint64_t extend(uint64_t value, const struct insn *insn)
{
    unsigned unused = 64 - 8 * insn->width;
    return insn->sign ? (uint64_t)((int64_t)(value << unused) >> unused)
                      : value << unused >> unused;
}

/* Ends a load: rd, or an f register (a narrower value NaN-boxed, FS dirty). */
static void write_rd(struct vcpu *vcpu, const struct insn *insn, uint64_t value)
{
    if (insn->op == INSN_FLOAT_LOAD) {
        fp_write(insn->rd, insn->width == 4 ? value | 0xffffffff00000000ul : value);
        vcpu->host_sstatus |= SSTATUS_FS;
    } else if (insn->rd) {
        vcpu->x[insn->rd] = extend(value, insn);
    }
    vcpu->pc += insn->length;
}

static uint64_t store_value(const struct vcpu *vcpu, const struct insn *insn)
{
    unsigned unused = 64 - 8 * insn->width;
    uint64_t value = insn->op == INSN_FLOAT_STORE ? fp_read(insn->rs2) : vcpu->x[insn->rs2];
    return value << unused >> unused;
}

/* The instruction at pc; false when its fetch now faults (another alias of the code changed). */
static bool fetch(struct vcpu *vcpu, struct insn *insn)
{
    uint32_t raw;
    uint64_t cause = patch_fetch(vcpu, vcpu->pc, &raw);
    if (cause) {
        fault(vcpu, cause, vcpu->pc);
        return false;
    }
    *insn = insn_decode(raw);
    return true;
}

bool emulate_device(struct vcpu *vcpu, const struct insn *insn, uint64_t gpa)
{
    struct mmio io = {.width = insn->width, .store = is_store(insn)};
    if (io.store)
        io.value = store_value(vcpu, insn);
    if (!board_access(vcpu, gpa, &io))
        return false;
    if (io.store)
        vcpu->pc += insn->length;
    else
        write_rd(vcpu, insn, io.value);
    return true;
}

/* An SC where there is no RAM. No LR can have made a reservation there, so it fails and stores nothing. QEMU up to
 * 10.0.2 does not look at the address then and never traps; 10.0.13 asks whether a store would be permitted, not whether
 * there is memory. False: the firmware's memory is not permitted. */
static bool fail_sc(struct vcpu *vcpu, const struct insn *insn, uint64_t gpa)
{
    const struct vm_ram_range *ram = &vcpu->vm->ram;
    if (insn->op != INSN_SC || (gpa >= ram->gpa && gpa < ram->first))
        return false;
    vcpu->x[insn->rd] = 1;
    vcpu->x[0] = 0;
    vcpu->pc += insn->length;
    return true;
}

void emulate_mmio(struct vcpu *vcpu, uint64_t gva, uint64_t gpa, enum access access)
{
    struct insn insn;
    if (access == ACCESS_FETCH) {
        fault(vcpu, CAUSE_FETCH_ACCESS, gva);
        return;
    }
    if (!fetch(vcpu, &insn))
        return;
    if (fail_sc(vcpu, &insn, gpa))
        return;
    bool load = is_load(&insn), store = is_store(&insn);
    uint64_t target = vcpu->x[insn.rs1] + (uint64_t)(int64_t)insn.imm;
    if ((!load && !store) || target != gva || (gva & (insn.width - 1u))) {
        fault(vcpu, walk_access_fault(access), gva);
        return;
    }
    ahead_note_device(vcpu, vcpu->pc);
    vcpu->vm->runs_ahead = /* soon */
        vcpu->vm->options.patch >= PATCH_CLUSTER && vcpu->mode == VMODE_S;
    if (!emulate_device(vcpu, &insn, gpa))
        fault(vcpu, walk_access_fault(access), gva);
}

bool emulate_translate(struct vcpu *vcpu, const struct insn *insn, uint64_t gva, uint64_t *gpa)
{
    enum access access = insn->op == INSN_LOAD ? ACCESS_LOAD : ACCESS_STORE;
    struct walk_mode mode = shadow_walk_mode(vcpu);
    struct walk walk;
    mode.probe = true; /* A and D belong to an access that happens */
    if ((gva & (insn->width - 1u)) || walk_guest(vcpu->vm, &mode, gva, access, &walk) ||
        shadow_is_backed(vcpu->vm, walk.gpa))
        return false;
    mode.probe = false;
    *gpa = walk.gpa;
    return !walk_guest(vcpu->vm, &mode, gva, access, &walk);
}

void emulate_patched_load(struct vcpu *vcpu, uint64_t gpa)
{
    struct vm *vm = vcpu->vm;
    struct insn insn;
    if (!fetch(vcpu, &insn))
        return;
    if (!is_load(&insn)) {
        patch_drop(vm,
                   gpa); /* too rare to emulate: the page becomes readable, then it is run again */
        return;
    }
    struct walk_mode mode = shadow_walk_mode(vcpu);
    uint64_t first = vcpu->x[insn.rs1] + (uint64_t)(int64_t)insn.imm, value = 0;
    for (unsigned i = 0; i < insn.width; i++) {
        struct walk walk;
        uint64_t cause = walk_guest(vm, &mode, first + i, ACCESS_LOAD, &walk);
        const uint8_t *byte = cause ? NULL : vm_ram(vm, walk.gpa, 1);
        if (!byte) {
            fault(vcpu, cause ? cause : CAUSE_LOAD_ACCESS, first + i);
            return;
        }
        value |= (uint64_t)*byte << 8 * i;
    }
    write_rd(vcpu, &insn, value);
    patch_note_load(vm, gpa);
}
