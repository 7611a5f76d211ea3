"""Which boots are made in which order, and the making of them.

Machines of the same kind are a row, and take turns: native, AHCI, ATA ..., and from the start. So a
ratio is taken within minutes, and whatever else the host does meets all of them alike.
"""

import os
import time

from . import cells, results, samples
from .journal import Journal, fingerprint

FOLDER = "build/bench"


def rows_of(chosen):
    """[[machine, ...]]: each machine a list of cells that share a boot."""
    rows = {}
    for cell in chosen:
        method, guest, apart = cell.machine[:3]
        rows.setdefault((method, guest, apart), {}).setdefault(cell.machine, []).append(cell)
    # Counts first: they are quick, and a mistake shows there.
    order = sorted(rows, key=lambda row: ("count", "time", "boot-time").index(row[0]))
    return [list(rows[row].values()) for row in order]


def name_of(machine_cells):
    """For the progress line and the log."""
    first = machine_cells[0]
    words = [first.method, first.guest, first.machine[2], first.strategy, first.patch or "",
             *(f"{name}={value}" for name, value in first.extra)]
    return "/".join(filter(None, words))


def create_disk(path):
    """Bytes that are no zeros, so that no layer below has a hole to read."""
    part = bytes(range(1, 252)) * 4096
    with open(path, "wb") as file:
        for _ in range(0, cells.DISK_BYTES, len(part)):
            file.write(part)
        file.truncate(cells.DISK_BYTES)


# Before a machine has run once: seconds of a boot, and of each cell in it, on a usual computer.
USUAL = {("count", "bench"): (0.3, 0.6), ("count", "deep"): (0.1, 0.05), ("count", "operation"): (0.3, 0),
         ("count", "boot"): (5, 0), ("count", "nano"): (6, 0.7), ("time", "bench"): (0.3, 0.16),
         ("time", "nano"): (3, 0.6), ("time", "fio"): (20, 10), ("time", "compile"): (15, 45),
         ("boot-time", "boot"): (3, 0)}
TRUSTED = 60  # seconds that count as if they had gone as usual: one short boot says little


class Clock:
    """Time left: of each machine how long its boots took; before its first, what is usual, scaled by how
    fast this computer was so far."""

    def __init__(self, rows, rounds):
        self.planned, self.usual = {}, {}  # name -> boots to make; seconds of one
        self.taken = {}                    # name -> [seconds]
        for machine_cells in (part for row in rows for part in row):
            first, name = machine_cells[0], name_of(machine_cells)
            boot, each = USUAL[first.method, first.machine[2]]
            self.planned[name] = rounds[first.method]
            self.usual[name] = boot + each * len(machine_cells)

    def note(self, name, seconds):
        self.taken.setdefault(name, []).append(seconds)
        self.planned[name] = max(0, self.planned[name] - 1)

    def seconds(self):
        usual = sum(self.usual[name] * len(values) for name, values in self.taken.items())
        speed = (sum(map(sum, self.taken.values())) + TRUSTED) / (usual + TRUSTED)
        mean = {name: sum(values) / len(values) for name, values in self.taken.items()}
        return sum(boots * mean.get(name, self.usual[name] * speed) for name, boots in self.planned.items())

    def left(self):
        seconds = self.seconds()
        return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


class Bench:
    """level: size of the matrix. say: where the progress lines go."""

    def __init__(self, chosen, level, machine, folder=FOLDER, say=print):
        self.chosen, self.level, self.folder, self.say = chosen, level, folder, say
        self.machine = machine
        self.rounds = {method: row[level] for method, row in cells.ROUNDS.items()}
        os.makedirs(folder, exist_ok=True)
        self.disk = f"{folder}/disk.img"
        self.journal = Journal(f"{folder}/journal.jsonl", fingerprint(machine, level, self.rounds))
        self.seen = {}  # cell id -> [(round, dropped, sample or why, log)]
        self.number = self.seconds = 0
        self.qemu = None

    def run(self):
        """Makes all boots; the result."""
        if self.journal.note:
            self.say(self.journal.note)
        create_disk(self.disk)
        rows = rows_of(self.chosen)
        self.clock = Clock(rows, self.rounds)
        self.total = sum(self.clock.planned.values())
        for row in rows:
            for turn in range(self.rounds[row[0][0].method]):
                for machine_cells in row:
                    self.boot(machine_cells, turn)
            self.again(row)
        return self.result()

    def again(self, row):
        """Counts that must repeat and did not, or while which the VMM learned, are done again, until two agree."""
        for turn in range(self.rounds["count"], cells.COUNT_MOST):
            for machine_cells in row:
                left = [cell for cell in machine_cells if cell.exact and self.differs(cell)]
                if left:
                    self.total += 1
                    self.boot(left, turn)

    def differs(self, cell):
        samples_seen = [sample for _, _, sample, _ in self.seen[cell.id]]
        return not any(isinstance(sample, str) for sample in samples_seen) and \
            not results.agreed(samples_seen)

    def boot(self, machine_cells, turn):
        """One boot, or what the journal has of it."""
        first, name = machine_cells[0], name_of(machine_cells)
        names = {cell.id for cell in machine_cells}
        self.number += 1
        found = self.journal.find(name, turn, names)
        if not found:
            self.say(f"[{self.number}/{self.total}] {self.clock.left()} left  {name}, round {turn + 1}, "
                     f"{len(names)} cell{'s' if len(names) > 1 else ''}")
            found = self.measure(machine_cells, name, turn)
            self.journal.add(found)
        self.clock.note(name, found["seconds"])
        self.seconds += found["seconds"]
        self.qemu = found["qemu"] or self.qemu
        dropped = first.method != "count" and turn < cells.DROPPED
        for cell in machine_cells:
            self.seen.setdefault(cell.id, []).append(
                (turn, dropped, found["cells"][cell.id], found["log"]))

    def measure(self, machine_cells, name, turn):
        begin = time.monotonic()
        in_vain = max(0, turn + 1 - self.rounds["count"]) if machine_cells[0].method == "count" else 0
        taken, console, facts = samples.take(machine_cells, self.disk, in_vain)
        bad = {cell: why for cell, why in taken.items() if isinstance(why, str)}
        log = None
        if bad:
            log = f"{self.folder}/{name.replace('/', '-')}-{turn + 1}.log"
            with open(log, "w", encoding="utf-8") as file:
                file.write(console)
            self.say(f"  FAILED ({len(bad)} of {len(taken)} cells): {next(iter(bad.values()))}; "
                     f"its console is in {log}")
        return {"machine": name, "round": turn, "cells": taken, "log": log, "qemu": facts.get("qemu"),
                "seconds": round(time.monotonic() - begin, 3)}

    def result(self):
        machine = {**self.machine, "qemu": self.qemu or self.machine["qemu"],
                   "seconds": round(self.seconds)}
        method = {"count_rounds": self.rounds["count"], "time_rounds": self.rounds["time"],
                  "boot_rounds": self.rounds["boot-time"], "dropped": cells.DROPPED,
                  "confidence": results.intervals.CONFIDENCE, "resamples": results.intervals.RESAMPLES}
        flags = {"quick": self.level == cells.QUICK, "full": self.level == cells.FULL,
                 "only": os.environ.get("ONLY") or None, "method": method}
        return results.assemble(self.chosen, self.seen, machine, flags)
