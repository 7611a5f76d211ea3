/* What the parts of the guest's SBI share: sbi.c (the table and what belongs to no part),
 * sbi_harts.c (IPI, RFENCE, HSM and their legacy forms) and sbi_console.c (DBCN and its legacy
 * forms). */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct vcpu;

/* SBI specification 2.0, "Binary Encoding". */
enum sbi_error {
    SBI_SUCCESS = 0,
    SBI_ERR_FAILED = -1,
    SBI_ERR_NOT_SUPPORTED = -2,
    SBI_ERR_INVALID_PARAM = -3,
    SBI_ERR_INVALID_ADDRESS = -5,
    SBI_ERR_ALREADY_AVAILABLE = -6,
};

struct sbi_answer {
    long error;
    uint64_t value;
    /* The guest does not go on behind its ecall: nothing is to be put into a0, a1. */
    bool elsewhere;
    bool wait; /* and not before something has happened: the hart may sleep */
};

static inline struct sbi_answer sbi_error(long error)
{
    return (struct sbi_answer){.error = error};
}

static inline struct sbi_answer sbi_value(uint64_t value)
{
    return (struct sbi_answer){.error = SBI_SUCCESS, .value = value};
}

#define SBI_EID_IPI  0x735049ul
#define SBI_EID_BASE 0x10ul

/* Extensions: function fid, arguments in the vcpu's a0 to a5. */
struct sbi_answer sbi_call_ipi(struct vcpu *vcpu, uint64_t fid);
struct sbi_answer sbi_call_rfence(struct vcpu *vcpu, uint64_t fid);
struct sbi_answer sbi_call_hsm(struct vcpu *vcpu, uint64_t fid);
struct sbi_answer sbi_call_dbcn(struct vcpu *vcpu, uint64_t fid);

/* Legacy calls, whose only answer is the error. */
struct sbi_answer sbi_legacy_putchar(struct vcpu *vcpu);
struct sbi_answer sbi_legacy_getchar(struct vcpu *vcpu);
struct sbi_answer sbi_legacy_clear_ipi(struct vcpu *vcpu);
struct sbi_answer sbi_legacy_send_ipi(struct vcpu *vcpu);
struct sbi_answer sbi_legacy_fence_i(struct vcpu *vcpu);
struct sbi_answer sbi_legacy_sfence(struct vcpu *vcpu);
struct sbi_answer sbi_legacy_sfence_asid(struct vcpu *vcpu);
