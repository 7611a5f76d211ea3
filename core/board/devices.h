/* The core's side of the seam (core/device.h): what the board itself does with a device. */
#pragma once
#include <stdbool.h>

#include "device.h"
#include "host/ends.h"

struct vcpu;

/* A window's access (vm/window.h), self being the struct device: counts, then strategy->access,
 * then the host end's turn. False: raise an access fault in the guest. */
bool device_access(struct vcpu *vcpu, void *self, struct mmio *io);

/* The same for an access that is not the guest's own instruction: it is not counted. */
bool device_carry_out(struct device *dev, struct mmio *io);

/* What a host end may ask of the device that uses it. */
extern const struct host_owner device_owner;
