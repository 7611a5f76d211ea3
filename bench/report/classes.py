"""What one exit of each class costs: the statistics' histograms of the counting runs."""

from scripts.runner import histogram

from . import words
from .exhibit import Exhibit, Section
from .overview import OURS, OUT, READ1
from .results import used
from .table import Table

SHOWN = (("trident", READ1), ("trident", OUT), ("linux", "boot"))  # (guest, workload)


def entries_of(cell):
    """{exit class: {entry of the histogram: exits}} of all rounds, the most frequent class first. The rounds are
    differences of two runs, so an exit that cost more in one of them may be missing elsewhere: below zero."""
    total = {}
    for sample in used(cell):
        for name, entries in (sample.get("histograms") or {}).items():
            of_class = total.setdefault(name, {})
            for entry, count in entries.items():
                of_class[int(entry)] = of_class.get(int(entry), 0) + count
    kept = {name: {entry: count for entry, count in entries.items() if count > 0}
            for name, entries in total.items()}
    return dict(sorted(((name, entries) for name, entries in kept.items() if entries),
                       key=lambda item: -sum(item[1].values())))


def rows_of(results):
    for guest, workload in SHOWN:
        for strategy in OURS:
            cell = results.matrix("count", guest, workload, strategy)
            if not cell or cell["status"] == "failed":
                continue
            for name, entries in entries_of(cell).items():
                spread = [histogram.words(entry) for entry in histogram.spread(entries)]
                yield [words.workload(workload, cell["params"]), words.strategy(strategy), name, *spread]


def section(results):
    rows = list(rows_of(results))
    if not rows:
        return None
    table = Table("classes", "Instructions of one exit in the VMM, by class",
                  ["workload", "strategy", "exit class", *histogram.SPREAD], rows, words=3,
                  notes=["From histograms by powers of two, so each figure is known to a factor of two: `512 to 1k` "
                         "is 512 up to 1,023. k is 1,024. M-mode's part of a trap, and saving the registers, "
                         "are not in it, nor are system calls of processes, and returns from them, that went the "
                         "short way at `inline`: they are counted and not timed."])
    return Section("classes", "What an exit of each class costs", [], [Exhibit(table)], "Exit classes")
