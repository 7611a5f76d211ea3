/*
 * Loads and stores of devices: unprivileged ISA, chapters "Load and Store Instructions" and
 * "Single-Precision Load and Store Instructions". Whatever the address, rd, sign extension and pc
 * are the same business, done once here.
 *
 * Surprise: an access of device memory must be aligned and wholly the fault's; what else there is
 * (AMO, LR, a page boundary) is an access fault, as QEMU's devices have it.
 */
#include "vm/emulate.h"

#include "device.h"
#include "isa/fp.h"
#include "vm/vm.h"

static uint64_t extend(uint64_t value, const struct insn *insn)
{
    unsigned unused = 64 - 8 * insn->width;
    return insn->sign ? (uint64_t)((int64_t)(value << unused) >> unused)
                      : value << unused >> unused;
}

void emulate_finish_load(struct vcpu *vcpu, const struct insn *insn, uint64_t value)
{
    if (insn->op == INSN_FLOAT_LOAD) {
        fp_write(insn->rd, insn->width == 4 ? value | 0xffffffff00000000ul : value);
        vcpu->csr.sstatus |= SSTATUS_FS;
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

const struct window *emulate_access(struct vcpu *vcpu, const struct insn *insn, uint64_t gpa,
                                    bool more)
{
    const struct window *window = vm_window_at(vcpu->vm, gpa);
    if (!window)
        return NULL;
    struct mmio io = {
        .offset = gpa - window->base,
        .width = insn->width,
        .store = emulate_is_store(insn),
        .more = more,
    };
    if (io.store)
        io.value = store_value(vcpu, insn);
    if (!window->access(vcpu, window->self, &io))
        return NULL;
    if (io.store)
        vcpu->pc += insn->length;
    else
        emulate_finish_load(vcpu, insn, io.value);
    return window;
}

/* An SC where there is no RAM. No LR can have made a reservation there, so it fails and stores
 * nothing. QEMU up to 10.0.2 does not look at the address then and never traps; 10.0.13 asks
 * whether a store would be permitted, not whether there is memory. False: the firmware's memory is
 * not permitted. */
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

struct exit emulate_mmio(struct vcpu *vcpu, const struct insn *insn, uint64_t gva, uint64_t gpa,
                         enum access access, bool more)
{
    if (fail_sc(vcpu, insn, gpa))
        return exit_of(EXIT_SHADOW_FILL, CAUSE_STORE_PAGE);
    bool plain = emulate_is_load(insn) || emulate_is_store(insn);
    if (!plain || emulate_address(vcpu, insn) != gva || (gva & (insn->width - 1u)))
        return emulate_fault(vcpu, walk_access_fault(access), gva);
    const struct window *window = emulate_access(vcpu, insn, gpa, more);
    return window ? window_exit(window, gpa - window->base, access == ACCESS_STORE)
                  : emulate_fault(vcpu, walk_access_fault(access), gva);
}

uint64_t emulate_read(struct vcpu *vcpu, uint64_t gva, unsigned width, uint64_t *value,
                      uint64_t *stval)
{
    struct walk_mode mode = walk_mode_of(vcpu);
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
