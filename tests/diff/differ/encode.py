"""RV64GC instructions as numbers and as text: what the templates are written with.

An Item is one instruction (or a label, of size 0). Its code is a number, or a function of its own
offset and a function from label to offset, for what depends on places.
"""

NAMES = ("zero ra sp gp tp t0 t1 t2 s0 s1 a0 a1 a2 a3 a4 a5 a6 a7 "
         "s2 s3 s4 s5 s6 s7 s8 s9 s10 s11 t3 t4 t5 t6").split()
CSRS = {
    "fflags": 0x001, "frm": 0x002, "fcsr": 0x003, "sstatus": 0x100, "sie": 0x104, "stvec": 0x105,
    "scounteren": 0x106, "senvcfg": 0x10a, "sscratch": 0x140, "sepc": 0x141, "scause": 0x142,
    "stval": 0x143, "sip": 0x144, "stimecmp": 0x14d, "satp": 0x180, "cycle": 0xc00, "instret": 0xc02,
}
CSR_NAMES = {number: name for name, number in CSRS.items()}


class Item:
    __slots__ = ("size", "text", "code", "label", "reaction")

    def __init__(self, size, text, code, label=None, reaction=None):
        self.size, self.text, self.code = size, text, code
        self.label, self.reaction = label, reaction


def label(name):
    return Item(0, f"{name}:", 0, label=name)


def word(value, text):
    return Item(4, text, value)


def half(value, text):
    return Item(2, text, value)


# --- Formats -------------------------------------------------------------------------------------

def i_type(opcode, funct3, rd, rs1, imm):
    assert -2048 <= imm < 4096, imm
    return (imm & 0xfff) << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode


def s_type(opcode, funct3, rs1, rs2, imm):
    assert -2048 <= imm < 2048, imm
    return ((imm >> 5 & 0x7f) << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | (imm & 31) << 7
            | opcode)


def b_type(funct3, rs1, rs2, distance):
    assert -4096 <= distance < 4096 and distance % 2 == 0, distance
    return ((distance >> 12 & 1) << 31 | (distance >> 5 & 0x3f) << 25 | rs2 << 20 | rs1 << 15
            | funct3 << 12 | (distance >> 1 & 15) << 8 | (distance >> 11 & 1) << 7 | 0x63)


def j_type(rd, distance):
    assert -(1 << 20) <= distance < 1 << 20 and distance % 2 == 0, distance
    return ((distance >> 20 & 1) << 31 | (distance >> 1 & 0x3ff) << 21 | (distance >> 11 & 1) << 20
            | (distance >> 12 & 0xff) << 12 | rd << 7 | 0x6f)


def r_type(opcode, funct3, funct7, rd, rs1, rs2):
    return funct7 << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode


# --- Integer -------------------------------------------------------------------------------------

ALU_IMM = {"addi": 0, "slti": 2, "sltiu": 3, "xori": 4, "ori": 6, "andi": 7}
SHIFTS = {"slli": (1, 0), "srli": (5, 0), "srai": (5, 0x10)}
ALU_REG = {
    "add": (0x33, 0, 0), "sub": (0x33, 0, 0x20), "sll": (0x33, 1, 0), "slt": (0x33, 2, 0),
    "sltu": (0x33, 3, 0), "xor": (0x33, 4, 0), "srl": (0x33, 5, 0), "sra": (0x33, 5, 0x20),
    "or": (0x33, 6, 0), "and": (0x33, 7, 0), "addw": (0x3b, 0, 0), "subw": (0x3b, 0, 0x20),
    "sllw": (0x3b, 1, 0), "srlw": (0x3b, 5, 0), "sraw": (0x3b, 5, 0x20), "mul": (0x33, 0, 1),
    "mulhu": (0x33, 3, 1), "div": (0x33, 4, 1), "remu": (0x33, 7, 1), "mulw": (0x3b, 0, 1),
}
LOADS = {"lb": 0, "lh": 1, "lw": 2, "ld": 3, "lbu": 4, "lhu": 5, "lwu": 6}
STORES = {"sb": 0, "sh": 1, "sw": 2, "sd": 3}
BRANCHES = {"beq": 0, "bne": 1, "blt": 4, "bge": 5, "bltu": 6, "bgeu": 7}
AMOS = {"amoadd": 0, "amoswap": 1, "amoxor": 4, "amoor": 8, "amoand": 12, "amomin": 16,
        "amomaxu": 28}


def alu_imm(name, rd, rs1, imm):
    return word(i_type(0x13, ALU_IMM[name], rd, rs1, imm), f"{name} {NAMES[rd]}, {NAMES[rs1]}, {imm}")


def addiw(rd, rs1, imm):
    return word(i_type(0x1b, 0, rd, rs1, imm), f"addiw {NAMES[rd]}, {NAMES[rs1]}, {imm}")


def shift(name, rd, rs1, amount):
    funct3, top = SHIFTS[name]
    return word(i_type(0x13, funct3, rd, rs1, top << 6 | amount),
                f"{name} {NAMES[rd]}, {NAMES[rs1]}, {amount}")


