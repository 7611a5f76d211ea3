"""The growth curves: how the cost of an operation of a Linux guest grows with its size, and whether it
grows worse than linear under the VMM where it is linear natively.
"""

import itertools
import math
import os

from scripts.runner import report
from . import marks, nano

MEM = "1408M"  # default: room for the largest working set, 1 GiB
FIELDS = ("curve", "x", "device", "patch", "n", "ns", "instructions", "traps", "device_traps", "exits")

# curve -> what x counts, what one operation is, and what of it makes a whole, which natively costs
# in proportion to x: x operations (of a ring's round, a set's pass, a batch) or one (a buffer).
CURVES = {
    "ring": {"x": "processes in the ring", "op": "the byte is handed to the next process",
             "whole": "a round of the ring", "ops": lambda x: x},
    "touch_first": {"x": "working set, MiB", "op": "first touch of a page that the kernel has mapped",
                    "whole": "all pages of the set", "ops": lambda x: 256 * x},
    "touch_again": {"x": "working set, MiB", "op": "touch of a page that was touched before",
                    "whole": "all pages of the set", "ops": lambda x: 256 * x},
    "queue_depth": {"x": "requests under way", "op": "a direct read of 4 KiB",
                    "whole": "as many requests as are under way", "ops": lambda x: x},
    "buffer_size": {"x": "bytes of a read", "op": "a direct read", "whole": "one read",
                    "ops": lambda x: 1},
}
# quantity -> by how much an exponent may be above 1 from one size to the next (instructions repeat,
# time on a shared machine does not), and what an operation may cost more than natively before
# anything is said to grow: there, a timer interrupt more or less makes the exponent.
MARGIN = {"instructions": 0.15, "ns": 0.3, "traps": 0.15}
NOISE = {"instructions": 100, "ns": 500, "traps": 0.5}
BOOTS = 2  # for time, the devices in turn; the fastest counts


def settings():
    return {} if "MEM" in os.environ.get("GIVEN", "").split() else {"MEM": MEM}


def boots(devices):
    """What measure makes, for progress.Plan: seconds on a usual computer."""
    return [boot for device in devices
            for boot in [(marks.name_of(device, False), 25)] * BOOTS + [(marks.name_of(device, True), 40)]]


def measure_time(parsers, names):
    """{(device's parser, op): ns}."""
    ns = {}
    for parse in parsers * BOOTS:
        for row in nano.boot(parse, False, names, "curves", **settings())[1]:
            key = parse, row["op"]
            ns[key] = min(row["ns"], ns.get(key, row["ns"]))
    return ns


def measure_counts(parse, names, ns):
    """The options, and the rows of one device with the time that was measured before."""
    run, counted = nano.boot(parse, True, names, "curves", **settings())
    native = run.options.native
    rows = []
    for row in counted:
        op, n = row["op"], row["n"]
        total, at_devices, classes = (None, None, None) if native else nano.traps(run, op, n)
        count = row["instructions"] if native else nano.instructions(run, op, n)
        values = (row["curve"], row["x"], run.options.device, None if native else run.options.patch, n,
                  ns[parse, op], count, total, at_devices, classes)
        rows.append(dict(zip(FIELDS, values)))
    return run.options, rows


def steps(costs, ops):
    """[(x, exponent of a whole's cost from the size before to x)] for {x: cost of an operation}: 1 is
    linear, 0 constant."""
    whole = [(x, cost * ops(x)) for x, cost in sorted(costs.items())]
    return [(x, math.log(after / before) / math.log(x / previous))
            for (previous, before), (x, after) in itertools.pairwise(whole) if before > 0 < after]


def points(rows, curve, device, quantity):
    """{x: cost of an operation}."""
    return {row["x"]: row[quantity] for row in rows
            if row["curve"] == curve and row["device"] == device and row[quantity] is not None}


def grow(rows, curve, device, quantity):
    """One curve of one device: its exponents over the whole range, and the steps at which it grows
    worse than linear where native does not. Of traps there are none natively: what they are
    compared with is native's instructions."""
    ops, margin = CURVES[curve]["ops"], MARGIN[quantity]
    vmm = points(rows, curve, device, quantity)
    native = points(rows, curve, "native", "instructions" if quantity == "traps" else quantity)
    natively = dict(steps(native, ops))
    worse = []
    for x, exponent in steps(vmm, ops):
        more = vmm[x] - (0 if quantity == "traps" else native.get(x, 0))
        if natively.get(x, 1) <= 1 + margin < exponent and more > NOISE[quantity]:
            worse.append({"x": x, "native": round(natively.get(x, 1), 2), "vmm": round(exponent, 2)})
    return {"curve": curve, "device": device, "quantity": quantity,
            "native": whole_range(native, ops), "vmm": whole_range(vmm, ops), "worse": worse}


def whole_range(costs, ops):
    """The exponent from the smallest size to the largest; None where there is nothing to compare."""
    found = sorted((x, cost * ops(x)) for x, cost in costs.items())
    if len(found) < 2 or found[0][1] <= 0 or found[-1][1] <= 0:
        return None
    return round(math.log(found[-1][1] / found[0][1]) / math.log(found[-1][0] / found[0][0]), 2)


def growth(rows):
    devices = [device for device in dict.fromkeys(row["device"] for row in rows) if device != "native"]
    names = list(dict.fromkeys(row["curve"] for row in rows))
    return [grow(rows, curve, device, quantity)
            for device in devices for curve in names for quantity in MARGIN]


def measure(parser, devices, names):
    """The whole result, as docs/curves.schema.json has it."""
    unknown = [name for name in names if name not in CURVES]
    if unknown:
        raise marks.Failure(f"OPS={' '.join(unknown)}: the curves are {', '.join(CURVES)}.")
    facts, load = report.host_facts(None), round(os.getloadavg()[0], 2)
    parsers = [parser(device) for device in devices]
    ns = measure_time(parsers, names)
    rows = []
    for parse in parsers:
        options, found = measure_counts(parse, names, ns)
        rows += found
    return {"schema": 1, "commit": facts["commit"], "mem": options.mem, "load": load, "rows": rows,
            "growth": growth(rows)}


def table(result):
    """Sizes down, devices across: ns, instructions, traps."""
    rows = result["rows"]
    devices = list(dict.fromkeys(row["device"] for row in rows))
    cell = {(row["curve"], row["x"], row["device"]): row for row in rows}
    lines = [f"{'':20}" + "".join(f"{device:>32}" for device in devices),
             f"{'curve':12}{'x':>8}" + f"{'ns':>12}{'instr':>12}{'traps':>8}" * len(devices)]
    for curve, x in dict.fromkeys((row["curve"], row["x"]) for row in rows):
        line = f"{curve:12}{x:>8}"
        for device in devices:
            row = cell[curve, x, device]
            for key, width, digits in (("ns", 12, 0), ("instructions", 12, 0), ("traps", 8, 2)):
                line += f"{'-' if row[key] is None else format(row[key], f'.{digits}f'):>{width}}"
        lines.append(line)
    for row in result["growth"]:
        for step in row["worse"]:
            lines.append(f"{row['curve']}, {row['quantity']}: worse than linear up to {step['x']} "
                         f"(exponent {step['vmm']}, natively {step['native']})")
    return "\n".join(lines)
