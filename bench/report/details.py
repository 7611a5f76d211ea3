"""Workload by workload, the PATCH levels, growth curves and the registers."""

from . import draw, words
from .exhibit import Exhibit, Section, sentence_list
from .overview import OURS, device_of, relative, relative_exhibit, split_exhibit
from .results import (PATCHES, STRATEGIES, instructions, nanoseconds, ratio, traps)
from .table import Table
from .value import SAME, apart, exact, missing, number, over

KINDS = {"disk": "Disk", "console": "Console", "interrupt": "Interrupts", "boot": "Boot of Linux",
         "nano": "Single operations of Linux", "fio": "fio", "compile": "Compilation"}
LEVELS = (*PATCHES, "native")
MOST_ROWS = 14  # of a heat map's rows for one strategy: an ATA disk's setup has dozens


# --- Workloads ---------------------------------------------------------------------------------------


def families(results):
    """{kind: {name of the family: [(guest, workload, params)]}}; a family shares one picture."""
    found = {}
    for guest, workload, params in results.workloads():
        kind = params.get("kind", workload.split("-")[0])
        family = f"{guest}-{kind}"
        if kind == "disk":
            family = f"{guest}-disk-{params['op']}-{params['bytes']}"
        elif kind not in ("nano", "fio", "compile"):
            family = f"{guest}-{workload}"
        found.setdefault(kind, {}).setdefault(family, []).append((guest, workload, params))
    return found


def family_title(members):
    guest, workload, params = members[0]
    if params.get("kind") == "disk":
        return f"{words.size(params['bytes'])} {params['op']}"
    name = words.workload(workload, params) if len(members) == 1 else KINDS.get(
        params.get("kind"), workload)
    return f"{name}, {guest} guest"


def times(results, guest, workload, strategy):
    """The timed cell: by the guest's clock, or a whole process."""
    return (results.matrix("time", guest, workload, strategy)
            or results.matrix("boot-time", guest, workload, strategy))


def workload_table(results, name, members):
    """All that was measured of these workloads."""
    rows, (take, heading, _) = [], relative(members[0][2])
    for guest, workload, params in members:
        for strategy in STRATEGIES:
            counted = results.matrix("count", guest, workload, strategy)
            timed = times(results, guest, workload, strategy)
            if counted or timed:
                rows.append([words.workload(workload, params), words.strategy(strategy, params),
                             traps(counted), instructions(counted), ratio(counted),
                             nanoseconds(timed), take(timed)])
    return Table(name, f"{family_title(members)}: all figures per {words.unit(members[0][2])}",
                 ["workload", "strategy", "traps", "instructions", "instructions, native = 1",
                  "ns on this machine", heading], rows, words=2)


def workload_sections(results):
    for kind, kinds in families(results).items():
        exhibits = []
        for family, members in kinds.items():
            per = words.unit(members[0][2])
            exhibits.append(Exhibit(workload_table(results, f"figures-{family}", members)))
            if kind in ("nano", "fio", "compile"):
                continue  # many operations: their pictures are the ladder's
            split = split_exhibit(results, f"classes-{family}", members,
                                  f"{family_title(members)}: traps per {per} by class", per)
            exhibits += [split] if split.table.rows else []
        timed = [member for members in kinds.values() for member in members
                 if results.find(part="matrix", method="time", guest=member[0], workload=member[1])]
        if timed:
            measure = relative(timed[0][2])
            exhibits.append(relative_exhibit(results, f"{measure[2]}-{kind}", timed,
                                             f"{KINDS.get(kind, kind)}: {measure[2]}", measure))
        yield Section(f"workload-{kind}", KINDS.get(kind, kind), [], exhibits)


# --- The ladder --------------------------------------------------------------------------------------


def ladder_cells(results, method):
    """{(guest, workload, strategy): {level: cell}}: the ladder's cells, the matrix's own level and
    native, which are not measured twice."""
    steps = {}
    for cell in results.find(part="ladder", method=method):
        if cell["strategy"] != "native":
            key = (cell["guest"], cell["workload"], cell["strategy"])
            steps.setdefault(key, {})[cell["patch"]] = cell
    for (guest, workload, strategy), of in steps.items():
        for cell in results.find(part=("matrix", "ladder"), method=method, guest=guest,
                                 workload=workload, strategy=(strategy, "native")):
            of.setdefault(cell["patch"] or "native", cell)
    return steps


