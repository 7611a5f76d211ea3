/*
 * The seam and the host ends as plain memory (see mock.h).
 *
 * The checks in disk_submit are the contract of struct host_disk: a device that breaks it is
 * refused and counted in .invalid, which a test can assert to be 0.
 */
#include "mock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- The seam --- */

void *vm_ram(struct vm *vm, uint64_t gpa, uint64_t len)
{
    if (!len || gpa < MOCK_RAM_BASE || len > MOCK_RAM_SIZE ||
        gpa - MOCK_RAM_BASE > MOCK_RAM_SIZE - len)
        return NULL;
    return vm->ram + (gpa - MOCK_RAM_BASE);
}

void *vm_ram_for_write(struct vm *vm, uint64_t gpa, uint64_t len)
{
    void *bytes = vm_ram(vm, gpa, len);
    if (bytes)
        vm->writable_asks++;
    return bytes;
}

int vm_map(struct vm *vm, uint64_t gpa, uint64_t hpa, uint64_t size)
{
    vm->maps++;
    vm->map_gpa = gpa;
    vm->map_hpa = hpa;
    vm->map_size = size;
    return 0;
}

int vm_route_irq(struct device *dev, unsigned host_irq)
{
    dev->vm->routes++;
    dev->vm->route_irq = host_irq;
    return 0;
}

void device_set_irq(struct device *dev, bool level)
{
    struct mock *mock = (struct mock *)((char *)dev - offsetof(struct mock, dev));
    if (level && !dev->line) {
        dev->count.irqs++;
        mock->edges++;
    }
    mock->asserted += level;
    dev->line = level;
}

bool device_yield(struct device *dev)
{
    if (dev->vm->yield_after == 0 || ++dev->vm->asked < dev->vm->yield_after)
        return false;
    dev->vm->asked = 0;
    dev->unfinished = true;
    return true;
}

static bool device_access(struct device *dev, struct mmio *io)
{
    if (io->store)
        dev->count.stores++;
    else
        dev->count.loads++;
    io->more = dev->vm->runs_ahead;
    bool done = dev->strategy->access(dev, io);
    if (io->put_off)
        assert_true(io->more);
    dev->put_off |= io->put_off;
    return done;
}

/* --- The disk --- */

uint8_t mock_disk_pattern(uint64_t sector, unsigned index)
{
    return (uint8_t)(sector * 7 + index);
}

static struct mock_disk *disk_of(struct host_disk *front)
{
    return (struct mock_disk *)((char *)front - offsetof(struct mock_disk, front));
}

static bool moves_data(const struct host_disk_request *request)
{
    return request->op == HOST_DISK_READ || request->op == HOST_DISK_WRITE;
}

static uint64_t request_sectors(const struct host_disk_request *request)
{
    uint64_t bytes = 0;
    if (!moves_data(request))
        return request->op == HOST_DISK_FLUSH ? 0 : request->count;
    for (uint32_t i = 0; i < request->nsegments; i++)
        bytes += request->segments[i].len;
    return bytes / HOST_DISK_SECTOR;
}

static bool request_is_valid(const struct mock_disk *disk, const struct host_disk_request *request)
{
    uint64_t bytes = 0, sectors = request_sectors(request);
    if (request->op > HOST_DISK_WRITE_ZEROES)
        return false;
    if (moves_data(request)) {
        if (!request->nsegments || request->nsegments > HOST_DISK_MAX_SEGMENTS)
            return false;
        for (uint32_t i = 0; i < request->nsegments; i++) {
            if (!request->segments[i].base || !request->segments[i].len)
                return false;
            bytes += request->segments[i].len;
        }
        if (bytes % HOST_DISK_SECTOR)
            return false;
    }
    if ((request->op == HOST_DISK_DISCARD && !disk->front.can_discard) ||
        (request->op == HOST_DISK_WRITE_ZEROES && !disk->front.can_write_zeroes))
        return false;
    return sectors <= disk->front.sectors && request->sector <= disk->front.sectors - sectors;
}

static void append(struct host_disk_request **list, struct host_disk_request *request)
{
    while (*list)
        list = &(*list)->next;
    request->next = NULL;
    *list = request;
}

