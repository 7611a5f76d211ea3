/*
 * Loads and stores that the VMM carries out (core/vm/emulate.c, with window.c, walk.c and ram.c
 * behind it): what the device sees, what the register gets, and what is an access fault instead.
 * Surprise: the same bytes are one access of a device or a fault, depending on whether the
 * instruction, the fault's address and the alignment agree.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "device.h"
#include "isa/fp.h"
#include "rig.h"
#include "vm/emulate.h"

#define BASE  0x10000000ul /* of the device's window */
#define GVA   0x40000000ul /* where the guest has it */
#define VALUE 0x8182838485868788ul
#define RD    10u
#define RS1   11u
#define RS2   12u

static uint64_t f[32];
static bool refuses;

uint64_t fp_read(unsigned number)
{
    return f[number];
}

void fp_write(unsigned number, uint64_t value)
{
    f[number] = value;
}

/* --- A device --- */

/* A load answers with VALUE, zero-extended from its width. */
static bool access(struct vcpu *vcpu, void *self, struct mmio *io)
{
    assert_ptr_equal(vcpu, &rig.vcpu);
    assert_ptr_equal(self, &refuses);
    if (io->store)
        rig_note("store %#lx %u %#lx%s", io->offset, io->width, io->value, io->more ? " more" : "");
    else
        rig_note("load %#lx %u%s", io->offset, io->width, io->more ? " more" : "");
    if (!io->store)
        io->value = VALUE & UINT64_MAX >> (64 - 8 * io->width);
    return !refuses;
}

static bool access_nothing(struct vcpu *vcpu, void *self, struct mmio *io)
{
    (void)vcpu, (void)self, (void)io;
    return false;
}

static void row(const char *name)
{
    const struct window device = {BASE, 0x1000, access, &refuses, EXIT_MMIO, 1};
    const struct window closed = {.base = BASE + 0x1000, .size = 0x1000, .access = access_nothing};
    rig_row(name);
    refuses = false;
    memset(f, 0, sizeof(f));
    assert_true(window_add(&rig.vm, &device));
    assert_true(window_add(&rig.vm, &closed));
    rig.vcpu.x[RD] = 0x77;
    rig.vcpu.x[RS1] = GVA + 0x100;
    rig.vcpu.x[RS2] = f[RS2] = VALUE;
}

static struct insn insn_of(enum insn_op op, unsigned width, int imm)
{
    return (struct insn){.op = (uint8_t)op,
                         .width = (uint8_t)width,
                         .imm = imm,
                         .rd = RD,
                         .rs1 = RS1,
                         .rs2 = RS2,
                         .length = 4};
}

static enum access access_of(const struct insn *insn)
{
    return emulate_is_load(insn) ? ACCESS_LOAD : ACCESS_STORE;
}

/* The instruction faulted at the address that it names. */
static struct exit emulate(const struct insn *insn, bool more)
{
    uint64_t gva = emulate_address(&rig.vcpu, insn);
    return emulate_mmio(&rig.vcpu, insn, gva, gva - GVA + BASE, access_of(insn), more);
}

/* --- Widths --- */

static const struct {
    const char *name;
    unsigned width;
    bool sign;
    const char *calls;
    uint64_t rd;
} loads[] = {
    {"lb", 1, true, "load 0x108 1", 0xffffffffffffff88},
    {"lbu", 1, false, "load 0x108 1", 0x88},
    {"lh", 2, true, "load 0x108 2", 0xffffffffffff8788},
    {"lhu", 2, false, "load 0x108 2", 0x8788},
    {"lw", 4, true, "load 0x108 4", 0xffffffff85868788},
    {"lwu", 4, false, "load 0x108 4", 0x85868788},
    {"ld", 8, true, "load 0x108 8", VALUE},
};

static void test_load(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROWS(loads); i++)
        for (unsigned length = 2; length <= 4; length += 2) {
            struct insn insn = insn_of(INSN_LOAD, loads[i].width, 8);
            row(loads[i].name);
            insn.sign = loads[i].sign;
            insn.length = (uint8_t)length;
            rig_exit(emulate(&insn, false), EXIT_MMIO, 0x10108);
            rig_calls(loads[i].calls);
            rig_equal(rig.vcpu.x[RD], loads[i].rd);
            rig_equal(rig.vcpu.pc, RIG_PC + length);
            rig_equal(rig.vcpu.csr.sstatus & SSTATUS_FS, 0);
        }
}

