"""What the runner keeps of a run is bounded, whatever the guest sends."""

import base64
import json
import os
import re
import socket
import subprocess
import time
import types

import pytest

from scripts.runner import control, session, trace
from . import front_door

MOST = 48 << 10  # KiB of resident memory: Python and the runner take half of it


def peak(options, seconds=60):
    """A run: (status, output's size, the most memory that the runner had, in KiB)."""
    names = set(os.environ.get("OPTIONS", "").split()) | {"GIVEN"}
    environment = {name: value for name, value in os.environ.items() if name not in names}
    most, size, deadline = 0, 0, time.monotonic() + seconds
    with subprocess.Popen(["scripts/run"], cwd=front_door.TOP, env={**environment, **options},
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        while data := process.stdout.read1(1 << 20):
            size += len(data)
            assert time.monotonic() < deadline
            with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
                found = re.search(r"^VmHWM:\s*(\d+) kB", file.read(), re.MULTILINE)
            most = max(most, int(found[1]) if found else 0)
        return process.wait(30), size, most


@pytest.fixture(scope="session", autouse=True)
def built():
    status, output = front_door.run(["-s", "trident", "guests-bare"])
    assert status == 0, output


@pytest.mark.parametrize("flood,device,least", ((1, "virtio", 0), (2, "virtio", 1 << 16), (3, "native", 1 << 16),
                                                (4, "virtio", 0)), ids=("marks", "no-newline", "lines", "nothing"))
def test_memory_is_bounded(flood, device, least, tmp_path):
    status, size, most = peak({"GUEST": f"build/guests/flood-{flood}.elf", "DEVICE": device, "RUN": "x",
                               "TIMEOUT": "50", "DISK_IMG": f"{tmp_path}/disk.img"})
    assert status == 0 and size > least
    print(f"{size} bytes of output, {most} KiB of memory")
    assert most < MOST


def test_marks_come_while_a_client_does_not_read(tmp_path):
    """A run does not wait for one who asked for something and does not read the answer."""
    options = {"GUEST": "build/guests/flood-1.elf", "RUN": "x", "TIMEOUT": "50", "DISK_IMG": f"{tmp_path}/disk.img"}
    process = subprocess.Popen(["scripts/run"], cwd=front_door.TOP, env={**os.environ, **options},
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    path = f"{front_door.TOP}/{session.RUN_FOLDER}/{process.pid}.ctl"
    with socket.socket(socket.AF_UNIX) as client:
        while True:
            try:
                client.connect(path)
                break
            except OSError:
                assert process.poll() is None
                time.sleep(0.01)
        assert process.wait(30) == 0


def test_line_without_end_is_dropped():
    ours, theirs = socket.socketpair()
    lines, received = control.LineSocket(ours), []
    for text in [b"first\nx"] + [b"x" * 65536] * 200 + [b"x\n{}\nlast", b"\n" + b"y" * 100, b"\n"]:
        theirs.sendall(text)
        received += lines.receive()[0]
        assert len(lines.rest) <= control.LINE_MAX
    assert received == [b"first", b"{}", b"last", b"y" * 100] and lines.dropped == 1


def test_nested_line_is_no_message():
    assert control.decode(b"[" * 200000) is None


def test_names_of_a_trace_are_bounded():
    collector = trace.Collector()
    for number in range(2 * trace.NAMES_MAX):
        collector.add({"names": [[4, number, "sbi", f"{number:#x}"]], "records": ""})
    assert len(collector.names) == trace.NAMES_MAX == collector.nameless
    timeline = types.SimpleNamespace(exits=0, calls=0)
    assert "16'384 names of exits after the first 16'384 were dropped" in trace.tell("x.json", collector, timeline)


def test_handlers_of_a_trace_are_bounded():
    """A guest that never returns from its handlers; those that are left out return first."""
    class Symbols:
        def name(self, address):
            return ""

    events, collector = [], trace.Collector()
    depth = 3 * trace.HANDLERS_MAX

    def record(number, flags):
        return trace.LAYOUT.pack(1000 + 10 * number, 5, 5, 0x80200000, 0x80200100, 2, trace.EXIT, flags, 12, 3, 2, 0)

    packed = [record(number, trace.INJECTED) for number in range(depth)]
    packed += [record(depth + number, trace.RETURNED) for number in range(depth)]
    collector.add({"records": base64.b64encode(b"".join(packed)).decode()})
    timeline = trace.Timeline({}, Symbols(), events.append)
    for one in collector.records():
        timeline.add(one)
        assert len(timeline.handlers) <= trace.HANDLERS_MAX
    assert not timeline.handlers and not timeline.deeper
    handlers = [event for event in map(json.loads, events) if event.get("cat") == "handler"]
    assert len(handlers) == trace.HANDLERS_MAX
