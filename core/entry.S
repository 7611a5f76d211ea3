/*
 * First instruction to C. OpenSBI enters in S-mode with paging off, a0 = hartid, a1 = device tree.
 *
 * The image is linked at 0 and relocates itself twice: here to the address it was loaded at, and in
 * boot() to its place in the direct map (core/boot.c).
 */
    .section .text.start, "ax"
    .globl _start
_start:
    lla sp, boot_stack_top
    mv s0, a0
    mv s1, a1
    li tp, 0
    csrw sie, zero
    lla t0, early_fault             /* a fault this early: end QEMU with a failing status */
    csrw stvec, t0

    lla t0, bss_start
    lla t1, bss_end
1:  bgeu t0, t1, 2f
    sd zero, 0(t0)
    addi t0, t0, 8
    j 1b

2:  lla a0, image_start             /* where the bytes are */
    mv a1, a0                       /* what addresses shall say */
    call boot_relocate
    mv a0, s0
    mv a1, s1
    tail boot

    /* boot_relocate(image, base): apply R_RISCV_RELATIVE; the only kind in a static PIE */
    .globl boot_relocate
boot_relocate:
    lla t0, rela_start
    lla t1, rela_end
1:  bgeu t0, t1, 2f
    ld t2, 0(t0)                    /* r_offset */
    ld t3, 16(t0)                   /* r_addend */
    add t2, t2, a0
    add t3, t3, a1
    sd t3, 0(t2)
    addi t0, t0, 24
    j 1b
2:  ret

    /* boot_switch(satp, entry, stack): turns paging on; continues at entry, a virtual address */
    .globl boot_switch
boot_switch:
    csrw stvec, a1                  /* the next fetch after satp is written faults to here */
    mv sp, a2
    sfence.vma
    csrw satp, a0
1:  j 1b

    .balign 4                       /* stvec's low bits are its mode */
    .globl boot_arrived
boot_arrived:
    tail main

    .balign 4
early_fault:
    li t0, 0x100000                 /* QEMU's test finisher: fail, status 3 */
    li t1, (3 << 16) | 0x3333
    sw t1, 0(t0)
1:  wfi
    j 1b

    .bss
    .balign 16
    .globl boot_stack_top
boot_stack:
    .space 32768
boot_stack_top:
