#!/usr/bin/env python3
"""Writes the decoder's test tables, with the GNU assembler and disassembler as the oracle.

usage: decode_cases.py OUT.h            (CROSS=riscv64-unknown-elf- by default)

Table 1, decode_cases: instructions in assembly language over corner registers and immediates. The
words come from the assembler, the fields from the operands written here.
Table 2, decode_words: every 16-bit word that is not the first half of a longer one, and 100,000
seeded random 32-bit words. The class (enum insn_op) comes from the disassembler's mnemonic.
"""
import os
import random
import re
import subprocess
import sys
import tempfile

CROSS = os.environ.get("CROSS", "riscv64-unknown-elf-")
MARCH = "rv64imafdch_zicsr_zifencei_zicbom_zicboz_svinval"
PAD = 1 << 20  # room on both sides for the longest jump
REGS = (0, 1, 2, 15, 31)
PRIME = (8, 9, 12, 15)
IMM12 = (-2048, -1024, -1, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2047)
RANDOM_WORDS = 100_000

cases = []  # (assembly, {field: value})


def case(text, op, length=4, **fields):
    fields.update(op="INSN_" + op, length=length)
    cases.append((text, fields))


def bits_of(low, high, signed):
    """Every single bit of an immediate [low, high], zero, and the extremes."""
    values = {0} | {1 << b for b in range(low, high + 1)} | {(1 << (high + 1)) - (1 << low)}
    if signed:
        values = {v - (1 << (high + 1)) if v >= 1 << high else v for v in values}
        values.add((1 << high) - (1 << low))
    return sorted(values)


# --- 32-bit forms ---------------------------------------------------------------------------------

def memory():
    for name, width, sign in (("lb", 1, 1), ("lh", 2, 1), ("lw", 4, 1), ("ld", 8, 1),
                              ("lbu", 1, 0), ("lhu", 2, 0), ("lwu", 4, 0)):
        for rd in REGS:
            for rs1 in REGS:
                for imm in IMM12:
                    case(f"{name} x{rd}, {imm}(x{rs1})", "LOAD", rd=rd, rs1=rs1, imm=imm,
                         width=width, sign=sign)
    for name, width, kind in (("sb", 1, "x"), ("sh", 2, "x"), ("sw", 4, "x"), ("sd", 8, "x"),
                              ("fsw", 4, "f"), ("fsd", 8, "f")):
        for rs2 in REGS:
            for rs1 in REGS:
                for imm in IMM12:
                    case(f"{name} {kind}{rs2}, {imm}(x{rs1})",
                         "STORE" if kind == "x" else "FLOAT_STORE",
                         rs1=rs1, rs2=rs2, imm=imm, width=width)
    for name, width in (("flw", 4), ("fld", 8)):
        for rd in REGS:
            for imm in IMM12:
                case(f"{name} f{rd}, {imm}(x10)", "FLOAT_LOAD", rd=rd, rs1=10, imm=imm, width=width)


def atomics():
    for suffix, width in ((".w", 4), (".d", 8)):
        for order in ("", ".aq", ".rl", ".aqrl"):
            for rd in REGS:
                for rs1 in REGS:
                    case(f"lr{suffix}{order} x{rd}, (x{rs1})", "LR", rd=rd, rs1=rs1, width=width)
                    for rs2 in (0, 5, 31):
                        case(f"sc{suffix}{order} x{rd}, x{rs2}, (x{rs1})", "SC", rd=rd, rs1=rs1,
                             rs2=rs2, width=width)
            for name in ("swap", "add", "xor", "and", "or", "min", "max", "minu", "maxu"):
                for rd, rs1, rs2 in ((0, 0, 0), (1, 2, 3), (31, 30, 29), (5, 31, 0), (7, 7, 7)):
                    case(f"amo{name}{suffix}{order} x{rd}, x{rs2}, (x{rs1})", "AMO", rd=rd,
                         rs1=rs1, rs2=rs2, width=width)
    for name, which in (("inval", 0), ("clean", 1), ("flush", 2), ("zero", 4)):
        for rs1 in REGS:
            case(f"cbo.{name} 0(x{rs1})", "CBO", rs1=rs1, imm=which)


