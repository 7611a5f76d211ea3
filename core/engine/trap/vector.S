/*
 * Guest exit and entry: 31 registers and sepc <-> struct vcpu, sstatus <- struct trap_vcpu. The VMM
 * is mapped in every shadow root: satp is only written to enter the guest in another one. tp leads
 * to the real hart.
 *
 * sscratch holds the vcpu while the guest runs and 0 while the VMM runs, so a trap that finds 0 is
 * the VMM's own fault.
 */
#include "offsets.h"

    /* What a call may overwrite, and tp, but not sp and a0 (BRIEF_REGISTERS in brief.c). */
    .macro each_scratch op, base
    \op x1,  VCPU_X+8*1(\base)
    \op x4,  VCPU_X+8*4(\base)
    \op x5,  VCPU_X+8*5(\base)
    \op x6,  VCPU_X+8*6(\base)
    \op x7,  VCPU_X+8*7(\base)
    \op x11, VCPU_X+8*11(\base)
    \op x12, VCPU_X+8*12(\base)
    \op x13, VCPU_X+8*13(\base)
    \op x14, VCPU_X+8*14(\base)
    \op x15, VCPU_X+8*15(\base)
    \op x16, VCPU_X+8*16(\base)
    \op x17, VCPU_X+8*17(\base)
    \op x28, VCPU_X+8*28(\base)
    \op x29, VCPU_X+8*29(\base)
    \op x30, VCPU_X+8*30(\base)
    \op x31, VCPU_X+8*31(\base)
    .endm

    /* What it preserves. */
    .macro each_preserved op, base
    \op x3,  VCPU_X+8*3(\base)
    \op x8,  VCPU_X+8*8(\base)
    \op x9,  VCPU_X+8*9(\base)
    \op x18, VCPU_X+8*18(\base)
    \op x19, VCPU_X+8*19(\base)
    \op x20, VCPU_X+8*20(\base)
    \op x21, VCPU_X+8*21(\base)
    \op x22, VCPU_X+8*22(\base)
    \op x23, VCPU_X+8*23(\base)
    \op x24, VCPU_X+8*24(\base)
    \op x25, VCPU_X+8*25(\base)
    \op x26, VCPU_X+8*26(\base)
    \op x27, VCPU_X+8*27(\base)
    .endm

    .macro each_register op, base
    each_scratch \op, \base
    each_preserved \op, \base
    .endm

    /* Of the guest's state into the vcpu what is not preserved: a0 = vcpu. */
    .macro save_scratch
    csrrw sp, sscratch, sp          /* sp = vcpu, sscratch = guest's sp */
    beqz sp, vmm_fault
    each_scratch sd, sp
    sd x10, VCPU_X+8*10(sp)
    csrrw t0, sscratch, zero        /* from here on a fault is ours */
    sd t0, VCPU_X+8*2(sp)
    csrr t1, sepc
    sd t1, VCPU_PC(sp)
    mv a0, sp
    .endm

    /* The rest, and then tp = hart, and the VMM's stack. */
    .macro save_preserved
    each_preserved sd, a0
    ld tp, VCPU_HART(a0)
    ld sp, HART_STACK(tp)
    .endm

    .macro save_guest
    save_scratch
    save_preserved
    .endm

    /* The vcpu's pc, sstatus and flush for the hart: t2 = the engine's part of it. */
    .macro show_guest
    ld t0, VCPU_PC(a0)
    csrw sepc, t0
    ld t2, VCPU_ENGINE(a0)
    ld t1, TRAP_SSTATUS(t2)
    csrw sstatus, t1
    ld t0, TRAP_FLUSH(t2)
    beqz t0, 8f
    sd zero, TRAP_FLUSH(t2)
    sfence.vma                      /* before satp: a root may be new, or its ASID used before */
8:
    .endm

    .section .text.vector, "ax"
    /* stvec of a run that is recorded: the same by way of whoever records it. */
    .globl trap_observed_entry
    .balign 4
trap_observed_entry:
    save_guest
    ld t0, trap_observer
    jalr t0
    j trap_return

    /* stvec of a run with brief exits. Most ecalls of vS are other instructions than the SRET that
     * returned to a process last, and need not be asked about. */
    .globl trap_brief_entry
    .balign 4
trap_brief_entry:
    save_scratch
    csrr t0, scause
    addi t0, t0, -8                 /* ecall */
    bnez t0, 1f
    lbu t0, VCPU_MODE(a0)
    beqz t0, 2f                     /* of vU */
    ld t0, VCPU_ENGINE(a0)
    ld t0, TRAP_RETURN_PC(t0)
    bne t0, t1, 1f                  /* t1 = sepc */
2:  ld tp, VCPU_HART(a0)
    ld sp, HART_STACK(tp)
    call trap_brief                 /* vcpu in; vcpu and whether it is done out */
    bnez a1, brief_return
1:  save_preserved
    call trap_handle
    j trap_return

    /* To the guest in another root, with the rest of its registers as it left them. */
brief_return:
    show_guest
    ld t0, TRAP_SATP(t2)
    sd t0, HART_SATP(tp)
    csrw satp, t0
    csrw sscratch, a0
    each_scratch ld, a0
    ld sp, VCPU_X+8*2(a0)
    ld a0, VCPU_X+8*10(a0)
    sret

    .globl trap_entry
    .balign 4
trap_entry:
    save_guest
    call trap_handle                /* vcpu in, vcpu out */

    /* trap_return(vcpu): (re-)enter the guest */
    .globl trap_return
trap_return:
    show_guest
    ld t0, TRAP_SATP(t2)
    ld t1, HART_SATP(tp)
    beq t0, t1, 2f
    sd t0, HART_SATP(tp)
    csrw satp, t0
2:  csrw sscratch, a0
    each_register ld, a0
    ld sp, VCPU_X+8*2(a0)
    ld a0, VCPU_X+8*10(a0)
    sret

    /* The VMM itself trapped: registers onto the panic stack, then panic_trap(registers). But if
     * the machine refused an access of guard.S (causes 5 and 7), that one fails. */
vmm_fault:
    csrrw sp, sscratch, sp          /* sp = the VMM's sp, sscratch = 0 again */
    csrw sscratch, sp
    lla sp, panic_stack_top - 256
    each_register sd, sp
    sd x10, VCPU_X+8*10(sp)
    csrr t0, sscratch
    sd t0, VCPU_X+8*2(sp)
    sd zero, VCPU_X(sp)
    csrw sscratch, zero
    csrr t0, scause
    andi t0, t0, ~2
    li t1, 5
    bne t0, t1, 1f
    csrr t0, sepc
    lla t1, guard_begin
    bltu t0, t1, 1f
    lla t1, guard_end
    bgeu t0, t1, 1f
    lla t0, guard_failed
    csrw sepc, t0
    ld sp, VCPU_X+8*2(sp)
    sret
1:  mv a0, sp
    call panic_trap
1:  wfi
    j 1b

    .bss
    .balign 16
    .space 16384
panic_stack_top:
    .globl trap_observer
trap_observer:
    .dword 0
