/*
 * uint64_t time_spin_loop(const volatile uint64_t *interrupts, uint64_t taken, uint64_t rounds)
 *
 * Spins until *interrupts differs from taken, but at most so many rounds of two instructions;
 * returns the rounds left. The surprise: an interrupt that is taken in here does not return to
 * where it was taken, but to the end (time_spin_leave()). Where an interrupt is taken is chance,
 * and so what follows is the same each time.
 */
    .text
    .globl time_spin_loop, time_spin_odd, time_spin_end
    .balign 4
time_spin_loop:
    ld a3, (a0)
    bne a3, a1, time_spin_end
1:  addi a2, a2, -1
time_spin_odd:
    bnez a2, 1b
time_spin_end:
    mv a0, a2
    ret
