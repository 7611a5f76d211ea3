/*
 * Running ahead: a small interpreter for what lies between two sensitive instructions of a guest
 * kernel: integer loads and stores to mapped RAM or to a device, arithmetic, branches.
 *
 * It never raises a memory fault itself: an access that is not plainly mapped ends the run, and the
 * guest executes it. Surprise: SC always fails here, as it may whenever a trap lies between it and
 * its LR.
 */
#include "engine/trap/ahead.h"

#include <string.h>

#include "engine/trap/shadow_internal.h"
#include "host/hart.h"
#include "host/map.h"
#include "isa/interpret.h"
#include "vm/emulate.h"
#include "vm/priv.h"
#include "vm/vm.h"

/* After a long access, so many others at the same pc are taken for long. */
#define REACH_LATER 15u
/* Instructions, a trace more or less, between two readings of the clock. */
#define CLOCK_AFTER 64u
/* They fit between a page's number and the bits that an aligned address clears. */
#define GENERATIONS 512u

static uint64_t tag_of(const struct ahead *ahead, uint64_t gva)
{
    return (gva & ~PAGE_MASK) | ahead->generation << 3;
}

RARE static void begin_again(struct ahead *ahead)
{
    ahead->generation = 1;
    memset(ahead->page, 0, sizeof(ahead->page));
    memset(ahead->device, 0, sizeof(ahead->device));
}

/* What was found in another root, or before a flush, is stale. */
static inline void check_pages(struct vcpu *vcpu)
{
    struct ahead *ahead = trap_of(vcpu)->ahead;
    uint64_t epoch = shadow_of(vcpu->vm)->flush_epoch;
    if (ahead->root == trap_of(vcpu)->root && ahead->flush_epoch == epoch)
        return;
    ahead->root = trap_of(vcpu)->root;
    ahead->flush_epoch = epoch;
    if (++ahead->generation >= GENERATIONS)
        begin_again(ahead);
}

/* RAM of the page of gva behind a leaf with this permission; else null. */
static uint8_t *ram_of(const struct vcpu *vcpu, const uint64_t *entry, unsigned level, uint64_t gva,
                       uint64_t permission)
{
    if (!entry || !(*entry & permission))
        return NULL;
    uint64_t page_mask = (1ul << (PAGE_SHIFT + 9 * level)) - 1;
    uint64_t hpa = (PTE_PPN(*entry) << PAGE_SHIFT) + (gva & page_mask);
    return vm_is_ram(vcpu->vm, hpa - vcpu->vm->ram.hpa_offset) ? map_hpa(hpa & ~PAGE_MASK) : NULL;
}

/* RAM behind gva in the current root; with SUM also in the process's, whose pages the kernel may
 * then read and write as the process may. */
static uint8_t *look_up(struct vcpu *vcpu, uint64_t gva, uint64_t permission, bool sum)
{
    unsigned level;
    const uint64_t *entry = shadow_leaf(vcpu, gva, &level);
    uint8_t *ram = ram_of(vcpu, entry, level, gva, permission);
    if (ram || !sum)
        return ram;
    entry = shadow_user_leaf(vcpu, gva, &level);
    return ram_of(vcpu, entry, level, gva, permission);
}

/* RAM for an aligned load or store at gva, or null. */
static inline uint8_t *mapped_ram(struct vcpu *vcpu, uint64_t gva, unsigned width, bool is_store)
{
    struct ahead *ahead = trap_of(vcpu)->ahead;
    bool sum = vcpu->csr.sstatus & SSTATUS_SUM;
    struct ahead_page *page = &ahead->page[sum][is_store][(gva >> PAGE_SHIFT) & (AHEAD_PAGES - 1)];
    if (page->tag != (tag_of(ahead, gva) | (gva & (width - 1)))) {
        uint8_t *ram = gva & (width - 1) ? NULL : look_up(vcpu, gva, is_store ? PTE_W : PTE_R, sum);
        if (!ram)
            return NULL;
        *page = (struct ahead_page){tag_of(ahead, gva), ram};
    }
    return page->ram + (gva & PAGE_MASK);
}

static uint64_t address_of(const struct vcpu *vcpu, const struct insn *insn)
{
    return vcpu->x[insn->rs1] + (uint64_t)(int64_t)insn->imm;
}

static uint64_t address_behind(uint64_t pc, const struct insn *jump)
{
    return pc + (uint64_t)(int64_t)jump->imm;
}

static inline void set(struct vcpu *vcpu, const struct insn *insn, uint64_t value)
{
    vcpu->x[insn->rd] = value;
    vcpu->x[0] = 0;
}

static void swap_sscratch(struct vcpu *vcpu, const struct insn *insn)
{
    uint64_t before = vcpu->csr.sscratch;
    vcpu->csr.sscratch = vcpu->x[insn->rs1];
    interpret_set(vcpu->x, insn->rd, before);
}

