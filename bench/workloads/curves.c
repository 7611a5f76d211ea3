/*
 * How the cost of an operation grows in a Linux guest: the same operation at several sizes.
 *
 *   curves [--marks] [--counted] [--disk FILE] [CURVE]...
 *
 * Prints between two marker lines a JSON list of {op, curve, x, n, ns, instructions}, op being
 * CURVE-X and the last three per operation as nano prints them. The table at the end says what
 * the curves are. Working sets that do not fit the guest's memory are left out.
 */
#define _GNU_SOURCE
#include "stretch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE      STRETCH_PAGE
#define PROCESSES 64           /* of ring, at most */
#define DEPTH     64           /* of queue_depth, at most */
#define BUFFER    (4l << 20)   /* of buffer_size, at most */
#define RESERVE   (96ul << 20) /* bytes that a working set leaves to the rest of the guest */
#define POINTS    16
#define NAME      24

static char *buffer; /* aligned for direct reads */
static int disk_fd;
static long disk_size;

/* The i-th of 2^bits numbers in an order without a pattern: each comes once. */
static unsigned long scatter(unsigned long i, int bits)
{
    unsigned long mask = (1ul << bits) - 1;

    i = (i * 0x9e3779b97f4a7c15ul) & mask; /* odd factors, and a shift: both can be undone */
    i ^= i >> (bits / 2 + 1);
    i = (i * 0xbf58476d1ce4e5b9ul) & mask;
    return i ^ (i >> (bits / 2 + 1));
}

static int floor_log2(unsigned long value)
{
    int bits = 0;

    while (value >> (bits + 1))
        bits++;
    return bits;
}

/* --- ring: a byte goes round; one operation hands it on --- */

static pid_t members[PROCESSES]; /* all but this process */
static int ring_size, ring_in, ring_out;

static void pass_on(int from, int to)
{
    char byte;

    while (read(from, &byte, 1) == 1 && write(to, &byte, 1) == 1)
        continue;
    _exit(0);
}

static void start_ring(long processes)
{
    int first[2], next[2], from;

    ring_size = (int)processes;
    CHECK(pipe(first) == 0);
    ring_out = first[1];
    from = first[0];
    for (int i = 0; i < ring_size - 1; i++) {
        CHECK(pipe(next) == 0);
        CHECK((members[i] = fork()) >= 0);
        if (members[i] == 0) {
            close(ring_out);
            close(next[0]);
            pass_on(from, next[1]);
        }
        close(from);
        close(next[1]);
        from = next[0];
    }
    ring_in = from;
}

static void hand_on(long n)
{
    for (; n > 0; n -= ring_size)
        CHECK(write(ring_out, buffer, 1) == 1 && read(ring_in, buffer, 1) == 1);
}

/* Without this process's end of the pipe the next one ends, and so on. */
static void end_ring(void)
{
    close(ring_out);
    for (int i = 0; i < ring_size - 1; i++)
        CHECK(waitpid(members[i], NULL, 0) == members[i]);
    close(ring_in);
}

/* --- touch_first, touch_again: pages that the guest's kernel has mapped ahead --- */

/* MiB: small sets are several, one after the other, or n would be too small. */
#define REGION_MIN 16l

static char *region;
static long region_pages, set_pages;
static long touched;

static void touch(long n)
{
    int bits = floor_log2((unsigned long)set_pages);

    for (; n > 0; n--) {
        long at = touched++ % region_pages, set = at / set_pages * set_pages;
        long page = set + (long)scatter((unsigned long)(at - set), bits);

        (*(volatile char *)(region + page * PAGE))++;
    }
}

static void map_region(long region_mib, long set_mib)
{
    size_t size = ((size_t)region_mib << 20) + PAGE; /* and the spare page of touch_again */

    region_pages = region_mib << 8;
    set_pages = set_mib << 8;
    touched = 0;
    region = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(region != MAP_FAILED);
    CHECK(madvise(region, size, MADV_NOHUGEPAGE) == 0);
    CHECK(madvise(region, size, MADV_POPULATE_WRITE) == 0);
}

static void map_sets(long mib)
{
    map_region(mib < REGION_MIN ? REGION_MIN : mib, mib);
}

