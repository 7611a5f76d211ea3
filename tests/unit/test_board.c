/*
 * The guest's board (core/board/board.c and windows.c): which devices and windows the options make,
 * where their state lies, and what a reset does. Surprise: a device takes its page out of what the
 * board has there anyway, an empty virtio-mmio transport for instance.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "board_parts.h"
#include "host/bounce.h"
#include "host/map.h"
#include "vm/window.h"

static jmp_buf ended;

static void note_end(struct vm *vm, enum vm_end how, unsigned status)
{
    (void)vm;
    rig_note("%s %u", how == VM_POWEROFF ? "poweroff" : "reboot", status);
    longjmp(ended, 1);
}

/* --- Devices --- */

enum { UART, DISK };

static const struct {
    const char *name;
    enum device_way uart, disk;
    unsigned model;
    const char *uart_is, *disk_is;
    uint64_t uart_base, disk_base;
    unsigned uart_irq, disk_irq;
    const char *calls;
} boards[] = {
    {"emulated", WAY_EMULATED, WAY_EMULATED, 0, "emulated/uart", "emulated/ahci", 0x10000000,
     0x10010000, 10, 12, "rtc_init; console 16; disk 16"},
    {"ata", WAY_EMULATED, WAY_EMULATED, 1, "emulated/uart", "emulated/ata", 0x10000000, 0x10020000,
     10, 13, "rtc_init; console 16; disk 16"},
    {"virtio", WAY_VIRTIO, WAY_VIRTIO, 0, "paravirt/console", "paravirt/disk", 0x10002000,
     0x10001000, 2, 1, "rtc_init; console 16; disk 16"},
    {"models are of emulated devices", WAY_VIRTIO, WAY_VIRTIO, 1, "paravirt/console",
     "paravirt/disk", 0x10002000, 0x10001000, 2, 1, "rtc_init; console 16; disk 16"},
    {"passthrough", WAY_PASSTHROUGH, WAY_PASSTHROUGH, 0, "passthrough/uart", "passthrough/disk",
     0x10000000, 0x10001000, 10, 1, "rtc_init"},
    {"mixed", WAY_PASSTHROUGH, WAY_EMULATED, 0, "passthrough/uart", "emulated/ahci", 0x10000000,
     0x10010000, 10, 12, "rtc_init; disk 16"},
};

static void check_device(unsigned index, const char *strategy, uint64_t base, unsigned irq,
                         bool has_end)
{
    const struct device *dev = &rig.vm.device[index];
    const struct window *window = vm_window_at(&rig.vm, base + 0xfff);
    assert_string_equal(dev->strategy->name, strategy);
    assert_string_equal(dev->name, board_roles[index]);
    rig_equal(dev->base, base);
    rig_equal(dev->irq, irq);
    rig_equal(dev->end != NULL, has_end);
    if (has_end) {
        assert_ptr_equal(dev->end->owner, dev);
        assert_ptr_equal(dev->end->calls, &device_owner);
    }
    assert_ptr_equal(window->access, device_access);
    assert_ptr_equal(window->self, dev);
    rig_equal(window->class, EXIT_MMIO);
    rig_equal(window->index, index);
}

static void test_devices(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROWS(boards); i++) {
        board_parts_row(boards[i].name);
        rig.vm.options.way[UART] = boards[i].uart;
        rig.vm.options.way[DISK] = boards[i].disk;
        rig.vm.options.model[DISK] = boards[i].model;
        rig.vm.options.ablate = ABLATE_QUEUE;
        rig_equal(board_parts_init(), 0);
        rig_calls(boards[i].calls);
        rig_equal(rig.vm.devices, 2);
        check_device(UART, boards[i].uart_is, boards[i].uart_base, boards[i].uart_irq,
                     boards[i].uart != WAY_PASSTHROUGH);
        check_device(DISK, boards[i].disk_is, boards[i].disk_base, boards[i].disk_irq,
                     boards[i].disk != WAY_PASSTHROUGH);
    }
}

/* A device of the machine's own has its registers in the direct map. */
static void test_given(void **state)
{
    (void)state;
    board_parts_row("given");
    rig.vm.options.way[UART] = rig.vm.options.way[DISK] = WAY_PASSTHROUGH;
    board_parts_init();
    assert_ptr_equal(rig.vm.device[UART].host, &rig.host.uart);
    assert_ptr_equal(rig.vm.device[DISK].host, &rig.host.virtio[0]);
    rig_equal(rig.host.uart.registers, (uintptr_t)map_hpa(0x10000000));
    rig_equal(rig.host.virtio[0].registers, (uintptr_t)map_hpa(0x10001000));
}

/* --- What cannot be --- */