def system():
    for name, op in (("rw", "CSRRW"), ("rs", "CSRRS"), ("rc", "CSRRC")):
        for csr in (0, 1, 0x100, 0x104, 0x140, 0x144, 0x14D, 0x180, 0x7FF, 0x800, 0xC01, 0xFFF):
            for rd in REGS:
                for rs1 in REGS:
                    case(f"csr{name} x{rd}, {csr:#x}, x{rs1}", op, rd=rd, rs1=rs1, csr=csr)
                    case(f"csr{name}i x{rd}, {csr:#x}, {rs1}", op, rd=rd, rs1=rs1, imm=rs1,
                         csr=csr, immediate=1)
    for text, op in (("ecall", "ECALL"), ("ebreak", "EBREAK"), ("sret", "SRET"), ("mret", "MRET"),
                     ("wfi", "WFI"), ("sfence.w.inval", "SFENCE_W_INVAL"),
                     ("sfence.inval.ir", "SFENCE_INVAL_IR"), ("fence.i", "FENCE_I"),
                     ("fence rw, rw", "OTHER"), ("fence.tso", "OTHER"),
                     ("fence iorw, iorw", "OTHER")):
        case(text, op)
    for name, op in (("sfence.vma", "SFENCE_VMA"), ("sinval.vma", "SINVAL_VMA"),
                     ("hfence.vvma", "HYPERVISOR"), ("hfence.gvma", "HYPERVISOR"),
                     ("hinval.vvma", "HYPERVISOR"), ("hinval.gvma", "HYPERVISOR")):
        for rs1 in REGS:
            for rs2 in REGS:
                case(f"{name} x{rs1}, x{rs2}", op, rs1=rs1, rs2=rs2)
    for name in ("hlv.b", "hlv.bu", "hlv.h", "hlv.hu", "hlvx.hu", "hlv.w", "hlv.wu",
                 "hlvx.wu", "hlv.d"):
        for rd, rs1 in ((0, 0), (1, 2), (31, 30)):
            case(f"{name} x{rd}, (x{rs1})", "HYPERVISOR", rd=rd, rs1=rs1)
    for name in ("hsv.b", "hsv.h", "hsv.w", "hsv.d"):
        for rs2, rs1 in ((0, 0), (1, 2), (31, 30)):
            case(f"{name} x{rs2}, (x{rs1})", "HYPERVISOR", rs1=rs1, rs2=rs2)


def computation():
    for name, funct in (("addi", "ADD"), ("slti", "SLT"), ("sltiu", "SLTU"), ("xori", "XOR"),
                        ("ori", "OR"), ("andi", "AND"), ("addiw", "ADDW")):
        for rd, rs1 in ((0, 0), (1, 31), (31, 1), (10, 10)):
            for imm in IMM12:
                case(f"{name} x{rd}, x{rs1}, {imm}", "ALU_IMM", rd=rd, rs1=rs1, imm=imm,
                     funct="ALU_" + funct)
    for name, funct, width in (("slli", "SLL", 64), ("srli", "SRL", 64), ("srai", "SRA", 64),
                               ("slliw", "SLLW", 32), ("srliw", "SRLW", 32), ("sraiw", "SRAW", 32)):
        for shamt in range(width):
            case(f"{name} x3, x28, {shamt}", "ALU_IMM", rd=3, rs1=28, imm=shamt,
                 funct="ALU_" + funct)
    for name in ("add", "sub", "sll", "slt", "sltu", "xor", "srl", "sra", "or", "and",
                 "addw", "subw", "sllw", "srlw", "sraw"):
        for rd, rs1, rs2 in ((0, 0, 0), (1, 2, 3), (31, 30, 29), (10, 10, 10), (0, 31, 1)):
            case(f"{name} x{rd}, x{rs1}, x{rs2}", "ALU_REG", rd=rd, rs1=rs1, rs2=rs2,
                 funct="ALU_" + name.upper())
    for name, op in (("lui", "LUI"), ("auipc", "AUIPC")):
        for rd in REGS:
            for upper in bits_of(0, 19, False):
                value = upper << 12
                case(f"{name} x{rd}, {upper:#x}", op, rd=rd,
                     imm=value - (1 << 32) if value >> 31 else value)
    for text in ("mul x1, x2, x3", "mulh x1, x2, x3", "divu x1, x2, x3", "remuw x1, x2, x3",
                 "fadd.s f1, f2, f3", "fmadd.d f1, f2, f3, f4", "fsqrt.d f1, f2", "fmv.x.d x1, f2",
                 "fclass.s x1, f2", "fcvt.l.d x1, f2", "fcvt.d.s f1, f2", "fcvt.s.d f1, f2",
                 "feq.d x1, f2, f3", "fsgnjx.s f1, f2, f3"):
        case(text, "OTHER")


