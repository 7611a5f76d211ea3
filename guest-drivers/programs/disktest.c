/*
 * `disktest`: the disk checked through the block interface, whatever the driver.
 *
 * Sectors that the test overwrites have been read before and are put back: the image is the user's.
 * Every line is "name: ok" or what went wrong.
 */
#include "kernel.h"
#include "pattern.h"
#include "programs.h"

#define LONGEST         2048u /* sectors: 1 MiB */
#define ELSEWHERE       257u  /* longest in the middle and at the end: PIO under a VMM is slow */
#define QUEUED_REQUESTS 64u
#define QUEUED_SECTORS  8u
#define SEED            0x646973746573ull

/* Of requests, in sectors. */
static const uint32_t length[] = {1, 2, 3, 7, 8, 15, 17, 63, 128, 129, 255, 256, 257, LONGEST};

static unsigned passed, failed;
static char *saved, *scratch; /* LONGEST sectors each */

static bool report(const char *name, bool good, const char *problem)
{
    printf("%s: %s\n", name, good ? "ok" : problem);
    if (good)
        passed++;
    else
        failed++;
    return good;
}

/* Writes the pattern and reads it back. Null, or a sentence that says what went wrong. */
static const char *round_trip(uint64_t sector, uint32_t count, uint64_t seed)
{
    pattern_fill(sector, count, scratch, seed);
    enum disk_status status = disk_do(DISK_WRITE, sector, count, scratch);
    if (status != DISK_OK)
        return disk_status_name(status);
    memset(scratch, 0x5a, (size_t)count * DISK_SECTOR);
    status = disk_do(DISK_READ, sector, count, scratch);
    if (status != DISK_OK)
        return disk_status_name(status);
    bool same = pattern_check(sector, count, scratch, seed) == sector + count;
    return same ? NULL : "what was read is not what was written";
}

static const char *restore(uint64_t sector, uint32_t count)
{
    enum disk_status status = disk_do(DISK_WRITE, sector, count, saved);
    if (status == DISK_OK)
        status = disk_do(DISK_READ, sector, count, scratch);
    if (status != DISK_OK)
        return disk_status_name(status);
    bool same = memcmp(saved, scratch, (size_t)count * DISK_SECTOR) == 0;
    return same ? NULL : "the content was not restored";
}

/* Tests requests of all lengths up to area at one place; at_end: each ends at the area's last
 * sector. */
static void test_place(const char *place, uint64_t sector, uint32_t area, bool at_end)
{
    char name[48];
    snprintf(name, sizeof(name), "disk.%s.save", place);
    enum disk_status status = disk_do(DISK_READ, sector, area, saved);
    if (!report(name, status == DISK_OK, disk_status_name(status)))
        return;
    for (unsigned i = 0; i < sizeof(length) / sizeof(*length); i++) {
        if (length[i] <= area && !console_interrupted()) {
            uint64_t from = at_end ? sector + area - length[i] : sector;
            const char *problem = round_trip(from, length[i], SEED + i);
            snprintf(name, sizeof(name), "disk.%s.%u", place, length[i]);
            report(name, !problem, problem);
        }
    }
    const char *problem = restore(sector, area);
    snprintf(name, sizeof(name), "disk.%s.restore", place);
    report(name, !problem, problem);
}

/* --- Several in flight --- */

static bool fill(struct disk_request *request)
{
    pattern_fill(request->sector, request->count, request->buffer, ~SEED);
    return true;
}

static bool check(struct disk_request *request)
{
    uint64_t end = request->sector + request->count;
    return pattern_check(request->sector, request->count, request->buffer, ~SEED) == end;
}

static void test_queue(void)
{
    uint32_t area = QUEUED_REQUESTS * QUEUED_SECTORS;
    struct disk_stream stream = {
        .op = DISK_WRITE,
        .sectors = area,
        .total = area,
        .count = QUEUED_SECTORS,
        .depth = DISK_DEPTH_MAX,
        .memory = scratch,
        .each = fill,
    };
    if (disk->sectors < area || disk->max_count < area || console_interrupted())
        return;
    enum disk_status status = disk_do(DISK_READ, 0, area, saved);
    if (!report("disk.queue.save", status == DISK_OK, disk_status_name(status)))
        return;
    status = disk_run(&stream, NULL);
    report("disk.queue.write", status == DISK_OK, disk_status_name(status));
    stream.op = DISK_READ;
    stream.each = check;
    status = disk_run(&stream, NULL);
    report("disk.queue.read", status == DISK_OK, disk_status_name(status));
    const char *problem = restore(0, area);
    report("disk.queue.restore", !problem, problem);
}

