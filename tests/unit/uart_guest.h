/* The driver of the tests of devices/emulated/uart.c, and the person who types. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "mock.h"

#include "devices/emulated/emulated.h"

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR };
#define FCR IIR

static inline int setup(void **state)
{
    *state = mock_new_console(&emulated_uart);
    return 0;
}

static inline int teardown(void **state)
{
    mock_free(*state);
    return 0;
}

static inline uint8_t get(struct mock *mock, unsigned reg)
{
    return (uint8_t)mock_load(mock, reg, 1);
}

static inline void put(struct mock *mock, unsigned reg, uint8_t value)
{
    mock_store(mock, reg, 1, value);
}

/* Somebody types, and the device is told. */
static inline void type(struct mock *mock, const char *text)
{
    mock_console_type(mock, text, strlen(text));
    mock_service(mock);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
