/* SBI calls of the VMM itself. See firmware.h. */
#include "host/firmware.h"

struct firmware_answer firmware_call(uint64_t extension, uint64_t function, uint64_t a0,
                                     uint64_t a1, uint64_t a2)
{
    register uint64_t r0 __asm__("a0") = a0;
    register uint64_t r1 __asm__("a1") = a1;
    register uint64_t r2 __asm__("a2") = a2;
    register uint64_t r6 __asm__("a6") = function;
    register uint64_t r7 __asm__("a7") = extension;
    __asm__ volatile("ecall" : "+r"(r0), "+r"(r1) : "r"(r2), "r"(r6), "r"(r7) : "memory");
    return (struct firmware_answer){(long)r0, r1};
}
