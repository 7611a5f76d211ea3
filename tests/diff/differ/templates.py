"""What programs are made of: templates with weights, each of which appends units to a program.

Registers: gp is the harness's and never written; ra is where a stray program goes on; s11 counts
loops; s0, s1 and a0..a3 hold pointers; the rest hold anything. t5 and t6 point to page tables and
code only inside one unit, so that no other store goes there.

Only what the specification and QEMU define is generated. Kept out: an odd sepc, UXL of sstatus,
several interrupts pending at once, time, page tables outside RAM, traps through OpenSBI in vectored
mode, addresses below RAM with paging off (there are the board's devices), wfi of vU at the end of a
page, mret in vS; and a change of a table or of code is one unit with its fence.
"""

from . import encode as e
from .program import (A, CODE_ALIAS, D, DATA, DATA_PAGES, MORE, PAGE, PAGES1, PAGES2, R, U,
                      USER_CODE, V, W, X, pte, table)

RA, SP, GP, TP, T5, T6, COUNT = 1, 2, 3, 4, 30, 31, 27
POINTERS = [8, 9, 10, 11, 12, 13]
VALUES = [5, 6, 7, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 28, 29, 30, 31]
LOW = [14, 15]  # values among the registers of compressed loads and stores
SLOTS_AT = 36 * 8 - 1024  # of the frame, from gp: diff.h
POOL_AT = SLOTS_AT + 16 * 8
WINDOW = 0x12000000  # two 2 MiB regions of 4 KiB pages, then one 2 MiB page
PAGES = [0, 1, 2, 3, 508, 509, 510, 511, 512, 513, 514, 515]
BORDER = WINDOW + (2 << 20)
BIG = WINDOW + (4 << 20)
# Words of the pool that each program has.
(SATP1, SATP2, SATP_BARE, SATP_MODES, STVEC_OWN, STVEC_GUEST, STVEC_GUEST1, STVEC_BAD, AT_PAGES1,
 AT_PAGES2, AT_MORE, AT_TOP0, AT_LOW1, AT_LOW2, AT_CODE, AT_DATA, AT_PHYSDATA, FREE) = range(18)
SSTATUS_BITS = [0x2, 0x20, 0x100, 0x2000, 0x4000, 0x6000, 0x40000, 0x80000, 0xc0000, 0x122, 0x22]
ILLEGAL_CSRS = [0x102, 0x103, 0x300, 0x305, 0x341, 0x342, 0x3a0, 0x5a8, 0x600, 0x680, 0x7c0, 0x7a0,
                0x800, 0xb00, 0xf14, 0xfff, 0x10c, 0x150, 0x1c0, 0x200, 0x280, 0xda0, 0x008, 0x015]
WORDS = [0x00000000, 0xffffffff, 0x0000707b, 0x00300073, 0x02000073, 0x10200173, 0x62000073,
         0x10500173, 0x0000000b]
SYSTEM = [e.SRET, e.MRET, e.WFI, e.sfence(), e.sfence(10, 0)]


class Maker:
    """One program in the making: random choices and units."""

    def __init__(self, random, program):
        self.r, self.p = random, program
        self.section = "s"
        self.labels = 0
        self.timer = random.random() < 0.4  # which interrupt this program has
        self.jumps = []                     # (label, in how many templates it comes)
        self.asids = (1, 2)

    def new_label(self):
        self.labels += 1
        return f"L{self.labels}"

    def unit(self, *items):
        flat = []
        for item in items:
            flat += item if isinstance(item, list) else [item]
        self.p.units.append((self.section, flat))

    def each(self, *items):
        for item in items:
            for one in item if isinstance(item, list) else [item]:
                self.p.units.append((self.section, [one]))

    def chance(self, probability):
        return self.r.random() < probability

    def pick(self, choices):
        return self.r.choice(choices)

    def value(self):
        return self.pick(VALUES)

    def any(self):
        """A register to read."""
        return self.pick(VALUES + POINTERS + [0, SP, TP, RA])

    def rd(self):
        return self.pick(VALUES + [0, TP])

    def number(self):
        r = self.r
        return self.pick([0, 1, 2, -1, 1 << r.randrange(31), r.getrandbits(12), r.getrandbits(32),
                          0x22, 0x222, r.getrandbits(20)])

    @property
    def user(self):
        return self.section == "u"


# --- Plain instructions --------------------------------------------------------------------------

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


# --- Traps that are asked for --------------------------------------------------------------------

