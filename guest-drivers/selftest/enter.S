/*
 * Into a fragment and back (harness.c). There is one frame: x[32] of the fragment, then the C
 * registers to come back with, then those of the guard, which catches a trap of a check's own C
 * code.
 * sscratch is lost at every trap; every space that a fragment runs in maps this code and the frame.
 */
#define X(n)     (8 * (n))
#define KEPT     (8 * 32)          /* asserted in harness.c */
#define GUARD    (8 * (32 + 16))
#define RESUME   (8 * (32 + 16 + 16))

.macro keep at
    sd ra, \at+0(t0)
    sd sp, \at+8(t0)
    sd gp, \at+16(t0)
    sd tp, \at+24(t0)
    sd s0, \at+32(t0)
    sd s1, \at+40(t0)
    sd s2, \at+48(t0)
    sd s3, \at+56(t0)
    sd s4, \at+64(t0)
    sd s5, \at+72(t0)
    sd s6, \at+80(t0)
    sd s7, \at+88(t0)
    sd s8, \at+96(t0)
    sd s9, \at+104(t0)
    sd s10, \at+112(t0)
    sd s11, \at+120(t0)
    addi t1, t0, \at
    sd t1, RESUME(t0)
.endm

.section .text.harness, "ax"
.option norelax /* gp is the fragment's in the vector */

/* void harness_enter(void): sret into the fragment; returns when it has trapped. */
.globl harness_enter
harness_enter:
    la t0, harness_frame
    keep KEPT
    .irp n, 1,2,3,4,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ld x\n, X(\n)(t0)
    .endr
    ld t0, X(5)(t0)
    sret

/* bool harness_guard(void (*test)(const void *), const void *argument): true if test ended in a
 * trap of its own code. */
.globl harness_guard
harness_guard:
    la t0, harness_frame
    keep GUARD
    mv t1, a0
    mv a0, a1
    jalr t1
    la t0, harness_frame
    addi t1, t0, GUARD
    li a0, 0
    j restore

/* stvec while checks run. */
.globl harness_vector
.balign 4
harness_vector:
    csrw sscratch, t0
    la t0, harness_frame
    .irp n, 1,2,3,4,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    sd x\n, X(\n)(t0)
    .endr
    csrr t1, sscratch
    sd t1, X(5)(t0)
    ld t1, RESUME(t0)
    li a0, 1
restore:
    ld ra, 0(t1)
    ld sp, 8(t1)
    ld gp, 16(t1)
    ld tp, 24(t1)
    ld s0, 32(t1)
    ld s1, 40(t1)
    ld s2, 48(t1)
    ld s3, 56(t1)
    ld s4, 64(t1)
    ld s5, 72(t1)
    ld s6, 80(t1)
    ld s7, 88(t1)
    ld s8, 96(t1)
    ld s9, 104(t1)
    ld s10, 112(t1)
    ld s11, 120(t1)
    ret
