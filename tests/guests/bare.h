/*
 * What a bare guest of tests/guests is made of: a console, traps that are caught, an identity map,
 * and an end with a status. A bare guest is one file with a main(); it needs no driver, so that it
 * can do to the board what a kernel with drivers would not.
 *
 * The same file runs natively (DEVICE=native), which says what is right.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "isa/riscv.h"

#define BARE_RAM          0x80000000ul /* RAM: 1 GiB from here on is mapped by bare_paging() */
#define BARE_UART         0x10000000ul
#define BARE_VIRTIO(slot) (0x10001000ul + 0x1000ul * (slot))
#define BARE_PLIC         0x0c000000ul
/* bare_map() maps from here on: up to 1 GiB of addresses of the test's own. */
#define BARE_FREE 0x40000000ul

/* Each guest file has its own. Its value is the status of the run, 0 for success. It is started
 * with paging and interrupts off. */
int main(void);

extern uint64_t bare_hart;
extern const void *bare_tree; /* the device tree */

/* Ends the machine: by SRST with status 0, else by the test finisher. */
_Noreturn void bare_end(int status);

/* --- Checks --- */

/* printf() is a call of SBI DBCN for each line, and takes its buffers to be at identity
 * addresses. */

extern unsigned bare_failures;

/* Unless the condition holds: prints the sentence (as printf()) and counts the failure. */
#define CHECK(condition, ...)             \
    do {                                  \
        if (!(condition)) {               \
            bare_failures++;              \
            printf("FAIL: " __VA_ARGS__); \
            printf("\n");                 \
        }                                 \
    } while (0)

/* --- Traps --- */

struct bare_trap {
    uint64_t x[32], sepc, scause, stval, sstatus;
};
extern struct bare_trap bare_trapped; /* the last trap that was caught */
extern uint64_t bare_trying, bare_returned;

/* Calls function(a, b). True: it trapped, see bare_trapped; false: it returned bare_returned. */
bool bare_try(uint64_t (*function)(uint64_t, uint64_t), uint64_t a, uint64_t b);

/* Runs vU code from pc on until it traps, see bare_trapped. Its stack is the caller's. */
void bare_user(uint64_t pc, uint64_t a, uint64_t b);

/* Called first for each trap, if not null. True: the trap is dealt with, and the guest goes on as
 * bare_trapped says. */
extern bool (*bare_on_trap)(struct bare_trap *trap);
bool bare_trap(void); /* called by the trap vector in start.S */

uint64_t bare_load(uint64_t address, uint64_t width); /* for bare_try() */
uint64_t bare_store_8(uint64_t address, uint64_t value);
uint64_t bare_store_32(uint64_t address, uint64_t value);

/* --- SBI --- */

struct bare_sbi {
    int64_t error;
    uint64_t value;
};
struct bare_sbi bare_sbi(uint64_t extension, uint64_t function, uint64_t a0, uint64_t a1,
                         uint64_t a2, uint64_t a3);

/* --- Memory --- */

/* A zeroed page behind the image, never given back. */
void *bare_page(void);

/* Paging on, Sv39: RAM and the board's devices where they are, bare_map()'s pages besides. */
void bare_paging(void);

/* Maps gpa at BARE_FREE + page * 4 KiB with these PTE_ bits (V is added), without a fence. Returns
 * the address. */
uint64_t bare_map(uint64_t page, uint64_t gpa, uint64_t bits);
/* The page's entry in the level-0 table; the entries of the 511 pages beside it are beside it. */
uint64_t *bare_entry(uint64_t page);

extern uint64_t bare_root[512]; /* the table of bare_paging(); bare_root[1] is bare_map()'s */

/* --- Code made at run time --- */

static inline void bare_put_32(void *page, uint64_t offset, uint32_t word)
{
    memcpy((uint8_t *)page + offset, &word, sizeof(word));
}

static inline void bare_put_16(void *page, uint64_t offset, uint16_t half)
{
    memcpy((uint8_t *)page + offset, &half, sizeof(half));
}

#define BARE_NOP 0x00000013u
#define BARE_RET 0x00008067u

#define bare_read(type, address)         (*(const volatile type *)(uint64_t)(address))
#define bare_write(type, address, value) (*(volatile type *)(uint64_t)(address) = (type)(value))

static inline void bare_fence(void)
{
    __asm__ volatile("fence iorw, iorw" : : : "memory");
}

static inline void bare_fence_address(uint64_t gva)
{
    __asm__ volatile("sfence.vma %0" : : "r"(gva) : "memory");
}

static inline uint64_t bare_time(void)
{
    return csr_read(CSR_TIME); /* 10 MHz */
}