static void map_touched_sets(long mib)
{
    map_sets(mib);
    touch(region_pages);
}

/*
 * QEMU's TLB has 64 to 4 million entries, and is made larger only when it is emptied: natively that is
 * seldom, under a VMM at each change of the shadow root. Whether a page is still in it says nothing about
 * what is measured, the page tables. So it is emptied first: a page's protection changes, and back. No page
 * comes twice in a part, so each touch is a walk of the page tables.
 */
static void touch_again(long n)
{
    char *spare = region + region_pages * PAGE;

    (*(volatile char *)spare)++;
    CHECK(mprotect(spare, PAGE, PROT_READ) == 0);
    CHECK(mprotect(spare, PAGE, PROT_READ | PROT_WRITE) == 0);
    touch(n);
}

static void unmap_region(void)
{
    CHECK(munmap(region, (size_t)(region_pages + 1) * PAGE) == 0);
}

static bool set_fits(long mib)
{
    struct sysinfo info;

    CHECK(sysinfo(&info) == 0);
    return ((unsigned long)mib << 20) + ((unsigned long)mib << 12) + RESERVE <=
           info.freeram * info.mem_unit; /* with a margin for its page tables */
}

/* --- queue_depth: as many direct reads of 4 KiB under way --- */

static aio_context_t context;
static struct iocb requests[DEPTH];
static unsigned long blocks_read;
static long depth;

static void open_disk(void)
{
    CHECK((disk_fd = open(stretch_options.disk, O_RDONLY | O_DIRECT)) >= 0);
    disk_size = stretch_read_size(disk_fd);
    if (disk_size < BUFFER)
        errno = ENOSPC;
    CHECK(disk_size >= BUFFER);
}

static void start_queue(long under_way)
{
    depth = under_way;
    open_disk();
    context = 0; /* io_setup wants it so */
    CHECK(syscall(SYS_io_setup, (unsigned)depth, &context) == 0);
    memset(requests, 0, sizeof requests);
    for (int i = 0; i < depth; i++) {
        requests[i] = (struct iocb){.aio_lio_opcode = IOCB_CMD_PREAD,
                                    .aio_fildes = (unsigned)disk_fd,
                                    .aio_buf = (unsigned long)(buffer + i * PAGE),
                                    .aio_nbytes = PAGE,
                                    .aio_data = (unsigned long)&requests[i]};
    }
}

/* Blocks in no order, so that the kernel has no neighbours to merge. */
static void submit(struct iocb **list, long count)
{
    int bits = floor_log2((unsigned long)disk_size / PAGE);

    for (long i = 0; i < count; i++)
        list[i]->aio_offset = (long long)scatter(blocks_read++ & ((1ul << bits) - 1), bits) * PAGE;
    CHECK(syscall(SYS_io_submit, context, count, list) == count);
}

/* n requests, never more than `depth` of them under way, and no fewer until the last ones. */
static void read_blocks(long n)
{
    struct iocb *list[DEPTH];
    struct io_event events[DEPTH];
    long submitted = depth < n ? depth : n;

    for (long i = 0; i < submitted; i++)
        list[i] = &requests[i];
    submit(list, submitted);
    for (long done = 0; done < n;) {
        long got = syscall(SYS_io_getevents, context, 1, depth, events, NULL), again = 0;

        CHECK(got > 0);
        for (long i = 0; i < got; i++) {
            CHECK(events[i].res == PAGE);
            if (submitted + again < n)
                list[again++] = (struct iocb *)(unsigned long)events[i].data;
        }
        done += got;
        submitted += again;
        if (again > 0)
            submit(list, again);
    }
}

static void end_queue(void)
{
    CHECK(syscall(SYS_io_destroy, context) == 0);
    close(disk_fd);
}

/* --- buffer_size: direct reads of so many bytes, one at a time --- */

static long read_bytes;

static void start_reads(long bytes)
{
    read_bytes = bytes;
    open_disk();
}

static void read_buffers(long n)
{
    long places = disk_size / read_bytes;

    for (long i = 0; i < n; i++)
        CHECK(pread(disk_fd, buffer, (size_t)read_bytes, i % places * read_bytes) == read_bytes);
}

static void end_reads(void)
{
    close(disk_fd);
}

