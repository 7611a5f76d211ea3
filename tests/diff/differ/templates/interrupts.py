"""Instructions that switch interrupts, with what follows them, and interrupts that become pending."""

from .. import encode as e
from .csr import csr_any, csr_sstatus
from .maker import COUNT, POINTERS, RA, STVEC_GUEST1, STVEC_OWN, VALUES
from .plain import access, offset, plain, pool


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


# --- Interrupts -----------------------------------------------------------------------------------

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