/* --- Out of range --- */

static const struct {
    const char *name;
    enum disk_op op;
    int64_t from_end; /* sector = capacity + from_end */
    uint32_t count;
} out_of_range[] = {
    {"disk.range.read_behind_end", DISK_READ, 0, 1},
    {"disk.range.write_behind_end", DISK_WRITE, 0, 1},
    {"disk.range.read_across_end", DISK_READ, -1, 2},
    {"disk.range.read_far", DISK_READ, 1ll << 40, 8},
    {"disk.range.write_far", DISK_WRITE, 1ll << 40, 8},
};

static void test_range(void)
{
    for (unsigned i = 0; i < sizeof(out_of_range) / sizeof(*out_of_range); i++) {
        uint64_t sector = disk->sectors + (uint64_t)out_of_range[i].from_end;
        enum disk_status status = disk_do(out_of_range[i].op, sector, out_of_range[i].count,
                                          scratch);
        report(out_of_range[i].name, status == DISK_ERROR,
               status == DISK_OK ? "accepted" : disk_status_name(status));
        status = disk_do(DISK_READ, 0, 1, scratch);
        report("disk.range.then_read", status == DISK_OK, disk_status_name(status));
    }
}

#define MIXED 4u

/* One request that must fail among others that must not. */
static void test_mixed(void)
{
    struct disk_request request[MIXED];
    bool submitted[MIXED] = {false};
    bool were_on = interrupts_off();
    for (unsigned i = 0; i < MIXED; i++) {
        request[i] = (struct disk_request){
            .op = DISK_READ,
            .sector = i == 1 ? disk->sectors : i,
            .count = 1,
            .buffer = scratch + i * DISK_SECTOR,
        };
        submitted[i] = disk->submit(disk, &request[i]);
        disk_commit();
    }
    if (were_on)
        interrupts_on();
    bool good = true;
    for (unsigned i = 0; i < MIXED; i++)
        good = good && (!submitted[i] || disk_wait(&request[i]) == (i == 1 ? DISK_ERROR : DISK_OK));
    report("disk.queue.one_of_four_fails", good, "the wrong requests failed");
}

/* --- All --- */

static void test_all(uint32_t area)
{
    uint32_t part = area < ELSEWHERE ? area : ELSEWHERE;
    uint64_t end = disk->sectors - part;
    report("disk.identify.capacity", disk->sectors > 0, "no sectors");
    report("disk.identify.depth", disk->depth >= 1 && disk->depth <= DISK_DEPTH_MAX, "no depth");
    test_place("start", 0, area, false);
    test_place("middle", end / 2, part, false);
    test_place("end", end, part, true);
    test_queue();
    enum disk_status status = disk_do(DISK_FLUSH, 0, 0, NULL);
    report("disk.flush", status == DISK_OK, disk_status_name(status));
    test_range();
    if (disk->sectors >= MIXED)
        test_mixed();
    report("disk.restart", disk->restart(disk), "the device did not come back");
    status = disk_do(DISK_READ, end, part, saved);
    report("disk.restart.read", status == DISK_OK, disk_status_name(status));
}

int command_disktest(int count, char **arguments)
{
    uint64_t area = LONGEST;
    if (count > 2) {
        printf("usage: disktest [sectors]\n");
        return 1;
    }
    if (!program_disk() || (count == 2 && !program_number("sectors", arguments[1], LONGEST, &area)))
        return 1;
    if (area == 0) {
        printf("sectors must be at least 1.\n");
        return 1;
    }
    area = area < disk->max_count ? area : disk->max_count;
    area = area < disk->sectors ? area : disk->sectors;
    size_t pages = LONGEST * DISK_SECTOR / 4096;
    saved = page_alloc(pages);
    scratch = page_alloc(pages);
    if (!saved || !scratch)
        panic("disktest: no memory"); /* 2 MiB: the smallest board has more */
    passed = failed = 0;
    test_all((uint32_t)area);
    page_free(saved, pages);
    page_free(scratch, pages);
    printf("disktest: %u ok, %u failed%s\n", passed, failed,
           console_interrupted() ? ", aborted" : "");
    return failed == 0 && !console_interrupted() ? 0 : 1;
}
