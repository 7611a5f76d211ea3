"""Where the gap between emulated and virtio comes from; the peer; published figures beside ours."""

from . import draw, words
from .exhibit import Exhibit, Section, sentence_list
from .overview import READ1
from .results import instructions, registers, throughput, traps
from .table import Table
from .value import Value, missing, number

GAP_LOOKS = {"emulated": (draw.VERMILION, ""), "toggle": (draw.ORANGE, "///"),
             "virtio": (draw.BLUE, ""), "other": (draw.GREY, "...")}
GAP = ("ahci", "virtio")  # its two ends
NOT_A_TOGGLE = ("RUN", "DISK_IMG", "TIMEOUT", "STATS")

NOTHING = "Not measured: the cells that this needs are not in this run."

# what a toggle changes, in words, by the front door's option and its value
TOGGLES = {("ABLATE", "coalesce"): "without interrupt coalescing",
           ("ABLATE", "notify"): "without notification suppression",
           ("ABLATE", "batch"): "without batching", ("ABLATE", "copy"): "copying instead of zero-copy",
           ("ABLATE", "queue"): "a synchronous back end instead of a queued one",
           ("PLIC", "mapped"): "the interrupt controller mapped into the guest",
           ("WATCH", "1"): "each access trapped, counted and passed on"}


# --- Ablation ----------------------------------------------------------------------------------------


def toggled(cell, base):
    """The options that differ from the base's: the toggle itself."""
    names = sorted({*cell["options"], *base["options"]} - set(NOT_A_TOGGLE))
    return {name: cell["options"].get(name, "") for name in names
            if cell["options"].get(name) != base["options"].get(name)}


def toggle_words(cell, base):
    said = cell["params"].get("toggle")
    changes = toggled(cell, base)
    plain = ", ".join(f"{name}={value}" for name, value in changes.items())
    known = said or ", ".join(TOGGLES[item] for item in changes.items() if item in TOGGLES)
    return f"{known} ({plain})" if known and plain else known or plain or cell["id"]


def gap_of(results, take):
    """(emulated ATA, emulated AHCI, virtio) of one 4 KiB read."""
    return [take(results.matrix("count", "trident", READ1, name)) for name in ("ata", "ahci", "virtio")]


def toggle_pairs(results):
    """(cell, base) of each toggle that was counted and whose base is there."""
    for cell in results.find(part="ablation", method="count"):
        base = results.by_id.get(cell["base"])
        if base is not None:
            yield cell, base


def change(cell, base):
    """Instructions that the toggle adds."""
    pair = [instructions(one) for one in (cell, base)]
    absent = [value for value in pair if not value.there]
    return absent[0] if absent else Value(pair[0].value - pair[1].value,
                                          unstable=pair[0].unstable or pair[1].unstable)


def ablation_table(results):
    _, ahci, virtio = gap_of(results, instructions)
    gap = ahci.value - virtio.value if ahci.there and virtio.there else 0
    rows = []
    for cell, base in toggle_pairs(results):
        added = change(cell, base)
        part = Value(100 * added.value / gap) if (
            cell["workload"] == READ1 and cell["strategy"] in GAP and added.there and gap) else (
            missing("-"))
        rows.append([toggle_words(cell, base), words.strategy(cell["strategy"]),
                     words.workload(cell["workload"], cell["params"]), traps(base), traps(cell),
                     instructions(base), instructions(cell), added, part])
    return Table("ablation", "One toggle at a time, on the same device",
                 ["toggle", "device", "workload", "traps before", "traps with it",
                  "instructions before", "instructions with it", "instructions added",
                  "in % of the gap"], rows, words=3,
                 notes=["The gap: instructions of one 4 KiB read at depth 1, emulated AHCI less virtio."])


def ablation_exhibit(results):
    table = ablation_table(results)
    bars = []
    for name, kind in (("ahci", "emulated"), ("virtio", "virtio"), ("passthrough", "other")):
        cell = results.matrix("count", "trident", READ1, name)
        bars.append((words.strategy(name), instructions(cell), kind))
        bars += [(", ".join(f"{option}={value}" for option, value in toggled(toggle, base).items()),
                  instructions(toggle), "toggle") for toggle, base in toggle_pairs(results)
                 if toggle["strategy"] == name and toggle["workload"] == READ1]
    if not any(value.there for _, value, _ in bars):
        return Exhibit(table)
    alt = "Bars: instructions of one 4 KiB read at depth 1. " + sentence_list(
        f"{name} {value.text()}" for name, value, _ in bars) + "."
    return Exhibit(table, draw.steps(bars, "instructions per 4 KiB read, depth 1", GAP_LOOKS), alt)


def chain_table(results):
    """The steps between whole devices: PIO to DMA, then register layout."""
    rows = []
    for title, name in (("PIO, a register per two bytes", "ata"), ("DMA, a command list", "ahci"),
                        ("a queue in memory", "virtio")):
        cell = results.matrix("count", "trident", READ1, name)
        timed = results.matrix("time", "trident", READ1, name)
        rows.append([f"{words.strategy(name)}: {title}", registers(cell, "disk"), traps(cell),
                     instructions(cell), throughput(timed)])
    return Table("chain", "From emulated to virtio: whole devices, one 4 KiB read at depth 1",
                 ["device", "register traps", "all traps", "instructions", "throughput, native = 1"],
                 rows)


def effects(results):
    """What the toggles say of one 4 KiB read, as a sentence."""
    found = {}
    for cell, base in toggle_pairs(results):
        added = change(cell, base)
        if cell["workload"] == READ1 and added.there:
            found.setdefault(cell["strategy"], []).append((added.value, toggle_words(cell, base)))
    said = []
    for strategy, changes in found.items():
        parts = sentence_list(f"{number(added)} by {name}" if added else f"none by {name}"
                              for added, name in sorted(changes, reverse=True))
        said.append(f"Instructions added to a read on {words.strategy(strategy)}, one toggle at a time: "
                    f"{parts}.")
    return said


def answer(results):
    """Where the gap comes from: one paragraph out of the cells."""
    ata, ahci, virtio = gap_of(results, instructions)
    said = []
    if ata.there and ahci.there and virtio.there and ata.value != virtio.value:
        dma = 100 * (ata.value - ahci.value) / (ata.value - virtio.value)
        said.append(f"Between implementations: a 4 KiB read costs {number(ata.value / virtio.value)} "
                    f"times as many instructions with the emulated ATA as with virtio, and "
                    f"{number(dma)} % of that gap is closed by DMA instead of a data register. "
                    f"Between strategies: with the emulated AHCI it is {number(ahci.value / virtio.value)} "
                    "times virtio's.")
    device = gap_of(results, lambda cell: registers(cell, "disk"))
    everything = gap_of(results, traps)
    if ahci.there and virtio.there and all(value.there for value in (*device[1:], *everything[1:])):
        said.append("What is left is the register layout: per read, AHCI has "
                    f"{number(device[1].value - device[2].value)} more register accesses, "
                    f"{number(everything[1].value - everything[2].value)} more traps in all and "
                    f"{number(ahci.value - virtio.value)} more instructions than virtio.")
    return " ".join([*said, *effects(results)]) or NOTHING


def ablation_section(results):
    return Section("ablation", "Where the gap between emulated and virtio comes from",
                   [answer(results)], [Exhibit(chain_table(results)), ablation_exhibit(results)],
                   "Ablation")
