/* Moderation of the disk's interrupts by what the guest does. */
#include "host/hold.h"

#define LOOK_TICKS 20000u /* 2 ms at QEMU's 10 MHz, in which Linux makes some five requests */
#define LOOKS      4u
#define BATCH_MAX  16u /* more would gain little */
/* Requests without a hold after one that gained nothing; then twice as many. */
#define PAUSE_MIN 64u
#define PAUSE_MAX 512u

void hold_reset(struct hold *hold)
{
    *hold = (struct hold){.idle = hold->idle, .batch = BATCH_MAX, .tries = hold->tries};
}

void hold_idle(struct hold *hold, bool idle)
{
    if (idle)
        hold->before = hold->streak;
    hold->idle = idle;
    hold->streak = 0;
}

void hold_count(struct hold *hold)
{
    hold->submitted++;
    hold->streak++;
    if (hold->pause > 0)
        hold->pause--;
}

void hold_begin(struct hold *hold, uint64_t now)
{
    bool several = hold->streak >= HOLD_FEW || hold->before >= HOLD_FEW;
    if (hold->idle || !several || hold->pause > 0)
        return;
    hold->tries++;
    hold->until = now + LOOK_TICKS;
    hold->looks = 0;
    hold->seen = hold->submitted;
}

bool hold_is_over(struct hold *hold, uint64_t now)
{
    if (hold->idle)
        return true;
    if (now < hold->until)
        return false;
    if (hold->submitted == hold->seen || ++hold->looks == LOOKS)
        return true;
    hold->seen = hold->submitted;
    hold->until = now + LOOK_TICKS;
    return false;
}

void hold_end(struct hold *hold, unsigned gained)
{
    hold->until = 0;
    if (!hold->idle)
        hold->batch = gained > BATCH_MAX ? BATCH_MAX : gained > HOLD_FEW ? gained : HOLD_FEW;
    if (gained >= HOLD_FEW)
        hold->backoff = 0;
    else
        hold->pause = hold->backoff = hold->backoff == 0          ? PAUSE_MIN
                                      : hold->backoff < PAUSE_MAX ? 2 * hold->backoff
                                                                  : PAUSE_MAX;
}
