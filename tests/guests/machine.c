/*
 * A kernel that is to start in machine mode. Linked where the firmware is, it is refused and never
 * runs (tests/system/test_images.py). machine-1 is linked where a guest is: all it gets is a fault,
 * and since it has no handler yet, another fault at address 0, again and again.
 */
#include "bare.h"

int main(void)
{
    csr_write(CSR_STVEC, 0);
    __asm__ volatile("csrw mtvec, %0" : : "r"(main));
    __asm__ volatile("mret");
    return 0;
}
