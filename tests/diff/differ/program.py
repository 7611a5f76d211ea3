"""A program: its start state, and units of code that can be left out one by one.

It is assembled late, for any place in a batch, so that a shorter variant is the same object with
some units switched off. Addresses and record layout: tests/diff/guest/diff.h.
"""

import re
import struct

from . import encode

RAM = 0x80000000
TABLES, TABLE_COUNT = 0x80800000, 16
DATA, DATA_PAGES = 0x80a00000, 16
CODE, CODE_PAGES, SLOTS = 0x81000000, 8, 512
PHYSMAP, UPPER, USER_CODE = 0x100000000, 0xffffffff00000000, 0x12800000
CODE_ALIAS = 0x12600000  # the code pages once more, readable and writable
POOL_WORDS = 32
MAGIC = 0x6666696474
PAGE = 4096
M64 = (1 << 64) - 1

V, R, W, X, U, G, A, D = (1 << bit for bit in range(8))
# The tables, by number.
ROOT1, ROOT2, HIGH, LOW1, LOW2, CODES, PAGES1, PAGES2, MORE, ALIAS, USERS, TOP1, TOP0 = range(13)
VECTOR = 0x80210000  # of the guest, and what gp holds


def pte(address, flags):
    return address >> 12 << 10 | flags


def table(number):
    return TABLES + number * PAGE


class Program:
    def __init__(self, number):
        self.number = number
        self.units = []     # (section, [items])
        self.starts = {}    # section -> offset in the code pages
        self.x = [0] * 32
        self.pool = []      # numbers, or functions of a Context
        self.entries = {}   # (table, index) -> PTE; an index may be a function of the code's
                            # address, a PTE of a Context
        self.csr = {}       # sstatus sie sip stimecmp sscratch scounteren senvcfg
        self.satp = 0
        self.upper = False  # where vS executes
        self.alias = False  # whether vU executes vS's code too
        self.user = False   # whether it starts in vU
        self.handler = None  # labels of its trap entry and exit; None: the guest's own
        self.exit = None
        self.fill = 0

    def home(self, code):
        return code | UPPER if self.upper else code

    def runs_in_vu(self, section):
        """Whether vU may execute this section: its own, or any by another address."""
        return section == "u" or self.alias or self.user

    def assemble(self, off=frozenset()):
        """(offset, item) of all instructions, and label -> offset. off: units left out."""
        places, placed = {}, []
        at = dict(self.starts)
        for index, (section, items) in enumerate(self.units):
            for item in items:
                if item.label:
                    places[item.label] = at[section]
                elif index not in off and section not in off:
                    # QEMU 10.0: a wfi that traps there has the pc of the page behind.
                    while self.runs_in_vu(section) and item is encode.WFI and at[section] % PAGE >= PAGE - 4:
                        placed.append((at[section], encode.C_NOP))
                        at[section] += 2
                    placed.append((at[section], item))
                    at[section] += item.size
        return placed, places

    def record(self, slot, verbose=False, off=frozenset()):
        code = CODE + slot * CODE_PAGES * PAGE
        placed, places = self.assemble(off)
        chunks, reactions = {}, []
        for offset, item in placed:
            value = item.code if isinstance(item.code, int) else item.code(offset, places.__getitem__)
            chunks[offset] = value.to_bytes(item.size, "little")
            if item.reaction:
                action, target = item.reaction
                reactions.append((offset, action == "goto", places[target] if target else 0))
        joined = []
        for offset in sorted(chunks):
            if joined and joined[-1][0] + len(joined[-1][1]) == offset:
                joined[-1][1].extend(chunks[offset])
            else:
                joined.append((offset, bytearray(chunks[offset])))
        home = self.home(code)

        def where(name):
            return home + places[name]
        handler = self.handler if "e" not in off else None
        leave = self.exit if "x" not in off else None
        start = places["start"]
        csr = self.csr
        head = [verbose, code, home, USER_CODE + start if self.user else home + start,
                csr["sstatus"], csr["sie"], csr["sip"], csr["stimecmp"], self.satp,
                where(handler) if handler else VECTOR, csr["sscratch"], csr["scounteren"],
                csr["senvcfg"], where(leave) if leave else 0, self.fill,
                len(self.entries), len(reactions), len(joined)]
        context = Context(code, where(handler) if handler else VECTOR)
        x = list(self.x)
        x[1], x[3] = home + start, VECTOR
        pool = [value(context) if callable(value) else value for value in self.pool]
        pool += [0] * (POOL_WORDS - len(pool))
        body = head + x + pool
        for (number, index), value in self.entries.items():
            body += [number, context.index(index), value(context) if callable(value) else value]
        for reaction in reactions:
            body += reaction
        data = struct.pack(f"<{len(body)}Q", *(int(value) & M64 for value in body))
        for offset, text in joined:
            data += struct.pack("<QQ", offset, len(text)) + bytes(text) + bytes(-len(text) % 8)
        return struct.pack("<Q", len(data) + 8) + data

    def listing(self, slot, off=frozenset()):
        code = CODE + slot * CODE_PAGES * PAGE
        placed, places = self.assemble(off)
        names = {}
        for name, offset in places.items():
            names.setdefault(offset, []).append(name)
        lines = [f"paging {hex(self.satp) if self.satp else 'off'}, starts in "
                 f"{'vU' if self.user else 'vS'}"]
        lines += [f"{name} {value & M64:#x}" for name, value in self.csr.items()]
        for offset, item in sorted(placed, key=lambda pair: pair[0]):
            lines += [f"{name}:" for name in names.pop(offset, ())]
            user = self.starts["u"] <= offset < 6 * PAGE
            lines.append(f"    {(USER_CODE if user else self.home(code)) + offset:x}  {item.text}")
        return "\n".join(trim(lines))


def trim(lines):
    """Without labels that nothing uses."""
    words = set(re.findall(r"\w+", "\n".join(line for line in lines if not line.endswith(":"))))
    return [line for line in lines if not line.endswith(":") or line[:-1] in words | {"start", "exit"}]


class Context:
    """What a value may depend on when a program is placed."""

    def __init__(self, code, handler):
        self.code, self.handler = code, handler

    def index(self, index):
        return index(self.code) if callable(index) else index
