/* The guest's timer (Sstc): one comparison, kept in the host's stimecmp while it lies ahead. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct vcpu;

/* Writes stimecmp; also what SBI TIME's set_timer does on a machine with Sstc. */
void timer_set(struct vcpu *vcpu, uint64_t stimecmp);

/* STIP: time >= stimecmp. */
bool timer_pending(const struct vcpu *vcpu);

/* The host's timer interrupt: it has done its work, until the next timer_set. */
void timer_fired(struct vcpu *vcpu);
