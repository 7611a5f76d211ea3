"""Where the gap between emulated and virtio comes from."""

from . import draw, words
from .exhibit import Exhibit, Section, sentence_list
from .overview import READ1, READ8
from .results import accesses, instructions, registers, throughput, traps
from .table import Table
from .value import SAME, Value, apart, compared, missing, number

GAP_LOOKS = {"emulated": (draw.VERMILION, ""), "toggle": (draw.ORANGE, "///"),
             "virtio": (draw.BLUE, ""), "other": (draw.GREY, "...")}
KINDS = {"ahci": "emulated", "virtio": "virtio", "passthrough": "other"}
NOT_A_TOGGLE = ("RUN", "DISK_IMG", "TIMEOUT", "STATS")
READS = {READ1: "depth 1", READ8: "depth 8"}
NOTHING = "Not measured: the cells that this needs are not in this run."
LITTLE = 1  # per cent of a read's instructions, below which a toggle is not named

# what a toggle does, in words, by the front door's option and its value
TOGGLES = {("ABLATE", "coalesce"): "without interrupt coalescing",
           ("ABLATE", "notify"): "without notification suppression",
           ("ABLATE", "batch"): "without batching", ("ABLATE", "copy"): "by copying",
           ("ABLATE", "queue"): "by a synchronous back end",
           ("SHADOW", "no-prefill"): "without filling a page's neighbours",
           ("SHADOW", "no-superpages"): "without superpages in the shadow",
           ("SHADOW", "no-cache"): "without keeping other address spaces",
           ("SHADOW", "no-shared"): "without one table for global kernel pages",
           ("SHADOW", "no-fence"): "by dropping everything at a fence",
           ("SHADOW", "no-retry"): "by a second trap after the guest has mended a fault",
           ("PLIC", "mapped"): "by mapping the interrupt controller into the guest",
           ("WATCH", "1"): "by trapping each access and passing it on"}


def toggled(cell, base):
    """The options that differ from the base's: the toggle itself."""
    names = sorted({*cell["options"], *base["options"]} - set(NOT_A_TOGGLE))
    return {name: cell["options"].get(name, "") for name in names
            if cell["options"].get(name) != base["options"].get(name)}


def plain(cell, base):
    return ", ".join(f"{name}={value}" for name, value in toggled(cell, base).items()) or cell["id"]


def toggle_words(cell, base):
    known = sentence_list(TOGGLES[item] for item in toggled(cell, base).items() if item in TOGGLES)
    return known or f"with {plain(cell, base)}"


def toggle_label(cell, base):
    """The option, and what it does, if that is known."""
    option, known = plain(cell, base), toggle_words(cell, base)
    return option if known == f"with {option}" else f"{option}: {known}"


def toggle_pairs(results, method="count"):
    """(cell, base) of each toggle that was measured and whose base is there."""
    for cell in results.find(part="ablation", method=method):
        base = results.by_id.get(cell["base"])
        if base is not None:
            yield cell, base


def change(cell, base):
    """Instructions that the toggle adds."""
    pair = [instructions(one) for one in (cell, base)]
    absent = [value for value in pair if not value.there]
    return absent[0] if absent else Value(
        pair[0].value - pair[1].value, unstable=pair[0].unstable or pair[1].unstable,
        same=pair[0].unstable + pair[1].unstable > 0 and not apart(*pair))


# --- Tables and pictures -----------------------------------------------------------------------------


def chain_table(results):
    """The steps between whole devices: PIO to DMA, then register layout."""
    rows = []
    for workload, depth in READS.items():
        for title, name in (("a data register", "ata"), ("DMA, a command list", "ahci"),
                            ("DMA, a queue in memory", "virtio")):
            counted = results.matrix("count", "trident", workload, name)
            timed = results.matrix("time", "trident", workload, name)
            rows.append([f"4 KiB read, {depth}", f"{words.strategy(name)}: {title}",
                         accesses(counted, "disk"), registers(counted, "disk"), traps(counted),
                         instructions(counted), throughput(timed)])
    return Table("chain", "From emulated to virtio: whole devices",
                 ["workload", "device", "register accesses", "register traps", "all traps", "instructions",
                  "throughput, native = 1"], rows, words=2)


def ablation_table(results):
    rows = []
    for cell, base in toggle_pairs(results):
        added = change(cell, base)
        share = missing("-")
        if added.there and instructions(base).value:
            share = Value(round(100 * added.value / instructions(base).value, 1), unstable=added.unstable,
                          same=added.same)
        rows.append([toggle_label(cell, base), words.strategy(cell["strategy"], cell["params"]),
                     words.workload(cell["workload"], cell["params"]), traps(base), traps(cell),
                     instructions(base), instructions(cell), share])
    return Table("ablation", "One toggle at a time, on the same device: counts",
                 ["toggle", "device", "workload", "traps before", "traps with it",
                  "instructions before", "instructions with it", "change in %"], rows, words=3,
                 notes=["ABLATE=queue at depth 1 is counted with a disk that answers at once, since the VMM "
                        "waits for it in instructions, and with a guest that sleeps."])


def time_table(results):
    rows = [[toggle_label(cell, base), words.strategy(cell["strategy"], cell["params"]),
             words.workload(cell["workload"], cell["params"]), throughput(base), throughput(cell)]
            for cell, base in toggle_pairs(results, "time")]
    return Table("ablation-time", "One toggle at a time: throughput, native = 1",
                 ["toggle", "device", "workload", "before", "with it"], rows, words=3)


