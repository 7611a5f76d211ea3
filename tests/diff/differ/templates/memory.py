"""Page tables that change, the ends of the address space, and code as data."""

from .. import encode as e
from ..program import (A, CODE_ALIAS, D, DATA, DATA_PAGES, MORE, PAGE, PAGES1, PAGES2, R, U, V, W,
                       X, pte, table)
from .csr import csr_free
from .flow import renew
from .interrupts import irq_site, t_irq_dead
from .maker import (AT_CODE, AT_LOW1, AT_LOW2, AT_MORE, AT_PAGES1, AT_PAGES2, AT_TOP0, COUNT, FREE,
                    PAGES, POINTERS, RA, SATP1, SATP2, SATP_BARE, SATP_MODES, T5, T6, WINDOW)
from .plain import access, amo, near, plain, pool


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


# --- The ends of the address space ----------------------------------------------------------------

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


# --- Code as data ---------------------------------------------------------------------------------

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
