/* A VM of one vcpu whose neighbours note what they are asked. See rig.h. */
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "host/io.h"

#define NOTES 4096u

struct rig rig;
uint8_t rig_ram[RIG_RAM_SIZE] __attribute__((aligned(4096)));
uint64_t map_offset;

static char notes[NOTES];
static const char *row;

/* --- The hart --- */

uint64_t io_time(void)
{
    return csr_read(CSR_TIME);
}

uint64_t io_instret(void)
{
    return csr_read(CSR_INSTRET);
}

void rig_pass(uint64_t instructions, uint64_t ticks)
{
    hart_csr[CSR_INSTRET] += instructions;
    hart_csr[CSR_TIME] += ticks;
}

/* --- The engine --- */

static void engine_sync(struct vcpu *vcpu)
{
    (void)vcpu;
    rig_note("sync");
}

static void engine_fence(struct vcpu *vcpu, unsigned by, uint64_t gva, uint64_t asid)
{
    (void)vcpu;
    rig_note("fence %u %#lx %#lx", by, gva, asid);
}

static void engine_ram_written(struct vm *vm, uint64_t gpa, uint64_t len)
{
    (void)vm;
    rig_note("ram_written %#lx %lu", gpa, len);
}

static int engine_map(struct vm *vm, uint64_t gpa, uint64_t hpa, uint64_t size)
{
    (void)vm;
    rig_note("map %#lx %#lx %#lx", gpa, hpa, size);
    return 0;
}

static void engine_expect_dma(struct vm *vm)
{
    (void)vm;
    rig_note("expect_dma");
}

const struct engine rig_engine = {
    .name = "rig",
    .sync = engine_sync,
    .fence = engine_fence,
    .ram_written = engine_ram_written,
    .map = engine_map,
    .expect_dma = engine_expect_dma,
};

/* --- The board --- */

static void board_poll(struct vm *vm)
{
    (void)vm;
    rig_note("poll");
    if (rig.on_poll)
        rig.on_poll();
}

static void board_wake(struct vm *vm)
{
    (void)vm;
    rig_note("wake");
}

static void board_idle(struct vm *vm, bool idle)
{
    (void)vm;
    rig_note("idle %d", idle);
}

static void board_settle(struct vm *vm)
{
    (void)vm;
    rig_note("settle");
    if (rig.on_settle)
        rig.on_settle();
}

static struct exit board_call(struct vcpu *vcpu)
{
    rig_note("call %#lx", vcpu->pc);
    return exit_of(EXIT_SBI, 0x10);
}

const struct vm_board rig_board = {
    .poll = board_poll,
    .wake = board_wake,
    .idle = board_idle,
    .settle = board_settle,
    .call = board_call,
};

/* --- What a test says --- */

static void set_up_vcpu(struct vcpu *vcpu)
{
    vcpu->vm = &rig.vm;
    vcpu->hart = rig.hart;
    vcpu->hartid = RIG_HARTID;
    vcpu->mode = VMODE_S;
    vcpu->borrowed = true;
    vcpu->pc = RIG_PC;
    vcpu->counters = 7;
    vcpu->csr.stvec = RIG_STVEC;
    vcpu->csr.stimecmp = UINT64_MAX;
}

void rig_row(const char *name)
{
    row = name;
    hart_reset();
    memset(&rig, 0, sizeof(rig));
    memset(rig_ram, 0, sizeof(rig_ram));
    notes[0] = 0;
    map_offset = (uintptr_t)rig_ram - RIG_RAM;
    rig.hart = hart_this();
    rig.vm.engine = &rig_engine;
    rig.vm.calls = &rig_board;
    rig.vm.host = &rig.host;
    rig.vm.mmu_levels = 3;
    rig.vm.ram = (struct vm_ram_range){
        .gpa = RIG_FIRMWARE,
        .size = RIG_RAM + RIG_RAM_SIZE - RIG_FIRMWARE,
        .first = RIG_RAM,
    };
    rig.vm.vcpus[0] = &rig.vcpu;
    set_up_vcpu(&rig.vcpu);
}

int rig_setup(void **state)
{
    (void)state;
    rig_row("");
    return 0;
}

void rig_note(const char *format, ...)
{
    size_t used = strlen(notes);
    va_list arguments;
    va_start(arguments, format);
    if (used)
        used += (size_t)snprintf(notes + used, NOTES - used, "; ");
    if (used < NOTES)
        used += (size_t)vsnprintf(notes + used, NOTES - used, format, arguments);
    va_end(arguments);
    if (used >= NOTES)
        fail_msg("%s: too many calls", row);
}

void rig_check_calls(const char *calls, const char *file, int line)
{
    if (strcmp(notes, calls) != 0) {
        print_error("%s: called \"%s\"\n%s: wanted \"%s\"\n", row, notes, row, calls);
        _fail(file, line);
    }
    notes[0] = 0;
}

void rig_check(const char *what, uint64_t actual, uint64_t wanted, const char *file, int line)
{
    if (actual == wanted)
        return;
    print_error("%s: %s is %#lx, not %#lx\n", row, what, actual, wanted);
    _fail(file, line);
}

void rig_check_raised(uint64_t pc, uint64_t cause, uint64_t stval, const char *file, int line)
{
    const struct vcpu *vcpu = &rig.vcpu;
    rig_check("scause", vcpu->csr.scause, cause, file, line);
    rig_check("stval", vcpu->csr.stval, stval, file, line);
    rig_check("sepc", vcpu->csr.sepc, pc, file, line);
    rig_check("pc", vcpu->pc, RIG_STVEC, file, line);
}
