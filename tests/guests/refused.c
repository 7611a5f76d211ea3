/*
 * What the machine refuses is the guest's access fault: each register and each hole of the windows
 * of a UART, of a virtio device and of the PLIC's context page, with loads and stores of 1, 2, 4
 * and 8 bytes. The answers are printed as ranges of offsets, which are the same natively and under
 * the VMM.
 */
#include "bare.h"

/* What is stored: a line feed for the transmitter; in no register of the UART an interrupt source,
 * the loopback or the divisor latch. */
#define STORED 0x0aul

struct window {
    const char *name;
    uint64_t base;
};

static const struct window windows[] = {
    {"uart", BARE_UART},
    {"virtio", BARE_VIRTIO(0)},
    {"plic", BARE_PLIC + 0x201000},
};

static uint64_t value;

static uint64_t store(uint64_t address, uint64_t width)
{
    switch (width) {
    case 1: bare_write(uint8_t, address, value); break;
    case 2: bare_write(uint16_t, address, value); break;
    case 4: bare_write(uint32_t, address, value); break;
    default: bare_write(uint64_t, address, value); break;
    }
    return 0;
}

/* The cause of the fault at offset of the window, or 0. */
static uint64_t cause_at(const struct window *window, uint64_t offset, unsigned width, bool stores)
{
    uint64_t address = window->base + offset,
             expected = stores ? CAUSE_STORE_ACCESS : CAUSE_LOAD_ACCESS;
    if (!bare_try(stores ? store : bare_load, address, width))
        return 0;
    CHECK(bare_trapped.scause == expected && bare_trapped.stval == address,
          "%s %s of %u at %#lx: scause %lu, stval %#lx", window->name, stores ? "store" : "load",
          width, address, bare_trapped.scause, bare_trapped.stval);
    return bare_trapped.scause;
}

static void show(const struct window *window, unsigned width, bool stores)
{
    uint64_t before = ~0ul;
    char line[200];
    int used = 0;
    for (uint64_t offset = 0; offset < PAGE_SIZE; offset += width) {
        uint64_t cause = cause_at(window, offset, width, stores);
        if (cause != before && used < (int)sizeof(line) - 40)
            used += snprintf(line + used, sizeof(line) - (size_t)used,
                             cause ? " from %#lx cause %lu" : " from %#lx done", offset, cause);
        before = cause;
    }
    printf("%s %s of %u:%s\n", window->name, stores ? "store" : "load", width, line);
}

int main(void)
{
    bare_paging();
    for (unsigned i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
        value = windows[i].base == BARE_UART ? STORED : 0;
        for (unsigned width = 1; width <= 8; width *= 2) {
            show(&windows[i], width, false);
            show(&windows[i], width, true);
        }
    }
    bare_write(uint8_t, BARE_UART + 1, 0);
    return bare_failures != 0;
}
