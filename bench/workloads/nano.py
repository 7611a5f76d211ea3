"""The nano workload: what single operations of a Linux guest cost, in time, instructions and traps.

The guest's program (nano.c) announces each measured stretch with a line and waits for an answer.
Between announcement and answer the VMM's counters are set to zero, or read, through the control
channel: so the counters are the stretch's alone, but for the announcement itself. That is measured
by a stretch that does nothing, and subtracted.
"""

import json
import re
import subprocess
import tempfile

from runner import session

MARK = re.compile(r"^nano-(begin|end) (\w+) +(\w+) *$", re.MULTILINE)
RESULT = re.compile(r"^nano-json-begin\n(.*?)^nano-json-end$", re.MULTILINE | re.DOTALL)
COMMAND = {"begin": "reset", "end": "stats"}
DISK_MIB = 64
TIMEOUT = 300
FIELDS = ("op", "device", "patch", "n", "ns", "instructions", "traps", "device_traps", "exits")


class Failure(Exception):
    """What went wrong, in a sentence."""


class Marked(session.Session):
    """A run whose guest waits at its marks."""

    stdin = subprocess.PIPE

    def __init__(self, options, folder):
        super().__init__(options, folder)
        self.text = ""
        self.waiting = None  # the mark at which the guest waits
        self.stretches = {}  # (operation, "with" or "without") -> statistics

    def heard(self, text):
        self.text += text + "\n"
        for mark in MARK.finditer(text + "\n"):
            self.waiting = mark.groups()
            if self.channel:
                self.channel.send(json.dumps({"command": COMMAND[mark[1]]}).encode())
            else:
                self.answer()

    def on_channel(self, channel):
        self.answers.clear()
        alive = super().on_channel(channel)
        if self.waiting and COMMAND[self.waiting[0]] in self.answers:
            kind, op, what = self.waiting
            if kind == "end":
                self.stretches[op, what] = self.answers["stats"]["statistics"]
            self.answer()
        return alive

    def answer(self):
        self.waiting = None
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def tell(self, status, seconds):
        """No closing table: it would be that of the last stretch."""


def exits(statistics):
    """Exits by class, and accesses to device registers."""
    classes = {}
    for row in statistics["exits"]:
        classes[row["class"]] = classes.get(row["class"], 0) + row["count"]
    accesses = sum(row["loads"] + row["stores"] for row in statistics["devices"].values())
    return classes, accesses


def traps(run, op, n):
    """Of one operation: all traps, those at device registers, and all by class."""
    with_op, accesses = exits(run.stretches[op, "with"])
    without, accesses_without = exits(run.stretches[op, "without"])
    names = sorted(with_op.keys() | without.keys())
    each = {name: round((with_op.get(name, 0) - without.get(name, 0)) / n, 2) + 0.0 for name in names}
    total = (sum(with_op.values()) - sum(without.values())) / n
    return (round(total, 2) + 0.0, round((accesses - accesses_without) / n, 2) + 0.0,
            {name: count for name, count in each.items() if count})


def boot(parse, counted, ops):
    """One run of the guest; the session, and what the guest's program printed."""
    words = ["nano", "--marks"] + ["--counted"] * counted + ops
    runs = []

    def kind(options, folder):
        runs.append(Marked(options, folder))
        return runs[0]

    with tempfile.TemporaryDirectory(prefix="trident-nano-") as folder:
        with open(f"{folder}/disk.img", "wb") as file:
            for number in range(DISK_MIB):
                file.write(bytes([number]) * (1 << 20))
        options = parse(RUN=" ".join(words), ICOUNT="01"[counted], DISK_IMG=f"{folder}/disk.img")
        options.timeout = options.timeout or TIMEOUT
        status = session.run(options, kind=kind)
    if status:
        raise Failure(f"the guest's run ended with status {status}")
    found = RESULT.search(runs[0].text)
    if not found:
        raise Failure("the guest printed no result")
    return runs[0], json.loads(found[1])


def measure(parse, ops):
    """Rows of the result for one device. Time is taken in a run at full speed; instructions and
    traps in one in which QEMU counts instructions, which makes them repeatable."""
    _, timed = boot(parse, False, ops)
    run, counted = boot(parse, True, ops)
    ns = {row["op"]: row["ns"] for row in timed}
    native = run.options.native
    rows = []
    for row in counted:
        total, at_devices, classes = (None, None, None) if native else traps(run, row["op"], row["n"])
        values = (row["op"], run.options.device, None if native else run.options.patch, row["n"],
                  ns[row["op"]], row["instructions"], total, at_devices, classes)
        rows.append(dict(zip(FIELDS, values)))
    return rows


def table(rows):
    """Operations down, devices across: ns, instructions, traps."""
    devices = list(dict.fromkeys(row["device"] for row in rows))
    cell = {(row["op"], row["device"]): row for row in rows}
    head = f"{'':13}" + "".join(f"{device:>30}" for device in devices)
    lines = [head, f"{'operation':13}" + f"{'ns':>11}{'instr':>11}{'traps':>8}" * len(devices)]
    for op in dict.fromkeys(row["op"] for row in rows):
        line = f"{op:13}"
        for device in devices:
            row = cell[op, device]
            counts = [row["ns"], row["instructions"], row["traps"]]
            words = ["-" if value is None else f"{value:.0f}" for value in counts[:2]]
            words.append("-" if counts[2] is None else f"{counts[2]:.1f}")
            line += f"{words[0]:>11}{words[1]:>11}{words[2]:>8}"
        lines.append(line)
    return "\n".join(lines)
