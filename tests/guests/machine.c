/*
 * A kernel that is to start in machine mode: linked where the firmware is (tests/system/test_images.py). It is
 * refused, and never runs.
 */
#include "bare.h"

int main(void)
{
    __asm__ volatile("csrw mtvec, zero");
    __asm__ volatile("csrw mstatus, zero");
    return 0;
}
