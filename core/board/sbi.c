/*
 * SBI v2.0 for the guest: BASE, TIME, IPI, RFENCE, HSM, SRST, DBCN and the legacy console, timer and
 * shutdown. Everything else is SBI_ERR_NOT_SUPPORTED.
 *
 * Surprise: legacy calls answer in a0 alone and must leave a1 as it is.
 */
#include "board/sbi.h"

#include "cpu/timer.h"
#include "device.h"
#include "host/machine.h"
#include "memory/map.h"
#include "memory/shadow.h"
#include "riscv.h"
#include "vm.h"

#define SBI_SPEC_VERSION 0x02000000ul
#define SBI_IMPL_ID      0x5452ul /* "TR": not registered */
#define SBI_IMPL_VERSION 1ul

enum sbi_error {
    SBI_SUCCESS = 0,
    SBI_ERR_FAILED = -1,
    SBI_ERR_NOT_SUPPORTED = -2,
    SBI_ERR_INVALID_PARAM = -3,
    SBI_ERR_INVALID_ADDRESS = -5,
    SBI_ERR_ALREADY_AVAILABLE = -6,
};

#define EID_SET_TIMER   0x00ul
#define EID_PUTCHAR     0x01ul
#define EID_GETCHAR     0x02ul
#define EID_CLEAR_IPI   0x03ul
#define EID_SEND_IPI    0x04ul
#define EID_FENCE_I     0x05ul
#define EID_SFENCE      0x06ul
#define EID_SFENCE_ASID 0x07ul
#define EID_SHUTDOWN    0x08ul
#define EID_BASE        0x10ul
#define EID_TIME        0x54494d45ul
#define EID_IPI         0x735049ul
#define EID_RFENCE      0x52464e43ul
#define EID_HSM         0x48534dul
#define EID_SRST        0x53525354ul
#define EID_DBCN        0x4442434eul
#define EID_TRIDENT     0x09000001ul /* vendor space: marks around a workload */

struct sbi_answer {
    long error;
    uint64_t value;
};

/* A host of our own for the guest's console output that is not its UART: the firmware's. */
static struct sbi_answer host_call(uint64_t eid, uint64_t fid, uint64_t a0, uint64_t a1,
                                   uint64_t a2)
{
    register uint64_t r0 __asm__("a0") = a0;
    register uint64_t r1 __asm__("a1") = a1;
    register uint64_t r2 __asm__("a2") = a2;
    register uint64_t r6 __asm__("a6") = fid;
    register uint64_t r7 __asm__("a7") = eid;
    __asm__ volatile("ecall" : "+r"(r0), "+r"(r1) : "r"(r2), "r"(r6), "r"(r7) : "memory");
    return (struct sbi_answer){(long)r0, r1};
}

/* Whether a hart mask names hart 0 alone, or all. */
static long check_hart_mask(uint64_t mask, uint64_t base)
{
    if (base == UINT64_MAX)
        return SBI_SUCCESS;
    return base == 0 && (mask & ~1ul) == 0 ? SBI_SUCCESS : SBI_ERR_INVALID_PARAM;
}

static bool names_hart_0(uint64_t mask, uint64_t base)
{
    return base == UINT64_MAX || (mask & 1);
}

static void fence_range(struct vcpu *vcpu, uint64_t start, uint64_t size, bool by_asid,
                        uint64_t asid)
{
    if ((start == 0 && size == 0) || size > 64 * PAGE_SIZE) {
        shadow_fence(vcpu, false, 0, by_asid, asid);
        return;
    }
    /* Counted in pages: the range may end at the top of the address space. */
    uint64_t pages = ((start & PAGE_MASK) + size + PAGE_MASK) >> PAGE_SHIFT;
    for (uint64_t i = 0; i < pages; i++)
        shadow_fence(vcpu, true, (start & ~PAGE_MASK) + (i << PAGE_SHIFT), by_asid, asid);
}

static struct sbi_answer call_base(struct vcpu *vcpu, uint64_t fid);

static struct sbi_answer call_time(struct vcpu *vcpu, uint64_t fid)
{
    if (fid != 0)
        return (struct sbi_answer){SBI_ERR_NOT_SUPPORTED, 0};
    timer_set(vcpu, vcpu->x[10]);
    return (struct sbi_answer){SBI_SUCCESS, 0};
}

