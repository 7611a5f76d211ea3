"""make top and make stats: what they show of a run that goes on is what happened; and readers who leave early."""

import json
import os
import re
import subprocess
import time

import pexpect
import pytest

from scripts.runner import control, histogram, session, top
from . import front_door


def answer(count, vmm, idle, loads, flushes):
    """Statistics with one row; the guest has run one second more than the VMM."""
    return {
        "config": {"uart": "emulated", "disk": "virtio", "disk_model": "ahci", "patch": "off",
                   "mem": 512 << 20},
        "exits": [{"class": "csr", "mode": "vS", "detail": "sie", "count": count, "nanoseconds": vmm}],
        "devices": {"uart": {"strategy": "emulated/uart", "loads": loads}},
        "memory": {"tlb_flushes": flushes, "vmm_bytes": 2 << 20, "vmm_limit": 14 << 20},
        **{name: {"nanoseconds": spent}
           for name, spent in (("vmm", vmm), ("guest", vmm + 10**9), ("idle", idle))}}


def test_top_tells_rates():
    rates = top.Rates(answer(100, 10**9, 0, 10, 5), answer(700, 2 * 10**9, 10**9, 40, 8))
    assert rates.seconds == 3
    assert rates.exits(lambda row: row["class"]) == [("csr", 200, pytest.approx(100 / 3), 10**9 // 600, 700)]
    assert rates.share("idle") == pytest.approx(100 / 3)
    assert (rates.device("uart", "loads"), rates.memory("tlb_flushes")) == (10, 1)
    reset = top.Rates(answer(700, 2 * 10**9, 0, 40, 8), answer(50, 5 * 10**8, 0, 10, 5))
    assert (reset.seconds, reset.exits(lambda row: row["class"])[0][1]) == (2, 25)


@pytest.mark.parametrize("size", [(80, 24), (60, 12), (200, 60)])
def test_top_fits_the_screen(size):
    lines = top.screen(top.Rates(None, answer(700, 2 * 10**9, 10**9, 40, 8)), *size)
    assert len(lines) < size[1] and max(map(len, lines)) <= size[0]
    assert any(line.startswith("csr ") for line in lines)


def test_top_cuts_no_digit():
    """However many there are of everything, at 79 columns, which is what a terminal of 80 has room for."""
    most = 10**15
    now = answer(most, 10**9, 0, most, most)
    row = now["exits"][0]
    now["exits"] = [{**row, "class": "mmio", "detail": "disk InterruptStatus store", "count": count}
                    for count in (most, 10**7 - 1, 99)]
    now["devices"] = {name: {"strategy": f"passthrough/{name}", **dict.fromkeys(
        ("loads", "stores", "irqs", "notifications", "requests", "bytes"), count)}
        for name, count in (("uart", most), ("disk", 10**7 - 1))}
    now["memory"].update(root_switches=most, fills=most)
    now["config"].update(uart="passthrough", disk="passthrough", patch="cluster")
    wide, narrow = (top.screen(top.Rates(None, now), width, 40) for width in (500, 79))
    assert wide == narrow and max(map(len, wide)) <= 79
    cells = {line[:22]: line[22:].split() for line in wide}
    assert cells["disk: passthrough/disk"] == ["3'333'333"] * 2 + ["3333333"] * 3 + ["3'333'333"]
    assert cells["uart: passthrough/uart"] == ["333'333G", "333'333G", "333333G", "333333G", "333'333G", "333333333M"]
    assert any(line.startswith("disk InterruptStatus store ") for line in wide)


def test_top_fits_a_number():
    for width in range(6, 16):
        for value in (0, 9, 999, 99_999, 999_999, 1_000_000, 999_999_999, 10**12 + 1, 10**18):
            text = top.fit(value, width)
            assert len(text) == width and text[0] == " "
            digits, unit = re.fullmatch(r" +([\d']+)([kMGTPE]?)", text).groups()
            shown = int(digits.replace("'", "")) * 1000 ** " kMGTPE".index(unit or " ")
            assert shown == pytest.approx(value, rel=0.1)


def test_spread_of_a_histogram():
    """Entries of 1, 98 and 1 exits; then what an open end and a single exit say."""
    assert histogram.spread({3: 1, 6: 98, 9: 1}) == (3, 6, 6, 9)
    assert histogram.spread({3: 50, 6: 50}) == (3, 3, 6, 6)
    assert histogram.spread({6: 98, 9: 2, 12: 0}) == (6, 6, 9, 9)
    assert histogram.spread({23: 1}) == (23,) * 4
    assert [histogram.words(entry) for entry in (0, 6, 9, 12, 20, 23)] == [
        "0 to 2", "64 to 128", "512 to 1k", "4k to 8k", "1M to 2M", "8M or more"]
    rows = [{"class": "csr", "histogram": [0, 2, 1]}, {"class": "csr", "histogram": [4]},
            {"class": "sbi", "histogram": [0, 0, 9]}, {"class": "wfi", "histogram": []}]
    assert histogram.of_classes({"exits": rows}) == {"sbi": {2: 9}, "csr": {0: 4, 1: 2, 2: 1}}


@pytest.fixture
def going_on(tmp_path):
    """A run that does something for a while."""
    options = {"UART": "emulated", "DISK_IMG": f"{tmp_path}/disk.img", "TIMEOUT": "60",
               "PATCH": "ecall", "RUN": "bench uart 1000; sleep 50000"}
    process = subprocess.Popen([*front_door.MAKE, *front_door.words(options), "qemu"], cwd=front_door.TOP,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    for line in process.stdout:
        if line.startswith(b"# sleep"):
            break
    yield process
    control.ask(control.connect(session.RUN_FOLDER), "quit") if process.poll() is None else None
    process.wait(30)
    process.stdout.close()


def terminal():
    return pexpect.spawn(front_door.MAKE[0], [*front_door.MAKE[1:], "top"], cwd=front_door.TOP, timeout=20,
                         encoding="utf-8", dimensions=(24, 80), env={**os.environ, "TERM": "xterm"})


def test_top_of_a_run(going_on):
    status, text = front_door.run(["ONCE=1", "top"])
    assert status == 0
    lines = text.splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 80
    assert "uart emulated, disk virtio" in lines[0]
    shares = [float(share) for share in re.findall(r"([\d.]+) %", lines[1])]
    assert sum(shares) == pytest.approx(100, abs=0.3)
    lines = control.connect(session.RUN_FOLDER)
    stores = control.ask(lines, "stats")["statistics"]["devices"]["uart"]["stores"]
    mmio = next(line for line in text.splitlines() if line.startswith("mmio "))
    assert stores > 1000 and int(mmio.split()[-1].replace("'", "")) > 1000
    assert control.ask(lines, "reset")["reply"] == "reset"  # in the middle of the guest's wfi
    _, text = front_door.run(["ONCE=1", "top"])
    assert float(re.search(r"idle ([\d.]+) %", text)[1]) > 90, "a guest that sleeps is idle while it does"
    for key in ("q", "\x03"):
        child = terminal()
        child.expect("q quits")
        child.send(key)
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == 0 and "Traceback" not in child.before
    child = terminal()
    child.expect("q quits")
    control.ask(lines, "quit")
    child.expect("the run has ended")
    child.expect(pexpect.EOF)
    going_on.wait(30)


def make_into(reader, *words):
    """What a pipe of make and a reader like `head` writes, and the reader's part."""
    done = subprocess.run(f"{' '.join(front_door.MAKE)} {' '.join(words)} | {reader}", shell=True, cwd=front_door.TOP,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    return done.stderr, done.stdout.splitlines()


def test_tables_of_a_run(going_on):
    """make stats has the costs of each class; a reader who leaves early hears of no traceback."""
    for words in (("ONCE=1", "top"), ("stats",)):
        said, lines = make_into("head -1", *words)
        assert len(lines) == 1 and said == "", said
    said, lines = make_into("sed '/ median /,/^mmio/!d; / median /!{/^mmio/q}'", "stats")
    assert said == "" and lines[0].split()[-4:] == list(histogram.SPREAD) and max(map(len, lines)) <= 80
    assert re.fullmatch(r"mmio( +\d+[kM]? (to \d+[kM]?|or more)){4}", lines[-1]), lines
    for word, reply in (("pause", "pause"), ("where", "where"), ("resume", "resume"), ("reset", "reset")):
        status, text = front_door.run(["-s", word])
        assert status == 0 and json.loads(text)["reply"] == reply
    assert going_on.poll() is None


def test_walk_into_a_pipe():
    said, _ = make_into("true", "EVENT=sbi", "walk")
    assert said == "", said


@pytest.mark.parametrize("word", ["where", "pause", "resume", "reset"])
def test_commands_are_in_the_help(word):
    _, text = front_door.run(["help"])
    assert re.search(rf"^  make (?:[\w |]* )?{word}\b", text, re.MULTILINE)


def test_top_without_a_run():
    deadline = time.monotonic() + 20
    while control.live_runs(session.RUN_FOLDER) and time.monotonic() < deadline:
        time.sleep(0.5)  # another test's may still be ending
    status, text = front_door.run(["top"])
    assert status == 1 and "no run with the VMM is going on" in text
    assert len(text.strip().splitlines()) == 2  # and make's
