"""Guests that never give up the hart (tests/guests/stuck.c): the control channel answers beside each."""

import os
import signal
import subprocess
import time

import pytest

from scripts.runner import control, session
from . import front_door

CASES = range(17)
NO_UART = range(12)  # of these, what needs no 16550
SECONDS = 0.25       # for an answer
ASKED = 6            # times
BOARDS = [("emulated", {"DEVICE": "emulated"}, CASES), ("virtio", {"DEVICE": "virtio"}, NO_UART),
          ("passthrough", {"DEVICE": "passthrough"}, CASES),
          ("mapped", {"DEVICE": "passthrough", "PLIC": "mapped"}, CASES)]
RUNS = [pytest.param(case, options, id=f"{case}-{name}") for name, options, cases in BOARDS for case in cases]


@pytest.fixture(scope="module", autouse=True)
def built():
    status, output = front_door.run(["-s", "trident", "guests-bare"])
    assert status == 0, output


def ask(lines, command):
    """The answer, or None if there is none in time."""
    try:
        return control.ask(lines, command)
    except TimeoutError:
        return None


@pytest.fixture
def stuck(case, options, tmp_path):
    """The control channel of a run whose guest is stuck."""
    words = front_door.words({"GUEST": f"build/guests/stuck-{case}.elf", "DISK_IMG": f"{tmp_path}/disk.img",
                              "MEM": "64M", "TIMEOUT": "60", **options})
    process = subprocess.Popen([*front_door.MAKE, *words, "qemu"], cwd=front_door.TOP, start_new_session=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    lines = None
    for line in process.stdout:
        if b"stuck" in line:  # the firmware may have written in front of it
            lines = control.connect(session.RUN_FOLDER)
            break
    try:
        yield lines
    finally:
        if not lines or not ask(lines, "quit"):
            os.killpg(process.pid, signal.SIGTERM)
        process.communicate(timeout=30)


@pytest.mark.parametrize("case,options", RUNS)
def test_control_channel_answers(stuck):
    assert stuck, "the guest did not say that it is stuck"
    stuck.connection.settimeout(10)
    ask(stuck, "where")  # the first one may still meet the start
    took = []
    for _ in range(ASKED):
        begin = time.monotonic()
        answer = ask(stuck, "where")
        took.append(time.monotonic() - begin)
        assert answer and answer["reply"] == "where" and answer["mode"] == "vS"
        time.sleep(0.07)  # not in step with anything periodic
    assert sorted(took)[ASKED // 2] < SECONDS, took  # the machine that tests may be busy once