static const struct {
    const char *name;
    struct board_parts parts;
    uint64_t hpa_offset;
    enum device_way disk;
    int status;
    const char *calls;
    unsigned devices;
} refusals[] = {
    {"no disk",
     {.no_disk = true},
     0,
     WAY_EMULATED,
     0,
     "rtc_init; console 0; host_log; plic_init",
     1},
    {"clock", {.rtc_status = -EIO}, 0, WAY_EMULATED, -EIO, "rtc_init", 0},
    {"console", {.console_status = -EIO}, 0, WAY_EMULATED, -EIO, "rtc_init; console 0", 0},
    {"disk", {.disk_status = -ENODEV}, 0, WAY_EMULATED, -ENODEV, "rtc_init; console 0; disk 0", 1},
    {"controller",
     {.plic_status = -EINVAL},
     0,
     WAY_EMULATED,
     -EINVAL,
     "rtc_init; console 0; disk 0; plic_init",
     2},
    {"a bus master elsewhere",
     {0},
     0x1000,
     WAY_PASSTHROUGH,
     -EINVAL,
     "rtc_init; console 0; host_log",
     1},
};

static void test_refusals(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROWS(refusals); i++) {
        board_parts_row(refusals[i].name);
        board_parts = refusals[i].parts;
        rig.vm.ram.hpa_offset = refusals[i].hpa_offset;
        rig.vm.options.plic = PLIC_MAPPED;
        rig.vm.options.way[DISK] = refusals[i].disk;
        rig_equal(board_parts_init(), refusals[i].status);
        rig_calls(refusals[i].calls);
        rig_equal(rig.vm.devices, refusals[i].devices);
    }
}

/* --- State --- */

/* In whole pages behind each other, zeroed; in front of it, if there is one, the host's disk's
 * buffer. */
static void test_state(void **state)
{
    uint64_t free_hpa = RIG_RAM;
    (void)state;
    board_parts_row("state");
    memset(rig_ram, 0xff, sizeof(rig_ram));
    board_init(&rig.vm, &board, &free_hpa);
    rig_equal(free_hpa, RIG_RAM + 3 * PAGE_SIZE); /* 100 and 5000 bytes */
    assert_ptr_equal(rig.vm.device[UART].state, rig_ram);
    assert_ptr_equal(rig.vm.device[DISK].state, rig_ram + PAGE_SIZE);
    rig_equal(rig_ram[99], 0);
    rig_equal(rig_ram[100], 0xff);
    rig_equal(rig_ram[PAGE_SIZE + 4999], 0);
    rig_equal(rig_ram[PAGE_SIZE + 5000], 0xff);
    assert_null(rig.host.disk.bounce);
    board_parts_row("with a buffer");
    free_hpa = RIG_RAM - BOUNCE_SIZE * BOUNCE_SLOTS;
    rig.vm.options.ablate = ABLATE_COPY;
    board_init(&rig.vm, &board, &free_hpa);
    rig_equal(free_hpa, RIG_RAM + 3 * PAGE_SIZE);
    assert_ptr_equal(rig.vm.device[UART].state, rig_ram);
    assert_ptr_equal(rig.host.disk.bounce, rig_ram - BOUNCE_SIZE * BOUNCE_SLOTS);
}

/* --- Windows --- */

/* The board has virtio devices at 0x10001000 and 0x10002000. */
static const struct {
    const char *name;
    uint64_t gpa, offset;
    unsigned width;
    bool store;
    uint64_t value; /* stored, or what is loaded */
    bool done;
    const char *calls;
} windows[] = {
    {"transport: magic", 0x10003000, 0, 4, false, 0x74726976, true, ""},
    {"version", 0x10003000, 4, 4, false, 2, true, ""},
    {"device", 0x10008000, 8, 4, false, 0, true, ""},
    {"vendor", 0x10008000, 12, 4, false, 0x554d4551, true, ""},
    {"a byte", 0x10003000, 0, 1, false, 0x76, true, ""},
    {"two registers", 0x10003000, 0, 8, false, 0x274726976, true, ""},
    {"store", 0x10003000, 0x70, 4, true, 1, true, ""},
    {"last register", 0x10003000, 0x1fc, 4, false, 0, true, ""},
    {"behind the registers", 0x10003000, 0x200, 4, false, 0, false, ""},
    {"store behind them", 0x10003000, 0x200, 4, true, 0, false, ""},
    {"a device among them", 0x10001000, 0, 4, false, 0, true, "access disk 0; settle disk"},
    {"the other", 0x10002000, 0x50, 4, true, 0, true, "access uart 0x50; settle uart"},
    {"clock", 0x101000, 4, 4, false, 0, true, "rtc 0x4"},
    {"finisher: load", 0x100000, 0, 4, false, 0, true, ""},
    {"pass", 0x100000, 0, 4, true, 0x5555, true, "poweroff 0"},
    {"pass, 2 bytes", 0x100000, 0, 2, true, 0x5555, true, "poweroff 0"},
    {"fail", 0x100000, 0, 4, true, 0x123333, true, "poweroff 18"},
    {"reset", 0x100000, 0, 4, true, 0x7777, true, "reboot 0"},
    {"unknown", 0x100000, 0, 4, true, 0x1111, true, ""},
    {"another register", 0x100000, 4, 4, true, 0x5555, true, ""},
    {"a byte", 0x100000, 0, 1, true, 0x55, false, ""},
    {"a doubleword", 0x100000, 0, 8, true, 0x5555, false, ""},
};

