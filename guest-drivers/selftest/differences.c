/*
 * `differences`: what a guest kernel can see of a VMM that inlines (PATCH=inline), and in the last
 * line what it can see of a VMM that patches at all. Each line says what happened; natively that is
 * what the specification says. Not tried is a jump to an address from 0x200 to 0x4400: the kernel
 * may go on anywhere after it.
 *
 * This is not part of the selftest, whose output must be the same everywhere. docs/testing.md has
 * the lines side by side.
 */
#include <stdarg.h>
#include <stdio.h>

#include "kernel.h"
#include "make.h"
#include "selftest.h"

#define TOP 0xfffffffffffff000ul

/* Lines that are written while the kernel's CSRs are put away, to be printed when they are back. */
static char text[2048];
static size_t length;

__attribute__((format(printf, 1, 2))) static void note(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int count = vsnprintf(text + length, sizeof(text) - length, format, arguments);
    va_end(arguments);
    if (count > 0 && length + (size_t)count < sizeof(text))
        length += (size_t)count;
}

/* Interrupts off and on, so that there is something to inline. */
FRAGMENT(differences_warm, "li t1, 64\n 1: csrrci a2, sstatus, 2\n li t0, 1\n csrsi sstatus, 2\n"
                           "li t0, 2\n addi t1, t1, -1\n bnez t1, 1b");
FRAGMENT(differences_load, "ld a2, 0(a1)");
FRAGMENT(differences_store, "sd a2, 0(a1)");
FRAGMENT(differences_jump, "jr a1");

static uint64_t warm(uint64_t *root)
{
    struct run run = RUN(differences_warm, .satp = space_satp(root, 0));
    harness_stay(run.satp);
    harness_run(&run);
    return run.satp;
}

static void say(const char *what, const struct run *run)
{
    if (run->ended == END_DONE)
        note("%s: done\n", what);
    else
        note("%s: scause 0x%lx, sepc %s, stval %s\n", what, (unsigned long)(run->ended - 1),
             run->sepc == run->a[1] || run->offset == 0 ? "right" : "other",
             run->stval == run->a[1] ? "right" : "other");
}

static void access(const char *what, const char *start, const char *end, uint64_t gva)
{
    struct run run = {.start = start, .end = end, .satp = warm(space_reset()), .a = {0, gva}};
    harness_run(&run);
    say(what, &run);
}

/* A page is put there without a fence, as a hart with Svvptc allows. */
static void without_fence(const char *what, uint64_t gva)
{
    uint64_t *root = space_reset();
    /* So that the table exists that gva's entry is in. */
    space_map(root, gva - PAGE_SIZE, space_page[1], PTE_S_RW);
    space_page[0][0] = 7;
    struct run run = RUN(differences_load, .satp = warm(root), .a = {0, gva});
    space_map(root, gva, space_page[0], PTE_S_RW);
    harness_run(&run);
    say(what, &run);
    note("%s: loaded %s\n", what, run.x[12] == 7 ? "what is in the page" : "something else");
}

/* The second half of csrrci s0, sstatus, 2 does nothing when executed by itself. f1 is written
 * before. */
static void middle(void)
{
    struct program p = make_program_at(80, 0);
    for (unsigned i = 0; i < 64; i++) {
        make_add(&p, MAKE_CSR(CSRRCI, 8, CSR_SSTATUS, 2));
        make_add(&p, MAKE_ADDI(5, 0, 1));
    }
    make_add(&p, EBREAK);
    struct program jump = make_program(4);
    make_add(&jump, MAKE_FMV_D_X(1, 0));
    make_add(&jump, MAKE_JALR(0, 11, 2));
    code_fence_i();
    uint64_t satp = warm(space_reset());
    struct run run = {.satp = satp, .sstatus = SSTATUS_FS, .any_register = true};
    for (unsigned again = 0; again < 40; again++) {
        run.start = again % 2 ? jump.code : p.code;
        run.end = p.code + 4ul * p.length - 4;
        run.pc = (uint64_t)run.start;
        run.a[1] = (uint64_t)p.code;
        harness_run(&run);
    }
    note("into the middle of an instruction while the FPU is used: %s\n",
         run.sepc == (uint64_t)run.end ? "done" : "a trap");
}

/* lui a0, 0x5130, whose second half with the first half of csrr a2, sscratch is addi a0, t1,
 * 0x267. */
static void overlap(void)
{
    struct program p = make_program_at(4, 0);
    make_add(&p, MAKE_STOP);
    make_add(&p, 0x05130537);
    make_add(&p, MAKE_CSR(CSRRS, 12, CSR_SSCRATCH, 0));
    make_add(&p, EBREAK);
    struct program jump = make_program(4);
    make_add(&jump, MAKE_ADDI(6, 0, 0));
    make_add(&jump, MAKE_STOP);
    make_add(&jump, MAKE_JALR(0, 11, 6));
    code_fence_i();
    struct run run = {.satp = warm(space_reset()), .any_register = true};
    for (unsigned again = 0; again < 40; again++) {
        run.start = again % 2 ? jump.code : p.code;
        run.end = p.code + 4ul * p.length - 4;
        run.pc = (uint64_t)run.start;
        run.a[1] = (uint64_t)p.code;
        harness_run(&run);
    }
    note("an instruction that reaches into a patched one, by an indirect jump: %s\n",
         run.x[10] == 0x267 ? "as it is" : "with another second half");
}

static void all(const void *argument)
{
    (void)argument;
    access("load from the last page", differences_load, differences_load_end, -8ul);
    access("load from the last page's first half", differences_load, differences_load_end, TOP + 8);
    access("store to the last page", differences_store, differences_store_end, -16ul);
    access("jump to the last page", differences_jump, differences_jump_end, TOP);
    access("load from the first page", differences_load, differences_load_end, 8);
    access("jump to 0", differences_jump, differences_jump_end, 0);
    access("load from 0x200", differences_load, differences_load_end, 0x200);
    without_fence("the last page mapped without a fence", TOP);
    without_fence("page 1 mapped without a fence", PAGE_SIZE);
    middle();
    overlap();
}

int differences_main(void)
{
    make_reset();
    length = 0;
    bool good = harness_check(all, NULL);
    printf("%.*s", (int)length, text);
    if (!good)
        printf("%s\n", harness_failure());
    return !good;
}
