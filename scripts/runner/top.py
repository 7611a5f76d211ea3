"""What `make top` shows: two answers of the VMM, some time apart, as a screen of lines."""

import collections

from .report import COUNTS, number

COLUMNS = {"loads": 10, "stores": 10, "irqs": 8, "notify": 8, "requests": 9, "bytes": 12}
MIB = 1 << 20
NANOSECONDS = 1_000_000_000


def clock(statistics):
    """The machine's time in nanoseconds since the statistics began: the VMM's, the guest's, idle."""
    return sum(statistics[part]["nanoseconds"] for part in ("vmm", "guest", "idle"))


def by(statistics, name):
    """name(row) -> [count, nanoseconds] of the exits."""
    total = collections.defaultdict(lambda: [0, 0])
    for row in statistics["exits"]:
        total[name(row)][0] += row["count"]
        total[name(row)][1] += row["nanoseconds"]
    return total


def each(row):
    """An exit by its name, which says the device where it is one of a register."""
    if row["class"] in ("mmio", "board") or row["detail"] == row["class"]:
        return row["detail"]
    return f"{row['class']} {row['detail']}"


class Rates:
    """What happened between two answers. Where the statistics were reset in between, since then."""

    def __init__(self, before, now):
        reset = before is None or clock(now) < clock(before)
        self.now, self.before = now, None if reset else before
        self.seconds = max(clock(now) - (0 if reset else clock(before)), 1) / NANOSECONDS

    def share(self, part):
        old = self.before[part]["nanoseconds"] if self.before else 0
        return 100 * max(self.now[part]["nanoseconds"] - old, 0) / (self.seconds * NANOSECONDS)

    def exits(self, name):
        """(name, per second, % of the time, ns each, in all), busiest first."""
        old = by(self.before, name) if self.before else {}
        rows = []
        for key, (count, spent) in by(self.now, name).items():
            was = old.get(key, (0, 0))
            more, cost = count - was[0], spent - was[1]
            rows.append((key, more / self.seconds, 100 * cost / (self.seconds * NANOSECONDS),
                         cost // more if more else 0, count))
        return sorted(rows, key=lambda row: (-row[1], -row[4]))

    def device(self, name, key):
        old = self.before["devices"].get(name, {}).get(key, 0) if self.before else 0
        return (self.now["devices"][name].get(key, 0) - old) / self.seconds

    def memory(self, key):
        old = self.before["memory"].get(key, 0) if self.before else 0
        return (self.now["memory"].get(key, 0) - old) / self.seconds


def fit(value, width):
    """A whole number, right-aligned behind a blank: with its thousands apart if there is room, else in units of
    thousands, millions ..., so that no digit is cut off."""
    value, unit = round(value), ""
    for following in ("", "k", "M", "G", "T", "P", "E"):
        unit = following
        for text in (number(value) + unit, f"{value}{unit}"):
            if len(text) < width:
                return text.rjust(width)
        value = round(value / 1000)
    return f"{value}{unit}".rjust(width)


def exit_lines(rows):
    return [f"{name:<28.28}{fit(per_second, 12)}{share:>11.1f} %{fit(cost, 12)}{fit(count, 14)}"
            for name, per_second, share, cost, count in rows]


def screen(rates, width=80, height=24):
    """Lines, at most height of at most width; the tables take 79 columns, as a terminal's last one stays free."""
    config, memory = rates.now["config"], rates.now["memory"]
    disk = config["disk"] + (f" ({config['disk_model']})" if config["disk"] == "emulated" else "")
    head = [
        f"trident top: uart {config['uart']}, disk {disk}, patch {config['patch']}, "
        f"{config['mem'] >> 20} MiB",
        f"time: VMM {rates.share('vmm'):.1f} %, guest {rates.share('guest'):.1f} %, "
        f"idle {rates.share('idle'):.1f} %; {clock(rates.now) / NANOSECONDS:.1f} s in all",
        "",
        f"{'exits':<28}{'per second':>12}{'of the time':>13}{'ns each':>12}{'in all':>14}",
    ]
    foot = ["", f"{'device, per second':<22}" + "".join(f"{name:>{wide}}" for name, wide in COLUMNS.items())]
    for name, device in rates.now["devices"].items():
        foot.append(f"{name + ': ' + device['strategy']:<22.22}"
                    + "".join(fit(rates.device(name, COUNTS.get(key, key)), wide)
                              for key, wide in COLUMNS.items()))
    each_second = (("TLB flushes", "tlb_flushes"), ("root switches", "root_switches"), ("shadow fills", "fills"))
    foot += ["", ", ".join(f"{words} {fit(rates.memory(key), 10).strip()}/s" for words, key in each_second),
             f"memory {memory['vmm_bytes'] / MIB:.1f} of {memory['vmm_limit'] / MIB:.1f} MiB"]
    room = max(height - len(head) - len(foot) - 1, 0)
    classes = exit_lines(rates.exits(lambda row: row["class"]))[:room]
    busiest = exit_lines(rates.exits(each))[:max(room - len(classes) - 2, 0)]
    middle = classes + (["", "the busiest of them:", *busiest] if busiest else [])
    return [line[:width].rstrip() for line in (head + middle[:room] + foot)[:height - 1]]
