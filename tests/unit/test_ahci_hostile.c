/* The emulated AHCI disk and a guest that writes noise to its registers, lists and tables. */
#include "ahci_guest.h"

#include <errno.h>

static uint64_t seed = 0x9e3779b97f4a7c15;

static uint64_t wild_address(void)
{
    static const uint64_t bases[] = {LIST,    FISES, TABLES,          PAGES,
                                     NOWHERE, 0,     RAM_END - 0x100, UINT64_MAX - 0x80};
    return bases[mock_random(&seed) % 8] + mock_random(&seed) % 0x400;
}

static void wild_memory(struct mock *mock)
{
    static const uint8_t codes[] = {0x25, 0x35, 0x60, 0x61, 0x60, 0x61, 0xec, 0x2f,
                                    0x06, 0xea, 0x20, 0x30, 0xc8, 0xef, 0x42};
    unsigned slot = mock_random(&seed) % 32;
    uint64_t r = mock_random(&seed);
    uint8_t *fis = command_fis(mock, slot), *head;
    queued(mock, slot, codes[r % sizeof(codes)], (r >> 8) % (MOCK_SECTORS + 8), 1 + (r >> 24) % 40);
    if (codes[r % sizeof(codes)] != 0x60 && codes[r % sizeof(codes)] != 0x61)
        fis[12] = fis[3];
    header(mock, slot, (r >> 32) % 64);
    for (unsigned i = 0; i < 64; i++) {
        uint64_t gpa = (r >> 40) % 16 ? PAGES + mock_random(&seed) % 0x40000 : wild_address();
        prd(mock, slot, i, gpa,
            1 + (uint32_t)mock_random(&seed) % ((r >> 44) % 2 ? 0x600 : 0x400000));
    }
    if ((r >> 48) % 8 == 0)
        fis[mock_random(&seed) % 20] = (uint8_t)mock_random(&seed);
    if ((r >> 52) % 16 == 0) {
        head = mock_ram(mock, LIST + 32 * slot, 32);
        head[mock_random(&seed) % 16] = (uint8_t)mock_random(&seed);
    }
}

static void wild_register(struct mock *mock, uint64_t r)
{
    static const uint32_t offsets[] = {CI,   CI,  CI,   SACT, CMD, CMD, PXIS, IS,
                                       PXIE, GHC, SCTL, SERR, TFD, CLB, FB,   CLBU};
    uint32_t reg = offsets[r % 16], value = (uint32_t)mock_random(&seed);
    uint64_t loaded;
    if ((r >> 8) % 64 == 0)
        reg = (r >> 16) % 0x1000 & ~3u;
    if (reg == CMD)
        value = (r >> 32) % 4 ? FRE | ST : value;
    if (reg == CLB)
        value = (r >> 36) % 8 ? (uint32_t)LIST : (uint32_t)wild_address();
    if (reg == FB)
        value = (r >> 36) % 8 ? (uint32_t)FISES : (uint32_t)wild_address();
    if (reg == CLBU || reg == 0x10c)
        value = (r >> 36) % 64 ? 0 : value;
    if (reg == GHC)
        value &= (r >> 40) % 32 ? 2 : 3;
    if (reg == SCTL)
        value = (r >> 40) % 8 ? 0 : value;
    mock_try_store(mock, reg, (r >> 48) % 16 ? 4 : 8 >> (r >> 52) % 4, value);
    mock_try_load(mock, (r >> 20) % 0x200 & ~7u, 1u << (r >> 30) % 4, &loaded);
}

static void hostile(void **state)
{
    struct mock *mock = *state;
    mock->disk.front.depth = 20;
    for (unsigned i = 0; i < 100000; i++) {
        uint64_t r = mock_random(&seed);
        if (r % 8 == 0)
            wild_memory(mock);
        wild_register(mock, mock_random(&seed));
        if ((r >> 8) % 64 == 0)
            mock->disk.bad_sector = (r >> 32) % MOCK_SECTORS;
        if ((r >> 8) % 64 == 1)
            mock->disk.refuse_next = (r >> 32) % 2 ? -EAGAIN : -EINVAL;
        if ((r >> 16) % 4 == 0 && mock->disk.ninflight)
            mock_disk_complete(mock, (unsigned)(r >> 32) % mock->disk.ninflight);
        if ((r >> 24) % 4 == 0)
            mock_service(mock);
        if ((r >> 40) % 64 == 0) {
            put(mock, CLBU, 0);
            put(mock, FBU, 0);
            put(mock, SCTL, 0);
            start_port(mock);
            restart(mock);
        }
    }
    assert_true(mock->dev.count.requests > 100);
    finish(mock);
    put(mock, GHC, 1);
    put(mock, CLBU, 0);
    put(mock, FBU, 0);
    mock->disk.refuse_next = 0;
    mock->disk.bad_sector = UINT64_MAX;
    start_port(mock);
    simple(mock, 0, 0xec, 0, 1);
    run_ok(mock, 0, PSS);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(hostile),
    };
    return cmocka_run_group_tests_name("emulated/ahci hostile", tests, NULL, NULL);
}
