/*
 * Running ahead: a small interpreter for what lies between two sensitive instructions of a guest kernel:
 * integer loads and stores to mapped RAM or to a device, arithmetic, branches.
 *
 * It never raises a memory fault itself: an access that is not plainly mapped ends the run, and the
 * guest executes it. Surprise: SC always fails here, as it may whenever a trap lies between it and its LR.
 */
#include "cpu/ahead.h"

#include <string.h>

#include "cpu/emulate.h"
#include "cpu/interpret.h"
#include "cpu/priv.h"
#include "memory/map.h"
#include "memory/patch.h"
#include "memory/shadow_internal.h"
#include "vm.h"

/* --- Traces --------------------------------------------------------------------------------------- */

static uint64_t *device_hint(struct ahead *ahead, uint64_t pc)
{
    return &ahead->device_pc[(pc >> 1) & (AHEAD_HINTS - 1)];
}

void ahead_note_device(struct vcpu *vcpu, uint64_t pc)
{
    uint64_t *hint = device_hint(vcpu->ahead, pc);
    if (*hint == pc)
        return;
    *hint = pc;
    vcpu->ahead->hint_epoch++; /* traces that were not worth it may be now */
}

static bool is_plain(const struct insn *insn)
{
    return insn->op == INSN_LOAD || insn->op == INSN_STORE || insn->op == INSN_SC ||
           insn->op >= INSN_ALU_IMM;
}

static bool ends_trace(const struct insn *insn)
{
    return insn->op == INSN_JAL || insn->op == INSN_JALR || insn->op == INSN_SRET ||
           insn->op == INSN_SFENCE_VMA || insn->op == INSN_SINVAL_VMA;
}

/* What carrying out a plain instruction costs, in the VMM's instructions: finding a page is dear, so a
 * register's neighbours are cheap behind the first. A trap that is saved is worth about 400, and more in
 * time; the register stores of a trap handler's entry shall still be worth it. */
static unsigned cost_of(const struct insn *insn, uint8_t *base)
{
    if (insn->op >= INSN_ALU_IMM)
        return 10;
    unsigned cost = insn->rs1 == *base ? 20 : 100;
    *base = insn->rs1;
    return cost;
}

/* Decodes from pc on, and keeps what leads to the last instruction that would trap. */
static void build(struct vcpu *vcpu, struct ahead_trace *trace, const uint8_t *page)
{
    uint64_t offset = trace->pc & PAGE_MASK;
    unsigned cost = 0;
    uint8_t base = 0;
    trace->count = 0;
    for (unsigned i = 0; i < AHEAD_TRACE && offset <= PAGE_SIZE - 4 && cost <= AHEAD_COST; i++) {
        uint32_t raw;
        memcpy(&raw, page + offset, sizeof(raw));
        struct insn *insn = &trace->insn[i];
        *insn = insn_decode(raw);
        uint64_t pc = (trace->pc & ~PAGE_MASK) + offset;
        bool device = is_plain(insn) && *device_hint(vcpu->ahead, pc) == pc;
        bool sensitive = priv_is_sensitive(insn) && insn->op != INSN_WFI;
        if (!sensitive && !is_plain(insn))
            return;
        if (sensitive || device) {
            trace->count = i + 1;
            cost = 0;
        } else {
            cost += cost_of(insn, &base);
        }
        if (ends_trace(insn))
            return;
        offset += insn->length;
    }
}

/* The trace at the vcpu's pc, or null when nothing there is worth it. When only the mapping of code has
 * changed somewhere, it is enough that this pc still executes from the same patched page. */
static const struct ahead_trace *find(struct vcpu *vcpu)
{
    const struct shadow *shadow = vcpu->vm->shadow;
    struct ahead_trace *trace = &vcpu->ahead->trace[(vcpu->pc >> 1) & (AHEAD_TRACES - 1)];
    uint64_t tag = vcpu_code_tag(vcpu);
    uint64_t contents = shadow->patch_epoch + vcpu->ahead->hint_epoch;
    if (trace->pc != vcpu->pc || trace->epoch != shadow->code_epoch || trace->tag != tag ||
        trace->contents != contents) {
        const uint8_t *page = patch_page(vcpu, vcpu->pc);
        if (!page)
            return NULL;
        if (trace->pc != vcpu->pc || trace->page != page || trace->contents != contents) {
            trace->pc = vcpu->pc;
            build(vcpu, trace, page);
        }
        trace->page = page;
        trace->tag = tag;
        trace->epoch = shadow->code_epoch;
        trace->contents = contents;
    }
    return trace->count ? trace : NULL;
}

