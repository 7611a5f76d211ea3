/*
 * Interrupt lines and turns: how a device's interrupt reaches the vcpus, and when devices that wait
 * are served again.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct vm;

/* Drives a source of the guest's interrupt controller, up to the vcpus' external interrupts. */
void lines_set(struct vm *vm, unsigned source, bool level);

/* The VMM's alarm becomes the time at which a host end, an unfinished device or the interrupt
 * controller wants its next turn. To be called when one of them has had a turn. */
void lines_set_alarm(struct vm *vm);

/* A device is unfinished: it goes on when the guest has had its turn. */
void lines_resume_soon(struct vm *vm);
