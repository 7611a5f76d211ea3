/*
 * Recording around trap_handle() and around the devices' functions.
 *
 * Surprise: whether an interrupt was injected is seen afterwards, from the virtual CSRs, so that
 * the code that injects needs no hook. And QEMU drops what a console's reader is too slow for, so
 * the VMM waits for the reader's `traced` before it sends more than a socket holds.
 */

#include "observe/timeline.h"

#include <string.h>

#include "engine/trap/trap.h"
#include "host/channel.h"
#include "host/hart.h"
#include "host/io.h"
#include "host/machine.h"
#include "host/map.h"
#include "isa/riscv.h"
#include "observe/control.h"
#include "vm/vm.h"

#define TIMELINE_RECORDS  4080u /* in the buffer: whole lines, which are whole base64 groups */
#define TIMELINE_RESERVE  256u  /* it is sent when so few are free: one exit makes several */
#define TIMELINE_LINE     48u   /* records in one line: with their names two output buffers */
#define TIMELINE_PATIENCE 5u    /* seconds */
#define TIMELINE_AHEAD    12u   /* lines sent before the reader must have answered */
#define TIMELINE_NAMES    256u  /* rows whose name was sent lately, by hash; a power of two */
#define CAUSE_INTERRUPT   0x80u

struct timeline {
    uint64_t limit; /* records of the whole run */
    uint64_t taken, dropped;
    uint64_t entry_lag;        /* from handle()'s reading of instret to trap_handle's */
    uint64_t ran_to;           /* at the last entry: hart.end_instret, */
    uint64_t guest;            /* and the statistics' guest_instructions */
    uint64_t begin_instret;    /* the statistics', to see them reset */
    unsigned filled;           /* records in the buffer */
    uint64_t irqs[VM_DEVICES]; /* that have been told */
    bool heard;                /* the reader has taken what was sent */
    uint64_t named[TIMELINE_NAMES];
    struct strategy wrapped[VM_DEVICES];
    const struct strategy *plain[VM_DEVICES];
    struct timeline_record record[TIMELINE_RECORDS];
};

/* Room for one more record, zeroed; null when there is none. */
static struct timeline_record *take(struct timeline *timeline)
{
    if (timeline->filled == TIMELINE_RECORDS || timeline->taken == timeline->limit) {
        timeline->dropped++;
        return NULL;
    }
    timeline->taken++;
    struct timeline_record *record = &timeline->record[timeline->filled++];
    *record = (struct timeline_record){0};
    return record;
}

/* --- Devices --- */

static void record_device(struct device *dev, uint64_t begin, uint64_t irqs, const struct mmio *io)
{
    uint64_t end = csr_read(CSR_INSTRET);
    struct timeline *timeline = dev->vm->timeline;
    unsigned index = (unsigned)(dev - dev->vm->device);
    struct timeline_record *record = take(timeline);
    if (!record)
        return;
    if (timeline->irqs[index] > irqs && timeline->irqs[index] <= dev->count.irqs)
        irqs = timeline->irqs[index]; /* a call within this one has told them */
    timeline->irqs[index] = dev->count.irqs;
    record->kind = io ? TIMELINE_ACCESS : TIMELINE_SERVICE;
    record->begin = begin;
    record->instructions = end - begin;
    record->unit = (uint8_t)index;
    record->irqs = (uint8_t)(dev->count.irqs - irqs);
    if (io) {
        record->value = io->value;
        record->detail = (uint32_t)io->offset;
        record->mode = io->width;
        record->flags = io->store ? TIMELINE_STORE : 0;
    }
}

static const struct strategy *plain_strategy(const struct device *dev)
{
    return dev->vm->timeline->plain[dev - dev->vm->device];
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

static void wrap(struct timeline *timeline, struct device *dev, unsigned i)
{
    timeline->plain[i] = dev->strategy;
    timeline->wrapped[i] = *dev->strategy;
    if (dev->strategy->access)
        timeline->wrapped[i].access = traced_access;
    if (dev->strategy->service)
        timeline->wrapped[i].service = traced_service;
    dev->strategy = &timeline->wrapped[i];
}

/* --- Exits --- */

/* What is compared to see an injection. */
struct before {
    uint64_t pc, sepc, scause;
    uint8_t mode;
    bool enabled; /* interrupts were */
};

static struct before note_before(struct vcpu *vcpu)
{
    trap_take_over(vcpu); /* trap_handle will do it again */
    return (struct before){
        .pc = vcpu->pc,
        .sepc = vcpu->csr.sepc,
        .scause = vcpu->csr.scause,
        .mode = vcpu->mode,
        .enabled = vcpu->mode == VMODE_U || vcpu->csr.sstatus & SSTATUS_SIE,
    };
}

static bool is_guest_exception(enum exit_class class)
{
    return class == EXIT_SYSCALL || class == EXIT_EXCEPTION || class == EXIT_GUEST_FAULT;
}

/* Whether the guest was sent to its handler for an interrupt. Running ahead may have left the
 * handler's first instruction behind: then its sepc shows it, which is where the exit would have
 * led. */
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
           (changed || before->enabled != (exit_class(vcpu->vm->stats.last) == EXIT_CSR));
}

