/*
 * A hold: what the disk has finished waits for the requests that the guest is about to make, so
 * that one interrupt serves several of them even where the disk is faster than the guest.
 *
 * Tried when the guest makes a few requests before it idles. Ends when it idles, when a batch is
 * finished, when it has made none for a while, or after a few such whiles; so the VMM must look
 * from time to time.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define HOLD_FEW 4u /* requests below which nobody waits for anybody else */

struct hold {
    bool idle;                /* the guest is: it makes no requests */
    uint64_t until;           /* time of the next look, in ticks; 0: no hold */
    unsigned looks;           /* of this hold */
    unsigned batch;           /* finished requests that end it: as many as came together last */
    uint32_t submitted, seen; /* requests in all; at the last look */
    uint32_t streak, before;  /* requests since the guest idled; from the time before to then */
    uint32_t pause, backoff;  /* requests before the next hold; how many that were at first */
    uint64_t tries;           /* holds begun since the machine was started */
};

/* As after power-on, but for what the guest does. To be called before anything else. */
void hold_reset(struct hold *hold);

/* The guest begins to idle, or ends it. */
void hold_idle(struct hold *hold, bool idle);

/* The disk was given one more request. */
void hold_count(struct hold *hold);

/* A request is finished and no other waits: begins a hold if one is due. */
void hold_begin(struct hold *hold, uint64_t now);

/* Is the hold over? To be asked at hold->until or before; may move it. */
bool hold_is_over(struct hold *hold, uint64_t now);

/* What was held is delivered. gained: requests that are finished or on their way by now. */
void hold_end(struct hold *hold, unsigned gained);
