/*
 * The goldfish RTC (Android emulator, docs/GOLDFISH-VIRTUAL-HARDWARE.TXT; Linux' rtc-goldfish),
 * which QEMU's virt board has at the same place. Emulated under every strategy: a guest that could
 * set the machine's own clock and alarm would set them for the VMM and for every other guest.
 *
 * The surprise: the upper half of the alarm is stored first, the lower half sets it; of the time,
 * the lower half is read first and keeps the upper half that belongs to it.
 *
 * With PLIC=mapped the machine's interrupt is the guest's: then the machine's alarm, its pending
 * bit and its enable bit are the guest's too, and only the time is shifted.
 */
#include "board/rtc.h"

#include <errno.h>

#include "board/board.h"
#include "board/lines.h"
#include "host/io.h"
#include "host/log.h"
#include "host/machine.h"
#include "host/map.h"
#include "vm/vm.h"

#define REG_TIME_LOW        0x00u /* R: of now, keeps the upper half; W: sets half the clock */
#define REG_TIME_HIGH       0x04u /* R: what was kept; W: sets half the clock */
#define REG_ALARM_LOW       0x08u /* RW: a write sets the alarm */
#define REG_ALARM_HIGH      0x0cu /* RW: to be written before the lower half */
#define REG_IRQ_ENABLED     0x10u /* RW: bit 0 */
#define REG_CLEAR_ALARM     0x14u /* W: there is none any more */
#define REG_ALARM_STATUS    0x18u /* R: 1 = the alarm is ahead */
#define REG_CLEAR_INTERRUPT 0x1cu /* W: lowers the line */
#define REG_END             0x24u /* what is behind it answers nobody, as on QEMU's board */

const struct device_register rtc_registers[] = {
    {REG_TIME_LOW, "TIME_LOW", "TIME_LOW", 0, 0},
    {REG_TIME_HIGH, "TIME_HIGH", "TIME_HIGH", 0, 0},
    {REG_ALARM_LOW, "ALARM_LOW", "ALARM_LOW", 0, 0},
    {REG_ALARM_HIGH, "ALARM_HIGH", "ALARM_HIGH", 0, 0},
    {REG_IRQ_ENABLED, "IRQ_ENABLED", "IRQ_ENABLED", 0, 0},
    {REG_CLEAR_ALARM, NULL, "CLEAR_ALARM", 0, 0},
    {REG_ALARM_STATUS, "ALARM_STATUS", NULL, 0, 0},
    {REG_CLEAR_INTERRUPT, NULL, "CLEAR_INTERRUPT", 0, 0},
    {0, NULL, NULL, 0, 0},
};

static uint64_t host_now(const struct rtc *rtc)
{
    uint64_t low = io_read32(rtc->host + REG_TIME_LOW);
    return (uint64_t)io_read32(rtc->host + REG_TIME_HIGH) << 32 | low;
}

static uint64_t guest_now(const struct rtc *rtc)
{
    return host_now(rtc) + rtc->offset;
}

static uint64_t with_low(uint64_t value, uint32_t half)
{
    return value >> 32 << 32 | half;
}

static uint64_t with_high(uint64_t value, uint32_t half)
{
    return (uint64_t)half << 32 | (uint32_t)value;
}

static void update_line(struct vm *vm)
{
    if (vm->board->rtc.direct)
        io_write32(vm->board->rtc.host + REG_IRQ_ENABLED, vm->board->rtc.enabled);
    else
        lines_set(vm, RTC_IRQ, vm->board->rtc.pending && vm->board->rtc.enabled);
}

static void clear_alarm(struct rtc *rtc)
{
    if (rtc->running || rtc->direct)
        io_write32(rtc->host + REG_CLEAR_ALARM, 1);
    rtc->running = false;
}

static void ring(struct vm *vm)
{
    clear_alarm(&vm->board->rtc);
    vm->board->rtc.pending = true;
    update_line(vm);
}

/* An alarm in the past rings at once. The host's counts in 63 bits: further is as good as never. */
static void set_alarm(struct vm *vm)
{
    struct rtc *rtc = &vm->board->rtc;
    uint64_t now = host_now(rtc);
    uint64_t ahead = rtc->alarm - (now + rtc->offset);
    if (rtc->alarm <= now + rtc->offset && !rtc->direct) {
        ring(vm);
        return;
    }
    if (rtc->alarm <= now + rtc->offset)
        rtc->host_alarm = now; /* the machine's rings at once as well */
    else
        rtc->host_alarm = now <= INT64_MAX && ahead <= INT64_MAX - now ? now + ahead : INT64_MAX;
    rtc->running = true;
    io_write32(rtc->host + REG_ALARM_HIGH, (uint32_t)(rtc->host_alarm >> 32));
    io_write32(rtc->host + REG_ALARM_LOW, (uint32_t)rtc->host_alarm);
}