static struct sbi_answer call_ipi(struct vcpu *vcpu, uint64_t fid)
{
    if (fid != 0)
        return (struct sbi_answer){SBI_ERR_NOT_SUPPORTED, 0};
    long error = check_hart_mask(vcpu->x[10], vcpu->x[11]);
    if (!error && names_hart_0(vcpu->x[10], vcpu->x[11])) {
        vcpu->csr.sip |= SIP_SSIP;
        vcpu->interrupts_stale = true;
    }
    return (struct sbi_answer){error, 0};
}

static struct sbi_answer call_rfence(struct vcpu *vcpu, uint64_t fid)
{
    const uint64_t *a = &vcpu->x[10];
    if (fid > 2)
        return (struct sbi_answer){SBI_ERR_NOT_SUPPORTED, 0}; /* hfence: no hypervisor extension */
    long error = check_hart_mask(a[0], a[1]);
    if (!error && names_hart_0(a[0], a[1]) && fid != 0) /* remote fence.i: nothing is cached */
        fence_range(vcpu, a[2], a[3], fid == 2, a[4] & SATP_ASID_MASK);
    return (struct sbi_answer){error, 0};
}

static struct sbi_answer call_hsm(struct vcpu *vcpu, uint64_t fid)
{
    bool known = vcpu->x[10] == vcpu->hartid;
    switch (fid) {
    case 0:
        return (struct sbi_answer){known ? SBI_ERR_ALREADY_AVAILABLE : SBI_ERR_INVALID_PARAM, 0};
    case 1: return (struct sbi_answer){SBI_ERR_FAILED, 0}; /* the last hart cannot stop itself */
    case 2:
        return (struct sbi_answer){known ? SBI_SUCCESS : SBI_ERR_INVALID_PARAM, 0}; /* STARTED */
    case 3:
        if ((uint32_t)vcpu->x[10] != 0) /* only the default retentive suspend */
            return (struct sbi_answer){SBI_ERR_INVALID_PARAM, 0};
        vcpu_wfi(vcpu);
        return (struct sbi_answer){SBI_SUCCESS, 0};
    default: return (struct sbi_answer){SBI_ERR_NOT_SUPPORTED, 0};
    }
}

static struct sbi_answer call_srst(struct vcpu *vcpu, uint64_t fid)
{
    uint32_t type = (uint32_t)vcpu->x[10], reason = (uint32_t)vcpu->x[11];
    if (fid != 0)
        return (struct sbi_answer){SBI_ERR_NOT_SUPPORTED, 0};
    if (type > 2 || reason > 1)
        return (struct sbi_answer){SBI_ERR_INVALID_PARAM, 0};
    vm_end(vcpu->vm, type == 0 ? VM_POWEROFF : VM_REBOOT, reason); /* 1: system failure */
}

static struct sbi_answer call_dbcn(struct vcpu *vcpu, uint64_t fid)
{
    uint64_t bytes = vcpu->x[10], gpa = vcpu->x[11];
    if (fid == 2)
        return host_call(EID_DBCN, 2, vcpu->x[10], 0, 0);
    if (fid > 2)
        return (struct sbi_answer){SBI_ERR_NOT_SUPPORTED, 0};
    if (vcpu->x[12] != 0)
        return (struct sbi_answer){SBI_ERR_INVALID_PARAM, 0};
    if (bytes == 0)
        return (struct sbi_answer){SBI_SUCCESS, 0};
    void *buffer = fid == 1 ? vm_ram_for_write(vcpu->vm, gpa, bytes) : vm_ram(vcpu->vm, gpa, bytes);
    if (!buffer)
        return (struct sbi_answer){SBI_ERR_INVALID_PARAM, 0};
    if (fid == 0)
        host_console_flush(vcpu->vm->host); /* both go to one UART: keep their order */
    return host_call(EID_DBCN, fid, bytes, map_pointer_hpa(buffer), 0);
}

