"""Draws the growth curves of build/curves.json, and writes their tables.

  python3 -m bench.draw_curves           build/growth/growth.md and its figures: `make curves` runs it
  python3 -m bench.draw_curves --docs    docs/growth.md, between its two marks, and docs/figures/: `make growth`
"""

import json
import math
import os
import sys

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot, ticker  # noqa: E402

from .workloads import curves

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
RESULT = "build/curves.json"
PLACES = {False: "build/growth", True: "docs"}
BEGIN, END = "<!-- begin: bench/draw_curves.py -->", "<!-- end -->"
PANELS = (("ns", "time, ns"), ("instructions", "instructions"), ("traps", "traps"))
# Okabe and Ito's colours, with a marker each, for those who cannot tell them apart.
LOOKS = (("#000000", "o"), ("#d55e00", "s"), ("#0072b2", "^"), ("#009e73", "D"))
SIZE_MAX = 60 << 10  # bytes of one figure


def draw(result, curve, path):
    rows = [row for row in result["rows"] if row["curve"] == curve]
    devices = list(dict.fromkeys(row["device"] for row in rows))
    figure, panels = pyplot.subplots(1, 3, figsize=(10, 3.2), layout="constrained")
    for panel, (key, label) in zip(panels, PANELS):
        for device, (colour, marker) in zip(devices, LOOKS):
            found = curves.points(rows, curve, device, key)
            if found:
                panel.plot(list(found), [max(cost, 0) for cost in found.values()], color=colour,
                           marker=marker, markersize=4, linewidth=1.2, label=device)
        panel.set_xscale("log", base=2)
        panel.set_xticks(sorted({row["x"] for row in rows}))
        panel.xaxis.set_major_formatter(ticker.FuncFormatter(lambda x, _: short(x)))
        panel.xaxis.set_minor_locator(ticker.NullLocator())
        if key == "traps":
            panel.set_ylim(bottom=0)
        else:
            panel.set_yscale("log")
            low, high = (math.log10(end) for end in panel.get_ylim())
            panel.set_ylim(10 ** math.floor(low), 10 ** math.ceil(high))
        panel.set_title(f"{label}, per operation", fontsize=9)
        panel.set_xlabel(curves.CURVES[curve]["x"], fontsize=9)
        panel.tick_params(labelsize=8)
        panel.grid(True, linewidth=0.3)
    panels[0].legend(fontsize=8)
    figure.suptitle(f"{curve}: {curves.CURVES[curve]['op']}", fontsize=10)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
    if os.path.getsize(path) > SIZE_MAX:
        raise SystemExit(f"draw_curves: {path} has {os.path.getsize(path)} bytes, more than {SIZE_MAX}")


def short(x):
    """Bytes with their unit; what is counted otherwise never exceeds 1024."""
    for shift, unit in ((20, "M"), (10, "K")):
        if x > 1024 and int(x) % (1 << shift) == 0:
            return f"{int(x) >> shift}{unit}"
    return f"{int(x)}"


def number(value, digits=0):
    return "-" if value is None else f"{value:,.{digits}f}".replace(",", "'")


def growth_table(result):
    lines = ["| curve: what is one whole | quantity | exponent, native | exponent, VMM | "
             "worse than linear where native is linear |", "| --- | --- | ---: | ---: | --- |"]
    for row in result["growth"]:
        found = ", ".join(f"up to {short(step['x'])}: {step['vmm']} (native {step['native']})"
                          for step in row["worse"])
        lines.append(f"| `{row['curve']}`: {curves.CURVES[row['curve']]['whole']} | {row['quantity']} | "
                     f"{number(row['native'], 2)} | {number(row['vmm'], 2)} | {found or 'no'} |")
    return lines


def cost_table(result, curve):
    rows = [row for row in result["rows"] if row["curve"] == curve]
    devices = list(dict.fromkeys(row["device"] for row in rows))
    cell = {(row["x"], row["device"]): row for row in rows}
    head, rule = [curves.CURVES[curve]["x"]], ["---:"]
    for device in devices:
        head += [f"{device}: ns", "instructions"] + ["traps"] * (device != "native")
        rule += ["---:"] * (2 + (device != "native"))
    lines = [f"| {' | '.join(head)} |", f"| {' | '.join(rule)} |"]
    for x in dict.fromkeys(row["x"] for row in rows):
        words = [short(x)]
        for device in devices:
            row = cell[x, device]
            words += [number(row["ns"]), number(row["instructions"])]
            words += [number(row["traps"], 2)] if device != "native" else []
        lines.append(f"| {' | '.join(words)} |")
    return lines


def text(result):
    """What stands between the markers of docs/growth.md."""
    vmm = next(row for row in result["rows"] if row["device"] != "native")
    lines = [f"`make curves DEVICE={vmm['device']} PATCH={vmm['patch']}`, commit {result['commit']}, "
             f"`MEM={result['mem'] >> 20}M`, load {result['load']} at the start.", "", *growth_table(result)]
    for curve in dict.fromkeys(row["curve"] for row in result["rows"]):
        lines += ["", f"### {curve}: {curves.CURVES[curve]['op']}", "",
                  f"![{curve}: ns, instructions and traps by {curves.CURVES[curve]['x']}; the table "
                  f"below has the same figures](figures/curves-{curve}.svg)", "",
                  *cost_table(result, curve)]
    return "\n".join(lines)


def whole_page(path, shown):
    """The page with these tables between its marks; a page of nothing else if it has none."""
    if not os.path.exists(path):
        return f"# How cost grows\n\n{BEGIN}\n{shown}\n{END}\n"
    with open(path, encoding="utf-8") as file:
        before, mark, rest = file.read().partition(BEGIN)
    if not mark or END not in rest:
        raise SystemExit(f"draw_curves: {path} lacks the marks {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{shown}\n{END}{rest.partition(END)[2]}"


def main(arguments):
    os.chdir(TOP)
    folder = PLACES["--docs" in arguments]
    try:
        with open(RESULT, encoding="utf-8") as file:
            result = json.load(file)
    except OSError:
        raise SystemExit(f"draw_curves: {RESULT} is not there: `make curves DEVICE=virtio` measures it") from None
    # Text stays text, which is small; and the same figures give the same file.
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "trident"})
    os.makedirs(f"{folder}/figures", exist_ok=True)
    for curve in dict.fromkeys(row["curve"] for row in result["rows"]):
        draw(result, curve, f"{folder}/figures/curves-{curve}.svg")
    page = whole_page(f"{folder}/growth.md", text(result))
    with open(f"{folder}/growth.md.new", "w", encoding="utf-8") as file:
        file.write(page)
    os.replace(f"{folder}/growth.md.new", f"{folder}/growth.md")
    print(f"{folder}/growth.md, {folder}/figures/curves-*.svg")


if __name__ == "__main__":
    main(sys.argv[1:])