def ladder_points(results, method, take):
    """[(operation, {level: Value})]; the strategy is named where there are several."""
    steps = ladder_cells(results, method)
    several = len({strategy for _, _, strategy in steps}) > 1
    order = list(dict.fromkeys(key[:2] for key in steps))  # a workload's strategies stand together
    points = []
    for (_, _, strategy), of in sorted(steps.items(), key=lambda step: order.index(step[0][:2])):
        cell = next(iter(of.values()))
        name = words.workload(cell["workload"], cell["params"])
        device = words.in_text(strategy, cell["params"]).removeprefix("emulated ")
        name = f"{name}, {device}" if several else name
        points.append((name, {level: take(of[level]) for level in LEVELS if level in of}))
    return points


LADDER = (("traps", "Traps per operation at each PATCH level", "count", traps, "traps per operation"),
          ("instructions", "Retired instructions per operation at each PATCH level", "count",
           instructions, "retired instructions per operation"),
          ("ns", "Time per operation at each PATCH level, on this machine", ("time", "boot-time"), nanoseconds,
           "ns per operation"))


def ladder_exhibit(results, name, title, method, take, label):
    points = ladder_points(results, method, take)
    if name == "traps":
        points = [(op, {level: value for level, value in of.items() if level != "native"})
                  for op, of in points]
    points = [(op, of) for op, of in points if of]
    if not points:
        return None
    levels = [level for level in LEVELS if any(level in of for _, of in points)]
    rows = [[op, *(of.get(level, missing()) for level in levels)] for op, of in points]
    table = Table(f"ladder-{name}", title, ["operation", *levels], rows)
    alt = f"Points on a log axis, {label}. " + " ".join(
        f"{op}: " + sentence_list(f"{level} {value.text(2)}" for level, value in of.items()) + "."
        for op, of in points)
    figure = draw.dots(points, words.PATCH_LOOKS, label)
    return Exhibit(table, figure, alt)


def ladder_gain(results):
    """What the highest level saves over the lowest, in one sentence."""
    points = ladder_points(results, "count", traps)
    gains = []
    for name, of in points:
        seen = [level for level in PATCHES if level in of and of[level].there]
        if len(seen) > 1 and of[seen[0]].value > 0:
            gains.append((over(of[seen[-1]], of[seen[0]]), name, seen))
    if not gains:
        return []
    pair = max(((seen[0], seen[-1]) for _, _, seen in gains),
               key=lambda pair: PATCHES.index(pair[1]) - PATCHES.index(pair[0]))
    gains = [gain for gain in gains if (gain[2][0], gain[2][-1]) == pair]
    gains.sort(key=lambda gain: gain[0].value)
    share, best, seen = gains[0]
    left = [f"{number(100 * gain.value, 2)}" for gain, _, _ in (gains[0], gains[-1])]
    if len(gains) == 1:
        said = f"the traps of {best}: {left[0]} % of those of PATCH={seen[0]}"
        return [f"PATCH={seen[-1]} leaves of {said}{', ' + SAME if share.same else ''}."]
    least = f"; the least for: {best}" if apart(share, gains[1][0]) else ""
    same = [name for gain, name, _ in gains if gain.same or gain.value == 1]
    none = f" It changes nothing, or nothing that can be told apart from noise, for: {', '.join(same)}." \
        if same else ""
    return [f"Over these {len(gains)} operations, PATCH={seen[-1]} leaves {left[0]} to {left[1]} % of the traps of "
            f"PATCH={seen[0]}{least}.{none}"]


def ladder_section(results):
    exhibits = [exhibit for row in LADDER if (exhibit := ladder_exhibit(results, *row))]
    if not exhibits:
        return None
    strategies = {cell["strategy"] for cell in results.find(part="ladder")}
    text = ["The same guest with each level of PATCH: off traps at every privileged instruction through "
            "M-mode; ecall replaces it by an ecall; cluster carries on in the VMM; inline replaces it "
            "by a load or a store where it can. Devices: "
            + sentence_list(words.strategy(name) for name in sorted(strategies)) + ".",
            *ladder_gain(results)]
    return Section("ladder", "The ladder: what a privileged instruction costs", text, exhibits,
                   "Ladder")


