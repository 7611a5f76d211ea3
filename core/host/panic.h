/* Our own bug: says what, shows where, and ends QEMU with a failing status. */
#pragma once

struct vcpu;

/* The vcpu whose state a panic shows besides the host's; null before there is one. */
void panic_watch(const struct vcpu *vcpu);

_Noreturn void panic(const char *format, ...) __attribute__((format(printf, 1, 2)));
