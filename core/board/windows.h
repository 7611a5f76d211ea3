/* The windows of the board that are no devices. */
#pragma once
#include "device.h"

struct vm;

/* Adds them all. To be called before the devices are added, each of which takes its window out of
 * what is below. */
void windows_add(struct vm *vm);

/* What the registers of enum exit_window are called; null: no such window. */
const struct device_register *windows_registers(unsigned window);

/* What the registers of a transport without a device are called: as those of one with a device. */
extern const struct device_register *const windows_transport_registers;
