/*
 * Commands and reports over the control channel.
 *
 * The surprise: a report may be longer than an exit may take. It is written in pieces, between
 * which the guest goes on; commands wait meanwhile, since its line must stay whole.
 */
#include "observe/control.h"

#include <stdio.h>
#include <string.h>

#include "board/lines.h"
#include "host/channel.h"
#include "host/hart.h"
#include "observe/timeline.h"

/* --- Reports --- */

/* Goes on with the report that has begun, as far as this exit may cost. False: there is more, and
 * the channel is polled soon. */
static bool go_on(struct control *control)
{
    struct vm *vm = control->vm;
    struct report *report = &control->report;
    while (report->active) {
        if (vm->timeline) {
            report_finish(
                report); /* its reader sends lines of its own, and such a run has no bound */
        } else if (!channel_has_room(vm->host) || (report_step(report) && hart_is_spent())) {
            lines_resume_soon(vm);
            return false;
        }
    }
    return true;
}

/* May the next command be taken? */
static bool is_ready(void *argument)
{
    struct control *control = argument;
    control->waits = !go_on(control);
    return !control->waits;
}

bool control_mark(struct vm *vm, int label)
{
    struct control *control = vm->control;
    uint64_t call = vm->vcpus[0]->pc;
    char head[48];
    if (control->marked != call || control->label != label) {
        if (!go_on(control))
            return false; /* another report comes first */
        if (control->waits)
            channel_poll(
                vm->host); /* and a command: a guest that calls again and again stops none */
        if (control->report.active)
            return false;
        snprintf(head, sizeof(head), "\"event\":\"mark\",\"status\":%d", label);
        report_begin(&control->report, head);
        control->marked = call;
        control->label = label;
    }
    if (!go_on(control))
        return false;
    control->marked = 0;
    return true;
}

void control_finish(struct control *control)
{
    report_finish(&control->report);
    control->marked = 0;
}

/* --- Commands --- */

static void command_stats(struct vm *vm)
{
    report_begin(&vm->control->report, "\"reply\":\"stats\"");
}

static void command_reset(struct vm *vm)
{
    stats_reset(vm);
    channel_printf(vm->host, "{\"reply\":\"reset\"}\n");
}

static void command_pause(struct vm *vm)
{
    vm->paused = true;
    channel_printf(vm->host, "{\"reply\":\"pause\"}\n");
}

static void command_resume(struct vm *vm)
{
    vm->paused = false;
    channel_printf(vm->host, "{\"reply\":\"resume\"}\n");
}

static void command_quit(struct vm *vm)
{
    channel_printf(vm->host, "{\"reply\":\"quit\"}\n");
    vm_end(vm, VM_POWEROFF, 0);
}

static void write_fault(struct host *host, const struct vcpu_fault *fault)
{
    channel_printf(host,
                   "{\"cause\":%lu,\"sepc\":\"0x%lx\",\"stval\":\"0x%lx\",\"stvec\":\"0x%lx\","
                   "\"count\":%lu}",
                   (unsigned long)fault->cause, (unsigned long)fault->sepc,
                   (unsigned long)fault->stval, (unsigned long)fault->stvec,
                   (unsigned long)fault->count);
}

/* faults: the last one, and the one before it that was another; none if there was none. */
static void command_where(struct vm *vm)
{
    const struct vcpu *vcpu = vm->vcpus[0];
    channel_printf(vm->host,
                   "{\"reply\":\"where\",\"pc\":\"0x%lx\",\"mode\":\"%s\",\"ra\":\"0x%lx\","
                   "\"sp\":\"0x%lx\",\"satp\":\"0x%lx\",\"paused\":%s,\"faults\":[",
                   (unsigned long)vcpu->pc, vcpu->mode == VMODE_S ? "vS" : "vU",
                   (unsigned long)vcpu->x[1], (unsigned long)vcpu->x[2],
                   (unsigned long)vcpu->csr.satp, vm->paused ? "true" : "false");
    if (vcpu->fault.count)
        write_fault(vm->host, &vcpu->fault);
    if (vcpu->fault_before.count) {
        channel_printf(vm->host, ",");
        write_fault(vm->host, &vcpu->fault_before);
    }
    channel_printf(vm->host, "]}\n");
}

static void command_times(struct vm *vm)
{
    vm->timed = true;
    channel_printf(vm->host, "{\"reply\":\"times\"}\n");
}

static void command_trace(struct vm *vm)
{
    timeline_send(vm);
    channel_printf(vm->host, "{\"reply\":\"trace\"}\n");
}

static const struct {
    const char *name;
    void (*run)(struct vm *vm);
} commands[] = {
    {"stats", command_stats},   {"reset", command_reset},   {"pause", command_pause},
    {"resume", command_resume}, {"quit", command_quit},     {"where", command_where},
    {"trace", command_trace},   {"traced", timeline_heard}, {"times", command_times},
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
        for (; end - start >= (long)sizeof(key) && memcmp(start, key, sizeof(key) - 1) != 0;)
            start++;
        if (end - start < (long)sizeof(key))
            return NULL;
        for (start += sizeof(key) - 1; start < end && (*start == ' ' || *start == ':');)
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

static void take_line(void *argument, const char *line, size_t len)
{
    struct vm *vm = ((struct control *)argument)->vm;
    size_t word_len = 0;
    const char *word = find_word(line, len, &word_len);
    if (word && word_len == 0)
        return;
    for (unsigned i = 0; word && i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strlen(commands[i].name) == word_len && memcmp(commands[i].name, word, word_len) == 0) {
            commands[i].run(vm);
            return;
        }
    }
    channel_printf(vm->host,
                   "{\"error\":\"unknown command; there are stats, reset, pause, resume, quit, "
                   "where, trace, times\"}\n");
}

static void resume_soon(void *argument)
{
    lines_resume_soon(((struct control *)argument)->vm);
}

int control_start(struct control *control, struct vm *vm)
{
    struct channel_listener listener = {is_ready, take_line, resume_soon, control};
    control->vm = control->report.vm = vm;
    vm->control = control;
    vm->mark = control_mark;
    return channel_start(vm->host, &listener);
}
