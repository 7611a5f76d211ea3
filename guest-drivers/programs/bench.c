/*
 * `disk` and `bench`: workloads. What a bench cost is in benchcost.c.
 */
#include "kernel.h"
#include "isa/riscv.h"

#define SEED            0x74726964656e74ull
#define REQUEST_SECTORS 128u  /* of `disk` */
#define WRITE_WINDOW    8192u /* most sectors that `bench disk write` writes over and over */
#define WARM_UP         32u /* small requests, or lines, before a bench: a VMM may have to learn, */
#define WARM_UP_AGAIN   4u  /* and has learned it when the same is done again */
#define LINE            64u /* of `bench uart` */

static uint64_t checksum;

/* --- The pattern ------------------------------------------------------------------------------- */

#define WORDS (DISK_SECTOR / 8)

static uint64_t pattern_word(uint64_t sector, unsigned word, uint64_t seed)
{
    uint64_t x = (sector * WORDS + word + seed) * 0x9e3779b97f4a7c15ull;
    return x ^ x >> 29;
}

void pattern_fill(uint64_t sector, uint32_t count, void *buffer, uint64_t seed)
{
    uint64_t *at = buffer;
    for (uint32_t i = 0; i < count; i++) {
        for (unsigned word = 0; word < WORDS; word++) {
            *at++ = pattern_word(sector + i, word, seed);
        }
    }
}

uint64_t pattern_check(uint64_t sector, uint32_t count, const void *buffer, uint64_t seed)
{
    const uint64_t *at = buffer;
    for (uint32_t i = 0; i < count; i++) {
        for (unsigned word = 0; word < WORDS; word++) {
            if (*at++ != pattern_word(sector + i, word, seed)) {
                return sector + i;
            }
        }
    }
    return sector + count;
}

/* --- disk -------------------------------------------------------------------------------------- */

