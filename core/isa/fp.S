/*
 * The guest's floating-point registers, which live in the hardware while the VMM runs: the VMM
 * itself has no floating point. Only called when sstatus.FS is not Off.
 */
    .option norvc

    .altmacro
    .macro read_one n
    fmv.x.d a0, f\n
    ret
    .endm
    .macro write_one n
    fmv.d.x f\n, a1
    ret
    .endm
    .macro each_float macro
    .set number, 0
    .rept 32
    \macro %number
    .set number, number + 1
    .endr
    .endm

    .macro jump_to_row              /* rows of two 4-byte instructions, by a0 */
    lla t0, 1f
    slli t1, a0, 3
    add t0, t0, t1
    jr t0
1:
    .endm

    .text
    /* uint64_t fp_read(unsigned f) */
    .globl fp_read
fp_read:
    jump_to_row
    each_float read_one

    /* void fp_write(unsigned f, uint64_t value) */
    .globl fp_write
fp_write:
    jump_to_row
    each_float write_one