static void note_guest(struct timeline_record *record, const struct vcpu *vcpu,
                       const struct before *before)
{
    const struct vcsr *csr = &vcpu->csr;
    bool interrupted = is_interrupted(vcpu, before);
    bool injected = interrupted || is_guest_exception(exit_class(vcpu->vm->stats.last));
    bool left_kernel = before->mode == VMODE_S && vcpu->mode == VMODE_U;
    bool resumed = before->mode == VMODE_S && csr->sepc == before->sepc && vcpu->pc == csr->sepc &&
                   vcpu->pc != before->pc + 4;
    if (injected) {
        record->flags |= TIMELINE_INJECTED;
        record->flags |= csr->sstatus & SSTATUS_SPP ? 0 : TIMELINE_FROM_USER;
        record->cause = (uint8_t)(csr->scause & 0x7f);
        record->cause |= csr->scause & SCAUSE_INTERRUPT ? CAUSE_INTERRUPT : 0;
    }
    bool again = interrupted && before->mode == VMODE_S && csr->sepc == before->sepc;
    if (exit_class(vcpu->vm->stats.last) == EXIT_SRET || left_kernel || again ||
        (!injected && resumed))
        record->flags |= TIMELINE_RETURNED;
}

static void record_exit(struct vcpu *vcpu, const struct before *before, uint64_t begin,
                        uint64_t guest, bool reset)
{
    struct timeline_record *record = take(vcpu->vm->timeline);
    if (!record)
        return;
    record->kind = TIMELINE_EXIT;
    record->begin = begin;
    record->instructions = vcpu->hart->end_instret - begin;
    record->guest = guest;
    record->pc = before->pc;
    record->value = vcpu->pc;
    record->detail = exit_detail(vcpu->vm->stats.last);
    record->flags = reset ? TIMELINE_RESET : 0;
    record->unit = (uint8_t)exit_class(vcpu->vm->stats.last);
    record->mode = (uint8_t)(before->mode | vcpu->mode << 1);
    note_guest(record, vcpu, before);
}

/* trap_observer: trap_handle, recorded. */
static struct vcpu *handle(struct vcpu *vcpu)
{
    struct vm *vm = vcpu->vm;
    struct timeline *timeline = vm->timeline;
    uint64_t begin = csr_read(CSR_INSTRET);
    struct before before = note_before(vcpu);
    timeline->ran_to = vcpu->hart->end_instret;
    timeline->guest = vm->stats.guest_instructions;

    trap_handle(vcpu);

    bool reset = timeline->begin_instret && vm->stats.begin_instret != timeline->begin_instret;
    if (!reset) /* trap_handle has added what lies between the two */
        timeline->entry_lag = timeline->ran_to + vm->stats.guest_instructions - timeline->guest -
                              begin;
    timeline->begin_instret = vm->stats.begin_instret;
    begin += timeline->entry_lag;
    record_exit(vcpu, &before, begin, begin - timeline->ran_to, reset);
    if (TIMELINE_RECORDS - timeline->filled < TIMELINE_RESERVE)
        timeline_send(vm);
    vcpu->hart->end_instret = csr_read(CSR_INSTRET); /* what recording costs is nobody's */
    return vcpu;
}

/* --- Sending --- */

static void send_base64(struct host *host, const uint8_t *bytes, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char text[sizeof(struct timeline_record) * 4];
    for (size_t at = 0; at < size;) {
        size_t filled = 0;
        for (; at < size && filled < sizeof(text); at += 3) {
            uint32_t word = (uint32_t)bytes[at] << 16 | (uint32_t)bytes[at + 1] << 8 |
                            bytes[at + 2];
            for (int shift = 18; shift >= 0; shift -= 6)
                text[filled++] = digits[word >> shift & 63];
        }
        channel_write(host, text, filled);
    }
}