static int carry_out(struct mock_disk *disk, struct host_disk_request *request)
{
    uint8_t *at = disk->image + request->sector * HOST_DISK_SECTOR;
    uint64_t sectors = request_sectors(request);
    if (disk->fail_next) {
        int status = disk->fail_next;
        disk->fail_next = 0;
        return status;
    }
    if (moves_data(request) && disk->bad_sector >= request->sector &&
        disk->bad_sector - request->sector < sectors)
        return -EIO;
    if (disk->front.read_only && request->op != HOST_DISK_READ && request->op != HOST_DISK_FLUSH)
        return -EIO;
    if (request->op == HOST_DISK_DISCARD || request->op == HOST_DISK_WRITE_ZEROES)
        memset(at, 0, sectors * HOST_DISK_SECTOR);
    for (uint32_t i = 0; moves_data(request) && i < request->nsegments; i++) {
        struct host_segment *segment = &request->segments[i];
        if (request->op == HOST_DISK_READ)
            memcpy(segment->base, at, segment->len);
        else
            memcpy(at, segment->base, segment->len);
        at += segment->len;
    }
    return 0;
}

static void complete_one(struct mock_disk *disk, struct host_disk_request **link)
{
    struct host_disk_request *request = *link;
    *link = request->next;
    disk->ninflight--;
    request->status = carry_out(disk, request);
    append(&disk->done, request);
}

static int disk_submit(struct host_disk *front, struct host_disk_request *request)
{
    struct mock_disk *disk = disk_of(front);
    int refuse = disk->refuse_next;
    disk->refuse_next = 0;
    if (!refuse && !request_is_valid(disk, request)) {
        disk->invalid++;
        refuse = -EINVAL;
    }
    if (!refuse && disk->ninflight >= front->depth)
        refuse = -EAGAIN;
    if (refuse) {
        disk->refusals++;
        return refuse;
    }
    disk->submits[request->op]++;
    disk->last_nsegments = moves_data(request) ? request->nsegments : 0;
    append(&disk->inflight, request);
    if (++disk->ninflight > disk->max_inflight)
        disk->max_inflight = disk->ninflight;
    if (disk->immediate)
        complete_one(disk, &disk->inflight);
    return 0;
}

static struct host_disk_request *disk_completed(struct host_disk *front)
{
    struct mock_disk *disk = disk_of(front);
    struct host_disk_request *request = disk->done;
    if (request)
        disk->done = request->next;
    return request;
}

static void disk_reset(struct host_disk *front)
{
    struct mock_disk *disk = disk_of(front);
    disk->inflight = NULL;
    disk->done = NULL;
    disk->ninflight = 0;
    disk->resets++;
}

void mock_disk_complete(struct mock *mock, unsigned nth)
{
    struct host_disk_request **link = &mock->disk.inflight;
    assert_true(nth < mock->disk.ninflight);
    while (nth--)
        link = &(*link)->next;
    complete_one(&mock->disk, link);
}

void mock_disk_finish(struct mock *mock)
{
    while (mock->disk.inflight || mock->disk.done || mock->dev.unfinished) {
        while (mock->disk.inflight)
            mock_disk_complete(mock, 0);
        mock_service(mock);
    }
}

/* --- The console --- */

static struct mock_console *console_of(struct host_console *front)
{
    return (struct mock_console *)((char *)front - offsetof(struct mock_console, front));
}

static size_t console_write(struct host_console *front, const uint8_t *bytes, size_t len)
{
    struct mock_console *console = console_of(front);
    if (len > console->room)
        len = console->room;
    if (len > sizeof(console->output) - console->noutput)
        len = sizeof(console->output) - console->noutput;
    if (len)
        memcpy(console->output + console->noutput, bytes, len);
    console->noutput += len;
    console->writes += len > 0;
    if (console->room != SIZE_MAX)
        console->room -= len;
    return len;
}

static size_t console_read(struct host_console *front, uint8_t *bytes, size_t len)
{
    struct mock_console *console = console_of(front);
    if (len > console->ninput - console->input_taken)
        len = console->ninput - console->input_taken;
    if (len)
        memcpy(bytes, console->input + console->input_taken, len);
    console->input_taken += len;
    return len;
}