def t_trap(m):
    r = m.r
    kind = r.randrange(5)
    if kind == 0:
        m.each(e.EBREAK)
    elif kind == 1:
        m.each(e.C_EBREAK)
    elif kind == 2:
        value = m.pick(WORDS)
        m.each(e.word(value, f".word {value:#x}") if value else e.half(0, ".half 0"))
    elif kind == 3 and m.user:
        m.each(m.pick([e.ECALL, m.pick(SYSTEM), csr_any(m)[-1]]))
    else:
        rd = m.rd()
        m.each(e.csr(m.pick(list(e.CSR_OPS)), rd, m.pick(ILLEGAL_CSRS + [0xc00, 0xc02]),
                     m.pick([rd, m.value(), 1, 5])))


# --- CSRs ----------------------------------------------------------------------------------------

def csr_free(m, register):
    """Any form, any operand."""
    name = m.pick(list(e.CSR_OPS))
    rd = m.rd()
    if name.endswith("i"):
        return [e.csr(name, rd, register, m.r.randrange(32))]
    return [e.csr(name, rd, register, m.pick([m.any(), rd, 0]))]


def csr_sstatus(m):
    kind = m.r.randrange(6)
    if kind == 0:
        return [e.csrr(m.rd(), "sstatus")]
    if kind < 3:
        return [e.csr(m.pick(["csrrsi", "csrrci"]), m.rd(), "sstatus", m.pick([2, 0, 31, 1, 16, 2]))]
    register = m.value()
    bits = m.pick(SSTATUS_BITS + [m.r.getrandbits(31)])
    rd = m.pick([m.rd(), 0, register])
    return e.li(register, bits) + [e.csr(m.pick(["csrrw", "csrrs", "csrrs", "csrrc"]), rd, "sstatus",
                                         register)]


def csr_sepc(m):
    register = m.value()
    kind = m.r.randrange(4)
    if kind == 0:
        return [e.csrr(m.rd(), "sepc")]
    if kind == 1:
        return [e.csr(m.pick(["csrrwi", "csrrsi", "csrrci"]), m.rd(), "sepc", 2 * m.r.randrange(16))]
    return [e.alu_imm("andi", register, m.any(), -2),
            e.csr(m.pick(["csrrw", "csrrs", "csrrc"]), m.pick([m.rd(), register]), "sepc", register)]


def csr_sip(m):
    if not m.timer:
        return csr_free(m, "sip")
    return m.pick([[e.csrr(m.rd(), "sip")], [e.csrw("sip", 0)], [e.csr("csrrc", m.rd(), "sip", m.any())],
                   [e.csr("csrrci", m.rd(), "sip", m.r.randrange(32))]])


def csr_scounteren(m):
    """Of the programmable counters each machine may have as many as it likes."""
    register = m.value()
    return [e.alu_imm("addi", register, 0, m.r.randrange(8)),
            e.csr(m.pick(list(e.CSR_OPS)[:3]), m.rd(), "scounteren", register)]


def csr_stvec(m):
    if m.chance(0.4):
        return [e.csrr(m.rd(), "stvec")]
    if m.chance(0.3):
        return [e.csr(m.pick(["csrrsi", "csrrci"]), m.rd(), "stvec", m.pick([0, 2]))]
    register = m.value()
    index = m.pick([STVEC_OWN, STVEC_GUEST, STVEC_BAD])
    return [pool(register, index), e.csr("csrrw", m.pick([0, m.rd()]), "stvec", register)]


FREE_CSRS = ["sscratch", "scause", "stval", "sscratch", "sie", "senvcfg"]


def csr_any(m):
    kind = m.r.randrange(12)
    if kind < 5:
        return csr_free(m, m.pick(FREE_CSRS))
    if kind < 8:
        return csr_sstatus(m)
    if kind == 8:
        return csr_sepc(m)
    if kind == 9:
        return csr_sip(m)
    if kind == 10:
        return m.pick([[e.csrr(m.rd(), m.pick(["satp", "stimecmp"]))], csr_scounteren(m)])
    return csr_stvec(m)


def t_csr(m):
    for _ in range(m.r.randrange(1, 4)):
        m.unit(csr_any(m))


def t_illegal_csr(m):
    rd = m.rd()
    m.each(e.csr(m.pick(list(e.CSR_OPS)), rd, m.pick(ILLEGAL_CSRS), m.pick([0, rd, m.value()])))


