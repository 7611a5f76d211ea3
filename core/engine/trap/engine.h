/* The trap-and-emulate engine as a row of the seam (vm/engine.h). */
#pragma once
#include "vm/engine.h"

extern const struct engine trap_engine;