/* What the statistics would call what a record is of: a device's access, too, has a name as if it
 * had been an exit of its own. False: it has none. */
static bool name_of(const struct timeline_record *record, struct exit *exit)
{
    bool store = record->flags & TIMELINE_STORE;
    *exit = exit_of((enum exit_class)record->unit, record->detail);
    if (record->kind == TIMELINE_ACCESS)
        *exit = exit_of(EXIT_MMIO, exit_access_detail(record->unit, record->detail, store));
    return record->kind == TIMELINE_EXIT || record->kind == TIMELINE_ACCESS;
}

/* The names of what the records are of, unless they were sent lately. */
static void send_names(struct vm *vm, const struct timeline_record *record, unsigned count)
{
    struct timeline *timeline = vm->timeline;
    const char *comma = "";
    for (const struct timeline_record *end = record + count; record < end; record++) {
        struct exit exit;
        if (!name_of(record, &exit))
            continue;
        uint64_t key = exit.bits + (1ul << 32);
        uint64_t *named = &timeline->named[(key ^ key >> 16 ^ key >> 32) & (TIMELINE_NAMES - 1)];
        char text[48];
        if (*named == key)
            continue;
        *named = key;
        names_detail(vm, exit, text, sizeof(text));
        channel_printf(vm->host, "%s[%u,%u,\"%s\",\"%s\"]", comma, (unsigned)exit_class(exit),
                       (unsigned)exit_detail(exit), names_class(exit), text);
        comma = ",";
    }
}

void timeline_heard(struct vm *vm)
{
    if (vm->timeline)
        vm->timeline->heard = true;
}

/* Waits until the reader has taken all lines so far. One that does not gets no more records. */
static void wait_for_reader(struct vm *vm)
{
    struct timeline *timeline = vm->timeline;
    uint64_t start = io_time();
    timeline->heard = false;
    channel_printf(vm->host, "{\"event\":\"trace\",\"taken\":%lu,\"dropped\":%lu}\n",
                   (unsigned long)timeline->taken, (unsigned long)timeline->dropped);
    while (!timeline->heard && io_time() - start < TIMELINE_PATIENCE * vm->host->timebase)
        channel_poll(vm->host);
    if (!timeline->heard)
        timeline->limit = timeline->taken;
}

static void send_line(struct vm *vm, const struct timeline_record *record, unsigned count)
{
    channel_printf(vm->host, "{\"event\":\"trace\",\"names\":[");
    send_names(vm, record, count);
    channel_printf(vm->host, "],\"records\":\"");
    send_base64(vm->host, (const uint8_t *)record, count * sizeof(*record));
    channel_printf(vm->host, "\"}\n");
}

void timeline_send(struct vm *vm)
{
    struct timeline *timeline = vm->timeline;
    if (!timeline)
        return;
    report_finish(&vm->control->report);
    for (unsigned i = 0, lines = 1; i < timeline->filled; i += TIMELINE_LINE, lines++) {
        unsigned left = timeline->filled - i;
        send_line(vm, &timeline->record[i], left < TIMELINE_LINE ? left : TIMELINE_LINE);
        if (lines % TIMELINE_AHEAD == 0)
            wait_for_reader(vm);
    }
    timeline->filled = 0;
    wait_for_reader(vm);
}

void timeline_finish(struct vm *vm)
{
    struct timeline *timeline = vm->timeline;
    if (!timeline)
        return;
    struct timeline_record *record = take(timeline);
    if (record) {
        record->kind = TIMELINE_END;
        record->pc = vm->vcpus[0]->pc;
        record->guest = vm->stats.guest_instructions - timeline->guest;
        record->begin = timeline->ran_to + record->guest;
    }
    timeline_send(vm);
}

void timeline_start(struct vm *vm, uint64_t *free_hpa)
{
    if (!vm->options.trace)
        return;
    vm->timeline = map_hpa(*free_hpa);
    *free_hpa += (sizeof(*vm->timeline) + PAGE_MASK) & ~PAGE_MASK;
    memset(vm->timeline, 0, sizeof(*vm->timeline));
    vm->timeline->limit = vm->options.trace;
    for (unsigned i = 0; i < vm->devices; i++)
        wrap(vm->timeline, &vm->device[i], i);
    trap_observer = handle;
    csr_write(CSR_STVEC, (uint64_t)trap_observed_entry);
}
