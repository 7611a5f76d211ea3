"""A run whose guest stands still at marks, so that the VMM's counters are a workload's alone.

The guest prints `mark-begin NAME WHAT` or `mark-end NAME WHAT` and waits for a line on its console.
Before that line comes the counters are set to zero, or read, through the control channel. Natively
there are none, and the line comes at once.
"""

import contextlib
import json
import os
import re
import subprocess

from scripts.runner import session

MARK = re.compile(r"^mark-(begin|end) (\S+) +(\S+) *$", re.MULTILINE)
COMMAND = {"begin": "reset", "end": "stats"}


plan = None  # a progress.Plan, of a program that has one


class Failure(Exception):
    """What went wrong, in a sentence; and, if there is a second argument, what the guest printed."""


class Kept(session.Session):
    """A run whose console is kept and not shown."""

    def __init__(self, options, folder):
        super().__init__(options, folder)
        self.text = ""

    def show(self, data):
        """Not while it runs."""

    def heard(self, text):
        self.text += text + "\n"

    def tell(self, status, seconds):
        """No closing table: it would be that of the last stretch, or of nothing."""


class Marked(Kept):
    stdin = subprocess.PIPE

    def __init__(self, options, folder):
        super().__init__(options, folder)
        self.waiting = None  # the mark at which the guest waits
        self.stretches = {}  # (name, what) -> statistics

    def heard(self, text):
        super().heard(text)
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


def name_of(device, counted):
    """Of a boot, for the progress line."""
    return f"{device}, {'instructions and traps' if counted else 'time'}"


def run(options, kind=Marked, name=None):
    """Runs the guest to its end in good order; the session."""
    runs = []

    def make(*arguments):
        runs.append(kind(*arguments))
        return runs[0]

    with plan.boot(name or name_of(options.device, options.icount)) if plan else contextlib.nullcontext():
        status = session.run(options, kind=make)
    if status:
        text = runs[0].text if runs else ""
        raise Failure(f"DEVICE={options.device}: the guest's run ended with status {status}", text)
    return runs[0]


def keep(console):
    """Where a console that was not shown can be read; for a sentence."""
    os.makedirs("build/workload", exist_ok=True)
    path = "build/workload/failed.log"
    with open(path, "w", encoding="utf-8") as file:
        file.write(console)
    return path


def explain(failure):
    """A Failure's sentence, and where the guest's console is."""
    console = failure.args[1] if len(failure.args) > 1 else ""
    return failure.args[0] + (f"; its console is in {keep(console)}" if console else "")


def exits(statistics):
    """Exits by class, and accesses to device registers."""
    classes = {}
    for row in statistics["exits"]:
        if row["count"]:  # 0: a wait that has not ended
            classes[row["class"]] = classes.get(row["class"], 0) + row["count"]
    accesses = sum(row["loads"] + row["stores"] for row in statistics["devices"].values())
    return classes, accesses