def control_flow():
    for rd in REGS:
        for imm in bits_of(1, 20, True):
            case(f"jal x{rd}, . + {imm}", "JAL", rd=rd, imm=imm)
        for rs1 in REGS:
            for imm in IMM12:
                case(f"jalr x{rd}, {imm}(x{rs1})", "JALR", rd=rd, rs1=rs1, imm=imm)
    for name in ("eq", "ne", "lt", "ge", "ltu", "geu"):
        for rs1, rs2 in ((0, 0), (1, 31), (31, 1)):
            for imm in bits_of(1, 12, True):
                case(f"b{name} x{rs1}, x{rs2}, . + {imm}", "BRANCH", rs1=rs1, rs2=rs2, imm=imm,
                     funct="BRANCH_" + name.upper())


# --- compressed forms -----------------------------------------------------------------------------

def data_register(op, reg):
    return {"rs2": reg} if "STORE" in op else {"rd": reg, "sign": int(op == "LOAD")}


def c_memory():
    for name, op, width, high in (("c.lw", "LOAD", 4, 6), ("c.ld", "LOAD", 8, 7),
                                  ("c.fld", "FLOAT_LOAD", 8, 7), ("c.sw", "STORE", 4, 6),
                                  ("c.sd", "STORE", 8, 7), ("c.fsd", "FLOAT_STORE", 8, 7)):
        kind = "f" if "FLOAT" in op else "x"
        for reg in PRIME:
            for rs1 in PRIME:
                for imm in bits_of(2 if width == 4 else 3, high, False):
                    case(f"{name} {kind}{reg}, {imm}(x{rs1})", op, 2, rs1=rs1, imm=imm, width=width,
                         **data_register(op, reg))
    for name, op, width, high in (("c.lwsp", "LOAD", 4, 7), ("c.ldsp", "LOAD", 8, 8),
                                  ("c.fldsp", "FLOAT_LOAD", 8, 8), ("c.swsp", "STORE", 4, 7),
                                  ("c.sdsp", "STORE", 8, 8), ("c.fsdsp", "FLOAT_STORE", 8, 8)):
        kind = "f" if "FLOAT" in op else "x"
        for reg in REGS:
            if op == "LOAD" and reg == 0:
                continue  # reserved
            for imm in bits_of(2 if width == 4 else 3, high, False):
                case(f"{name} {kind}{reg}, {imm}(x2)", op, 2, rs1=2, imm=imm, width=width,
                     **data_register(op, reg))


