/*
 * Drivers of a virtio disk that do not do all that virtio 1.2 asks of them, and those that do. A
 * kernel that is much taught with looks for the vendor's name and accepts feature bits 0 to 31
 * alone; a boot loader asks for a sector before DRIVER_OK and waits for that sector.
 */
#include "virtio.h"

#define VENDOR    0x554d4551u /* "QEMU" */
#define EVENT_IDX (1u << 29)
#define LEAVE_OUT 0x100u /* for .high: the upper half of the features is not written */

static const struct way {
    const char *name;
    uint32_t high, low; /* features */
    uint8_t before[4];  /* what is written to the status before the queue is set up, in turn */
    uint8_t after;      /* what is written to the status at the end */
    uint16_t num;       /* descriptors of the queue */
    bool early;         /* the first request comes before the last write of the status */
    uint32_t flag;      /* a bit beside the request's type, or 0 */
} ways[] = {
    {"by the specification", 1, 0, {1, 3, 11}, 15, 8, false, 0},
    {"queue of 4", 1, 0, {1, 3, 11}, 15, 4, false, 0},
    {"queue of 256", 1, 0, {1, 3, 11}, 15, 256, false, 0},
    {"queue of 1024", 1, 0, {1, 3, 11}, 15, 1024, false, 0},
    {"bits 0 to 31 alone", LEAVE_OUT, 0, {1, 3, 11}, 15, 8, false, 0},
    {"no VERSION_1", 0, 0, {1, 3, 11}, 15, 8, false, 0},
    {"no FEATURES_OK", 1, 0, {1, 3}, 7, 8, false, 0},
    {"no FEATURES_OK, no features", LEAVE_OUT, 0, {1, 3}, 7, 8, false, 0},
    {"EVENT_IDX without FEATURES_OK", 1, EVENT_IDX, {1, 3}, 7, 8, false, 0},
    {"no ACKNOWLEDGE, no DRIVER", 1, 0, {8}, 12, 8, false, 0},
    {"bit by bit", 1, 0, {1, 2, 8}, 4, 8, false, 0},
    {"all at once", 1, 0, {0}, 15, 8, false, 0},
    {"before DRIVER_OK", 1, 0, {1, 3, 11}, 15, 8, true, 0},
    {"before DRIVER_OK and FEATURES_OK", 1, 0, {1, 3}, 15, 8, true, 0},
    {"DRIVER_OK never", 1, 0, {1, 3, 11}, 11, 8, true, 0},
    {"BARRIER", 1, 0, {1, 3, 11}, 15, 8, false, BLK_BARRIER},
};

static uint8_t data[BLK_SECTOR] __attribute__((aligned(512)));
static uint8_t back[BLK_SECTOR] __attribute__((aligned(512)));

static void status_is(const struct way *way, uint8_t value)
{
    BLK_REG(BLK_STATUS) = value;
    CHECK(BLK_REG(BLK_STATUS) == value, "%s: status 0x%x is read as 0x%x", way->name, value,
          BLK_REG(BLK_STATUS));
}

static void request(const struct way *way, uint32_t type, uint64_t sector, void *bytes,
                    uint32_t len)
{
    unsigned status = blk_do(type | way->flag, sector, bytes, len);
    CHECK(status == 0, "%s: request 0x%x has status 0x%x", way->name, type | way->flag, status);
}

static void write_features(const struct way *way)
{
    BLK_REG(BLK_DRIVER_FEATURES_SEL) = 0;
    BLK_REG(BLK_DRIVER_FEATURES) = way->low;
    if (way->high != LEAVE_OUT) {
        BLK_REG(BLK_DRIVER_FEATURES_SEL) = 1;
        BLK_REG(BLK_DRIVER_FEATURES) = way->high;
    }
}

static void try_way(const struct way *way, unsigned number)
{
    uint64_t sector = 64 + number;
    BLK_REG(BLK_STATUS) = 0;
    CHECK(BLK_REG(BLK_STATUS) == 0, "%s: status after reset", way->name);
    for (unsigned i = 0; i < 4 && way->before[i]; i++) {
        /* The features are written before the status says that they are chosen. */
        if (way->before[i] & 8 || !way->before[i + 1])
            write_features(way);
        status_is(way, way->before[i]);
    }
    CHECK(BLK_REG(BLK_QUEUE_READY) == 0, "%s: a queue is ready", way->name);
    BLK_REG(BLK_QUEUE_SEL) = 0;
    CHECK(BLK_REG(BLK_QUEUE_NUM_MAX) == 1024, "%s: QueueNumMax is %u", way->name,
          BLK_REG(BLK_QUEUE_NUM_MAX));
    blk_queue_start(way->num);
    memset(data, (int)(0x11 + number), sizeof(data));
    if (way->early)
        request(way, BLK_OUT, sector, data, sizeof(data));
    status_is(way, way->after);
    if (!way->early)
        request(way, BLK_OUT, sector, data, sizeof(data));
    request(way, BLK_FLUSH, 0, NULL, 0);
    for (unsigned i = 0; i < way->num + 2u; i++) { /* once around the rings */
        memset(back, 0, sizeof(back));
        request(way, BLK_IN, sector, back, sizeof(back));
        CHECK(memcmp(back, data, sizeof(data)) == 0, "%s: what was read is not what was written",
              way->name);
        if (bare_failures > 10)
            return;
    }
    CHECK(BLK_REG(BLK_STATUS) == way->after, "%s: status at the end is 0x%x", way->name,
          BLK_REG(BLK_STATUS));
    printf("%s: done\n", way->name);
}

int main(void)
{
    CHECK(bare_read(uint32_t, BLK_BASE + 12) == VENDOR, "the vendor is 0x%x",
          bare_read(uint32_t, BLK_BASE + 12));
    for (unsigned i = 0; i < sizeof(ways) / sizeof(ways[0]) && bare_failures <= 10; i++)
        try_way(&ways[i], i);
    return bare_failures != 0;
}
