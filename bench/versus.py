"""The same RUN on several machines, one after the other, and what it cost on each, side by side.

  make versus RUN='bench uart 1000'                    native, emulated, virtio, pass-through
  make versus RUN=disktest OVER=PATCH DEVICE=virtio    native, and each value of another option
  make versus ICOUNT=0 RUN=...                         time in place of instructions
  make versus RUN=... JSON=file                        the same as data
Any GUEST= and any other option of `make qemu` goes with it. What is counted: the workloads of RUN that the guest
marks (`bench`), and if it marks none the whole run, from power-on to power-off. A RUN with `bench` is given
four times in one boot, natively too, and the last counts: the VMM has learned the guest's code by then. A column in
which it went on learning has a ~.
Exit status: 0, 1 if a run failed, 2 for a refused option.
"""

import os
import sys

from scripts.runner import disk, ending, options as front_door, report
from . import cells, measure, samples

HERE = os.path.dirname(os.path.abspath(__file__))
OVER = {"DEVICE": front_door.STRATEGIES, "UART": front_door.STRATEGIES, "DISK": front_door.STRATEGIES,
        "DISK_MODEL": front_door.DISK_MODELS, "PATCH": front_door.PATCH_LEVELS, "PLIC": front_door.PLICS,
        "MMU": front_door.MMUS, "ABLATE": ("none", *front_door.ABLATIONS),
        "SHADOW": ("all", *(f"no-{name}" for name in front_door.SHADOW_SWITCHES), "none")}
DEFAULT_DEVICE = {"DISK_MODEL": "emulated", "PLIC": "passthrough"}  # on which the option says something
OF_THE_VMM = ("UART", "DISK", "PLIC", "ABLATE", "WATCH", "EAGER", "SHADOW", "PATCH", "DISK_MODEL")
DEFAULT_RUN = "bench uart 1000"
SECONDS = "300"
TIMES = 4  # that a RUN which can be repeated is given
MARKED = ("uart", "input", "interrupt", "disk")  # of `bench`, what samples.BENCH_LINE tells of
OWN = ("OVER", "JSON")  # options that `make qemu` does not have


def base_options():
    """What the user chose, of the options of `make qemu`. Make gives UART and DISK the value of DEVICE."""
    names = os.environ.get("OPTIONS", "").split() or OVER
    chosen = {name: os.environ[name] for name in names if os.environ.get(name)}
    given = os.environ.get("GIVEN", "").split()
    for name in ("UART", "DISK"):
        if name not in given and chosen.get(name) == chosen.get("DEVICE"):
            chosen.pop(name, None)
    return chosen, given


def columns(over, chosen, given):
    """[(heading, options)]: native first, against which the others are set."""
    if over not in OVER:
        raise front_door.Refusal(f"OVER={over} is no option that can be put on the columns: use "
                                 f"{', '.join(OVER)}.")
    if over != "DEVICE" and "DEVICE" not in given:
        chosen["DEVICE"] = DEFAULT_DEVICE.get(over, chosen.get("DEVICE", "virtio"))
    native = {name: value for name, value in chosen.items() if name not in OF_THE_VMM}
    rest = [(value, {**chosen, over: value}) for value in OVER[over]]
    if over == "MMU":
        return [(f"native {value}", {**native, "DEVICE": "native", over: value}) for value in OVER[over]] + rest
    return [("native", {**native, "DEVICE": "native"}), *rest]


def add(total, more):
    """Two nests of numbers of the same shape, added up."""
    for key, value in more.items():
        if isinstance(value, dict):
            add(total.setdefault(key, {}), value)
        else:
            total[key] = total.get(key, 0) + value
    return total


def sum_up(marks):
    """The counts of several marked workloads; none natively."""
    total = {}
    for statistics in marks or [None]:
        add(total, samples.counters(statistics))
    return total


def repeated(options):
    """The options with RUN given TIMES times, if it is of our guest's `bench` alone, which marks what it does; else
    None. What RUN does besides (a disk written, a file made) would not be the same again."""
    words = [command.split() for command in options["RUN"].split(";")]
    alone = (options.get("GUEST", "trident") == "trident" and all(word[:1] == ["bench"] for word in words) and
             any(word[1:2] and word[1] in MARKED for word in words))
    return {**options, "RUN": "; ".join([options["RUN"]] * TIMES)} if alone else None