/* True also if the VM ends. */
static bool carry_out(const struct window *window, struct mmio *io)
{
    if (setjmp(ended))
        return true;
    return window->access(&rig.vcpu, window->self, io);
}

static bool access_window(uint64_t gpa, struct mmio *io)
{
    const struct window *window = vm_window_at(&rig.vm, gpa + io->offset);
    io->offset += gpa - window->base;
    return carry_out(window, io);
}

static void test_windows(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROWS(windows); i++) {
        struct mmio io = {.offset = windows[i].offset,
                          .width = (uint8_t)windows[i].width,
                          .store = windows[i].store,
                          .value = windows[i].store ? windows[i].value : 0};
        board_parts_row(windows[i].name);
        rig.vm.options.way[UART] = rig.vm.options.way[DISK] = WAY_VIRTIO;
        rig.vm.end = note_end;
        board_parts_start();
        rig_equal(access_window(windows[i].gpa, &io), windows[i].done);
        rig_equal(io.value, windows[i].value);
        rig_calls(windows[i].calls);
    }
}

/* A guest looks at all transports: the empty ones do not answer for the devices among them. */
static void test_transports(void **state)
{
    (void)state;
    board_parts_row("transports");
    rig.vm.options.way[UART] = rig.vm.options.way[DISK] = WAY_VIRTIO;
    board_parts_start();
    for (unsigned i = 0; i < 2 * BOARD_TRANSPORTS; i++) {
        unsigned transport = (BOARD_TRANSPORTS - 1) * (i & 1) ^ i / 2; /* to and fro */
        struct mmio io = {.width = 4};
        assert_true(access_window(BOARD_TRANSPORT_BASE + transport * BOARD_TRANSPORT_SIZE, &io));
        rig_calls(transport == 0   ? "access disk 0; settle disk"
                  : transport == 1 ? "access uart 0; settle uart"
                                   : "");
    }
}

/* What virt has, and a guest does not find here: an access fault, not a device's answer. */
static void test_closed(void **state)
{
    static const uint64_t closed[] = {0x1000,     0xffff,     0x2000000,  0x3000000,  0x10100000,
                                      0x20000000, 0x23ffffff, 0x30000000, 0x40000000, 0x7fffffff};
    static const uint64_t nothing[] = {0,          0xfff,      0x10000,   0x10009000,
                                       0x10100018, 0x24000000, 0x80000000};
    (void)state;
    board_parts_row("closed");
    board_parts_start();
    for (unsigned i = 0; i < ROWS(closed); i++)
        assert_false(access_window(closed[i], &(struct mmio){.width = 4}));
    for (unsigned i = 0; i < ROWS(nothing); i++)
        assert_null(vm_window_at(&rig.vm, nothing[i]));
}

/* --- Reset --- */

static void test_reset(void **state)
{
    (void)state;
    board_parts_row("reset");
    rig.vm.options.plic = PLIC_MAPPED;
    board_parts_start();
    struct device *dev = &rig.vm.device[DISK];
    dev->line = dev->unfinished = dev->put_off = true;
    board.resume_time = 5;
    board.plic.line[0] = board.plic.pending[0] = 1u << 12;
    rig_equal(board_reset(&rig.vm), 0);
    rig_calls("rtc_reset; attach uart; attach disk; plic_reset");
    assert_false(dev->line || dev->unfinished || dev->put_off);
    rig_equal(board.resume_time, UINT64_MAX);
    rig_equal(board.plic.line[0] | board.plic.pending[0], 0);
    board_parts.plic_status = -ENOSPC;
    rig_equal(board_reset(&rig.vm), -ENOSPC);
    rig_calls("rtc_reset; attach uart; attach disk; plic_reset");
    board_parts.attach_status = -EINVAL;
    rig_equal(board_reset(&rig.vm), -EINVAL);
    rig_calls("rtc_reset; attach uart");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_devices),  cmocka_unit_test(test_given),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_state),
        cmocka_unit_test(test_windows),  cmocka_unit_test(test_closed),
        cmocka_unit_test(test_reset),    cmocka_unit_test(test_transports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
