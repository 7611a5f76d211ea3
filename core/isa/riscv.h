/*
 * RISC-V privileged architecture: CSR numbers, fields, causes, and accessors for the host's CSRs.
 * Names are the privileged specification's.
 */
#pragma once
#include <stdint.h>

/* A function that is seldom called: it is kept out of the one that calls it, whose
 * way stays short. */
#define RARE __attribute__((cold, noinline))

/* A function that a system call, a CSR access or their returns execute: these stand together, since under
 * QEMU each page of code costs a walk of the tables after a change of satp. */
#ifdef __riscv
#define HOT __attribute__((section(".text.hot")))
#else
#define HOT
#endif

/* --- Supervisor CSRs (privileged specification, table "Supervisor-level CSR addresses") --- */
#define CSR_FFLAGS       0x001
#define CSR_FRM          0x002
#define CSR_FCSR         0x003
#define CSR_SSTATUS      0x100
#define CSR_SIE          0x104
#define CSR_STVEC        0x105
#define CSR_SCOUNTEREN   0x106
#define CSR_SENVCFG      0x10a
#define CSR_SSCRATCH     0x140
#define CSR_SEPC         0x141
#define CSR_SCAUSE       0x142
#define CSR_STVAL        0x143
#define CSR_SIP          0x144
#define CSR_STIMECMP     0x14d
#define CSR_SATP         0x180
#define CSR_CYCLE        0xc00
#define CSR_TIME         0xc01
#define CSR_INSTRET      0xc02
#define CSR_HPMCOUNTER3  0xc03
#define CSR_HPMCOUNTER31 0xc1f

/* --- sstatus --- */
#define SSTATUS_SIE        (1ul << 1)
#define SSTATUS_SPIE       (1ul << 5)
#define SSTATUS_UBE        (1ul << 6)
#define SSTATUS_SPP        (1ul << 8)
#define SSTATUS_VS         (3ul << 9)
#define SSTATUS_FS         (3ul << 13)
#define SSTATUS_FS_INITIAL (1ul << 13)
#define SSTATUS_XS         (3ul << 15)
#define SSTATUS_SUM        (1ul << 18)
#define SSTATUS_MXR        (1ul << 19)
#define SSTATUS_UXL        (3ul << 32)
#define SSTATUS_UXL_64     (2ul << 32)
#define SSTATUS_SD         (1ul << 63)

/* --- scounteren --- */
#define SCOUNTEREN_TM (1ul << 1) /* vU may read time */

/* --- sie, sip --- */
#define INTERRUPT_SOFTWARE 1u
#define INTERRUPT_TIMER    5u
#define INTERRUPT_EXTERNAL 9u
#define SIP_SSIP           (1ul << INTERRUPT_SOFTWARE)
#define SIP_STIP           (1ul << INTERRUPT_TIMER)
#define SIP_SEIP           (1ul << INTERRUPT_EXTERNAL)
#define SIP_ALL            (SIP_SSIP | SIP_STIP | SIP_SEIP)

/* --- scause --- */
#define SCAUSE_INTERRUPT (1ul << 63)
enum cause {
    CAUSE_FETCH_MISALIGNED = 0,
    CAUSE_FETCH_ACCESS = 1,
    CAUSE_ILLEGAL = 2,
    CAUSE_BREAKPOINT = 3,
    CAUSE_LOAD_MISALIGNED = 4,
    CAUSE_LOAD_ACCESS = 5,
    CAUSE_STORE_MISALIGNED = 6,
    CAUSE_STORE_ACCESS = 7,
    CAUSE_ECALL_U = 8,
    CAUSE_ECALL_S = 9,
    CAUSE_FETCH_PAGE = 12,
    CAUSE_LOAD_PAGE = 13,
    CAUSE_STORE_PAGE = 15,
};

/* --- satp, page table entries --- */
#define SATP_MODE_SHIFT 60
#define SATP_MODE_BARE  0ul
#define SATP_MODE_SV39  8ul
#define SATP_MODE_SV48  9ul
#define SATP_MODE_SV57  10ul
#define SATP_ASID_SHIFT 44
#define SATP_ASID_MASK  0xfffful
#define SATP_PPN_MASK   ((1ul << 44) - 1)

#define PTE_V         (1ul << 0)
#define PTE_R         (1ul << 1)
#define PTE_W         (1ul << 2)
#define PTE_X         (1ul << 3)
#define PTE_U         (1ul << 4)
#define PTE_G         (1ul << 5)
#define PTE_A         (1ul << 6)
#define PTE_D         (1ul << 7)
#define PTE_RESERVED  (0x3fful << 54) /* N, PBMT and reserved: not offered, so a fault when set */
#define PTE_PPN_SHIFT 10
#define PTE_PPN(pte)  (((pte) >> PTE_PPN_SHIFT) & ((1ul << 44) - 1))

#define PAGE_SHIFT 12
#define PAGE_SIZE  (1ul << PAGE_SHIFT)
#define PAGE_MASK  (PAGE_SIZE - 1)

/* --- senvcfg --- */
#define SENVCFG_FIOM       (1ul << 0)
#define SENVCFG_CBIE       (3ul << 4)
#define SENVCFG_CBIE_FLUSH (1ul << 4) /* CBO.INVAL does what CBO.FLUSH does */
#define SENVCFG_CBCFE      (1ul << 6)
#define SENVCFG_CBZE       (1ul << 7)

#ifdef __riscv
#define csr_read(csr)                                                  \
    ({                                                                 \
        uint64_t csr_value_;                                           \
        __asm__ volatile("csrr %0, %1" : "=r"(csr_value_) : "i"(csr)); \
        csr_value_;                                                    \
    })
#define csr_write(csr, value) \
    __asm__ volatile("csrw %0, %1" : : "i"(csr), "rK"((uint64_t)(value)) : "memory")
#define csr_set(csr, value) \
    __asm__ volatile("csrs %0, %1" : : "i"(csr), "rK"((uint64_t)(value)) : "memory")
#define csr_clear(csr, value) \
    __asm__ volatile("csrc %0, %1" : : "i"(csr), "rK"((uint64_t)(value)) : "memory")

static inline void sfence_vma_all(void)
{
    __asm__ volatile("sfence.vma zero, zero" : : : "memory");
}

static inline void riscv_fence_i(void)
{
    __asm__ volatile("fence.i" : : : "memory");
}

static inline void riscv_wfi(void)
{
    __asm__ volatile("wfi" : : : "memory");
}
#else
/* Built for another machine (unit tests), the hart is the test's. */
uint64_t csr_read(unsigned csr);
void csr_write(unsigned csr, uint64_t value);
void csr_set(unsigned csr, uint64_t bits);
void csr_clear(unsigned csr, uint64_t bits);
void riscv_fence_i(void);
void riscv_wfi(void);
#endif
