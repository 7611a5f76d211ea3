/*
 * Code that checks write themselves: a few instructions, and a way to run them.
 */
#pragma once
#include "space.h"

/* Instructions. */
#define EBREAK              0x00100073u
#define ECALL               0x00000073u
#define NOP                 0x00000013u
#define A0                  10u
#define A1                  11u
#define A2                  12u
#define CSRR(rd, csr)       ((uint32_t)(csr) << 20 | 2u << 12 | (rd) << 7 | 0x73)
#define CSRW(csr, rs)       ((uint32_t)(csr) << 20 | (rs) << 15 | 1u << 12 | 0x73)
#define ADDI(rd, rs, value) ((uint32_t)(value) << 20 | (rs) << 15 | (rd) << 7 | 0x13)
#define JR_T0               0x00028067u

static inline void code_fence_i(void)
{
    __asm__ volatile("fence.i" : : : "memory");
}

/* Runs the code at `at`, which ends with an ebreak `length` bytes on, in vS at gva (0: at `at`). */
struct run code_execute(const void *at, uint64_t length, uint64_t gva, uint64_t satp, uint64_t a0);