def marked(seen, counted, again):
    """What the marked workloads cost together, of the last time if RUN was given again and again; None if the guest
    marked none."""
    lines = list(samples.BENCH_LINE.finditer(seen["console"]))
    if not lines:
        return None
    marks, before = seen["marks"], None
    if again:
        each = len(marks) // TIMES
        lines, marks, before = lines[-len(lines) // TIMES:], marks[-each:], marks[-2 * each:-each]
    total, earlier = sum_up(marks), sum_up(before)["memory"]
    # Traces that are made anew each time, because two share a slot, are no learning.
    total["learned"] = {name: total["memory"][name] for name in samples.OF_CODE if total["memory"].get(name)
                        and not (name == "traces" and earlier.get(name) == total["memory"][name])}
    total["memory"].pop("learned", None)  # is since power-on
    what = "instructions" if counted else "ticks"
    cost = sum(int(line[what]) for line in lines)
    return {"of": f"the workloads that the guest marked{f', the last of {TIMES} times' if again else ''}", **total,
            "cost": cost if counted else cost * samples.NS_PER_TICK}


def whole(seen, counted):
    cost = seen["instructions"] if counted else round(seen["seconds"] * 1e9)
    return {"of": "the whole run, from power-on to power-off", **samples.counters(seen["statistics"]),
            "cost": cost}


def measure_one(options):
    """One column: its counts, or why there are none."""
    counted = options["ICOUNT"] == "1"
    if options.get("GUEST") == "linux" and counted:
        options = {**options, "APPEND": f"{cells.LINUX_WORDS} {options.get('APPEND', '')}".strip()}
    again = repeated(options)
    try:
        measure.parse({"TIMEOUT": SECONDS, **options})  # what is refused is said of RUN as it was given
        parsed = measure.parse({"TIMEOUT": SECONDS, **(again or options)})
        if not os.path.exists(parsed.disk_img):
            disk.create(parsed)
        with disk.held(parsed):
            seen = measure.run_guest(parsed, counted=counted)
    except front_door.Refusal as refusal:
        return {"refused": str(refusal)}
    if seen["why"]:
        return {"failed": seen["why"], "console": seen["console"]}
    return marked(seen, counted, bool(again)) or whole(seen, counted)


# --- The table. ------------------------------------------------------------------------------------------


def sum_of(devices, *keys):
    return sum(row.get(key, 0) for row in devices.values() for key in keys)


def rows_of(results, counted):
    """[(label, [value or None])]: what the columns have, the native machine without a VMM to count."""
    seen = [result if "cost" in result else None for result in results]
    virtual = [bool(result and result["devices"]) for result in seen]

    def row(label, value, everywhere=False):
        return label, [value(result) if result and (everywhere or has) else None
                       for result, has in zip(seen, virtual)]

    names = list(dict.fromkeys(name for result in seen if result for name in result["devices"]))
    classes = sorted({name for result in seen if result for name in result["traps"]} - {"total"})
    rows = [row("register accesses", lambda one: sum_of(one["devices"], "loads", "stores"))]
    rows += [row(f"  {name}", lambda one, name=name: sum_of({0: one["devices"][name]}, "loads", "stores"))
             for name in names]
    rows += [row("traps", lambda one: one["traps"]["total"])]
    rows += [row(f"  {name}", lambda one, name=name: one["traps"].get(name, 0)) for name in classes]
    rows += [row("device interrupts", lambda one: sum_of(one["devices"], "irqs")),
             row("requests", lambda one: sum_of(one["devices"], "requests")),
             row("bytes", lambda one: sum_of(one["devices"], "bytes")),
             row("instructions" if counted else "microseconds",
                 lambda one: one["cost"] if counted else round(one["cost"] / 1000), everywhere=True)]
    native = seen[0]["cost"] if seen[0] else 0
    rows += [("  against native", [f"{result['cost'] / native:.3g}" if result and native else None
                                   for result in seen])]
    return [(label, values) for label, values in rows if any(value is not None for value in values)]


def table(headings, results, counted):
    rows = rows_of(results, counted)
    label = max([len(name) for name, _ in rows] + [0])
    signs = ["~" if result.get("learned") else "" for result in results]
    shown = [[("-" if value is None else sign + report.number(value)) for sign, value in zip(signs, values)]
             for _, values in rows]
    widths = [max([len(heading)] + [len(row[at]) for row in shown]) for at, heading in enumerate(headings)]
    line = "  ".join(heading.rjust(width) for heading, width in zip(headings, widths))
    lines = [f"{'':<{label}}  {line}"]
    for (name, _), values in zip(rows, shown):
        lines.append(f"{name:<{label}}  " + "  ".join(value.rjust(width)
                                                       for value, width in zip(values, widths)))
    return "\n".join(lines)


def tell(text):
    """How far it is, where somebody looks on."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def main(arguments):
    if arguments:
        print(__doc__)
        return 0 if arguments in (["--help"], ["-h"]) else 2
    os.chdir(os.path.join(HERE, ".."))
    chosen, given = base_options()
    over = os.environ.get("OVER") or "DEVICE"
    path = os.environ.get("JSON")
    try:
        front_door.check_given({**os.environ, "GIVEN": " ".join(name for name in given if name not in OWN)})
        front_door.check_writable("JSON", path)
        chosen.setdefault("RUN", DEFAULT_RUN)
        chosen["ICOUNT"] = os.environ.get("ICOUNT") or "1"
        wanted = columns(over, chosen, given)
    except front_door.Refusal as refusal:
        print(f"trident: {refusal}", file=sys.stderr)
        return 2
    counted = chosen["ICOUNT"] == "1"
    results = []
    for at, (heading, options) in enumerate(wanted, 1):
        tell(f"{at} of {len(wanted)}: {heading}")
        results.append(measure_one(options))
    tell("")
    headings = [heading for heading, _ in wanted]
    done = [result for result in results if "cost" in result]
    if done:
        print(f"RUN='{chosen['RUN']}'; counted: {done[0]['of']}"
              f"{'' if counted else '; in time, which does not repeat'}")
        print(table(headings, results, counted))
    for heading, result in zip(headings, results):
        for why in ("refused", "failed"):
            if why in result:
                print(f"{heading}: {result[why]}")
        if result.get("learned"):
            words = ", ".join(f"{name} {count}" for name, count in result["learned"].items())
            print(f"~ {heading}: the VMM learned while it was counted ({words}); with more operations that weighs less")
    if path:
        report.write_json(path, {"run": chosen["RUN"], "over": over, "icount": counted,
                                 "columns": dict(zip(headings, results))})
    return 0 if done and not any("failed" in result for result in results) else 1


if __name__ == "__main__":
    ending.run(main, sys.argv[1:])
