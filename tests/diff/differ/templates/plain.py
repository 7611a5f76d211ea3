"""Plain instructions: arithmetic, accesses to memory, floating point, counters."""

from .. import encode as e
from ..program import PAGE
from .maker import (AT_DATA, AT_PHYSDATA, BIG, BORDER, GP, LOW, PAGES, POINTERS, POOL_AT, VALUES,
                    WINDOW)


def plain(m):
    """One instruction that cannot trap."""
    r = m.r
    kind = r.randrange(10)
    if kind < 2:
        return e.alu_imm(m.pick(list(e.ALU_IMM)), m.rd(), m.any(), r.randrange(-2048, 2048))
    if kind < 5:
        return e.alu_reg(m.pick(list(e.ALU_REG)), m.rd(), m.any(), m.any())
    if kind == 5:
        return e.shift(m.pick(list(e.SHIFTS)), m.rd(), m.any(), r.randrange(64))
    if kind == 6:
        return e.c_addi(m.value(), r.randrange(1, 32) * m.pick([1, -1]))
    if kind == 7:
        return e.c_mv(m.value(), m.pick(VALUES + POINTERS))
    if kind == 8:
        return e.c_add(m.value(), m.pick(VALUES))
    return m.pick([e.c_li(m.value(), r.randrange(-32, 32)), e.C_NOP, e.FENCE,
                   e.lui(m.value(), r.getrandbits(20)), e.addiw(m.value(), m.any(), r.randrange(64))])


def offset(m):
    return m.pick([0, 8, 16, 24, 64, -8, -16, 2, 4, 1, 7, m.r.randrange(-64, 64),
                   m.r.randrange(-2048, 2048)])


def access(m, base=None):
    """One load or store by a pointer register, which may fault."""
    r = m.r
    base = base or m.pick(POINTERS)
    kind = r.randrange(10)
    if kind < 4:
        return e.load(m.pick(list(e.LOADS)), m.rd(), base, offset(m))
    if kind < 7 or not 8 <= base < 16:
        return e.store(m.pick(list(e.STORES)), m.any(), base, offset(m))
    if kind == 7:
        return e.c_ld(m.pick(LOW), base, 8 * r.randrange(32))
    if kind == 8:
        return e.c_sd(m.pick(LOW + POINTERS), base, 8 * r.randrange(32))
    return m.pick([e.c_lw(m.pick(LOW), base, 4 * r.randrange(32)),
                   e.c_sw(m.pick(LOW), base, 4 * r.randrange(32))])


def near(m):
    """An address of a window: often close to a page's border."""
    r = m.r
    where = m.pick([WINDOW + m.pick(PAGES) * PAGE] * 5 + [BORDER, BIG + r.randrange(15) * PAGE])
    return where + m.pick([0, 8, -8, -4, -2, -1, 1, 4088, 4092, 4095, 4096, r.randrange(4096),
                           r.randrange(512) * 8, 2048])


def pool(rd, index):
    return e.load("ld", rd, GP, POOL_AT + 8 * index)


def aim(m, register=None):
    """A pointer register gets an address."""
    register = register or m.pick(POINTERS)
    if not m.user and m.chance(0.2):
        m.unit(pool(register, m.pick([AT_DATA, AT_PHYSDATA])))
    else:
        m.unit(e.li(register, near(m)))
    return register


def t_plain(m):
    m.each([plain(m) for _ in range(m.r.randrange(1, 6))])


def t_access(m):
    if m.chance(0.7):
        base = aim(m)
        m.each([access(m, base) for _ in range(m.r.randrange(1, 5))])
    else:
        m.each([access(m) for _ in range(m.r.randrange(1, 4))])


def amo(m, base):
    """Behind a load: QEMU's AMO marks a page accessed even if it may not be written."""
    return [e.load("lb", m.value(), base, 0),
            e.amo(m.pick(list(e.AMOS)), m.rd(), base, m.any(), m.chance(0.5))]


def t_toggle(m):
    """One page, seen with SUM or MXR and without in turn."""
    base = aim(m)
    at = m.pick([0, 8, -8])
    register = m.pick([n for n in VALUES if n not in LOW])
    m.unit(e.li(register, m.pick([0x40000, 0x80000, 0x40000, 0x80000, 0xc0000])))
    for name in m.pick([("csrrs", "csrrc"), ("csrrc", "csrrs"), ("csrrs", "csrrc", "csrrs")]):
        m.each(e.csr(name, 0, "sstatus", register),
               m.pick([e.load("lbu", 14, base, at), e.load("ld", 15, base, at),
                       e.store("sb", 14, base, at)] if m.chance(0.5) else [e.load("lw", 14, base, at)]))


def t_atomic(m):
    base = aim(m)
    if m.chance(0.7):
        m.unit(amo(m, base))
        return
    again = m.new_label()
    m.unit(e.alu_imm("addi", 6, 0, 0), e.label(again), e.lr(7, base), e.alu_imm("addi", 7, 7, 1),
           e.sc(6, base, 7), e.branch("bne", 6, 0, again))


def t_top_page(m):
    """The last page of the address space, by x0: where `inline` keeps its own things."""
    at = m.pick([-8, -16, -2048, -1, -4, -64, -256, -1024])
    access = m.pick([e.load("ld", m.rd(), 0, at), e.store("sd", m.any(), 0, at),
                     e.load("lw", m.rd(), 0, at), e.store("sb", 0, 0, at),
                     e.load("lbu", m.value(), 0, at)])
    if not m.inline or m.section == "u":
        m.each(access)


def t_float(m):
    r = m.r
    base = m.pick(POINTERS)
    for _ in range(r.randrange(1, 4)):
        m.each(m.pick([
            e.fmv_d_x(r.randrange(32), m.any()), e.fmv_x_d(m.value(), r.randrange(32)),
            e.fadd_d(r.randrange(32), r.randrange(32), r.randrange(32)),
            e.fld(r.randrange(32), base, offset(m)), e.fsd(r.randrange(32), base, offset(m)),
            e.flw(r.randrange(32), base, offset(m)),
            e.csr(m.pick(list(e.CSR_OPS)[:3]), m.rd(), m.pick(["fflags", "frm", "fcsr"]), m.any()),
            e.csr("csrrci", m.rd(), "frm", 7),
        ]))


def t_counter(m):
    """A counter's value may not be kept, only whether it can be read."""
    rd = m.value()
    m.unit(e.alu_imm("addi", rd, 0, 0), e.csrr(rd, m.pick(["cycle", "instret"])),
           e.alu_imm("sltiu", rd, rd, 1))
