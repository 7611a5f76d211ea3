"""make bench's runner: counts that repeat, resuming, compare, the baseline, sweep. Bad input."""

import copy
import json
import os
import shutil
import signal
import subprocess
import threading
import time

import jsonschema
import pytest

from bench import cells, measure, samples, schedule
from scripts.runner import machine
from . import bench_hosts, front_door

TOP = front_door.TOP
SMALL = "^count/trident/(console-out|interrupt)/(native|virtio/[a-z]+)$"
FIGURES = ("operations", "instructions", "traps", "registers")


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def write(path, value):
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return str(path)


def figures(whole):
    """What must repeat: of each cell the counts that two boots agreed on."""
    return {cell["id"]: cell["derived"] for cell in whole["cells"]}


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    status, output = front_door.run(["-s", "trident", "guest"], 600)
    assert status == 0, output
    return bench_hosts.clone(str(tmp_path_factory.mktemp("bench") / "clone"))


@pytest.fixture(scope="module")
def small(clone):
    """The result of a small bench in the clone."""
    status, output = bench_hosts.run(clone, "make", "bench", "QUICK=1", f"ONLY={SMALL}".replace("$", "$$"))
    assert status == 0, output
    return load(f"{clone}/build/bench/results.json")


def test_result(clone, small):
    jsonschema.validate(small, load(f"{TOP}/docs/results.schema.json"))
    assert {cell["id"].split("/")[2] for cell in small["cells"]} == {"console-out", "interrupt"}
    assert all(cell["status"] == "ok" and cell["repeatable"] for cell in small["cells"])
    ours = next(cell for cell in small["cells"] if "console-out/virtio" in cell["id"])
    assert ours["native"] == "count/trident/console-out/native"
    assert ours["derived"]["ratio"]["median"] > 1
    assert ours["derived"]["registers"]["uart"]
    assert sum(ours["derived"]["groups"].values()) == pytest.approx(ours["derived"]["traps"]["total"])


