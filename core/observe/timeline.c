/*
 * Recording around trap_handle() and around the devices' functions.
 *
 * Surprise: whether an interrupt was injected is seen afterwards, from the virtual CSRs, so that the
 * code that injects needs no hook. And QEMU drops what a console's reader is too slow for, so the VMM
 * waits for the reader's `traced` before it sends more than a socket holds.
 */
#include "observe/timeline.h"

#include <string.h>

#include "engine/trap/inline.h"
#include "engine/trap/trap.h"
#include "observe/control.h"
#include "host/io.h"
#include "host/machine.h"
#include "host/map.h"
#include "isa/riscv.h"
#include "vm/vm.h"

#define TRACE_RECORDS   4080u /* in the buffer: whole lines, which are whole base64 groups */
#define TRACE_RESERVE   256u  /* it is sent when so few are free: one exit makes several */
#define TRACE_LINE      48u   /* records in one line: with their names two output buffers */
#define TRACE_PATIENCE  5u    /* seconds */
#define TRACE_AHEAD     12u   /* lines sent before the reader must have answered */
#define TRACE_NAMES     256u  /* rows whose name was sent lately, by hash; a power of two */
#define CAUSE_INTERRUPT 0x80u

struct trace {
    uint64_t limit; /* records of the whole run */
    uint64_t taken, dropped;
    uint64_t entry_lag; /* from trace_handle's reading of instret to trap_handle's */
    uint64_t ran_to,
        guest; /* at the last entry: exit_instret, the statistics' guest_instructions */
    uint64_t begin_instret;    /* the statistics', to see them reset */
    unsigned filled;           /* records in the buffer */
    uint64_t irqs[VM_DEVICES]; /* that have been told */
    bool heard;                /* the reader has taken what was sent */
    uint64_t named[TRACE_NAMES];
    struct strategy wrapped[VM_DEVICES];
    const struct strategy *plain[VM_DEVICES];
    struct trace_record record[TRACE_RECORDS];
};

/* Room for one more record, zeroed; null when there is none. */
static struct trace_record *take(struct trace *trace)
{
    if (trace->filled == TRACE_RECORDS || trace->taken == trace->limit) {
        trace->dropped++;
        return NULL;
    }
    trace->taken++;
    struct trace_record *record = &trace->record[trace->filled++];
    *record = (struct trace_record){0};
    return record;
}

/* --- Devices ---------------------------------------------------------------------------------------- */

static void record_device(struct device *dev, uint64_t begin, uint64_t irqs, const struct mmio *io)
{
    uint64_t end = csr_read(CSR_INSTRET);
    struct trace *trace = dev->vm->trace;
    unsigned index = (unsigned)(dev - dev->vm->device);
    struct trace_record *record = take(trace);
    if (!record)
        return;
    if (trace->irqs[index] > irqs && trace->irqs[index] <= dev->count.irqs)
        irqs = trace->irqs[index]; /* a call within this one has told them */
    trace->irqs[index] = dev->count.irqs;
    record->kind = io ? TRACE_ACCESS : TRACE_SERVICE;
    record->begin = begin;
    record->instructions = end - begin;
    record->unit = (uint8_t)index;
    record->irqs = (uint8_t)(dev->count.irqs - irqs);
    if (io) {
        record->value = io->value;
        record->detail = (uint32_t)io->offset;
        record->mode = io->width;
        record->flags = io->store ? TRACE_STORE : 0;
    }
}

static const struct strategy *plain_strategy(const struct device *dev)
{
    return dev->vm->trace->plain[dev - dev->vm->device];
}

static bool traced_access(struct device *dev, struct mmio *io)
{
    uint64_t irqs = dev->count.irqs, begin = csr_read(CSR_INSTRET);
    bool good = plain_strategy(dev)->access(dev, io);
    record_device(dev, begin, irqs, io);
    return good;
}

static void traced_service(struct device *dev)
{
    uint64_t irqs = dev->count.irqs, begin = csr_read(CSR_INSTRET);
    plain_strategy(dev)->service(dev);
    record_device(dev, begin, irqs, NULL);
}

static void wrap(struct trace *trace, struct device *dev, unsigned i)
{
    trace->plain[i] = dev->strategy;
    trace->wrapped[i] = *dev->strategy;
    if (dev->strategy->access)
        trace->wrapped[i].access = traced_access;
    if (dev->strategy->service)
        trace->wrapped[i].service = traced_service;
    dev->strategy = &trace->wrapped[i];
}

/* --- Exits ------------------------------------------------------------------------------------------ */

/* What is compared to see an injection. */
struct before {
    uint64_t pc, sepc, scause;
    uint8_t mode;
    bool enabled; /* interrupts were */
};

