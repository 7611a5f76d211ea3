/* One program: its memory, its start, its traps, and what it left. */
#pragma once
#include "diff.h"

void run_program(const struct program *program);

/* The line "program I HASH", and before it, for a verbose one, everything that the hash is of. */
void run_report(const struct program *program, uint64_t number);
