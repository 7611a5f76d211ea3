/*
 * Start, trap vector and the way into a program.
 *
 * sscratch is the program's, so the vector finds its frame by gp: the one register that a program
 * never writes. gp is the vector's own address, so that a program's handler can end with `jr gp`.
 */
#define FRAME    1024 /* below the vector; offsets asserted in run.c */
#define X(n)     (8 * (n) - FRAME)
#define SSTATUS  X(32)
#define SEPC     X(33)
#define EXIT     X(34)
#define BUSY     X(35)
#define KEPT(n)  X(36 + 16 + 32 + (n))

    .option norelax
    .section .text.start, "ax"
    .globl start
start:
    csrw sie, zero
    la gp, vector
    csrw stvec, gp
    la sp, stack_top
    la t0, bss_start
    la t1, bss_end
1:  sd zero, 0(t0)
    addi t0, t0, 8
    bltu t0, t1, 1b
    mv a0, a1
    j main

    .section .frame, "aw"
    .balign 4096
    .skip 4096 - FRAME
    .globl frame
frame:
    .skip FRAME

    .section .vector, "ax"
    .balign 4096
    .globl vector
vector:
    .option push
    .option norvc
    .rept 12                    /* stvec may be in vectored mode */
    j trapped
    .endr
    .option pop
trapped:
    .irp n, 1,2,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    sd x\n, X(\n)(gp)
    .endr
    csrr t0, sstatus
    sd t0, SSTATUS(gp)
    csrr t0, sepc
    sd t0, SEPC(gp)
    la sp, stack_top
    ld t0, BUSY(gp)
    bnez t0, handle_own_trap
    li t0, 1
    sd t0, BUSY(gp)
    call handle_trap
    beqz a0, leave
resume:
    sd zero, BUSY(gp)
    ld t0, EXIT(gp)
    beqz t0, 1f
    addi sp, gp, -FRAME         /* the program's own exit code restores from sp */
    jr t0
1:  ld t0, SSTATUS(gp)
    csrw sstatus, t0
    ld t0, SEPC(gp)
    csrw sepc, t0
    .irp n, 1,2,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ld x\n, X(\n)(gp)
    .endr
    sret

leave:
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11
    ld s\n, KEPT(\n)(gp)
    .endr
    ld sp, KEPT(12)(gp)
    ld ra, KEPT(13)(gp)
    ret

    .globl enter_program
enter_program:
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11
    sd s\n, KEPT(\n)(gp)
    .endr
    sd sp, KEPT(12)(gp)
    sd ra, KEPT(13)(gp)
    j resume

    .option arch, +f, +d
    .globl float_save
float_save:
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    fsd f\n, 8*\n(a0)
    .endr
    frcsr t0
    sd t0, 256(a0)
    ret

    .globl float_load
float_load:
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    fld f\n, 8*\n(a0)
    .endr
    ld t0, 256(a0)
    fscsr t0
    ret
