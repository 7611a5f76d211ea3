/*
 * Privileged instructions: privileged specification, "Supervisor Instructions".
 *
 * Svinval's are decoded and illegal: the guest's device tree does not name them, and QEMU's
 * processor does not have them either. FENCE.I is absent: it does not trap. A code page that the
 * VMM copied is found out by its stores.
 */
#include "vm/priv.h"

#include <stddef.h>

#include "isa/riscv.h"
#include "vm/csr.h"
#include "vm/engine.h"
#include "vm/run.h"
#include "vm/vm.h"

bool priv_is_sensitive(const struct insn *insn)
{
    if (insn->op >= INSN_CSRRW && insn->op <= INSN_CSRRC)
        return csr_name(insn->csr) != NULL; /* fcsr traps only while FS is off */
    return insn->op == INSN_SRET || insn->op == INSN_WFI || insn->op == INSN_SFENCE_VMA;
}

static struct exit illegal(struct vcpu *vcpu, const struct insn *insn)
{
    vcpu_raise(vcpu, CAUSE_ILLEGAL, insn->raw);
    return exit_of(EXIT_EXCEPTION, CAUSE_ILLEGAL);
}

static struct exit execute_fence(struct vcpu *vcpu, const struct insn *insn)
{
    unsigned by = (insn->rs1 ? FENCE_ADDRESS : 0) | (insn->rs2 ? FENCE_ASID : 0);
    vcpu->vm->engine->fence(vcpu, by, vcpu->x[insn->rs1], vcpu->x[insn->rs2] & SATP_ASID_MASK);
    return exit_of(EXIT_FENCE, by);
}

HOT struct exit priv_execute(struct vcpu *vcpu, const struct insn *insn)
{
    struct exit exit;
    if (vcpu->mode == VMODE_U)
        return illegal(vcpu, insn);
    switch (insn->op) {
    case INSN_CSRRW:
    case INSN_CSRRS:
    case INSN_CSRRC:
        if (!csr_execute(vcpu, insn))
            return illegal(vcpu, insn);
        exit = exit_of(EXIT_CSR, insn->csr);
        break;
    case INSN_SRET: vcpu_sret(vcpu); return exit_of(EXIT_SRET, 0); /* pc is sepc */
    case INSN_WFI:
        exit = exit_of(EXIT_WFI, 0);
        run_wfi(vcpu, exit);
        break;
    case INSN_SFENCE_VMA: exit = execute_fence(vcpu, insn); break;
    default: return illegal(vcpu, insn);
    }
    vcpu->pc += 4;
    return exit;
}
