/*
 * The virtual S-mode CSRs as one table: number, name, how to read, how to write (WARL).
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "isa/decode.h"
#include "isa/riscv.h"
#include "vm/vcpu.h"

/* Carries out CSRRW/CSRRS/CSRRC(I) in vS. False: the guest gets an illegal instruction. rd and the
 * CSR are untouched then. Zicsr: rs1 = x0 (or zimm = 0) suppresses the write of CSRRS and CSRRC. */
bool csr_execute(struct vcpu *vcpu, const struct insn *insn);

/* The specification's name of a CSR, or null. */
const char *csr_name(unsigned csr);

/* sstatus as the guest reads it. */
static inline uint64_t csr_sstatus(const struct vcpu *vcpu)
{
    uint64_t sstatus = vcpu->csr.sstatus;
    return sstatus | SSTATUS_UXL_64 | ((sstatus & SSTATUS_FS) == SSTATUS_FS ? SSTATUS_SD : 0);
}
