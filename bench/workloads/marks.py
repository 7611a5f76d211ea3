"""A run whose guest stands still at marks, so that the VMM's counters are a workload's alone.

The guest prints `mark-begin NAME WHAT` or `mark-end NAME WHAT` and waits for a line on its console.
Before that line comes the counters are set to zero, or read, through the control channel. Natively
there are none, and the line comes at once.
"""

import json
import re
import subprocess

from runner import session

MARK = re.compile(r"^mark-(begin|end) (\S+) +(\S+) *$", re.MULTILINE)
COMMAND = {"begin": "reset", "end": "stats"}


class Failure(Exception):
    """What went wrong, in a sentence."""


class Marked(session.Session):
    stdin = subprocess.PIPE

    def __init__(self, options, folder):
        super().__init__(options, folder)
        self.text = ""
        self.waiting = None  # the mark at which the guest waits
        self.stretches = {}  # (name, what) -> statistics

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
            kind, name, what = self.waiting
            if kind == "end":
                self.stretches[name, what] = self.answers["stats"]["statistics"]
            self.answer()
        return alive

    def answer(self):
        self.waiting = None
        try:
            self.process.stdin.write(b"\n")
            self.process.stdin.flush()
        except OSError:
            pass  # QEMU has ended, which the run's verdict tells

    def tell(self, status, seconds):
        """No closing table: it would be that of the last stretch."""


def run(options):
    """Runs the guest to its end in good order; the session."""
    runs = []

    def kind(*arguments):
        runs.append(Marked(*arguments))
        return runs[0]

    status = session.run(options, kind=kind)
    if status:
        raise Failure(f"DEVICE={options.device}: the guest's run ended with status {status}")
    return runs[0]


def exits(statistics):
    """Exits by class, and accesses to device registers."""
    classes = {}
    for row in statistics["exits"]:
        if row["count"]:  # 0: a wait that has not ended
            classes[row["class"]] = classes.get(row["class"], 0) + row["count"]
    accesses = sum(row["loads"] + row["stores"] for row in statistics["devices"].values())
    return classes, accesses
