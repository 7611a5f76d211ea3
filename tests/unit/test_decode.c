/*
 * The instruction decoder against the GNU assembler and disassembler (tables of decode_cases.py),
 * and the reserved encodings of the specification by name.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "isa/decode.h"

struct decode_case {
    const char *text;
    struct insn expect;
};

struct decode_word {
    uint32_t raw;
    uint8_t op;
};

#include "decode_cases.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool insn_equal(const struct insn *a, const struct insn *b)
{
    return a->raw == b->raw && a->imm == b->imm && a->csr == b->csr && a->op == b->op &&
           a->length == b->length && a->rd == b->rd && a->rs1 == b->rs1 && a->rs2 == b->rs2 &&
           a->width == b->width && a->funct == b->funct && a->sign == b->sign &&
           a->immediate == b->immediate;
}

static void insn_print(const char *what, const struct insn *insn)
{
    print_error("  %s: op %u length %u rd %u rs1 %u rs2 %u imm %d csr %#x width %u funct %u%s%s\n",
                what, insn->op, insn->length, insn->rd, insn->rs1, insn->rs2, (int)insn->imm,
                insn->csr, insn->width, insn->funct, insn->sign ? " sign" : "",
                insn->immediate ? " immediate" : "");
}

/* Every form over corner operands: all fields, those that the form does not have are 0. */
static void test_fields(void **state)
{
    unsigned bad = 0;
    (void)state;
    for (size_t i = 0; i < COUNT(decode_cases); i++) {
        const struct insn *expect = &decode_cases[i].expect;
        struct insn insn = insn_decode(expect->raw);
        if (insn_equal(&insn, expect))
            continue;
        if (bad++ < 20) {
            print_error("%s (%#x)\n", decode_cases[i].text, (unsigned)expect->raw);
            insn_print("expected", expect);
            insn_print("decoded ", &insn);
        }
    }
    assert_int_equal(bad, 0);
    assert_true(COUNT(decode_cases) > 6000);
}

/* The fetch of a compressed instruction may bring any upper half: it must not matter. */
static void test_upper_half_ignored(void **state)
{
    (void)state;
    for (uint32_t low = 0; low < 0x10000; low++) {
        struct insn clean, dirty;
        if ((low & 3) == 3)
            continue;
        clean = insn_decode(low);
        dirty = insn_decode(0xa5c30000u | low);
        assert_true(insn_equal(&clean, &dirty));
        assert_int_equal(clean.raw, low);
        assert_int_equal(clean.length, 2);
    }
}

/* Every compressed word and a large sample of the others: what kind of instruction is it? */
static void test_classes(void **state)
{
    unsigned bad = 0;
    (void)state;
    for (size_t i = 0; i < COUNT(decode_words); i++) {
        struct insn insn = insn_decode(decode_words[i].raw);
        struct insn bare = {.raw = insn.raw, .op = insn.op, .length = insn.length};
        if (insn.op == INSN_ILLEGAL || insn.op == INSN_OTHER)
            assert_true(insn_equal(&insn, &bare));
        if (insn.op == decode_words[i].op && insn.length == insn_length((uint16_t)insn.raw))
            continue;
        if (bad++ < 40)
            print_error("%#x: expected op %u, decoded %u\n", (unsigned)decode_words[i].raw,
                        decode_words[i].op, insn.op);
    }
    assert_int_equal(bad, 0);
    assert_true(COUNT(decode_words) > 140000);
}