def c_computation():
    def alu_imm(text, funct, rd, rs1, imm):
        case(text, "ALU_IMM", 2, rd=rd, rs1=rs1, imm=imm, funct="ALU_" + funct)

    def alu_reg(text, funct, rd, rs1, rs2):
        case(text, "ALU_REG", 2, rd=rd, rs1=rs1, rs2=rs2, funct="ALU_" + funct)

    for rd in PRIME:
        for imm in bits_of(2, 9, False)[1:]:
            alu_imm(f"c.addi4spn x{rd}, x2, {imm}", "ADD", rd, 2, imm)
        for shamt in bits_of(0, 5, False)[1:]:
            alu_imm(f"c.srli x{rd}, {shamt}", "SRL", rd, rd, shamt)
            alu_imm(f"c.srai x{rd}, {shamt}", "SRA", rd, rd, shamt)
        for imm in bits_of(0, 5, True):
            alu_imm(f"c.andi x{rd}, {imm}", "AND", rd, rd, imm)
        for rs2 in PRIME:
            for name in ("sub", "xor", "or", "and", "subw", "addw"):
                alu_reg(f"c.{name} x{rd}, x{rs2}", name.upper(), rd, rd, rs2)
    for rd in REGS[1:]:
        for imm in bits_of(0, 5, True):
            alu_imm(f"c.li x{rd}, {imm}", "ADD", rd, 0, imm)
            alu_imm(f"c.addiw x{rd}, {imm}", "ADDW", rd, rd, imm)
            if imm:
                alu_imm(f"c.addi x{rd}, {imm}", "ADD", rd, rd, imm)
            if imm and rd != 2:
                case(f"c.lui x{rd}, {imm & 0xfffff:#x}", "LUI", 2, rd=rd, imm=imm * 4096)
        for shamt in bits_of(0, 5, False)[1:]:
            alu_imm(f"c.slli x{rd}, {shamt}", "SLL", rd, rd, shamt)
        for rs2 in REGS[1:]:
            alu_reg(f"c.mv x{rd}, x{rs2}", "ADD", rd, 0, rs2)
            alu_reg(f"c.add x{rd}, x{rs2}", "ADD", rd, rd, rs2)
    for imm in bits_of(4, 9, True):
        if imm:
            alu_imm(f"c.addi16sp x2, {imm}", "ADD", 2, 2, imm)
    alu_imm("c.nop", "ADD", 0, 0, 0)


def c_control_flow():
    for imm in bits_of(1, 11, True):
        case(f"c.j . + {imm}", "JAL", 2, imm=imm)
    for name, funct in (("c.beqz", "BRANCH_EQ"), ("c.bnez", "BRANCH_NE")):
        for rs1 in PRIME:
            for imm in bits_of(1, 8, True):
                case(f"{name} x{rs1}, . + {imm}", "BRANCH", 2, rs1=rs1, imm=imm, funct=funct)
    for rs1 in REGS[1:]:
        case(f"c.jr x{rs1}", "JALR", 2, rs1=rs1)
        case(f"c.jalr x{rs1}", "JALR", 2, rd=1, rs1=rs1)
    case("c.ebreak", "EBREAK", 2)


# --- the assembler and the disassembler -----------------------------------------------------------

