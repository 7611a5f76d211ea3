/*
 * `disk`: reads sectors, writes the pattern, or verifies it, and prints a checksum of the data.
 */
#include "kernel.h"
#include "pattern.h"
#include "programs.h"

#define SEED            0x74726964656e74ull
#define REQUEST_SECTORS 128u
#define SECTOR_WORDS    (DISK_SECTOR / 8)

static uint64_t checksum;

/* Adds a request's data to the checksum, which depends on the data of each sector, and not on
 * the order in which requests complete. */
static void add_checksum(const struct disk_request *request)
{
    const uint64_t *at = request->buffer;
    uint64_t place = request->sector * SECTOR_WORDS;
    for (uint32_t i = 0; i < request->count * SECTOR_WORDS; i++) {
        uint64_t x = (at[i] ^ (place + i)) * 0x9e3779b97f4a7c15ull;
        checksum += x ^ x >> 32;
    }
}

static bool on_read(struct disk_request *request)
{
    add_checksum(request);
    return true;
}

static bool on_write(struct disk_request *request)
{
    pattern_fill(request->sector, request->count, request->buffer, SEED);
    add_checksum(request);
    return true;
}

static bool on_verify(struct disk_request *request)
{
    add_checksum(request);
    uint64_t bad = pattern_check(request->sector, request->count, request->buffer, SEED);
    if (bad != request->sector + request->count) {
        printf("Sector %lu does not hold the pattern.\n", bad);
        return false;
    }
    return true;
}

static const struct disk_verb {
    const char *name;
    enum disk_op op;
    bool (*each)(struct disk_request *request);
} disk_verb[] = {
    {"read", DISK_READ, on_read},
    {"write", DISK_WRITE, on_write},
    {"verify", DISK_READ, on_verify},
};

static const struct disk_verb *find_verb(const char *name)
{
    for (unsigned i = 0; i < sizeof(disk_verb) / sizeof(*disk_verb); i++)
        if (strcmp(name, disk_verb[i].name) == 0)
            return &disk_verb[i];
    printf("disk %s: unknown; it is read, write or verify.\n", name);
    return NULL;
}

static int run_verb(const struct disk_verb *verb, uint64_t sector, uint64_t count, unsigned depth)
{
    struct disk_stream stream = {
        .op = verb->op,
        .first = sector,
        .sectors = count,
        .total = count,
        .count = REQUEST_SECTORS < disk->max_count ? REQUEST_SECTORS : disk->max_count,
        .depth = depth,
        .each = verb->each,
    };
    size_t pages = ((size_t)stream.count * DISK_SECTOR * depth + 4095) / 4096;
    stream.memory = page_alloc(pages);
    if (!stream.memory) {
        printf("There is no memory for the buffers.\n");
        return 1;
    }
    checksum = 0;
    uint64_t failed, begin = time_now();
    enum disk_status status = disk_run(&stream, &failed);
    uint64_t us = time_to_us(time_now() - begin);
    page_free(stream.memory, pages);
    if (status != DISK_OK) {
        printf("disk %s: failed at sector %lu: %s\n", verb->name, failed, disk_status_name(status));
        return 1;
    }
    uint64_t kb = count * DISK_SECTOR / 1000;
    printf("disk %s: %lu sectors, %lu.%03lu MB, checksum %016lx, %lu us\n", verb->name, count,
           kb / 1000, kb % 1000, checksum, us);
    return 0;
}

int command_disk(int count, char **arguments)
{
    if (count < 4 || count > 5) {
        printf("usage: disk read|write|verify <sector> <count> [depth]\n");
        return 1;
    }
    const struct disk_verb *verb = find_verb(arguments[1]);
    if (!verb || !program_disk())
        return 1;
    uint64_t sector, sectors, depth = 1;
    if (!program_number("sector", arguments[2], disk->sectors - 1, &sector) ||
        !program_number("count", arguments[3], disk->sectors - sector, &sectors) ||
        (count == 5 && !program_number("depth", arguments[4], DISK_DEPTH_MAX, &depth)))
        return 1;
    if (sectors == 0 || depth == 0) {
        printf("count and depth must be at least 1.\n");
        return 1;
    }
    return run_verb(verb, sector, sectors, (unsigned)depth);
}