# --- Registers ---------------------------------------------------------------------------------------


def register_cells(results, device):
    """[(workload in words, strategy in words, strategy, cell)] of what uses this device, small requests first."""
    for guest, workload, params in results.workloads(guest="trident"):
        wanted = params.get("kind") in (("disk",) if device == "disk" else ("console",))
        if not wanted or device_of(params) != device or params.get("bytes", 4096) != 4096:
            continue
        for strategy in OURS:
            cell = results.matrix("count", guest, workload, strategy)
            if cell and cell["derived"] and cell["derived"]["registers"] is not None:
                yield (words.workload(workload, params).removeprefix("4 KiB "), words.short(strategy, params),
                       strategy, cell)


def register_counts(results, device):
    """(rows, columns, {(row, column): traps per operation}) of the heat map; what was measured and did
    not trap is 0."""
    columns, of_strategy, measured = [], {}, {}
    for workload, shown, strategy, cell in register_cells(results, device):
        if workload not in columns:
            columns.append(workload)
        measured.setdefault(strategy, []).append(workload)
        for owner in (device, "plic"):
            for name, count in cell["derived"]["registers"].get(owner, {}).items():
                row = f"{shown}: {words.register(owner, name)}"
                of_strategy.setdefault(strategy, {}).setdefault(row, {})[workload] = count
    rows, cells = [], {}
    for strategy, counts in of_strategy.items():
        dearest = sorted(counts, key=lambda row: -max(counts[row].values()))[:MOST_ROWS]
        rows += [row for row in counts if row in dearest]
        cells.update({(row, column): counts[row].get(column, 0) for row in dearest
                      for column in measured[strategy]})
    return rows, columns, cells


def register_exhibit(results, device, title):
    rows, columns, cells = register_counts(results, device)
    if not cells:
        return None
    table = Table(f"registers-{device}", title, ["register", *columns],
                  [[row, *(exact(cells[row, column]) if (row, column) in cells else missing()
                           for column in columns)] for row in rows])
    per = "4 KiB request" if device == "disk" else "byte"
    short = [column.replace(", depth ", "\nd ").replace("console ", "console\n")
             for column in columns]
    renamed = {(row, short[columns.index(column)]): count for (row, column), count in cells.items()}
    (row, column), most = max(cells.items(), key=lambda item: item[1])
    alt = (f"Heat map of {len(rows)} registers by {len(columns)} workloads, traps per {per}. The most: "
           f"{number(most)} at {row}, {column}.")
    return Exhibit(table, draw.heat(rows, short, renamed, f"traps per {per}"), alt)


def register_section(results):
    exhibits = [register_exhibit(results, "disk", "Trapped accesses by register, per 4 KiB request"),
                register_exhibit(results, "uart", "Trapped accesses by register, per byte")]
    exhibits = [exhibit for exhibit in exhibits if exhibit]
    if not exhibits:
        return None
    return Section("registers", "Which register costs how many traps",
                   ["Median per operation; a register that is not listed was not accessed by a trap. "
                    "Pass-through shows only the interrupt controller: the device's registers are "
                    "mapped."], exhibits, "Registers")


# --- One operation -----------------------------------------------------------------------------------


def operation_section(results):
    """`bench trap`: one operation of our guest, by machine and PATCH level."""
    cells = results.find(part="operation")
    if not cells:
        return None
    columns = list(dict.fromkeys((cell["strategy"], cell["patch"]) for cell in cells))
    names = list(dict.fromkeys(cell["workload"] for cell in cells))
    rows = []
    for name in names:
        found = {(cell["strategy"], cell["patch"]): cell for cell in cells if cell["workload"] == name}
        params = next(iter(found.values()))["params"]
        title = params.get("name") or name.removeprefix("op-")
        rows.append([title, *(instructions(found[column]) if column in found else missing()
                              for column in columns)])
    head = ["operation", *(f"{words.strategy(strategy)}{', ' + patch if patch else ''}"
                           for strategy, patch in columns)]
    table = Table("operations", "Retired instructions of one operation, the whole machine", head, rows)
    return Section("operations", "One operation of our guest",
                   ["Seen by the guest (`bench trap`): everything is in it, M-mode's part of a trap and "
                    "saving the registers too."], [Exhibit(table)])
