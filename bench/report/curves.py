"""Growth curves: cells of part `curve`, and build/curves.json of `make curves`."""

from . import draw, words
from .exhibit import Exhibit, Section
from .results import STRATEGIES, instructions, nanoseconds, ratio, traps
from .table import Table
from .value import Value, missing, number

# curve -> what x counts, what one operation is (docs/growth.md)
KNOWN = {"ring": ("processes in the ring", "switch to the next process"),
         "touch_first": ("working set, MiB", "first touch of a page"),
         "touch_again": ("working set, MiB", "touch of a page"),
         "queue_depth": ("requests under way", "4 KiB read"),
         "buffer_size": ("bytes of a read", "read")}
MEASURES = ("traps", "instructions", "ns", "time, native = 1")


def of_cells(results):
    """{curve: {measure: {strategy: [(x, Value)]}}} and {curve: (x's name, unit)} of the cells."""
    found, names = {}, {}
    for cell in results.find(part="curve"):
        params = cell["params"]
        name = params.get("curve") or params.get("name") or f"{params['kind']} over {params['x_name']}"
        names[name] = (params["x_name"], words.unit(params))
        takes = ({"traps": traps, "instructions": instructions} if cell["method"] == "count"
                 else {"ns": nanoseconds, "time, native = 1": ratio})
        for measure, take in takes.items():
            series = found.setdefault(name, {}).setdefault(measure, {})
            series.setdefault(cell["strategy"], []).append((params["x"], take(cell)))
    return found, names


def of_file(whole):
    """The same of build/curves.json."""
    found = {}
    for row in whole["rows"] if whole else []:
        strategy = "ahci" if row["device"] == "emulated" else row["device"]
        for measure in ("traps", "instructions", "ns"):
            value = missing("not counted") if row[measure] is None else Value(float(row[measure]))
            series = found.setdefault(row["curve"], {}).setdefault(measure, {})
            series.setdefault(strategy, []).append((row["x"], value))
    return found, {name: KNOWN.get(name, ("x", "operation")) for name in found}


def worth(strategy, measure, points):
    """A line that says nothing is left out: native has no traps, and is 1 relative to itself."""
    if strategy == "native" and measure in ("traps", "time, native = 1"):
        return False
    return any(value.there for _, value in points)


def exhibit(name, measure, series, x_name, unit):
    order = sorted(series, key=lambda of: (STRATEGIES.index(of) if of in STRATEGIES else 99, of))
    lines = {words.strategy(of): sorted(series[of], key=lambda point: point[0]) for of in order
             if worth(of, measure, series[of])}
    if not lines:
        return None
    label = f"{measure} per {unit}" if measure in ("traps", "instructions", "ns") else measure
    xs = sorted({x for points in lines.values() for x, _ in points})
    rows = [[number(x), *(dict(points).get(x, missing()) for points in lines.values())] for x in xs]
    plain = measure.split(",")[0].replace(" ", "-")
    table = Table(f"curve-{name.replace(' ', '-').replace('_', '-')}-{plain}",
                  f"{name.replace('_', ' ')}: {label}", [x_name, *lines], rows)
    looks = {words.strategy(of): words.look(of) for of in order}
    alt = f"Lines over {x_name}, {label}. " + " ".join(
        f"{line}: from {points[0][1].text()} at {number(points[0][0])} to {points[-1][1].text()} at "
        f"{number(points[-1][0])}." for line, points in lines.items())
    return Exhibit(table, draw.growth(lines, looks, x_name, label), alt)


def section(results, whole, why):
    found, names = of_cells(results)
    more, more_names = of_file(whole)
    found.update(more)
    names.update(more_names)
    made = [exhibit(name, measure, series[measure], *names[name])
            for name, series in found.items() for measure in MEASURES if measure in series]
    made = [one for one in made if one]
    text = [] if made else [why]
    if whole:
        text.append("By `make curves`: Debian's Linux natively and under one strategy; how, and where "
                    "growth is worse than linear, is in docs/growth.md.")
    return Section("growth", "Growth: what happens as it gets more", text, made, "Growth")