def read_bars(results, workload):
    """The devices' bars, and below each what its toggles make of it."""
    bars = []
    for name, kind in KINDS.items():
        bars.append((words.strategy(name), instructions(
            results.matrix("count", "trident", workload, name)), kind))
        bars += [(toggle_label(cell, base), instructions(cell), "toggle")
                 for cell, base in toggle_pairs(results)
                 if cell["strategy"] == name and cell["workload"] == workload]
    return bars


def read_exhibit(results, workload, depth):
    bars = read_bars(results, workload)
    if not any(kind == "toggle" and value.there for _, value, kind in bars):
        return None
    title = f"Instructions of one 4 KiB read, {depth}, with each toggle"
    rows, device = [], ""
    for name, value, kind in bars:
        device = device if kind == "toggle" else name
        rows.append([device, name if kind == "toggle" else "as it is", value])
    table = Table(f"ablation-{depth.replace(' ', '-')}", title, ["device", "toggle", "instructions"],
                  rows, words=2)
    alt = f"Bars: instructions of one 4 KiB read at {depth}. " + sentence_list(
        f"{of} {toggle} {value.text()}" for of, toggle, value in rows) + "."
    bars = [(name.split(":")[0], value, kind) for name, value, kind in bars]  # as much as there is room for
    return Exhibit(table, draw.steps(bars, f"instructions per 4 KiB read, {depth}", GAP_LOOKS), alt)


# --- The answer --------------------------------------------------------------------------------------


def more(a, b, name):
    """`4 more register accesses`, of a than of b; not which is more where they are not apart."""
    if not apart(a, b):
        return f"{'as many ' if a.value == b.value else ''}{name}{'' if a.value == b.value else f' {SAME}'}"
    return f"{number(abs(a.value - b.value))} {'more' if a.value > b.value else 'fewer'} {name}"


def gap(results, workload, depth):
    """What lies between the devices at this depth, as sentences."""
    cells = [results.matrix("count", "trident", workload, name) for name in ("ata", "ahci", "virtio")]
    ata, ahci, virtio = map(instructions, cells)
    if not ahci.there or not virtio.there or virtio.value <= 0:
        return []
    how = compared(ahci, virtio)
    said = [f"A 4 KiB read at {depth} retires {how[0]} instructions with the emulated AHCI {how[1]} with "
            "virtio" if how else f"The instructions of a 4 KiB read at {depth} with the emulated AHCI and with "
            f"virtio are {SAME}"]
    if ata.value is not None and ata.ends[0] > virtio.ends[1] and ata.ends[0] > ahci.ends[1]:
        dma = 100 * (ata.value - ahci.value) / (ata.value - virtio.value)
        said.append(f"With the emulated ATA it is {number(ata.value / virtio.value)} times as many as with "
                    f"virtio: {number(dma)} % of that gap is the data register, which DMA replaces")
    layout = [more(*(take(cell) for cell in cells[1:]), name) for take, name in (
        (lambda cell: accesses(cell, "disk"), "register accesses"),
        (lambda cell: registers(cell, "disk"), "register traps"), (traps, "traps in all"),
        (instructions, "instructions"))]
    said.append(f"Between AHCI and virtio lies the register layout: {sentence_list(layout)} per read")
    times = [throughput(results.matrix("time", "trident", workload, name)) for name in ("virtio", "ahci")]
    if all(value.interval for value in times) and not results.banner:
        how = compared(*times)
        said.append(f"In time, virtio does {how[0]} of these reads {how[1]} the emulated AHCI" if how else
                    f"In time, virtio and the emulated AHCI are {SAME}")
    return [sentence + "." for sentence in said]


def effects(results, workload, depth):
    """What the toggles add to a read, as a sentence for each device."""
    found = {}
    for cell, base in toggle_pairs(results):
        added = change(cell, base)
        if cell["workload"] == workload and added.there and instructions(base).value:
            percent = 100 * added.value / instructions(base).value
            found.setdefault(cell["strategy"], []).append((percent, added, toggle_words(cell, base)))
    said = []
    for strategy, changes in found.items():
        changes.sort(key=lambda change: -change[0])
        parts = [f"{number(added.value)} ({number(percent, 2)} %) {name}" for percent, added, name in changes
                 if abs(percent) >= LITTLE and not added.same]
        noise = [name for _, added, name in changes if added.same]
        rest = len(changes) - len(parts) - len(noise)
        parts += [f"less than {LITTLE} % by {'each of the others' if parts or noise else 'any toggle'}"
                  ] if rest else []
        parts += [f"{SAME}: {sentence_list(noise)}"] if noise else []
        said.append(f"{words.strategy(strategy)} at {depth}, instructions added to a read by one toggle "
                    f"at a time: {sentence_list(parts)}.")
    return said


def answer(results):
    """Where the gap comes from, out of the cells: paragraphs."""
    said = [" ".join(gap(results, workload, depth)) for workload, depth in READS.items()]
    for workload, depth in READS.items():
        said += effects(results, workload, depth)
    return [paragraph for paragraph in said if paragraph] or [NOTHING]


def ablation_section(results):
    made = [Exhibit(chain_table(results))]
    made += [read_exhibit(results, workload, depth) for workload, depth in READS.items()]
    made += [Exhibit(table) for table in (ablation_table(results), time_table(results)) if table.rows]
    return Section("ablation", "Where the gap between emulated and virtio comes from", answer(results),
                   [exhibit for exhibit in made if exhibit], "Ablation")