def run(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def assemble(folder, lines):
    source, obj = os.path.join(folder, "cases.s"), os.path.join(folder, "cases.o")
    with open(source, "w") as out:
        out.write("\n".join(lines) + "\n")
    run(CROSS + "as", "-march=" + MARCH, "-mno-relax", "-o", obj, source)
    return obj


def words_of_cases(folder):
    lines = [".text", ".globl _start", "_start:", f".space {PAD}"]
    for text, fields in cases:
        lines.append(f".option {'rvc' if fields['length'] == 2 else 'norvc'}")
        lines.append(text)
    lines.append(f".space {PAD}")
    obj = assemble(folder, lines)
    elf, image = os.path.join(folder, "cases.elf"), os.path.join(folder, "cases.bin")
    run(CROSS + "ld", "--no-relax", "-Ttext=0", "-o", elf, obj)
    run(CROSS + "objcopy", "-O", "binary", "-j", ".text", elf, image)
    with open(image, "rb") as file:
        data = file.read()
    words, at = [], PAD
    for text, fields in cases:
        length = 4 if data[at] & 3 == 3 else 2
        if length != fields["length"]:
            sys.exit(f"decode_cases: the assembler made {length} bytes of '{text}'")
        words.append(int.from_bytes(data[at:at + length], "little"))
        at += length
    if at + PAD != len(data):
        sys.exit(f"decode_cases: {len(data) - PAD - at} bytes do not belong to a case")
    return words


def random_words():
    """Random words in every major opcode; half of them with mostly legal function fields."""
    source = random.Random(3)
    majors = [m << 2 | 3 for m in range(32) if m & 7 != 7]
    functs = [0x00, 0x01, 0x20, 0x09, 0x0B, 0x0C, 0x08, 0x18, 0x10, 0x14, 0x2C, 0x2D, 0x50, 0x51,
              0x60, 0x61, 0x68, 0x69, 0x70, 0x71, 0x78, 0x79, 0x11, 0x13, 0x30, 0x31, 0x32, 0x33,
              0x34, 0x36]
    words = {0x10200073, 0x10200173, 0x10208073, 0x10300073, 0x30200073, 0x30200F73, 0x10500073,
             0x105000F3, 0x00000073, 0x000000F3, 0x00008073, 0x00100073, 0x00200073, 0x00108073,
             0x120000F3, 0x7B200073, 0x00200073, 0x18000073, 0x18100073, 0x18200073, 0x180000F3}
    while len(words) < RANDOM_WORDS:
        word = source.getrandbits(32) & ~0x7F | source.choice(majors)
        if source.random() < 0.5:
            word = word & 0x01FFFFFF | source.choice(functs) << 25
            if source.random() < 0.5:
                word = word & ~(0x1F << 20) | source.randrange(5) << 20
            if source.random() < 0.3:
                word &= ~(0x1F << 7)
        words.add(word)
    return sorted(words)


# Mnemonic of the disassembler -> enum insn_op; the first pattern that matches. What matches none is
# either computation that the decoder calls OTHER or a mnemonic we do not know: see classify().
CLASSES = [(re.compile(f"^({pattern})$"), op) for pattern, op in (
    (r"(c\.)?(lb|lh|lw|ld|lbu|lhu|lwu|lwsp|ldsp)", "LOAD"),
    (r"(c\.)?(sb|sh|sw|sd|swsp|sdsp)", "STORE"),
    (r"(c\.)?(flw|fld|fldsp)", "FLOAT_LOAD"),
    (r"(c\.)?(fsw|fsd|fsdsp)", "FLOAT_STORE"),
    (r"lr\.[wd](\.aq|\.rl|\.aqrl)?", "LR"),
    (r"sc\.[wd](\.aq|\.rl|\.aqrl)?", "SC"),
    (r"amo(swap|add|xor|and|or|minu?|maxu?)\.[wd](\.aq|\.rl|\.aqrl)?", "AMO"),
    (r"cbo\.(inval|clean|flush|zero)", "CBO"),
    (r"csrrwi?", "CSRRW"), (r"csrrsi?", "CSRRS"), (r"csrrci?", "CSRRC"),
    (r"ecall", "ECALL"), (r"(c\.)?ebreak", "EBREAK"), (r"sret", "SRET"), (r"mret", "MRET"),
    (r"wfi", "WFI"), (r"sfence\.vma", "SFENCE_VMA"), (r"sinval\.vma", "SINVAL_VMA"),
    (r"sfence\.w\.inval", "SFENCE_W_INVAL"), (r"sfence\.inval\.ir", "SFENCE_INVAL_IR"),
    (r"(hfence|hinval)\.[vg]vma|hlvx?\.[bhwd]u?|hsv\.[bhwd]", "HYPERVISOR"),
    (r"fence\.i", "FENCE_I"), (r"fence|fence\.tso", "OTHER"),
    (r"c\.(nop|addi4spn|addi16sp|addiw?|li|andi|slli|srli|srai|slli64|srli64|srai64)", "ALU_IMM"),
    (r"(add|slt|sltu|xor|or|and|sll|srl|sra|addw|sllw|srlw|sraw)(?<!u)i|sltiu|(add|sll|srl|sra)iw",
     "ALU_IMM"),
    (r"c\.(mv|add|sub|xor|or|and|subw|addw)", "ALU_REG"),
    (r"add|sub|sll|slt|sltu|xor|srl|sra|or|and|addw|subw|sllw|srlw|sraw", "ALU_REG"),
    (r"(c\.)?lui", "LUI"), (r"auipc", "AUIPC"), (r"jal|c\.j", "JAL"),
    (r"jalr|c\.jr|c\.jalr", "JALR"),
    (r"beq|bne|blt|bge|bltu|bgeu|c\.beqz|c\.bnez", "BRANCH"),
    (r"mul|mulh|mulhsu|mulhu|div|divu|rem|remu|mulw|divw|divuw|remw|remuw", "OTHER"),
    (r"f(madd|msub|nmadd|nmsub|add|sub|mul|div|sqrt|sgnj|sgnjn|sgnjx|min|max|eq|lt|le|class)\.[sd]",
     "OTHER"),
    (r"fcvt\.([wl]u?\.[sd]|[sd]\.[wl]u?|s\.d|d\.s)|fmv\.(x\.[wd]|[wd]\.x)", "OTHER"),
    (r"c\.unimp|\.[24]byte|\.insn|\.short|\.word", "ILLEGAL"),
    (r"uret|dret", "ILLEGAL"),  # the withdrawn N extension; debug mode only
)]


def classify(word, mnemonic, operands):
    """Where binutils 2.40 and the specification differ, the specification counts."""
    if word & 0x707F in (0x000F, 0x100F):  # reserved fields of FENCE and FENCE.I are to be ignored
        return "OTHER" if word & 0x1000 == 0 else "FENCE_I"
    if word == 0x6101:  # C.ADDI16SP 0 is reserved
        return "ILLEGAL"
    if word & 0xFFE0007F == 0xD2000053:  # FCVT.D.W[U] is exact, but takes every rounding mode
        return "ILLEGAL" if (word >> 12 & 7) in (5, 6) else "OTHER"
    for pattern, op in CLASSES:
        if pattern.match(mnemonic):
            return "ILLEGAL" if "unknown" in operands else op  # a reserved rounding mode
    sys.exit(f"decode_cases: unknown mnemonic {mnemonic} {operands} for {word:#010x}")


def disassemble(folder, words):
    lines = [".text", ".option norelax"] + [f".insn {w:#x}" for w in words]
    obj = assemble(folder, lines)
    text = run(CROSS + "objdump", "-d", "-z", "-M", "no-aliases,numeric", obj)
    rows = re.findall(r"^ *[0-9a-f]+:\t([0-9a-f]+) +\t(\S+)(.*)$", text, re.M)
    if [int(row[0], 16) for row in rows] != words:
        sys.exit("decode_cases: the disassembler lost a word")
    return [classify(word, row[1], row[2]) for word, row in zip(words, rows)]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for group in (memory, atomics, system, computation, control_flow, c_memory, c_computation,
                  c_control_flow):
        group()
    words = [w for w in range(0x10000) if w & 3 != 3] + random_words()
    with tempfile.TemporaryDirectory() as folder:
        raws = words_of_cases(folder)
        classes = disassemble(folder, words)
    with open(sys.argv[1] + ".new", "w") as out:
        out.write("/* Generated by decode_cases.py. */\n")
        out.write("static const struct decode_case decode_cases[] = {\n")
        for raw, (text, fields) in zip(raws, cases):
            values = ", ".join(f".{name} = {value}" for name, value in fields.items())
            out.write(f'    {{"{text}", {{.raw = {raw:#x}, {values}}}}},\n')
        out.write("};\nstatic const struct decode_word decode_words[] = {\n")
        for word, op in zip(words, classes):
            out.write(f"    {{{word:#x}, INSN_{op}}},\n")
        out.write("};\n")
    os.replace(sys.argv[1] + ".new", sys.argv[1])


if __name__ == "__main__":
    main()
