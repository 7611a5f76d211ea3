/*
 * What the real hart lets U-mode do. See rights.h.
 *
 * Surprise: a process may be given CBO.INVAL as CBO.FLUSH (CBIE = 01), which the kernel must not
 * take for its own: then the kernel has its own rights always.
 */
#include "engine/trap/rights.h"

#include "host/hart.h"
#include "isa/riscv.h"
#include "vm/vm.h"

#define ALL_COUNTERS 0xfffffffful
#define ALL_BLOCKS   (SENVCFG_CBIE | SENVCFG_CBCFE | SENVCFG_CBZE)
#define LAST_COUNTER (CSR_CYCLE + 31) /* of cycle, time, instret, hpmcounter3 to 31 */

#define FOR_A_NEED 1000u /* changes of mode for which the kernel has all rights then */

void rights_reset(struct vcpu *vcpu)
{
    trap_of(vcpu)->more_rights = 0;
}

void rights_change(struct vcpu *vcpu)
{
    struct trap_vcpu *own = trap_of(vcpu);
    struct hart *hart = vcpu->hart;
    uint64_t scounteren = vcpu->csr.scounteren | vcpu->counters_given;
    uint64_t senvcfg = vcpu->csr.senvcfg;
    vcpu->changed &= (uint8_t)~VCPU_RIGHTS;
    if ((senvcfg & SENVCFG_CBIE) == SENVCFG_CBIE_FLUSH)
        own->more_rights = FOR_A_NEED;
    else if (own->more_rights)
        own->more_rights--;
    if (vcpu->mode == VMODE_S && own->more_rights) {
        scounteren = ALL_COUNTERS;
        senvcfg = ALL_BLOCKS;
    }
    if (hart->scounteren != scounteren) {
        hart->scounteren = scounteren;
        csr_write(CSR_SCOUNTEREN, scounteren);
    }
    if (hart->senvcfg != senvcfg) {
        hart->senvcfg = senvcfg;
        csr_write(CSR_SENVCFG, senvcfg);
    }
}

bool rights_extend(struct vcpu *vcpu, const struct insn *insn)
{
    struct trap_vcpu *own = trap_of(vcpu);
    bool reads = insn->op >= INSN_CSRRW && insn->op <= INSN_CSRRC && insn->csr >= CSR_CYCLE &&
                 insn->csr <= LAST_COUNTER;
    if (own->more_rights || !(reads || insn->op == INSN_CBO))
        return false;
    own->more_rights = FOR_A_NEED;
    rights_change(vcpu);
    return true;
}
