"""Makes a program that differs as short as it can be, and prints it with what differs.

Units are switched off in ever smaller runs of them. All candidates of a round go into one batch,
so a round is one start of each machine.
"""

from .machine import run_both

CANDIDATES = 200
ROUNDS = 40
HANDLERS = ("e", "x")  # sections that are left out as a whole: the guest has its own
SILENCE = 3  # seconds; many a shortened program has no end


class Case:
    """A program, its units that are switched off, and programs that must run before it."""

    def __init__(self, program, before=(), off=frozenset()):
        self.program, self.before, self.off = program, list(before), frozenset(off)

    def records(self, verbose=False):
        records = [program.record(slot) for slot, program in enumerate(self.before)]
        return records + [self.program.record(len(records), verbose, self.off)]

    def without(self, off):
        return Case(self.program, self.before, self.off | off)


def differs(native, virtual):
    return native.ended and native.line != virtual.line


def failing(machines, cases):
    """The first of the cases, each without programs before it, that differs; or None."""
    records = [case.program.record(slot, off=case.off) for slot, case in enumerate(cases)]
    native, virtual = run_both(machines, records)
    for case, a, b in zip(cases, native, virtual):
        if differs(a, b):
            return case
    return None


def alone(machines, case):
    native, virtual = run_both(machines, case.records())
    return differs(native[-1], virtual[-1])


def shorten_before(machines, case):
    """A case with as few programs before it as it needs; None if it does not differ again at all."""
    if alone(machines, Case(case.program)):
        return Case(case.program)
    if not alone(machines, case):
        return None
    size = len(case.before) // 2
    while size:
        for first in range(0, len(case.before), size):
            shorter = Case(case.program, case.before[:first] + case.before[first + size:])
            if alone(machines, shorter):
                case = shorter
                break
        else:
            size //= 2
    return case


def candidates(case, size):
    on = [i for i, (section, items) in enumerate(case.program.units)
          if i not in case.off and section not in HANDLERS and any(not item.label for item in items)
          and not any(item.reaction for item in items)]
    runs = [on[first:first + size] for first in range(0, len(on), size)]
    runs = [[section] for section in HANDLERS if section not in case.off] + runs[:CANDIDATES]
    return [case.without(frozenset(run)) for run in runs], len(on)


def shrink(machines, case):
    for machine in machines:
        machine.silence = SILENCE
    found = shorten_before(machines, case)
    if found is None:
        print("it does not differ when it is run again, with the same programs before it")
        return case
    case = found
    if case.before:
        print(f"it needs {len(case.before)} programs before it: not shortened further")
        return case
    size = max(1, len(case.program.units) // 2)
    for _ in range(ROUNDS):
        tries, left = candidates(case, size)
        better = failing(machines, tries)
        if better:
            case = better
            size = min(size, max(1, left // 2))
        elif size == 1:
            break
        else:
            size //= 2
    return case


def show(machines, case):
    """Prints the program and where the two logs part; whether they are the same."""
    native, virtual = run_both(machines, case.records(verbose=True))
    a, b = native[-1], virtual[-1]
    print(case.program.listing(len(case.before), case.off))
    print("\nnative:")
    print_log(a, b)
    print("\nunder the VMM:")
    print_log(b, a)
    return a.line == b.line


def log_of(result):
    """Without what the firmware and the VMM said before."""
    text = result.text
    if "begin" in text:
        text = text[text.index("begin") + 1:]
    return [*text, result.line]


def print_log(result, other):
    """The log, a mark before each line that the other does not have at its place."""
    lines = log_of(other)
    for i, line in enumerate(log_of(result)):
        same = i < len(lines) and lines[i] == line
        if not same or line.startswith("trap"):
            print(f"{' ' if same else '>'} {line}")
