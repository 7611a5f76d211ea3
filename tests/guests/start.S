/*
 * A bare guest's first instructions, its trap vector, and the two ways to run code that may trap.
 *
 * The surprise: a trap does not return to where it happened. Within bare_try() or bare_user() the
 * trap ends that call; outside of them it ends the guest, unless bare_on_trap is set (bare.h).
 */
    .option norvc
    .section .text.start, "ax"
    .globl bare_start
bare_start:
    csrw sie, zero
    csrw sscratch, zero
    la sp, stack_top
    la t0, vector
    csrw stvec, t0
    la t0, bss_start
    la t1, bss_end
1:  sd zero, 0(t0)
    addi t0, t0, 8
    bltu t0, t1, 1b
    la t0, bare_tree
    sd a1, 0(t0)
    la t0, bare_hart
    sd a0, 0(t0)
    call main
    tail bare_end

    .altmacro
    .macro each_register op, base, first
    .set number, \first
    .rept 32 - \first
    one_register \op, %number, \base
    .set number, number + 1
    .endr
    .endm
    .macro one_register op, n, base
    \op x\n, 8*\n(\base)
    .endm
    .macro callee_saved op, base
    \op ra, 0(\base)
    \op sp, 8(\base)
    \op gp, 16(\base)
    \op tp, 24(\base)
    \op s0, 32(\base)
    \op s1, 40(\base)
    .irp n, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
    \op s\n, 8*(4+\n)(\base)
    .endr
    .endm

    .text
    .balign 4
vector:
    csrw sscratch, sp
    la sp, bare_trapped
    sd x1, 8(sp)
    each_register sd, sp, 3
    csrr t0, sscratch
    sd t0, 16(sp)
    csrr t0, sepc
    sd t0, 256(sp)
    csrr t0, scause
    sd t0, 264(sp)
    csrr t0, stval
    sd t0, 272(sp)
    csrr t0, sstatus
    sd t0, 280(sp)
    la sp, trap_stack_top
    /* false: the guest goes on where bare_trapped says; true: the call is over. */
    call bare_trap
    bnez a0, 1f
    la sp, bare_trapped
    ld t0, 256(sp)
    csrw sepc, t0
    ld t0, 280(sp)
    csrw sstatus, t0
    ld x1, 8(sp)
    each_register ld, sp, 3
    ld sp, 16(sp)
    sret
1:  la t0, bare_trying
    sd zero, 0(t0)
    la t0, saved
    callee_saved ld, t0
    li a0, 1
    ret

    /* bool bare_try(function, a0, a1) */
    .globl bare_try
bare_try:
    la t0, saved
    callee_saved sd, t0
    la t0, bare_trying
    li t1, 1
    sd t1, 0(t0)
    mv t1, a0
    mv a0, a1
    mv a1, a2
    jalr t1
    la t0, bare_returned
    sd a0, 0(t0)
    la t0, bare_trying
    sd zero, 0(t0)
    la t0, saved
    callee_saved ld, t0
    li a0, 0
    ret

    /* void bare_user(pc, a0, a1) */
    .globl bare_user
bare_user:
    la t0, saved
    callee_saved sd, t0
    la t0, bare_trying
    li t1, 1
    sd t1, 0(t0)
    csrw sepc, a0
    li t0, 1 << 8                   /* SPP */
    csrc sstatus, t0
    mv a0, a1
    mv a1, a2
    sret

    .bss
    .balign 16
saved:
    .space 128
