/*
 * What a guest finds without having set it: the state that the firmware of QEMU's virt leaves, the
 * clock's registers loaded eight bytes at a time, and what a hart whose device tree does not name
 * Svinval answers to Svinval's instructions.
 */
#include "bare.h"

#define RTC            0x101000ul /* the goldfish RTC's registers, and: */
#define RTC_TIME       (RTC + 0x00)
#define RTC_ALARM      (RTC + 0x08)
#define RTC_ENABLED    (RTC + 0x10)
#define RTC_LAST       (RTC + 0x20)
#define SECOND         1000000000ul
#define SFENCE_W_INVAL 0x18000073u
#define SINVAL_VMA     0x16b50073u /* a0, a1 */
#define SINVAL_INVAL_I 0x18100073u
#define RDCYCLE        0xc0002573u /* a0 */
#define RDTIME         0xc0102573u
#define RDINSTRET      0xc0202573u
#define ECALL          0x00000073u

static uint64_t run(uint64_t address, uint64_t unused)
{
    (void)unused;
    uint64_t (*code)(uint64_t, uint64_t) = (void *)address;
    return code(0, 0);
}

static uint64_t load(uint64_t address, uint64_t width)
{
    CHECK(!bare_try(bare_load, address, width), "a load of %lu bytes at %#lx traps: %#lx", width,
          address, bare_trapped.scause);
    return bare_returned;
}

static uint64_t store_64(uint64_t address, uint64_t value)
{
    bare_write(uint64_t, address, value);
    return 0;
}

/* Called before anything writes these CSRs: scounteren lets vU read the three counters, and
 * sstatus.FS lets the kernel use the FPU. */
static void registers(void)
{
    CHECK(csr_read(CSR_SCOUNTEREN) == 7, "scounteren is %#lx", csr_read(CSR_SCOUNTEREN));
    CHECK((csr_read(CSR_SSTATUS) & SSTATUS_FS) == SSTATUS_FS, "sstatus is %#lx",
          csr_read(CSR_SSTATUS));
    CHECK(csr_read(CSR_SIP) == 0, "sip is %#lx", csr_read(CSR_SIP));
    csr_write(CSR_SCOUNTEREN, UINT64_MAX);
    printf("scounteren keeps %#lx\n", csr_read(CSR_SCOUNTEREN));
    csr_write(CSR_SCOUNTEREN, 7);
}

static void in_user(uint32_t insn, uint64_t counters, uint64_t cause, const char *name)
{
    uint32_t *code = bare_page();
    code[0] = insn;
    code[1] = ECALL;
    riscv_fence_i();
    csr_write(CSR_SCOUNTEREN, counters);
    bare_user((uint64_t)code, 0, 0);
    CHECK(bare_trapped.scause == cause, "%s in vU, scounteren %lu: %#lx", name, counters,
          bare_trapped.scause);
    csr_write(CSR_SCOUNTEREN, 7);
}

static void svinval(uint32_t insn, const char *name)
{
    uint32_t *code = bare_page();
    code[0] = insn;
    code[1] = BARE_RET;
    riscv_fence_i();
    /* 20 times is often enough that the highest patch level patches the site. */
    for (unsigned i = 0; i < 20; i++) {
        CHECK(bare_try(run, (uint64_t)code, 0), "%s is executed in vS", name);
        CHECK(bare_trapped.scause == CAUSE_ILLEGAL && bare_trapped.stval == insn &&
                  bare_trapped.sepc == (uint64_t)code,
              "%s in vS: scause %#lx, stval %#lx", name, bare_trapped.scause, bare_trapped.stval);
    }
    bare_user((uint64_t)code, 0, 0);
    CHECK(bare_trapped.scause == CAUSE_ILLEGAL, "%s in vU: %#lx", name, bare_trapped.scause);
}

static void clock(void)
{
    uint64_t low = load(RTC_TIME, 4), high = load(RTC_TIME + 4, 4), both = load(RTC_TIME, 8);
    CHECK(both - (high << 32 | low) < 10 * SECOND, "8 bytes of the time are %#lx, 4 and 4 are %#lx",
          both, high << 32 | low);
    uint64_t far = both + 1000 * SECOND;
    CHECK(!bare_try(store_64, RTC_ALARM, far), "a store of the alarm traps");
    CHECK(load(RTC_ALARM, 8) == far && load(RTC_ALARM, 4) == (uint32_t)far,
          "the alarm is %#lx and not %#lx", load(RTC_ALARM, 8), far);
    CHECK(!bare_try(store_64, RTC_ENABLED, 1ul << 32), "a store that clears the alarm traps");
    CHECK(load(RTC_ENABLED, 8) == 0, "the alarm's enable bit is %#lx", load(RTC_ENABLED, 8));
    CHECK(bare_try(bare_load, RTC_LAST, 8) && bare_trapped.scause == CAUSE_LOAD_ACCESS,
          "8 bytes over the end of the clock can be read");
    CHECK(bare_try(bare_load, RTC_TIME, 2) && bare_trapped.scause == CAUSE_LOAD_ACCESS,
          "2 bytes of the clock can be read");
}

int main(void)
{
    registers();
    in_user(RDCYCLE, 7, CAUSE_ECALL_U, "rdcycle");
    in_user(RDTIME, 7, CAUSE_ECALL_U, "rdtime");
    in_user(RDINSTRET, 7, CAUSE_ECALL_U, "rdinstret");
    in_user(RDCYCLE, 6, CAUSE_ILLEGAL, "rdcycle");
    in_user(RDINSTRET, 3, CAUSE_ILLEGAL, "rdinstret");
    in_user(RDINSTRET, 6, CAUSE_ECALL_U, "rdinstret");
    svinval(SFENCE_W_INVAL, "sfence.w.inval");
    svinval(SINVAL_VMA, "sinval.vma");
    svinval(SINVAL_INVAL_I, "sfence.inval.ir");
    clock();
    return bare_failures != 0;
}
