/* Options and guest images, as QEMU's fw_cfg hands them over by name. */
#pragma once
#include "vm/vm.h"

struct host;

/* Reads opt/org.trident/options: one key=value per line. 0, or a negative errno with a sentence
 * logged. */
int options_read(const struct host *host, struct vm_options *options);
