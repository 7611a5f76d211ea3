/*
 * Brief exits (core/engine/trap/brief.c) beside the long way: whatever a brief exit does, the
 * vcpu, the page of virtual CSRs and the hart are as trap_handle() would have left them; and when
 * it does nothing, nothing has changed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/trap/brief.h"
#include "engine/trap/inline.h"
#include "engine/trap/patch.h"
#include "engine/trap/rights.h"
#include "engine/trap/shadow_internal.h"
#include "isa/encode.h"
#include "rig.h"
#include "rv.h"

#define ROUNDS 20000u
#define SATP   (SATP_MODE_SV39 << SATP_MODE_SHIFT | 3ul << SATP_ASID_SHIFT | 0x80300)

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

static struct trap_vcpu own;
static struct inlined inlined;
static struct shadow shadow;
static struct site sites[SITES];
static uint64_t tables[2][512];

/* --- The parts beside it --- */

static void *unexpected(void)
{
    fail_msg("nothing is mapped, and nothing given up");
    return NULL;
}

void shadow_put_fixed(struct vcpu *of, uint64_t gva, uint64_t hpa, uint64_t rights)
{
    (void)of, (void)gva, (void)hpa, (void)rights;
    unexpected();
}

uint64_t *shadow_leaf(const struct vcpu *of, uint64_t gva, unsigned *level)
{
    (void)of, (void)gva, (void)level;
    return unexpected();
}

void shadow_drop_leaf(struct vcpu *of, uint64_t gva)
{
    (void)of, (void)gva;
    unexpected();
}

void shadow_drop_all(struct vm *of)
{
    (void)of;
    unexpected();
}

void shadow_tlb_flush(struct vm *of)
{
    (void)of;
    unexpected();
}

void patch_drop_all(struct vm *of)
{
    (void)of;
    unexpected();
}

uint64_t walk_guest(struct vm *of, const struct walk_mode *mode, uint64_t gva, enum access access,
                    struct walk *walk)
{
    (void)of, (void)mode, (void)gva, (void)access, (void)walk;
    unexpected();
    return 0;
}

const uint64_t *walk_table(struct vm *of, uint64_t satp, uint64_t gva, unsigned level, bool *global)
{
    (void)of, (void)satp, (void)gva, (void)level, (void)global;
    return unexpected();
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

static void call_long(void)
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

static void return_long(void)
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

static struct site *site_at(uint64_t pc)
{
    const struct vcpu at = {.pc = pc, .engine = &own};
    return site_slot(&at);
}

static void put_site(uint64_t pc, uint32_t raw)
{
    *site_at(pc) = (struct site){
        .pc = pc, .tag = SATP, .epoch = shadow.code_epoch, .insn = insn_decode(raw)};
}

static void setup(const char *name, enum vmode mode)
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

/* Random contents of what the guest owns. */
static void fill(void)
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

/* Both ways from here on. True: it was brief. */
static bool compare(void (*long_way)(void))
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

/* --- Tests --- */

/* pc of the kernel's SRET, of which the engine knows. */
static void know_return(void)
{
    rig.vcpu.pc = RIG_PC;
    put_site(RIG_PC, RV_SRET);
    brief_note_return(&rig.vcpu, site_at(RIG_PC));
}

static void test_call(void **state)
{
    unsigned done = 0;
    (void)state;
    srandom(1);
    for (unsigned i = 0; i < ROUNDS; i++) {
        setup("call", VMODE_U);
        fill();
        rig.vcpu.csr.stvec = RIG_STVEC | (random() & 1);
        if (random() & 1)
            put_site(RIG_STVEC, rv_csr(RV_RW, 4, CSR_SSCRATCH, 4));
        done += compare(call_long);
    }
    rig_equal(done, ROUNDS);
    rig_equal(rig.vm.stats.brief[STATS_SYSCALL], 1);
    rig_equal(rig.vm.stats.brief[STATS_SRET], 0);
}

static void test_return(void **state)
{
    unsigned done = 0, to_kernel = 0;
    (void)state;
    srandom(2);
    for (unsigned i = 0; i < ROUNDS; i++) {
        setup("return", VMODE_S);
        fill();
        know_return();
        bool plain = !(inlined.page.sstatus & SSTATUS_SPP);
        rig_equal(compare(return_long), plain);
        done += plain;
        to_kernel += !plain;
    }
    assert_true(done > ROUNDS / 4 && to_kernel > ROUNDS / 4);
}

/* The handler's first instruction. */
static const struct {
    const char *name;
    uint32_t raw;
    bool done;
} swaps[] = {
    {"csrrw tp, sscratch, tp", 0x14021273, true},  {"csrrw sp, sscratch, sp", 0x14011173, true},
    {"csrrw a0, sscratch, a0", 0x14051573, true},  {"csrrw t6, sscratch, a0", 0x14051ff3, true},
    {"csrrw s0, sscratch, s0", 0x14041473, false}, /* a register that is not saved */
    {"csrrw a0, sscratch, s0", 0x14041573, false}, {"csrrw s0, sscratch, a0", 0x14051473, false},
    {"csrw sscratch, a0", 0x14051073, false},      {"csrrs a0, sscratch, a0", 0x14052573, false},
    {"csrrw a0, sepc, a0", 0x14151573, false},     {"csrrwi a0, sscratch, 1", 0x1400d573, false},
    {"addi a0, a0, 1", 0x00150513, false},
};

static void test_swap(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROWS(swaps); i++) {
        setup(swaps[i].name, VMODE_U);
        rig.vcpu.csr.sscratch = 0x4711;
        rig.vcpu.x[10] = 0x1234;
        rig.vcpu.csr.stvec = RIG_STVEC;
        put_site(RIG_STVEC, swaps[i].raw);
        assert_true(compare(call_long));
        rig_equal(rig.vcpu.pc, swaps[i].done ? RIG_STVEC + 4 : RIG_STVEC);
        rig_equal(own.swaps.epoch != 0, swaps[i].done);
        rig_equal(inlined.page.sscratch == 0x4711, !swaps[i].done);
    }
}

