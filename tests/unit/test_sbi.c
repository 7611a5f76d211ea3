/*
 * Parts of the guest's SBI that a machine at hand does not show: firmwares that answer differently
 * for absent harts, a UART that stops taking bytes in the middle, and pieces.
 */
#include "sbi_rig.h"

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
