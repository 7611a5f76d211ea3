/*
 * The trap vector: every register into a struct trap_frame on the stack, trap_handle(frame), and
 * back. The kernel runs in S-mode alone, so sp is always good; the selftest, which enters U-mode,
 * has its own vector. The order is struct trap_frame's, asserted in trap.c.
 */
#define FRAME (36 * 8)

    .text
    .globl trap_vector
    .balign 4
trap_vector:
    addi sp, sp, -FRAME
    sd x1, 1*8(sp)
    .irp n, 3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    sd x\n, \n*8(sp)
    .endr
    addi t0, sp, FRAME
    sd t0, 2*8(sp)
    csrr t0, sepc
    csrr t1, sstatus
    csrr t2, scause
    csrr t3, stval
    sd t0, 32*8(sp)
    sd t1, 33*8(sp)
    sd t2, 34*8(sp)
    sd t3, 35*8(sp)
    mv a0, sp
    call trap_handle

    ld t0, 32*8(sp)
    ld t1, 33*8(sp)
    csrw sepc, t0
    csrw sstatus, t1
    .irp n, 1,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ld x\n, \n*8(sp)
    .endr
    ld sp, 2*8(sp)
    sret
