/*
 * Console input, read in turn by each way that there is: the legacy call, DBCN, and the UART's own
 * registers or, where the UART is a virtio console, its receive queue. A byte that is typed must
 * come once, and in order, whichever way asks for it.
 *
 * It prints each line and by which ways the line's bytes came; a line "end" ends the guest. A
 * 16550's FIFOs are off in every other line.
 */
#include "bare.h"

#define LEGACY_GETCHAR 0x02ul
#define EID_DBCN       0x4442434eul

#define UART_LSR 5u
#define UART_FCR 2u
#define LSR_DATA 0x01u

#define LINE     200u
#define DBCN_MAX 3u /* bytes of one read */

/* virtio-mmio (virtio specification 1.2, section 4.2), and the console's first queue. */
#define MAGIC          0x74726976u
#define ID_CONSOLE     3u
#define REG_MAGIC      0x000u
#define REG_DEVICE_ID  0x008u
#define REG_DRIVER_SEL 0x024u
#define REG_DRIVER     0x020u
#define REG_QUEUE_SEL  0x030u
#define REG_QUEUE_NUM  0x038u
#define REG_QUEUE_GO   0x044u
#define REG_NOTIFY     0x050u
#define REG_STATUS     0x070u
#define REG_DESC       0x080u
#define REG_AVAIL      0x090u
#define REG_USED       0x0a0u
#define STATUS_KNOWN   0x03u
#define STATUS_AGREED  0x0bu
#define STATUS_RUNS    0x0fu
#define DESC_WRITE     2u
#define QUEUE          2u

struct queue {
    struct {
        uint64_t address;
        uint32_t length;
        uint16_t flags, next;
    } desc[QUEUE];
    struct {
        uint16_t flags, index, ring[QUEUE];
    } avail;
    struct {
        uint16_t flags, index;
        struct {
            uint32_t id, length;
        } ring[QUEUE];
    } used __attribute__((aligned(8)));
    uint8_t byte;
};

static volatile struct queue *queue;
static uint64_t console; /* base of the virtio console; 0: the UART is a 16550 */
static uint8_t line[LINE];
static char ways[LINE];
static unsigned length, lines;

static void put(uint32_t offset, uint32_t value)
{
    bare_write(uint32_t, console + offset, value);
}

static void put_address(uint32_t offset, volatile const void *memory)
{
    put(offset, (uint32_t)(uint64_t)memory);
    put(offset + 4, (uint32_t)((uint64_t)memory >> 32));
}

static void start_queue(void)
{
    queue = bare_page();
    put(REG_STATUS, 0);
    put(REG_STATUS, STATUS_KNOWN);
    put(REG_DRIVER_SEL, 1);
    put(REG_DRIVER, 1); /* VERSION_1 alone */
    put(REG_STATUS, STATUS_AGREED);
    put(REG_QUEUE_SEL, 0);
    put(REG_QUEUE_NUM, QUEUE);
    put_address(REG_DESC, &queue->desc);
    put_address(REG_AVAIL, &queue->avail);
    put_address(REG_USED, &queue->used);
    put(REG_QUEUE_GO, 1);
    put(REG_STATUS, STATUS_RUNS);
}

/* Which UART the machine has. */
static void look(void)
{
    const uint64_t base = BARE_VIRTIO(1);
    console = 0;
    if (!bare_try(bare_load, base + REG_MAGIC, 4) && bare_returned == MAGIC &&
        bare_read(uint32_t, base + REG_DEVICE_ID) == ID_CONSOLE) {
        console = base;
        start_queue();
    }
}

static void got(uint8_t byte, char way)
{
    if (length < LINE - 1) {
        line[length] = byte;
        ways[length++] = way;
    }
}

/* --- The ways --- */

/* Each takes what it can get now, or a little of it. */

static bool by_getchar(void)
{
    int64_t byte = bare_sbi(LEGACY_GETCHAR, 0, 0, 0, 0, 0).error;
    if (byte < 0)
        return false;
    got((uint8_t)byte, 'g');
    return true;
}

static bool by_dbcn(void)
{
    static uint8_t buffer[DBCN_MAX];
    struct bare_sbi read = bare_sbi(EID_DBCN, 1, DBCN_MAX, (uint64_t)buffer, 0, 0);
    CHECK(read.error == 0 && read.value <= DBCN_MAX, "DBCN read: error %ld, %lu bytes", read.error,
          read.value);
    for (unsigned i = 0; i < read.value; i++)
        got(buffer[i], 'd');
    return read.value > 0;
}

/* Gives the device a buffer of one byte, and waits until the device has filled it: a buffer cannot
 * be taken back. */
static bool by_queue(void)
{
    uint16_t index = queue->avail.index;
    queue->desc[0].address = (uint64_t)&queue->byte;
    queue->desc[0].length = 1;
    queue->desc[0].flags = DESC_WRITE;
    queue->avail.ring[index % QUEUE] = 0;
    bare_fence();
    queue->avail.index = (uint16_t)(index + 1);
    bare_fence();
    put(REG_NOTIFY, 0);
    while (queue->used.index == index)
        bare_fence();
    got(queue->byte, 'u');
    return true;
}

static bool by_uart(void)
{
    if (console)
        return by_queue();
    if (!(bare_read(uint8_t, BARE_UART + UART_LSR) & LSR_DATA))
        return false;
    got(bare_read(uint8_t, BARE_UART), 'u');
    return true;
}

static bool (*const way[])(void) = {by_getchar, by_uart, by_dbcn, by_uart, by_getchar, by_dbcn};

/* Changing FCR's enable bit empties the FIFOs, so no byte may be on its way: the tester types the
 * next line when it has seen this one printed. */
static void print_line(void)
{
    if (!console)
        bare_write(uint8_t, BARE_UART + UART_FCR, ++lines & 1 ? 0 : 1);
    printf("line [%.*s] by [%.*s]\n", (int)length, (const char *)line, (int)length, ways);
    length = 0;
}

int main(void)
{
    unsigned turn = 0;
    look();
    printf("ready\n");
    for (;;) {
        /* A way has its turn until it has got something. */
        if (!way[turn % (sizeof(way) / sizeof(way[0]))]())
            continue;
        turn++;
        if (line[length - 1] != '\r')
            continue;
        bool over = length == 4 && memcmp(line, "end", 3) == 0;
        length--;
        print_line();
        if (over)
            return bare_failures != 0;
    }
}
