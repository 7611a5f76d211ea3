"""The textbook's level of PATCH beside the default's: what the level is, and where the default is dearer."""

from . import words
from .results import PATCHES, STRATEGIES, instructions
from .value import apart, number

READ1, READ8, OUT = "disk-read-4096-d1", "disk-read-4096-d8", "console-out"
HEADLINES = ((READ1, "4 KiB read, depth 1"), (READ8, "4 KiB read, depth 8"),
             (OUT, "byte of console output"))
WHAT = ("PATCH says what the VMM does about the guest's privileged instructions: at off, the textbook's "
        "trap-and-emulate, each of them traps; at ecall it is replaced by an ecall, which traps at less cost; "
        "at cluster the VMM carries out what follows a trap along with it; at inline a load or a store takes "
        "its place where one can.")


def cheaper(results, workload, strategy):
    """(the level below the matrix's own at which an operation takes the fewest instructions, that cell's Value,
    the Value at its own), if that is fewer; else None."""
    own = results.level()
    here = instructions(results.at(own, workload, strategy))
    below = [(value.value, level, value) for level in PATCHES[:PATCHES.index(own)]
             if (value := instructions(results.at(level, workload, strategy))).there]
    if not here.there or not below:
        return None
    least, level, value = min(below, key=lambda one: one[0])
    return (level, value, here) if least < here.value and apart(value, here) else None


def compared(results, workload, strategy):
    """Whether there is a level below to compare with."""
    levels = PATCHES[:PATCHES.index(results.level())]
    return any(instructions(results.at(level, workload, strategy)).there for level in levels)


def dearer(results):
    """Where the default takes more instructions than a level below it, as a sentence; in a list, if there
    is anything to compare."""
    own, found, seen = results.level(), [], 0
    for workload, title in HEADLINES if own else ():
        for strategy in STRATEGIES[1:]:
            seen += compared(results, workload, strategy)
            less = cheaper(results, workload, strategy)
            if less:
                level, value, here = less
                kind = {"kind": "console" if workload == OUT else "disk"}
                found.append(f"{words.in_text(strategy, kind)}, {title}: {here.text()} against {value.text()} "
                             f"at {level}")
    if not seen:
        return []
    if not found:
        return [f"PATCH={own} takes no more instructions than a level below it, {number(seen)} of "
                f"{number(seen)} times that one was counted."]
    return [f"PATCH={own} takes more instructions than a level below it, {number(len(found))} of "
            f"{number(seen)} times: {'; '.join(found)}."]
