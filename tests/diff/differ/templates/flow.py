"""Where a program goes: straight on for long, branches, loops, calls, to vU and back, into the SBI."""

from .. import encode as e
from ..program import PAGE, USER_CODE
from .csr import csr_any, csr_free, t_csr, t_trap
from .maker import AT_DATA, COUNT, FREE, PAGES, RA, SATP1, SP, TP, VALUES, WINDOW
from .plain import (access, aim, near, plain, pool, t_access, t_atomic, t_counter, t_float,
                    t_plain, t_top_page)


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


# --- Where to go next -----------------------------------------------------------------------------

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


USER = [t_plain, t_plain, t_access, t_access, t_access, t_trap, t_trap, t_float, t_atomic, t_loop,
        t_top_page, t_branch, t_counter, t_csr]


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
