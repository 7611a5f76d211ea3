"""Endurance: stress-ng and fio, both verifying, at once in Debian for some minutes; then everything
else of this folder under the same strategy.

  soak.py STRATEGY [--minutes M] [--load-only]

Every 10 s the VMM is asked for its statistics. Counters that should be zero stay zero, and after the
first minute its memory no longer grows. The pool of shadow tables is a cache that may fill, so
growth is judged by what the VMM holds on average: a leak would drive it to its limit.
"""

import argparse
import sys
import time

from . import clock, errors, kill, memory, reset
from .guest import EVERY, Failed, Guest, check_memory, complaint, program, require

EACH = 10        # seconds between statistics
SETTLED = 60     # seconds after which memory must be flat
SLACK = 1 << 20  # bytes that the average may differ by: 256 tables
STRESSORS = "--cpu 1 --vm 1 --vm-bytes 48M --fork 1 --pipe 1 --mmap 1 --mmap-bytes 32M --timer 1 --switch 1"
FIO = ("fio --name=soak --filename=/root/soak --size=4m --bs=4k --rw=randwrite --direct=1 "
       "--ioengine=libaio --iodepth=16 --verify=crc32c --verify_fatal=1 --eta=never --output=/tmp/fio")


def commands(seconds):
    return ";".join([
        f"stress-ng {STRESSORS} --verify -t {seconds} >/tmp/stress 2>&1 & p=$!",
        f"e=$(($(date +%s)+{seconds}))",
        f"while [ $(date +%s) -lt $e ]; do {FIO} && echo fio ok || {{ cat /tmp/fio; false; break; }}; done",
        "wait $p || { tail -n 20 /tmp/stress; false; }",
        "dmesg -l err,crit,alert,emerg | sed 's/^/log: /'",
        "dmesg | grep -E 'stall|lockup|BUG|WARNING|Oops|Call Trace' | sed 's/^/log: /'",
        "echo load over", "poweroff -f",
    ])


def check_zeroes(statistics):
    for name, row in statistics["devices"].items():
        if row["strategy"].startswith("passthrough/"):
            require(row["loads"] == row["stores"] == 0, f"a register of the passed-through {name} trapped")
    rest = [row["count"] for row in statistics["exits"] if row["class"] == "rest"]
    require(not rest, f"the table of exits overflowed: {rest}")


def check_flat(samples):
    """samples: (second, bytes). The averages of the two halves after the first minute."""
    settled = [size for second, size in samples if second >= min(SETTLED, samples[-1][0] / 3)]
    half = len(settled) // 2
    require(half >= 2, f"only {len(samples)} statistics came")
    early, late = sum(settled[:half]) / half, sum(settled[-half:]) / half
    require(late <= early + SLACK, f"the VMM's memory grew from {early:.0f} to {late:.0f} bytes: {samples}")
    return early, late


def load(device, minutes):
    """stress-ng and fio. A sentence."""
    seconds = round(minutes * 60)
    samples = []
    options = {"GUEST": "linux", "ROOT": "debian", "DEVICE": device, "RUN": commands(seconds)}
    with Guest(options, seconds * 2 + 600) as guest:
        guest.wait_for(r"^# stress-ng", 180)
        begin = time.monotonic()
        while guest.process.poll() is None and time.monotonic() - begin < seconds:
            statistics = guest.statistics() if device != "native" else None
            if statistics:
                check_memory(statistics)
                check_zeroes(statistics)
                samples.append((round(time.monotonic() - begin), statistics["memory"]["vmm_bytes"]))
            time.sleep(EACH)
        status = guest.finish(seconds + 600)
    try:
        require(status == 0, f"the run ended with status {status}")
        require("load over" in guest.text and "\nfio ok" in guest.text, "the load did not end well")
        require("\nlog: " not in guest.text and not complaint(guest.text), "the kernel complained")
        flat = check_flat(samples) if device != "native" else (0, 0)
    except Failed as failed:
        raise Failed(f"soak {device}:\n{guest.text[-8000:]}\n{failed}") from None
    passes = guest.text.count("\nfio ok")
    return (f"soak {device}: {minutes:g} min, {passes} passes of fio, {len(samples)} statistics, "
            f"the VMM's memory {flat[0] / 1024:.0f} KiB, then {flat[1] / 1024:.0f} KiB")


def everything(device, tmp):
    """The other tests at full length, each told as it ends."""
    if device != "native":
        yield kill.kill(device, 20, tmp, seed=int(time.time()))
        yield reset.reboots(device, 20, tmp)
        yield reset.reloads(device, 50, tmp)[1]
        for size in memory.SIZES:
            yield from memory.memory(device, size, tmp)
    for kind in errors.KINDS:
        yield errors.errors(device, kind, tmp)
        if device == "emulated":
            yield errors.errors_ata(kind, tmp)
    yield clock.clock(device, 60, tmp)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("strategy", choices=EVERY)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--load-only", action="store_true")
    arguments = parser.parse_args()

    def test(tmp):
        yield load(arguments.strategy, arguments.minutes)
        if not arguments.load_only:
            yield from everything(arguments.strategy, tmp)
        yield f"soak {arguments.strategy}: all passed"

    return program(test)


if __name__ == "__main__":
    sys.exit(main())
