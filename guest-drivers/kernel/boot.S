/*
 * The guest kernel's first instructions: from the boot protocol (a0 = hart id, a1 = device tree,
 * paging and interrupts off) to kernel_main().
 *
 * The image begins with the header of a RISC-V Linux "Image" (Documentation/arch/riscv/
 * boot-image-header.rst), whose image_size tells a loader of the flat binary how much RAM the
 * kernel needs beyond the file: .bss and the stack.
 */
    .section .text.boot, "ax"
    .globl kernel_start
    .option push
    .option norvc
kernel_start:
    j boot                          /* code0 */
    nop                             /* code1 */
    .option pop
    .quad 0x200000                  /* text_offset from the start of RAM */
    .quad kernel_end - kernel_base  /* image_size */
    .quad 0                         /* flags: little endian */
    .word 2                         /* header version 0.2 */
    .word 0
    .quad 0
    .ascii "RISCV\0\0\0"
    .ascii "RSC\x05"
    .word 0

boot:
    csrw sie, zero
    .option push
    .option norelax
    la gp, __global_pointer$
    .option pop
    la sp, stack_top
    la tp, bss_end                  /* thread-local storage: there is none, guest.ld asserts it */
    la t0, trap_vector
    csrw stvec, t0

    la t0, bss_start
    la t1, bss_end
1:  sd zero, 0(t0)
    addi t0, t0, 8
    bltu t0, t1, 1b

    j kernel_main