static const struct {
    const char *name;
    enum insn_op op;
    unsigned width;
    const char *calls;
} stores[] = {
    {"sb", INSN_STORE, 1, "store 0xf8 1 0x88"},
    {"sh", INSN_STORE, 2, "store 0xf8 2 0x8788"},
    {"sw", INSN_STORE, 4, "store 0xf8 4 0x85868788"},
    {"sd", INSN_STORE, 8, "store 0xf8 8 0x8182838485868788"},
    {"fsw", INSN_FLOAT_STORE, 4, "store 0xf8 4 0x85868788"},
    {"fsd", INSN_FLOAT_STORE, 8, "store 0xf8 8 0x8182838485868788"},
};

static void test_store(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROWS(stores); i++) {
        struct insn insn = insn_of(stores[i].op, stores[i].width, -8);
        row(stores[i].name);
        if (stores[i].op == INSN_STORE)
            f[RS2] = 0;
        else
            rig.vcpu.x[RS2] = 0;
        rig_exit(emulate(&insn, false), EXIT_MMIO, 0x100f8 | EXIT_STORE);
        rig_calls(stores[i].calls);
        rig_equal(rig.vcpu.x[RD], 0x77);
        rig_equal(rig.vcpu.pc, RIG_PC + 4);
    }
}

/* A narrower value is NaN-boxed, and FS is Dirty. */
static void test_float_load(void **state)
{
    (void)state;
    for (unsigned width = 4; width <= 8; width += 4) {
        struct insn insn = insn_of(INSN_FLOAT_LOAD, width, 0);
        row(width == 4 ? "flw" : "fld");
        rig.vcpu.csr.sstatus = SSTATUS_FS_INITIAL;
        rig_exit(emulate(&insn, false), EXIT_MMIO, 0x10100);
        rig_equal(f[RD], width == 4 ? 0xffffffff85868788 : VALUE);
        rig_equal(rig.vcpu.x[RD], 0x77);
        rig_equal(rig.vcpu.csr.sstatus, SSTATUS_FS);
        rig_equal(rig.vcpu.pc, RIG_PC + 4);
    }
}

/* x0 stays 0, and a device's load has its effect all the same; f0 is a register like others. */
static void test_zero(void **state)
{
    struct insn insn = insn_of(INSN_LOAD, 8, 0);
    (void)state;
    row("ld zero");
    insn.rd = 0;
    emulate(&insn, false);
    rig_calls("load 0x100 8");
    rig_equal(rig.vcpu.x[0], 0);
    rig_equal(rig.vcpu.pc, RIG_PC + 4);
    insn.op = INSN_FLOAT_LOAD;
    emulate(&insn, false);
    rig_equal(f[0], VALUE);
}

static void test_more(void **state)
{
    struct insn load = insn_of(INSN_LOAD, 4, 0), store = insn_of(INSN_STORE, 1, 0);
    (void)state;
    row("more");
    emulate(&load, true);
    emulate(&store, true);
    emulate(&store, false);
    rig_calls("load 0x100 4 more; store 0x100 1 0x88 more; store 0x100 1 0x88");
}

/* --- Access faults --- */

/* gva is where it faulted; the instruction names GVA + 0x100, unless gva is misaligned. */
static const struct {
    const char *name;
    enum insn_op op;
    unsigned width;
    uint64_t gva, gpa;
    enum access access;
    bool refuses;
    const char *calls; /* before the exception */
} faults[] = {
    {"misaligned", INSN_LOAD, 8, GVA + 0x104, BASE + 0x104, ACCESS_LOAD, false, ""},
    {"by one", INSN_STORE, 2, GVA + 0x101, BASE + 0x101, ACCESS_STORE, false, ""},
    {"another address", INSN_LOAD, 4, GVA + 0x104, BASE + 0x104, ACCESS_LOAD, false, ""},
    {"no window", INSN_LOAD, 4, GVA + 0x100, BASE - 4, ACCESS_LOAD, false, ""},
    {"closed window", INSN_STORE, 4, GVA + 0x100, BASE + 0x1000, ACCESS_STORE, false, ""},
    {"refused", INSN_LOAD, 4, GVA + 0x100, BASE, ACCESS_LOAD, true, "load 0 4"},
    {"refused", INSN_STORE, 1, GVA + 0x100, BASE, ACCESS_STORE, true, "store 0 1 0x88"},
    {"lr", INSN_LR, 8, GVA + 0x100, BASE, ACCESS_LOAD, false, ""},
    {"amo", INSN_AMO, 8, GVA + 0x100, BASE, ACCESS_STORE, false, ""},
    {"cbo", INSN_CBO, 0, GVA + 0x100, BASE, ACCESS_STORE, false, ""},
    {"unknown", INSN_ILLEGAL, 0, GVA + 0x100, BASE, ACCESS_STORE, false, ""},
    {"sc in the firmware's memory", INSN_SC, 8, GVA + 0x100, RIG_FIRMWARE, ACCESS_STORE, false, ""},
    {"and its end", INSN_SC, 8, GVA + 0x100, RIG_RAM - 8, ACCESS_STORE, false, ""},
};

