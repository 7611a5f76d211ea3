"""results.json -> report.md: tables of medians.

A count that was not the same in every round is marked with `~`. A ratio of times has its quartiles
beside it. What failed says so.
"""

import math
from statistics import median, quantiles

import cells

FAILED = "failed"
BUSIEST = "emulated AHCI"  # the strategy whose Linux boot shows the most exit classes
PRIVILEGED = ("csr", "sret", "wfi", "fence")


class Results:
    """Samples by kind, strategy, PATCH level and workload."""

    def __init__(self, runs):
        self.samples, self.failed = {}, {}
        for run in runs:
            where = (run["kind"], run["strategy"], run["patch"])
            if run["why"]:
                self.failed[where] = run.get("log", "")
                continue
            if run["dropped"]:
                continue
            for sample in run["samples"]:
                key = (*where, sample["workload"])
                self.samples.setdefault(key, []).append({**sample, "run_seconds": run["seconds"],
                                                         "round": run["round"]})

    def of(self, kind, strategy, patch, workload):
        return self.samples.get((kind, strategy, patch, workload), [])

    def cell(self, kind, strategy, patch, workload, show):
        """show(samples), or that the cell failed or was not run."""
        samples = self.of(kind, strategy, patch, workload)
        if samples:
            return show(samples)
        return FAILED if (kind, strategy, patch) in self.failed else "-"


def number(value, digits=3):
    """So many digits that matter, thousands apart."""
    if abs(value) >= 1000:
        return f"{value:,.0f}".replace(",", "'")
    places = digits - 1 - math.floor(math.log10(abs(value))) if value else 0
    text = f"{value:.{max(0, places)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def counted(values):
    """The median, marked if the rounds differ."""
    mark = "~" if len(set(values)) > 1 else ""
    return mark + number(median(values))


