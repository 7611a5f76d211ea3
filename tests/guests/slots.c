/*
 * The windows of QEMU's virt board, for a guest that looks at fixed addresses: the eight
 * virtio-mmio transports, of which an empty one says that it is empty, and the other windows that
 * the VMM's board has.
 */
#include "bare.h"

#define MAGIC  0x74726976u
#define VENDOR 0x554d4551u /* "QEMU" */

#define STATUS 0x070ul
#define END    0x200ul /* where a transport's registers end */

static const uint64_t widths[] = {1, 2, 4, 8};

/* What a load of an empty transport gives: the three registers that it has answer any width from
 * their first byte. */
static uint64_t expected(uint64_t offset, uint64_t width)
{
    const uint64_t words[] = {MAGIC, 2, 0, VENDOR};
    uint64_t low = offset % 4 || offset > 12 ? 0 : words[offset / 4];
    if (width == 8)
        return low | (offset + 4 > 12 ? 0 : words[offset / 4 + 1]) << 32;
    return width == 4 ? low : low & ((1u << 8 * width) - 1);
}

static void check_empty(unsigned slot)
{
    uint64_t base = BARE_VIRTIO(slot);
    for (unsigned w = 0; w < 4; w++) {
        for (uint64_t offset = 0; offset < END; offset += widths[w]) {
            CHECK(!bare_try(bare_load, base + offset, widths[w]),
                  "slot %u: load of %lu at 0x%lx faults", slot, widths[w], offset);
            CHECK(bare_returned == expected(offset, widths[w]),
                  "slot %u: load of %lu at 0x%lx is 0x%lx", slot, widths[w], offset, bare_returned);
        }
        CHECK(bare_try(bare_load, base + END, widths[w]) && bare_trapped.scause == 5,
              "slot %u: load of %lu behind the end", slot, widths[w]);
    }
    CHECK(!bare_try(bare_store_32, base + STATUS, 15), "slot %u: store faults", slot);
    CHECK(!bare_try(bare_store_8, base + STATUS, 15), "slot %u: store of a byte faults", slot);
    CHECK(bare_read(uint32_t, base + STATUS) == 0, "slot %u: a store is not ignored", slot);
    CHECK(bare_try(bare_store_32, base + 0xffc, 0) && bare_trapped.scause == 7,
          "slot %u: store behind the end", slot);
}

int main(void)
{
    static const uint64_t others[] = {0x00001000, 0x00100000, 0x00101000, 0x02000000,
                                      0x03000000, 0x04000000, 0x0c000000, 0x10100000,
                                      0x20000000, 0x22000000, 0x30000000, 0x40000000};
    for (unsigned slot = 0; slot < 8; slot++) {
        uint64_t base = BARE_VIRTIO(slot);
        if (bare_try(bare_load, base, 4)) {
            CHECK(false, "slot %u faults", slot);
            continue;
        }
        CHECK(bare_returned == MAGIC, "slot %u: magic", slot);
        CHECK(bare_read(uint32_t, base + 4) == 2, "slot %u: version", slot);
        CHECK(bare_read(uint32_t, base + 12) == VENDOR, "slot %u: vendor", slot);
        printf("slot %u: device %u\n", slot, bare_read(uint32_t, base + 8));
        if (bare_read(uint32_t, base + 8) == 0)
            check_empty(slot);
    }
    for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        bool faults = bare_try(bare_load, others[i], 4);
        CHECK(!faults || bare_trapped.scause == 5, "0x%08lx: cause %lu", others[i],
              bare_trapped.scause);
        printf("0x%08lx: %s\n", others[i], faults ? "nothing" : "answers");
    }
    return bare_failures != 0;
}
