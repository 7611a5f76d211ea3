/*
 * core/host/bounce.c: random requests, cut into pieces, against one flat copy.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host/bounce.h"

#define SEGMENTS 8u
#define MOST     (3 * BOUNCE_SIZE)

static uint8_t flat[MOST], memory[MOST + SEGMENTS], buffer[BOUNCE_SIZE];

/* Segments of random lengths with a byte of something else between them; returns their sum. */
static uint32_t lay_out(struct host_disk_request *request, struct host_segment *segments)
{
    uint32_t total = 0;
    *request = (struct host_disk_request){.segments = segments};
    request->nsegments = 1 + (uint32_t)rand() % SEGMENTS;
    for (uint32_t i = 0; i < request->nsegments; i++) {
        segments[i].len = 1 + (uint32_t)rand() % (MOST / SEGMENTS);
        segments[i].base = memory + total + i;
        total += segments[i].len;
    }
    return total;
}

static void test_pieces(void **state)
{
    struct host_segment segments[SEGMENTS];
    struct host_disk_request request;
    (void)state;
    for (unsigned round = 0; round < 300; round++) {
        uint32_t total = lay_out(&request, segments), moved = 0, len, at = 0;
        for (uint32_t i = 0; i < sizeof(memory); i++)
            memory[i] = (uint8_t)rand();
        while ((len = bounce_piece(&request, moved)) > 0) {
            assert_true(len <= BOUNCE_SIZE);
            assert_true(len == BOUNCE_SIZE || moved + len == total);
            bounce_gather(&request, moved, buffer, len);
            memcpy(flat + moved, buffer, len);
            moved += len;
        }
        assert_int_equal(moved, total);
        for (uint32_t i = 0; i < request.nsegments; at += segments[i++].len)
            assert_memory_equal(segments[i].base, flat + at, segments[i].len);
    }
}

static void test_back(void **state)
{
    struct host_segment segments[SEGMENTS];
    struct host_disk_request request;
    (void)state;
    for (unsigned round = 0; round < 300; round++) {
        uint32_t total = lay_out(&request, segments), at = 0;
        memset(memory, 0xa5, sizeof(memory));
        for (uint32_t i = 0; i < total; i++)
            flat[i] = (uint8_t)rand();
        for (uint32_t moved = 0, len; (len = bounce_piece(&request, moved)) > 0; moved += len)
            bounce_scatter(&request, moved, flat + moved, len);
        for (uint32_t i = 0; i < request.nsegments; at += segments[i++].len) {
            assert_memory_equal(segments[i].base, flat + at, segments[i].len);
            assert_int_equal(memory[at + i + segments[i].len], 0xa5); /* nothing behind it */
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_back),
    };
    srand(1);
    return cmocka_run_group_tests_name("bounce", tests, NULL, NULL);
}
