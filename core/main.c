/*
 * Start-up, and the end of a VM. Runs at its final place with paging on (core/boot.c came before).
 */
#include <string.h>

#include "board/board.h"
#include "board/loader.h"
#include "boot.h"
#include "engine/trap/engine.h"
#include "engine/trap/trap.h"
#include "host/hart.h"
#include "host/log.h"
#include "host/machine.h"
#include "host/map.h"
#include "host/opensbi.h"
#include "host/panic.h"
#include "isa/riscv.h"
#include "observe/control.h"
#include "observe/timeline.h"
#include "vm/vm.h"

#define MEGABYTE (1ul << 20)

_Noreturn void main(void);
extern uint8_t boot_stack_top[], image_start[];

/* One of each today. */
static struct hart hart0;
static struct vcpu vcpu0;
static struct vm vm0;
static struct board board0;
static struct control control0;

static _Noreturn void refuse(void)
{
    host_console_flush(&machine);
    host_power_off(&machine, 3);
}

/* 2 % of the guest's RAM and 4 MiB: all that the VMM may use, its image included. */
static uint64_t memory_limit(const struct vm *vm, const struct boot_info *info)
{
    uint64_t begin = info->fdt_hpa & ~PAGE_MASK;
    uint64_t limit = vm->ram.size / 50 + 4 * MEGABYTE + map_pointer_hpa(image_start);
    uint64_t end = limit < info->end_hpa ? limit : info->end_hpa;
    return begin < end ? end : begin;
}

static void load_guest(struct vm *vm);

/* A reset abandons the exit that asked for it: the stack is taken over from its top. */
static _Noreturn void on_fresh_stack(struct vm *vm, void (*function)(struct vm *vm))
{
    register struct vm *argument __asm__("a0") = vm;
    __asm__ volatile("mv sp, %0\n\tjr %1"
                     :
                     : "r"(hart_this()->stack), "r"(function), "r"(argument));
    __builtin_unreachable();
}

static void restart(struct vm *vm)
{
    vm->vcpus[0]->csr.satp = 0;
    vm->vcpus[0]->mode = VMODE_S;
    load_guest(vm);
    vm->engine->run(vm->vcpus[0]);
    __builtin_unreachable();
}

/* vm->end */
static _Noreturn void end(struct vm *vm, enum vm_end end, unsigned status)
{
    board_finish(vm);
    control_finish(vm->control);
    if (end == VM_REBOOT) /* what the console still holds leaves while the guest starts */
        on_fresh_stack(vm, restart);
    host_console_flush(vm->host);
    timeline_finish(vm);
    report_send(&vm->control->report, "poweroff", (int)status);
    channel_flush(vm->host);
    host_power_off(vm->host, status);
}

static void init_vm(struct vm *vm, struct host *host, const struct boot_info *info)
{
    vm->options = info->options;
    vm->host = host;
    vm->engine = &trap_engine;
    vm->end = end;
    vm->ram = (struct vm_ram_range){
        .gpa = host->ram_hpa,
        .size = info->options.mem,
        .first = host->firmware_end,
    };
    vm->mmu_levels = info->levels - 1;
    vm->vcpus[0] = &vcpu0;
    vcpu0.vm = vm;
    vcpu0.hart = &hart0;
    vcpu0.hartid = info->hartid;
    vcpu0.counters = hart0.counters;
    vcpu0.counters_given = opensbi_gives_time() ? SCOUNTEREN_TM : 0;
}

/* What is left of the VMM's memory behind the devices' state is the engine's. */
static void init_memory(struct vm *vm, const struct boot_info *info, uint64_t free_hpa)
{
    uint64_t end = memory_limit(vm, info);
    if (end < free_hpa + MEGABYTE)
        panic("main: %lu KiB are left for shadow page tables", (end - free_hpa) >> 10);
    struct engine_memory memory = {
        .base = map_hpa(free_hpa),
        .size = end - free_hpa,
        .satp = info->satp,
        .map_entry = info->map_entry,
    };
    uint64_t used = vm->engine->init(vm, &memory);
    vm->stats.memory.fixed_bytes = (uint64_t)memory.base + used - (uint64_t)image_start;
}

/* Power-on or reset, up to the guest's first instruction. */
static void load_guest(struct vm *vm)
{
    struct loaded loaded;
    vm->timed = vm->options.times;
    vm->engine->reset(vm); /* the loader is about to overwrite the code */
    if (board_reset(vm) < 0 || loader_load(vm, &loaded) < 0)
        refuse();
    vcpu_reset(vm->vcpus[0], loaded.entry_gpa, loaded.tree_gpa);
    vm->calls->poll(vm); /* a guest that resets itself at once, again and again, stops nothing */
}

static void show_guest(void)
{
    const struct trap_vcpu *own = trap_of(&vcpu0);
    if (!own)
        return; /* there is none yet */
    panic_say("guest: v%c pc %#lx satp %#lx sstatus %#lx, last exit scause %#lx stval %#lx\n",
              vcpu0.mode == VMODE_S ? 'S' : 'U', vcpu0.pc, vcpu0.csr.satp, vcpu0.csr.sstatus,
              own->scause, own->stval);
    panic_show_registers("guest", vcpu0.x);
}

void main(void)
{
    const struct boot_info *info = boot_get_info();
    csr_write(CSR_STVEC, (uint64_t)trap_entry);
    csr_write(CSR_SSCRATCH, 0);
    csr_write(CSR_SIE, 0);
    hart0.stack = (uint64_t)boot_stack_top;
    hart_become(&hart0);
    if (host_probe(&machine, map_hpa(info->fdt_hpa)) < 0)
        refuse();
    machine.counts_instructions = host_counts_instructions();
    hart_start(&hart0);
    stats_start(&vm0.stats, machine.timebase, machine.counts_instructions);
    init_vm(&vm0, &machine, info);
    panic_watch(&machine, show_guest);
    host_plic_start(&machine, vm0.options.plic == PLIC_MAPPED);
    uint64_t free_hpa = info->free_hpa;
    if (control_start(&control0, &vm0) < 0 || board_init(&vm0, &board0, &free_hpa) < 0)
        refuse();
    timeline_start(&vm0, &free_hpa);
    init_memory(&vm0, info, free_hpa);
    csr_set(CSR_SIE, SIP_SEIP);
    load_guest(&vm0);
    stats_reset(&vm0);
    vm0.engine->run(&vcpu0);
    __builtin_unreachable();
}
