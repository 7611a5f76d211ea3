"""Measures the matrix of bench/cells.py and writes build/bench/results.json.

  bench/run            `make bench` builds first. QUICK=1: the smallest matrix, fewer rounds; FULL=1: all
                       there is; ONLY=regex: the cells whose ids match, with their denominators; PEER=kvm: KVM beside them
  bench/run --cells    only lists the ids
  bench/run --bundle N only the Nth part, to standard output (`make sweep` asks for it)
  bench/run --needs    only says what make must build for it
  bench/run --readme   only puts the headline into README.md: table and picture, of results.json and its report
A failed cell is shown as failed, with its console in build/bench/, and does not stop the rest; the exit
status is then 1. An interrupted run goes on where it was.
"""

import difflib
import glob
import json
import os
import sys

from scripts.runner import options as front_door, report
from . import bundles, cells, facts, headline, peer_cells, results, schedule
from .bundles import matrix_level

HERE = os.path.dirname(os.path.abspath(__file__))
PATH = f"{schedule.FOLDER}/results.json"
KNOWN = ("QUICK", "FULL", "ONLY", "PEER", "KVMTOOL", "HOSTS", "RESULTS", *front_door.MAKE_VARIABLES)
LINUX = ("build/linux/Image", "build/linux/initramfs.cpio.gz")
NEEDS = {"boot": LINUX, "nano": (*LINUX, "build/workloads/trixie.cpio.gz"), "fio": ("guest-debian",),
         "compile": ("guest-gcc",)}  # what make builds for a kind of workload, besides VMM and guest


def bundle(number):
    """One part of the matrix, for `make sweep`: the result goes to standard output."""
    level = matrix_level()
    parts = bundles.bundles(cells.select(level, os.environ.get("ONLY")))
    run = schedule.Bench(parts[number], level, {**facts.machine(), "name": os.uname().nodename + os.getcwd()},
                         f"build/sweep/bundle-{number}", say=lambda text: print(text, file=sys.stderr))
    json.dump(run.run(), sys.stdout)
    run.journal.remove()
    return 0


def check_given():
    """Refuses what was set on make's command line and means nothing here."""
    for name in os.environ.get("GIVEN", "").split():
        if name in os.environ.get("OPTIONS", "").split():
            raise cells.Refusal(f"{name}= is of one run; each cell has its own: select cells with ONLY=.")
        if name not in KNOWN:
            near = difflib.get_close_matches(name, KNOWN, 1)
            hint = f"did you mean {near[0]}?" if near else "bench has QUICK, FULL, ONLY and PEER."
            raise cells.Refusal(f"there is no option {name}: {hint}")


def bench():
    level, peer = matrix_level(), peer_cells.wanted()
    chosen = cells.select(level, os.environ.get("ONLY"))
    run = schedule.Bench(chosen, level, facts.machine(), say=lambda text: print(text, flush=True))
    for log in [] if run.journal.entries else glob.glob(f"{schedule.FOLDER}/*.log"):
        os.unlink(log)
    whole = run.run()
    peers = peer_cells.measure() if peer else []
    whole["cells"] += peers
    report.write_json(PATH, whole)
    run.journal.remove()
    count = {status: sum(cell["status"] == status for cell in whole["cells"])
             for status in ("ok", "unstable", "failed")}
    print(f"{len(whole['cells'])} cells in {whole['machine']['seconds'] / 60:.0f} min: {count['ok']} ok, "
          f"{count['unstable']} not repeatable, {count['failed']} failed; {PATH}")
    return 1 if count["failed"] or (peer and not peers) else 0


def main(arguments):
    os.chdir(os.path.join(HERE, ".."))
    check_given()
    for name in os.environ.get("OPTIONS", "").split():
        os.environ.pop(name, None)  # make's defaults: each cell has its own
    if arguments == ["--cells"]:
        print("\n".join(cell.id for cell in cells.select(matrix_level(), os.environ.get("ONLY"))))
        return 0
    if arguments == ["--needs"]:
        kinds = {cell.kind for cell in cells.select(matrix_level(), os.environ.get("ONLY"))}
        peers = ["guest-kvm"] if peer_cells.wanted() else []
        print(*dict.fromkeys(name for kind in sorted(kinds) for name in NEEDS.get(kind, ())), *peers)
        return 0
    if arguments == ["--readme"]:
        headline.write_readme(results.load(PATH), "README.md")
        return 0
    if len(arguments) == 2 and arguments[0] == "--bundle" and arguments[1].isdigit():
        return bundle(int(arguments[1]))
    if arguments:
        print(__doc__, file=sys.stderr)
        return 2
    return bench()


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except cells.Refusal as refusal:
        print(f"bench: {refusal}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("\nbench: interrupted; the same command goes on where it was", file=sys.stderr)
        sys.exit(130)