/* --- Carrying out --------------------------------------------------------------------------------- */

/* RAM behind gva in the current root, if its leaf has this permission; else null. */
static uint8_t *look_up(struct vcpu *vcpu, uint64_t gva, uint64_t permission)
{
    unsigned level;
    const uint64_t *entry = shadow_leaf(vcpu, gva, &level);
    if (!entry || !(*entry & permission))
        return NULL;
    uint64_t page_mask = (1ul << (PAGE_SHIFT + 9 * level)) - 1;
    uint64_t hpa = (PTE_PPN(*entry) << PAGE_SHIFT) + (gva & page_mask);
    return shadow_is_ram(vcpu->vm, hpa - vcpu->vm->ram.hpa_offset) ? map_hpa(hpa & ~PAGE_MASK)
                                                                   : NULL;
}

/* RAM for an aligned load or store at gva, or null. */
static uint8_t *mapped_ram(struct vcpu *vcpu, uint64_t gva, unsigned width, bool is_load)
{
    struct ahead *ahead = vcpu->ahead;
    uint64_t slot = (gva >> PAGE_SHIFT) & (AHEAD_PAGES - 1), epoch = vcpu->vm->shadow->flush_epoch;
    struct ahead_page *page = is_load ? &ahead->load_page[slot] : &ahead->store_page[slot];
    if (gva & (width - 1))
        return NULL;
    if (page->gva != (gva & ~PAGE_MASK) || page->epoch != epoch || page->root != vcpu->root) {
        uint8_t *ram = look_up(vcpu, gva, is_load ? PTE_R : PTE_W);
        if (!ram)
            return NULL;
        *page = (struct ahead_page){vcpu->root, gva & ~PAGE_MASK, epoch, ram};
    }
    return page->ram + (gva & PAGE_MASK);
}

/* A load, store or SC. False: the guest shall execute it itself. */
static bool access_memory(struct vcpu *vcpu, const struct insn *insn)
{
    uint64_t gva = vcpu->x[insn->rs1] + (uint64_t)(int64_t)insn->imm;
    bool is_load = insn->op == INSN_LOAD;
    uint8_t *ram = mapped_ram(vcpu, gva, insn->width, is_load);
    if (!ram) /* perhaps a device's */
        return insn->op != INSN_SC && *device_hint(vcpu->ahead, vcpu->pc) == vcpu->pc &&
               emulate_ahead(vcpu, insn, gva);
    if (is_load)
        interpret_set(vcpu, insn->rd, interpret_load(ram, insn));
    else if (insn->op == INSN_STORE)
        interpret_store(ram, vcpu->x[insn->rs2], insn->width);
    else
        interpret_set(vcpu, insn->rd, 1);
    vcpu->pc += insn->length;
    return true;
}

/* One trace. True: it was left by a jump, and another may follow. */
static bool run_trace(struct vcpu *vcpu, const struct ahead_trace *trace, uint64_t *executed)
{
    for (const struct insn *insn = trace->insn; insn < trace->insn + trace->count; insn++) {
        uint64_t next = vcpu->pc + insn->length;
        ++*executed;
        if (insn->op >= INSN_ALU_IMM) {
            interpret_plain(vcpu, insn);
        } else if (is_plain(insn)) {
            if (!access_memory(vcpu, insn))
                return false;
        } else {
            priv_execute(vcpu, insn);
        }
        if (vcpu->interrupts_stale || vcpu->view_stale)
            return false;
        if (vcpu->pc != next)
            return true;
    }
    return false;
}

void ahead_run(struct vcpu *vcpu)
{
    uint8_t exit_class = vcpu->exit_class; /* the run belongs to the exit that it follows */
    uint32_t exit_detail = vcpu->exit_detail;
    uint64_t executed = 0;
    const struct ahead_trace *trace;
    while (executed < AHEAD_BUDGET && (trace = find(vcpu)) != NULL)
        if (!run_trace(vcpu, trace, &executed))
            break;
    vcpu->exit_class = exit_class;
    vcpu->exit_detail = exit_detail;
    if (executed) {
        vcpu->vm->stats.memory.ahead_runs++;
        vcpu->vm->stats.memory.ahead_instructions += executed;
    }
}
