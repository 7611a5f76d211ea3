"""Differential test: random programs of vS and vU code, natively and under the VMM.

  tests/diff/run [-n N] [--seed SEED] [--patch LEVEL]
  tests/diff/run --seed SEED --only NUMBER     one program, with its listing and both logs
Called by `make diff N= SEED= PATCH=`. docs/testing.md explains it. Exit status: 0 without a
difference, 1 with one, which is shrunk and printed; the last line is `N passed, N failed`.
"""

import argparse
import os
import sys
import time

from .differ import generate, shrink
from .differ.machine import Machine, run_both
from .differ.program import SLOTS

BATCH = 256
SHOWN = 3  # differences that are shrunk


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("-n", type=int, default=1000)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--patch", default="inline")
    parser.add_argument("--only", type=int, help="the number of one program")
    parser.add_argument("--vmm", default="build/trident/trident.bin")
    parser.add_argument("--guest", default="build/diff/guest.bin")
    parser.add_argument("--no-shrink", action="store_true")
    return parser.parse_args()


def progress(text, end=""):
    if sys.stderr.isatty():
        print(f"\r{text}\033[K", end=end, file=sys.stderr, flush=True)


def make(options, number):
    return generate.make(options.seed, number, inline=options.patch == "inline")


def main():
    options = arguments()
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
    machines = [Machine(None, options.guest), Machine(options.patch, options.guest, options.vmm)]
    if options.only is not None:
        program = make(options, options.only)
        same = shrink.show(machines, shrink.Case(program))
        print(f"{int(same)} passed, {int(not same)} failed")
        return 0 if same else 1

    passed, failed, skipped, shown, traps = 0, 0, 0, 0, 0
    begin = time.monotonic()
    for first in range(0, options.n, BATCH):
        programs = [make(options, number)
                    for number in range(first, min(first + BATCH, options.n))]
        records = [program.record(slot) for slot, program in enumerate(programs)]
        native, virtual = run_both(machines, records)
        for slot, (a, b) in enumerate(zip(native, virtual)):
            if not a.ended:
                skipped += 1
                print(f"seed {options.seed} program {first + slot} has no end on the bare machine: "
                      f"{a.line}; {a.text[-1:]}")
            elif a.line == b.line:
                passed += 1
                traps += int(a.line.split()[2], 16)
            else:
                failed += 1
                print(f"\nseed {options.seed} program {first + slot}: a difference", flush=True)
                if shown < SHOWN and not options.no_shrink:
                    shown += 1
                    case = shrink.shrink(machines, shrink.Case(programs[slot], programs[:slot]))
                    shrink.show(machines, case)
        done = first + len(programs)
        progress(f"{done} of {options.n}: {failed} differ, {done / (time.monotonic() - begin):.0f}/s")
    progress("")
    print(f"diff: seed {options.seed}, patch {options.patch}, {traps} traps compared, {skipped} skipped, "
          f"{time.monotonic() - begin:.0f} s")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed or skipped > options.n // 100 else 0


assert BATCH <= SLOTS
if __name__ == "__main__":
    sys.exit(main())