static void test_fault(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROWS(faults); i++) {
        struct insn insn = insn_of(faults[i].op, faults[i].width, 0);
        uint64_t cause = faults[i].access == ACCESS_LOAD ? CAUSE_LOAD_ACCESS : CAUSE_STORE_ACCESS;
        char calls[64];
        row(faults[i].name);
        refuses = faults[i].refuses;
        if (faults[i].gva & (faults[i].width - 1)) /* the address is right, and only that wrong */
            rig.vcpu.x[RS1] = faults[i].gva;
        struct exit exit = emulate_mmio(&rig.vcpu, &insn, faults[i].gva, faults[i].gpa,
                                        faults[i].access, true);
        rig_exit(exit, EXIT_GUEST_FAULT, cause);
        rig_raised(cause, faults[i].gva);
        rig_equal(rig.vcpu.x[RD], 0x77);
        snprintf(calls, sizeof(calls), "%s%ssync", faults[i].calls,
                 *faults[i].calls ? " more; " : "");
        rig_calls(calls);
    }
}

/* No LR can have made a reservation there. */
static void test_sc(void **state)
{
    static const uint64_t places[] = {BASE, 0, RIG_FIRMWARE - 8, RIG_RAM, RIG_RAM + RIG_RAM_SIZE};
    struct insn insn = insn_of(INSN_SC, 8, 0);
    (void)state;
    for (unsigned i = 0; i < ROWS(places); i++) {
        for (unsigned rd = 0; rd <= RD; rd += RD) {
            row("sc");
            insn.rd = (uint8_t)rd;
            rig_exit(emulate_mmio(&rig.vcpu, &insn, GVA, places[i], ACCESS_STORE, false),
                     EXIT_SHADOW_FILL, CAUSE_STORE_PAGE);
            rig_equal(rig.vcpu.x[RD], rd ? 1 : 0x77);
            rig_equal(rig.vcpu.x[0], 0);
            rig_equal(rig.vcpu.pc, RIG_PC + 4);
            rig_calls("");
        }
    }
}

/* Whose the register was; what refuses has raised nothing. */
static void test_access(void **state)
{
    struct insn insn = insn_of(INSN_STORE, 4, 0);
    (void)state;
    row("access");
    assert_ptr_equal(emulate_access(&rig.vcpu, &insn, BASE + 4, true), vm_window_at(&rig.vm, BASE));
    rig_calls("store 0x4 4 0x85868788 more");
    rig_equal(rig.vcpu.pc, RIG_PC + 4);
    refuses = true;
    assert_null(emulate_access(&rig.vcpu, &insn, BASE + 4, false));
    assert_null(emulate_access(&rig.vcpu, &insn, BASE + 0x1000, false));
    assert_null(emulate_access(&rig.vcpu, &insn, BASE + 0x2000, false));
    rig_calls("store 0x4 4 0x85868788");
    rig_equal(rig.vcpu.pc, RIG_PC + 4);
    rig_equal(rig.vcpu.csr.scause, 0);
}

/* --- Reading RAM as the guest does --- */

#define TABLES (RIG_RAM + 0x8000) /* three levels, one page each */
#define PAGE_A (RIG_RAM + 0x2000) /* is at gva 0x1000 */
#define PAGE_B (RIG_RAM + 0x5000) /* at 0x2000: the kernel's, and at 0x5000: execute-only */

static uint64_t *entry(unsigned level, unsigned index)
{
    return (uint64_t *)(void *)&rig_ram[TABLES - RIG_RAM + level * PAGE_SIZE + 8 * index];
}

static uint64_t pte(uint64_t gpa, uint64_t bits)
{
    return gpa >> 2 | PTE_V | bits;
}

