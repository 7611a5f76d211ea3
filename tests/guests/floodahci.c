/*
 * The emulated AHCI disk is given 32 reads at once, each into 65,024 pieces of one byte (Serial ATA
 * AHCI 1.3.1, section 4.2.3.3), and its port is stopped while the disk is at work on them. The
 * machine's board has no such device.
 */
#include "flood.h"

#define AHCI    0x10010000ul
#define HBA(r)  (*(volatile uint32_t *)(AHCI + (r)))
#define PORT(r) HBA(0x100u + (r))

#define GHC 0x04u /* global control: bit 0 resets, bit 31 is AHCI */
#define CLB 0x00u /* command list */
#define FB  0x08u /* received FISes */
#define CMD 0x18u
#define TFD 0x20u
#define CI  0x38u

#define CMD_ST  (1u << 0)
#define CMD_FRE (1u << 4)
#define CMD_CR  (1u << 15)

#define READ    0x25u /* READ DMA EXT */
#define SLOTS   32u
#define SECTORS 127u
#define BYTES   (SECTORS * 512u)
#define DATA    0x84000000ul

static uint32_t list[SLOTS][8] __attribute__((aligned(1024)));
static uint8_t fises[256] __attribute__((aligned(256)));
static struct {
    uint8_t fis[0x80];
    uint32_t prd[BYTES][4];
} table __attribute__((aligned(128)));

static void start(void)
{
    HBA(GHC) = 1;
    HBA(GHC) = 1u << 31;
    PORT(CLB) = (uint32_t)(uint64_t)list;
    PORT(FB) = (uint32_t)(uint64_t)fises;
    PORT(CMD) = CMD_FRE;
    PORT(CMD) = CMD_FRE | CMD_ST;
}

static void fill(unsigned pieces, uint32_t len, unsigned sectors)
{
    const uint8_t fis[] = {0x27, 0x80, READ, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, (uint8_t)sectors, 0};
    memcpy(table.fis, fis, sizeof(fis));
    for (unsigned i = 0; i < SLOTS; i++) {
        list[i][0] = 5u | pieces << 16;
        list[i][2] = (uint32_t)(uint64_t)&table;
    }
    for (unsigned i = 0; i < pieces; i++) {
        table.prd[i][0] = (uint32_t)(DATA + (uint64_t)len * i);
        table.prd[i][3] = len - 1;
    }
    bare_fence();
}

static bool wait(uint32_t reg, uint32_t bits)
{
    uint64_t begin = bare_time();
    while (PORT(reg) & bits)
        if (bare_time() - begin > FLOOD_PATIENCE)
            return false;
    bare_fence();
    return true;
}

int main(void)
{
    uint8_t *data = (uint8_t *)DATA;
    for (unsigned round = 0; flood_goes_on(round, 3); round++) {
        start();
        fill(BYTES, 1, SECTORS);
        PORT(CI) = UINT32_MAX;
        for (uint64_t begin = bare_time(); bare_time() - begin < 20000;)
            ;
        PORT(CMD) = CMD_FRE;
        CHECK(wait(CMD, CMD_CR), "the port does not stop");
    }
    start();
    memset(data, 0xa5, 9 * 512);
    fill(8 * 512, 1, 8); /* and a short read, which comes to its end */
    PORT(CI) = 1;
    CHECK(wait(CI, 1), "a read after the flood is not done");
    CHECK((PORT(TFD) & 0x89) == 0, "a read after the flood: PxTFD is %#x", PORT(TFD));
    for (unsigned i = 0; i < 8 * 512; i++)
        if (data[i] != 0) {
            CHECK(false, "byte %u of an empty disk is %#x", i, data[i]);
            break;
        }
    CHECK(data[8 * 512] == 0xa5, "a read goes on behind its end");
    return bare_failures != 0;
}
