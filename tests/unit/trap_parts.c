/* The parts of the trap engine, replaced. See trap_parts.h. */
#include "trap_parts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/trap/ahead.h"
#include "host/panic.h"
#include "isa/encode.h"
#include "vm/emulate.h"
#include "vm/priv.h"
#include "vm/run.h"

struct parts parts;
struct parts_state parts_state;

static jmp_buf panicked;
static const char *const names[] = {"fetch", "load", "store"};

void panic(const char *format, ...)
{
    (void)format;
    longjmp(panicked, 1);
}

/* --- The instruction at pc --- */

uint64_t patch_fetch(const struct vcpu *vcpu, uint64_t gva, struct patch_code *code)
{
    bool here = gva == vcpu->pc;
    assert_true(here || gva == vcpu->pc - PAGE_SIZE);
    *code = (struct patch_code){.raw = here ? parts.code : parts.before};
    return here ? parts.unknown : parts.before ? 0 : PATCH_AGAIN;
}

static const struct insn *read_code(struct vcpu *vcpu, struct exit *exit)
{
    struct insn *insn = &trap_of(vcpu)->insn;
    *insn = insn_decode(parts.code);
    if (!parts.lost)
        return insn;
    *exit = exit_of(EXIT_PATCH, EXIT_PATCH_RUN_AGAIN);
    return NULL;
}

const struct insn *site_read(struct vcpu *vcpu, struct exit *exit)
{
    rig_note("site_read");
    return read_code(vcpu, exit);
}

const struct insn *site_fetch(struct vcpu *vcpu, struct exit *exit)
{
    rig_note("site_fetch");
    return read_code(vcpu, exit);
}

struct site *parts_site(void)
{
    const struct vcpu at = {.pc = RIG_PC, .engine = &parts_state.own};
    return site_slot(&at);
}

void site_renew(struct vcpu *vcpu, struct site *site)
{
    rig_equal(vcpu->pc, RIG_PC);
    assert_ptr_equal(site, parts_site());
    site->sensitive = parts.sensitive;
    site->insn = insn_decode(parts.code);
}

struct exit site_run_again(struct vcpu *vcpu)
{
    (void)vcpu;
    rig_note("site_run_again");
    return exit_of(EXIT_PATCH, EXIT_PATCH_RUN_AGAIN);
}

bool site_may_have_faulted(const struct vcpu *vcpu, const struct insn *insn, uint64_t gva,
                           enum access access)
{
    (void)insn, (void)access;
    rig_equal(gva, trap_of(vcpu)->stval);
    return !parts.cannot_fault;
}

/* --- Copies --- */

bool patch_repair(struct vcpu *vcpu, uint64_t pc)
{
    rig_equal(pc, vcpu->pc);
    return parts.repairs;
}

bool patch_site(struct vcpu *vcpu, uint64_t pc, const struct insn *insn)
{
    (void)insn;
    rig_equal(pc, vcpu->pc);
    rig_note("patch_site");
    return parts.patches;
}

bool patch_promote(struct vcpu *vcpu, uint64_t pc, const struct insn *insn)
{
    (void)insn;
    rig_equal(pc, vcpu->pc);
    rig_note("patch_promote");
    return parts.promotes;
}

void patch_drop(struct vm *vm, uint64_t gpa)
{
    (void)vm;
    rig_note("patch_drop %#lx", gpa);
}

void patch_note_load(struct vm *vm, uint64_t gpa)
{
    (void)vm;
    rig_note("patch_note_load %#lx", gpa);
}

/* --- Shadow page tables --- */

enum shadow_answer shadow_fault(struct vcpu *vcpu, uint64_t gva, enum access access, uint64_t *gpa,
                                uint64_t *cause)
{
    rig_equal(gva, trap_of(vcpu)->stval);
    rig_note("shadow_fault %s", names[access]);
    *gpa = PARTS_GPA;
    *cause = walk_page_fault(access);
    parts_state.shadow.code_epoch += parts.code_changes;
    assert_true(parts_state.asked < 3);
    return parts_state.asked++ ? parts.second : parts.answer;
}

void shadow_select(struct vcpu *vcpu)
{
    rig_note("shadow_select %u", vcpu->mode);
    vcpu->changed &= (uint8_t)~VCPU_VIEW;
}

bool shadow_may_reach(const struct vcpu *vcpu)
{
    (void)vcpu;
    return parts.may_reach;
}

void shadow_retry(struct vcpu *vcpu)
{
    (void)vcpu;
    rig_note("shadow_retry");
}

void shadow_reach_user(struct vcpu *vcpu)
{
    (void)vcpu;
    rig_note("shadow_reach_user");
}

uint64_t shadow_fetch_fault(struct vcpu *vcpu, uint64_t gva)
{
    rig_equal(gva, vcpu->pc);
    return parts.fetch_fault;
}

/* --- Inlining --- */

bool inline_may_map(const struct vcpu *vcpu)
{
    (void)vcpu;
    return parts.maps;
}

void inline_map(struct vcpu *vcpu)
{
    (void)vcpu;
    rig_note("inline_map");
}

void inline_map_low(struct vcpu *vcpu)
{
    (void)vcpu;
    rig_note("inline_map_low");
}

