"""A program out of a seed and a number: its spaces, its start state, its handlers, its code."""

import random

from . import encode as e
from .program import (A, ALIAS, CODE_ALIAS, CODE_PAGES, CODES, D, DATA, G, HIGH, LOW1, LOW2, MORE, PAGE,
                      PAGES1, PAGES2, PHYSMAP, R, RAM, ROOT1, ROOT2, TABLES, TOP0, TOP1, U, USERS, V,
                      VECTOR, W, X, Program, pte, table)
from .templates import csr, maker as t, memory, plain
from .templates.weights import SUPERVISOR

LEAF = V | R | W | A | D
SV39 = 8 << 60


def code_index(page):
    return lambda code: (code >> 12 & 511) + page


def code_pte(page, flags):
    return lambda context: pte(context.code + page * PAGE, flags)


def make_tables(m):
    """Two spaces that differ in the first window's 4 KiB pages; see diff.h for the rest."""
    entries = m.p.entries
    shared = m.pick([0, 0, G])
    for root, low in ((ROOT1, LOW1), (ROOT2, LOW2)):
        entries[root, 0] = pte(table(low), V)
        entries[root, 2] = entries[root, 510] = pte(table(HIGH), V)
        entries[root, 4] = pte(RAM, LEAF)  # PHYSMAP
        entries[root, 511] = pte(table(TOP1), V)
        entries[low, 144] = pte(table(PAGES1 if low == LOW1 else PAGES2), V)
        entries[low, 145] = pte(table(MORE), V)
        entries[low, 146] = pte(DATA, LEAF | m.pick([0, U]))
        entries[low, 147] = pte(table(ALIAS), V)
        entries[low, 148] = pte(table(USERS), V)
    entries[TOP1, 511] = pte(table(TOP0), V)
    if m.chance(0.2):
        entries[TOP0, 511] = memory.random_pte(m)
    entries[HIGH, 1] = pte(0x80200000, LEAF | X | shared)
    entries[HIGH, 5] = pte(DATA, LEAF)
    entries[HIGH, lambda code: code >> 21 & 511] = pte(table(CODES), V)
    flags = V | X | A | D | shared | m.pick([R, R, R | W, 0])
    user_flags = V | X | U | R | A | m.pick([0, W | D])
    for page in range(CODE_PAGES):
        entries[CODES, code_index(page)] = code_pte(page, flags)
        entries[ALIAS, page] = code_pte(page, V | R | W | A)
        entries[USERS, page] = code_pte(page, user_flags)
    for pages in (PAGES1, PAGES2, MORE):
        for page in t.PAGES:
            if (page >= 512) == (pages == MORE):
                entry = memory.random_pte(m)
                if m.chance(0.15):
                    entry = code_pte(m.pick([6, 7]), V | A | m.pick([R | X, X, R | X | U, R]))
                entries[pages, page % 512] = entry


def make_pool(m, satps):
    r = m.r
    pool = [0] * t.FREE
    pool[t.SATP1], pool[t.SATP2] = satps
    pool[t.SATP_BARE] = 0
    pool[t.SATP_MODES] = m.pick([1, 5, 9, 10, 15]) << 60 | r.getrandbits(40)
    pool[t.STVEC_OWN] = lambda context: context.handler
    pool[t.STVEC_GUEST], pool[t.STVEC_GUEST1] = VECTOR, VECTOR | 1
    pool[t.STVEC_BAD] = VECTOR | m.pick([2, 3])
    for index, number in ((t.AT_PAGES1, PAGES1), (t.AT_PAGES2, PAGES2), (t.AT_MORE, MORE),
                          (t.AT_TOP0, TOP0), (t.AT_LOW1, LOW1), (t.AT_LOW2, LOW2)):
        pool[index] = PHYSMAP + TABLES - RAM + number * PAGE + 2048
    pool[t.AT_CODE] = lambda context: PHYSMAP + context.code - RAM
    pool[t.AT_DATA] = DATA + m.r.randrange(8) * PAGE + m.pick([0, 4088, 4092])
    pool[t.AT_PHYSDATA] = PHYSMAP + DATA - RAM + m.r.randrange(8) * PAGE + m.pick([0, 4088, 4093])
    pool += [r.getrandbits(64), r.getrandbits(64),
             code_pte(6, V | A | m.pick([R | X, X, R | X | U])), code_pte(7, V | A | R | X)]
    m.p.pool = pool


def make_handler(m):
    """A trap entry as a kernel has it: swap, store, read CSRs, put all back; then the harness."""
    m.section = "e"
    m.unit(e.label("handler"))
    keep = m.r.sample([v for v in t.VALUES if v < 28], m.r.randrange(1, 4))
    swap = m.pick([t.TP, t.SP, 0])
    items = [e.csr("csrrw", swap, "sscratch", swap)] if swap else []
    items += [e.store("sd", register, t.GP, t.SLOTS_AT + 8 * i) for i, register in enumerate(keep)]
    body, slot = [], 4
    for register in [m.pick(["sepc", "scause", "sstatus", "stval", "sscratch", "sie", "satp"])
                     for _ in range(m.r.randrange(1, 8))]:
        target = m.pick(keep)
        body.append(e.csrr(target, register))
        if register != "stval" and m.chance(0.7):
            body.append(e.store("sd", target, t.GP, t.SLOTS_AT + 8 * slot))
            slot += 1
        elif register == "stval":
            body.append(e.c_li(target, 0))
    if m.chance(0.5):
        target, bits = m.pick(keep), m.pick([0x40000, 0x42000, 0x6000, 0xc0000])
        body += e.li(target, bits) + [e.csr("csrrc", target, "sstatus", target)]
    if m.chance(0.5):
        skip, target = m.new_label(), m.pick(keep)
        body += [e.csrr(target, "scause"), e.branch("bge", target, 0, skip),
                 e.store("sd", target, t.GP, t.SLOTS_AT + 8 * 15), e.label(skip)]
    items += body
    items += [e.load("ld", register, t.GP, t.SLOTS_AT + 8 * i) for i, register in enumerate(keep)]
    items += [e.csr("csrrw", swap, "sscratch", swap)] if swap else []
    m.unit(items, e.c_jr(t.GP))
    m.p.handler = "handler"