static struct ahead_device *device_of(const struct vcpu *vcpu, const struct insn *insn)
{
    bool sum = vcpu->csr.sstatus & SSTATUS_SUM;
    return &trap_of(vcpu)->ahead->device[sum][insn->op == INSN_STORE];
}

/* Whether the page of gva is that of the device that was accessed last, and insn may go there. */
static bool is_known_device(const struct vcpu *vcpu, const struct insn *insn, uint64_t gva)
{
    uint64_t tag = tag_of(trap_of(vcpu)->ahead, gva) | (gva & (insn->width - 1u));
    return device_of(vcpu, insn)->tag == tag && insn->op != INSN_SC;
}

/* Translates an aligned load or store whose page is not mapped RAM; sets A and D. False: it is no
 * device's, or it would fault; nothing has happened. */
static bool translate(struct vcpu *vcpu, const struct insn *insn, uint64_t gva, uint64_t *gpa)
{
    enum access access = insn->op == INSN_LOAD ? ACCESS_LOAD : ACCESS_STORE;
    struct walk_mode mode = walk_mode_of(vcpu);
    struct walk walk;
    mode.probe = true; /* A and D belong to an access that happens */
    if ((gva & (insn->width - 1u)) || walk_guest(vcpu->vm, &mode, gva, access, &walk) ||
        shadow_is_backed(vcpu->vm, walk.gpa))
        return false;
    mode.probe = false;
    *gpa = walk.gpa;
    return !walk_guest(vcpu->vm, &mode, gva, access, &walk);
}

/* A load or store of a device, whose address was translated lately or is now. */
static bool access_device(struct vcpu *vcpu, const struct insn *insn, uint64_t gva)
{
    struct ahead *ahead = trap_of(vcpu)->ahead;
    struct ahead_device *device = device_of(vcpu, insn);
    if (!is_known_device(vcpu, insn, gva)) {
        uint64_t gpa;
        if (!translate(vcpu, insn, gva, &gpa))
            return false;
        *device = (struct ahead_device){tag_of(ahead, gva), gpa & ~PAGE_MASK};
    }
    return emulate_access(vcpu, insn, device->gpa | (gva & PAGE_MASK), true);
}

/* A load, store or SC of any width. False: the guest shall execute it itself. */
static bool access_memory(struct vcpu *vcpu, const struct insn *insn)
{
    uint64_t gva = address_of(vcpu, insn);
    if (is_known_device(vcpu, insn, gva))
        return access_device(vcpu, insn, gva);
    uint8_t *ram = mapped_ram(vcpu, gva, insn->width, insn->op != INSN_LOAD);
    if (!ram)
        return insn->op != INSN_SC && ahead_is_device(trap_of(vcpu)->ahead, vcpu->pc) &&
               access_device(vcpu, insn, gva);
    if (insn->op == INSN_LOAD)
        interpret_set(vcpu->x, insn->rd, interpret_load(ram, insn));
    else if (insn->op == INSN_STORE)
        interpret_store(ram, vcpu->x[insn->rs2], insn->width);
    else
        interpret_set(vcpu->x, insn->rd, 1);
    return true;
}

/* A row of LD or SD whose addresses lie in one page. False: they do not, or it is not RAM. */
static bool access_row(struct vcpu *vcpu, const struct ahead_insn *row)
{
    bool is_store = row->kind == AHEAD_STORES;
    uint64_t first = vcpu->x[row->insn.rs1] + (uint64_t)(int64_t)row->low;
    uint64_t last = vcpu->x[row->insn.rs1] + (uint64_t)(int64_t)row->high;
    uint8_t *ram = (first ^ last) >> PAGE_SHIFT ? NULL : mapped_ram(vcpu, first, 8, is_store);
    if (!ram)
        return false;
    const struct ahead_insn *end = row + row->row;
    ram -= row->low;
    if (is_store)
        for (; row < end; row++)
            *(uint64_t *)(ram + row->insn.imm) = vcpu->x[row->insn.rs2];
    else
        for (; row < end; row++)
            vcpu->x[row->insn.rd] = *(const uint64_t *)(ram + row->insn.imm);
    return true;
}

/* After a sensitive instruction, or a device's: whether the guest goes on as it was, in the same
 * root and with no interrupt due. */
HOT static bool may_go_on(struct vcpu *vcpu)
{
    if (vcpu->mode != VMODE_S || ((vcpu->changed & VCPU_VIEW) && !shadow_view_holds(vcpu)))
        return false;
    vcpu->changed &= (uint8_t)~VCPU_VIEW;
    bool taken = vcpu->csr.sstatus & SSTATUS_SIE;
    if ((vcpu->changed & VCPU_INTERRUPTS) &&
        (vcpu->hart->spent || (taken && (vcpu_sip(vcpu) & vcpu->csr.sie))))
        return false;
    vcpu->changed &= (uint8_t)~VCPU_INTERRUPTS;
    check_pages(vcpu);
    return true;
}

