/* A call of the machine's own firmware (SBI specification 2.0, chapter 3 "Binary Encoding"). */
#pragma once
#include <stdint.h>

struct firmware_answer {
    long error;
    uint64_t value;
};

/* Calls function of extension with three arguments. What it does is the firmware's time: no call
 * here may cost more the more a guest asks for. */
struct firmware_answer firmware_call(uint64_t extension, uint64_t function, uint64_t a0,
                                     uint64_t a1, uint64_t a2);
