/*
 * What the statistics call things: exit classes, CSRs, SBI functions, causes, registers.
 * The surprise: they are fixed texts in ASCII without quotes, so the JSON needs no escapes.
 */
#include <stdio.h>
#include <string.h>

#include "board/board.h"
#include "board/vplic.h"
#include "board/windows.h"
#include "isa/riscv.h"
#include "observe/report.h"

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
    {EXIT_SBI_CALL(0x00, 0), "legacy.set_timer"},
    {EXIT_SBI_CALL(0x01, 0), "legacy.console_putchar"},
    {EXIT_SBI_CALL(0x02, 0), "legacy.console_getchar"},
    {EXIT_SBI_CALL(0x03, 0), "legacy.clear_ipi"},
    {EXIT_SBI_CALL(0x04, 0), "legacy.send_ipi"},
    {EXIT_SBI_CALL(0x05, 0), "legacy.remote_fence_i"},
    {EXIT_SBI_CALL(0x06, 0), "legacy.remote_sfence_vma"},
    {EXIT_SBI_CALL(0x07, 0), "legacy.remote_sfence_vma_asid"},
    {EXIT_SBI_CALL(0x08, 0), "legacy.shutdown"},
    {EXIT_SBI_CALL(0x10, 0), "BASE.get_spec_version"},
    {EXIT_SBI_CALL(0x10, 1), "BASE.get_impl_id"},
    {EXIT_SBI_CALL(0x10, 2), "BASE.get_impl_version"},
    {EXIT_SBI_CALL(0x10, 3), "BASE.probe_extension"},
    {EXIT_SBI_CALL(0x10, 4), "BASE.get_mvendorid"},
    {EXIT_SBI_CALL(0x10, 5), "BASE.get_marchid"},
    {EXIT_SBI_CALL(0x10, 6), "BASE.get_mimpid"},
    {EXIT_SBI_CALL(0x54494d45, 0), "TIME.set_timer"},
    {EXIT_SBI_CALL(0x735049, 0), "IPI.send_ipi"},
    {EXIT_SBI_CALL(0x52464e43, 0), "RFENCE.remote_fence_i"},
    {EXIT_SBI_CALL(0x52464e43, 1), "RFENCE.remote_sfence_vma"},
    {EXIT_SBI_CALL(0x52464e43, 2), "RFENCE.remote_sfence_vma_asid"},
    {EXIT_SBI_CALL(0x48534d, 0), "HSM.hart_start"},
    {EXIT_SBI_CALL(0x48534d, 1), "HSM.hart_stop"},
    {EXIT_SBI_CALL(0x48534d, 2), "HSM.hart_get_status"},
    {EXIT_SBI_CALL(0x48534d, 3), "HSM.hart_suspend"},
    {EXIT_SBI_CALL(0x53525354, 0), "SRST.system_reset"},
    {EXIT_SBI_CALL(0x4442434e, 0), "DBCN.write"},
    {EXIT_SBI_CALL(0x4442434e, 1), "DBCN.read"},
    {EXIT_SBI_CALL(0x4442434e, 2), "DBCN.write_byte"},
    {EXIT_SBI_CALL(0x09000001, 0), "Trident.begin"},
    {EXIT_SBI_CALL(0x09000001, 1), "Trident.end"},
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
    {EXIT_PATCH_LOAD, "load"},
    {EXIT_PATCH_REPAIRED, "stale site"},
    {EXIT_PATCH_RUN_AGAIN, "run again"},
    {EXIT_PATCH_TRAMPOLINE, "trampoline"},
    {EXIT_PATCH_FLOAT, "FPU opened"},
    {EXIT_PATCH_RIGHTS, "rights"},
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

/* One of which there is a name. */
static unsigned known_class(struct exit exit)
{
    unsigned class = exit_class(exit);
    return class > EXIT_NONE && class < EXIT_CLASSES ? class : EXIT_CLASSES;
}

const char *names_class(struct exit exit)
{
    return classes[known_class(exit)];
}

/* --- Registers, as the file that models them calls them (core/device.h) --- */

/* Null: nothing is called so. */
static const struct device_register *find_register(const struct device_register *registers,
                                                   uint32_t offset)
{
    for (; registers && (registers->load || registers->store); registers++) {
        uint32_t beyond = offset - registers->offset;
        if (beyond == 0 || (registers->count && beyond % registers->width == 0 &&
                            beyond / registers->width < registers->count))
            return registers;
    }
    return NULL;
}

/* Appends "[number] direction". The direction is left out if the name tells it, and is what the
 * register is for. */
static void name_access(const struct device_register *found, uint32_t offset, bool store,
                        char *text, size_t size)
{
    const char *name = store ? found->store : found->load;
    const char *other = store ? found->load : found->store;
    bool told = name && (!other || strcmp(name, other) != 0);
    char number[16] = "";
    if (found->count)
        snprintf(number, sizeof(number), "[%u]",
                 (unsigned)((offset - found->offset) / found->width));
    snprintf(text, size, "%s%s%s", name ? name : other, number,
             told    ? ""
             : store ? " store"
                     : " load");
}

/* "window NAME", or "window+0x1f8 load"; where window is empty, without the space too. */
static void name_register(const char *window, const struct device_register *registers,
                          uint32_t offset, bool store, char *text, size_t size)
{
    const struct device_register *found = find_register(registers, offset);
    char name[32];
    if (!found) {
        snprintf(text, size, "%s+0x%02x %s", window, (unsigned)offset, store ? "store" : "load");
        return;
    }
    name_access(found, offset, store, name, sizeof(name));
    snprintf(text, size, "%s%s%s", window, *window ? " " : "", name);
}

static void name_device(const struct vm *vm, uint32_t detail, bool store, char *text, size_t size)
{
    unsigned index = detail >> 16;
    const struct device *dev = index < vm->devices ? &vm->device[index] : NULL;
    name_register(dev ? dev->name : "device", dev ? dev->strategy->registers : NULL,
                  detail & 0xffff, store, text, size);
}

/* Of the transports without a device there are several, one behind the other: each
 * has its number. */
static void name_window(uint32_t detail, bool store, char *text, size_t size)
{
    unsigned window = detail >> 16;
    uint32_t offset = detail & 0xffff;
    char name[24];
    snprintf(name, sizeof(name), "%s", window < EXIT_WINDOWS ? windows[window] : "board");
    if (window == EXIT_WINDOW_VIRTIO) {
        snprintf(name, sizeof(name), "%s[%u]", windows[window],
                 (unsigned)(offset / BOARD_TRANSPORT_SIZE));
        offset %= BOARD_TRANSPORT_SIZE;
    }
    name_register(name, windows_registers(window), offset, store, text, size);
}

void names_detail(const struct vm *vm, struct exit exit, char *text, size_t size)
{
    unsigned class = known_class(exit);
    uint32_t detail = exit_detail(exit), place = detail & ~EXIT_STORE;
    bool store = detail & EXIT_STORE;
    switch (class) {
    case EXIT_MMIO: name_device(vm, place, store, text, size); return;
    case EXIT_BOARD: name_window(place, store, text, size); return;
    case EXIT_PLIC: name_register("", vplic_registers, place << 2, store, text, size); return;
    default: break;
    }
    for (const struct name *name = details[class].names; name && name->text; name++) {
        if (name->detail == detail) {
            snprintf(text, size, "%s", name->text);
            return;
        }
    }
    if (details[class].other)
        snprintf(text, size, details[class].other, (unsigned)detail);
    else
        snprintf(text, size, "%s", names_class(exit));
}