def make_exit(m):
    """A trap exit: sstatus and sepc from the frame, then all registers, sp last."""
    m.section = "x"
    first, second = m.r.sample([5, 6, 10, 12, 17, 28], 2)
    items = [e.label("exit"), e.load("ld", first, t.SP, 256), e.load("ld", second, t.SP, 264)]
    writes = [e.csr("csrrw", m.pick([0, first]), "sstatus", first), e.csrw("sepc", second)]
    if m.chance(0.5):
        writes.insert(1, e.csrr(7, m.pick(["scause", "sepc", "sstatus"])))
    if m.chance(0.3):
        items.append(e.csr("csrrci", 7, "sstatus", 2))
    items += writes
    registers = [n for n in range(1, 32) if n not in (t.SP, t.GP)]
    if m.chance(0.3):
        m.r.shuffle(registers)
    items += [e.c_ldsp(n, 8 * n) if m.chance(0.5) else e.load("ld", n, t.SP, 8 * n)
              for n in registers]
    items += [e.load("ld", t.SP, t.SP, 8 * t.SP), e.SRET]
    m.unit(items)
    m.p.exit = "exit"


def make_windows(m):
    """Three short functions in code page 6."""
    for i in range(3):
        m.section = f"w{i}"
        m.p.starts[m.section] = 6 * PAGE + 64 * i
        for _ in range(m.r.randrange(1, 4)):
            m.each(m.pick([plain.plain, lambda m: csr.csr_free(m, "sscratch"),
                           lambda m: e.csrr(m.value(), m.pick(["sepc", "scause", "sstatus"])),
                           plain.access])(m))
        m.unit(e.c_jr(t.RA))


def make_code(m, length):
    m.section = "s"
    m.unit(e.label("start"))
    choices, weights = zip(*SUPERVISOR)
    for _ in range(length):
        waiting = m.jumps
        m.jumps = []
        m.r.choices(choices, weights)[0](m)
        for target, left in waiting:
            if left == 1:
                m.unit(e.label(target))
            else:
                m.jumps.append((target, left - 1))
    m.unit([e.label(target) for target, _ in m.jumps], e.label("end"), e.react(e.EBREAK, "end"))


def make_state(m):
    r, p = m.r, m.p
    p.fill = r.getrandbits(32)
    for n in range(1, 32):
        p.x[n] = m.number() if m.chance(0.5) else r.getrandbits(64)
    for n in t.POINTERS + [t.SP, t.TP]:
        p.x[n] = plain.near(m)
    p.x[t.COUNT] = 0
    sstatus = m.pick([0, 0x40000, 0x80000, 0xc0000, 0x40000]) | m.pick([0, 0x6000, 0x2000, 0x6000])
    sstatus |= m.pick([0, 0x20])
    p.user = m.chance(0.1)
    sstatus |= 0 if p.user else 0x100
    p.csr = {
        "sstatus": sstatus, "sie": m.pick([0, 0, 0x20 if m.timer else 2, 0x222]),
        "sip": 0 if m.timer else m.pick([0, 0, 2]),
        "stimecmp": m.pick([0, -1]) if m.timer else -1,
        "sscratch": plain.near(m) if m.chance(0.7) else r.getrandbits(64),
        "scounteren": m.pick([7, 7, 2, 3, 6]), "senvcfg": m.pick([0, 0, 0xf1]),
    }


def make(seed, number, length=None, inline=False):
    """The program `number` of a seed. length: how many templates. inline: without what a guest can see
    of PATCH=inline (docs/patching.md)."""
    r = random.Random(f"{seed}.{number}")
    p = Program(number)
    m = t.Maker(r, p)
    m.inline = inline
    p.upper = m.chance(0.4)
    asids = m.pick([(1, 2), (1, 2), (0, 3), (7, 0x1ff)])
    m.asids = asids
    satps = [SV39 | asid << 44 | table(root) >> 12 for asid, root in zip(asids, (ROOT1, ROOT2))]
    p.satp = m.pick([satps[0], satps[0], satps[1], satps[0] if p.upper else 0])
    p.starts = {"s": PAGE - 2 * r.randrange(8, 200), "e": 3 * PAGE, "x": 3 * PAGE + 2048,
                "u": 5 * PAGE - 2 * r.randrange(8, 100)}
    make_tables(m)
    make_state(m)
    if m.chance(0.5):
        make_handler(m)
    if m.chance(0.5):
        make_exit(m)
    make_windows(m)
    make_pool(m, satps)
    make_code(m, length or m.pick([10, 20, 30, 40]))
    return p


assert CODE_ALIAS == t.WINDOW + (6 << 20)
