/*
 * Disk requests above the drivers: submit, wait with an end, restart a device that went silent.
 */
#include "kernel.h"

#define REQUEST_MS 10000u /* longest wait for one request */

struct disk *disk;

const char *disk_status_name(enum disk_status status)
{
    static const char *const name[] = {
        [DISK_OK] = "ok",
        [DISK_PENDING] = "pending",
        [DISK_ERROR] = "the device reported an error",
        [DISK_TIMEOUT] = "the device did not answer",
        [DISK_MISMATCH] = "the content is not what was expected",
        [DISK_ABORTED] = "aborted",
    };
    return name[status];
}

static bool is_complete(void *argument)
{
    return ((struct disk_request *)argument)->status != DISK_PENDING;
}

enum disk_status disk_wait(struct disk_request *request)
{
    if (!time_wait(is_complete, request, time_now() + time_from_ms(REQUEST_MS))) {
        printf("%s: no answer within %u ms, restarting it\n", disk->name, REQUEST_MS);
        disk->restart(disk);
        request->status = DISK_TIMEOUT;
    }
    return request->status;
}

void disk_commit(void)
{
    bool were_on = interrupts_off();
    if (disk->commit)
        disk->commit(disk);
    if (were_on)
        interrupts_on();
}

enum disk_status disk_do(enum disk_op op, uint64_t sector, uint32_t count, void *buffer)
{
    struct disk_request request = {.op = op, .sector = sector, .count = count, .buffer = buffer};
    bool were_on = interrupts_off();
    bool accepted = disk->submit(disk, &request);
    disk_commit();
    if (were_on)
        interrupts_on();
    return accepted ? disk_wait(&request) : DISK_ERROR;
}

/* --- Several in flight --- */

struct run {
    const struct disk_stream *stream;
    struct disk_request slot[DISK_DEPTH_MAX];
    bool used[DISK_DEPTH_MAX];
    unsigned in_flight;
    uint64_t submitted; /* sectors */
    enum disk_status status;
    uint64_t failed;
};

static void note_failure(struct run *run, enum disk_status status, uint64_t sector)
{
    if (run->status == DISK_OK) {
        run->status = status;
        run->failed = sector;
    }
}

/* Fills free slots and submits them until the device takes no more. */
static void submit_more(struct run *run)
{
    const struct disk_stream *stream = run->stream;
    for (unsigned i = 0; i < stream->depth && run->submitted < stream->total; i++) {
        if (run->used[i])
            continue;
        struct disk_request *request = &run->slot[i];
        uint64_t offset = run->submitted % stream->sectors;
        uint64_t left = stream->total - run->submitted;
        uint64_t place = stream->by_position ? offset : (uint64_t)i * stream->count;
        request->op = stream->op;
        request->sector = stream->first + offset;
        request->count = left < stream->count ? (uint32_t)left : stream->count;
        request->buffer = stream->memory + place * DISK_SECTOR;
        if (stream->op == DISK_WRITE && stream->each)
            stream->each(request);
        bool were_on = interrupts_off();
        bool accepted = disk->submit(disk, request);
        if (were_on)
            interrupts_on();
        if (!accepted)
            return;
        run->used[i] = true;
        run->in_flight++;
        run->submitted += request->count;
    }
}

static bool any_complete(void *argument)
{
    struct run *run = argument;
    for (unsigned i = 0; i < run->stream->depth; i++)
        if (run->used[i] && run->slot[i].status != DISK_PENDING)
            return true;
    return false;
}

static void collect(struct run *run)
{
    for (unsigned i = 0; i < run->stream->depth; i++) {
        struct disk_request *request = &run->slot[i];
        if (!run->used[i] || request->status == DISK_PENDING)
            continue;
        run->used[i] = false;
        run->in_flight--;
        if (request->status != DISK_OK)
            note_failure(run, request->status, request->sector);
        else if (run->stream->op == DISK_READ && run->stream->each && !run->stream->each(request))
            note_failure(run, DISK_MISMATCH, request->sector);
    }
}

enum disk_status disk_run(const struct disk_stream *stream, uint64_t *failed)
{
    static struct run run; /* too large for the stack; there is one thread of control */
    run = (struct run){.stream = stream, .status = DISK_OK};
    for (;;) {
        if (console_interrupted())
            note_failure(&run, DISK_ABORTED, 0);
        if (run.status == DISK_OK) {
            submit_more(&run);
            disk_commit();
        }
        if (run.in_flight == 0)
            break;
        if (!time_wait(any_complete, &run, time_now() + time_from_ms(REQUEST_MS))) {
            printf("%s: no answer within %u ms, restarting it\n", disk->name, REQUEST_MS);
            note_failure(&run, DISK_TIMEOUT, 0);
            if (!disk->restart(disk))
                break;
        }
        collect(&run);
    }
    if (run.status == DISK_OK && run.submitted < stream->total)
        note_failure(&run, DISK_TIMEOUT, 0); /* an idle device that accepts nothing */
    if (failed)
        *failed = run.failed;
    return run.status;
}
