"""CSRs, and traps that are asked for."""

from .. import encode as e
from .maker import ILLEGAL_CSRS, SSTATUS_BITS, STVEC_BAD, STVEC_GUEST, STVEC_OWN, SYSTEM, WORDS
from .plain import pool


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


# --- Traps that are asked for ---------------------------------------------------------------------

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
