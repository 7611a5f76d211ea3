/*
 * Calls about harts: SBI specification 2.0, chapters "IPI Extension", "RFENCE Extension", "Hart
 * State Management Extension", and the legacy calls of chapter "Legacy Extensions".
 *
 * The surprise: a mask may name harts that do not exist, and what then is depends on the firmware.
 * For a hart that does exist the call is always carried out; otherwise the machine's own firmware
 * is asked (answer_absent).
 */
#include "board/sbi_internal.h"
#include "device.h"
#include "host/firmware.h"
#include "isa/riscv.h"
#include "vm/emulate.h"
#include "vm/engine.h"
#include "vm/run.h"
#include "vm/vm.h"

#define ALL_HARTS   UINT64_MAX   /* hart_mask_base */
#define ABSENT_BASE 0xfffffffful /* of harts that no machine has */

#define FENCE_PAGES_MAX 64u /* a larger range is forgotten whole, as the specification lets us */

/* HSM: suspend types. In between are reserved ones. */
#define SUSPEND_RETENTIVE              0x00000000u
#define SUSPEND_RETENTIVE_PLATFORM     0x10000000u
#define SUSPEND_NON_RETENTIVE          0x80000000u
#define SUSPEND_NON_RETENTIVE_PLATFORM 0x90000000u

/* --- Masks --- */

static bool names_hart(const struct vcpu *vcpu, uint64_t mask, uint64_t base)
{
    uint64_t bit = vcpu->hartid - base;
    return base == ALL_HARTS || (vcpu->hartid >= base && bit < 64 && (mask >> bit & 1));
}

/* What a call says whose mask names none of the guest's harts. With a base that exists: success.
 * OpenSBI up to 1.5 refuses a base that does not, as the specification has it, and from 1.6 on it
 * does nothing; so this machine's is asked, with a mask that names nobody. */
static struct sbi_answer answer_absent(const struct vcpu *vcpu, uint64_t base)
{
    if (base == vcpu->hartid)
        return sbi_value(0);
    bool refuses = firmware_call(SBI_EID_IPI, 0, 0, ABSENT_BASE, 0).error != SBI_SUCCESS;
    return sbi_error(refuses ? SBI_ERR_INVALID_PARAM : SBI_SUCCESS);
}

/* The mask of a legacy call lies at a virtual address of the guest; a null pointer names all.
 * False: the guest's own load of it would trap, and so the call does, at the ecall. */
static bool load_mask(struct vcpu *vcpu, bool *named)
{
    uint64_t gva = vcpu->x[10], mask, stval;
    uint64_t cause = gva ? emulate_read(vcpu, gva, sizeof(mask), &mask, &stval) : 0;
    if (cause) {
        vcpu->pc -= 4;
        vcpu_raise(vcpu, cause, stval);
        return false;
    }
    *named = !gva || names_hart(vcpu, mask, 0);
    return true;
}

/* --- IPI --- */

static void send_ipi(struct vcpu *vcpu)
{
    vcpu->csr.sip |= SIP_SSIP;
    vcpu->changed |= VCPU_INTERRUPTS;
}

struct sbi_answer sbi_call_ipi(struct vcpu *vcpu, uint64_t fid)
{
    if (fid != 0)
        return sbi_error(SBI_ERR_NOT_SUPPORTED);
    if (!names_hart(vcpu, vcpu->x[10], vcpu->x[11]))
        return answer_absent(vcpu, vcpu->x[11]);
    send_ipi(vcpu);
    return sbi_value(0);
}

struct sbi_answer sbi_legacy_clear_ipi(struct vcpu *vcpu)
{
    bool pending = vcpu->csr.sip & SIP_SSIP;
    vcpu->csr.sip = 0;
    return sbi_error(pending);
}

struct sbi_answer sbi_legacy_send_ipi(struct vcpu *vcpu)
{
    bool named;
    if (!load_mask(vcpu, &named))
        return (struct sbi_answer){.elsewhere = true};
    if (named)
        send_ipi(vcpu);
    return sbi_value(0);
}

/* --- RFENCE --- */

static void fence_range(struct vcpu *vcpu, uint64_t start, uint64_t size, unsigned by,
                        uint64_t asid)
{
    const struct engine *engine = vcpu->vm->engine;
    asid &= SATP_ASID_MASK;
    if ((start == 0 && size == 0) || size > FENCE_PAGES_MAX * PAGE_SIZE) {
        engine->fence(vcpu, by, 0, asid);
        return;
    }
    /* Counted in pages: the range may end at the top of the address space. */
    uint64_t pages = ((start & PAGE_MASK) + size + PAGE_MASK) >> PAGE_SHIFT;
    for (uint64_t i = 0; i < pages; i++)
        engine->fence(vcpu, by | FENCE_ADDRESS, (start & ~PAGE_MASK) + (i << PAGE_SHIFT), asid);
}

