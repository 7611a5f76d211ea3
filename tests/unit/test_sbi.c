/*
 * Parts of the guest's SBI that a machine at hand does not show: firmwares that answer differently
 * for absent harts, a UART that stops taking bytes in the middle, and pieces.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "board/board.h"
#include "board/devices.h"
#include "board/sbi.h"
#include "board/sbi_internal.h"
#include "device.h"
#include "host/firmware.h"
#include "host/machine.h"
#include "isa/riscv.h"
#include "vm/emulate.h"
#include "vm/engine.h"
#include "vm/run.h"
#include "vm/timer.h"
#include "vm/vm.h"

#define RAM      0x80200000ul
#define RAM_SIZE 8192u
#define PC       0x80200104ul /* behind the ecall */

static struct vm vm;
static struct host host;
static struct board board;
static struct vcpu the_vcpu, *const vcpu = &the_vcpu;
static uint8_t ram[RAM_SIZE], typed[64];
static char out[16384];
static size_t out_len, room, typed_len, typed_at;
static long firmware_says;
static unsigned fences, waits, raises, resumes;
static uint64_t mask_cause;

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

static const struct strategy given = {.compatible = "ns16550a"};
static const struct strategy queues = {.compatible = "virtio,mmio", .access = never};

/* The guest's UART: the machine's own, or one behind which is the host's end. */
static void use(const struct strategy *strategy)
{
    struct host_console *front = strategy->access ? &host.console.front : NULL;
    vm.device[0] = (struct device){.name = "uart", .strategy = strategy, .vm = &vm, .host = front};
    if (front)
        vm.device[0].end = &front->end;
}

static int setup(void **state)
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

static void with(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3)
{
    vcpu->x[10] = a0;
    vcpu->x[11] = a1;
    vcpu->x[12] = a2;
    vcpu->x[13] = a3;
}

#define DBCN 0x4442434eul

/* The guest's kernel makes a call. */
static void ecall(uint64_t eid, uint64_t fid)
{
    vcpu->x[16] = fid;
    vcpu->x[17] = eid;
    struct exit exit = sbi_call(vcpu);
    assert_int_equal(exit_class(exit), EXIT_SBI);
    assert_int_equal(exit_detail(exit), EXIT_SBI_CALL(eid, fid));
}

/* --- Harts --- */

struct mask_case {
    uint64_t mask, base;
    bool named;       /* hart 3 */
    bool base_exists; /* is hart 3 */
};

static const struct mask_case masks[] = {
    {1, 3, true, true},     {~0ul, 3, true, true},        {8, 0, true, false},
    {~0ul, 0, true, false}, {0, UINT64_MAX, true, false}, {0, 3, false, true},
    {2, 3, false, true},    {0, 0, false, false},         {7, 0, false, false},
    {1, 4, false, false},   {~0ul, 64, false, false},     {~0ul, UINT64_MAX - 1, false, false},
};

/* A hart that is there gets what is meant for it whatever the firmware thinks of the others. */
static void test_masks(void **state)
{
    (void)state;
    for (long says = SBI_SUCCESS;; says = SBI_ERR_INVALID_PARAM) {
        for (unsigned i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
            const struct mask_case *m = &masks[i];
            long error = m->named || m->base_exists ? SBI_SUCCESS : says;
            setup(NULL);
            firmware_says = says;
            vcpu->hartid = 3;
            with(m->mask, m->base, 0, 0);
            assert_int_equal(sbi_call_ipi(vcpu, 0).error, error);
            assert_int_equal(vcpu->csr.sip, m->named ? SIP_SSIP : 0);
            assert_int_equal(sbi_call_rfence(vcpu, 1).error, error);
            assert_int_equal(fences, m->named);
        }
        if (says != SBI_SUCCESS)
            return;
    }
}

static void test_legacy_masks(void **state)
{
    (void)state;
    for (uint64_t mask = 0; mask < 4; mask++) { /* emulate_read: the address is the mask */
        setup(NULL);
        with(mask, 0, 0, 0);
        assert_false(sbi_legacy_send_ipi(vcpu).elsewhere);
        assert_int_equal(vcpu->csr.sip, mask != 2 ? SIP_SSIP : 0);
        assert_false(sbi_legacy_sfence(vcpu).elsewhere);
        assert_false(sbi_legacy_sfence_asid(vcpu).elsewhere);
        assert_int_equal(fences, mask != 2 ? 2 : 0);
    }
    struct sbi_answer (*const calls[])(struct vcpu *) = {sbi_legacy_send_ipi, sbi_legacy_fence_i,
                                                         sbi_legacy_sfence, sbi_legacy_sfence_asid};
    for (unsigned i = 0; i < 4; i++) {
        setup(NULL);
        with(1, 0, 0, 0);
        mask_cause = CAUSE_LOAD_PAGE;
        assert_true(calls[i](vcpu).elsewhere);
        assert_int_equal(raises, 1);
        assert_int_equal(fences + vcpu->csr.sip, 0);
    }
}

/* However large a range: few fences, and one at the end of the address space is none at its
 * begin. */
static void test_ranges(void **state)
{
    static const struct {
        uint64_t start, size;
        unsigned fences;
    } ranges[] = {{0, 0, 1},
                  {0x1000, 1, 1},
                  {0x1fff, 2, 2},
                  {0x1000, 0x40000, 64},
                  {0x1001, 0x40000, 65},
                  {0x1000, 0x40001, 1},
                  {0, UINT64_MAX, 1},
                  {UINT64_MAX - 0xfff, 0x1000, 1},
                  {5, 1ul << 63, 1}};
    (void)state;
    for (unsigned i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        setup(NULL);
        with(1, 0, ranges[i].start, ranges[i].size);
        vcpu->x[14] = UINT64_MAX;
        assert_int_equal(sbi_call_rfence(vcpu, 2).error, SBI_SUCCESS);
        assert_int_equal(fences, ranges[i].fences);
    }
}

