/*
 * A guest that does nothing but fault: stvec is 0, where nothing is. It never ends; what is asked
 * of the VMM is that it stays up, and that the message at the end of the time names the fault.
 */
#include "bare.h"

int main(void)
{
    csr_write(CSR_STVEC, 0);
    __asm__ volatile("ebreak");
    return 1;
}
