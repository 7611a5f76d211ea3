/* A vcpu that makes system calls. See brief_rig.h. */
#include "brief_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/trap/patch.h"
#include "engine/trap/rights.h"

/* All that either way may change. */
struct state {
    struct vcpu vcpu;
    struct trap_vcpu own;
    struct inlined inlined;
    struct hart hart;
    uint64_t scounteren, senvcfg; /* the hart's */
    uint64_t root_switches;
    unsigned retries;
};

struct trap_vcpu own;
struct inlined inlined;
struct shadow shadow;
static struct site sites[SITES];
static uint64_t tables[2][512];

/* --- The parts beside it --- */

static void *unexpected(void)
{
    fail_msg("nothing is mapped, and nothing given up");
    return NULL;
}

void shadow_tlb_flush(struct vm *of)
{
    (void)of;
    unexpected();
}

enum inline_finished inline_carry_out(struct vcpu *of)
{
    (void)of;
    unexpected();
    return FINISHED;
}

bool shadow_reaches_user(const struct vcpu *of)
{
    return trap_of(of)->root >= &shadow.space[0].root[shadow_root_index(VIEW_KERNEL_SUM, false)];
}

static unsigned retries;

void shadow_retry(struct vcpu *of)
{
    trap_of(of)->fault_gva = SHADOW_NO_FAULT;
    retries++;
}

/* The long way's choice, as far as a brief exit has one. */
void shadow_select(struct vcpu *of)
{
    enum shadow_view view = of->mode == VMODE_U ? VIEW_USER : VIEW_KERNEL;
    struct shadow_root *root = &own.space->root[shadow_root_index(view, false)];
    shadow_install(of, root);
    own.upper_tag = shadow_upper_tag(of, root);
    of->changed &= (uint8_t)~VCPU_VIEW;
    if (of->mode == VMODE_U && own.fault_gva != SHADOW_NO_FAULT)
        shadow_retry(of);
}

/* --- The long way --- */

static void go_on_long(void)
{
    rig.vcpu.changed &= (uint8_t)~VCPU_INTERRUPTS; /* none is due */
    if (rig.vcpu.changed & VCPU_VIEW) {
        shadow_select(&rig.vcpu);
        rights_change(&rig.vcpu);
        inline_show_fs(&rig.vcpu);
    }
    inline_push(&rig.vcpu);
}

void brief_call_long(void)
{
    struct vcpu *vcpu = &rig.vcpu;
    trap_take_float(vcpu);
    vcpu_raise(vcpu, CAUSE_ECALL_U, 0);
    if (own.swaps.epoch && vcpu->pc == own.swaps.pc) { /* the guest's instruction, in the handler */
        uint64_t before = vcpu->csr.sscratch;
        vcpu->csr.sscratch = vcpu->x[own.swaps.rs1];
        vcpu->x[own.swaps.rd] = before;
        vcpu->pc += 4;
    }
    go_on_long();
}

void brief_return_long(void)
{
    inline_pull(&rig.vcpu);
    trap_take_float(&rig.vcpu);
    vcpu_sret(&rig.vcpu);
    go_on_long();
}

/* --- A vcpu --- */

static uint64_t some(void)
{
    return (uint64_t)random() << 33 ^ (uint64_t)random() << 11 ^ (uint64_t)random();
}

struct site *brief_site(uint64_t pc)
{
    const struct vcpu at = {.pc = pc, .engine = &own};
    return site_slot(&at);
}

void brief_put_site(uint64_t pc, uint32_t raw)
{
    *brief_site(pc) = (struct site){
        .pc = pc, .tag = SATP, .epoch = shadow.code_epoch, .insn = insn_decode(raw)};
}