static void test_suspend(void **state)
{
    static const struct {
        uint64_t type, address;
        long error;
    } refused[] = {{1, RAM, SBI_ERR_INVALID_PARAM},
                   {0x0fffffff, RAM, SBI_ERR_INVALID_PARAM},
                   {0x10000000, RAM, SBI_ERR_NOT_SUPPORTED},
                   {0x7fffffff, 0, SBI_ERR_NOT_SUPPORTED},
                   {0x80000000, RAM - 1, SBI_ERR_INVALID_ADDRESS},
                   {0x80000001, RAM, SBI_ERR_INVALID_PARAM},
                   {0x90000000, RAM - 1, SBI_ERR_INVALID_ADDRESS},
                   {0xffffffff, RAM, SBI_ERR_NOT_SUPPORTED}};
    (void)state;
    for (unsigned i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        with(refused[i].type, refused[i].address, 0, 0);
        assert_int_equal(sbi_call_hsm(vcpu, 3).error, refused[i].error);
    }
    assert_int_equal(waits, 0);
    with(0x80000000, RAM + 2, 0x4711, 0);
    assert_true(sbi_call_hsm(vcpu, 3).elsewhere);
    assert_int_equal(resumes, 1);
    with(0, 0, 0, 0);
    assert_int_equal(sbi_call_hsm(vcpu, 3).error, SBI_SUCCESS);
    assert_int_equal(resumes + waits, 3);
}

/* --- Console --- */

/* The machine's UART takes few bytes at a time, in every way to cut "a\nb\n\n": each comes once. */
static void test_uart_that_stops(void **state)
{
    static const char wanted[] = "a\r\nb\r\n\r\n";
    (void)state;
    for (size_t step = 1; step < sizeof(wanted); step++) {
        setup(NULL);
        memcpy(ram, "a\nb\n\n", 5);
        room = 0;
        with(5, RAM, 0, 0);
        ecall(DBCN, 0);
        assert_int_equal(vcpu->pc, PC - 4); /* the call is made again */
        assert_int_equal(vcpu->x[10], 5);
        assert_int_equal(waits, 0); /* nobody would wake the VMM */
        for (uint64_t at = 0; at < 5;) {
            room = step;
            vcpu->pc = PC;
            with(5 - at, RAM + at, 0, 0);
            struct sbi_answer answer = sbi_call_dbcn(vcpu, 0);
            assert_true(answer.elsewhere ? vcpu->pc == PC - 4 : answer.value > 0);
            assert_false(answer.wait);
            at += answer.value;
        }
        assert_int_equal(out_len, sizeof(wanted) - 1);
        assert_memory_equal(out, wanted, out_len);
    }
}

/* Behind the ring a call takes all of its piece or nothing, and then waits for the host's
 * interrupt. */
static void test_ring(void **state)
{
    (void)state;
    use(&queues);
    memset(ram, '\n', sizeof(ram));
    with(RAM_SIZE, RAM, 0, 0);
    struct sbi_answer answer = sbi_call_dbcn(vcpu, 0);
    assert_int_equal(answer.value, 2048);
    assert_int_equal(out_len, 4096);
    ecall(DBCN, 0);
    assert_int_equal(vcpu->pc, PC - 4);
    assert_int_equal(vcpu->x[10], RAM_SIZE); /* and its arguments are as they were */
    assert_int_equal(vcpu->x[11], RAM);
    assert_int_equal(waits, 1);
    assert_int_equal(out_len, 4096);
    room = 2;
    with('\n', 0, 0, 0);
    assert_false(sbi_legacy_putchar(vcpu).elsewhere);
    assert_memory_equal(out + 4096, "\r\n", 2);
}

static void test_input(void **state)
{
    (void)state;
    for (unsigned way = 0; way < 2; way++) {
        setup(NULL);
        use(way ? &queues : &given);
        for (typed_len = 0; typed_len < 64; typed_len++)
            typed[typed_len] = (uint8_t)(200 + typed_len);
        assert_int_equal(sbi_legacy_getchar(vcpu).error, 200);
        with(RAM_SIZE, RAM, 0, 0);
        struct sbi_answer answer = sbi_call_dbcn(vcpu, 1);
        assert_int_equal(answer.error, SBI_SUCCESS);
        assert_int_equal(answer.value, 63);
        assert_memory_equal(ram, typed + 1, 63);
        assert_int_equal(ram[63], 0);
        assert_int_equal(sbi_call_dbcn(vcpu, 1).value, 0);
        assert_int_equal(sbi_legacy_getchar(vcpu).error, -1);
    }
    with(RAM_SIZE + 1, RAM, 0, 0);
    assert_int_equal(sbi_call_dbcn(vcpu, 1).error, SBI_ERR_INVALID_PARAM);
    with(1, RAM, 1, 0);
    assert_int_equal(sbi_call_dbcn(vcpu, 0).error, SBI_ERR_INVALID_PARAM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_masks, setup),
        cmocka_unit_test_setup(test_legacy_masks, setup),
        cmocka_unit_test_setup(test_ranges, setup),
        cmocka_unit_test_setup(test_suspend, setup),
        cmocka_unit_test_setup(test_uart_that_stops, setup),
        cmocka_unit_test_setup(test_ring, setup),
        cmocka_unit_test_setup(test_input, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
