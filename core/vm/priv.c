/*
 * Privileged instructions: privileged specification, "Supervisor Instructions".
 *
 * Svinval's are decoded and illegal: the guest's device tree does not name them, and QEMU's processor does not
 * have them either.
 * FENCE.I is absent: it does not trap. A code page that the VMM copied is found out by its stores.
 */
#include "vm/priv.h"

#include <stddef.h>

#include "engine/trap/ahead.h"
#include "vm/csr.h"
#include "engine/trap/trap.h"
#include "engine/trap/shadow.h"
#include "isa/riscv.h"
#include "vm/vm.h"

bool priv_is_sensitive(const struct insn *insn)
{
    if (insn->op >= INSN_CSRRW && insn->op <= INSN_CSRRC)
        return csr_name(insn->csr) != NULL; /* fcsr traps only while FS is off */
    return insn->op == INSN_SRET || insn->op == INSN_WFI || insn->op == INSN_SFENCE_VMA;
}

static void illegal(struct vcpu *vcpu, const struct insn *insn)
{
    vcpu->exit_class = EXIT_EXCEPTION;
    vcpu->exit_detail = CAUSE_ILLEGAL;
    vcpu_raise(vcpu, CAUSE_ILLEGAL, insn->raw);
}

static void fence(struct vcpu *vcpu, const struct insn *insn)
{
    bool by_address = insn->rs1 != 0, by_asid = insn->rs2 != 0;
    vcpu->exit_class = EXIT_FENCE;
    vcpu->exit_detail = (uint32_t)by_address | (uint32_t)by_asid << 1;
    shadow_fence(vcpu, by_address, vcpu->x[insn->rs1], by_asid,
                 vcpu->x[insn->rs2] & SATP_ASID_MASK);
    if (trap_is_spent(vcpu))
        ahead_stop(vcpu);
}

void priv_execute(struct vcpu *vcpu, const struct insn *insn)
{
    if (vcpu->mode == VMODE_U) {
        illegal(vcpu, insn);
        return;
    }
    switch (insn->op) {
    case INSN_CSRRW:
    case INSN_CSRRS:
    case INSN_CSRRC:
        vcpu->exit_class = EXIT_CSR;
        vcpu->exit_detail = insn->csr;
        if (!csr_execute(vcpu, insn)) {
            illegal(vcpu, insn);
            return;
        }
        break;
    case INSN_SRET:
        vcpu->exit_class = EXIT_SRET;
        vcpu->exit_detail = 0;
        vcpu_sret(vcpu);
        return; /* pc is sepc */
    case INSN_WFI:
        vcpu->exit_class = EXIT_WFI;
        vcpu->exit_detail = 0;
        vcpu_wfi(vcpu);
        break;
    case INSN_SFENCE_VMA: fence(vcpu, insn); break;
    default: illegal(vcpu, insn); return;
    }
    vcpu->pc += 4;
}
