"""The first screen: the picture, the headline, traps split by class, throughput."""

from . import draw, levels, picture, words
from .exhibit import Exhibit, Section, sentence_list
from .levels import HEADLINES, OUT, READ1, READ8
from .results import (GROUPS, STRATEGIES, accesses, instructions, ratio, registers, throughput, traps)
from .table import Table
from .value import SAME, apart, missing, number

OURS = STRATEGIES[1:]
SAME_UART = "the same 16550A"


def device_of(params):
    return "uart" if params.get("kind") == "console" else "disk"


def strategies_table(results, strategies):
    """Register accesses and traps of one read: the textbook's, and beside them the default's."""
    shown = results.levels(READ1) or [None]
    rows = []
    for strategy in strategies:
        cells = [results.at(level, READ1, strategy) for level in shown]
        rows.append([words.strategy(strategy), accesses(cells[0], "disk")]
                    + [value for cell in cells for value in (registers(cell, "disk"), traps(cell))])
    head = [f"{name}, PATCH={level}" for level in shown for name in ("register traps", "all traps")]
    return Table("strategies", "One 4 KiB read, depth 1", ["strategy", "register accesses", *head], rows)


def strategies_picture(results):
    """Three panels with the register accesses and traps of one read, as the textbook has them."""
    chosen = {"emulated": "ahci", "virtio": "virtio", "passthrough": "passthrough"}
    parts, level = {}, (results.levels(READ1) or [None])[0]
    for panel, strategy in chosen.items():
        cell = results.at(level, READ1, strategy)
        seen, device, everything = accesses(cell, "disk"), registers(cell, "disk"), traps(cell)
        below = (f"per 4 KiB read at PATCH={level}:\n{seen.text()} register accesses,\n{device.text()} traps for them, "
                 f"{everything.text()} traps in all"
                 if device.there else f"traps per 4 KiB read:\n{device.why}")
        parts[panel] = ((seen.value, device.value), below)
    alts = {
        "emulated": "Emulated: the guest's ordinary driver accesses the device's registers; every "
                    "access is the VMM's work, by a trap of its own or along with another, and its "
                    "device model uses the real device.",
        "virtio": "Virtio: the guest's driver puts buffers into a queue in memory; few accesses trap, "
                  "one notify for many requests; the VMM reads the queue.",
        "passthrough": "Pass-through: the real device's registers are mapped into the guest; only its "
                       "interrupt goes through the VMM, which injects it."}
    panels = [(f"strategies-{name}", picture.PANELS[name][0], f"{alts[name]} {text[:1].upper()}"
               f"{text[1:]}.", picture.alone(name, counts, text))
              for name, (counts, text) in parts.items()]
    return Exhibit(strategies_table(results, chosen.values()), picture.together(parts), " ".join(alts.values()), panels)


def headline_row(title, measure, level, cells, take, of_ata):
    """One line, at one level; of_ata: why the emulated ATA has no figure of its own, if it has none."""
    values = [missing(of_ata) if strategy == "ata" and cell is None and of_ata else take(cell)
              for strategy, cell in zip(STRATEGIES, cells)]
    return [title, measure, level or "-", *values]


def headline_rows(results):
    for workload, title in HEADLINES:
        device = "uart" if workload == OUT else "disk"
        why = SAME_UART if workload == OUT else ""
        for measure, take in (("register accesses", lambda c, of=device: accesses(c, of)),
                              ("register traps", lambda c, of=device: registers(c, of)),
                              ("all traps", traps), ("instructions", instructions)):
            for level in results.levels(workload) or [results.level()]:
                yield headline_row(title, measure, level, [results.at(level, workload, s) for s in STRATEGIES],
                                   take, why)
        timed = [results.matrix("time", "trident", workload, s) for s in STRATEGIES]
        yield headline_row(title, "throughput, native = 1", results.level(), timed, throughput, why)
    counted = [results.matrix("count", "linux", "boot", s) for s in STRATEGIES]
    timed = [results.matrix("boot-time", "linux", "boot", s) for s in STRATEGIES]
    for measure, cells, take in (("all traps", counted, traps),
                                 ("instructions, native = 1", counted, ratio),
                                 ("wall time, native = 1", timed, ratio)):
        yield headline_row("boot of Linux", measure, results.level(), cells, take, "no driver")


def headline_table(results):
    return Table("headline", "What each strategy costs",
                 ["per", "measure", "PATCH", *(words.MACHINES[name] for name in STRATEGIES)],
                 list(headline_rows(results)), words=3,
                 notes=["register accesses: of the device's registers, carried out by the VMM. "
                        "register traps: those that trapped; the others came along with one. "
                        "all traps: with those of the interrupt controller, of privileged "
                        f"instructions and the rest. {SAME_UART}: not measured twice. no driver: "
                        "Debian's Linux has none for that ATA."])


def group_parts(cell):
    """[(class of traps, per operation)] of a counted cell."""
    return [(words.GROUPS[group], traps(cell, group).value or 0) for group in GROUPS]


def split_table(name, title, rows):
    """rows: [(workload, strategy, cell)]. A class in which nobody has a trap is left out."""
    seen = [group for group in GROUPS
            if any(traps(cell, group).value for _, _, cell in rows)]
    lines = [[workload, strategy, *(traps(cell, group) for group in seen), traps(cell),
              instructions(cell)] for workload, strategy, cell in rows]
    head = ["workload", "strategy", *(words.GROUPS[group] for group in seen), "all traps",
            "instructions"]
    if len({workload for workload, _, _ in rows}) > 1:
        return Table(name, title, head, lines, words=2)
    return Table(name, title, head[1:], [line[1:] for line in lines])