def t_irq_pair(m):
    """Linux's local_irq_save and _restore."""
    saved = m.value()
    others = [v for v in VALUES if v != saved]
    two = m.pick(others)
    if m.chance(0.5):
        m.unit(e.csr("csrrci", saved, "sstatus", 2))
    else:
        m.unit(e.alu_imm("addi", two, 0, 2), e.csr("csrrc", saved, "sstatus", two))
    for _ in range(m.r.randrange(5)):
        rd = m.pick([v for v in others])
        m.each(m.pick([e.alu_reg("add", rd, m.pick(others), m.any()), access(m, m.pick(POINTERS))])
               if m.chance(0.5) else e.alu_imm("addi", rd, m.any(), m.r.randrange(100)))
    if m.chance(0.3):
        m.unit(csr_any(m))
    if m.chance(0.7):
        m.unit(e.alu_imm("andi", saved, saved, 2), e.csr("csrrs", 0, "sstatus", saved))
    else:
        m.unit(e.csr("csrrsi", 0, "sstatus", 2))


# --- Instructions that switch interrupts, and what follows them ------------------------------------

def irq_site(m, dead=0):
    """One of them, in some form; it leaves the register `dead` alone."""
    others = [v for v in VALUES if v != dead]
    rd, rs = m.pick(others), m.pick(others)
    bits = e.alu_imm("andi", rs, m.pick([v for v in others if v != rs]), 2)
    return m.pick([
        [e.csr("csrrci", rd, "sstatus", 2)], [e.csr("csrrci", rd, "sstatus", 2)],
        [e.csr(m.pick(["csrrsi", "csrrci"]), m.pick([0, 0, rd]), "sstatus", 2)],
        [bits, e.csr(m.pick(["csrrs", "csrrc"]), m.pick([0, rd, rs]), "sstatus", rs)],
        [e.alu_imm("addi", rs, 0, 2), e.csr("csrrc", rd, "sstatus", rs)],
        [e.csrr(rd, "sstatus")], [e.csr("csrrw", rs, "sscratch", rs)],
    ])


def trap_or_not(m):
    """What may come between such an instruction and the next."""
    wake = [e.csr("csrrsi", 0, "sip", 2)] if not m.timer else [e.csrw("stimecmp", 0)]
    return m.pick([[plain(m)], [plain(m)], [plain(m)], [access(m)], [access(m)], [e.EBREAK],
                   [e.C_EBREAK], [e.csrr(m.value(), 0x340)], wake])


def overwrite(m, dead):
    base = m.pick([p for p in POINTERS if p != dead])
    return m.pick([e.alu_imm("addi", dead, 0, m.r.randrange(2048)), e.lui(dead, m.r.getrandbits(20)),
                   e.load(m.pick(list(e.LOADS)), dead, base, offset(m)), e.c_li(dead, 7),
                   e.c_mv(dead, m.pick([v for v in VALUES if v != dead])),
                   e.csrr(dead, m.pick(["sscratch", "scause", "sstatus"])),
                   e.csr("csrrci", dead, "sstatus", 2)])


def reading(m, dead):
    base = m.pick(POINTERS)
    return m.pick([e.alu_reg("add", dead, dead, dead), e.c_mv(m.value(), dead),
                   e.store("sd", dead, base, offset(m)), e.csr("csrrw", 0, "sscratch", dead),
                   e.alu_imm("addi", m.value(), dead, 1)])


def t_irq_dead(m):
    """A register is overwritten soon after, or read after all; a trap may come first."""
    dead = m.value()
    skip = m.new_label()
    if m.chance(0.3):  # another way in, behind the first of them
        m.each(e.branch(m.pick(list(e.BRANCHES)), m.any(), m.any(), skip))
    m.unit(irq_site(m, dead))
    m.unit(e.label(skip))
    for _ in range(m.r.randrange(4)):
        m.unit(trap_or_not(m) if m.chance(0.7) else irq_site(m, dead))
    over = m.new_label()
    kind = m.r.randrange(4)
    if kind == 0:
        m.each(reading(m, dead))
    elif kind == 1:
        m.each(e.branch(m.pick(list(e.BRANCHES)), m.any(), dead, over))
    m.each(overwrite(m, dead))
    m.unit(e.label(over))
    if m.chance(0.5):
        m.unit(trap_or_not(m))


def t_irq_call(m):
    """A function whose caller has saved interrupts, and which does so itself."""
    link, body, after = m.pick([RA, 5, 6]), m.new_label(), m.new_label()
    inside = [item for _ in range(m.r.randrange(1, 4)) for item in
              m.pick([irq_site(m, link), [e.alu_imm("addi", 7 if link != 7 else 14, 0, 5)]])]
    saved = m.pick([18, 19, 20])
    m.unit(e.jal(0, after), e.label(body), inside, e.jalr(0, link, 0), e.label(after),
           e.csr("csrrci", saved, "sstatus", 2), e.jal(link, body),
           [plain(m)] if m.chance(0.5) else [], e.alu_imm("andi", saved, saved, 2),
           e.csr("csrrs", 0, "sstatus", saved))


