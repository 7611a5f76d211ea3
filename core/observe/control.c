/*
 * Control channel over virtio-console with a single port (virtio specification 1.2, section 5.3:
 * receiveq 0, transmitq 1, no MULTIPORT).
 *
 * The surprise: a reader that stops reading stops the transmit queue; the VMM waits for it a
 * little, then loses the line and not the guest's time.
 */
#include "observe/control.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "board/board.h"
#include "engine/trap/trap.h"
#include "host/io.h"
#include "host/log.h"
#include "host/machine.h"
#include "host/map.h"
#include "observe/timeline.h"
#include "vm/vm.h"

enum { RECEIVE_QUEUE, TRANSMIT_QUEUE };

#define NEVER 0x7fffu /* more chains than there are buffers */

_Static_assert(CONTROL_OUTPUTS <= 32, "busy has 32 bits");
_Static_assert(CONTROL_OUTPUTS <= VIRTIO_QUEUE_MAX && CONTROL_INPUTS <= VIRTIO_QUEUE_MAX, "queues");

/* --- Output. -------------------------------------------------------------------------------- */

static void reclaim(struct control *control)
{
    uint32_t head, len;

    while (virtio_queue_pop(&control->transmit, &head, &len))
        control->busy &= ~(1u << head % CONTROL_OUTPUTS);
}

static void send(struct control *control)
{
    int i = control->filling;

    if (i < 0 || control->filled == 0)
        return;
    control->transmit.memory.desc[i] = (struct virtio_desc){
        .hpa = map_pointer_hpa(control->output[i]), .len = control->filled};
    control->busy |= 1u << i;
    control->filling = -1;
    control->filled = 0;
    virtio_queue_push(&control->transmit, (uint16_t)i);
}

/* Finds a buffer to fill, waiting for the reader. False: none became free in time. */
static bool find_buffer(struct host *host, struct control *control)
{
    uint64_t start = io_time();

    do {
        reclaim(control);
        for (int i = 0; i < control->transmit.size && i < (int)CONTROL_OUTPUTS; i++) {
            if (!(control->busy & 1u << i)) {
                control->filling = i;
                return true;
            }
        }
    } while (io_time() - start < host->timebase);
    return false;
}

static void put(struct host *host, struct control *control, char byte)
{
    if (control->dropping) {
        control->dropping = byte != '\n';
        return;
    }
    if (control->filling < 0 && !find_buffer(host, control)) {
        control->dropping = byte != '\n';
        return;
    }
    control->output[control->filling][control->filled++] = byte;
    if (byte == '\n' || control->filled == CONTROL_OUTPUT_SIZE)
        send(control);
}

void control_write(struct host *host, const char *bytes, size_t len)
{
    if (host->control.registers == 0)
        return;
    for (size_t i = 0; i < len; i++)
        put(host, &host->control, bytes[i]);
}

void control_printf(struct host *host, const char *format, ...)
{
    char text[512];
    va_list arguments;
    int len;

    if (host->control.registers == 0)
        return;
    va_start(arguments, format);
    len = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (len > 0)
        control_write(host, text, (size_t)len < sizeof text ? (size_t)len : sizeof text - 1);
}

void control_flush(struct host *host)
{
    struct control *control = &host->control;
    uint64_t start = io_time();

    if (control->registers == 0)
        return;
    send(control);
    do {
        reclaim(control);
    } while (control->busy != 0 && io_time() - start < host->timebase);
}

/* --- Reports. -------------------------------------------------------------------------------- */

/* Whether a piece of a report can be written without waiting for the reader, and one answer besides. A reader that
 * has not read for a second loses the rest of the line. */
static bool has_room(struct host *host, struct control *control)
{
    unsigned busy = 0;

    reclaim(control);
    for (uint32_t bits = control->busy; bits; bits &= bits - 1)
        busy++;
    if (control->registers == 0 || control->dropping || busy + 3 <= control->transmit.size) {
        control->stuck_since = 0;
        return true;
    }
    if (control->stuck_since == 0)
        control->stuck_since = io_time();
    control->dropping = io_time() - control->stuck_since >= host->timebase;
    return control->dropping;
}

bool control_go_on(struct host *host)
{
    struct vm *vm = host->vm;

    while (vm->report.active) {
        if (vm->trace) {
            stats_report_finish(
                vm); /* it has lines of its own, and a run that is traced no bound */
        } else if (!has_room(host, &host->control) ||
                   (stats_report_step(vm) && trap_is_spent(&vm->vcpu))) {
            board_resume_soon(vm);
            return false;
        }
    }
    return true;
}