/* Depends on what is where, not on the order of completion. */
static void add_checksum(const struct disk_request *request)
{
    const uint64_t *at = request->buffer;
    uint64_t place = request->sector * WORDS;
    for (uint32_t i = 0; i < request->count * WORDS; i++) {
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
    for (unsigned i = 0; i < sizeof(disk_verb) / sizeof(*disk_verb); i++) {
        if (strcmp(name, disk_verb[i].name) == 0) {
            return &disk_verb[i];
        }
    }
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
    if (!verb || !shell_disk()) {
        return 1;
    }
    uint64_t sector, sectors, depth = 1;
    if (!shell_number("sector", arguments[2], disk->sectors - 1, &sector) ||
        !shell_number("count", arguments[3], disk->sectors - sector, &sectors) ||
        (count == 5 && !shell_number("depth", arguments[4], DISK_DEPTH_MAX, &depth))) {
        return 1;
    }
    if (sectors == 0 || depth == 0) {
        printf("count and depth must be at least 1.\n");
        return 1;
    }
    return run_verb(verb, sector, sectors, (unsigned)depth);
}

/* --- bench ------------------------------------------------------------------------------------- */

/* Sends lines of so many bytes in all; the bytes sent: less if the user interrupts it. */
static uint64_t send_lines(uint64_t bytes)
{
    static const char text[LINE + 1] =
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.\n";
    uint64_t sent = 0;
    while (sent < bytes && !console_interrupted()) {
        uint64_t len = bytes - sent < LINE ? bytes - sent : LINE;
        fwrite(text + LINE - len, 1, len, stdout); /* ends in a newline whatever its length */
        sent += len;
    }
    console_flush();
    return sent;
}

static int bench_uart(uint64_t bytes)
{
    send_lines(WARM_UP * LINE);
    struct bench_cost begin = bench_begin();
    uint64_t sent = send_lines(bytes);
    struct bench_cost cost = bench_end(begin);
    printf("bench uart: %lu bytes, ", sent);
    bench_print(cost);
    return console_interrupted() ? 1 : 0;
}

/* Requests that go before a bench. */
static uint32_t warm_up_of(enum disk_op op, uint32_t count)
{
    static enum disk_op last_op;
    static uint32_t last_count;
    bool again = op == last_op && count == last_count;
    last_op = op;
    last_count = count;
    return again ? WARM_UP_AGAIN : WARM_UP;
}

/* What is done once, before a bench: reads what will be written, teaches a VMM that learns, and uses each
 * buffer. */
static enum disk_status warm_up(const struct disk_stream *stream, uint64_t *failed)
{
    struct disk_stream before = *stream, small = *stream, touch = *stream;
    before.op = DISK_READ;
    before.count = REQUEST_SECTORS < disk->max_count ? REQUEST_SECTORS : disk->max_count;
    before.total = stream->op == DISK_WRITE ? stream->sectors : 0;
    small.count = 1;
    small.total = warm_up_of(stream->op, stream->count);
    touch.total = (uint64_t)stream->count * stream->depth;
    enum disk_status status = disk_run(&before, failed);
    if (status == DISK_OK) {
        status = disk_run(&small, failed);
    }
    return status == DISK_OK ? disk_run(&touch, failed) : status;
}

/* Writes what is there already: the image stays what it was. */
static int bench_disk(enum disk_op op, uint32_t count, uint64_t requests, unsigned depth)
{
    uint64_t span = disk->sectors;
    if (op == DISK_WRITE) {
        uint64_t most = requests * count < WRITE_WINDOW ? requests * count : WRITE_WINDOW;
        most = most > depth * count ? most : depth * count;
        span = span > most ? most : span;
    }
    struct disk_stream stream = {
        .op = op,
        .sectors = span / count * count,
        .total = requests * count,
        .count = count,
        .depth = depth,
        .by_position = op == DISK_WRITE,
    };
    uint64_t buffer_sectors = op == DISK_WRITE ? stream.sectors : (uint64_t)count * depth;
    size_t pages = (buffer_sectors * DISK_SECTOR + 4095) / 4096;
    stream.memory = page_alloc(pages);
    if (!stream.memory) {
        printf("There is no memory for the buffers.\n");
        return 1;
    }
    uint64_t failed;
    struct bench_cost cost = {0};
    enum disk_status status = warm_up(&stream, &failed);
    if (status == DISK_OK) {
        struct bench_cost begin = bench_begin();
        status = disk_run(&stream, &failed);
        cost = bench_end(begin);
    }
    page_free(stream.memory, pages);
    if (status != DISK_OK) {
        printf("bench disk: failed at sector %lu: %s\n", failed, disk_status_name(status));
        return 1;
    }
    printf("bench disk %s: %lu requests of %u bytes, depth %u, ",
           op == DISK_WRITE ? "write" : "read", requests, count * DISK_SECTOR, depth);
    bench_print(cost);
    return 0;
}

static int parse_bench_disk(char **arguments)
{
    bool write = strcmp(arguments[2], "write") == 0;
    uint64_t bytes, requests, depth;
    if (!write && strcmp(arguments[2], "read") != 0) {
        printf("bench disk %s: unknown; it is read or write.\n", arguments[2]);
        return 1;
    }
    if (!shell_disk() ||
        !shell_number("bytes per request", arguments[3], disk->max_count * DISK_SECTOR, &bytes) ||
        !shell_number("requests", arguments[4], 1000000, &requests) ||
        !shell_number("depth", arguments[5], DISK_DEPTH_MAX, &depth)) {
        return 1;
    }
    if (bytes == 0 || bytes % DISK_SECTOR != 0 || requests == 0 || depth == 0 ||
        bytes / DISK_SECTOR > disk->sectors) {
        printf("bytes per request must be a multiple of %u, all numbers at least 1, and the disk "
               "large enough.\n",
               DISK_SECTOR);
        return 1;
    }
    return bench_disk(write ? DISK_WRITE : DISK_READ, (uint32_t)(bytes / DISK_SECTOR), requests,
                      (unsigned)depth);
}

/* The benches with one number. */
static const struct bench {
    const char *name;
    uint64_t max;
    int (*run)(uint64_t count);
} bench[] = {
    {"uart", 100000000, bench_uart},
    {"input", 990, bench_input}, /* less than the console keeps */
    {"interrupt", 1000000, bench_interrupt},
};

int command_bench(int count, char **arguments)
{
    for (unsigned i = 0; count == 3 && i < sizeof(bench) / sizeof(*bench); i++) {
        uint64_t number;
        if (strcmp(arguments[1], bench[i].name) == 0) {
            return shell_number("the count", arguments[2], bench[i].max, &number)
                       ? bench[i].run(number)
                       : 1;
        }
    }
    if (count == 2 && strcmp(arguments[1], "spin") == 0) {
        time_spin_set(true);
        return 0;
    }
    if (count == 6 && strcmp(arguments[1], "disk") == 0) {
        return parse_bench_disk(arguments);
    }
    if (count == 2 && strcmp(arguments[1], "trap") == 0) {
        return bench_trap();
    }
    printf("usage: bench uart|input|interrupt <count> | bench trap | bench spin | "
           "bench disk read|write <bytes> <requests> <depth>\n");
    return 1;
}
