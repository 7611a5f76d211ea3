/* The disk, its device and its owner in unit tests: host_disk_rig.h. */
#include "host_disk_rig.h"

#define FEATURES \
    (1u << 9 | 1u << 28 | 1u << 29 | 1u) /* FLUSH, INDIRECT_DESC, EVENT_IDX; VERSION_1 */

struct host host;
struct device owner;
uint32_t registers[0x200 / 4];
uint64_t now;
static bool at_once; /* the device finishes requests while the driver waits for it */
uint16_t device_seen;
static struct host_irq irq;

/* The owner's requests. */
struct host_disk_request request[REQUESTS];
struct host_segment segment[REQUESTS];
uint8_t sector[REQUESTS][HOST_DISK_SECTOR];
bool busy[REQUESTS];
unsigned submitted, taken;
struct host_disk_request *again; /* the owner submits it once more when it is finished */

/* --- What the module asks of the rest --- */

uint64_t map_offset;

uint64_t io_time(void)
{
    if (at_once)
        finish(1);
    return now;
}

uint64_t io_instret(void)
{
    return 0;
}

void host_log(const char *format, ...)
{
    assert_non_null(format);
}

const void *written[8];
uint64_t written_len[8];
unsigned nwritten;

static void note_written(struct device *dev, const void *bytes, uint64_t len)
{
    assert_ptr_equal(dev, &owner);
    written[nwritten % 8] = bytes;
    written_len[nwritten++ % 8] = len;
}

static bool is_short;  /* an exit has cost enough when that was asked once before */
static unsigned asked; /* in this exit */

static bool yield(struct device *dev)
{
    assert_ptr_equal(dev, &owner);
    if (!is_short || ++asked == 1)
        return false;
    return dev->unfinished = true;
}

int host_irq_enable(struct host *machine, unsigned number,
                    bool (*handle)(void *argument, unsigned irq), void *argument)
{
    assert_ptr_equal(machine, &host);
    assert_int_equal(number, 1);
    irq = (struct host_irq){handle, argument};
    return 0;
}

/* --- The device --- */

unsigned outstanding(void)
{
    return (uint16_t)(host.disk.queue.memory.avail.index - device_seen);
}

bool finish(unsigned requests)
{
    struct virtio_queue *queue = &host.disk.queue;
    struct virtio_memory *memory = &queue->memory;
    uint16_t old = memory->used.index;
    for (; requests > 0 && outstanding() > 0; requests--) {
        uint16_t head = memory->avail.ring[device_seen++ % queue->size];
        const struct virtio_desc *table = (const void *)memory->desc[head].hpa;
        const struct virtio_desc *status = table + memory->desc[head].len / sizeof(*table) - 1;
        *(uint8_t *)status->hpa = 0;
        memory->used.ring[memory->used.index % queue->size].id = head;
        memory->used.index++;
    }
    return (uint16_t)(memory->used.index - memory->avail.ring[queue->size] - 1) <
           (uint16_t)(memory->used.index - old);
}

bool settle(void)
{
    return host.disk.front.end.settle(&host.disk.front.end);
}

void look(void)
{
    host.disk.front.end.look(&host.disk.front.end);
}

uint64_t next_look(void)
{
    return host.disk.front.end.next_look(&host.disk.front.end);
}

void idle(bool begins)
{
    host.disk.front.end.idle(&host.disk.front.end, begins);
}

void interrupt(void)
{
    assert_true(irq.handle(irq.argument, 1));
    look();
}

/* --- The owner --- */

void submit_as(enum host_disk_op op)
{
    unsigned i = 0;
    while (busy[i])
        i++;
    segment[i] = (struct host_segment){sector[i], HOST_DISK_SECTOR};
    request[i] = (struct host_disk_request){.op = op, .segments = &segment[i], .nsegments = 1};
    busy[i] = true;
    submitted++;
    assert_int_equal(host.disk.front.submit(&host.disk.front, &request[i]), 0);
    settle();
}

void submit(unsigned requests)
{
    while (requests--)
        submit_as(HOST_DISK_READ);
}

bool interrupts;   /* the owner interrupts the guest for what it takes, */
bool interrupting; /* and the guest is not through with that */

void service(struct device *dev)
{
    struct host_disk_request *done;
    assert_ptr_equal(dev, &owner);
    while ((done = host.disk.front.completed(&host.disk.front)) != NULL) {
        if (done == again) {
            again = NULL;
            done->op = HOST_DISK_FLUSH;
            assert_int_equal(host.disk.front.submit(&host.disk.front, done), 0);
            finish(1);
            continue;
        }
        assert_true(busy[done - request]);
        assert_int_equal(done->status, 0);
        busy[done - request] = false;
        interrupting = interrupts;
        taken++;
    }
}

static bool is_unfinished(const struct device *dev)
{
    assert_ptr_equal(dev, &owner);
    return dev->unfinished;
}

static bool is_interrupting(const struct device *dev)
{
    assert_ptr_equal(dev, &owner);
    return interrupting;
}

static const struct host_owner owner_calls = {
    .notify = service,
    .yield = yield,
    .is_unfinished = is_unfinished,
    .is_interrupting = is_interrupting,
    .written = note_written,
};

void start(unsigned ablate)
{
    const struct host_window window = {.hpa = (uint64_t)registers, .irq = 1};
    memset(&host, 0, sizeof(host));
    memset(registers, 0, sizeof(registers));
    registers[REG_DEVICE_FEATURES / 4] = FEATURES;
    registers[REG_QUEUE_NUM_MAX / 4] = VIRTIO_QUEUE_MAX;
    registers[VIRTIO_CONFIG / 4] = 1000;
    now = 1;
    device_seen = 0;
    at_once = true;
    assert_int_equal(host_disk_start(&host, &window, ablate), 0);
    at_once = false;
    owner = (struct device){.host = &host.disk.front, .end = &host.disk.front.end};
    nwritten = 0;
    host.disk.front.end.owner = &owner;
    host.disk.front.end.calls = &owner_calls;
    memset(busy, 0, sizeof(busy));
    submitted = taken = 0;
    again = NULL;
    interrupts = interrupting = false;
}

int setup(void **state)
{
    (void)state;
    start(0);
    return 0;
}

void begin_exit(bool ends_soon)
{
    is_short = ends_soon;
    asked = 0;
    owner.unfinished = false;
}

bool is_held(void)
{
    return next_look() != UINT64_MAX;
}

void until_held(void)
{
    for (unsigned i = 0; !is_held(); i++) {
        assert_true(i < 10);
        submit(1);
        assert_true(finish(1));
        interrupt();
    }
    assert_int_equal(taken, submitted - 1);
}