def t_irq_loop(m):
    """Nested saves and restores in a loop, with an interrupt that becomes pending in its middle."""
    body, first, second = m.new_label(), *m.r.sample([18, 19, 20, 21, 22], 2)
    wake = [e.csr("csrrsi", 0, "sip", 2), e.csr("csrrsi", 0, "sie", 2)] if not m.timer else \
        [e.csrw("stimecmp", 0)] + e.li(7, 0x20) + [e.csr("csrrs", 0, "sie", 7)]
    steps = [[e.csr("csrrci", first, "sstatus", 2)], [e.csr("csrrci", second, "sstatus", 2)],
             [e.alu_imm("andi", second, second, 2), e.csr("csrrs", 0, "sstatus", second)],
             [e.alu_imm("andi", first, first, 2), e.csr("csrrs", 0, "sstatus", first)]]
    m.unit(e.alu_imm("addi", COUNT, 0, m.r.randrange(1, 4)), e.label(body))
    wake_at = m.r.randrange(5)
    for index, step in enumerate(steps):
        m.unit(wake if index == wake_at else [], step)
        m.each([plain(m) for _ in range(m.r.randrange(3))])
    m.unit(e.csr("csrrsi", 0, "sstatus", 2) if m.chance(0.5) else [],
           e.alu_imm("addi", COUNT, COUNT, -1), e.branch("blt", 0, COUNT, body))


def t_irq_float(m):
    """sstatus read around an instruction that may make FS dirty."""
    register = m.value()
    state = e.li(register, m.pick([0x2000, 0x4000, 0x6000]))
    m.unit(state, e.csr(m.pick(["csrrs", "csrrc"]), m.pick([0, register]), "sstatus", register))
    m.each(m.pick([e.csr("csrrci", m.value(), "sstatus", 2), e.csrr(m.value(), "sstatus")]),
           m.pick([e.fmv_d_x(m.r.randrange(32), m.any()), e.fmv_x_d(m.value(), m.r.randrange(32))]),
           m.pick([e.csr("csrrci", m.value(), "sstatus", 2), e.csrr(m.value(), "sstatus")]))


# --- The ends of the address space ------------------------------------------------------------------

def t_null(m):
    """Loads, stores and a call at the first page, where no program of this kind has anything."""
    if not m.p.upper:  # paging may be off, and there are the board's devices
        t_irq_dead(m)
        return
    at = m.pick([0, 8, 0x100, 0x7f8, m.r.randrange(2048)])
    m.each(m.pick([e.load(m.pick(list(e.LOADS)), m.value(), 0, at),
                   e.store(m.pick(list(e.STORES)), m.any(), 0, at), e.jalr(RA, 0, 0)]))


def t_ends(m):
    """The last or the first page is mapped for a while, and used by x0 as `inline` does."""
    top = m.chance(0.6)
    if not top and not m.p.upper:
        top = True
    flags = V | m.pick([R, R | W, R | W, R | W | X]) | m.pick([0, 0, 0, U]) | m.pick([A | D, A | D, 0])
    page = DATA if not top else DATA + m.r.randrange(DATA_PAGES) * PAGE
    index, at = (AT_TOP0, 511) if top else (m.pick([AT_LOW1, AT_LOW2]), 0)
    put = e.store("sd", T6, T5, at * 8 - 2048)
    one = []
    for _ in range(m.r.randrange(1, 4)):
        place = 8 * (m.r.randrange(1, 256) * -1 if top else m.r.randrange(256)) + m.pick([0, 0, 1])
        one += m.pick([[e.load(m.pick(list(e.LOADS)), m.value(), 0, place & -8)],
                       [e.store(m.pick(list(e.STORES)), m.any(), 0, place & -8)], irq_site(m)])
    m.unit(pool(T5, index), e.li(T6, pte(page, flags)), put, e.sfence(), one, pool(T5, index),
           e.li(T6, 0), put, e.sfence())


def t_swap(m):
    register = m.pick([TP, TP, m.value()])
    swap = e.csr("csrrw", register, "sscratch", register)
    m.each(swap)
    m.each([m.pick([plain(m), access(m)]) for _ in range(m.r.randrange(4))])
    if m.chance(0.7):
        m.each(swap)


