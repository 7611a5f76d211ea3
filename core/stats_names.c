/*
 * What the statistics call things: exit classes, CSRs, SBI functions, causes, registers.
 * The surprise: they are fixed texts in ASCII without quotes, so the JSON needs no escapes.
 */
#include <stdio.h>

#include "riscv.h"
#include "stats.h"
#include "vm.h"

#define DETAIL_STORE 0x80000000u /* MMIO, PLIC, BOARD */

struct name {
    uint32_t detail;
    const char *text;
};

static const char *const classes[EXIT_CLASSES + 1] = {
    [EXIT_CSR] = "csr",
    [EXIT_SRET] = "sret",
    [EXIT_WFI] = "wfi",
    [EXIT_FENCE] = "fence",
    [EXIT_SBI] = "sbi",
    [EXIT_SYSCALL] = "syscall",
    [EXIT_SHADOW_FILL] = "shadow_fill",
    [EXIT_GUEST_FAULT] = "guest_fault",
    [EXIT_MMIO] = "mmio",
    [EXIT_PLIC] = "plic",
    [EXIT_BOARD] = "board",
    [EXIT_INTERRUPT] = "interrupt",
    [EXIT_EXCEPTION] = "exception",
    [EXIT_PATCH] = "patch",
    [EXIT_CLASSES] = "rest",
};

const char *const stats_switch_names[] = {
    "prefill", "superpages", "cache", "shared", "fence", "retry", NULL,
};

static const struct name csrs[] = {
    {CSR_FFLAGS, "fflags"},
    {CSR_FRM, "frm"},
    {CSR_FCSR, "fcsr"},
    {CSR_SSTATUS, "sstatus"},
    {CSR_SIE, "sie"},
    {CSR_STVEC, "stvec"},
    {CSR_SCOUNTEREN, "scounteren"},
    {CSR_SENVCFG, "senvcfg"},
    {CSR_SSCRATCH, "sscratch"},
    {CSR_SEPC, "sepc"},
    {CSR_SCAUSE, "scause"},
    {CSR_STVAL, "stval"},
    {CSR_SIP, "sip"},
    {CSR_STIMECMP, "stimecmp"},
    {CSR_SATP, "satp"},
    {CSR_CYCLE, "cycle"},
    {CSR_TIME, "time"},
    {CSR_INSTRET, "instret"},
    {0, NULL},
};

static const struct name fences[] = {
    {0, "all"}, {1, "address"}, {2, "asid"}, {3, "address and asid"}, {0, NULL},
};

static const struct name calls[] = {
    {STATS_SBI(0x00, 0), "legacy.set_timer"},
    {STATS_SBI(0x01, 0), "legacy.console_putchar"},
    {STATS_SBI(0x02, 0), "legacy.console_getchar"},
    {STATS_SBI(0x03, 0), "legacy.clear_ipi"},
    {STATS_SBI(0x04, 0), "legacy.send_ipi"},
    {STATS_SBI(0x05, 0), "legacy.remote_fence_i"},
    {STATS_SBI(0x06, 0), "legacy.remote_sfence_vma"},
    {STATS_SBI(0x07, 0), "legacy.remote_sfence_vma_asid"},
    {STATS_SBI(0x08, 0), "legacy.shutdown"},
    {STATS_SBI(0x10, 0), "BASE.get_spec_version"},
    {STATS_SBI(0x10, 1), "BASE.get_impl_id"},
    {STATS_SBI(0x10, 2), "BASE.get_impl_version"},
    {STATS_SBI(0x10, 3), "BASE.probe_extension"},
    {STATS_SBI(0x10, 4), "BASE.get_mvendorid"},
    {STATS_SBI(0x10, 5), "BASE.get_marchid"},
    {STATS_SBI(0x10, 6), "BASE.get_mimpid"},
    {STATS_SBI(0x54494d45, 0), "TIME.set_timer"},
    {STATS_SBI(0x735049, 0), "IPI.send_ipi"},
    {STATS_SBI(0x52464e43, 0), "RFENCE.remote_fence_i"},
    {STATS_SBI(0x52464e43, 1), "RFENCE.remote_sfence_vma"},
    {STATS_SBI(0x52464e43, 2), "RFENCE.remote_sfence_vma_asid"},
    {STATS_SBI(0x48534d, 0), "HSM.hart_start"},
    {STATS_SBI(0x48534d, 1), "HSM.hart_stop"},
    {STATS_SBI(0x48534d, 2), "HSM.hart_get_status"},
    {STATS_SBI(0x48534d, 3), "HSM.hart_suspend"},
    {STATS_SBI(0x53525354, 0), "SRST.system_reset"},
    {STATS_SBI(0x4442434e, 0), "DBCN.write"},
    {STATS_SBI(0x4442434e, 1), "DBCN.read"},
    {STATS_SBI(0x4442434e, 2), "DBCN.write_byte"},
    {STATS_SBI(0x09000001, 0), "Trident.begin"},
    {STATS_SBI(0x09000001, 1), "Trident.end"},
    {0, NULL},
};

