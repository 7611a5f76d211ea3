"""Whose instruction it is that stands at a virtual address, and in which function of the VMM.

The address decides, and no mode: what runs in S-mode, U-mode or M-mode has addresses of its own.
"""

import bisect
import re

from scripts.runner import machine
from scripts.runner.options import FIRMWARE, RAM_BASE

VMM, KERNEL, TRAMPOLINES, USER, FIRMWARE_PART = "vmm", "kernel", "trampolines", "user", "firmware"
TITLES = {VMM: "VMM", KERNEL: "the guest's kernel", TRAMPOLINES: "trampolines", USER: "user", FIRMWARE_PART: "firmware"}
LOW = 0x5000  # INLINE_LOW of core/engine/trap/inline.h; Linux maps nothing of a process below 0x10000
UPPER = 1 << 63
MAP_SIZE = 512 << 30  # core/host/map.h
# "0000000000000110 T trap_entry<tab>/home/me/trident/core/engine/trap/vector.S:71"; a library's has another file, or none.
FUNCTION = re.compile(r"^(\w+) [tTwW] ([\w.$]+)(?:\t(?:.*/)?((?:core|devices)/[^:]*):\d+)?", re.MULTILINE)


def ranges(options):
    """[(part, first address, first one behind)]: the first one that holds an address says whose it is. OpenSBI runs
    untranslated, and no program of nano's has anything at its address."""
    rows = [(FIRMWARE_PART, RAM_BASE, RAM_BASE + FIRMWARE)]
    if not options.native:
        start = machine.MAP_OFFSET[options.mmu]
        rows += [(VMM, start, start + MAP_SIZE), (TRAMPOLINES, 0, LOW)]
    return [*rows, (KERNEL, UPPER, 2 * UPPER), (USER, 0, UPPER)]


def split(counts, options):
    """{part: {address: count}}, in the order of TITLES; each address is in exactly one."""
    rows = ranges(options)
    found = {part: {} for part in TITLES}
    for address, count in counts.items():
        part = next(part for part, first, behind in rows if first <= address < behind)
        found[part][address] = count
    return found


class Functions:
    """The VMM's functions, as they lie in memory when it runs. text: of `nm -n -l`, as it was linked."""

    def __init__(self, text, moved_by):
        found = [(int(row[1], 16) + moved_by, row[2], row[3] or "") for row in FUNCTION.finditer(text)]
        self.rows = sorted(found)  # (address, name, file)
        self.starts = [row[0] for row in self.rows]

    def at(self, address):
        """The row of the function that holds an address."""
        index = bisect.bisect_right(self.starts, address) - 1
        return self.rows[index] if index >= 0 else (address, "(none)", "")

    def cost(self, counts):
        """[{name, file, instructions, calls}], the dearest first. A call is an execution of a function's first
        instruction."""
        total = {}
        for address, count in counts.items():
            row = self.at(address)
            total[row] = total.get(row, 0) + count
        return [{"name": name, "file": file, "instructions": total[start, name, file], "calls": counts.get(start, 0)}
                for start, name, file in sorted(total, key=lambda row: (-total[row], row))]