/* Reserved or not ours, by name. */
static void test_reserved(void **state)
{
    static const struct {
        uint32_t raw;
        const char *why;
    } reserved[] = {
        {0x00000000, "all zeros"},
        {0xffffffff, "all ones"},
        {0x0000001f, "48 bits or longer"},
        {0x0000007f, "80 bits or longer"},
        {0x0004, "C.ADDI4SPN nzuimm=0"},
        {0x2001, "C.ADDIW rd=0"},
        {0x6081, "C.LUI imm=0"},
        {0x6001, "C.LUI rd=0 imm=0"},
        {0x6101, "C.ADDI16SP imm=0"},
        {0x4002, "C.LWSP rd=0"},
        {0x6002, "C.LDSP rd=0"},
        {0x8002, "C.JR rs1=0"},
        {0x8000, "quadrant 0, funct3 4"},
        {0x9c41, "quadrant 1, 100 1 11 10"},
        {0x9c61, "quadrant 1, 100 1 11 11"},
        {0x00007003, "LOAD funct3=7"},
        {0x00004023, "STORE funct3=4"},
        {0x00001007, "FLH"},
        {0x00004007, "FLQ"},
        {0x1010202f, "LR.W rs2=1"},
        {0x0000002f, "AMO width 1"},
        {0x2800202f, "AMOCAS.W"},
        {0x0000200f | 3 << 20, "CBO 3"},
        {0x0000200f | 1 << 7, "CBO.INVAL rd=1"},
        {0x10200073 | 1 << 7, "SRET rd=1"},
        {0x10200073 | 1 << 15, "SRET rs1=1"},
        {0x10500073 | 1 << 7, "WFI rd=1"},
        {0x12000073 | 1 << 7, "SFENCE.VMA rd=1"},
        {0x16000073 | 1 << 7, "SINVAL.VMA rd=1"},
        {0x00000073 | 1 << 7, "ECALL rd=1"},
        {0x00100073 | 1 << 15, "EBREAK rs1=1"},
        {0x00200073, "URET"},
        {0x7b200073, "DRET"},
        {0x60304073, "HLVX.BU does not exist"},
        {0x62004073 | 1 << 7, "HSV.B rd=1"},
        {0x40001013, "SLLI funct6=0x10"},
        {0x0200101b, "SLLIW shamt=32"},
        {0x0200501b, "SRLIW shamt=32"},
        {0x4200501b, "SRAIW shamt=32"},
        {0x00001067, "JALR funct3=1"},
        {0x00002063, "BRANCH funct3=2"},
        {0x02001033 | 8, "OP-32 funct7=1 funct3=1"},
        {0x20003033, "OP funct7=0x10"},
        {0x00005053, "FADD.S rm=5"},
        {0x04007053, "FADD.H"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(reserved); i++) {
        struct insn insn = insn_decode(reserved[i].raw);
        if (insn.op != INSN_ILLEGAL)
            fail_msg("%s (%#x): op %u", reserved[i].why, (unsigned)reserved[i].raw, insn.op);
        assert_int_equal(insn.length, insn_length((uint16_t)reserved[i].raw));
        assert_int_equal(insn.raw, reserved[i].raw);
    }
}

/* HINTs are legal and write x0 or nothing: they decode to the computation that they look like. */
static void test_hints(void **state)
{
    static const struct {
        uint32_t raw;
        struct insn expect;
    } hints[] = {
        {0x0005, {.op = INSN_ALU_IMM, .funct = ALU_ADD, .imm = 1}},          /* C.NOP 1 */
        {0x0281, {.op = INSN_ALU_IMM, .funct = ALU_ADD, .rd = 5, .rs1 = 5}}, /* C.ADDI x5,0 */
        {0x4005, {.op = INSN_ALU_IMM, .funct = ALU_ADD, .imm = 1}},          /* C.LI x0,1 */
        {0x6005, {.op = INSN_LUI, .imm = 0x1000}},                           /* C.LUI x0,1 */
        {0x8016, {.op = INSN_ALU_REG, .funct = ALU_ADD, .rs2 = 5}},          /* C.MV x0,x5 */
        {0x9016, {.op = INSN_ALU_REG, .funct = ALU_ADD, .rs2 = 5}},          /* C.ADD x0,x5 */
        {0x0006, {.op = INSN_ALU_IMM, .funct = ALU_SLL, .imm = 1}},          /* C.SLLI x0,1 */
        {0x0282, {.op = INSN_ALU_IMM, .funct = ALU_SLL, .rd = 5, .rs1 = 5}}, /* C.SLLI64 x5 */
        {0x8001, {.op = INSN_ALU_IMM, .funct = ALU_SRL, .rd = 8, .rs1 = 8}}, /* C.SRLI64 x8 */
        {0x8401, {.op = INSN_ALU_IMM, .funct = ALU_SRA, .rd = 8, .rs1 = 8}}, /* C.SRAI64 x8 */
    };
    (void)state;
    for (size_t i = 0; i < COUNT(hints); i++) {
        struct insn insn = insn_decode(hints[i].raw), expect = hints[i].expect;
        expect.raw = hints[i].raw;
        expect.length = 2;
        if (!insn_equal(&insn, &expect)) {
            insn_print("expected", &expect);
            insn_print("decoded ", &insn);
            fail_msg("hint %#x", (unsigned)hints[i].raw);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_reserved),
        cmocka_unit_test(test_hints),
        cmocka_unit_test(test_upper_half_ignored),
    };
    return cmocka_run_group_tests_name("decode", tests, NULL, NULL);
}
