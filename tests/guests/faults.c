/*
 * A guest that does nothing but fault: stvec is 0, where nothing is. The guest never ends; what
 * is asked of the VMM is that the VMM stays up, and that the runner's message when the time is over
 * names the fault.
 */
#include "bare.h"

int main(void)
{
    csr_write(CSR_STVEC, 0);
    __asm__ volatile("ebreak");
    return 1;
}
