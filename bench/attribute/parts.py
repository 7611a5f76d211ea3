"""Whose instruction it is that stands at a virtual address, and in which function of the VMM.

The address alone tells: each of them has its own, in whatever mode the hart is.
"""

import bisect
import re

from scripts.runner import machine
from scripts.runner.options import FIRMWARE, RAM_BASE

TITLES = {"vmm": "VMM", "kernel": "the guest's kernel", "trampolines": "trampolines",
          "user": "user", "firmware": "firmware"}
LOW = 0x6000  # INLINE_LOW of core/engine/trap/inline.h; Linux maps no process below 0x10000
UPPER = 1 << 63
MAP_SIZE = 512 << 30  # core/host/map.h
# A line of nm: "0000000000000110 T trap_entry<tab>/home/me/trident/core/engine/trap/vector.S:71".
# Of what is not in core/ or devices/ the file is left out.
FUNCTION = re.compile(r"^(\w+) [tTwW] ([\w.$]+)(?:\t(?:.*/)?((?:core|devices)/[^:]*):\d+)?",
                      re.MULTILINE)


def ranges(options):
    """[(part, first address, first one behind)]: the first row that holds an address counts.
    OpenSBI runs at physical addresses, where no process of nano's has anything."""
    rows = [("firmware", RAM_BASE, RAM_BASE + FIRMWARE)]
    if not options.native:
        start = machine.MAP_OFFSET[options.mmu]
        rows += [("vmm", start, start + MAP_SIZE), ("trampolines", 0, LOW)]
    return [*rows, ("kernel", UPPER, 2 * UPPER), ("user", 0, UPPER)]


def split(counts, options):
    """{part: {address: count}}, in the order of TITLES; each address is in exactly one."""
    rows = ranges(options)
    found = {part: {} for part in TITLES}
    for address, count in counts.items():
        part = next(part for part, first, behind in rows if first <= address < behind)
        found[part][address] = count
    return found


class Functions:
    """The VMM's functions, where they lie while it runs. text: of `nm -n -l`, as it was linked."""

    def __init__(self, text, moved_by):
        self.rows = sorted((int(row[1], 16) + moved_by, row[2], row[3] or "")
                           for row in FUNCTION.finditer(text))  # address, name, file
        self.starts = [row[0] for row in self.rows]

    def at(self, address):
        """The row of the function that holds an address."""
        index = bisect.bisect_right(self.starts, address) - 1
        return self.rows[index] if index >= 0 else (address, "(none)", "")

    def cost(self, counts):
        """[{name, file, instructions, calls}], the dearest first. A call is an execution of a
        function's first instruction."""
        total = {}
        for address, count in counts.items():
            row = self.at(address)
            total[row] = total.get(row, 0) + count
        dearest = sorted(total, key=lambda row: (-total[row], row))
        return [{"name": row[1], "file": row[2], "instructions": total[row],
                 "calls": counts.get(row[0], 0)} for row in dearest]