/* --- The table --- */

static long each_page_once(long mib)
{
    return (mib < REGION_MIN ? REGION_MIN : mib) << 8;
}

static long some_mib(long bytes)
{
    return bytes > (80l << 20) / 320 ? (80l << 20) / bytes : 320;
}

static const struct curve {
    const char *name;
    long x[POINTS]; /* sizes, in the unit of the curve; ends with 0 */
    long n;         /* operations; 0: the function tells */
    long (*operations)(long x);
    void (*setup)(long x);
    void (*run)(long n);
    void (*end)(void);
    bool (*fits)(long x); /* NULL: always */
    bool warm;            /* a part of it goes ahead, unmeasured */
} curves[] = {
    /* clang-format off */
    /* processes; one operation hands the byte to the next one; n: whole rounds in each part */
    {"ring", {1, 2, 4, 8, 16, 32, 64}, 640, NULL, start_ring, hand_on, end_ring, NULL, true},
    /* MiB; one operation touches one page, for the first time since the kernel has mapped it */
    {"touch_first", {1, 4, 16, 64, 256, 1024}, 0, each_page_once,
     map_sets, touch, unmap_region, set_fits, false},
    /* MiB; the same when all pages have been touched, with an empty TLB; n: in each part as many pages
     * as the smallest region has */
    {"touch_again", {1, 4, 16, 64, 256, 1024}, STRETCH_PARTS * (REGION_MIN << 8), NULL,
     map_touched_sets, touch_again, unmap_region, set_fits, true},
    /* requests under way; one operation is one read of 4 KiB */
    {"queue_depth", {1, 2, 4, 8, 16, 32, 64}, 1280, NULL,
     start_queue, read_blocks, end_queue, NULL, true},
    /* bytes; one operation is one read of so many */
    {"buffer_size", {512, 4096, 32768, 262144, 1048576, 4194304}, 0, some_mib,
     start_reads, read_buffers, end_reads, NULL, true},
    /* clang-format on */
};

/* --- Measuring --- */

struct result {
    const struct curve *curve;
    long x, n;
    double ns, instructions;
};

static struct result measure(const struct curve *curve, long x)
{
    long n = (curve->n ? curve->n : curve->operations(x)) / STRETCH_PARTS * STRETCH_PARTS;
    struct stretch_cost without, with;
    char name[NAME];

    snprintf(name, sizeof name, "%s-%ld", curve->name, x);
    curve->setup(x);
    if (curve->warm)
        curve->run(n / STRETCH_PARTS);
    without = stretch_measure(name, "without", stretch_do_nothing, n, true);
    with = stretch_measure(name, "with", curve->run, n, true);
    curve->end();
    return (struct result){curve, x, n, with.ns,
                           (double)(with.instructions - without.instructions) / (double)n};
}

static void print_results(const struct result *results, int count)
{
    printf("curves-json-begin\n[");
    for (int i = 0; i < count; i++) {
        const struct result *result = &results[i];
        char first[96];

        snprintf(first, sizeof first, "%s\n{\"op\": \"%s-%ld\", \"curve\": \"%s\", \"x\": %ld",
                 i ? "," : "", result->curve->name, result->x, result->curve->name, result->x);
        stretch_print_result(first, result->n, result->ns, result->instructions);
    }
    printf("\n]\ncurves-json-end\n");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct result results[sizeof curves / sizeof curves[0] * POINTS];
    int first = stretch_begin("curves", argc, argv), count = 0;

    CHECK((buffer = aligned_alloc(PAGE, BUFFER)));
    /* Whether a huge page fits in would depend on where the program's memory is this time. */
    CHECK(madvise(buffer, BUFFER, MADV_NOHUGEPAGE) == 0);
    memset(buffer, 0, BUFFER);
    for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++) {
        const struct curve *curve = &curves[i];

        if (!stretch_is_wanted(curve->name, argc - first, argv + first))
            continue;
        for (int point = 0; point < POINTS && curve->x[point]; point++) {
            if (!curve->fits || curve->fits(curve->x[point]))
                results[count++] = measure(curve, curve->x[point]);
        }
    }
    print_results(results, count);
    stretch_end();
    return count == 0;
}
