/*
 * Code that a disk writes while the code is being executed. A page holds a function that returns 1,
 * and a privileged instruction; the function is called while a read of the disk is under way that
 * replaces it by a function that returns 2. However the read ends: when the guest knows that it has
 * ended, and after a fence.i, what is in memory is what is executed. (Not before: QEMU drops its
 * own translations of the code when its read is done.)
 *
 * CASE 1: the virtio disk, also natively. CASE 2: the AHCI disk.
 */
#ifndef CASE
#define CASE 1
#endif
#if CASE == 1
#include "virtio.h"
#else
#include "ahci.h"
#endif

#define ROUNDS      40u
#define ROUNDS_MAX  400u         /* on a machine so busy that no read was under way in any */
#define SINK        0x88000000ul /* where the first 16 MiB of a read go */
#define SINK_SIZE   (16u << 20)
#define CODE_SECTOR (SINK_SIZE / 512)
#define PATIENCE    10000000ul /* 1 s */

/* A way in which a request ends, and how the guest comes to know that it has ended. */
struct end {
    const char *name;
    void (*reach)(void);
};

static void make_code(uint8_t *page, uint32_t result)
{
    for (unsigned i = 0; i < PAGE_SIZE; i += 4)
        bare_put_32(page, i, BARE_NOP);
    bare_put_32(page, 0, 0x14002673u);                /* csrr a2, sscratch */
    bare_put_32(page, 4, 0x00000513u | result << 20); /* li a0, result */
    bare_put_32(page, 8, BARE_RET);
}

static uint32_t run(const void *page)
{
    __asm__ volatile("fence.i" : : : "memory");
    uint64_t (*code)(void) = (void *)page;
    return (uint32_t)code();
}

/* What the function returns whose second word this is. */
static uint32_t result_of(uint32_t word)
{
    return word >> 20;
}

#if CASE == 1
static void start(void)
{
    blk_start(128);
}

static bool write_code(void *page)
{
    return blk_do(BLK_OUT, CODE_SECTOR, page, PAGE_SIZE) == 0;
}

static void read_code(void *page)
{
    const struct blk_desc parts[] = {{SINK, SINK_SIZE, 2, 0}, {(uint64_t)page, PAGE_SIZE, 2, 0}};
    blk_submit(BLK_IN, 0, parts, 2);
}

static void wait_for(void)
{
    blk_wait();
}

/* A chain outside of RAM breaks the device: no answer to any request, and it has to be reset. */
static void break_device(void)
{
    uint64_t begin = bare_time();
    blk_queue.desc[100] = (struct blk_desc){0, 16, 0, 0};
    blk_queue.avail.ring[blk_queue.avail.index % blk_num] = 100;
    bare_fence();
    blk_queue.avail.index++;
    BLK_REG(BLK_QUEUE_NOTIFY) = 0;
    while (bare_time() - begin < PATIENCE / 50)
        ;
    BLK_REG(BLK_STATUS) = 0;
}

static void reset_device(void)
{
    BLK_REG(BLK_STATUS) = 0;
}

static void stop_queue(void)
{
    BLK_REG(BLK_QUEUE_READY) = 0;
    BLK_REG(BLK_STATUS) = 0; /* QEMU's device goes on until it is reset */
}

static const struct end ends[] = {
    {"done", wait_for},
    {"broken", break_device},
    {"device reset", reset_device},
    {"queue stopped", stop_queue},
};
#else
static void start(void)
{
    ahci_start();
}

static bool write_code(void *page)
{
    ahci_part(0, page, PAGE_SIZE);
    ahci_submit(AHCI_WRITE, CODE_SECTOR, PAGE_SIZE / 512, 1);
    return ahci_wait();
}

static void read_code(void *page)
{
    for (unsigned i = 0; i < 4; i++)
        ahci_part(i, (void *)SINK, SINK_SIZE / 4);
    ahci_part(4, page, PAGE_SIZE);
    ahci_submit(AHCI_READ, 0, CODE_SECTOR + PAGE_SIZE / 512, 5);
}

static void wait_for(void)
{
    ahci_wait();
}

static void stop_list(void)
{
    uint64_t begin = bare_time();
    AHCI_PORT(AHCI_CMD) = AHCI_CMD_FRE;
    while ((AHCI_PORT(AHCI_CMD) & AHCI_CMD_CR) && bare_time() - begin < PATIENCE)
        ;
    CHECK(!(AHCI_PORT(AHCI_CMD) & AHCI_CMD_CR), "the command list does not stop");
}

static void reset_controller(void)
{
    AHCI_HBA(AHCI_GHC) = 1;
}

static void reset_link(void)
{
    AHCI_PORT(AHCI_SCTL) = 1;
    AHCI_PORT(AHCI_SCTL) = 0;
}

static const struct end ends[] = {
    {"done", wait_for},
    {"list stopped", stop_list},
    {"controller reset", reset_controller},
    {"link reset", reset_link},
};
#endif

static void try_end(const struct end *end)
{
    unsigned stale = 0, under_way = 0;
    unsigned round = 0;
    for (; round < ROUNDS || (under_way == 0 && round < ROUNDS_MAX); round++) {
        uint8_t *page = bare_page();
        const volatile uint32_t *word = (const volatile uint32_t *)(page + 4);
        start();
        make_code(page, 1);
        read_code(page);
        uint32_t first = run(page);
        end->reach();
        uint32_t memory = *word;
        uint32_t executed = run(page);
        under_way += first == 1;
        stale += executed != result_of(memory);
    }
    CHECK(stale == 0, "%s: %u of %u rounds execute what is no longer in memory", end->name, stale,
          round);
    printf("%s: %u of %u rounds ran code while its read was under way\n", end->name, under_way,
           round);
}

int main(void)
{
    uint8_t *page = bare_page();
    bare_paging();
    start();
    make_code(page, 2);
    CHECK(write_code(page), "the disk cannot be written");
    for (unsigned i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
        try_end(&ends[i]);
    return bare_failures != 0;
}
