/*
 * SBI v2.0 for the guest: BASE, TIME, IPI, RFENCE, HSM, SRST, DBCN and the legacy calls. Everything
 * else is SBI_ERR_NOT_SUPPORTED. Here are the tables, and what is neither about harts nor about the
 * console.
 *
 * Surprise: legacy calls answer in a0 alone and must leave a1 as it is.
 */
#include "board/sbi.h"

#include "board/sbi_internal.h"
#include "host/firmware.h"
#include "vm/run.h"
#include "vm/timer.h"
#include "vm/vm.h"

#define SBI_SPEC_VERSION 0x02000000ul
#define SBI_IMPL_ID      0x5452ul /* "TR": not registered */
#define SBI_IMPL_VERSION 1ul

#define EID_SHUTDOWN 0x08ul
#define EID_TIME     0x54494d45ul
#define EID_RFENCE   0x52464e43ul
#define EID_HSM      0x48534dul
#define EID_SRST     0x53525354ul
#define EID_DBCN     0x4442434eul
#define EID_TRIDENT  0x09000001ul /* vendor space: marks around a workload */

static struct sbi_answer call_base(struct vcpu *vcpu, uint64_t fid);

static struct sbi_answer call_time(struct vcpu *vcpu, uint64_t fid)
{
    if (fid != 0)
        return sbi_error(SBI_ERR_NOT_SUPPORTED);
    timer_set(vcpu, vcpu->x[10]);
    return sbi_value(0);
}

static struct sbi_answer call_srst(struct vcpu *vcpu, uint64_t fid)
{
    uint32_t type = (uint32_t)vcpu->x[10], reason = (uint32_t)vcpu->x[11];
    if (fid != 0)
        return sbi_error(SBI_ERR_NOT_SUPPORTED);
    if (type > 2 || reason > 1)
        return sbi_error(SBI_ERR_INVALID_PARAM);
    vm_end(vcpu->vm, type == 0 ? VM_POWEROFF : VM_REBOOT, reason); /* 1: system failure */
}

/* Begin and end of a workload: the statistics are reset, or sent with the label in a0. */
static struct sbi_answer call_trident(struct vcpu *vcpu, uint64_t fid)
{
    if (fid > 1)
        return sbi_error(SBI_ERR_NOT_SUPPORTED);
    if (fid == 0) {
        stats_reset(vcpu->vm);
    } else if (!vcpu->vm->mark(vcpu->vm, (int)vcpu->x[10])) {
        vcpu->pc -= 4; /* the guest makes the call again, after its interrupts */
        return (struct sbi_answer){.elsewhere = true};
    }
    return sbi_value(0);
}

/* The table is what is supported: probe answers from it. */
static const struct sbi_extension {
    uint64_t eid;
    struct sbi_answer (*call)(struct vcpu *vcpu, uint64_t fid);
} extensions[] = {
    {SBI_EID_BASE, call_base},     {EID_TIME, call_time},       {SBI_EID_IPI, sbi_call_ipi},
    {EID_RFENCE, sbi_call_rfence}, {EID_HSM, sbi_call_hsm},     {EID_SRST, call_srst},
    {EID_DBCN, sbi_call_dbcn},     {EID_TRIDENT, call_trident},
};

#define EXTENSIONS (sizeof(extensions) / sizeof(extensions[0]))

static const struct sbi_extension *find(uint64_t eid)
{
    for (unsigned i = 0; i < EXTENSIONS; i++)
        if (extensions[i].eid == eid)
            return &extensions[i];
    return NULL;
}

/* mvendorid, marchid, mimpid: the machine's. */
static struct sbi_answer machine_identity(uint64_t fid)
{
    struct firmware_answer answer = firmware_call(SBI_EID_BASE, fid, 0, 0, 0);
    return (struct sbi_answer){.error = answer.error, .value = answer.value};
}

static struct sbi_answer call_base(struct vcpu *vcpu, uint64_t fid)
{
    uint64_t eid = vcpu->x[10];
    switch (fid) {
    case 0: return sbi_value(SBI_SPEC_VERSION);
    case 1: return sbi_value(SBI_IMPL_ID);
    case 2: return sbi_value(SBI_IMPL_VERSION);
    case 3: return sbi_value(find(eid) != NULL || eid <= EID_SHUTDOWN);
    case 4:
    case 5:
    case 6: return machine_identity(fid);
    default: return sbi_error(SBI_ERR_NOT_SUPPORTED);
    }
}

static struct sbi_answer legacy_set_timer(struct vcpu *vcpu)
{
    timer_set(vcpu, vcpu->x[10]);
    return sbi_value(0);
}

static struct sbi_answer legacy_shutdown(struct vcpu *vcpu)
{
    vm_end(vcpu->vm, VM_POWEROFF, 0);
}

/* By EID. */
static struct sbi_answer (*const legacy[])(struct vcpu *vcpu) = {
    legacy_set_timer,     sbi_legacy_putchar,     sbi_legacy_getchar,
    sbi_legacy_clear_ipi, sbi_legacy_send_ipi,    sbi_legacy_fence_i,
    sbi_legacy_sfence,    sbi_legacy_sfence_asid, legacy_shutdown,
};

struct exit sbi_call(struct vcpu *vcpu)
{
    uint64_t eid = vcpu->x[17];
    bool is_legacy = eid <= EID_SHUTDOWN;
    struct exit exit = exit_of(EXIT_SBI, EXIT_SBI_CALL(eid, is_legacy ? 0 : vcpu->x[16] & 0xff));
    const struct sbi_extension *extension = find(eid);
    struct sbi_answer answer = sbi_error(SBI_ERR_NOT_SUPPORTED);
    if (is_legacy)
        answer = legacy[eid](vcpu);
    else if (extension)
        answer = extension->call(vcpu, vcpu->x[16]);
    if (answer.elsewhere) {
        if (answer.wait)
            run_wait(vcpu, exit, true);
        return exit;
    }
    vcpu->x[10] = (uint64_t)answer.error;
    if (!is_legacy)
        vcpu->x[11] = answer.value;
    return exit;
}
