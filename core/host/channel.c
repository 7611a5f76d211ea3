/*
 * The control channel's transport: a virtio-console with a single port (virtio specification 1.2,
 * section 5.3: receiveq 0, transmitq 1, no MULTIPORT).
 *
 * The surprise: a reader that stops reading stops the transmit queue; the VMM waits for it a
 * little, then loses the line and not the guest's time.
 */
#include "host/channel.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "host/hart.h"
#include "host/io.h"
#include "host/log.h"
#include "host/machine.h"
#include "host/map.h"

enum { RECEIVE_QUEUE, TRANSMIT_QUEUE };

#define NEVER 0x7fffu /* more chains than there are buffers */

_Static_assert(CHANNEL_OUTPUTS <= 32, "busy has 32 bits");
_Static_assert(CHANNEL_OUTPUTS <= VIRTIO_QUEUE_MAX && CHANNEL_INPUTS <= VIRTIO_QUEUE_MAX, "queues");

/* --- Output --- */

static void reclaim(struct channel *channel)
{
    uint32_t head, len;
    while (virtio_queue_pop(&channel->transmit, &head, &len))
        channel->busy &= ~(1u << head % CHANNEL_OUTPUTS);
}

static void send(struct channel *channel)
{
    int i = channel->filling;
    if (i < 0 || channel->filled == 0)
        return;
    channel->transmit.memory.desc[i] = (struct virtio_desc){
        .hpa = map_pointer_hpa(channel->output[i]), .len = channel->filled};
    channel->busy |= 1u << i;
    channel->filling = -1;
    channel->filled = 0;
    virtio_queue_push(&channel->transmit, (uint16_t)i);
}

/* Finds a buffer to fill, waiting for the reader. False: none became free in time. */
static bool find_buffer(struct host *host, struct channel *channel)
{
    uint64_t start = io_time();
    do {
        reclaim(channel);
        for (int i = 0; i < channel->transmit.size && i < (int)CHANNEL_OUTPUTS; i++) {
            if (!(channel->busy & 1u << i)) {
                channel->filling = i;
                return true;
            }
        }
    } while (io_time() - start < host->timebase);
    return false;
}

static void put(struct host *host, struct channel *channel, char byte)
{
    if (channel->dropping) {
        channel->dropping = byte != '\n';
        return;
    }
    if (channel->filling < 0 && !find_buffer(host, channel)) {
        channel->dropping = byte != '\n';
        return;
    }
    channel->output[channel->filling][channel->filled++] = byte;
    if (byte == '\n' || channel->filled == CHANNEL_OUTPUT_SIZE)
        send(channel);
}

void channel_write(struct host *host, const char *bytes, size_t len)
{
    if (host->channel.registers == 0)
        return;
    for (size_t i = 0; i < len; i++)
        put(host, &host->channel, bytes[i]);
}

void channel_printf(struct host *host, const char *format, ...)
{
    char text[512];
    va_list arguments;
    int len;
    if (host->channel.registers == 0)
        return;
    va_start(arguments, format);
    len = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (len > 0)
        channel_write(host, text, (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1);
}

void channel_flush(struct host *host)
{
    struct channel *channel = &host->channel;
    uint64_t start = io_time();
    if (channel->registers == 0)
        return;
    send(channel);
    do {
        reclaim(channel);
    } while (channel->busy != 0 && io_time() - start < host->timebase);
}

bool channel_has_room(struct host *host)
{
    struct channel *channel = &host->channel;
    unsigned busy = 0;
    reclaim(channel);
    for (uint32_t bits = channel->busy; bits; bits &= bits - 1)
        busy++;
    if (channel->registers == 0 || channel->dropping || busy + 3 <= channel->transmit.size) {
        channel->stuck_since = 0;
        return true;
    }
    if (channel->stuck_since == 0)
        channel->stuck_since = io_time();
    channel->dropping = io_time() - channel->stuck_since >= host->timebase;
    return channel->dropping;
}

/* --- Input --- */

static void give_input_buffer(struct channel *channel, unsigned i)
{
    channel->receive.memory.desc[i] = (struct virtio_desc){
        .hpa = map_pointer_hpa(channel->input[i]),
        .len = CHANNEL_INPUT_SIZE,
        .flags = VIRTIO_DESC_WRITE};
    virtio_queue_push(&channel->receive, (uint16_t)i);
}

static void take_input(struct channel *channel, char byte)
{
    if (byte != '\n') {
        if (channel->line_len < CHANNEL_LINE)
            channel->line[channel->line_len++] = byte;
        return;
    }
    uint32_t len = channel->line_len;

    channel->line_len = 0;
    channel->listener.line(channel->listener.argument, channel->line, len);
}

/* The next byte that has come, with what it is in given back behind its last. False:
 * there is none. */
static bool next_byte(struct channel *channel, char *byte)
{
    uint32_t head, len;
    while (channel->taken == channel->taking_len) {
        if (channel->taking_len)
            give_input_buffer(channel, channel->taking);
        channel->taken = channel->taking_len = 0;
        if (!virtio_queue_pop(&channel->receive, &head, &len))
            return false;
        if (head >= CHANNEL_INPUTS || len > CHANNEL_INPUT_SIZE)
            continue;
        channel->taking = head;
        channel->taking_len = len;
        if (len == 0)
            give_input_buffer(channel, head);
    }
    *byte = channel->input[channel->taking][channel->taken++];
    return true;
}

/* An exit has an end however many lines come. */
static bool interrupt(void *argument, unsigned irq)
{
    struct host *host = argument;
    struct channel *channel = &host->channel;
    const struct channel_listener *listener = &channel->listener;
    char byte;
    (void)irq;
    virtio_acknowledge(channel->registers);
    reclaim(channel);
    while (listener->ready(listener->argument) && next_byte(channel, &byte)) {
        take_input(channel, byte);
        if (byte == '\n' && hart_is_spent()) {
            listener->later(listener->argument);
            break;
        }
    }
    return true;
}

void channel_poll(struct host *host)
{
    if (host->channel.registers)
        interrupt(host, 0);
}

int channel_start(struct host *host, const struct channel_listener *listener)
{
    struct host_window *window = host_find_virtio(host, VIRTIO_ID_CONSOLE);
    struct channel *channel = &host->channel;
    uintptr_t registers;
    uint64_t features;
    int error;
    memset(channel, 0, sizeof(*channel));
    channel->filling = -1;
    channel->listener = *listener;
    if (!window)
        return 0;
    registers = (uintptr_t)map_hpa(window->hpa);
    error = virtio_start(registers, 0, &features);
    if (error == 0)
        error = virtio_queue_start(&channel->receive, registers, RECEIVE_QUEUE, CHANNEL_INPUTS);
    if (error == 0)
        error = virtio_queue_start(&channel->transmit, registers, TRANSMIT_QUEUE, CHANNEL_OUTPUTS);
    if (error == 0)
        error = host_irq_enable(host, window->irq, interrupt, host);
    if (error < 0) {
        host_log("the control channel's virtio-console at 0x%lx cannot be used (error %d)",
                 (unsigned long)window->hpa, -error);
        return error;
    }
    channel->registers = registers;
    /* What was sent is taken back when a buffer is needed: its interrupt would only disturb a
     * count. */
    virtio_queue_wait_for(&channel->transmit, NEVER);
    virtio_ready(registers);
    for (unsigned i = 0; i < channel->receive.size && i < CHANNEL_INPUTS; i++)
        give_input_buffer(channel, i);
    return 0;
}
