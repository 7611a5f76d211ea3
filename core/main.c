/*
 * Start-up, and the end of a VM. Runs at its final place with paging on (core/boot.c came before).
 */
#include <string.h>

#include "board/board.h"
#include "board/loader.h"
#include "boot.h"
#include "engine/trap/ahead.h"
#include "engine/trap/inline.h"
#include "engine/trap/trap.h"
#include "host/log.h"
#include "host/machine.h"
#include "host/opensbi.h"
#include "host/map.h"
#include "engine/trap/patch.h"
#include "engine/trap/shadow.h"
#include "host/panic.h"
#include "isa/riscv.h"
#include "observe/timeline.h"
#include "vm/vm.h"

#define MEGABYTE (1ul << 20)

_Noreturn void main(void);
extern uint8_t boot_stack_top[], image_start[];

static struct vm vm0;
static struct ahead vm0_ahead;
static struct inlined vm0_inlined;

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

static void init_vm(struct vm *vm, struct host *host, const struct boot_info *info)
{
    vm->options = info->options;
    vm->host = host;
    vm->ram = (struct vm_ram_range){
        .gpa = host->ram_hpa,
        .size = info->options.mem,
        .first = host->firmware_end,
    };
    vm->vcpu.vm = vm;
    vm->vcpu.hartid = info->hartid;
    vm->vcpu.counters_given = opensbi_gives_time() ? SCOUNTEREN_TM : 0;
    vm->vcpu.ahead = &vm0_ahead;
    vm->vcpu.inlined = vm->options.patch == PATCH_INLINE ? &vm0_inlined : NULL;
    vm->vcpu.host_stack = (uint64_t)boot_stack_top;
}

/* What is left of the VMM's memory behind the devices' state is the shadow's. */
static void init_memory(struct vm *vm, const struct boot_info *info, uint64_t free_hpa)
{
    uint64_t end = memory_limit(vm, info);
    if (end < free_hpa + MEGABYTE)
        panic("main: %lu KiB are left for shadow page tables", (end - free_hpa) >> 10);
    shadow_init(vm, map_hpa(free_hpa), end - free_hpa, info->satp, info->map_entry);
    vm->stats.memory.fixed_bytes = (uint64_t)vm->shadow->pool.base - (uint64_t)image_start;
}

/* Power-on or reset, up to the guest's first instruction. */
static void load_guest(struct vm *vm)
{
    struct loaded loaded;
    if (board_reset(vm) < 0 || loader_load(vm, &loaded) < 0)
        refuse();
    memset(vm->vcpu.ahead, 0, sizeof(*vm->vcpu.ahead));
    inline_reset(&vm->vcpu, vm->shadow->host_levels);
    vcpu_reset(&vm->vcpu, loaded.entry_gpa, loaded.tree_gpa);
    board_poll(vm); /* a guest that resets itself at once, again and again, stops nothing */
}

static _Noreturn void enter_guest(struct vm *vm)
{
    vm->vcpu.exit_instret = csr_read(CSR_INSTRET); /* the guest's instructions count from here */
    vcpu_run(&vm->vcpu);
}

void main(void)
{
    const struct boot_info *info = boot_get_info();
    csr_write(CSR_STVEC, (uint64_t)trap_entry);
    csr_write(CSR_SSCRATCH, 0);
    csr_write(CSR_SIE, 0);
    if (host_probe(&machine, map_hpa(info->fdt_hpa)) < 0)
        refuse();
    machine.counts_instructions = host_counts_instructions();
    stats_start(&vm0.stats, &machine);
    init_vm(&vm0, &machine, info);
    machine.vm = &vm0;
    panic_watch(&vm0.vcpu);
    machine.plic.given = vm0.options.plic_mapped;
    host_plic_start(&machine);
    uint64_t free_hpa = info->free_hpa;
    if (control_start(&machine) < 0 || board_init(&vm0, &free_hpa) < 0)
        refuse();
    trace_start(&vm0, &free_hpa);
    init_memory(&vm0, info, free_hpa);
    csr_set(CSR_SIE, SIP_SEIP);
    load_guest(&vm0);
    stats_reset(&vm0);
    enter_guest(&vm0);
}

/* A reset abandons the exit that asked for it: the stack is taken over from its top. */
static _Noreturn void on_fresh_stack(struct vm *vm, void (*function)(struct vm *vm))
{
    register struct vm *argument __asm__("a0") = vm;
    __asm__ volatile("mv sp, %0\n\tjr %1"
                     :
                     : "r"(vm->vcpu.host_stack), "r"(function), "r"(argument));
    __builtin_unreachable();
}

static void restart(struct vm *vm)
{
    vm->vcpu.csr.satp = 0;
    vm->vcpu.mode = VMODE_S;
    shadow_reset(&vm->vcpu);
    patch_reset(vm); /* the loader is about to overwrite the code */
    load_guest(vm);
    enter_guest(vm);
}

void vm_end(struct vm *vm, enum vm_end end, unsigned status)
{
    board_settle(vm);
    board_finish(vm);
    control_finish(vm->host);
    if (end == VM_REBOOT) /* what the console still holds leaves while the guest starts */
        on_fresh_stack(vm, restart);
    host_console_flush(vm->host);
    trace_finish(vm);
    stats_send(vm, "poweroff", (int)status);
    control_flush(vm->host);
    host_power_off(vm->host, status);
}