bool control_mark(struct host *host, int label)
{
    struct vm *vm = host->vm;
    struct control *control = &host->control;
    uint64_t call = vm->vcpu.pc;
    char head[48];

    if (control->marked != call || control->label != label) {
        if (!control_go_on(host))
            return false; /* another report comes first */
        snprintf(head, sizeof head, "\"event\":\"mark\",\"status\":%d", label);
        stats_report_begin(vm, head);
        control->marked = call;
        control->label = label;
    }
    if (!control_go_on(host))
        return false;
    control->marked = 0;
    return true;
}

void control_finish(struct host *host)
{
    stats_report_finish(host->vm);
    host->control.marked = 0;
}

/* --- Commands. ------------------------------------------------------------------------------ */

static void command_stats(struct vm *vm)
{
    stats_report_begin(vm, "\"reply\":\"stats\"");
}

static void command_reset(struct vm *vm)
{
    stats_reset(vm);
    control_printf(vm->host, "{\"reply\":\"reset\"}\n");
}

static void command_pause(struct vm *vm)
{
    vm->paused = true;
    control_printf(vm->host, "{\"reply\":\"pause\"}\n");
}

static void command_resume(struct vm *vm)
{
    vm->paused = false;
    control_printf(vm->host, "{\"reply\":\"resume\"}\n");
}

static void command_quit(struct vm *vm)
{
    control_printf(vm->host, "{\"reply\":\"quit\"}\n");
    vm_end(vm, VM_POWEROFF, 0);
}

static void write_fault(struct host *host, const struct vcpu_fault *fault)
{
    control_printf(host,
                   "{\"cause\":%lu,\"sepc\":\"0x%lx\",\"stval\":\"0x%lx\",\"stvec\":\"0x%lx\","
                   "\"count\":%lu}",
                   (unsigned long)fault->cause, (unsigned long)fault->sepc,
                   (unsigned long)fault->stval, (unsigned long)fault->stvec,
                   (unsigned long)fault->count);
}

/* faults: the last one, and the one before it that was another; none if there was none. */
static void command_where(struct vm *vm)
{
    const struct vcpu *vcpu = &vm->vcpu;

    control_printf(vm->host,
                   "{\"reply\":\"where\",\"pc\":\"0x%lx\",\"mode\":\"%s\",\"ra\":\"0x%lx\","
                   "\"sp\":\"0x%lx\",\"satp\":\"0x%lx\",\"paused\":%s,\"faults\":[",
                   (unsigned long)vcpu->pc, vcpu->mode == VMODE_S ? "vS" : "vU",
                   (unsigned long)vcpu->x[1], (unsigned long)vcpu->x[2],
                   (unsigned long)vcpu->csr.satp, vm->paused ? "true" : "false");
    if (vcpu->fault.count)
        write_fault(vm->host, &vcpu->fault);
    if (vcpu->fault_before.count) {
        control_printf(vm->host, ",");
        write_fault(vm->host, &vcpu->fault_before);
    }
    control_printf(vm->host, "]}\n");
}

static void command_trace(struct vm *vm)
{
    trace_send(vm);
    control_printf(vm->host, "{\"reply\":\"trace\"}\n");
}

static const struct {
    const char *name;
    void (*run)(struct vm *vm);
} commands[] = {
    {"stats", command_stats},   {"reset", command_reset}, {"pause", command_pause},
    {"resume", command_resume}, {"quit", command_quit},   {"where", command_where},
    {"trace", command_trace},   {"traced", trace_heard},
};

/* Cuts the command's word out of `word` or `{"command":"word"}`. Null if it is neither. */
static const char *find_word(const char *line, size_t len, size_t *word_len)
{
    static const char key[] = "\"command\"";
    const char *end = line + len;
    const char *start = line;

    while (start < end && (*start == ' ' || *start == '\t'))
        start++;
    while (end > start && (end[-1] == ' ' || end[-1] == '\r'))
        end--;
    if (start < end && *start == '{') {
        for (; end - start >= (long)sizeof key && memcmp(start, key, sizeof key - 1) != 0;)
            start++;
        if (end - start < (long)sizeof key)
            return NULL;
        for (start += sizeof key - 1; start < end && (*start == ' ' || *start == ':');)
            start++;
        if (start == end || *start++ != '"')
            return NULL;
        end = memchr(start, '"', (size_t)(end - start));
        if (!end)
            return NULL;
    }
    *word_len = (size_t)(end - start);
    return start;
}

