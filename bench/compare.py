"""Two results of make bench side by side.

  bench/compare A.json B.json      `make compare A=results.json B=results.json`
Exit status: 0 if B is nowhere dearer than A, 1 if it is (a regression), 2 if they cannot be compared.
A count that repeats is a regression if it is higher at all; a time if the intervals of its ratio to
native do not overlap. Writes nothing.
"""

import sys

from scripts.runner import ending
from . import controls, intervals, results
from .cells import Refusal
from .report.value import number

SAME, BETTER, WORSE = "", "better", "REGRESSION"


def change(a, b):
    return f"{100 * (b - a) / a:+.1f} %" if a else f"{b - a:+.3g}"


def judge(a, b):
    """Of two exact counts."""
    return WORSE if b > a else BETTER if b < a else SAME


def compare_counts(a, b):
    """[(what, of A, of B, change, verdict)] of two counts that repeat."""
    pairs = [("instructions", a["derived"]["instructions"], b["derived"]["instructions"])]
    if a["derived"]["traps"] and b["derived"]["traps"]:
        pairs.append(("traps", a["derived"]["traps"]["total"], b["derived"]["traps"]["total"]))
    return [(what, number(x), number(y), change(x, y), judge(x, y)) for what, x, y in pairs
            if x is not None and y is not None]


def show(ratio):
    return f"{number(ratio['median'])} [{number(ratio['low'])}, {number(ratio['high'])}]"


def compare_times(a, b):
    x, y = a["derived"]["ratio"], b["derived"]["ratio"]
    if not x or not y:
        return []  # native itself
    if x["low"] is None or y["low"] is None:
        return None
    verdict = SAME
    if not intervals.overlap(x, y):
        verdict = WORSE if y["median"] > x["median"] else BETTER
    return [("time / native", show(x), show(y), change(x["median"], y["median"]), verdict)]


def compare(a, b):
    """Rows [(id, what, A, B, change, verdict)], and sentences on what could not be compared."""
    rows, notes, few, loose, noise = [], [], 0, 0, 0
    banners = [controls.banner(whole["cells"]) for whole in (a, b)]
    notes += [f"{name}: {banner}" for name, banner in zip("AB", banners) if banner]
    ours, theirs = ({cell["id"]: cell for cell in whole["cells"]} for whole in (a, b))
    common = [name for name in ours if name in theirs]
    for name in common:
        x, y = ours[name], theirs[name]
        if "failed" in (x["status"], y["status"]):
            if x["status"] != "failed":
                rows.append((name, "status", x["status"], "failed: " + y["why"], "", WORSE))
            continue
        if x["method"] != "count" and any(banners):
            noise += 1
        elif x["method"] != "count":
            found = compare_times(x, y)
            few += found is None
            rows += [(name, *row) for row in found or []]
        elif x["repeatable"] and y["repeatable"]:
            rows += [(name, *row) for row in compare_counts(x, y)]
        else:
            loose += 1
    alone = len(ours) + len(theirs) - 2 * len(common)
    if not common:
        raise Refusal("the two results have no cell in common: measure them with the same ONLY and size.")
    if few:
        notes.append(f"{few} times have too few samples for an interval (three rounds, the dropped one not "
                     "counted) and are not compared.")
    if noise:
        notes.append(f"{noise} times are not compared for that.")
    if loose:
        notes.append(f"{loose} counts do not repeat and are not compared.")
    if alone:
        notes.append(f"{alone} cells are in one of the results only.")
    if not rows:
        raise Refusal("nothing can be compared. " + " ".join(notes))
    return rows, notes


def describe(whole):
    machine = whole["machine"]
    return (f"commit {machine['commit']}{' and changes' if machine['dirty'] else ''}, QEMU "
            f"{machine['qemu']}, {machine['cores']} x {machine['cpu']}, {machine['date']}")


def main(arguments):
    if len(arguments) != 2 or not all(arguments):
        raise Refusal("name two results: make compare A=results.json B=results.json")
    a, b = (results.load(path) for path in arguments)
    rows, notes = compare(a, b)
    print(f"A: {describe(a)}\nB: {describe(b)}\n")
    changed = [row for row in rows if row[3] != row[2]]
    width = max((len(row[0]) for row in changed), default=4)
    if changed:
        print(f"{'cell':{width}}  {'':13} {'A':>22} {'B':>22} {'change':>9}")
    for name, what, x, y, difference, verdict in changed:
        print(f"{name:{width}}  {what:13} {x:>22} {y:>22} {difference:>9}  {verdict}".rstrip())
    for note in notes:
        print(note)
    worse = sum(row[-1] == WORSE for row in rows)
    better = sum(row[-1] == BETTER for row in rows)
    print(f"{len(rows)} figures compared: {worse} regressions, {better} better, "
          f"{len(rows) - worse - better} equal or not to be told apart from noise")
    return 1 if worse else 0


def compare_or_refuse(arguments):
    try:
        return main(arguments)
    except Refusal as refusal:
        print(f"compare: {refusal}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    ending.run(compare_or_refuse, sys.argv[1:])