def split_exhibit(results, name, workloads, title, per):
    """Traps by class of these (guest, workload, params), all strategies of the VMM."""
    bars, rows = [], []
    several = len(workloads) > 1
    for guest, workload, params in workloads:
        for strategy in OURS:
            cell = results.matrix("count", guest, workload, strategy)
            if cell is None:
                continue
            label = (words.short if several else words.strategy)(strategy, params)
            if several:
                label += f", {words.workload(workload, params).split(', ')[-1]}"
            total = traps(cell)
            bars.append((label, group_parts(cell) if total.there else [], total.text()))
            rows.append((words.workload(workload, params), words.strategy(strategy, params), cell))
    table = split_table(name, title, rows)
    alt = (f"Stacked bars: traps per {per}, split by class. In all: "
           + sentence_list(f"{label} {text}" for label, _, text in bars) + ".")
    figure = draw.stacked(bars, words.GROUP_LOOKS, f"traps per {per}") if bars else None
    return Exhibit(table, figure, alt)


THROUGHPUT = (throughput, "throughput, native = 1", "throughput")
TIME = (ratio, "time, native = 1", "time")


def relative(params):
    """How this workload's time is shown: a latency is no throughput, and neither is a boot."""
    return TIME if params.get("kind") in ("interrupt", "boot") else THROUGHPUT


def control_band(results, names, take):
    """The widest interval of native against native among these workloads; take: throughput, or ratio."""
    seen = [take(cell) for cell in results.find(part="control")
            if (cell["guest"], cell["workload"]) in names]
    ends = [(value.low, value.high) for value in seen if value.interval]
    return (min(low for low, _ in ends), max(high for _, high in ends)) if ends else None


def relative_exhibit(results, name, workloads, title, measure):
    """Throughput or time relative to native, with intervals, of these (guest, workload, params); measure:
    THROUGHPUT or TIME."""
    take, label_of_axis, meaning = measure
    groups, rows, names = [], [], []
    for guest, workload, params in workloads:
        control = results.one(part="control", guest=guest, workload=workload)
        members = [(strategy, results.matrix("time", guest, workload, strategy)) for strategy in OURS]
        members = [(s, cell) for s, cell in members if cell] + [("native-again", control)]
        if not any(cell for _, cell in members):
            continue
        names.append((guest, workload))
        shown = [(words.strategy(s, params), take(cell)) for s, cell in members]
        groups.append((words.workload(workload, params), shown))
        rows += [[groups[-1][0], label, value] for label, value in shown]
    table = Table(name, title, ["workload", "strategy", label_of_axis], rows, words=2,
                  notes=["In brackets: 95 % bootstrap interval of the median. In the picture, the shaded "
                         f"band is native against native, and hollow marks are {SAME}."])
    figure = draw.intervals(groups, words.looks(), label_of_axis,
                            control_band(results, names, take)) if groups else None
    alt = f"Points with intervals: {meaning} relative to native, 1 is native's. " + " ".join(
        f"{head}: " + sentence_list(f"{label} {value.text(2)}" for label, value in shown) + "."
        for head, shown in groups)
    return Exhibit(table, figure, alt)


def cost_sentence(results, level, workload, title):
    """What an operation costs with each strategy: accesses, traps, instructions."""
    kind = {"kind": "console"} if workload == OUT else {"kind": "disk"}
    parts = []
    for strategy in OURS:
        cell = results.at(level, workload, strategy)
        if cell is not None and ratio(cell).there:
            parts.append(f"{words.in_text(strategy, kind)}: {accesses(cell, device_of(kind)).text()} register "
                         f"accesses, {registers(cell, device_of(kind)).text()} register traps, "
                         f"{traps(cell).text()} traps in all, {ratio(cell).text()} times native's instructions")
    return [f"Per {title}, PATCH={level}: {'; '.join(parts)}."] if parts else []


def shared_sentence(results, level):
    """What is the device's, and what every strategy pays: pass-through has only the latter."""
    own, virtio = (traps(results.at(level, READ1, name)) for name in ("passthrough", "virtio"))
    if not own.there or not virtio.there:
        return []
    said = (f"Pass-through has {own.text()} traps per read at PATCH={level} though no register access traps: "
            "interrupts, their controller and privileged instructions, which every strategy pays for.")
    if virtio.value > own.value and apart(own, virtio):
        said += f" The rest is the device's: virtio adds {number(virtio.value - own.value)} traps."
    return [said]


def summary(results):
    """The first screen in a few sentences, from the cells: the textbook, and where the default is dearer."""
    said = ["A strategy costs what the VMM does for each request: the device's part, and the interrupt's. "
            "Measured with our own guest.", levels.WHAT]
    for level in results.levels(READ1)[:1]:
        for workload, title in (HEADLINES[0], HEADLINES[2]):
            said += cost_sentence(results, level, workload, title)
        said += shared_sentence(results, level)
    return said + levels.dearer(results)


def section(results):
    """The first screen."""
    present = {(guest, name): params for guest, name, params in results.workloads()}
    chosen = [("trident", name, present[("trident", name)]) for name in (READ1, READ8, OUT)
              if ("trident", name) in present]
    counted = [one for one in chosen if results.find(part="matrix", method="count", workload=one[1])]
    exhibits = [strategies_picture(results), Exhibit(headline_table(results))]
    for guest, name, params in counted:
        per = words.unit(params)
        exhibits.append(split_exhibit(results, f"traps-{name}", [(guest, name, params)],
                                      f"Traps per {per} by class: {words.workload(name, params)}, "
                                      f"PATCH={results.level()}", per))
    exhibits.append(relative_exhibit(results, "throughput", chosen, "Throughput relative to native",
                                     THROUGHPUT))
    return Section("overview", "What each strategy costs, and why", summary(results), exhibits, "Overview")
