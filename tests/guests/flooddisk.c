/*
 * A virtio disk is given 128 requests of 128 pieces in one notification: first of a kind that the
 * disk does not know and answers at once; then reads of 63 MiB each.
 */
#include "flood.h"

#define DISK     BARE_VIRTIO(0)
#define DATA     0x84000000ul
#define PIECE    (512u << 10)
#define PIECES   (FLOOD_NUM - 2)
#define SECTOR   512u
#define IN       0u
#define STRANGE  99u
#define UNSUPP   2u
#define REQUESTS 6u

static struct flood_queue queue __attribute__((aligned(16)));
static struct {
    uint32_t type, reserved;
    uint64_t sector;
} header;
static volatile uint8_t status;

/* The chain: header, 126 pieces that the disk writes, status. */
static void request(uint32_t type, uint32_t len)
{
    header.type = type;
    queue.desc[0] = (struct flood_desc){(uint64_t)&header, sizeof(header), 1, 1};
    for (unsigned i = 0; i < PIECES; i++)
        queue.desc[1 + i] = (struct flood_desc){DATA + 2ul * PIECE * i, len, 3, (uint16_t)(2 + i)};
    queue.desc[1 + PIECES] = (struct flood_desc){(uint64_t)&status, 1, 2, 0};
}

int main(void)
{
    flood_start(DISK, 0, &queue);
    for (unsigned round = 0; flood_goes_on(round, 4); round++) {
        request(STRANGE, 1);
        flood_offer(DISK, 0, &queue, FLOOD_NUM);
        CHECK(flood_wait(&queue.used.index, queue.avail.index),
              "strange requests are not answered");
        CHECK(status == UNSUPP, "a strange request has status %u", status);
    }
    uint64_t *last = (uint64_t *)(DATA + 2ul * PIECE * (PIECES - 1) + PIECE);
    for (unsigned round = 0; flood_goes_on(round, 2); round++) {
        last[-1] = last[0] = 1;
        request(IN, PIECE);
        flood_offer(DISK, 0, &queue, REQUESTS);
        CHECK(flood_wait(&queue.used.index, queue.avail.index), "reads are not answered");
        CHECK(status == 0, "a read has status %u", status);
        CHECK(last[-1] == 0 && last[0] == 1, "a read of an empty disk leaves %#lx %#lx", last[-1],
              last[0]);
    }
    return bare_failures != 0;
}