/* A swap that was known is not carried out when other code may be there, or for another space. */
static void test_swap_forgotten(void **state)
{
    (void)state;
    for (unsigned change = 0; change < 3; change++) {
        setup("call", VMODE_U);
        rig.vcpu.csr.stvec = RIG_STVEC;
        put_site(RIG_STVEC, 0x14021273);
        assert_true(compare(call_long));
        rig_equal(rig.vcpu.pc, RIG_STVEC + 4);
        rig.vcpu.mode = VMODE_U;
        shadow.code_epoch += change == 1;
        if (change == 2)
            rig.vcpu.csr.satp = shadow.space[0].satp = SATP + 1;
        trap_brief(&rig.vcpu);
        rig_equal(rig.vcpu.pc, change ? RIG_STVEC : RIG_STVEC + 4);
    }
}

/* What is not plain goes the long way. */
static void no_space(void)
{
    own.space = NULL;
}

static void other_space(void)
{
    rig.vcpu.csr.satp++;
}

static void stale_space(void)
{
    own.space->stale = true;
}

static void freed_space(void)
{
    own.space->used = 0;
}

static void no_roots(void)
{
    memset(own.space->root, 0, sizeof(own.space->root));
}

static void mxr(void)
{
    rig.vcpu.csr.sstatus |= SSTATUS_MXR;
}

static void work_is_left(void)
{
    rig.vcpu.changed = VCPU_INTERRUPTS;
}

static void lost(void)
{
    inlined.lost = true;
}

static void low_lost(void)
{
    inlined.low_lost = true;
}

static void to_be_checked(void)
{
    inlined.check = true;
}

static void float_is_open(void)
{
    inlined.float_open = true;
}

static void other_spaces(void)
{
    shadow.space_epoch++;
}

static void timed(void)
{
    brief_end(&rig.vcpu);
}

static void external(void)
{
    rig.vcpu.external = true;
}

static void pending(void)
{
    inlined.page.pending = SIP_STIP;
}

static void moved(void)
{
    shadow.code_epoch++;
}

static void other_code(void)
{
    rig.vcpu.pc += 4;
}

static void page_mxr(void)
{
    inlined.page.sstatus |= SSTATUS_MXR;
}

static const struct {
    const char *name;
    void (*make)(void);
    bool call, back; /* of which way it is */
} unplain[] = {
    {"no space", no_space, true, true},
    {"another space", other_space, true, true},
    {"a stale space", stale_space, true, true},
    {"a space that was freed", freed_space, true, true},
    {"roots that are not built", no_roots, true, true},
    {"MXR", mxr, true, true},
    {"MXR by a trampoline", page_mxr, false, true},
    {"work is left", work_is_left, true, true},
    {"no inlining", lost, true, true},
    {"no trampolines", low_lost, true, true},
    {"the guest's tables may have changed", to_be_checked, true, true},
    {"the FPU is open", float_is_open, true, true},
    {"the space has changed", other_spaces, true, true},
    {"exits are timed", timed, true, true},
    {"an external interrupt", external, true, false},
    {"an interrupt is due", pending, false, true},
    {"code has changed", moved, false, true},
    {"another instruction", other_code, false, true},
};

static void test_unplain(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROWS(unplain); i++) {
        for (enum vmode mode = VMODE_U; mode <= VMODE_S; mode++) {
            setup(unplain[i].name, mode);
            rig.vcpu.csr.stvec = RIG_STVEC;
            inlined.page.sstatus &= ~SSTATUS_SPP;
            know_return();
            if (!(mode == VMODE_S ? unplain[i].back : unplain[i].call))
                continue;
            unplain[i].make();
            rig_equal(trap_brief(&rig.vcpu).done, 0);
        }
    }
}

/* Only a known SRET, and only at PATCH=inline without a timeline and without times. */
static void test_start(void **state)
{
    (void)state;
    setup("return", VMODE_S);
    rig_equal(own.brief, true);
    put_site(RIG_PC, rv_csr(RV_RW, 0, CSR_SSCRATCH, 10));
    brief_note_return(&rig.vcpu, site_at(RIG_PC));
    rig_equal(own.returns.epoch, 0);
    rig.vm.timed = true;
    brief_start(&rig.vcpu);
    rig_equal(own.brief, false);
    know_return();
    rig_equal(own.returns.epoch, 0);
    rig.vm.timed = false;
    own.inlined = NULL;
    brief_start(&rig.vcpu);
    rig_equal(own.brief, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_call),    cmocka_unit_test(test_return),
        cmocka_unit_test(test_swap),    cmocka_unit_test(test_swap_forgotten),
        cmocka_unit_test(test_unplain), cmocka_unit_test(test_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
