/*
 * The instruction at pc. See site.h.
 *
 * Surprise: only where the page is a copy may its code be remembered, for only then is a store to
 * it seen. An ecall in any other page is remembered all the same: it has trapped as one.
 */
#include "engine/trap/site.h"

#include "engine/trap/patch.h"
#include "isa/encode.h"
#include "vm/emulate.h"
#include "vm/priv.h"

/* Remembers what is at pc. known: where that is may be seen to change. */
RARE static void remember(struct vcpu *vcpu, struct site *site, const struct insn *insn,
                          const struct patch_code *code, bool known)
{
    int32_t hits = site->pc == vcpu->pc && site->insn.raw == insn->raw ? site->hits : 0;
    *site = (struct site){
        .pc = vcpu->pc,
        .tag = trap_code_tag(vcpu),
        .epoch = known ? shadow_of(vcpu->vm)->code_epoch : 0, /* 0: never valid */
        .insn = *insn,
        .hits = hits,
        .versions = code->version,
        .version = code->version ? *code->version : 0,
        .sensitive = priv_is_sensitive(insn),
    };
}

RARE void site_renew(struct vcpu *vcpu, struct site *site)
{
    struct patch_code code;
    bool known = patch_fetch(vcpu, vcpu->pc, &code) == 0;
    struct insn insn = insn_decode(code.version ? code.raw : ENCODE_ECALL);
    remember(vcpu, site, &insn, &code, known);
}

struct exit site_run_again(struct vcpu *vcpu)
{
    patch_drop_at(vcpu, vcpu->pc);
    return exit_of(EXIT_PATCH, EXIT_PATCH_RUN_AGAIN);
}

/* There is nothing at pc that can be read. */
RARE static struct exit fail(struct vcpu *vcpu, uint64_t cause)
{
    return cause == PATCH_AGAIN ? exit_of(EXIT_PATCH, EXIT_PATCH_RUN_AGAIN)
                                : emulate_fault(vcpu, cause, vcpu->pc);
}

/* Reads and decodes what is at pc. False: there is nothing to be decoded, or it is not what trapped
 * (*exit). */
static inline __attribute__((always_inline)) bool read(struct vcpu *vcpu, struct patch_code *code,
                                                       struct exit *exit)
{
    struct insn *insn = &trap_of(vcpu)->insn;
    uint64_t cause = patch_fetch(vcpu, vcpu->pc, code);
    if (cause) {
        *exit = fail(vcpu, cause);
        return false;
    }
    *insn = insn_decode(code->raw);
    if (!code->replaced || priv_is_sensitive(insn))
        return true;
    *exit = site_run_again(vcpu);
    return false;
}

const struct insn *site_read(struct vcpu *vcpu, struct exit *exit)
{
    struct patch_code code;
    return read(vcpu, &code, exit) ? &trap_of(vcpu)->insn : NULL;
}

__attribute__((noinline)) static const struct insn *fetch(struct vcpu *vcpu, struct exit *exit)
{
    struct patch_code code;
    const struct insn *insn = &trap_of(vcpu)->insn;
    if (!read(vcpu, &code, exit))
        return NULL;
    if (code.version && vcpu->mode == VMODE_S)
        remember(vcpu, site_slot(vcpu), insn, &code, true);
    return insn;
}

const struct insn *site_fetch(struct vcpu *vcpu, struct exit *exit)
{
    const struct site *site = site_slot(vcpu);
    bool may = vcpu->mode == VMODE_S && site->versions;
    if (may && site_holds(vcpu, site) && site->version == *site->versions)
        return &site->insn;
    return fetch(vcpu, exit);
}

bool site_may_have_faulted(const struct vcpu *vcpu, const struct insn *insn, uint64_t gva,
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
    return emulate_is_load(insn) == (access == ACCESS_LOAD) &&
           gva - emulate_address(vcpu, insn) < insn->width;
}