def table(head, rows):
    """A GitHub table; columns after the words are right-aligned."""
    lines = ["| " + " | ".join(head) + " |",
             "|" + "|".join(" --- " if name[:1].islower() else " ---: " for name in head) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


# --- What a sample says, per operation ---------------------------------------------------------------


def exits(sample, *classes):
    """Traps of these classes per operation (of all classes if none is named). The begin and the end
    of the mark itself are not the workload's."""
    if not sample["statistics"]:
        return 0  # native: there is no VMM
    rows = sample["statistics"]["exits"]
    return sum(row["count"] for row in rows
               if (row["class"] in classes or not classes) and "Trident." not in row["detail"]
               ) / sample["operations"]


def device_traps(sample, device):
    """Loads and stores that reached this device's registers, per operation."""
    if not sample["statistics"]:
        return 0
    row = sample["statistics"]["devices"][device]
    return (row["loads"] + row["stores"]) / sample["operations"]


def per_operation(sample):
    return sample["instructions"] / sample["operations"]


def spread(ratios, digits=2):
    if not ratios:
        return "-"
    if len(ratios) < 3:
        return f"{number(median(ratios), digits)}"
    low, _, high = quantiles(ratios, n=4)
    return f"{number(median(ratios), digits)} ({number(low, digits)}-{number(high, digits)})"


# --- Tables ------------------------------------------------------------------------------------------


def workload_rows(results, workload):
    device = workload.split()[0]
    for strategy in cells.STRATEGIES:
        if strategy == "emulated ATA" and device == "uart":
            continue
        patch = "" if strategy == "native" else "ecall"
        label = strategy
        if device == "uart" and strategy == "emulated AHCI":
            label = "emulated 16550A"

        def show(value, level=patch, name=strategy):
            return results.cell("count", name, level, workload,
                                lambda samples: counted([value(s) for s in samples]))

        ratios = throughput(results, strategy, patch, workload)
        off = show(per_operation, "" if strategy == "native" else "off")
        yield [workload, label, show(lambda s: device_traps(s, device)),
               show(lambda s: exits(s, "plic")), show(lambda s: exits(s, *PRIVILEGED)),
               show(lambda s: exits(s, "interrupt")), show(exits), show(per_operation), off,
               FAILED if ("time", strategy, patch) in results.failed and not ratios
               else "1" if strategy == "native" else spread(ratios)]


def throughput(results, strategy, patch, workload):
    """For each round: native's time per operation over this strategy's."""
    def cost(sample):
        return sample["ticks"] / sample["operations"]

    native = {s["round"]: cost(s) for s in results.of("time", "native", "", workload)}
    return [native[s["round"]] / cost(s) for s in results.of("time", strategy, patch, workload)
            if s["round"] in native]


def devices_table(results):
    head = ["operation", "strategy", "Device", "PLIC", "CSR, sret, wfi", "Interrupts", "All traps",
            "Instructions", "Instructions, off", "Throughput"]
    rows = [row for workload in cells.WORKLOADS for row in workload_rows(results, workload)]
    return table(head, rows)


def control_line(results):
    parts = [f"{workload} {spread(throughput(results, cells.CONTROL, '', workload))}"
             for workload in cells.WORKLOADS]
    return "Native against native, which should be 1: " + "; ".join(parts) + ".\n"


def trap_table(results):
    machines = (("native", ""), ("virtio", "ecall"), ("virtio", "off"))
    names = [name for kind, strategy, patch, name in results.samples
             if (kind, strategy, patch) == ("trap", "native", "")]
    rows = []
    for name in names:
        rows.append([name] + [results.cell("trap", *machine, name,
                                           lambda samples: counted([per_operation(s) for s in samples]))
                              for machine in machines])
    return table(["operation", "Native", "PATCH=ecall", "PATCH=off"], rows)


def class_costs(results, patch):
    """Class -> (exits, mean instructions in the VMM) of a Linux boot."""
    sums = {}
    for sample in results.of("boot count", BUSIEST, patch, "boot")[:1]:
        for row in sample["statistics"]["exits"]:
            total = sums.setdefault(row["class"], [0, 0])
            total[0] += row["count"]
            total[1] += row["instructions"]
    return {name: (count, instructions / count) for name, (count, instructions) in sums.items()}


def class_table(results):
    levels = [class_costs(results, patch) for patch in ("ecall", "off")]
    if not any(levels):
        return "Not measured.\n"
    names = sorted({name for level in levels for name in level},
                   key=lambda name: -max(level.get(name, (0, 0))[0] for level in levels))
    rows = [[name] + [part for level in levels for part in
                      ([number(level[name][0]), number(level[name][1])] if name in level else ["-", "-"])]
            for name in names]
    return table(["exit class", "Exits, ecall", "Instructions, ecall", "Exits, off",
                  "Instructions, off"], rows)


def boot_rows(results):
    machines = sorted({key[1:3] for key in (*results.samples, *results.failed)
                       if key[0].startswith("boot")},
                      key=lambda machine: (list(cells.STRATEGIES).index(machine[0]), machine[1]))
    native = results.of("boot count", "native", "", "boot")
    base = median([s["instructions"] for s in native]) if native else 0
    for strategy, patch in machines:
        def show(value):
            return results.cell("boot count", strategy, patch, "boot", value)

        clock = {s["round"]: s["run_seconds"] for s in results.of("boot time", "native", "", "boot")}
        ratios = [s["run_seconds"] / clock[s["round"]]
                  for s in results.of("boot time", strategy, patch, "boot") if s["round"] in clock]
        if ratios:
            wall = "1" if strategy == "native" else spread(ratios)
        else:
            wall = FAILED if ("boot time", strategy, patch) in results.failed else "-"
        yield [strategy, patch or "-",
               show(lambda samples: counted([exits(s) for s in samples])),
               show(lambda samples: number(median([s["instructions"] for s in samples]) / 1e6)),
               show(lambda samples: number(median([s["instructions"] for s in samples]) / base)
                    if base else "-"), wall]


def boot_table(results):
    return table(["strategy", "patch", "Traps", "Million instructions", "Relative to native",
                  "Wall time relative to native"], boot_rows(results))


HEADLINE_WORKLOADS = (("disk read, depth 1", "4 KiB read, depth 1"),
                      ("disk read, depth 8", "4 KiB read, depth 8"),
                      ("uart output", "Byte of console output"))


def headline_row(results, workload, title, value):
    """One line of the headline: value(sample) for each strategy."""
    row = [title]
    for strategy in cells.STRATEGIES:
        patch = "" if strategy == "native" else "ecall"
        row.append(results.cell("count", strategy, patch, workload,
                                lambda samples: counted([value(s) for s in samples])))
    return row


def headline_throughput(results, workload, title):
    ratios = [throughput(results, strategy, "ecall", workload) for strategy in cells.STRATEGIES
              if strategy != "native"]
    return [title, "1"] + [number(median(r), 2) if r else "-" for r in ratios]


def headline(results):
    """What each strategy costs, in one table: operations down, strategies across."""
    rows = []
    for workload, title in HEADLINE_WORKLOADS:
        device = workload.split()[0]
        rows += [headline_row(results, workload, f"**{title}**: register traps",
                              lambda s, name=device: device_traps(s, name)),
                 headline_row(results, workload, "all traps", exits),
                 headline_row(results, workload, "instructions", per_operation),
                 headline_throughput(results, workload, "throughput")]
    boots = {(row[0], row[1]): row for row in boot_rows(results)}
    native = boots.get(("native", "-"), ["-"] * 6)
    for column, title in ((4, "**Linux boot**: instructions"), (5, "wall time")):
        rows.append([title] + [boots.get((strategy, "ecall"), native if strategy == "native" else
                                         ["-"] * 6)[column].split(" ")[0]
                               for strategy in cells.STRATEGIES])
    return table(["per", *(name[:1].upper() + name[1:] for name in cells.STRATEGIES)], rows)


def sentence(machine):
    """What the numbers were made with."""
    return (f"Commit {machine['commit']}, QEMU {machine['qemu']}, OpenSBI {machine['opensbi']}, "
            f"{machine['cores']} x {machine['cpu']}, load {machine['load']} at the start.")


def readme(whole, text):
    """The README with this headline between its two marks."""
    begin, end = "<!-- begin: bench/run --readme -->\n", "<!-- end -->"
    if begin not in text or end not in text:
        raise ValueError(f"the README lacks the marks {begin.strip()} and {end}")
    before, rest = text.split(begin, 1)
    _, after = rest.split(end, 1)
    results = Results(whole["runs"])
    return f"{before}{begin}{headline(results)}\n{sentence(whole['machine'])}\n{end}{after}"


def write(whole):
    """The whole report."""
    machine, results = whole["machine"], Results(whole["runs"])
    failed = "".join(f"- {' '.join(filter(None, where))}: {log}\n"
                     for where, log in results.failed.items())
    failed = f"## Failed runs\n\n{failed}\n" if failed else ""
    rounds = {kind: len({run["round"] for run in whole["runs"]
                         if run["kind"] == kind and not run["dropped"]}) for kind in ("count", "time")}
    return f"""# What each strategy costs

{sentence(machine)} {machine['seconds']} s{', QUICK=1' if whole['quick'] else ''}.
How it was measured, and what may be concluded: docs/measuring.md.
Counts: median of {rounds['count']}, marked `~` where the rounds differed.
Times: ratio within a round of interleaved runs, median of {rounds['time']} (quartiles).

{failed}## Overview

PATCH=ecall. Throughput, and what is said of a boot: relative to native.

{headline(results)}
## Devices

Per disk request of {cells.REQUEST} bytes, or per byte of console output, by our own guest, PATCH=ecall.
Device: loads and stores that trapped. Interrupts: the host's. Instructions: retired by the whole
machine, guest included; the last such column at PATCH=off. Throughput: in host time, native = 1.

{devices_table(results)}
{control_line(results)}
## One operation

Retired instructions of the whole machine, seen by the guest (`bench trap`).

{trap_table(results)}
## Exit classes

A boot of Debian's Linux, both devices emulated: exits, and the mean of retired instructions in the VMM's
handlers. The way in and out is not in it: registers, and for illegal instructions the M bounce.

{class_table(results)}
## Linux boot

From power-on to power-off (`GUEST=linux RUN='poweroff -f'`).

{boot_table(results)}"""
