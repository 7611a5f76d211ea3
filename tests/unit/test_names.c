/* What registers are called: by the files that model them, in the words of their specifications. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "board/board.h"
#include "board/lines.h"
#include "board/windows.h"
#include "devices/emulated/emulated.h"
#include "devices/paravirt/paravirt.h"
#include "devices/passthrough/passthrough.h"
#include "host/log.h"
#include "host/machine.h"
#include "host/map.h"
#include "host/plic.h"
#include "host/virtio.h"
#include "observe/report.h"
#include "vm/vm.h"

/* --- What the modules ask of the rest: nothing here is carried out --- */

uint64_t map_offset;
const struct device_register
    *const windows_transport_registers = paravirt_registers; /* board.c's */

void host_log(const char *format, ...)
{
    fail_msg("%s", format);
}

void lines_set(struct vm *vm, unsigned source, bool level)
{
    fail_msg("%p %u %d", (void *)vm, source, level);
}

int host_irq_enable(struct host *host, unsigned irq, bool (*handle)(void *argument, unsigned irq),
                    void *argument)
{
    fail_msg("%p %u %d %p", (void *)host, irq, handle != NULL, argument);
    return 0;
}

int virtio_reset(uintptr_t registers)
{
    fail_msg("%lu", (unsigned long)registers);
    return 0;
}

bool window_add(struct vm *vm, const struct window *window)
{
    fail_msg("%p %p", (void *)vm, (const void *)window);
    return false;
}

/* --- Tests --- */

static void assert_name(struct vm *vm, enum exit_class exit_class, uint32_t detail,
                        const char *expected)
{
    char text[48];
    names_detail(vm, exit_of(exit_class, detail), text, sizeof(text));
    assert_string_equal(text, expected);
}

static void assert_device(const struct strategy *strategy, const char *name, uint32_t offset,
                          const char *load, const char *store)
{
    static struct vm vm;
    vm.devices = 2;
    vm.device[1] = (struct device){.strategy = strategy, .name = name};
    assert_name(&vm, EXIT_MMIO, exit_access_detail(1, offset, false), load);
    assert_name(&vm, EXIT_MMIO, exit_access_detail(1, offset, true), store);
}

static void uart_has_two_names_at_an_offset(void **state)
{
    const struct strategy *const both[] = {&emulated_uart, &passthrough_uart};
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        assert_device(both[i], "uart", 0, "uart RBR", "uart THR");
        assert_device(both[i], "uart", 1, "uart IER load", "uart IER store");
        assert_device(both[i], "uart", 2, "uart IIR", "uart FCR");
        assert_device(both[i], "uart", 5, "uart LSR", "uart LSR store");
        assert_device(both[i], "uart", 8, "uart+0x08 load", "uart+0x08 store");
    }
}

static void virtio_is_the_transport(void **state)
{
    const struct strategy *const all[] = {&paravirt_disk, &paravirt_console, &passthrough_disk};
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        assert_device(all[i], "disk", 0x50, "disk QueueNotify load", "disk QueueNotify");
        assert_device(all[i], "disk", 0x60, "disk InterruptStatus", "disk InterruptStatus store");
        assert_device(all[i], "disk", 0x70, "disk Status load", "disk Status store");
        assert_device(all[i], "disk", 0x94, "disk QueueDriverHigh load", "disk QueueDriverHigh");
        assert_device(all[i], "disk", 0x100, "disk Config[0] load", "disk Config[0] store");
        assert_device(all[i], "disk", 0x1ff, "disk Config[255] load", "disk Config[255] store");
        assert_device(all[i], "disk", 0x200, "disk+0x200 load", "disk+0x200 store");
        assert_device(all[i], "disk", 0x54, "disk+0x54 load", "disk+0x54 store");
    }
}

