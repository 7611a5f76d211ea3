"""A program in the making, and what its registers and the words of its pool are for.

Registers: gp is the harness's and never written; ra is where a stray program goes on; s11 counts
loops; s0, s1 and a0..a3 hold pointers; the rest hold anything. t5 and t6 point to page tables and
code only inside one unit, so that no other store goes there.
"""

from .. import encode as e

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
