/*
 * The accesses at which the machine may refuse (guard.h): all that lies between guard_begin and
 * guard_end. A load or store access fault there, of the causes of the privileged specification's
 * scause, goes on at guard_failed; the trap vector may change t0 and t1 on the way, and nothing
 * else.
 */
    .section .text.guard, "ax"

    /* bool guard_load(address, width, value) */
    .globl guard_load
guard_load:
    li t0, 2
    bltu a1, t0, load_8
    beq a1, t0, load_16
    li t0, 4
    beq a1, t0, load_32
    j load_64

    /* bool guard_store(address, width, value) */
    .globl guard_store
guard_store:
    li t0, 2
    bltu a1, t0, store_8
    beq a1, t0, store_16
    li t0, 4
    beq a1, t0, store_32
    j store_64

    .globl guard_begin
guard_begin:
load_8:
    lbu a0, 0(a0)
    j loaded
load_16:
    lhu a0, 0(a0)
    j loaded
load_32:
    lwu a0, 0(a0)
    j loaded
load_64:
    ld a0, 0(a0)
    j loaded
store_8:
    sb a2, 0(a0)
    j stored
store_16:
    sh a2, 0(a0)
    j stored
store_32:
    sw a2, 0(a0)
    j stored
store_64:
    sd a2, 0(a0)
    j stored
    .globl guard_end
guard_end:

loaded:
    sd a0, 0(a2)
stored:
    li a0, 1
    ret

    .globl guard_failed
guard_failed:
    li a0, 0
    ret