void control_command(struct host *host, const char *line, size_t len)
{
    size_t word_len = 0;
    const char *word = find_word(line, len, &word_len);

    if (word && word_len == 0)
        return;
    for (unsigned i = 0; word && i < sizeof commands / sizeof commands[0]; i++) {
        if (strlen(commands[i].name) == word_len && memcmp(commands[i].name, word, word_len) == 0) {
            commands[i].run(host->vm);
            return;
        }
    }
    control_printf(host,
                   "{\"error\":\"unknown command; there are stats, reset, pause, resume, quit, "
                   "where, trace\"}\n");
}

/* --- Input. --------------------------------------------------------------------------------- */

static void give_input_buffer(struct control *control, unsigned i)
{
    control->receive.memory.desc[i] = (struct virtio_desc){
        .hpa = map_pointer_hpa(control->input[i]),
        .len = CONTROL_INPUT_SIZE,
        .flags = VIRTIO_DESC_WRITE};
    virtio_queue_push(&control->receive, (uint16_t)i);
}

static void take_input(struct host *host, struct control *control, char byte)
{
    if (byte != '\n') {
        if (control->line_len < CONTROL_LINE)
            control->line[control->line_len++] = byte;
        return;
    }
    uint32_t len = control->line_len;

    control->line_len = 0;
    control_command(host, control->line, len);
}

/* The next byte that has come, with what it is in given back behind its last. False: there is none. */
static bool next_byte(struct control *control, char *byte)
{
    uint32_t head, len;

    while (control->taken == control->taking_len) {
        if (control->taking_len)
            give_input_buffer(control, control->taking);
        control->taken = control->taking_len = 0;
        if (!virtio_queue_pop(&control->receive, &head, &len))
            return false;
        if (head >= CONTROL_INPUTS || len > CONTROL_INPUT_SIZE)
            continue;
        control->taking = head;
        control->taking_len = len;
        if (len == 0)
            give_input_buffer(control, head);
    }
    *byte = control->input[control->taking][control->taken++];
    return true;
}

/* Commands wait while a report is being written, since its line must stay whole, and so that each exit has an end
 * however many come. */
static bool interrupt(void *argument, unsigned irq)
{
    struct host *host = argument;
    struct control *control = &host->control;
    char byte;

    (void)irq;
    virtio_acknowledge(control->registers);
    reclaim(control);
    while (control_go_on(host) && next_byte(control, &byte)) {
        take_input(host, control, byte);
        if (byte == '\n' && !host->vm->report.active && trap_is_spent(&host->vm->vcpu)) {
            board_resume_soon(host->vm);
            break;
        }
    }
    return true;
}

void control_poll(struct host *host)
{
    if (host->control.registers)
        interrupt(host, 0);
}

int control_start(struct host *host)
{
    struct host_window *window = host_find_virtio(host, VIRTIO_ID_CONSOLE);
    struct control *control = &host->control;
    uintptr_t registers;
    uint64_t features;
    int error;

    memset(control, 0, sizeof *control);
    control->filling = -1;
    if (!window)
        return 0;
    registers = (uintptr_t)map_hpa(window->hpa);
    error = virtio_start(registers, 0, &features);
    if (error == 0)
        error = virtio_queue_start(&control->receive, registers, RECEIVE_QUEUE, CONTROL_INPUTS);
    if (error == 0)
        error = virtio_queue_start(&control->transmit, registers, TRANSMIT_QUEUE, CONTROL_OUTPUTS);
    if (error == 0)
        error = host_irq_enable(host, window->irq, interrupt, host);
    if (error < 0) {
        host_log("the control channel's virtio-console at 0x%lx cannot be used (error %d)",
                 (unsigned long)window->hpa, -error);
        return error;
    }
    control->registers = registers;
    /* What was sent is taken back when a buffer is needed: its interrupt would only disturb a count. */
    virtio_queue_wait_for(&control->transmit, NEVER);
    virtio_ready(registers);
    for (unsigned i = 0; i < control->receive.size && i < CONTROL_INPUTS; i++)
        give_input_buffer(control, i);
    return 0;
}
