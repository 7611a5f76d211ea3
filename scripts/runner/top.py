"""What `make top` shows: two answers of the VMM, some time apart, as a screen of lines."""

import collections

from .report import number

COUNTS = ("loads", "stores", "irqs", "notifications", "requests", "bytes")
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
    return row["class"] if row["detail"] == row["class"] else f"{row['class']} {row['detail']}"


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


def rate(value):
    return number(round(value))


def exit_lines(rows):
    return [f"{name:<28.28}{rate(per_second):>13}{share:>13.1f} %{number(cost):>11}{number(count):>13}"
            for name, per_second, share, cost, count in rows]


def screen(rates, width=80, height=24):
    """Lines, at most height of at most width."""
    config, memory = rates.now["config"], rates.now["memory"]
    disk = config["disk"] + (f" ({config['disk_model']})" if config["disk"] == "emulated" else "")
    head = [
        f"trident top: uart {config['uart']}, disk {disk}, patch {config['patch']}, "
        f"{config['mem'] >> 20} MiB; {clock(rates.now) / NANOSECONDS:.1f} s",
        f"time: VMM {rates.share('vmm'):.1f} %, guest {rates.share('guest'):.1f} %, "
        f"idle {rates.share('idle'):.1f} %",
        "",
        f"{'exits':<28}{'per second':>13}{'of the time':>15}{'ns each':>11}{'in all':>13}",
    ]
    foot = ["", f"{'device, per second':<26}{'loads':>9}{'stores':>9}{'irqs':>8}{'notify':>8}"
                f"{'requests':>9}{'bytes':>11}"]
    for name, device in rates.now["devices"].items():
        values = [rate(rates.device(name, key)) for key in COUNTS]
        widths = (9, 9, 8, 8, 9, 11)
        foot.append(f"{name + ': ' + device['strategy']:<26.26}"
                    + "".join(f"{value:>{wide}}" for value, wide in zip(values, widths)))
    foot += ["", f"TLB flushes {rate(rates.memory('tlb_flushes'))}/s, "
                 f"root switches {rate(rates.memory('root_switches'))}/s, "
                 f"shadow fills {rate(rates.memory('fills'))}/s, "
                 f"memory {memory['vmm_bytes'] / MIB:.1f} of {memory['vmm_limit'] / MIB:.1f} MiB"]
    room = max(height - len(head) - len(foot) - 1, 0)
    classes = exit_lines(rates.exits(lambda row: row["class"]))[:room]
    busiest = exit_lines(rates.exits(each))[:max(room - len(classes) - 2, 0)]
    middle = classes + (["", "the busiest of them:", *busiest] if busiest else [])
    return [line[:width].rstrip() for line in (head + middle[:room] + foot)[:height - 1]]
