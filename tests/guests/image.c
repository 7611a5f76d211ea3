/*
 * A kernel with the header of a Linux Image in front, which tests/system/test_images.py makes: it
 * says where it was loaded, and whether all of the file was. What the machine starts is the header,
 * which is one page long.
 */
#include "bare.h"

extern char bare_start[];

int main(void)
{
    const char *header = bare_start - PAGE_SIZE;
    /* The test has put into the header's flags where the file's last word is. */
    uint64_t last = bare_read(uint64_t, header + 24);
    printf("image at %#lx\n", (uint64_t)header);
    CHECK(bare_read(uint32_t, header + 56) == 0x05435352u, "there is no header in front");
    if (last)
        CHECK(bare_read(uint32_t, header + last) == 0x4c494154u,
              "the end of the file is not there");
    return bare_failures != 0;
}