def t_cluster(m):
    """A long straight line as a kernel's trap entry is: CSRs, registers, memory, short branches."""
    base = aim(m)
    skips = []
    for _ in range(m.r.randrange(6, 30)):
        kind = m.r.randrange(20)
        if kind < 7:
            m.unit(csr_any(m) if m.chance(0.4) else
                   m.pick([csr_free(m, m.pick(["sscratch", "scause", "stval"])),
                           [e.csrr(m.rd(), m.pick(["sepc", "scause", "stval", "sstatus", "sscratch"]))]]))
        elif kind < 11:
            m.each(access(m, base if m.chance(0.8) else None))
        elif kind < 16:
            m.each(plain(m))
        elif kind < 18:
            target = m.new_label()
            m.each(e.branch(m.pick(list(e.BRANCHES)), m.any(), m.any(), target))
            skips.append((target, m.r.randrange(1, 4)))
        elif kind == 18:
            m.each(e.c_sdsp(m.any(), 8 * m.r.randrange(8)))
        else:
            m.each(pool(m.value(), m.pick([FREE, FREE + 1, SATP1, AT_DATA])))
        for target, left in skips:
            if left == 0:
                m.unit(e.label(target))
        skips = [(target, left - 1) for target, left in skips if left > 0]
    for target, _ in skips:
        m.unit(e.label(target))


# --- Where to go next ----------------------------------------------------------------------------

def t_branch(m):
    """Ahead, to where some later template begins; the maker places the label."""
    target = m.new_label()
    m.jumps.append((target, m.r.randrange(1, 4)))
    if m.chance(0.7):
        m.each(e.branch(m.pick(list(e.BRANCHES)), m.any(), m.any(), target))
    else:
        m.each(e.jal(0, target))


def t_loop(m):
    body = m.new_label()
    m.unit(e.alu_imm("addi", COUNT, 0, m.r.randrange(1, 5)))
    m.unit(e.label(body))
    for _ in range(m.r.randrange(1, 5)):
        kind = m.r.randrange(4)
        if kind == 0 and not m.user:
            m.unit(csr_any(m))
        else:
            m.each(access(m) if kind == 1 else plain(m))
    m.unit(e.alu_imm("addi", COUNT, COUNT, -1), e.branch("blt", 0, COUNT, body))


def t_middle(m):
    """Once through a 4-byte instruction, and once into its middle, which is a compressed one."""
    inner = m.new_label()
    source = m.pick([0, 1, 8, 9, 16, 17, 24, 25, 2, 18, 10, 26])
    register = m.pick(["sstatus", "sepc", "scause", "stval", "sscratch"])
    if m.inline and register == "sstatus":
        register = "sepc"  # with the FPU open the middle of a jump to a trampoline is C.FLD
    name = "csrrs" if register in ("sepc", "sstatus") else m.pick(["csrrw", "csrrs", "csrrc"])
    setup = []
    if register in ("sepc", "sstatus") and source:
        # A write of what is there already: harmless whatever it is. But sp is not to point to code, which a
        # c.sdsp would change without its fence.
        may = VALUES + ([SP] if register == "sstatus" else [])
        setup = [e.csrr(source, register)] if source in may else []
        source = source if setup else 0
    m.unit(setup, e.alu_imm("addi", COUNT, 0, 2), e.label(inner), e.csr(name, m.rd(), register, source),
           e.alu_imm("addi", COUNT, COUNT, -1), e.branch("blt", 0, COUNT, inner, 2))


def sret_to(m, items, user):
    """items leave the target in a register, which is theirs and returned as the last one's rd."""
    register = m.value()
    bits = [v for v in VALUES if v != register]
    b = m.pick(bits)
    spie = [e.alu_imm("addi", b, 0, 0x20), e.csr(m.pick(["csrrs", "csrrc"]), 0, "sstatus", b)]
    mode = [e.alu_imm("addi", b, 0, 0x100), e.csr("csrrc" if user else "csrrs", m.pick([0, b]),
                                                  "sstatus", b)]
    m.unit(items(register), e.csr("csrrw", m.pick([0, register]), "sepc", register),
           spie if m.chance(0.6) else [], mode, e.SRET)


def t_sret(m):
    target = m.new_label()
    sret_to(m, lambda register: e.address(register, target), user=False)
    m.unit(e.label(target))


def t_user(m):
    """To vU and back by an ecall that the harness answers."""
    begin, back = m.new_label(), m.new_label()
    sret_to(m, lambda register: e.absolute(register, USER_CODE, begin), user=True)
    m.unit(e.label(back))
    m.section = "u"
    m.unit(e.label(begin))
    for _ in range(m.r.randrange(1, 5)):
        m.pick(USER)(m)
    m.unit([e.label(target) for target, _ in m.jumps], e.react(e.ECALL, "goto", back))
    m.section, m.jumps = "s", []


