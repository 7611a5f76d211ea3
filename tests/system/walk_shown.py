"""What make walk prints, read: by its own tests and by those of the examples in the documentation."""

import os
import re

from . import front_door

STEP = re.compile(r"^ +\d+\. (\w+) +(\S+):(\d+)$")
ROW = re.compile(r"^  ((?:real|virtual) \w+) +(\S+) +(\S+)")
MISSING = re.compile(r"no trap of its own at PATCH=(\w+)\.")
# event -> the class of each of its exits, where all of them trap.
TEXTBOOK = {
    "uart": ["EXIT_MMIO"], "csrr": ["EXIT_CSR"], "csrr-again": ["EXIT_CSR"], "fill": ["EXIT_SHADOW_FILL"],
    "sret": ["EXIT_SRET"], "syscall": ["EXIT_SYSCALL"], "fault": ["EXIT_GUEST_FAULT"], "sbi": ["EXIT_SBI"],
    "virtio": ["EXIT_MMIO", "EXIT_INTERRUPT"],
    "interrupt": ["EXIT_INTERRUPT", "EXIT_CSR", "EXIT_PLIC", "EXIT_PLIC"],
    "ahci": ["EXIT_MMIO", "EXIT_INTERRUPT"], "passthrough": ["EXIT_INTERRUPT", "EXIT_PLIC", "EXIT_PLIC"],
}


class Shown:
    """An event as the text has it: exits, each [class, steps, table], and how often a sentence says that there is
    no such trap."""

    def __init__(self):
        self.exits, self.missing = [], 0

    def steps(self, at=0):
        return [name for name, _, _ in self.exits[at]["steps"]]


def read_walk(text):
    """(what is said first, event -> Shown)"""
    head, *parts = re.split(r"^=== ([\w-]+): .* ===$", text, flags=re.MULTILINE)
    events = {}
    for name, part in zip(parts[::2], parts[1::2]):
        shown = events[name] = Shown()
        shown.missing = len(MISSING.findall(" ".join(part.split())))
        for line in part.splitlines():
            if line.startswith("--- "):
                shown.exits.append({"class": None, "steps": [], "table": {}, "text": []})
            elif match := STEP.match(line):
                shown.exits[-1]["steps"].append((match[1], match[2], int(match[3])))
            elif match := ROW.match(line):
                shown.exits[-1]["table"][match[1]] = (match[2], match[3])
            elif match := re.match(r"  counted as (\w+);", line):
                shown.exits[-1]["class"] = match[1]
            if shown.exits:
                shown.exits[-1]["text"].append(line)
    return head, events


def assert_places(steps):
    """Each step's place in the source is where the function is."""
    for name, file, number in steps:
        with open(os.path.join(front_door.TOP, file), encoding="utf-8") as source:
            lines = source.read().splitlines()
        assert any(name in line for line in lines[max(number - 2, 0):number]) or file.endswith(".S"), \
            f"{name} is not at {file}:{number}; if this is an example in docs/, `make examples` renews it"