static const struct name causes[] = {
    {CAUSE_FETCH_MISALIGNED, "fetch misaligned"},
    {CAUSE_FETCH_ACCESS, "fetch access fault"},
    {CAUSE_ILLEGAL, "illegal instruction"},
    {CAUSE_BREAKPOINT, "breakpoint"},
    {CAUSE_LOAD_MISALIGNED, "load misaligned"},
    {CAUSE_LOAD_ACCESS, "load access fault"},
    {CAUSE_STORE_MISALIGNED, "store misaligned"},
    {CAUSE_STORE_ACCESS, "store access fault"},
    {CAUSE_ECALL_U, "ecall"},
    {CAUSE_ECALL_S, "ecall from S"},
    {CAUSE_FETCH_PAGE, "fetch page fault"},
    {CAUSE_LOAD_PAGE, "load page fault"},
    {CAUSE_STORE_PAGE, "store page fault"},
    {0, NULL},
};

static const struct name interrupts[] = {
    {INTERRUPT_SOFTWARE, "software"},
    {INTERRUPT_TIMER, "timer"},
    {INTERRUPT_EXTERNAL, "external"},
    {0, NULL},
};

static const char *const windows[EXIT_WINDOWS] = {
    [EXIT_WINDOW_FINISHER] = "finisher",
    [EXIT_WINDOW_RTC] = "rtc",
    [EXIT_WINDOW_VIRTIO] = "virtio-mmio",
};

static const struct name patches[] = {
    {0, "load"},
    {1, "store"},
    {2, "stale site"},
    {0, NULL},
};

/* How a class's detail is read: by a table, and what an unlisted one is called. */
static const struct {
    const struct name *names;
    const char *other; /* format of one number; null: the class has no detail */
} details[EXIT_CLASSES + 1] = {
    [EXIT_CSR] = {csrs, "csr 0x%03x"},         [EXIT_FENCE] = {fences, "other %u"},
    [EXIT_SBI] = {calls, "sbi 0x%08x"},        [EXIT_SHADOW_FILL] = {causes, "cause %u"},
    [EXIT_GUEST_FAULT] = {causes, "cause %u"}, [EXIT_INTERRUPT] = {interrupts, "interrupt %u"},
    [EXIT_EXCEPTION] = {causes, "cause %u"},   [EXIT_PATCH] = {patches, "other %u"},
};

const char *stats_class_name(unsigned exit_class)
{
    return exit_class < EXIT_CLASSES ? classes[exit_class] : classes[EXIT_CLASSES];
}

static void name_register(const char *window, uint32_t detail, char *text, size_t size)
{
    snprintf(text, size, "%s+0x%02x %s", window, (unsigned)(detail & 0xffff),
             detail & DETAIL_STORE ? "store" : "load");
}

static const char *device_name(const struct vm *vm, uint32_t detail)
{
    unsigned index = (detail & ~DETAIL_STORE) >> 16;

    return index < vm->devices ? vm->device[index].name : "device";
}

/* Registers of which there are several get their number: the source, or the word of a bitmap. A
 * store to claim completes. */
static void name_plic_register(uint32_t detail, char *text, size_t size)
{
    static const struct {
        uint32_t base, end;
        const char *name;
    } registers[] = {
        {0x000000, 0x001000, "priority"},    {0x001000, 0x002000, "pending"},
        {0x002000, 0x002080, "enable M"},    {0x002080, 0x002100, "enable S"},
        {0x200000, 0x200004, "threshold M"}, {0x200004, 0x200008, "claim M"},
        {0x201000, 0x201004, "threshold S"}, {0x201004, 0x201008, "claim S"},
    };
    uint32_t offset = (detail & ~DETAIL_STORE) << 2;
    const char *direction = detail & DETAIL_STORE ? "store" : "load";

    for (unsigned i = 0; i < sizeof registers / sizeof registers[0]; i++) {
        uint32_t number = (offset - registers[i].base) / 4;

        if (offset < registers[i].base || offset >= registers[i].end)
            continue;
        if (registers[i].end - registers[i].base == 4)
            snprintf(text, size, "%s %s", registers[i].name, direction);
        else
            snprintf(text, size, "%s[%u] %s", registers[i].name, (unsigned)number, direction);
        return;
    }
    snprintf(text, size, "plic+0x%06x %s", (unsigned)offset, direction);
}

void stats_detail_name(const struct vm *vm, unsigned exit_class, uint32_t detail, char *text,
                       size_t size)
{
    if (exit_class == EXIT_MMIO) {
        name_register(device_name(vm, detail), detail, text, size);
        return;
    }
    if (exit_class == EXIT_BOARD) {
        unsigned window = (detail & ~DETAIL_STORE) >> 16;
        name_register(window < EXIT_WINDOWS ? windows[window] : "board", detail, text, size);
        return;
    }
    if (exit_class == EXIT_PLIC) {
        name_plic_register(detail, text, size);
        return;
    }
    if (exit_class > EXIT_CLASSES)
        exit_class = EXIT_CLASSES;
    for (const struct name *name = details[exit_class].names; name && name->text; name++) {
        if (name->detail == detail) {
            snprintf(text, size, "%s", name->text);
            return;
        }
    }
    if (details[exit_class].other)
        snprintf(text, size, details[exit_class].other, (unsigned)detail);
    else
        snprintf(text, size, "%s", stats_class_name(exit_class));
}
