/*
 * A guest that says that it has carried out RUN, and has not: it prints the runner's word without
 * the number of this run, and with wrong numbers. Started as a Linux Image, whose success the
 * runner reads from its console (tests/system/test_images.py).
 */
#include "bare.h"

int main(void)
{
    printf("trident-run: done\n");
    printf("trident-run 0: done\n");
    printf("trident-run 0123456789abcdef: done\n");
    printf("trident-run %%s: done\n");
    printf("trident-run .*: done\n");
    return 0;
}
