/*
 * The operations that `bench trap` measures, one function for each: void f(uint64_t rounds,
 * uint64_t argument). A round is the operation, and one addi and one branch, whose cost benchtrap.c
 * takes off. rounds must not be 0.
 *
 * The surprise: all of them lie within one page, whatever else the kernel has, because a VMM that
 * patches code may treat a page's first and last instructions in another way.
 */
#define SSTATUS_SIE 2
#define SSTATUS_SPP 0x100
#define SBI_BASE    0x10

    .option norvc
    .text
    .balign 512 /* they have 336 bytes */

.macro operation name
    .globl \name
    .balign 4
\name:
    mv t6, a0
.endm

.macro again
    addi t6, t6, -1
    bnez t6, 1b
.endm

operation op_none
1:  again
    ret

operation op_rdtime
1:  rdtime t0
    again
    ret

operation op_csrr
1:  csrr t0, sscratch
    again
    ret

operation op_csrw
1:  csrw sscratch, zero
    again
    ret

operation op_sie
1:  csrci sstatus, SSTATUS_SIE
    csrsi sstatus, SSTATUS_SIE
    again
    ret

/* sret to the next instruction, in S-mode. */
operation op_sret
    la t0, 2f
    li t1, SSTATUS_SPP
1:  csrw sepc, t0
    csrs sstatus, t1
    sret
2:  again
    ret

/* a1: the address where U-mode executes op_ecall_user. The handler does the least that a kernel
 * can. */
operation op_ecall
    csrr t3, stvec
    la t0, 1f
    csrw stvec, t0
    csrw sepc, a1
    li t1, SSTATUS_SPP
    csrc sstatus, t1
    sret
    .balign 4
1:  addi t6, t6, -1
    beqz t6, 2f
    csrr t0, sepc
    addi t0, t0, 4
    csrw sepc, t0
    sret
2:  csrw stvec, t3
    ret

    .globl op_ecall_user, op_ecall_user_end
op_ecall_user:
    ecall
    j op_ecall_user
op_ecall_user_end:

/* a1: the address of three words: a page's address, the address of its page-table entry, the
 * entry. A round touches the page, which the fault's handler maps, and unmaps it. */
operation op_fault
    ld t0, 0(a1)
    ld t1, 8(a1)
    ld t2, 16(a1)
    csrr t3, stvec
    la t4, 2f
    csrw stvec, t4
1:  ld t5, 0(t0)
    sd zero, 0(t1)
    sfence.vma t0, zero
    again
    csrw stvec, t3
    ret
    .balign 4
2:  sd t2, 0(t1)
    sfence.vma t0, zero
    sret

/* a1: a device register's address. */
operation op_load
1:  lw t0, 0(a1)
    again
    ret

operation op_sbi
    li a7, SBI_BASE
    li a6, 0                /* get_spec_version */
1:  ecall
    again
    ret
