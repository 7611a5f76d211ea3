"""make trace: what it shows is what happened."""

import collections
import json
import os
import re
import subprocess

import pytest

from . import front_door

NM = "riscv64-unknown-elf-nm"


def exact(text):
    """Chrome's microseconds, as instructions."""
    whole, _, fraction = text.partition(".")
    assert len(fraction) == 3
    return int(whole + fraction)


def trace(folder, *options, run="disktest 64; uarttest"):
    """Runs `make trace`; the timeline, the statistics of the same run, and what was said."""
    picture, numbers = folder / "trace.json", folder / "stats.json"
    status, text = front_door.run([*options, f"RUN={run}", f"TRACE={picture}", f"STATS={numbers}",
                                   "TIMEOUT=60", "trace"])
    assert status == 0, text[-2000:]
    return (json.loads(picture.read_text(), parse_float=exact), json.loads(numbers.read_text()), text)


def slices(timeline, kind=None):
    return [event for event in timeline["traceEvents"]
            if event["ph"] == "X" and kind in (None, event["cat"])]


def assert_nested(timeline):
    """On each track two slices are apart, or one is inside the other."""
    tracks = collections.defaultdict(list)
    for event in slices(timeline):
        tracks[event["tid"]].append((event["ts"], -event["dur"], event["name"]))
    assert len(tracks) >= 5
    for track, rows in tracks.items():
        ends = []
        for begin, length, name in sorted(rows):
            while ends and ends[-1] <= begin:
                ends.pop()
            assert not ends or begin - length <= ends[-1], f"track {track}: {name} at {begin}"
            ends.append(begin - length)


def summed(rows):
    """class -> [count, instructions]"""
    total = collections.defaultdict(lambda: [0, 0])
    for name, count, instructions in rows:
        total[name][0] += count
        total[name][1] += instructions
    return dict(total)


@pytest.mark.parametrize("options", [
    ("UART=emulated", "PATCH=off"), ("DEVICE=emulated", "PATCH=cluster"),
    ("DEVICE=virtio", "PATCH=inline")],
    ids=" ".join)
def test_trace_adds_up_to_the_statistics(tmp_path, options):
    timeline, statistics, text = trace(tmp_path, *options)
    assert_nested(timeline)
    seen = summed((event["args"]["class"], 1, event["dur"]) for event in slices(timeline, "exit"))
    counted = summed((row["class"], row["count"], row["instructions"]) for row in statistics["exits"])
    assert seen == counted
    assert sum(event["dur"] for event in slices(timeline, "guest")) == statistics["guest"]["instructions"]
    handlers = slices(timeline, "handler")
    assert len(handlers) > 20 and not any("unfinished" in event["args"] for event in handlers)
    assert timeline["otherData"]["missing"] == 0 and "records after them" not in text
    names = {row["args"]["name"] for row in timeline["traceEvents"] if row["name"] == "thread_name"}
    assert {f"{name}: {device['strategy']}" for name, device in statistics["devices"].items()} <= names


def test_trace_shows_devices_and_handlers(tmp_path):
    timeline, statistics, _ = trace(tmp_path, "UART=emulated", "PATCH=ecall")
    calls = [event for event in slices(timeline, "emulate") if event["tid"] >= 6]
    device = [event["args"].get("direction") for event in calls]
    assert {"uart THR", "uart LSR", "disk QueueNotify"} <= {event["name"] for event in calls}
    assert not any(re.search(r"\+0x", event["name"]) for event in calls)
    rows = statistics["devices"].values()
    assert device.count("load") == sum(row["loads"] for row in rows)
    assert device.count("store") == sum(row["stores"] for row in rows)
    handlers = slices(timeline, "handler")
    injected = [event for event in timeline["traceEvents"] if event.get("cat") == "inject"]
    assert len(handlers) == len(injected) > 10
    assert {event["args"]["at"] for event in handlers} == {"trap_vector+0x0"}
    assert not any("unfinished" in event["args"] for event in handlers)
    functions = {event["name"] for event in slices(timeline, "guest")}
    assert {"vS trap_vector", "vS plic_interrupt"} <= functions


def test_trace_is_bounded(tmp_path):
    timeline, statistics, text = trace(tmp_path, "MEM=16M", "TRACE_MAX=1000", run="disktest 64")
    assert_nested(timeline)
    calls = [event for event in slices(timeline, "emulate") if event["tid"] >= 6]
    assert len(slices(timeline, "exit")) + len(calls) == 1000
    assert f"{timeline['otherData']['missing']} records after them were dropped" in text.replace("'", "")
    assert statistics["memory"]["vmm_peak"] <= (16 << 20) / 50 + (4 << 20)


def test_trace_off_costs_nothing():
    """Nothing on the way of an exit or an access knows of the timeline: it has its own entry."""
    knowing = set()
    for folder, _, files in os.walk(os.path.join(front_door.TOP, "build/trident")):
        for file in (name for name in files if name.endswith(".o") and name != "timeline.o"):
            path = os.path.join(folder, file)
            used = subprocess.run([NM, "-u", path], capture_output=True, text=True, check=True).stdout
            if any(word.startswith("timeline_") for word in used.split()):
                knowing.add(file)
    assert knowing == {"main.o", "control.o"}  # start and end, a command


@pytest.mark.parametrize("options, words", [
    (("DEVICE=native",), "has no VMM"), (("TRACE_MAX=0",), "TRACE_MAX=0 is not"),
    (("TRACE=/nonexistent/t.json",), "cannot be written")], ids=lambda value: str(value)[:20])
def test_trace_refuses(options, words):
    status, text = front_door.run([*options, "trace"])
    assert status != 0 and words in text
    assert len([line for line in text.splitlines() if line.startswith("trident: ")]) == 1
