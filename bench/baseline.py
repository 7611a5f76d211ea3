"""Counts per operation that are committed, so that a change of them is seen.

  bench/baseline           compares this tree with bench/baseline.json (make check does)
  bench/baseline --renew   writes it (make baseline): on purpose, with the reason in the commit
Traps, by class, and accesses to device registers must be equal; instructions may differ by the stated
tolerance, because they depend on the compiler and on the firmware too. With another compiler than the committed
counts' the guest's code is another, so that one trap may serve other accesses: then instructions and traps may
differ by more.
"""

import json
import os
import sys

from scripts.runner import report
from . import cells, facts, results, schedule

HERE = os.path.dirname(os.path.abspath(__file__))
PATH = "bench/baseline.json"
ONLY = (r"^count/trident/(disk-(read|write)-4096-d1/(native|ahci|ata|virtio|passthrough)|"
        r"(console-out|interrupt)/(native|ahci|virtio|passthrough))(/[^/]+)?$")
TOLERANCE = 0.02
OTHER_COMPILER = 0.06  # where VMM and guest were built by another version of the compiler than the committed counts
OTHER_TRAPS = 0.1      # and of all traps
UNSTABLE_MOST = 3  # cells that may be left out for that
RENEW = "If that is meant, renew it: make baseline, and say why in the commit."


def measure():
    """{id: {operations, instructions, traps, registers}} of a small set of cells, and the ids of those that
    did not repeat just now, because interrupts met."""
    chosen = [cell for cell in cells.select(cells.QUICK, ONLY) if cell.part == "matrix"]
    bench = schedule.Bench(chosen, cells.QUICK, facts.machine(), "build/baseline",
                           say=lambda text: print(text, flush=True))
    whole = bench.run()
    bench.journal.remove()
    table, unstable = {}, set()
    for cell in whole["cells"]:
        if cell["status"] == "unstable":
            unstable.add(cell["id"])
            continue
        if cell["status"] != "ok":
            raise cells.Refusal(f"{cell['id']} {cell['status']}: {cell['why']}.")
        sample = results.used(cell)[0]
        table[cell["id"]] = {key: sample[key] for key in ("operations", "instructions", "traps",
                                                          "registers")}
    if len(unstable) > UNSTABLE_MOST:
        raise cells.Refusal(f"{', '.join(sorted(unstable))} did not repeat: is the machine overloaded?")
    return table, unstable, whole["machine"]


def differences(before, now, tolerance):
    """A sentence for each figure that is not what it was."""
    for name in sorted({**before, **now}):
        if name not in before or name not in now:
            yield f"{name} is {'new' if name in now else 'gone'}"
            continue
        a, b = before[name], now[name]
        for kind in ("operations", "traps", "registers") if tolerance == TOLERANCE else ("operations",):
            if a[kind] != b[kind]:
                yield f"{name}: {kind} were {json.dumps(a[kind])} and are {json.dumps(b[kind])}"
        traps = a["traps"]["total"], b["traps"]["total"]
        if abs(traps[1] - traps[0]) > OTHER_TRAPS * traps[0]:
            yield f"{name}: there were {traps[0]} traps and are {traps[1]}"
        change = b["instructions"] / a["instructions"] - 1
        if abs(change) > tolerance:
            yield (f"{name}: instructions were {a['instructions']} and are {b['instructions']} "
                   f"({100 * change:+.1f} %, allowed are {100 * tolerance:g} %)")


def compiler():
    """The version of the VMM's."""
    return report.output_of("riscv64-unknown-elf-gcc", "-dumpfullversion").strip()


def load():
    try:
        with open(PATH, encoding="utf-8") as file:
            whole = json.load(file)
        same = whole["made"].get("compiler") == compiler()
        return whole["cells"], whole["tolerance"] if same else OTHER_COMPILER
    except (OSError, ValueError, KeyError):
        raise cells.Refusal(f"{PATH} cannot be read: renew it with make baseline.") from None


def main(arguments):
    os.chdir(os.path.join(HERE, ".."))
    for name in os.environ.get("OPTIONS", "").split():
        os.environ.pop(name, None)
    if arguments not in ([], ["--renew"]):
        print(__doc__, file=sys.stderr)
        return 2
    before, tolerance = ({}, TOLERANCE) if arguments else load()
    now, unstable, machine = measure()
    before = {name: cell for name, cell in before.items() if name not in unstable}
    for name in sorted(unstable):
        print(f"baseline: {name} did not repeat, and is not compared.")
    if arguments:
        made = {key: machine[key] for key in ("commit", "qemu", "opensbi")}
        made["compiler"] = compiler()
        report.write_json(PATH, {"made": made, "tolerance": TOLERANCE, "cells": now})
        print(f"{PATH}: {len(now)} cells")
        return 0
    found = list(differences(before, now, tolerance))
    for sentence in found:
        print(f"baseline: {sentence}.")
    print(f"baseline: {RENEW}" if found else f"baseline: {len(now)} cells are as they were.")
    return 1 if found else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except cells.Refusal as refusal:
        print(f"baseline: {refusal}", file=sys.stderr)
        sys.exit(2)
