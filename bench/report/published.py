"""Published figures (bench/published.json) beside ours."""

import textwrap
from statistics import median

from . import draw, words
from .exhibit import Exhibit, Section, sentence_list
from .overview import OURS
from .results import inverse, ratio, registers, throughput, used
from .table import Table
from .value import Value, missing, number, over

READ = {"P": "the primary text", "X": "an excerpt, a commit or a thread", "A": "an abstract",
        "S": "a text that quotes it", "M": "measured for this project"}
TIMES = ("ns", "us", "ms", "s", "cycles", "minutes")  # units in which more is dearer
DISK1, DISK8 = "disk-read-4096-d1", "disk-read-4096-d8"

# `op` of the data file -> guest and workload of our cells
OPERATIONS = {"4 KiB request, AHCI": ("trident", DISK1), "4 KiB read": ("trident", DISK8),
              "4 KiB read, depth 8": ("trident", DISK8), "interrupt latency": ("trident", "interrupt"),
              "Linux boot": ("linux", "boot"), "Byte of console output": ("trident", "console-out"),
              "virtio over emulated AHCI": ("trident", DISK8)}
SHOWN = tuple(name for name in OURS if name != "ata")
OURS_WORDS = {**words.STRATEGIES, "ahci": "Emulated"}  # of a disk the AHCI, of the console the 16550A


def cell_of(results, ours, strategy, method):
    """The cell that the data file means, of one strategy."""
    if ours["result"] == "bench":
        guest, workload = OPERATIONS.get(ours["op"], ("", ""))
    else:
        prefix = "nano-" if ours["result"] == "nano" else ""
        guest, workload = "linux", prefix + ours["op"]
    found = results.matrix(method, guest, workload, strategy)
    if found is None and method == "time":
        found = results.matrix("boot-time", guest, workload, strategy)
    return found


def notifications(cell):
    """The device's notifications per operation."""
    if cell is None or cell["status"] == "failed":
        return missing(*(("failed", cell["why"]) if cell else ()))
    seen = [sample["devices"].get("disk", {}).get("notifications", 0) / sample["operations"]
            for sample in used(cell) if sample["devices"]]
    return Value(float(median(seen)), unstable=len(set(seen)) > 1) if seen else missing("not counted")


def dearer(figure):
    """Whether the published ratio is one of costs (else of throughput)."""
    return figure["unit"] in TIMES


def own(results, figure, strategy):
    """Our figure beside it."""
    ours = figure["ours"]
    if ours["quantity"] == "register traps":
        if strategy != "ahci":
            return missing("-")
        return registers(cell_of(results, ours, strategy, "count"), "disk")
    if ours["quantity"] == "notifications":
        return notifications(cell_of(results, ours, strategy, "count"))
    if ours["as"] == "ratio between strategies":
        if strategy != "virtio":
            return missing("-")
        pair = [throughput(cell_of(results, ours, name, "time")) for name in ("virtio", "ahci")]
        return over(*pair)
    cost = ratio(cell_of(results, ours, strategy, "time"))
    return cost if dearer(figure) else inverse(cost)


def ends(amount):
    return amount if isinstance(amount, list) else [amount, amount]


def published(figure):
    """The figure that can be compared: relative to its baseline, where ours is."""
    low, high = ends(figure["value"])
    if figure["ours"] and figure["ours"]["as"] == "ratio" and figure["baseline"] is not None:
        least, most = ends(figure["baseline"])
        if least <= 0:
            return missing("no ratio to 0")
        low, high = low / most, high / least
    middle = (low + high) / 2
    return Value(middle) if low == high else Value(middle, low, high)


def amount_text(amount):
    return " to ".join(number(end) for end in (amount if isinstance(amount, list) else [amount]))


def as_printed(figure):
    text = f"{amount_text(figure['value'])} {figure['unit']}"
    if figure["baseline"] is not None:
        text += f", baseline {amount_text(figure['baseline'])}"
    return text


def where(figure):
    """Who, on what."""
    year = str(figure["year"] or "no year")
    year = "" if year in figure["source"] else f" ({year})"
    return f"{figure['source']}{year}: {figure['system']}; {figure['hardware']}"


def measure(figure):
    ours = figure["ours"]
    if ours["as"] == "ratio between strategies":
        return "virtio over AHCI"
    if ours["as"] == "absolute":
        return f"{ours['quantity']} per request"
    return "time, native = 1" if dearer(figure) else "throughput, native = 1"


def beside_table(results, figures):
    rows = [[figure["metric"], where(figure), as_printed(figure), measure(figure), published(figure),
             *(own(results, figure, strategy) for strategy in SHOWN), READ[figure["read"]],
             figure["note"]] for figure in figures]
    head = ["what", "published by", "as printed", "compared as", "published",
            *(f"ours, {OURS_WORDS[name]}" for name in SHOWN), "read in", "what may be compared"]
    return Table("published", "Published figures, and ours beside them", head, rows, words=4, tail=2)


def brief(text):
    """Whole words that fit beside a picture."""
    return textwrap.shorten(text, 34, placeholder="...").replace(",...", "...")


def picture(results, figures):
    """Published ratios and ours, one line each."""
    looks = {"published": words.PEER_LOOK, **{OURS_WORDS[name]: words.look(name) for name in SHOWN}}
    rows = []
    for figure in figures:
        if figure["ours"]["as"] != "ratio":
            continue
        points = {"published": published(figure)}
        points.update({OURS_WORDS[name]: own(results, figure, name) for name in SHOWN})
        if points["published"].there and any(points[OURS_WORDS[name]].there for name in SHOWN):
            rows.append((f"{brief(figure['metric'].split(' (')[0])}\n{brief(figure['system'])}", points))
    if not rows:
        return None, ""
    alt = "Points on a log axis, relative to native: published and ours. " + " ".join(
        f"{name.replace(chr(10), ', ')}: " + sentence_list(
            f"{series} {value.text(2)}" for series, value in points.items() if value.there) + "."
        for name, points in rows)
    return draw.dots(rows, looks, "relative to native"), alt


def others_table(figures):
    rows = [[figure["metric"], where(figure), as_printed(figure), figure["note"]] for figure in figures]
    return Table("published-others", "Published figures without one of ours beside them",
                 ["what", "published by", "as printed", "note"], rows, words=4)


def section(results, data):
    if data is None:
        return None
    beside = [figure for figure in data["figures"] if figure["ours"]]
    others = [figure for figure in data["figures"] if not figure["ours"]]
    drawn, alt = picture(results, beside)
    return Section("published", "Published figures beside ours",
                   ["Other machines, other systems, other years: a ratio to the same machine without "
                    "virtualization is the most that can be compared, and the last column says where "
                    "even that cannot. Ours are on an emulated processor, which weighs a trap "
                    "differently from silicon."],
                   [Exhibit(beside_table(results, beside), drawn, alt), Exhibit(others_table(others))],
                   "Published")