static struct before look_before(struct vcpu *vcpu)
{
    inline_pull(vcpu); /* trap_handle will do it again */
    return (struct before){
        .pc = vcpu->pc,
        .sepc = vcpu->csr.sepc,
        .scause = vcpu->csr.scause,
        .mode = vcpu->mode,
        .enabled = vcpu->mode == VMODE_U || vcpu->csr.sstatus & SSTATUS_SIE,
    };
}

static bool is_guest_exception(unsigned exit_class)
{
    return exit_class == EXIT_SYSCALL || exit_class == EXIT_EXCEPTION ||
           exit_class == EXIT_GUEST_FAULT;
}

/* Whether the guest was sent to its handler for an interrupt. Running ahead may have left the handler's
 * first instruction behind: then its sepc shows it, which is where the exit would have led. */
static bool is_interrupted(const struct vcpu *vcpu, const struct before *before)
{
    const struct vcsr *csr = &vcpu->csr;
    uint64_t number = csr->scause & ~SCAUSE_INTERRUPT, handler = csr->stvec & ~3ul;
    bool changed = csr->sepc != before->sepc || csr->scause != before->scause;
    if (!(csr->scause & SCAUSE_INTERRUPT) || vcpu->mode != VMODE_S || csr->sstatus & SSTATUS_SIE)
        return false;
    if (vcpu->pc == handler + (csr->stvec & 1 ? 4 * number : 0))
        return changed || vcpu->pc != before->pc + 4;
    return csr->sepc - before->pc <= 4 &&
           (changed || before->enabled != (vcpu->exit_class == EXIT_CSR));
}

static void note_guest(struct trace_record *record, const struct vcpu *vcpu,
                       const struct before *before)
{
    const struct vcsr *csr = &vcpu->csr;
    bool interrupted = is_interrupted(vcpu, before);
    bool injected = interrupted || is_guest_exception(vcpu->exit_class);
    bool left_kernel = before->mode == VMODE_S && vcpu->mode == VMODE_U;
    bool resumed = before->mode == VMODE_S && csr->sepc == before->sepc && vcpu->pc == csr->sepc &&
                   vcpu->pc != before->pc + 4;
    if (injected) {
        record->flags |= TRACE_INJECTED;
        record->flags |= csr->sstatus & SSTATUS_SPP ? 0 : TRACE_FROM_USER;
        record->cause = (uint8_t)(csr->scause & 0x7f);
        record->cause |= csr->scause & SCAUSE_INTERRUPT ? CAUSE_INTERRUPT : 0;
    }
    bool again = interrupted && before->mode == VMODE_S && csr->sepc == before->sepc;
    if (vcpu->exit_class == EXIT_SRET || left_kernel || again || (!injected && resumed))
        record->flags |= TRACE_RETURNED;
}

static void record_exit(struct vcpu *vcpu, const struct before *before, uint64_t begin,
                        uint64_t guest, bool reset)
{
    struct trace_record *record = take(vcpu->vm->trace);
    if (!record)
        return;
    record->kind = TRACE_EXIT;
    record->begin = begin;
    record->instructions = vcpu->exit_instret - begin;
    record->guest = guest;
    record->pc = before->pc;
    record->value = vcpu->pc;
    record->detail = vcpu->exit_detail;
    record->flags = reset ? TRACE_RESET : 0;
    record->unit = vcpu->exit_class;
    record->mode = (uint8_t)(before->mode | vcpu->mode << 1);
    note_guest(record, vcpu, before);
}

struct vcpu *trace_handle(struct vcpu *vcpu)
{
    struct vm *vm = vcpu->vm;
    struct trace *trace = vm->trace;
    uint64_t begin = csr_read(CSR_INSTRET);
    struct before before = look_before(vcpu);
    trace->ran_to = vcpu->exit_instret;
    trace->guest = vm->stats.guest_instructions;

    trap_handle(vcpu);

    bool reset = trace->begin_instret && vm->stats.begin_instret != trace->begin_instret;
    if (!reset) /* trap_handle has added what lies between the two */
        trace->entry_lag = trace->ran_to + vm->stats.guest_instructions - trace->guest - begin;
    trace->begin_instret = vm->stats.begin_instret;
    begin += trace->entry_lag;
    record_exit(vcpu, &before, begin, begin - trace->ran_to, reset);
    if (TRACE_RECORDS - trace->filled < TRACE_RESERVE)
        trace_send(vm);
    vcpu->exit_instret = csr_read(CSR_INSTRET); /* what recording costs is nobody's */
    return vcpu;
}

/* --- Sending ---------------------------------------------------------------------------------------- */

