/*
 * One decoded load or store: rd, sign extension and pc are settled here, once, for every device.
 *
 * Surprise: the instruction is read from memory some time after it trapped, and may be another by then. It is only
 * carried out if it is one that traps so; else the guest runs again what is there.
 *
 * Only naturally aligned accesses reach a device. AMO and LR to a device, and misaligned accesses, are access faults;
 * an SC fails.
 */
#include "vm/emulate.h"

#include <string.h>

#include "board/board.h"
#include "engine/trap/ahead.h"
#include "isa/decode.h"
#include "isa/fp.h"
#include "vm/priv.h"
#include "engine/trap/patch.h"
#include "engine/trap/shadow_internal.h"
#include "vm/vm.h"

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

void emulate_again(struct vcpu *vcpu)
{
    vcpu->exit_class = EXIT_PATCH;
    vcpu->exit_detail = 3;
    patch_drop_at(vcpu, vcpu->pc);
}

bool emulate_fetch(struct vcpu *vcpu, struct insn *insn)
{
    struct patch_code code;
    uint64_t cause = patch_fetch(vcpu, vcpu->pc, &code);
    if (cause) {
        if (cause != PATCH_AGAIN)
            fault(vcpu, cause, vcpu->pc);
        return false;
    }
    *insn = insn_decode(code.raw);
    if (!code.replaced || priv_is_sensitive(insn))
        return true;
    emulate_again(vcpu);
    return false;
}

/* Whether insn may have faulted with such an access at gva. What the decoder does not know may be an extension's
 * load or store. */
static bool may_have_faulted(const struct vcpu *vcpu, const struct insn *insn, uint64_t gva,
                             enum access access)
{
    switch (insn->op) {
    case INSN_FLOAT_LOAD:
    case INSN_FLOAT_STORE:
        if (!(csr_read(CSR_SSTATUS) & SSTATUS_FS))
            return false; /* the machine's, not the guest's: f registers are about to be touched */
        break;
    case INSN_LOAD:
    case INSN_STORE: break;
    case INSN_LR: return access == ACCESS_LOAD;
    case INSN_SC:
    case INSN_AMO:
    case INSN_CBO: return access == ACCESS_STORE;
    default: return insn->op == INSN_ILLEGAL;
    }
    uint64_t target = vcpu->x[insn->rs1] + (uint64_t)(int64_t)insn->imm;
    return is_load(insn) == (access == ACCESS_LOAD) && gva - target < insn->width;
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

void emulate_mmio(struct vcpu *vcpu, const struct insn *insn, uint64_t gva, uint64_t gpa,
                  enum access access)
{
    if (!may_have_faulted(vcpu, insn, gva, access)) {
        emulate_again(vcpu);
        return;
    }
    if (fail_sc(vcpu, insn, gpa))
        return;
    bool plain = is_load(insn) || is_store(insn);
    uint64_t target = vcpu->x[insn->rs1] + (uint64_t)(int64_t)insn->imm;
    if (!plain || target != gva || (gva & (insn->width - 1u))) {
        fault(vcpu, walk_access_fault(access), gva);
        return;
    }
    ahead_note_device(vcpu, vcpu->pc);
    vcpu->vm->runs_ahead = /* soon */
        vcpu->vm->options.patch >= PATCH_CLUSTER && vcpu->mode == VMODE_S;
    if (!emulate_device(vcpu, insn, gpa))
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

uint64_t emulate_read(struct vcpu *vcpu, uint64_t gva, unsigned width, uint64_t *value,
                      uint64_t *stval)
{
    struct walk_mode mode = shadow_walk_mode(vcpu);
    *value = 0;
    for (unsigned i = 0; i < width; i++) {
        struct walk walk;
        uint64_t cause = walk_guest(vcpu->vm, &mode, gva + i, ACCESS_LOAD, &walk);
        const uint8_t *byte = cause ? NULL : vm_ram(vcpu->vm, walk.gpa, 1);
        if (!byte) {
            *stval = gva + i;
            return cause ? cause : CAUSE_LOAD_ACCESS;
        }
        *value |= (uint64_t)*byte << 8 * i;
    }
    return 0;
}

void emulate_patched_load(struct vcpu *vcpu, uint64_t gva, uint64_t gpa)
{
    struct vm *vm = vcpu->vm;
    struct insn insn;
    if (!emulate_fetch(vcpu, &insn))
        return;
    if (!may_have_faulted(vcpu, &insn, gva, ACCESS_LOAD)) {
        emulate_again(vcpu);
        return;
    }
    if (!is_load(&insn)) {
        patch_drop(vm,
                   gpa); /* too rare to emulate: the page becomes readable, then it is run again */
        return;
    }
    uint64_t first = vcpu->x[insn.rs1] + (uint64_t)(int64_t)insn.imm, value, stval;
    uint64_t cause = emulate_read(vcpu, first, insn.width, &value, &stval);
    if (cause) {
        fault(vcpu, cause, stval);
        return;
    }
    write_rd(vcpu, &insn, value);
    patch_note_load(vm, gpa);
}
