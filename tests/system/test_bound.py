"""An exit has a bound: whatever a guest does, the VMM is soon back at its interrupts, its control channel and the
guest (docs/devices.md)."""

import os
import signal
import subprocess
import time

import pytest

from scripts.runner import control
from scripts.runner.session import RUN_FOLDER
from . import front_door
from .test_guests import STRATEGIES, assert_no_long_exit, built, name  # noqa: F401 (built is a fixture)

ANSWER = 0.25  # seconds until the control channel has answered

# Guests of our own that go on for ever: tests/guests/NAME.c with CASE 2.
HOSTILE = {
    "floodconsole-2": {"DEVICE": "virtio"},
    "flooddisk-2": {"DEVICE": "virtio"},
    "floodahci-2": {"DEVICE": "emulated"},
    "floodfence-2": {"DEVICE": "virtio"},
    "floodmarks-2": {"DEVICE": "virtio"},
    "faults": {"DEVICE": "virtio"},
}
OWN = [
    *({"DEVICE": device, "RUN": "selftest; disktest"} for device in STRATEGIES),
    {"DEVICE": "emulated", "DISK_MODEL": "ata", "RUN": "disktest"},
    {"DEVICE": "virtio", "ABLATE": "copy", "RUN": "disktest"},
    {"DEVICE": "emulated", "ABLATE": "copy,batch", "RUN": "disktest"},
    *({"DEVICE": device, "GUEST": "linux", "RUN": "poweroff -f"} for device in STRATEGIES),
]


@pytest.mark.parametrize("options", OWN, ids=name)
def test_longest(options, tmp_path):
    """What runs on our guest and on Linux (the bare guests: test_guests.py). How it ends is asked elsewhere."""
    options = {"TIMEOUT": "250", **options, "ICOUNT": "1", "STATS": f"{tmp_path}/stats.json",
               "DISK_IMG": f"{tmp_path}/disk.img"}
    status, output = front_door.make(options, 280)
    print(f"{output[-3000:]}\nThe same again: {front_door.shown(options)}")
    assert status is not None
    assert_no_long_exit(options["STATS"])


def load():
    """How much longer work takes here now than it would alone: 1 on a machine that is idle."""
    begin, used = time.monotonic(), time.process_time()
    while time.process_time() - used < 0.02:
        pass
    return (time.monotonic() - begin) / 0.02


def connect(seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        lines = control.connect(RUN_FOLDER)
        if lines:
            lines.connection.settimeout(20)
            return lines
        time.sleep(0.1)
    return None


@pytest.mark.parametrize("guest,options", HOSTILE.items(), ids=HOSTILE)
def test_control_channel_answers(guest, options, tmp_path, monkeypatch):
    """Beside each hostile guest, from its beginning on."""
    monkeypatch.chdir(front_door.TOP)
    options = {"GUEST": f"build/guests/{guest}.elf", "DISK_IMG": f"{tmp_path}/disk.img", "TIMEOUT": "60", **options}
    with open(tmp_path / "output", "wb") as output, \
            subprocess.Popen([*front_door.MAKE, *front_door.words(options), "qemu"], stdin=subprocess.DEVNULL,
                             stdout=output, stderr=output, start_new_session=True) as run:
        try:
            lines = connect()
            assert lines, "the run did not begin"
            asked = control.ask(lines, "where")  # waits until the machine is up
            for _ in range(20):
                slow, begin = max(load(), 1), time.monotonic()
                answer = control.ask(lines, "where")
                seconds = time.monotonic() - begin
                assert answer and answer["mode"] in ("vS", "vU"), answer
                slow = max(load(), slow)
                assert seconds <= ANSWER * slow, f"an answer took {seconds:.2f} s (load {slow:.1f})"
                time.sleep(0.1)
            assert asked and run.poll() is None, "the guest ended"
        finally:
            if run.poll() is None:
                os.killpg(run.pid, signal.SIGTERM)
            run.wait()
