/*
 * PLIC=mapped: the guest owns the host's S context. Its page of registers (threshold, claim,
 * complete) is mapped into the guest; the other registers stay emulated and are passed on, for the
 * guest's sources alone.
 */
#pragma once
#include "board/board.h"

extern const struct board_plic plicmap_plic;