void brief_setup(const char *name, enum vmode mode)
{
    struct vcpu *vcpu = &rig.vcpu;
    rig_row(name);
    memset(&own, 0, sizeof(own));
    memset(&inlined, 0, sizeof(inlined));
    memset(&shadow, 0, sizeof(shadow));
    memset(sites, 0, sizeof(sites));
    vcpu->engine = &own;
    rig.vm.engine_state = &shadow;
    shadow.stats = &rig.vm.stats.memory;
    shadow.code_epoch = 7;
    shadow.space_epoch = inlined.space_epoch = 3;
    shadow.space[0] = (struct shadow_space){.satp = SATP, .used = 1};
    for (unsigned view = 0; view < 2; view++)
        shadow.space[0].root[shadow_root_index(view ? VIEW_KERNEL : VIEW_USER, false)] =
            (struct shadow_root){.table = tables[view], .satp = 0x1000 + view};
    own.space = &shadow.space[0];
    own.inlined = &inlined;
    own.site = sites;
    own.fault_gva = SHADOW_NO_FAULT;
    vcpu->csr.satp = SATP;
    vcpu->mode = (uint8_t)mode;
    vcpu->changed = 0;
    brief_start(vcpu);
    vcpu->changed = VCPU_VIEW;
    go_on_long();
    own.satp = 0;
}

void brief_fill(void)
{
    struct vcpu *vcpu = &rig.vcpu;
    for (unsigned reg = 1; reg < 32; reg++)
        vcpu->x[reg] = some();
    for (unsigned view = 0; view < 2; view++)
        tables[view][511] = random() & 1 ? PTE_SHARED | PTE_V : 0;
    vcpu->csr.sstatus = some() & VCSR_SSTATUS & ~SSTATUS_MXR;
    vcpu->csr.sscratch = some();
    vcpu->csr.sepc = some() & ~1ul;
    vcpu->csr.stval = some();
    vcpu->csr.scounteren = some() & 7;
    vcpu->csr.senvcfg = some() & (SENVCFG_CBIE | SENVCFG_CBCFE | SENVCFG_CBZE);
    own.more_rights = (uint32_t)random() & 3;
    hart_csr[CSR_SSTATUS] = random() & 1 ? SSTATUS_SD : 0;
    vcpu->changed = VCPU_VIEW; /* as the exit before has left it */
    go_on_long();
    own.fault_gva = random() & 1 ? SHADOW_NO_FAULT : 0x5000;
    if (vcpu->mode == VMODE_S) { /* and what trampolines have written since */
        inlined.page.sepc = some();
        inlined.page.sscratch = some();
        inlined.page.sstatus ^= some() & (SSTATUS_SPIE | SSTATUS_SUM | SSTATUS_SPP | SSTATUS_FS);
        inlined.page.sie = some() & SSTATUS_SIE;
        hart_csr[CSR_SSTATUS] = 0; /* FS is Off */
    }
}

static void save(struct state *state)
{
    memset(state, 0, sizeof(*state));
    state->vcpu = rig.vcpu;
    state->own = own;
    state->inlined = inlined;
    state->hart = *rig.hart;
    state->scounteren = hart_csr[CSR_SCOUNTEREN];
    state->senvcfg = hart_csr[CSR_SENVCFG];
    state->retries = retries;
    state->root_switches = rig.vm.stats.memory.root_switches;
}

static void restore(const struct state *state)
{
    rig.vcpu = state->vcpu;
    own = state->own;
    inlined = state->inlined;
    *rig.hart = state->hart;
    hart_csr[CSR_SCOUNTEREN] = state->scounteren;
    hart_csr[CSR_SENVCFG] = state->senvcfg;
    rig.vm.stats.memory.root_switches = state->root_switches;
    retries = state->retries;
}

static void check_same(const struct state *a, const struct state *b)
{
    assert_memory_equal(&a->vcpu, &b->vcpu, sizeof(a->vcpu));
    assert_memory_equal(&a->own, &b->own, sizeof(a->own));
    assert_memory_equal(&a->inlined, &b->inlined, sizeof(a->inlined));
    assert_memory_equal(&a->hart, &b->hart, sizeof(a->hart));
    rig_equal(a->scounteren, b->scounteren);
    rig_equal(a->senvcfg, b->senvcfg);
    rig_equal(a->root_switches, b->root_switches);
    rig_equal(a->retries, b->retries);
}

static struct state before, brief, wanted;

bool brief_compare(void (*long_way)(void))
{
    save(&before);
    struct brief done = trap_brief(&rig.vcpu);
    assert_ptr_equal(done.vcpu, &rig.vcpu);
    save(&brief);
    if (!done.done) {
        check_same(&brief, &before);
        return false;
    }
    restore(&before);
    own.swaps = brief.own.swaps; /* it may have been found in the meantime */
    long_way();
    save(&wanted);
    check_same(&brief, &wanted);
    return true;
}
