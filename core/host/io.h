/*
 * Access to the real machine's registers and clock: exact widths, and ordering against memory.
 *
 * Built for another machine (unit tests), the fence is the compiler's and the clock is the test's.
 */
#pragma once
#include <stdint.h>

#include "isa/riscv.h"

static inline uint8_t io_read8(uintptr_t address)
{
    return *(volatile uint8_t *)address;
}

static inline void io_write8(uintptr_t address, uint8_t value)
{
    *(volatile uint8_t *)address = value;
}

static inline uint32_t io_read32(uintptr_t address)
{
    return *(volatile uint32_t *)address;
}

static inline void io_write32(uintptr_t address, uint32_t value)
{
    *(volatile uint32_t *)address = value;
}

static inline void io_write64(uintptr_t address, uint64_t value)
{
    *(volatile uint64_t *)address = value;
}

#ifdef __riscv
/* Orders all memory and register accesses before it against all after it. */
static inline void io_fence(void)
{
    __asm__ volatile("fence iorw, iorw" : : : "memory");
}

/* Ticks of the timebase. */
static inline uint64_t io_time(void)
{
    return csr_read(CSR_TIME);
}

/* Instructions retired by this hart, in every mode. */
static inline uint64_t io_instret(void)
{
    return csr_read(CSR_INSTRET);
}
#else
static inline void io_fence(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

uint64_t io_time(void);
uint64_t io_instret(void);
#endif
