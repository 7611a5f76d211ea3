/* The row of the guest's interrupt controller that is emulated (board/vplic.h). */
#pragma once
#include "board/board.h"

extern const struct board_plic plic_emulated;
