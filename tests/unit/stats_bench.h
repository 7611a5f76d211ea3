/*
 * A VM of two devices whose exits are counted and reported, for the tests of core/vm/stats.c and
 * core/observe/report.c: board and clock are the test's, and what the channel was given is kept.
 */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "board/board.h"
#include "host/machine.h"
#include "isa/riscv.h"
#include "observe/report.h"
#include "vm/vm.h"

struct bench {
    struct host host;
    struct board board;
    struct vm vm;
    struct report report;
};

extern char sent[1 << 20]; /* what the channel was given, */
extern size_t nsent;       /* and how much that is */
extern uint64_t now, retired;

int setup(void **state);
int teardown(void **state);

/* All exits of the table. */
uint64_t total(const struct stats *stats);

/* Any class that an exit can have. */
enum exit_class some_class(unsigned number);

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