/* One trace. True: all of it, or it was left by a jump, and another may follow. */
static bool run_trace(struct vcpu *vcpu, const struct ahead_trace *trace, uint64_t *executed)
{
    uint64_t pc = vcpu->pc;
    const struct ahead_insn *end = trace->insn + trace->count;
    for (const struct ahead_insn *ahead = trace->insn; ahead < end; ahead++, ++*executed) {
        const struct insn *insn = &ahead->insn;
        uint64_t next = pc + insn->length, after;
        uint8_t *ram;
        switch ((enum ahead_kind)ahead->kind) {
        case AHEAD_ADD: set(vcpu, insn, address_of(vcpu, insn)); break;
        case AHEAD_LOADS:
        case AHEAD_STORES:
            if (!access_row(vcpu, ahead))
                goto other_memory;
            next = pc + ahead->bytes;
            *executed += ahead->row - 1u;
            ahead += ahead->row - 1;
            break;
        case AHEAD_LOAD_64:
            ram = mapped_ram(vcpu, address_of(vcpu, insn), 8, false);
            if (!ram)
                goto other_memory;
            set(vcpu, insn, *(const uint64_t *)ram);
            break;
        case AHEAD_STORE_64:
            ram = mapped_ram(vcpu, address_of(vcpu, insn), 8, true);
            if (!ram)
                goto other_memory;
            *(uint64_t *)ram = vcpu->x[insn->rs2];
            break;
        other_memory:
        case AHEAD_LOAD:
        case AHEAD_STORE:
        case AHEAD_SC:
            vcpu->pc = pc;
            if (!access_memory(vcpu, insn))
                return false;
            vcpu->pc = next;
            if ((vcpu->changed & (VCPU_INTERRUPTS | VCPU_VIEW)) && !may_go_on(vcpu))
                return false;
            break;
        case AHEAD_PLAIN:
            after = interpret_plain(vcpu->x, pc, insn);
            if (after == next)
                break;
            vcpu->pc = after;
            return true;
        case AHEAD_EQUAL:
        case AHEAD_UNEQUAL:
            if ((vcpu->x[insn->rs1] == vcpu->x[insn->rs2]) != (ahead->kind == AHEAD_EQUAL))
                break;
            vcpu->pc = address_behind(pc, insn);
            return true;
        case AHEAD_SWAP: swap_sscratch(vcpu, insn); break;
        case AHEAD_SENSITIVE:
            vcpu->pc = pc;
            priv_execute(vcpu, insn);
            if (!may_go_on(vcpu))
                return false;
            if (vcpu->pc != next)
                return true;
            break;
        }
        pc = next;
    }
    vcpu->pc = pc;
    return trace->goes_on;
}

/* Trace by trace, until none is worth it, limit instructions were carried out, or the guest is to
 * go on itself. Returns how many. What the sensitive ones among them would be counted as is
 * nobody's: the run belongs to the exit that it follows. */
HOT static uint64_t run(struct vcpu *vcpu, const struct ahead_trace *trace, uint64_t limit,
                        bool reach)
{
    uint64_t executed = 0, clock = CLOCK_AFTER;
    check_pages(vcpu);
    while (trace && ++executed < limit && run_trace(vcpu, trace, &executed) &&
           (!reach || (vcpu->csr.sstatus & SSTATUS_SUM))) {
        if (executed >= clock) {
            if (hart_is_spent())
                break;
            clock = executed + CLOCK_AFTER;
        }
        trace = ahead_find(vcpu, reach); /* the jump that left the last one has been counted, too */
    }
    if (executed) {
        vcpu->vm->stats.memory.ahead_runs++;
        vcpu->vm->stats.memory.ahead_instructions += executed;
    }
    return executed;
}

HOT uint64_t ahead_run(struct vcpu *vcpu)
{
    const struct ahead_trace *trace = ahead_find(vcpu, false);
    return trace ? run(vcpu, trace, AHEAD_BUDGET, false) : 0;
}

HOT uint64_t ahead_reach(struct vcpu *vcpu)
{
    uint64_t pc = vcpu->pc;
    uint8_t *later = &trap_of(vcpu)->ahead->reach_later[(pc >> 1) & (AHEAD_HINTS - 1)];
    if (*later) {
        --*later;
        shadow_reach_user(vcpu);
        return 1;
    }
    uint64_t executed = run(vcpu, ahead_find(vcpu, true), AHEAD_REACH, true);
    if ((vcpu->csr.sstatus & SSTATUS_SUM) && executed >= AHEAD_REACH) {
        *later = REACH_LATER;
        shadow_reach_user(vcpu);
    }
    return vcpu->pc != pc || executed > 1 ? executed
                                          : 0; /* the first counts before it is carried out */
}