static void disks_that_are_emulated(void **state)
{
    (void)state;
    assert_device(&emulated_ahci, "disk", 0x138, "disk PxCI load", "disk PxCI store");
    assert_device(&emulated_ahci, "disk", 0x128, "disk PxSSTS", "disk PxSSTS store");
    assert_device(&emulated_ahci, "disk", 0x00, "disk CAP", "disk CAP store");
    assert_device(&emulated_ahci, "disk", 0x08, "disk IS load", "disk IS store");
    assert_device(&emulated_ahci, "disk", 0x1f8, "disk+0x1f8 load", "disk+0x1f8 store");
    assert_device(&emulated_ata, "disk", 0x00, "disk Data load", "disk Data store");
    assert_device(&emulated_ata, "disk", 0x04, "disk Error", "disk Features");
    assert_device(&emulated_ata, "disk", 0x1c, "disk Status", "disk Command");
    assert_device(&emulated_ata, "disk", 0x100, "disk Alternate Status", "disk Device Control");
    assert_device(&emulated_ata, "disk", 0x02, "disk+0x02 load", "disk+0x02 store");
}

static void windows_of_the_board(void **state)
{
    static const struct {
        unsigned window;
        uint32_t offset;
        bool store;
        const char *text;
    } cases[] = {
        {EXIT_WINDOW_FINISHER, 0, true, "finisher status"},
        {EXIT_WINDOW_FINISHER, 4, false, "finisher+0x04 load"},
        {EXIT_WINDOW_RTC, 0, false, "rtc TIME_LOW load"},
        {EXIT_WINDOW_RTC, 0x1c, true, "rtc CLEAR_INTERRUPT"},
        {EXIT_WINDOW_RTC, 0x20, false, "rtc+0x20 load"},
        {EXIT_WINDOW_VIRTIO, 0x0000, false, "virtio-mmio[0] MagicValue"},
        {EXIT_WINDOW_VIRTIO, 0x7008, false, "virtio-mmio[7] DeviceID"},
        {EXIT_WINDOW_VIRTIO, 0x3800, true, "virtio-mmio[3]+0x800 store"},
        {EXIT_WINDOWS, 0x0, false, "board+0x00 load"},
    };
    static struct vm vm;
    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_name(&vm, EXIT_BOARD,
                    exit_access_detail(cases[i].window, cases[i].offset, cases[i].store),
                    cases[i].text);
}

static void plic_names_sources_and_words(void **state)
{
    static const struct {
        uint32_t offset;
        bool store;
        const char *text;
    } cases[] = {
        {0x201004, false, "claim"},          {0x201004, true, "complete"},
        {0x201000, false, "threshold load"}, {0x200004, true, "complete M"},
        {0x28, true, "priority[10] store"},  {0x1004, false, "pending[1]"},
        {0x2080, false, "enable[0] load"},   {0x2004, true, "enable M[1] store"},
        {0x202004, false, "+0x202004 load"}, {0x5ffffc, true, "+0x5ffffc store"},
    };
    static struct vm vm;
    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_name(&vm, EXIT_PLIC, cases[i].offset >> 2 | (cases[i].store ? EXIT_STORE : 0),
                    cases[i].text);
}

/* A list is read to its end by a search: it has one, inside its window, and no offset twice. */
static void lists_are_whole(void **state)
{
    const struct {
        const struct device_register *registers;
        uint64_t size;
    } lists[] = {
        {emulated_uart.registers, emulated_uart.size},
        {emulated_ahci.registers, emulated_ahci.size},
        {emulated_ata.registers, emulated_ata.size},
        {paravirt_disk.registers, paravirt_disk.size},
        {vplic_registers, VPLIC_SIZE},
        {rtc_registers, RTC_SIZE},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        uint64_t end = 0;
        for (const struct device_register *one = lists[i].registers; one->load || one->store;
             one++) {
            assert_true(one->offset >= end);
            assert_int_equal(one->count > 0, one->width > 0);
            end = one->offset + (one->count ? one->count * one->width : 1u);
            assert_true(end <= lists[i].size);
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(uart_has_two_names_at_an_offset),
        cmocka_unit_test(virtio_is_the_transport),
        cmocka_unit_test(disks_that_are_emulated),
        cmocka_unit_test(windows_of_the_board),
        cmocka_unit_test(plic_names_sources_and_words),
        cmocka_unit_test(lists_are_whole),
    };
    return cmocka_run_group_tests_name("register names", tests, NULL, NULL);
}