struct sbi_answer sbi_call_rfence(struct vcpu *vcpu, uint64_t fid)
{
    const uint64_t *a = &vcpu->x[10];
    if (fid > 2)
        return sbi_error(SBI_ERR_NOT_SUPPORTED); /* hfence: no hypervisor extension */
    if (!names_hart(vcpu, a[0], a[1]))
        return answer_absent(vcpu, a[1]);
    if (fid != 0) /* remote fence.i: nothing is cached */
        fence_range(vcpu, a[2], a[3], fid == 2 ? FENCE_ASID : FENCE_ALL, a[4]);
    return sbi_value(0);
}

struct sbi_answer sbi_legacy_fence_i(struct vcpu *vcpu)
{
    bool named;
    return (struct sbi_answer){.elsewhere = !load_mask(vcpu, &named)};
}

static struct sbi_answer legacy_fence(struct vcpu *vcpu, unsigned by)
{
    const uint64_t *a = &vcpu->x[10];
    bool named;
    if (!load_mask(vcpu, &named))
        return (struct sbi_answer){.elsewhere = true};
    if (named)
        fence_range(vcpu, a[1], a[2], by, a[3]);
    return sbi_value(0);
}

struct sbi_answer sbi_legacy_sfence(struct vcpu *vcpu)
{
    return legacy_fence(vcpu, FENCE_ALL);
}

struct sbi_answer sbi_legacy_sfence_asid(struct vcpu *vcpu)
{
    return legacy_fence(vcpu, FENCE_ASID);
}

/* --- HSM --- */

/* Whether a hart can be led to an address. */
static bool may_start_at(struct vcpu *vcpu, uint64_t gpa)
{
    return vm_ram(vcpu->vm, gpa, 1) != NULL;
}

static struct sbi_answer start(struct vcpu *vcpu)
{
    if (vcpu->x[10] != vcpu->hartid)
        return sbi_error(SBI_ERR_INVALID_PARAM);
    if (!may_start_at(vcpu, vcpu->x[11]))
        return sbi_error(SBI_ERR_INVALID_ADDRESS);
    return sbi_error(SBI_ERR_ALREADY_AVAILABLE);
}

static bool is_reserved(uint32_t type)
{
    return (type > SUSPEND_RETENTIVE && type < SUSPEND_RETENTIVE_PLATFORM) ||
           (type > SUSPEND_NON_RETENTIVE && type < SUSPEND_NON_RETENTIVE_PLATFORM);
}

/* Any interrupt that is pending and enabled in sie wakes, as from wfi. After a non-retentive
 * suspend the guest goes on at its address (a1), with a2. */
static struct sbi_answer suspend(struct vcpu *vcpu)
{
    uint32_t type = (uint32_t)vcpu->x[10];
    uint64_t address = vcpu->x[11], opaque = vcpu->x[12];
    if (is_reserved(type))
        return sbi_error(SBI_ERR_INVALID_PARAM);
    if (type >= SUSPEND_NON_RETENTIVE && !may_start_at(vcpu, address))
        return sbi_error(SBI_ERR_INVALID_ADDRESS);
    if (type != SUSPEND_RETENTIVE && type != SUSPEND_NON_RETENTIVE)
        return sbi_error(SBI_ERR_NOT_SUPPORTED); /* the platform has none of its own */
    run_wfi(vcpu, exit_of(EXIT_SBI, EXIT_SBI_CALL(vcpu->x[17], vcpu->x[16] & 0xff)));
    if (type == SUSPEND_RETENTIVE)
        return sbi_value(0);
    vcpu_resume(vcpu, address, opaque);
    return (struct sbi_answer){.elsewhere = true};
}

struct sbi_answer sbi_call_hsm(struct vcpu *vcpu, uint64_t fid)
{
    bool known = vcpu->x[10] == vcpu->hartid;
    switch (fid) {
    case 0: return start(vcpu);
    case 1: return sbi_error(SBI_ERR_FAILED); /* the last hart cannot stop itself */
    case 2: return sbi_error(known ? SBI_SUCCESS : SBI_ERR_INVALID_PARAM); /* STARTED */
    case 3: return suspend(vcpu);
    default: return sbi_error(SBI_ERR_NOT_SUPPORTED);
    }
}
