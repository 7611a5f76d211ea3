/*
 * The guest's SBI console: SBI specification 2.0, chapter "Debug Console Extension", and the legacy
 * calls of chapter "Legacy Extensions".
 *
 * The firmware of the bare machine uses the UART that the guest has, by polling its registers, and
 * so does this: a byte of input goes to whoever asks first, and none to both. Where the guest's
 * UART is no 16550 the input that its driver has not taken waits at the host's end, and is read
 * there.
 *
 * The surprise: a call that finds no room does not wait in the VMM. The guest goes back to its
 * ecall, and makes the call again, with interrupts and the control channel served in between.
 */
#include <string.h>

#include "board/board.h"
#include "board/devices.h"
#include "board/sbi_internal.h"
#include "device.h"
#include "host/machine.h"
#include "vm/vm.h"

#define UART_DATA 0u /* load: next input byte; store: next output byte */
#define UART_LSR  5u
#define LSR_DATA  0x01u
#define LSR_EMPTY 0x20u

/* Bytes of one call: twice as many when all are line feeds. */
#define PIECE_MAX (CONSOLE_RING / 2)
#define COPY_MAX  64u /* bytes on the stack */

static struct device *uart_of(struct vm *vm)
{
    for (unsigned i = 0; i < vm->devices; i++)
        if (strcmp(vm->device[i].name, "uart") == 0)
            return &vm->device[i];
    return NULL;
}

static bool is_16550(const struct device *dev)
{
    return strcmp(dev->strategy->compatible, "ns16550a") == 0;
}

static uint8_t load(struct device *dev, uint64_t offset)
{
    struct mmio io = {.offset = offset, .width = 1};
    return device_carry_out(dev, &io) ? (uint8_t)io.value : 0;
}

static void store(struct device *dev, uint64_t offset, uint8_t value)
{
    struct mmio io = {.offset = offset, .width = 1, .store = true, .value = value};
    device_carry_out(dev, &io);
}

/* --- Output --- */

/* As the firmware does, a line feed gets a carriage return in front. text has room
 * for twice len. */
static size_t expand(uint8_t *text, const uint8_t *bytes, size_t len)
{
    size_t used = 0;
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] == '\n')
            text[used++] = '\r';
        text[used++] = bytes[i];
    }
    return used;
}

/* Behind what the UART's model has written, all of it or, if there is no room for all, nothing. */
static size_t write_end(struct vm *vm, const uint8_t *bytes, size_t len)
{
    struct host_console *end = &vm->host->console.front;
    uint8_t text[2 * COPY_MAX];
    if (host_console_room(vm->host) < 2 * len)
        return 0;
    for (size_t done = 0; done < len; done += COPY_MAX) {
        size_t part = len - done < COPY_MAX ? len - done : COPY_MAX;
        end->write(end, text, expand(text, bytes + done, part));
    }
    return len;
}

/* Into the machine's UART, which the guest owns: as much as it takes without waiting. It may stop
 * between a carriage return and its line feed. */
static size_t write_given(struct device *dev, const uint8_t *bytes, size_t len)
{
    bool *returned = &dev->vm->board->returned;
    size_t done = 0;
    while (done < len && (load(dev, UART_LSR) & LSR_EMPTY)) {
        bool first = bytes[done] == '\n' && !*returned;
        store(dev, UART_DATA, first ? '\r' : bytes[done]);
        *returned = first;
        done += !first;
    }
    return done;
}

/* How many of the bytes were written; 0: there is no room now. */
static size_t write(struct vm *vm, const uint8_t *bytes, size_t len)
{
    struct device *dev = uart_of(vm);
    return dev->end ? write_end(vm, bytes, len) : write_given(dev, bytes, len);
}

/* The guest makes its call once more, at the earliest when something has happened. The machine's
 * UART tells its owner that there is room: the VMM's own driver, or the guest, and then nobody may
 * sleep. */
static struct sbi_answer again(struct vcpu *vcpu)
{
    vcpu->pc -= 4;
    return (struct sbi_answer){.elsewhere = true, .wait = uart_of(vcpu->vm)->end};
}

struct sbi_answer sbi_legacy_putchar(struct vcpu *vcpu)
{
    uint8_t byte = (uint8_t)vcpu->x[10];
    return write(vcpu->vm, &byte, 1) ? sbi_value(0) : again(vcpu);
}

/* --- Input --- */

static size_t read(struct vm *vm, uint8_t *bytes, size_t len)
{
    struct device *dev = uart_of(vm);
    struct host_console *end = dev->host;
    size_t done = 0;
    if (!is_16550(dev))
        return end->read(end, bytes, len);
    while (done < len && (load(dev, UART_LSR) & LSR_DATA))
        bytes[done++] = load(dev, UART_DATA);
    return done;
}

struct sbi_answer sbi_legacy_getchar(struct vcpu *vcpu)
{
    uint8_t byte;
    return sbi_error(read(vcpu->vm, &byte, 1) ? byte : -1);
}

/* Up to len bytes at gpa, all of which is RAM. */
static size_t read_to(struct vm *vm, uint64_t gpa, size_t len)
{
    uint8_t bytes[COPY_MAX];
    size_t done = 0, got;
    do {
        got = read(vm, bytes, len - done < COPY_MAX ? len - done : COPY_MAX);
        if (got)
            memcpy(vm_ram_for_write(vm, gpa + done, got), bytes, got);
        done += got;
    } while (got == COPY_MAX && done < len);
    return done;
}

/* --- DBCN --- */

static struct sbi_answer call_memory(struct vcpu *vcpu, uint64_t fid)
{
    uint64_t bytes = vcpu->x[10], gpa = vcpu->x[11];
    if (vcpu->x[12] != 0)
        return sbi_error(SBI_ERR_INVALID_PARAM);
    if (bytes == 0)
        return sbi_value(0);
    const uint8_t *buffer = vm_ram(vcpu->vm, gpa, bytes);
    if (!buffer)
        return sbi_error(SBI_ERR_INVALID_PARAM);
    size_t piece = bytes < PIECE_MAX ? bytes : PIECE_MAX;
    if (fid == 1)
        return sbi_value(read_to(vcpu->vm, gpa, piece));
    size_t written = write(vcpu->vm, buffer, piece);
    return written ? sbi_value(written) : again(vcpu);
}

struct sbi_answer sbi_call_dbcn(struct vcpu *vcpu, uint64_t fid)
{
    switch (fid) {
    case 0:
    case 1: return call_memory(vcpu, fid);
    case 2: return sbi_legacy_putchar(vcpu);
    default: return sbi_error(SBI_ERR_NOT_SUPPORTED);
    }
}