def t_alias(m):
    """The kernel's own next instructions in vU, by the alias that vU may execute."""
    begin, back = m.new_label(), m.new_label()
    m.p.alias = True
    sret_to(m, lambda register: e.absolute(register, USER_CODE, begin), user=True)
    m.unit(e.label(begin))
    for _ in range(m.r.randrange(1, 3)):
        m.pick([t_plain, t_csr, t_access, t_cluster])(m)
    m.unit(e.react(e.EBREAK, "goto", back), e.label(back))


def t_call(m):
    """Into a window: code there, or what faults on fetch, from where the harness returns to ra."""
    register = m.pick(VALUES)
    # Where functions are, or else where stores have seldom left anything: data are executed too.
    at = m.pick([0, 64, 128, 4094]) if m.chance(0.4) else m.pick([1024, 1500, 2560, 3072])
    m.unit(e.li(register, WINDOW + m.pick(PAGES) * PAGE + at),
           e.jalr(RA, register, 0))


def renew(m):
    """a0 to a3 have been arguments: pointers again, but one of them out with the answer."""
    answer = m.pick([10, 11])
    return [e.c_mv(m.value(), answer)] + [item for n in (10, 11, 12, 13) for item in e.li(n, near(m))]


def t_sbi(m):
    """Calls whose answer every firmware gives alike."""
    a7, a6 = m.pick([(0x10, 3), (0x54494d45, 0), (0x54494d45, 7), (0x12345678, 0), (0x735049, 0),
                     (0x52464e43, 0), (0x52464e43, 1), (0x53525354, 9)])
    call = e.li(17, a7) + e.li(16, a6)
    if a7 == 0x10:
        call += e.li(10, m.pick([0x54494d45, 0x12345678, 0x4442434e]))
    elif a7 == 0x54494d45:
        call += e.li(10, 0 if m.timer and m.chance(0.5) else -1)
    elif a7 == 0x735049:
        call += e.li(10, 0 if m.timer else 1) + e.li(11, 0)
    elif a7 == 0x52464e43:
        call += e.li(10, 1) + e.li(11, 0) + e.li(12, near(m) & -PAGE) + e.li(13, m.pick([0, PAGE, 8192]))
    m.unit(call, e.ECALL, renew(m))


# --- Interrupts ----------------------------------------------------------------------------------

def t_interrupt(m):
    """One becomes pending, and enabled, in some order."""
    register = m.value()
    if m.timer:
        pending = [e.csrw("stimecmp", 0)] if m.chance(0.7) else \
            e.li(register, -1) + [e.csrw("stimecmp", register)]
        enable = e.li(register, 0x20) + [e.csr("csrrs", m.rd(), "sie", register)]
    else:
        pending = [e.csr("csrrsi", m.rd(), "sip", 2)]
        enable = [e.csr("csrrsi", m.rd(), "sie", 2)]
    steps = [pending, enable, csr_sstatus(m), [e.csr("csrrsi", m.rd(), "sstatus", 2)], [plain(m)],
             [access(m)]]
    m.r.shuffle(steps)
    for step in steps[:m.r.randrange(2, 6)]:
        m.unit(step)


def t_vectored(m):
    """One trap with stvec in vectored mode: none that comes through OpenSBI, which jumps to stvec
    with its mode bits."""
    register = m.value()
    if m.timer:
        steps = [e.csrw("stimecmp", 0)] + e.li(register, 0x20) + [e.csr("csrrs", 0, "sie", register)]
    else:
        steps = [e.csr("csrrsi", 0, "sip", 2), e.csr("csrrsi", 0, "sie", 2)]
    steps.append(e.csr("csrrsi", 0, "sstatus", 2))
    m.unit(pool(register, STVEC_GUEST1), e.csrw("stvec", register),
           m.pick([steps, [e.EBREAK], [e.C_EBREAK]]),
           pool(register, STVEC_OWN), e.csrw("stvec", register))


def t_wfi(m):
    """Only with an interrupt that ends it, and that is not taken before."""
    register = m.value()
    if m.timer:
        steps = [e.csrw("stimecmp", 0)] + e.li(register, 0x20) + [e.csr("csrrs", 0, "sie", register)]
    else:
        steps = [e.csr("csrrsi", 0, "sip", 2), e.csr("csrrsi", 0, "sie", 2)]
    m.unit(e.csr("csrrci", 0, "sstatus", 2), steps, e.WFI)


