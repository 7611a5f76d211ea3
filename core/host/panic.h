/* Our own bug: says what, shows where, and ends QEMU with a failing status. */
#pragma once
#include <stdint.h>

struct host;

/* What a panic shows besides the host's own registers: show() writes it with the two functions
 * below. Null at first. host: the machine that is to be powered off. */
void panic_watch(struct host *host, void (*show)(void));

_Noreturn void panic(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The VMM itself trapped with these registers. Called by vector.S. */
_Noreturn void panic_trap(const uint64_t *x);

/* For show(): a text, and 32 registers. */
void panic_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void panic_show_registers(const char *whose, const uint64_t *x);