def alu_reg(name, rd, rs1, rs2):
    return word(r_type(*ALU_REG[name], rd, rs1, rs2),
                f"{name} {NAMES[rd]}, {NAMES[rs1]}, {NAMES[rs2]}")


def lui(rd, value):
    return word((value & 0xfffff) << 12 | rd << 7 | 0x37, f"lui {NAMES[rd]}, {value & 0xfffff:#x}")


def li(rd, value):
    """Any value that a sign-extended 32-bit number can be."""
    value = (value & 0xffffffff) - ((value & 0x80000000) << 1)
    if -2048 <= value < 2048:
        return [alu_imm("addi", rd, 0, value)]
    low = (value & 0xfff) - ((value & 0x800) << 1)
    high = lui(rd, (value - low) >> 12)
    return [high, addiw(rd, rd, low)] if low else [high]


def load(name, rd, base, offset):
    return word(i_type(3, LOADS[name], rd, base, offset),
                f"{name} {NAMES[rd]}, {offset}({NAMES[base]})")


def store(name, rs2, base, offset):
    return word(s_type(0x23, STORES[name], base, rs2, offset),
                f"{name} {NAMES[rs2]}, {offset}({NAMES[base]})")


def amo(name, rd, base, rs2, double=True):
    return word(AMOS[name] << 27 | rs2 << 20 | base << 15 | (3 if double else 2) << 12 | rd << 7 | 0x2f,
                f"{name}.{'d' if double else 'w'} {NAMES[rd]}, {NAMES[rs2]}, ({NAMES[base]})")


def lr(rd, base):
    return word(2 << 27 | base << 15 | 3 << 12 | rd << 7 | 0x2f, f"lr.d {NAMES[rd]}, ({NAMES[base]})")


def sc(rd, base, rs2):
    return word(3 << 27 | rs2 << 20 | base << 15 | 3 << 12 | rd << 7 | 0x2f,
                f"sc.d {NAMES[rd]}, {NAMES[rs2]}, ({NAMES[base]})")


# --- Places --------------------------------------------------------------------------------------

def branch(name, rs1, rs2, target, plus=0):
    def code(offset, place):
        return b_type(BRANCHES[name], rs1, rs2, place(target) + plus - offset)
    tail = f"+{plus}" if plus else ""
    return Item(4, f"{name} {NAMES[rs1]}, {NAMES[rs2]}, {target}{tail}", code)


def jal(rd, target):
    return Item(4, f"jal {NAMES[rd]}, {target}",
                lambda offset, place: j_type(rd, place(target) - offset))


def jalr(rd, base, offset):
    return word(i_type(0x67, 0, rd, base, offset), f"jalr {NAMES[rd]}, {offset}({NAMES[base]})")


def address(rd, target, plus=0):
    """rd = where target is, seen from here: two instructions."""
    def parts(distance):
        low = (distance & 0xfff) - ((distance & 0x800) << 1)
        return (distance - low) >> 12 & 0xfffff, low

    def high(offset, place):
        return parts(place(target) + plus - offset)[0] << 12 | rd << 7 | 0x17

    def low(offset, place):
        return i_type(0x13, 0, rd, rd, parts(place(target) + plus - (offset - 4))[1])
    tail = f"+{plus}" if plus else ""
    return [Item(4, f"auipc {NAMES[rd]}, %hi({target}{tail})", high),
            Item(4, f"addi {NAMES[rd]}, {NAMES[rd]}, %lo({target}{tail})", low)]


def absolute(rd, base, target, plus=0):
    """rd = base + target's offset, for a base below 2 GiB: two instructions."""
    def parts(place):
        value = base + place(target) + plus
        low = (value & 0xfff) - ((value & 0x800) << 1)
        return (value - low) >> 12, low
    text = f"({base:#x} + {target}{f'+{plus}' if plus else ''})"
    return [Item(4, f"lui {NAMES[rd]}, %hi{text}",
                 lambda offset, place: parts(place)[0] << 12 | rd << 7 | 0x37),
            Item(4, f"addi {NAMES[rd]}, {NAMES[rd]}, %lo{text}",
                 lambda offset, place: i_type(0x13, 0, rd, rd, parts(place)[1]))]


# --- System --------------------------------------------------------------------------------------

CSR_OPS = {"csrrw": 1, "csrrs": 2, "csrrc": 3, "csrrwi": 5, "csrrsi": 6, "csrrci": 7}


def csr(name, rd, register, source):
    """source: a register, or the immediate of the forms with i."""
    number = CSRS.get(register, register)
    shown = source if name.endswith("i") else NAMES[source]
    return word(number << 20 | source << 15 | CSR_OPS[name] << 12 | rd << 7 | 0x73,
                f"{name} {NAMES[rd]}, {CSR_NAMES.get(number, hex(number))}, {shown}")


def csrr(rd, register):
    return csr("csrrs", rd, register, 0)