# --- Memory --------------------------------------------------------------------------------------

def random_pte(m):
    """A leaf to a data page, of any permission; sometimes something that is none."""
    r = m.r
    page = DATA + r.randrange(DATA_PAGES) * PAGE
    kind = r.randrange(20)
    if kind == 0:
        return 0
    if kind == 1:
        return pte(page, r.getrandbits(8) & ~0x20)
    flags = V | m.pick([R, R | W, R | W, R | W, R | X, X, R | W | X]) | m.pick([0, 0, U])
    flags |= m.pick([A, A | D, 0, A | D, A | D])
    return pte(page, flags)


def page_slot(m):
    """(pool word that points to the table, table, index, address, ASID or 0: in both spaces)"""
    page = m.pick(PAGES)
    address = WINDOW + page * PAGE
    if m.chance(0.1):
        return AT_TOP0, 511, -PAGE, 0
    if page >= 512:
        return AT_MORE, page - 512, address, 0
    which = m.r.randrange(2)
    return (AT_PAGES1, AT_PAGES2)[which], page, address, m.asids[which]


def fence(m, address, asid):
    register, number = 28, 29
    kind = m.r.randrange(6)
    if kind == 0 or address is None:
        return [e.sfence()]
    if kind == 1 and asid:
        return e.li(number, asid) + [e.sfence(0, number)]
    if kind == 2 and asid:
        return e.li(register, address) + e.li(number, asid) + [e.sfence(register, number)]
    if kind == 3 and asid:
        return e.li(register, address + m.r.randrange(PAGE)) + e.li(number, asid) + \
            [e.sfence(register, number)]
    if kind == 4:
        return e.li(17, 0x52464e43) + e.li(16, 1) + e.li(10, 1) + e.li(11, 0) + \
            e.li(12, address) + e.li(13, PAGE) + [e.ECALL] + renew(m)
    return e.li(register, address) + [e.sfence(register, 0)]


def t_edit(m):
    index, at, address, asid = page_slot(m)
    value = pool(T6, m.pick([FREE + 2, FREE + 3])) if m.chance(0.15) else e.li(T6, random_pte(m))
    m.unit(pool(T5, index), value, e.store("sd", T6, T5, at * 8 - 2048), fence(m, address, asid))
    if m.chance(0.6) and address > 0:
        base = m.pick(POINTERS)
        m.unit(e.li(base, address + m.pick([0, -4, 8, 4090, m.r.randrange(4096)])))
        m.each([access(m, base) for _ in range(m.r.randrange(1, 3))])


def t_nowhere(m):
    """A page of an address where nothing is, for as long as one access takes. (Where an access lies
    in two pages, which of two faults is reported is not said.)"""
    index, at, address, asid = page_slot(m)
    put = e.store("sd", T6, T5, at * 8 - 2048)
    base = m.pick(POINTERS)
    one = m.pick([e.load(m.pick(list(e.LOADS)), m.value(), base, 8 * m.r.randrange(64)),
                  e.store(m.pick(list(e.STORES)), m.any(), base, 8 * m.r.randrange(64)),
                  e.c_ld(14, base, 64), amo(m, base)])
    m.unit(pool(T5, index), e.li(T6, pte(0x11000000, V | R | W | A | D | m.pick([0, U]))), put, e.sfence(),
           e.li(base, address), one, pool(T5, index), e.li(T6, 0), put, e.sfence(), e.li(base, near(m)))


def t_edit_big(m):
    """A 2 MiB region turns into one page, a table, or nothing."""
    low = m.pick([AT_LOW1, AT_LOW2])
    mine = PAGES1 if low == AT_LOW1 else PAGES2
    slot = m.r.randrange(3)
    value = m.pick([0, pte(table([mine, MORE, MORE][slot]), V),
                    pte(DATA, V | R | W | A | D | m.pick([0, U])), pte(DATA, V | R | A),
                    pte(DATA + PAGE, V | R | W | A | D)])
    m.unit(pool(T5, low), e.li(T6, value), e.store("sd", T6, T5, (144 + slot) * 8 - 2048), e.sfence())


def t_space(m):
    """Another space, the same one, one that does not exist, or none."""
    choices = [SATP1, SATP2, SATP1, SATP2, SATP_MODES]
    if not m.p.upper:
        choices.append(SATP_BARE)
    register = m.value()
    m.unit(pool(register, m.pick(choices)), e.csr("csrrw", m.pick([0, register, m.rd()]), "satp", register),
           m.pick([[], [], [e.sfence()]]))


# --- Code as data --------------------------------------------------------------------------------

