/* The guest's timer (Sstc) and the VMM's own alarm: both in the host's one stimecmp while they lie ahead. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct vcpu;

/* Writes stimecmp; also what SBI TIME's set_timer does on a machine with Sstc. */
void timer_set(struct vcpu *vcpu, uint64_t stimecmp);

/* STIP: time >= stimecmp. */
bool timer_pending(const struct vcpu *vcpu);

/* The host's timer interrupts at this time (in ticks; UINT64_MAX: no more) on the VMM's own behalf, once. */
void timer_set_alarm(struct vcpu *vcpu, uint64_t time);

/* The host's timer interrupt: what was due has done its work, until it is set again. */
void timer_fired(struct vcpu *vcpu);