def test_resume(clone, small):
    """Killed in the middle, it goes on, and gives the same."""
    environment = {**os.environ, "QUICK": "1", "ONLY": SMALL}
    journal = f"{clone}/build/bench/journal.jsonl"
    process = subprocess.Popen(["bench/run"], cwd=clone, env=environment, stdout=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        if os.path.exists(journal) and len(open(journal, encoding="utf-8").readlines()) >= 3:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with open(journal, "a", encoding="utf-8") as file:
        file.write('{"machine": "cut o')
    status, output = bench_hosts.run(clone, "bench/run", QUICK="1", ONLY=SMALL)
    assert status == 0 and "going on with 2 runs" in output, output
    assert figures(load(f"{clone}/build/bench/results.json")) == figures(small)


def clock(level):
    rounds = {method: row[level] for method, row in cells.ROUNDS.items()}
    return schedule.Clock(schedule.rows_of(cells.select(level)), rounds)


def test_time_left():
    """What is usual fits what is promised; then what this computer took counts."""
    assert clock(cells.QUICK).seconds() < 5 * 60 and 10 * 60 < clock(cells.DEFAULT).seconds() < 26 * 60
    slow = clock(cells.DEFAULT)
    whole, (name, other) = slow.seconds(), list(slow.planned)[:2]
    slow.note(name, 2 * slow.usual[name])
    assert whole - slow.usual[name] < slow.seconds() < 2 * (whole - slow.usual[name])
    slow.note(other, 2 * slow.usual[other])
    assert slow.planned[name] == slow.planned[other] == 1
    assert slow.left().endswith(" min")


def passes(*ticks):
    """A console on which each pass over two workloads took so many ticks."""
    chosen = [cell for cell in cells.select(cells.QUICK) if cell.method == "time" and
              cell.workload.name in ("console-out", "interrupt") and cell.strategy == "native"]
    lines = [f"bench {name}: {cell.operations} {unit}, {mine}, 0 instructions"
             for mine in ticks for cell, (name, unit) in zip(chosen, (("uart", "bytes"), (
                 "interrupt", "interrupts")))]
    return chosen, {"console": "\n".join(lines) + "\n", "marks": [], "why": ""}


def test_passes():
    """A sample is the middle pass of its boot; a boot that lacks a line has none of that workload."""
    chosen, seen = passes("500 ticks", "90 ticks", "100 ticks")
    assert len(chosen) == 2
    for sample in samples.take_lines(chosen, seen).values():
        assert sample["ns"] == 10_000 and sample["more"] == {"passes": [500, 90, 100]}
    seen["console"] = seen["console"].rsplit("bench", 1)[0]
    first, second = samples.take_lines(chosen, seen).values()
    assert first["ns"] == 10_000 and second == "the guest did not carry it out"


def test_headline_is_counted_at_every_level():
    """The README's first table has the textbook's level beside the default's; where the default is dearer
    than a level below it can be said of the smallest matrix too."""
    names = {cell.id for cell in cells.select(cells.QUICK)}
    deep = {cell.id for cell in cells.select(cells.DEFAULT)}
    for level in cells.LEVELS:
        for strategy in ("ahci", "virtio", "passthrough"):
            assert f"count/trident/disk-read-4096-d1/{strategy}/{level}" in names
            assert f"count/trident/console-out/{strategy}/{level}" in names
    for strategy in cells.VMM:
        assert f"count/trident/disk-read-4096-d1/{strategy}/{cells.TEXTBOOK}" in names
        assert f"count/trident/disk-read-4096-d8/{strategy}/{cells.TEXTBOOK}" in deep


@pytest.mark.parametrize("level", [cells.QUICK, cells.DEFAULT, cells.FULL])
def test_boots_fit(level):
    """What a boot of our guest is to carry out is not more than its boot arguments can hold."""
    made = 0
    for machine_cells in (part for row in schedule.rows_of(cells.select(level)) for part in row):
        if machine_cells[0].machine[2] in ("bench", "deep"):
            made += 1
            commands = "; ".join(samples.commands_of(machine_cells))
            options = samples.measure.parse(machine_cells[0].options(), RUN=commands)
            assert commands in machine.command_line(options)
    assert made > 10


def test_failed_cell(clone):
    """A run that fails is shown with its log, and the others are measured."""
    name = f"{clone}/build/trident/trident.bin"
    os.rename(name, f"{name}.aside")
    try:
        with open(name, "wb") as file:
            file.write(b"\0" * 4096)  # illegal instructions
        status, output = bench_hosts.run(
            clone, "/usr/bin/python3", "-c",
            "import json\n"
            "from bench import cells, facts, measure, schedule\n"
            "measure.SECONDS = 5\n"
            f"run = schedule.Bench(cells.select(0, {SMALL!r}), 0, facts.machine(), 'build/failing')\n"
            "json.dump(run.run(), open('build/failing.json', 'w'))")
    finally:
        os.rename(f"{name}.aside", name)
    assert status == 0 and "FAILED" in output, output
    whole = load(f"{clone}/build/failing.json")
    jsonschema.validate(whole, load(f"{TOP}/docs/results.schema.json"))
    for cell in whole["cells"]:
        assert cell["status"] == ("ok" if cell["strategy"] == "native" else "failed")
        assert cell["strategy"] == "native" or "no end after" in cell["why"]
        assert cell["strategy"] == "native" or os.path.exists(f"{clone}/{cell['log']}")


def test_compare_finds_a_planted_trap(clone, small, tmp_path):
    """One SBI call more in the guest's interrupt bench: seen there, and nowhere else."""
    before = write(tmp_path / "before.json", small)
    shutil.copytree(clone, tmp_path / "other", symlinks=True)
    source = tmp_path / "other/guest-drivers/programs/benchwait.c"
    text = source.read_text()
    line = "        time_set(deadline);\n"
    assert line in text
    source.write_text(text.replace(line, f"{line}        sbi_call(SBI_EXT_BASE, 0, 0, 0, 0);\n"))
    bench_hosts.git(str(tmp_path / "other"), "commit", "-qam", "an extra trap")
    status, output = bench_hosts.run(str(tmp_path / "other"), "make", "bench", "QUICK=1",
                                     f"ONLY={SMALL}".replace("$", "$$"))
    assert status == 0, output
    after = str(tmp_path / "other/build/bench/results.json")
    status, output = bench_hosts.run(TOP, "bench/compare", before, after)
    regressions = [text for text in output.splitlines() if text.endswith("REGRESSION")]
    assert status == 1, output
    assert any("/interrupt/virtio" in text and " traps " in text for text in regressions), output
    assert not any("console-out" in text for text in regressions), output
    status, output = bench_hosts.run(TOP, "bench/compare", before, before)
    assert status == 0 and " 0 regressions" in output, output


def timed(small, low, high, rounds):
    """A result with one timed cell, whose ratios are from low to high."""
    whole = copy.deepcopy(small)
    cell = next(cell for cell in whole["cells"] if cell["strategy"] != "native")
    middle = (low + high) / 2
    interval = {"median": middle, "low": low if rounds > 2 else None, "high": high if rounds > 2 else None}
    cell.update(method="time", repeatable=None)
    cell["derived"].update(ratio=interval, rounds=rounds)
    whole["cells"] = [cell]
    return whole


def test_compare_times(small, tmp_path):
    a = write(tmp_path / "a.json", timed(small, 2.0, 2.4, 10))
    for low, high, expected in ((2.3, 2.9, 0), (2.5, 2.9, 1), (1.0, 1.5, 0)):
        b = write(tmp_path / "b.json", timed(small, low, high, 10))
        status, output = bench_hosts.run(TOP, "bench/compare", a, b)
        assert status == expected, output


def refusals(small, tmp_path):
    """(name, file, sentence): results that cannot be compared."""
    text = json.dumps(small)
    mixed = copy.deepcopy(small)
    mixed["machine"]["hosts"] = [{**small["machine"], "commit": "0" * 12}]
    return [("truncated", text[:len(text) // 2], "is no whole JSON file"),
            ("other", json.dumps({"schema": 1, "runs": []}), "has schema 1, and this bench reads schema 2"),
            ("none", "[]", "is no result of make bench"),
            ("part", json.dumps({**small, "cells": []}), "is not complete"),
            ("mixed", json.dumps(mixed), "mixes results of the commits"),
            ("few", json.dumps(timed(small, 1, 2, 2)), "too few samples")]


def test_compare_refuses(small, tmp_path):
    good = write(tmp_path / "good.json", timed(small, 1, 2, 10))
    for name, text, sentence in refusals(small, tmp_path):
        bad = write(tmp_path / f"{name}.json", text)
        status, output = front_door.run(["compare", f"A={good}", f"B={bad}"])
        assert status == 2 and sentence in output, (name, output)
        assert output.count("compare: ") == 1
        assert open(bad, encoding="utf-8").read() == text
    status, output = front_door.run(["compare", f"A={good}"])
    assert status == 2 and "name two results" in output


@pytest.mark.parametrize("options, sentence", [
    (["ONLY=nonsense"], "ONLY=nonsense selects no cell"), (["ONLY=("], "ONLY=( is no regular expression"),
    (["QUICK=2"], "QUICK=2 is not known"), (["QUICK=1", "FULL=1"], "exclude each other"),
    (["QUIK=1"], "did you mean QUICK"), (["DEVICE=virtio"], "select cells with ONLY=")])
def test_bench_refuses(options, sentence):
    status, output = front_door.run(["bench", *options])
    assert status == 2 and sentence in output


def test_baseline():
    """This tree's counts are those that are committed. `make baseline` renews them on purpose."""
    done = subprocess.run(["bench/baseline"], cwd=TOP, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_baseline_sees_a_change(clone):
    path = f"{clone}/bench/baseline.json"
    code = ("import copy, json\n"
            "from bench import baseline\n"
            f"cells = json.load(open({path!r}))['cells']\n"
            "name = next(name for name in cells if 'virtio' in name)\n"
            "for change in (lambda c: c['traps'].update(total=c['traps']['total'] + 1),\n"
            "               lambda c: c.update(instructions=c['instructions'] * 1.03),\n"
            "               lambda c: c.update(instructions=c['instructions'] * 1.01)):\n"
            "    other = copy.deepcopy(cells); change(other[name])\n"
            "    print(len(list(baseline.differences(cells, other, baseline.TOLERANCE))))\n")
    status, output = bench_hosts.run(clone, "/usr/bin/python3", "-c", code)
    assert status == 0 and output.split() == ["1", "1", "0"], output
    code = code.replace("baseline.TOLERANCE", "baseline.OTHER_COMPILER").replace("* 1.03", "* 1.07")
    status, output = bench_hosts.run(clone, "/usr/bin/python3", "-c", code)
    assert status == 0 and output.split() == ["0", "1", "0"], output


SWEPT = "^count/trident/(disk-read-4096-d1|console-out|interrupt|op-.*)/(native|virtio/[a-z]+)$"


def test_sweep(clone, tmp_path):
    """Three hosts, one of which dies in the middle: complete, and the counts of a local run."""
    folders = [f"{tmp_path}/{name}" for name in ("a", "b", "c")]
    for folder in folders:
        shutil.copytree(clone, folder, symlinks=True)
        shutil.rmtree(f"{folder}/build/sweep", ignore_errors=True)
    keys = bench_hosts.make_keys(str(tmp_path))
    hosts = [bench_hosts.Host(i + 1, folder, keys) for i, folder in enumerate(folders)]
    try:
        table = write(tmp_path / "hosts", "".join(f"{host.line}\n" for host in hosts))
        process = subprocess.Popen(["bench/sweep", table], cwd=clone, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                   env={**os.environ, "QUICK": "1", "ONLY": SWEPT})
        end = time.monotonic() + 60
        while time.monotonic() < end and not started(folders[1]):
            time.sleep(0.1)
        assert started(folders[1])
        hosts[1].die()
        output = process.communicate(timeout=120)[0]
        assert process.returncode == 0, output
    finally:
        for host in hosts:
            host.die()
    swept = load(f"{clone}/build/sweep/results.json")
    assert {host["name"].rsplit("/", 1)[1] for host in swept["machine"]["hosts"]} == {"a", "c"}
    status, output = bench_hosts.run(clone, "bench/run", QUICK="1", ONLY=SWEPT)
    assert status == 0, output
    assert figures(swept) == figures(load(f"{clone}/build/bench/results.json"))
    jsonschema.validate(swept, load(f"{TOP}/docs/results.schema.json"))


def started(folder):
    """The host has finished a boot of its first bundle."""
    bundle = f"{folder}/build/sweep"
    return any(os.path.exists(f"{bundle}/{name}/journal.jsonl") and
               len(open(f"{bundle}/{name}/journal.jsonl", encoding="utf-8").readlines()) > 1
               for name in (os.listdir(bundle) if os.path.isdir(bundle) else ()))


@pytest.mark.parametrize("text, sentence", [
    ("", "it is empty"), ("alone\n", "each line needs the folder of a clone"),
    ("/none -p 1 127.0.0.1\n", "no host answers")])
def test_sweep_refuses(clone, tmp_path, text, sentence):
    hosts = write(tmp_path / "hosts", text)
    status, output = bench_hosts.run(clone, "bench/sweep", hosts, QUICK="1", ONLY=SMALL)
    assert status == 2 and sentence in output


def test_input_is_sent_when_its_line_is_whole(monkeypatch):
    """A console's bytes come in pieces: half of a number asks for nothing."""
    asked = []
    run = measure.Run.__new__(measure.Run)
    run.console, run.sent, run.pause = b"", 0, 0
    monkeypatch.setattr(run, "send", asked.append)
    pieces, source = os.pipe()
    with open(pieces, "rb", buffering=0) as stdout, open(source, "wb", buffering=0) as console:
        for piece in (b"# bench input 900\nbench input: send 92", b"4\nbench ", b"input: send 7\r\n"):
            console.write(piece)
            run.on_console(stdout)
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and thread.daemon:
            thread.join(1)
    assert sorted(asked) == [7, 924]