bool inline_give_way(struct vcpu *vcpu, uint64_t gva)
{
    rig_equal(gva, trap_of(vcpu)->stval);
    rig_note("inline_give_way");
    return parts.gives_way;
}

bool inline_has_low(const struct vcpu *vcpu)
{
    (void)vcpu;
    return parts.low;
}

void inline_pull_page(struct vcpu *vcpu)
{
    (void)vcpu;
    rig_note("inline_pull_page");
}

void inline_push_page(struct vcpu *vcpu)
{
    (void)vcpu;
    rig_note("inline_push_page");
}

enum inline_finished inline_finish(struct vcpu *vcpu)
{
    rig_note("inline_finish");
    if (parts.finished_pc)
        vcpu->pc = parts.finished_pc;
    return parts.finished;
}

void inline_show_fs(struct vcpu *vcpu)
{
    rig_note("inline_show_fs");
    vcpu->changed &= (uint8_t)~VCPU_FS;
}

void inline_expect_float(struct vcpu *vcpu, const struct insn *insn)
{
    rig_equal(vcpu->changed & VCPU_FS, VCPU_FS);
    rig_equal(insn->raw, insn_decode(parts.code).raw);
    rig_note("inline_expect_float");
}

bool inline_open_float(struct vcpu *vcpu)
{
    (void)vcpu;
    return parts.opens_float;
}

uint32_t inline_form(const struct insn *insn)
{
    (void)insn;
    return parts.form;
}

/* --- Running ahead --- */

uint64_t ahead_run(struct vcpu *vcpu)
{
    rig_note("ahead_run");
    vcpu->changed |= parts.changes;
    return 1;
}

uint64_t ahead_reach(struct vcpu *vcpu)
{
    (void)vcpu;
    rig_note("ahead_reach");
    return parts.reaches;
}

void ahead_note_device(struct vcpu *vcpu, uint64_t pc)
{
    rig_equal(pc, vcpu->pc);
    rig_note("ahead_note_device");
}

/* --- What carries instructions out --- */

bool priv_is_sensitive(const struct insn *insn)
{
    (void)insn;
    return parts.sensitive;
}

struct exit priv_execute(struct vcpu *vcpu, const struct insn *insn)
{
    rig_equal(insn->raw, insn_decode(parts.code).raw);
    rig_note("priv_execute");
    vcpu->changed |= parts.changes_fs ? VCPU_FS : 0;
    return exit_of(EXIT_CSR, CSR_SSCRATCH);
}

struct exit emulate_mmio(struct vcpu *vcpu, const struct insn *insn, uint64_t gva, uint64_t gpa,
                         enum access access, bool more)
{
    (void)insn;
    rig_equal(gva, trap_of(vcpu)->stval);
    rig_equal(gpa, PARTS_GPA);
    rig_note("emulate_mmio %s%s", names[access], more ? " more" : "");
    return exit_of(EXIT_MMIO, 0);
}

uint64_t emulate_read(struct vcpu *vcpu, uint64_t gva, unsigned width, uint64_t *value,
                      uint64_t *stval)
{
    (void)vcpu;
    rig_note("emulate_read %#lx %u", gva, width);
    *value = 0x4711;
    *stval = gva + 1;
    return parts.read_fault;
}

void emulate_finish_load(struct vcpu *vcpu, const struct insn *insn, uint64_t value)
{
    (void)vcpu, (void)insn;
    rig_note("emulate_finish_load %#lx", value);
}

struct exit run_interrupt(struct vcpu *vcpu, uint64_t number)
{
    (void)vcpu;
    rig_note("run_interrupt %lu", number);
    rig_pass(100, 7);
    return exit_of(EXIT_INTERRUPT, number);
}

void run_pause(struct vcpu *vcpu, struct exit exit)
{
    rig_note("run_pause %d", exit_class(exit));
    vcpu->vm->paused = false;
}

void run_note_longest(struct vcpu *vcpu, struct exit exit, uint64_t instret)
{
    (void)vcpu, (void)exit, (void)instret;
}

/* --- What a test says --- */

void parts_row(const char *name, const struct parts *answers)
{
    rig_row(name);
    parts = answers ? *answers : (struct parts){0};
    memset(&parts_state, 0, sizeof(parts_state));
    parts_state.inlined.code = &parts_state.code;
    parts_state.own.inlined = parts.inlines ? &parts_state.inlined : NULL;
    parts_state.own.site = parts_state.sites;
    rig.vcpu.engine = &parts_state.own;
    rig.vm.engine_state = &parts_state.shadow;
    rig.vm.options.patch = parts.inlines ? PATCH_INLINE : PATCH_OFF;
}

struct exit parts_trap(uint64_t cause, uint64_t stval)
{
    hart_csr[CSR_SCAUSE] = cause;
    hart_csr[CSR_STVAL] = stval;
    assert_ptr_equal(trap_handle(&rig.vcpu), &rig.vcpu);
    return rig.vm.stats.last;
}

bool parts_panics(uint64_t cause)
{
    if (setjmp(panicked))
        return true;
    parts_trap(cause, 0);
    return false;
}
