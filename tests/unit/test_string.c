/* memset and memcpy of the VMM against the build machine's, at all alignments of short ranges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

void *vmm_memset(void *to, int value, size_t size);
void *vmm_memcpy(void *restrict to, const void *restrict from, size_t size);

#define memset vmm_memset
#define memcpy vmm_memcpy
#include "core/isa/string.c"
#undef memset
#undef memcpy

#define SIZE 80u

static void test_memset(void **state)
{
    (void)state;
    for (unsigned at = 0; at < 16; at++) {
        for (unsigned size = 0; at + size <= SIZE; size++) {
            uint8_t ours[SIZE], theirs[SIZE];
            memset(ours, 7, SIZE);
            memset(theirs, 7, SIZE);
            assert_ptr_equal(vmm_memset(ours + at, 0x1a5, size), ours + at);
            memset(theirs + at, 0x1a5, size);
            assert_memory_equal(ours, theirs, SIZE);
        }
    }
}

static void test_memcpy(void **state)
{
    (void)state;
    _Alignas(uint64_t) uint8_t from[SIZE];
    for (unsigned i = 0; i < SIZE; i++)
        from[i] = (uint8_t)(i * 37 + 1);
    for (unsigned at = 0; at < 16; at++) {
        for (unsigned source = 0; source < 16; source++) {
            for (unsigned size = 0; size <= SIZE - 16; size++) {
                uint8_t ours[SIZE] = {0}, theirs[SIZE] = {0};
                assert_ptr_equal(vmm_memcpy(ours + at, from + source, size), ours + at);
                memcpy(theirs + at, from + source, size);
                assert_memory_equal(ours, theirs, SIZE);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memset),
        cmocka_unit_test(test_memcpy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