void mock_console_type(struct mock *mock, const void *bytes, size_t len)
{
    struct mock_console *console = &mock->console;
    if (console->input_taken == console->ninput)
        console->input_taken = console->ninput = 0;
    assert_true(len <= sizeof(console->input) - console->ninput);
    memcpy(console->input + console->ninput, bytes, len);
    console->ninput += len;
}

/* --- The board --- */

static struct mock *mock_new(const struct strategy *strategy, const char *name)
{
    struct mock *mock = calloc(1, sizeof(*mock));
    assert_non_null(mock);
    mock->vm.ram = calloc(1, MOCK_RAM_SIZE);
    mock->disk.image = malloc(MOCK_SECTORS * HOST_DISK_SECTOR);
    assert_non_null(mock->vm.ram);
    assert_non_null(mock->disk.image);
    for (uint64_t i = 0; i < MOCK_SECTORS * HOST_DISK_SECTOR; i++)
        mock->disk.image[i] = mock_disk_pattern(i / HOST_DISK_SECTOR, i % HOST_DISK_SECTOR);
    mock->disk.bad_sector = UINT64_MAX;
    mock->disk.front = (struct host_disk){
        .sectors = MOCK_SECTORS,
        .depth = 64,
        .can_discard = true,
        .can_write_zeroes = true,
        .serial = "MOCK0001",
        .submit = disk_submit,
        .completed = disk_completed,
        .reset = disk_reset,
    };
    mock->console.room = SIZE_MAX;
    mock->console.front = (struct host_console){.write = console_write, .read = console_read};
    mock->dev.strategy = strategy;
    mock->dev.name = name;
    mock->dev.base = 0x10000000;
    mock->dev.irq = 10;
    mock->dev.vm = &mock->vm;
    mock->dev.state = calloc(1, strategy->state_size ? strategy->state_size : 1);
    assert_non_null(mock->dev.state);
    return mock;
}

static struct mock *attached(struct mock *mock, void *host, struct host_end *end)
{
    mock->dev.host = host;
    mock->dev.end = end;
    end->owner = &mock->dev;
    assert_int_equal(mock->dev.strategy->attach(&mock->dev), 0);
    return mock;
}

struct mock *mock_new_disk(const struct strategy *strategy)
{
    struct mock *mock = mock_new(strategy, "disk");
    return attached(mock, &mock->disk.front, &mock->disk.front.end);
}

struct mock *mock_new_console(const struct strategy *strategy)
{
    struct mock *mock = mock_new(strategy, "uart");
    return attached(mock, &mock->console.front, &mock->console.front.end);
}

void mock_free(struct mock *mock)
{
    free(mock->dev.state);
    free(mock->disk.image);
    free(mock->vm.ram);
    free(mock);
}

bool mock_try_load(struct mock *mock, uint64_t offset, unsigned width, uint64_t *value)
{
    struct mmio io = {.offset = offset, .width = (uint8_t)width};
    bool ok = device_access(&mock->dev, &io);
    *value = io.value;
    return ok;
}

bool mock_try_store(struct mock *mock, uint64_t offset, unsigned width, uint64_t value)
{
    struct mmio io = {.offset = offset, .width = (uint8_t)width, .store = true};
    io.value = width < 8 ? value & ((1ull << (8 * width)) - 1) : value;
    return device_access(&mock->dev, &io);
}

uint64_t mock_load(struct mock *mock, uint64_t offset, unsigned width)
{
    uint64_t value;
    assert_true(mock_try_load(mock, offset, width, &value));
    return value;
}

void mock_store(struct mock *mock, uint64_t offset, unsigned width, uint64_t value)
{
    assert_true(mock_try_store(mock, offset, width, value));
}

void mock_service(struct mock *mock)
{
    mock->dev.unfinished = false;
    if (mock->dev.strategy->service)
        mock->dev.strategy->service(&mock->dev);
}

void mock_settle(struct mock *mock)
{
    mock->vm.runs_ahead = false;
    if (mock->dev.put_off)
        mock_service(mock);
    mock->dev.put_off = false;
}

void *mock_ram(struct mock *mock, uint64_t gpa, uint64_t len)
{
    void *bytes = vm_ram(&mock->vm, gpa, len);
    assert_non_null(bytes);
    return bytes;
}

uint64_t mock_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}
