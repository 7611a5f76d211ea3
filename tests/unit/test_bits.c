/*
 * core/isa/bits.h: every lowest bit, with nothing, everything and anything above it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "isa/bits.h"

static void test_first(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 32; bit++) {
        uint32_t lowest = 1u << bit;
        assert_int_equal(bits_first(lowest), bit);
        assert_int_equal(bits_first(UINT32_MAX << bit), bit);
        for (uint32_t above = 2463534242u; above > 1; above >>= 1)
            assert_int_equal(bits_first((above & ~(lowest - 1)) | lowest), bit);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_first)};
    return cmocka_run_group_tests_name("bits", tests, NULL, NULL);
}
