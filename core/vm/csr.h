/*
 * The virtual S-mode CSRs as one table: number, name, how to read, how to write (WARL).
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "isa/decode.h"
#include "isa/riscv.h"

/* What of sstatus is kept in struct vcsr. */
#define CSR_SSTATUS_KEPT (SSTATUS_SIE | SSTATUS_SPIE | SSTATUS_SPP | SSTATUS_SUM | SSTATUS_MXR)

struct vcpu;

/* Carries out CSRRW/CSRRS/CSRRC(I) in vS. False: the guest gets an illegal instruction. rd and the CSR
 * are untouched then. Zicsr: rs1 = x0 (or zimm = 0) suppresses the write of CSRRS and CSRRC. */
bool csr_execute(struct vcpu *vcpu, const struct insn *insn);

/* The specification's name of a CSR, or null. */
const char *csr_name(unsigned csr);

/* sstatus as the guest reads it. */
uint64_t csr_sstatus(const struct vcpu *vcpu);
