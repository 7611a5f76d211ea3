"""Questions to the cells of results.json. Every answer is a Value: what was not measured says so."""

import json
from statistics import median

from .. import controls
from .value import Value, missing

PATCHES = ("off", "ecall", "cluster", "inline")
GROUPS = ("device", "plic", "csr", "fault", "sbi", "interrupt", "other")
GROUP_CLASSES = {"device": ("mmio",), "plic": ("plic",), "csr": ("csr", "sret", "wfi", "fence", "patch"),
                 "fault": ("shadow_fill", "guest_fault"), "sbi": ("sbi",), "interrupt": ("interrupt",)}
STRATEGIES = ("native", "ahci", "ata", "virtio", "passthrough")


def used(cell):
    """The samples that its figures are from: of a count that repeats, those that are alike."""
    kept = [sample for sample in cell["samples"] if not sample["dropped"]]
    if not cell["repeatable"]:
        return kept
    kinds = {}
    for sample in kept:
        key = json.dumps([sample[name] for name in ("operations", "instructions", "traps", "registers")],
                         sort_keys=True)
        kinds.setdefault(key, []).append(sample)
    return max(kinds.values(), key=len, default=[])


def in_group(traps, group):
    """Traps of a sample that belong to this group; all of them for `total`."""
    if group == "total":
        return traps.get("total", 0)
    if group != "other":
        return sum(traps.get(name, 0) for name in GROUP_CLASSES[group])
    named = {name for names in GROUP_CLASSES.values() for name in names} | {"total"}
    return sum(count for name, count in traps.items() if name not in named)


def spread(cell, of, scale=1):
    """How a count differed from round to round: fields of a Value. Nothing if it did not."""
    if cell["method"] != "count":
        return {}
    seen = [of(sample) / sample["operations"] * scale for sample in used(cell)]
    return {"unstable": True, "least": min(seen), "most": max(seen)} if len(set(seen)) > 1 else {}


class Results:
    """The cells, by what they are."""

    def __init__(self, whole):
        self.whole = whole
        self.cells = whole["cells"]
        self.by_id = {cell["id"]: cell for cell in self.cells}

    def find(self, **wanted):
        """Cells in the file's order whose fields are these; a tuple stands for any of its members."""
        def fits(cell):
            return all(cell[name] in value if isinstance(value, tuple) else cell[name] == value
                       for name, value in wanted.items())
        return [cell for cell in self.cells if fits(cell)]

    def one(self, **wanted):
        """The first such cell, or None."""
        return next(iter(self.find(**wanted)), None)

    def level(self):
        """The PATCH level that the matrix was run at: the highest, if at several."""
        levels = {cell["patch"] for cell in self.find(part="matrix")} & set(PATCHES)
        return max(levels, key=PATCHES.index, default=None)

    def matrix(self, method, guest, workload, strategy):
        """The cell of this strategy at the matrix's PATCH level."""
        patch = None if strategy == "native" else self.level()
        return self.one(part="matrix", method=method, guest=guest, workload=workload,
                        strategy=strategy, patch=patch)

    def at(self, patch, workload, strategy):
        """The count of our guest at this PATCH level, of whichever part of the matrix has it."""
        return self.one(part=("matrix", "ladder"), method="count", guest="trident", workload=workload,
                        strategy=strategy, patch=None if strategy == "native" else patch)

    def textbook(self, workload):
        """PATCH=off, if what the matrix counts of this workload was counted there too; else None."""
        strategies = {cell["strategy"] for cell in self.find(part="matrix", method="count", guest="trident",
                                                              workload=workload)} - {"native"}
        counted = strategies and all(self.at(PATCHES[0], workload, name) for name in strategies)
        return PATCHES[0] if counted and self.level() != PATCHES[0] else None

    def levels(self, workload):
        """The levels at which a workload of our guest is shown: the textbook's, and the matrix's own."""
        return [level for level in (self.textbook(workload), self.level()) if level]

    @property
    def banner(self):
        """Why the times of this run are not to be used; empty if they may be."""
        return controls.banner(self.cells)

    def workloads(self, part="matrix", guest=None):
        """[(guest, workload, params)] in the order of the file, each once."""
        seen = {}
        for cell in self.find(part=part):
            if guest in (None, cell["guest"]):
                seen.setdefault((cell["guest"], cell["workload"]), cell["params"])
        return [(guest, workload, params) for (guest, workload), params in seen.items()]


# --- What a cell says --------------------------------------------------------------------------------


def answer(cell, take):
    """take(derived, cell) -> Value, or why there is none."""
    if cell is None:
        return missing()
    if cell["status"] == "failed":
        return missing("failed", cell["why"])
    return take(cell["derived"])


def traps(cell, group="total"):
    """Traps per operation of this group."""
    def take(derived):
        table = derived["traps"] if group == "total" else derived["groups"]
        if table is None:
            return missing("not counted")
        return Value(float(table.get(group, 0)),
                     **spread(cell, lambda sample: in_group(sample["traps"] or {}, group)))
    return answer(cell, take)


def registers(cell, device):
    """Trapped accesses of this device's registers, per operation."""
    def take(derived):
        if derived["registers"] is None:
            return missing("not counted")
        marks = spread(cell, lambda s: sum((s["registers"] or {}).get(device, {}).values()))
        per_round = [sum((s["registers"] or {}).get(device, {}).values()) / s["operations"]
                     for s in used(cell)]
        return Value(float(median(per_round)), **marks)
    return answer(cell, take)


def accesses(cell, device):
    """Loads and stores of this device's registers that the VMM carried out, per operation, whether each
    trapped or came along with another trap."""
    def seam(sample):
        counters = (sample["devices"] or {}).get(device, {})
        return counters.get("loads", 0) + counters.get("stores", 0)

    def take(_):
        if all(sample["devices"] is None for sample in used(cell)):
            return missing("not counted")
        return Value(float(median(seam(sample) / sample["operations"] for sample in used(cell))),
                     **spread(cell, seam))
    return answer(cell, take)


def instructions(cell):
    def take(derived):
        if derived["instructions"] is None:
            return missing("not counted")
        return Value(float(derived["instructions"]),
                     **spread(cell, lambda sample: sample["instructions"]))
    return answer(cell, take)


def nanoseconds(cell):
    def take(derived):
        return missing() if derived["ns"] is None else Value(float(derived["ns"]))
    return answer(cell, take)


def ratio(cell):
    """Cost relative to native, with its interval; native's own is 1."""
    def take(derived):
        if derived["ratio"] is None:
            return Value(1.0) if cell["strategy"] == "native" else missing("no native")
        interval, own = derived["ratio"], derived["instructions"]
        marks = spread(cell, lambda sample: sample["instructions"] or 0,
                       interval["median"] / own if own else 1)  # native's count is not here, but it is in both
        return Value(float(interval["median"]), interval["low"], interval["high"],
                     same=derived["difference"] == "none", **marks)
    return answer(cell, take)


def inverse(value):
    """Throughput from cost: the interval's ends change places."""
    if not value.there or value.value == 0:
        return value
    low, high = (1 / value.high, 1 / value.low) if value.interval else (None, None)
    least, most = (None, None) if not value.least else (1 / value.most, 1 / value.least)
    return Value(1 / value.value, low, high, value.unstable, value.same, least=least, most=most)


def throughput(cell):
    return inverse(ratio(cell))
