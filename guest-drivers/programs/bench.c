/*
 * `bench`: workloads whose cost is told. What costs and how it is told is in benchcost.c.
 */
#include "bench.h"

#include "kernel.h"
#include "programs.h"

#define REQUEST_SECTORS 128u  /* of the requests that read what `bench disk write` will write */
#define WRITE_WINDOW    8192u /* most sectors that `bench disk write` writes over and over */
#define WARM_UP         32u /* small requests, or lines, before a bench: a VMM may have to learn */
#define WARM_UP_AGAIN   4u  /* the same before the same bench once more: the VMM has learned it */
#define LINE            64u /* bytes of a line of `bench uart` */

/* Sends lines of so many bytes in all; how many bytes were sent, which is less after a Ctrl-C. */
static uint64_t send_lines(uint64_t bytes)
{
    static const char text[LINE + 1] =
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.\n";
    uint64_t sent = 0;
    while (sent < bytes && !console_interrupted()) {
        uint64_t len = bytes - sent < LINE ? bytes - sent : LINE;
        fwrite(text + LINE - len, 1, len, stdout); /* ends in a newline whatever len is */
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

/* How many small requests go before a bench of such requests. */
static uint32_t warm_up_of(enum disk_op op, uint32_t count)
{
    static enum disk_op last_op;
    static uint32_t last_count;
    bool again = op == last_op && count == last_count;
    last_op = op;
    last_count = count;
    return again ? WARM_UP_AGAIN : WARM_UP;
}

/* Done once, before a bench: reads what the bench will write, teaches a VMM that learns, and
 * uses each buffer. */
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
    if (status == DISK_OK)
        status = disk_run(&small, failed);
    return status == DISK_OK ? disk_run(&touch, failed) : status;
}

/* How many sectors from sector 0 on the bench uses, again and again. */
static uint64_t span_of(enum disk_op op, uint32_t count, uint64_t requests, unsigned depth)
{
    if (op != DISK_WRITE)
        return disk->sectors;
    uint64_t most = requests * count < WRITE_WINDOW ? requests * count : WRITE_WINDOW;
    most = most > depth * count ? most : depth * count;
    return most < disk->sectors ? most : disk->sectors;
}

/* A write writes what is on the disk already: the image stays what it was. */
static int bench_disk(enum disk_op op, uint32_t count, uint64_t requests, unsigned depth)
{
    struct disk_stream stream = {
        .op = op,
        .sectors = span_of(op, count, requests, depth) / count * count,
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
    if (!write && strcmp(arguments[2], "read") != 0) {
        printf("bench disk %s: unknown; it is read or write.\n", arguments[2]);
        return 1;
    }
    uint64_t bytes, requests, depth;
    if (!program_disk() ||
        !program_number("bytes per request", arguments[3], disk->max_count * DISK_SECTOR, &bytes) ||
        !program_number("requests", arguments[4], 1000000, &requests) ||
        !program_number("depth", arguments[5], DISK_DEPTH_MAX, &depth))
        return 1;
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
    {"input", 990, bench_input}, /* fewer bytes than the console keeps */
    {"interrupt", 1000000, bench_interrupt},
};

int command_bench(int count, char **arguments)
{
    for (unsigned i = 0; count == 3 && i < sizeof(bench) / sizeof(*bench); i++) {
        if (strcmp(arguments[1], bench[i].name) == 0) {
            uint64_t number;
            return program_number("the count", arguments[2], bench[i].max, &number)
                       ? bench[i].run(number)
                       : 1;
        }
    }
    if (count == 2 && strcmp(arguments[1], "spin") == 0) {
        time_spin_set(true);
        return 0;
    }
    if (count == 6 && strcmp(arguments[1], "disk") == 0)
        return parse_bench_disk(arguments);
    if (count == 2 && strcmp(arguments[1], "trap") == 0)
        return bench_trap();
    printf("usage: bench uart|input|interrupt <count> | bench trap | bench spin | "
           "bench disk read|write <bytes> <requests> <depth>\n");
    return 1;
}
