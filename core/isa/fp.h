/* The guest's f registers, raw. sstatus.FS must not be Off. (fp.S) */
#pragma once
#include <stdint.h>

uint64_t fp_read(unsigned f);
void fp_write(unsigned f, uint64_t value);