def slot_item(m):
    """A 4-byte instruction that may stand for any other of its kind."""
    return m.pick([e.csrr(m.value(), m.pick(["sscratch", "scause", "stval", "sstatus", "stvec", "satp"])),
                   e.csr("csrrw", m.rd(), m.pick(["sscratch", "scause", "stval"]), m.any()),
                   e.csr("csrrsi", m.rd(), "sscratch", m.r.randrange(32)),
                   e.csr(m.pick(["csrrci", "csrrsi"]), m.rd(), "sstatus", 2),
                   e.alu_imm("addi", m.value(), m.any(), m.r.randrange(2048)), e.EBREAK,
                   e.csrr(m.value(), 0x300)])


def t_modify(m):
    """An instruction is overwritten, before or after it has run, and fence.i orders it."""
    slot, back = m.new_label(), m.new_label()
    new = slot_item(m)
    alias = m.chance(0.5)
    where = e.absolute(T6, CODE_ALIAS, slot) if alias else \
        [pool(T6, AT_CODE)] + e.absolute(T5, 0, slot) + [e.alu_reg("add", T6, T6, T5)]
    change = [*where, *e.li(T5, new.code), e.store("sw", T5, T6, 0), e.FENCE_I]
    first = slot_item(m)
    m.each([plain(m) for _ in range(m.r.randrange(2))])
    if m.chance(0.5):
        m.unit(change, [plain(m)] if m.chance(0.3) else [], e.label(slot), first)
        return
    text = f"{first.text}   # then: {new.text}"
    before = csr_free(m, "sscratch") + [plain(m) for _ in range(m.r.randrange(2))]
    passes, skip = m.pick([2, 3, 6]), m.new_label()  # the third last changes it
    m.unit(e.alu_imm("addi", COUNT, 0, passes), e.label(back), before if m.chance(0.7) else [],
           e.label(slot), e.word(first.code, text),
           [e.alu_imm("addi", T5, COUNT, -3), e.branch("bne", T5, 0, skip)] if passes > 2 else [],
           change, e.label(skip), e.alu_imm("addi", COUNT, COUNT, -1), e.branch("blt", 0, COUNT, back))


def t_read_code(m):
    """Loads from the code that runs, or from another alias of it."""
    begin = m.new_label()
    kind = m.r.randrange(3)
    where = e.address(T6, begin) if kind == 0 else e.absolute(T6, CODE_ALIAS, begin) if kind == 1 else \
        [pool(T6, AT_CODE)] + e.absolute(T5, 0, begin) + [e.alu_reg("add", T6, T6, T5)]
    loads = [e.load(m.pick(list(e.LOADS)), m.value(), T6, m.r.randrange(-64, 64)) for _ in range(3)]
    loads = [item for item in loads if item.code >> 7 & 31 != T6]
    m.unit(e.label(begin), csr_free(m, "sscratch"), where, loads)


def t_checksum(m):
    begin, again = m.new_label(), m.new_label()
    m.unit(e.label(begin), csr_free(m, "stval"), e.address(T6, begin), e.alu_imm("addi", COUNT, 0, 8),
           e.label(again), e.load("ld", T5, T6, 0), e.alu_reg("xor", 14, 14, T5),
           e.alu_imm("addi", T6, T6, 8), e.alu_imm("addi", COUNT, COUNT, -1),
           e.branch("blt", 0, COUNT, again))


# --- The tables ----------------------------------------------------------------------------------

USER = [t_plain, t_plain, t_access, t_access, t_access, t_trap, t_trap, t_float, t_atomic, t_loop,
        t_top_page, t_branch, t_counter, t_csr]
SUPERVISOR = [
    (t_plain, 6), (t_access, 8), (t_toggle, 5), (t_atomic, 2), (t_top_page, 2), (t_float, 3),
    (t_counter, 1),
    (t_trap, 3), (t_csr, 12), (t_illegal_csr, 2), (t_irq_pair, 7), (t_swap, 4), (t_cluster, 10),
    (t_branch, 5), (t_loop, 4), (t_middle, 3), (t_sret, 4), (t_user, 7), (t_alias, 3), (t_call, 4),
    (t_sbi, 3), (t_interrupt, 7), (t_wfi, 2), (t_vectored, 2), (t_edit, 8),
    (t_edit_big, 2), (t_nowhere, 1), (t_space, 5),
    (t_modify, 5), (t_read_code, 3), (t_checksum, 1),
    (t_irq_dead, 10), (t_irq_call, 3), (t_irq_loop, 4), (t_irq_float, 2), (t_null, 2), (t_ends, 2),
]