/* The host's alarm. It may still be an earlier one's, which the guest has replaced meanwhile. */
static bool host_alarm_rings(void *argument, unsigned irq)
{
    struct vm *vm = argument;
    (void)irq;
    io_write32(vm->board->rtc.host + REG_CLEAR_INTERRUPT, 1);
    if (vm->board->rtc.running && host_now(&vm->board->rtc) >= vm->board->rtc.host_alarm)
        ring(vm);
    return true;
}

int rtc_init(struct vm *vm)
{
    struct host *host = vm->host;
    if (host->rtc.hpa == 0) {
        host_log("the machine has no goldfish RTC: the guest gets no clock");
        return 0;
    }
    vm->board->rtc.host = (uintptr_t)map_hpa(host->rtc.hpa);
    io_write32(vm->board->rtc.host + REG_CLEAR_ALARM, 1);
    io_write32(vm->board->rtc.host + REG_CLEAR_INTERRUPT, 1);
    vm->board->rtc.direct = vm->board->plic_row->unseen;
    io_write32(vm->board->rtc.host + REG_IRQ_ENABLED, !vm->board->rtc.direct);
    if (vm->board->rtc.direct)
        return 0;
    if (host_irq_enable(host, host->rtc.irq, host_alarm_rings, vm) < 0) {
        host_log("the machine's RTC has no interrupt that can be used");
        return -ENODEV;
    }
    return 0;
}

void rtc_reset(struct vm *vm)
{
    struct rtc *rtc = &vm->board->rtc;
    clear_alarm(rtc);
    *rtc = (struct rtc){.host = rtc->host, .offset = rtc->offset, .direct = rtc->direct};
    if (rtc->host && rtc->direct) {
        io_write32(rtc->host + REG_IRQ_ENABLED, 0);
        io_write32(rtc->host + REG_CLEAR_INTERRUPT, 1);
    }
}

static uint32_t load(struct rtc *rtc, uint64_t reg)
{
    uint64_t now;
    switch (reg) {
    case REG_TIME_LOW:
        now = guest_now(rtc);
        rtc->time_high = (uint32_t)(now >> 32);
        return (uint32_t)now;
    case REG_TIME_HIGH: return rtc->time_high;
    case REG_ALARM_LOW: return (uint32_t)rtc->alarm;
    case REG_ALARM_HIGH: return (uint32_t)(rtc->alarm >> 32);
    case REG_IRQ_ENABLED: return rtc->enabled;
    case REG_ALARM_STATUS:
        return rtc->direct ? io_read32(rtc->host + REG_ALARM_STATUS) : rtc->running;
    default: return 0;
    }
}

/* Setting the clock leaves the alarm where it was in real time; Linux sets it again by itself. */
static void store(struct vm *vm, uint64_t reg, uint32_t value)
{
    struct rtc *rtc = &vm->board->rtc;
    uint64_t now = guest_now(rtc);
    switch (reg) {
    case REG_TIME_LOW: rtc->offset += with_low(now, value) - now; break;
    case REG_TIME_HIGH: rtc->offset += with_high(now, value) - now; break;
    case REG_ALARM_LOW:
        rtc->alarm = with_low(rtc->alarm, value);
        set_alarm(vm);
        break;
    case REG_ALARM_HIGH: rtc->alarm = with_high(rtc->alarm, value); break;
    case REG_IRQ_ENABLED:
        rtc->enabled = value & 1;
        update_line(vm);
        break;
    case REG_CLEAR_ALARM: clear_alarm(rtc); break;
    case REG_CLEAR_INTERRUPT:
        rtc->pending = false;
        if (rtc->direct)
            io_write32(rtc->host + REG_CLEAR_INTERRUPT, 1);
        update_line(vm);
        break;
    }
}

/* Eight bytes are two registers, the lower first, as QEMU's model takes them. */
bool rtc_access(struct vcpu *vcpu, void *self, struct mmio *io)
{
    struct vm *vm = vcpu->vm;
    (void)self;
    if (!vm->board->rtc.host || (io->width != 4 && io->width != 8) ||
        io->offset + io->width > REG_END)
        return false;
    uint64_t value = 0;
    for (unsigned at = 0; at < io->width; at += 4) {
        if (io->store)
            store(vm, io->offset + at, (uint32_t)(io->value >> 8 * at));
        else
            value |= (uint64_t)load(&vm->board->rtc, io->offset + at) << 8 * at;
    }
    if (!io->store)
        io->value = value;
    return true;
}