static void send_base64(struct host *host, const uint8_t *bytes, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char text[sizeof(struct trace_record) * 4];
    for (size_t at = 0; at < size;) {
        size_t filled = 0;
        for (; at < size && filled < sizeof(text); at += 3) {
            uint32_t word = (uint32_t)bytes[at] << 16 | (uint32_t)bytes[at + 1] << 8 |
                            bytes[at + 2];
            for (int shift = 18; shift >= 0; shift -= 6)
                text[filled++] = digits[word >> shift & 63];
        }
        control_write(host, text, filled);
    }
}

/* What the statistics would call what a record is of: a device's access, too, has a name as if it had been an exit
 * of its own. False: it has none. */
static bool name_of(const struct trace_record *record, unsigned *exit_class, uint32_t *detail)
{
    bool store = record->flags & TRACE_STORE;
    *exit_class = record->unit;
    *detail = record->detail;
    if (record->kind == TRACE_ACCESS) {
        *exit_class = EXIT_MMIO;
        *detail = stats_access_detail(record->unit, record->detail, store);
    }
    return record->kind == TRACE_EXIT || record->kind == TRACE_ACCESS;
}

/* The names of what the records are of, unless they were sent lately. */
static void send_names(struct vm *vm, const struct trace_record *record, unsigned count)
{
    struct trace *trace = vm->trace;
    const char *comma = "";
    for (const struct trace_record *end = record + count; record < end; record++) {
        unsigned exit_class;
        uint32_t detail;
        if (!name_of(record, &exit_class, &detail))
            continue;
        uint64_t key = (uint64_t)(exit_class + 1) << 32 | detail;
        uint64_t *named = &trace->named[(key ^ key >> 16 ^ key >> 32) & (TRACE_NAMES - 1)];
        char text[48];
        if (*named == key)
            continue;
        *named = key;
        stats_detail_name(vm, exit_class, detail, text, sizeof(text));
        control_printf(vm->host, "%s[%u,%u,\"%s\",\"%s\"]", comma, exit_class, (unsigned)detail,
                       stats_class_name(exit_class), text);
        comma = ",";
    }
}

void trace_heard(struct vm *vm)
{
    if (vm->trace)
        vm->trace->heard = true;
}

/* Waits until the reader has taken all lines so far. One that does not gets no more records. */
static void wait_for_reader(struct vm *vm)
{
    struct trace *trace = vm->trace;
    uint64_t start = io_time();
    trace->heard = false;
    control_printf(vm->host, "{\"event\":\"trace\",\"taken\":%lu,\"dropped\":%lu}\n",
                   (unsigned long)trace->taken, (unsigned long)trace->dropped);
    while (!trace->heard && io_time() - start < TRACE_PATIENCE * vm->host->timebase)
        control_poll(vm->host);
    if (!trace->heard)
        trace->limit = trace->taken;
}

static void send_line(struct vm *vm, const struct trace_record *record, unsigned count)
{
    control_printf(vm->host, "{\"event\":\"trace\",\"names\":[");
    send_names(vm, record, count);
    control_printf(vm->host, "],\"records\":\"");
    send_base64(vm->host, (const uint8_t *)record, count * sizeof(*record));
    control_printf(vm->host, "\"}\n");
}

void trace_send(struct vm *vm)
{
    struct trace *trace = vm->trace;
    if (!trace)
        return;
    stats_report_finish(vm);
    for (unsigned i = 0, lines = 1; i < trace->filled; i += TRACE_LINE, lines++) {
        unsigned left = trace->filled - i;
        send_line(vm, &trace->record[i], left < TRACE_LINE ? left : TRACE_LINE);
        if (lines % TRACE_AHEAD == 0)
            wait_for_reader(vm);
    }
    trace->filled = 0;
    wait_for_reader(vm);
}

void trace_finish(struct vm *vm)
{
    struct trace *trace = vm->trace;
    if (!trace)
        return;
    struct trace_record *record = take(trace);
    if (record) {
        record->kind = TRACE_END;
        record->pc = vm->vcpu.pc;
        record->guest = vm->stats.guest_instructions - trace->guest;
        record->begin = trace->ran_to + record->guest;
    }
    trace_send(vm);
}

void trace_start(struct vm *vm, uint64_t *free_hpa)
{
    if (!vm->options.trace)
        return;
    vm->trace = map_hpa(*free_hpa);
    *free_hpa += (sizeof(*vm->trace) + PAGE_MASK) & ~PAGE_MASK;
    memset(vm->trace, 0, sizeof(*vm->trace));
    vm->trace->limit = vm->options.trace;
    for (unsigned i = 0; i < vm->devices; i++)
        wrap(vm->trace, &vm->device[i], i);
    csr_write(CSR_STVEC, (uint64_t)trace_entry);
}
