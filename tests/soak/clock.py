"""Time: the guest's clocks advance as the host's do, within 1 %, and a sleep of 1 s takes 1 s.

  clock.py [STRATEGY...] [--seconds N]

The host's time of a line is when it arrives here, later than it was said by what the way costs; so
a fixed 50 ms is allowed on top.
"""

import argparse
import re
import sys

from scripts.runner import firmware
from .guest import EVERY, LINUX, Guest, disk_of, program, require

ALLOWED = 0.05  # seconds, for the way of a line


def clock(device, seconds, tmp):
    """Boots Linux for the test. A sentence."""
    disk = disk_of(f"{tmp}/disk.img", 1 << 20)
    options = {**LINUX, "DEVICE": device, "DISK_IMG": disk, "RUN": f"soak clock {seconds}; poweroff -f"}
    with Guest(options, 120 + seconds) as guest:
        status = guest.finish(150 + seconds)
    require(status == 0, f"{device}: the run ended with status {status}\n{guest.text[-3000:]}")
    return check_clock(device, guest, seconds)


def check_clock(device, guest, seconds):
    """What `soak clock SECONDS` said in the guest. A sentence."""
    rows = []
    for when, text in guest.lines:
        match = re.match(r"clock \d+ (\d+) (\d+)$", firmware.without(text))
        if match:
            rows.append((when, int(match[1]) / 1e9, int(match[2]) / 1e9))
    require(len(rows) == seconds + 1, f"{device}: {len(rows)} readings\n{guest.text[-3000:]}")
    host, wall, monotonic = (rows[-1][i] - rows[0][i] for i in range(3))
    for name, guests in (("wall", wall), ("monotonic", monotonic)):
        require(abs(guests - host) <= host / 100 + ALLOWED,
                f"{device}: the guest's {name} clock went {guests:.3f} s in {host:.3f} s")
    # The machine is shared: a sleep may be late, but the usual one is not.
    sleeps = sorted(b[2] - a[2] for a, b in zip(rows, rows[1:]))
    usual = sleeps[len(sleeps) // 2]
    require(sleeps[0] >= 1 and usual < 1.05, f"{device}: sleep 1 took {sleeps[0]:.4f} to {sleeps[-1]:.4f} s")
    return f"clock {device}: {wall:.3f} s in {host:.3f} s of the host; sleep 1 takes {usual:.4f} s"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("strategies", nargs="*", default=EVERY)
    parser.add_argument("--seconds", type=int, default=60)
    arguments = parser.parse_args()
    return program(lambda tmp: (clock(device, arguments.seconds, tmp)
                                for device in arguments.strategies))


if __name__ == "__main__":
    sys.exit(main())