/* 0x3000 is not mapped, and 0x4000 a device. */
static void map_pages(void)
{
    *entry(2, 0) = pte(TABLES + PAGE_SIZE, 0);
    *entry(1, 0) = pte(TABLES, 0);
    *entry(0, 1) = pte(PAGE_A, PTE_R | PTE_U);
    *entry(0, 2) = pte(PAGE_B, PTE_R | PTE_A);
    *entry(0, 4) = pte(BASE, PTE_R | PTE_U);
    *entry(0, 5) = pte(PAGE_B, PTE_X | PTE_U);
    rig.vcpu.csr.satp = SATP_MODE_SV39 << SATP_MODE_SHIFT | (TABLES + 2 * PAGE_SIZE) >> PAGE_SHIFT;
    for (unsigned i = 0; i < PAGE_SIZE; i++) {
        rig_ram[PAGE_A - RIG_RAM + i] = (uint8_t)i;
        rig_ram[PAGE_B - RIG_RAM + i] = (uint8_t)(0x80 | i);
    }
}

static const struct {
    const char *name;
    uint64_t gva;
    unsigned width;
    bool user;
    uint64_t sstatus;
    uint64_t cause, answer; /* the value, or stval */
} reads[] = {
    {"a byte", 0x1005, 1, true, 0, 0, 0x05},
    {"a doubleword", 0x1010, 8, true, 0, 0, 0x1716151413121110},
    {"misaligned", 0x1003, 4, true, 0, 0, 0x06050403},
    {"end of a page", 0x1ff8, 8, true, 0, 0, 0xfffefdfcfbfaf9f8},
    {"over pages that are apart", 0x1ffe, 4, false, SSTATUS_SUM, 0, 0x8180fffe},
    {"not the kernel's", 0x2000, 4, true, 0, CAUSE_LOAD_PAGE, 0x2000},
    {"its second part", 0x1ffd, 8, true, 0, CAUSE_LOAD_PAGE, 0x2000},
    {"not the process's", 0x1ffd, 8, false, 0, CAUSE_LOAD_PAGE, 0x1ffd},
    {"unmapped behind", 0x2ffc, 8, false, 0, CAUSE_LOAD_PAGE, 0x3000},
    {"a device", 0x4000, 4, true, 0, CAUSE_LOAD_ACCESS, 0x4000},
    {"execute-only", 0x5000, 1, true, 0, CAUSE_LOAD_PAGE, 0x5000},
    {"execute-only, MXR", 0x5000, 1, true, SSTATUS_MXR, 0, 0x80},
    {"not canonical", 1ul << 40, 1, true, 0, CAUSE_LOAD_PAGE, 1ul << 40},
};

static void test_read(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROWS(reads); i++) {
        uint64_t value = 1, stval = 1;
        row(reads[i].name);
        map_pages();
        rig.vcpu.mode = reads[i].user ? VMODE_U : VMODE_S;
        rig.vcpu.csr.sstatus = reads[i].sstatus;
        rig_equal(emulate_read(&rig.vcpu, reads[i].gva, reads[i].width, &value, &stval),
                  reads[i].cause);
        rig_equal(reads[i].cause ? stval : value, reads[i].answer);
        rig_equal(rig.vcpu.pc, RIG_PC); /* raising is the caller's */
    }
}

/* The load's A is set; without paging gva is gpa, and what is no RAM a fault. */
static void test_read_sets_accessed(void **state)
{
    uint64_t value, stval;
    (void)state;
    row("accessed");
    map_pages();
    rig.vcpu.mode = VMODE_U;
    rig_equal(emulate_read(&rig.vcpu, 0x1000, 1, &value, &stval), 0);
    rig_equal(*entry(0, 1) & (PTE_A | PTE_D), PTE_A);
    row("bare");
    rig_ram[RIG_RAM_SIZE - 1] = 0xee;
    rig_equal(emulate_read(&rig.vcpu, RIG_RAM + RIG_RAM_SIZE - 1, 1, &value, &stval), 0);
    rig_equal(value, 0xee);
    rig_equal(emulate_read(&rig.vcpu, RIG_RAM + RIG_RAM_SIZE - 1, 2, &value, &stval),
              CAUSE_LOAD_ACCESS);
    rig_equal(stval, RIG_RAM + RIG_RAM_SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_load),       cmocka_unit_test(test_store),
        cmocka_unit_test(test_float_load), cmocka_unit_test(test_zero),
        cmocka_unit_test(test_more),       cmocka_unit_test(test_fault),
        cmocka_unit_test(test_sc),         cmocka_unit_test(test_access),
        cmocka_unit_test(test_read),       cmocka_unit_test(test_read_sets_accessed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
