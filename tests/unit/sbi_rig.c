/* The guest's SBI in unit tests: sbi_rig.h. */
#include "sbi_rig.h"

static struct vm vm;
static struct host host;
static struct board board;
static struct vcpu the_vcpu;
struct vcpu *const vcpu = &the_vcpu;
uint8_t ram[RAM_SIZE], typed[64];
char out[16384];
size_t out_len, room, typed_len, typed_at;
long firmware_says;
unsigned fences, waits, raises, resumes;
uint64_t mask_cause;

/* --- What the code under test calls --- */

struct firmware_answer firmware_call(uint64_t extension, uint64_t function, uint64_t a0,
                                     uint64_t a1, uint64_t a2)
{
    assert_int_equal(extension, SBI_EID_IPI);
    assert_int_equal(function, 0);
    assert_int_equal(a0, 0); /* to nobody */
    assert_true(a1 != 0 && a1 != UINT64_MAX);
    assert_int_equal(a2, 0);
    return (struct firmware_answer){firmware_says, 0};
}

uint64_t emulate_read(struct vcpu *hart, uint64_t gva, unsigned width, uint64_t *value,
                      uint64_t *stval)
{
    (void)hart;
    assert_int_equal(width, 8);
    *stval = gva;
    *value = gva;
    return mask_cause;
}

void vcpu_raise(struct vcpu *hart, uint64_t cause, uint64_t stval)
{
    assert_int_equal(hart->pc, PC - 4);
    assert_int_equal(cause, mask_cause);
    assert_int_equal(stval, hart->x[10]);
    raises++;
}

void timer_set(struct vcpu *hart, uint64_t stimecmp)
{
    (void)hart, (void)stimecmp;
    fail();
}

void stats_reset(struct vm *of)
{
    (void)of;
    fail();
}

void run_wfi(struct vcpu *hart, struct exit exit)
{
    assert_ptr_equal(hart, vcpu);
    assert_int_equal(exit_class(exit), EXIT_SBI);
    waits++;
}

void run_wait(struct vcpu *hart, struct exit exit, bool for_guest)
{
    assert_ptr_equal(hart, vcpu);
    assert_int_equal(exit_class(exit), EXIT_SBI);
    assert_true(for_guest);
    waits++;
}

void vcpu_resume(struct vcpu *hart, uint64_t pc, uint64_t opaque)
{
    (void)hart;
    assert_int_equal(waits, 1);
    assert_int_equal(pc, RAM + 2);
    assert_int_equal(opaque, 0x4711);
    resumes++;
}

static void fence(struct vcpu *hart, unsigned by, uint64_t gva, uint64_t asid)
{
    (void)hart, (void)by, (void)gva;
    assert_true(asid <= SATP_ASID_MASK);
    fences++;
}

static const struct engine engine = {.name = "test", .fence = fence};

void *vm_ram(struct vm *of, uint64_t gpa, uint64_t len)
{
    assert_ptr_equal(of, &vm);
    return len && gpa >= RAM && gpa < RAM + RAM_SIZE && len <= RAM + RAM_SIZE - gpa
               ? ram + (gpa - RAM)
               : NULL;
}

void *vm_ram_for_write(struct vm *of, uint64_t gpa, uint64_t len)
{
    return vm_ram(of, gpa, len);
}

static void put(char byte)
{
    assert_true(out_len < sizeof(out));
    out[out_len++] = byte;
}

/* A passed-through 16550 that takes `room` more bytes. */
bool device_carry_out(struct device *dev, struct mmio *io)
{
    assert_int_equal(io->width, 1);
    if (dev->strategy->access)
        return dev->strategy->access(dev, io);
    if (io->store) {
        assert_int_equal(io->offset, 0);
        assert_true(room > 0); /* else the byte is lost */
        room--;
        put((char)io->value);
    } else if (io->offset == 5) {
        io->value = (room ? 0x20 : 0) | (typed_at < typed_len);
    } else {
        assert_int_equal(io->offset, 0);
        assert_true(typed_at < typed_len);
        io->value = typed[typed_at++];
    }
    return true;
}

size_t host_console_room(struct host *of)
{
    assert_ptr_equal(of, &host);
    return room;
}

static size_t end_write(struct host_console *end, const uint8_t *bytes, size_t len)
{
    (void)end;
    assert_true(len <= room);
    room -= len;
    for (size_t i = 0; i < len; i++)
        put((char)bytes[i]);
    return len;
}

static size_t end_read(struct host_console *end, uint8_t *bytes, size_t len)
{
    size_t got = 0;
    (void)end;
    while (got < len && typed_at < typed_len)
        bytes[got++] = typed[typed_at++];
    return got;
}

/* --- The guest --- */

static bool never(struct device *dev, struct mmio *io)
{
    (void)dev, (void)io;
    fail();
    return false;
}

const struct strategy given = {.compatible = "ns16550a"};
const struct strategy queues = {.compatible = "virtio,mmio", .access = never};

void use(const struct strategy *strategy)
{
    struct host_console *front = strategy->access ? &host.console.front : NULL;
    vm.device[0] = (struct device){.name = "uart", .strategy = strategy, .vm = &vm, .host = front};
    if (front)
        vm.device[0].end = &front->end;
}

int setup(void **state)
{
    (void)state;
    memset(&vm, 0, sizeof(vm));
    memset(&host, 0, sizeof(host));
    memset(&board, 0, sizeof(board));
    memset(vcpu, 0, sizeof(*vcpu));
    vm.host = &host;
    vm.board = &board;
    vm.engine = &engine;
    vm.vcpus[0] = vcpu;
    host.console.front = (struct host_console){.write = end_write, .read = end_read};
    vcpu->vm = &vm;
    vcpu->pc = PC;
    vm.devices = 1;
    use(&given);
    out_len = typed_at = typed_len = 0;
    room = 4096;
    firmware_says = SBI_SUCCESS;
    fences = waits = raises = resumes = 0;
    mask_cause = 0;
    memset(ram, 0, sizeof(ram));
    return 0;
}

void with(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3)
{
    vcpu->x[10] = a0;
    vcpu->x[11] = a1;
    vcpu->x[12] = a2;
    vcpu->x[13] = a3;
}

void ecall(uint64_t eid, uint64_t fid)
{
    vcpu->x[16] = fid;
    vcpu->x[17] = eid;
    struct exit exit = sbi_call(vcpu);
    assert_int_equal(exit_class(exit), EXIT_SBI);
    assert_int_equal(exit_detail(exit), EXIT_SBI_CALL(eid, fid));
}