/* Begin and end of a workload: the statistics are reset, or sent with the label in a0. */
static struct sbi_answer call_trident(struct vcpu *vcpu, uint64_t fid)
{
    if (fid > 1)
        return (struct sbi_answer){SBI_ERR_NOT_SUPPORTED, 0};
    if (fid == 0) {
        stats_reset(vcpu->vm);
    } else if (!control_mark(vcpu->vm->host, (int)vcpu->x[10])) {
        vcpu->pc -= 4; /* the guest makes the call again, after its interrupts */
        return (struct sbi_answer){(long)vcpu->x[10], vcpu->x[11]};
    }
    return (struct sbi_answer){SBI_SUCCESS, 0};
}

/* The table is what is supported: probe answers from it. */
static const struct sbi_extension {
    uint64_t eid;
    struct sbi_answer (*call)(struct vcpu *vcpu, uint64_t fid);
} extensions[] = {
    {EID_BASE, call_base},     {EID_TIME, call_time},       {EID_IPI, call_ipi},
    {EID_RFENCE, call_rfence}, {EID_HSM, call_hsm},         {EID_SRST, call_srst},
    {EID_DBCN, call_dbcn},     {EID_TRIDENT, call_trident},
};

#define EXTENSIONS (sizeof(extensions) / sizeof(extensions[0]))

static const struct sbi_extension *find(uint64_t eid)
{
    for (unsigned i = 0; i < EXTENSIONS; i++)
        if (extensions[i].eid == eid)
            return &extensions[i];
    return NULL;
}

static struct sbi_answer call_base(struct vcpu *vcpu, uint64_t fid)
{
    uint64_t eid = vcpu->x[10];
    switch (fid) {
    case 0: return (struct sbi_answer){SBI_SUCCESS, SBI_SPEC_VERSION};
    case 1: return (struct sbi_answer){SBI_SUCCESS, SBI_IMPL_ID};
    case 2: return (struct sbi_answer){SBI_SUCCESS, SBI_IMPL_VERSION};
    case 3: return (struct sbi_answer){SBI_SUCCESS, find(eid) != NULL || eid <= EID_SHUTDOWN};
    case 4:
    case 5:
    case 6:
        return host_call(EID_BASE, fid, 0, 0, 0); /* mvendorid, marchid, mimpid: the machine's */
    default: return (struct sbi_answer){SBI_ERR_NOT_SUPPORTED, 0};
    }
}

/* Legacy: hart masks lie in guest memory by virtual address; with one hart they are not needed. */
static void call_legacy(struct vcpu *vcpu, uint64_t eid)
{
    uint64_t *a0 = &vcpu->x[10];
    switch (eid) {
    case EID_SET_TIMER: timer_set(vcpu, *a0); break;
    case EID_PUTCHAR:
        host_console_flush(vcpu->vm->host);
        host_call(EID_PUTCHAR, 0, *a0, 0, 0);
        break;
    case EID_GETCHAR: *a0 = (uint64_t)host_call(EID_GETCHAR, 0, 0, 0, 0).error; return;
    case EID_CLEAR_IPI:
        *a0 = vcpu->csr.sip & SIP_SSIP ? 1 : 0;
        vcpu->csr.sip = 0;
        return;
    case EID_SEND_IPI:
        vcpu->csr.sip |= SIP_SSIP;
        vcpu->interrupts_stale = true;
        break;
    case EID_FENCE_I: break;
    case EID_SFENCE: shadow_fence(vcpu, false, 0, false, 0); break;
    case EID_SFENCE_ASID: shadow_fence(vcpu, false, 0, true, vcpu->x[13] & SATP_ASID_MASK); break;
    case EID_SHUTDOWN: vm_end(vcpu->vm, VM_POWEROFF, 0);
    default: break;
    }
    *a0 = 0;
}

void sbi_call(struct vcpu *vcpu)
{
    uint64_t eid = vcpu->x[17];
    if (eid <= EID_SHUTDOWN) {
        call_legacy(vcpu, eid);
        return;
    }
    const struct sbi_extension *extension = find(eid);
    struct sbi_answer answer = {SBI_ERR_NOT_SUPPORTED, 0};
    if (extension)
        answer = extension->call(vcpu, vcpu->x[16]);
    vcpu->x[10] = (uint64_t)answer.error;
    vcpu->x[11] = answer.value;
}

uint32_t sbi_detail(const struct vcpu *vcpu)
{
    uint64_t eid = vcpu->x[17];
    return STATS_SBI(eid, eid <= EID_SHUTDOWN ? 0 : vcpu->x[16] & 0xff);
}
