/*
 * The guest's clock: a goldfish RTC like the machine's own, that follows the machine's.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "device.h"

struct vcpu;
struct vm;

#define RTC_BASE 0x00101000ul
#define RTC_SIZE 0x00001000ul
#define RTC_IRQ  11u

/* Times are nanoseconds since 1970. */
struct rtc {
    uintptr_t host;      /* the machine's registers in the direct map; 0: it has no clock */
    uint64_t offset;     /* guest's time minus host's, modulo 2^64: the guest has set its clock */
    uint64_t alarm;      /* as the guest wrote it */
    uint64_t host_alarm; /* what was asked of the host for it */
    uint32_t time_high;  /* upper half of the time whose lower half was read last */
    bool direct;         /* the host's interrupt is the guest's (PLIC_MAPPED) */
    bool running;        /* the alarm is ahead */
    bool pending;        /* it has rung, and was not acknowledged */
    bool enabled;        /* the guest wants to be interrupted */
};

/* What the registers are called (core/device.h). */
extern const struct device_register rtc_registers[];

/* Takes the machine's clock and its interrupt. Without one the guest has none either: neither
 * window nor device tree node. 0, or a negative errno with a sentence logged. */
int rtc_init(struct vm *vm);

/* Forgets the alarm. The time that the guest has set survives, as in a clock with a battery. */
void rtc_reset(struct vm *vm);

/* One guest access, as a window's (vm/window.h). False: access fault. */
bool rtc_access(struct vcpu *vcpu, void *self, struct mmio *io);
