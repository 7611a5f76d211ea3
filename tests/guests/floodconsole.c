/*
 * A virtio console is given 128 chains of 4 GiB in one notification, and reset while it is at work
 * on them. Natively that transport is empty.
 */
#include "flood.h"

#define CONSOLE  BARE_VIRTIO(1)
#define TRANSMIT 1u
#define SEGMENT  (32u << 20)
#define DATA     0x84000000ul

static struct flood_queue queue __attribute__((aligned(16)));

static void flood(void)
{
    flood_start(CONSOLE, TRANSMIT, &queue);
    for (unsigned i = 0; i + 1 < FLOOD_NUM; i++)
        queue.desc[i] = (struct flood_desc){DATA, SEGMENT, i + 2 < FLOOD_NUM, (uint16_t)(i + 1)};
    flood_offer(CONSOLE, TRANSMIT, &queue, FLOOD_NUM);
    for (uint64_t start = bare_time(); bare_time() - start < 20000;)
        ; /* 2 ms, with traps of other kinds and with none */
    CHECK(queue.used.index == 0, "a chain of 4 GiB was given back after 2 ms");
}

int main(void)
{
    static const char text[] = "\nand this is all\n";
    for (unsigned round = 0; flood_goes_on(round, 8); round++)
        flood();
    flood_start(CONSOLE, TRANSMIT, &queue); /* what was left of the flood is dropped */
    queue.desc[0] = (struct flood_desc){(uint64_t)text, sizeof(text) - 1, 0, 0};
    flood_offer(CONSOLE, TRANSMIT, &queue, 1);
    CHECK(flood_wait(&queue.used.index, 1), "nothing is written after the flood");
    return bare_failures != 0;
}