def csrw(register, source):
    return csr("csrrw", 0, register, source)


def sfence(rs1=0, rs2=0):
    return word(0x09 << 25 | rs2 << 20 | rs1 << 15 | 0x73, f"sfence.vma {NAMES[rs1]}, {NAMES[rs2]}")


def react(item, action, target=None):
    """What the guest's handler does about an exception here: "end", or "goto" a label, in vS."""
    text = f"{item.text}   # {action} {target or ''}".rstrip()
    return Item(item.size, text, item.code, reaction=(action, target))


ECALL = word(0x73, "ecall")
EBREAK = word(0x00100073, "ebreak")
C_EBREAK = half(0x9002, "c.ebreak")
SRET = word(0x10200073, "sret")
MRET = word(0x30200073, "mret")
WFI = word(0x10500073, "wfi")
FENCE_I = word(0x0000100f, "fence.i")
FENCE = word(0x0ff0000f, "fence")


# --- Compressed ----------------------------------------------------------------------------------

def c_addi(rd, imm):
    assert rd and -32 <= imm < 32
    return half((imm >> 5 & 1) << 12 | rd << 7 | (imm & 31) << 2 | 1, f"c.addi {NAMES[rd]}, {imm}")


def c_li(rd, imm):
    return half(2 << 13 | (imm >> 5 & 1) << 12 | rd << 7 | (imm & 31) << 2 | 1,
                f"c.li {NAMES[rd]}, {imm}")


def c_mv(rd, rs2):
    return half(0x8002 | rd << 7 | rs2 << 2, f"c.mv {NAMES[rd]}, {NAMES[rs2]}")


def c_add(rd, rs2):
    return half(0x9002 | rd << 7 | rs2 << 2, f"c.add {NAMES[rd]}, {NAMES[rs2]}")


def c_jr(rs1):
    return half(0x8002 | rs1 << 7, f"c.jr {NAMES[rs1]}")


C_NOP = half(1, "c.nop")


def _c_memory(top, name, reg, base, offset):
    """Of 8 bytes, with registers s0..a5."""
    assert 8 <= reg < 16 and 8 <= base < 16 and offset % 8 == 0 and 0 <= offset < 256
    return half(top << 13 | (offset >> 3 & 7) << 10 | (base - 8) << 7 | (offset >> 6 & 3) << 5
                | (reg - 8) << 2, f"{name} {NAMES[reg]}, {offset}({NAMES[base]})")


def c_ld(rd, base, offset):
    return _c_memory(3, "c.ld", rd, base, offset)


def c_sd(rs2, base, offset):
    return _c_memory(7, "c.sd", rs2, base, offset)


def _c_word(top, name, reg, base, offset):
    assert 8 <= reg < 16 and 8 <= base < 16 and offset % 4 == 0 and 0 <= offset < 128
    return half(top << 13 | (offset >> 3 & 7) << 10 | (base - 8) << 7 | (offset >> 2 & 1) << 6
                | (offset >> 6 & 1) << 5 | (reg - 8) << 2, f"{name} {NAMES[reg]}, {offset}({NAMES[base]})")


def c_lw(rd, base, offset):
    return _c_word(2, "c.lw", rd, base, offset)


def c_sw(rs2, base, offset):
    return _c_word(6, "c.sw", rs2, base, offset)


def c_ldsp(rd, offset):
    assert rd and offset % 8 == 0 and 0 <= offset < 512
    return half(3 << 13 | (offset >> 5 & 1) << 12 | rd << 7 | (offset >> 3 & 3) << 5
                | (offset >> 6 & 7) << 2 | 2, f"c.ldsp {NAMES[rd]}, {offset}(sp)")


def c_sdsp(rs2, offset):
    assert offset % 8 == 0 and 0 <= offset < 512
    return half(7 << 13 | (offset >> 3 & 7) << 10 | (offset >> 6 & 7) << 7 | rs2 << 2 | 2,
                f"c.sdsp {NAMES[rs2]}, {offset}(sp)")


# --- Floating point ------------------------------------------------------------------------------

def fld(f, base, offset):
    return word(i_type(7, 3, f, base, offset), f"fld f{f}, {offset}({NAMES[base]})")


def flw(f, base, offset):
    return word(i_type(7, 2, f, base, offset), f"flw f{f}, {offset}({NAMES[base]})")


def fsd(f, base, offset):
    return word(s_type(0x27, 3, base, f, offset), f"fsd f{f}, {offset}({NAMES[base]})")


def fmv_d_x(f, rs1):
    return word(r_type(0x53, 0, 0x79, f, rs1, 0), f"fmv.d.x f{f}, {NAMES[rs1]}")


def fmv_x_d(rd, f):
    return word(r_type(0x53, 0, 0x71, rd, f, 0), f"fmv.x.d {NAMES[rd]}, f{f}")


def fadd_d(f, a, b):
    return word(r_type(0x53, 7, 0x01, f, a, b), f"fadd.d f{f}, f{a}, f{b}")
