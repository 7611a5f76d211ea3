/*
 * The real hart's timer (Sstc: "Supervisor-mode Timer Extension"): one comparison serves the
 * guest's and the VMM's own alarm.
 */
#include "host/hart.h"

#define COUNTERS 0xfffffffful

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void hart_start(struct hart *hart)
{
    csr_write(CSR_SCOUNTEREN, COUNTERS);
    hart->counters = csr_read(CSR_SCOUNTEREN);
    hart->scounteren = hart->counters;
    hart->senvcfg = csr_read(CSR_SENVCFG);
    hart->comparison = hart->alarm = UINT64_MAX;
}

void hart_compare(struct hart *hart, uint64_t time)
{
    hart->comparison = time;
    csr_write(CSR_STIMECMP, sooner(time, hart->alarm));
    csr_set(CSR_SIE, SIP_STIP);
}

/* Of the guest's comparison and the alarm, what is still ahead. True: the comparison is not. */
static bool set_next(struct hart *hart)
{
    bool reached = csr_read(CSR_TIME) >= hart->comparison;
    uint64_t next = reached ? hart->alarm : sooner(hart->comparison, hart->alarm);
    csr_write(CSR_STIMECMP, next);
    if (next == UINT64_MAX)
        csr_clear(CSR_SIE, SIP_STIP);
    else
        csr_set(CSR_SIE, SIP_STIP);
    return reached;
}

bool hart_set_alarm(struct hart *hart, uint64_t time)
{
    if (hart->alarm == time)
        return false;
    hart->alarm = time;
    return set_next(hart);
}

void hart_timer_fired(struct hart *hart)
{
    csr_clear(CSR_SIE, SIP_STIP);
    if (hart->alarm == UINT64_MAX)
        return;
    if (csr_read(CSR_TIME) >= hart->alarm)
        hart->alarm = UINT64_MAX;
    set_next(hart);
}
