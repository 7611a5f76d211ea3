/* The board's neighbours, replaced. See board_parts.h. */
#include "board_parts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "board/plicmap.h"
#include "board/sbi.h"
#include "devices/emulated/emulated.h"
#include "devices/paravirt/paravirt.h"
#include "devices/passthrough/passthrough.h"
#include "host/guard.h"
#include "host/map.h"
#include "host/panic.h"

struct board_parts board_parts;
struct board board;

/* --- Strategies --- */

static int attach(struct device *dev)
{
    rig_note("attach %s", dev->name);
    return board_parts.attach_status;
}

static bool access_device(struct device *dev, struct mmio *io)
{
    rig_note("access %s %#lx", dev->name, io->offset);
    return true;
}

static void service(struct device *dev)
{
    rig_note("service %s", dev->name);
    if (board_parts.services_yield)
        device_yield(dev);
}

#define COMMON .attach = attach, .service = service, .size = PAGE_SIZE

const struct strategy emulated_uart = {COMMON, .name = "emulated/uart", .access = access_device,
                                       .state_size = 100};
const struct strategy emulated_ahci = {COMMON, .name = "emulated/ahci", .access = access_device,
                                       .state_size = 5000};
const struct strategy emulated_ata = {COMMON, .name = "emulated/ata", .access = access_device,
                                      .state_size = 4096};
const struct strategy paravirt_console = {COMMON, .name = "paravirt/console",
                                          .access = access_device, .state_size = 8};
const struct strategy paravirt_disk = {COMMON, .name = "paravirt/disk", .access = access_device,
                                       .state_size = 8};
const struct strategy passthrough_uart = {COMMON, .name = "passthrough/uart", .access = NULL,
                                          .state_size = 0};
const struct strategy passthrough_disk = {COMMON, .name = "passthrough/disk", .access = NULL,
                                          .state_size = 0};

const struct device_register paravirt_registers[] = {{0, NULL, NULL, 0, 0}};
const struct device_register rtc_registers[] = {{0, NULL, NULL, 0, 0}};

/* --- Host ends --- */

static bool settle(struct host_end *end)
{
    rig_note("settle %s", end->owner->name);
    return false;
}

static void look(struct host_end *end)
{
    rig_note("look %s", end->owner->name);
}

static uint64_t next_look(const struct host_end *end)
{
    (void)end;
    return board_parts.next_look;
}

static void idle(struct host_end *end, bool idles)
{
    rig_note("idle %s %d", end->owner->name, idles);
}

static const struct host_end an_end = {
    .settle = settle, .look = look, .next_look = next_look, .idle = idle};

int host_console_start(struct host *host, unsigned ablate)
{
    rig_note("console %u", ablate);
    host->console.front.end = an_end;
    return board_parts.console_status;
}

int host_disk_start(struct host *host, const struct host_window *window, unsigned ablate)
{
    assert_ptr_equal(window, &rig.host.virtio[0]);
    rig_note("disk %u", ablate);
    host->disk.front.end = an_end;
    return board_parts.disk_status;
}

struct host_window *host_find_virtio(struct host *host, uint32_t device_id)
{
    rig_equal(device_id, 2); /* virtio-blk */
    return board_parts.no_disk ? NULL : &host->virtio[0];
}

/* --- The machine --- */

void host_log(const char *format, ...)
{
    (void)format;
    rig_note("host_log");
}

void panic(const char *format, ...)
{
    fail_msg("panic: %s", format);
    __builtin_unreachable();
}

void channel_poll(struct host *host)
{
    (void)host;
    rig_note("channel_poll");
}

int host_irq_enable(struct host *host, unsigned irq, bool (*handle)(void *, unsigned),
                    void *argument)
{
    (void)host, (void)handle, (void)argument;
    rig_note("host_irq_enable %u", irq);
    return 0;
}

void host_irq_complete(struct host *host, unsigned irq)
{
    (void)host;
    rig_note("host_irq_complete %u", irq);
}

bool guard_load(uintptr_t address, unsigned width, uint64_t *value)
{
    (void)address, (void)width, (void)value;
    return true;
}

bool guard_store(uintptr_t address, unsigned width, uint64_t value)
{
    (void)address, (void)width, (void)value;
    return true;
}

/* --- The rest of the board --- */

int rtc_init(struct vm *vm)
{
    (void)vm;
    rig_note("rtc_init");
    return board_parts.rtc_status;
}

void rtc_reset(struct vm *vm)
{
    (void)vm;
    rig_note("rtc_reset");
}

bool rtc_access(struct vcpu *vcpu, void *self, struct mmio *io)
{
    (void)vcpu, (void)self;
    rig_note("rtc %#lx", io->offset);
    return true;
}

struct exit sbi_call(struct vcpu *vcpu)
{
    (void)vcpu;
    return exit_of(EXIT_SBI, 0);
}

static int plic_init(struct vm *vm)
{
    (void)vm;
    rig_note("plic_init");
    return board_parts.plic_status;
}

static int plic_reset(struct vm *vm)
{
    (void)vm;
    rig_note("plic_reset");
    return board_parts.plic_status;
}

static uint64_t plic_poll(struct vm *vm)
{
    (void)vm;
    rig_note("plic_poll");
    return board_parts.plic_next;
}

static void plic_follow(struct vm *vm)
{
    (void)vm;
    rig_note("follow");
}

static bool plic_access(struct vcpu *vcpu, void *self, struct mmio *io)
{
    (void)vcpu;
    assert_ptr_equal(self, &board.plic);
    rig_note("plic %#lx", io->offset);
    return true;
}

const struct board_plic plicmap_plic = {
    .name = "mapped",
    .init = plic_init,
    .reset = plic_reset,
    .access = plic_access,
    .follow = plic_follow,
    .poll = plic_poll,
    .unseen = true,
};

/* --- What a test says --- */

void board_parts_row(const char *name)
{
    rig_row(name);
    board = (struct board){0};
    board_parts = (struct board_parts){.next_look = UINT64_MAX, .plic_next = UINT64_MAX};
    rig.host.timebase = 10000000;
    rig.host.uart.hpa = 0x10000000;
    rig.host.virtio[0].hpa = 0x10001000;
}

int board_parts_init(void)
{
    uint64_t free_hpa = RIG_RAM;
    return board_init(&rig.vm, &board, &free_hpa);
}

void board_parts_start(void)
{
    enum plic_way plic = rig.vm.options.plic;
    rig_equal(board_parts_init(), 0);
    rig_calls(plic == PLIC_MAPPED ? "rtc_init; console 0; disk 0; plic_init"
                                  : "rtc_init; console 0; disk 0");
    rig_equal(board_reset(&rig.vm), 0);
    rig_calls(plic == PLIC_MAPPED ? "rtc_reset; attach uart; attach disk; plic_reset"
                                  : "rtc_reset; attach uart; attach disk");
}
