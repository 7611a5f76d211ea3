"""Runs the manifest's rows."""

import json
import os
import re
import time

import jsonschema
import pytest

from . import files, front_door, manifest


@pytest.fixture(scope="session")
def file_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    files.make(folder)
    return folder


def fill(options, file_folder, tmp):
    places = {"files": file_folder, "tmp": tmp}
    filled = {name: value.replace("{files}", str(places["files"])).replace("{tmp}", str(places["tmp"]))
              for name, value in options.items()}
    filled.setdefault("DISK_IMG", f"{tmp}/disk.img")
    return filled


def snapshot(*folders):
    """Every file with its size and time of change."""
    found = {}
    for folder in folders:
        for place, _, names in os.walk(folder):
            for name in names:
                status = os.stat(os.path.join(place, name))
                found[os.path.join(place, name)] = (status.st_size, status.st_mtime_ns)
    return found


def check_output(row, output):
    at = 0
    for pattern in row.expect:
        match = re.compile(pattern, re.MULTILINE).search(output, at)
        assert match, f"there is no {pattern!r}"
        at = match.end()
    for pattern in row.absent:
        assert not re.search(pattern, output, re.MULTILINE), f"there is {pattern!r}"


def check_statistics(path, untrapped):
    with open(path, encoding="utf-8") as file:
        statistics = json.load(file)
    with open(f"{front_door.TOP}/docs/statistics.schema.json", encoding="utf-8") as file:
        jsonschema.validate(statistics, json.load(file))
    accesses = {name: row["loads"] + row["stores"] for name, row in statistics["devices"].items()}
    if untrapped:
        assert not any(accesses.values()), f"passed-through registers trapped: {accesses}"
    else:
        assert all(accesses.values()), f"no trapped access was counted: {accesses}"
    assert statistics["host"]["qemu"] and statistics["host"]["commit"]


@pytest.mark.parametrize("row", manifest.ROWS, ids=lambda row: row.name)
def test_row(row, file_folder, tmp_path):
    options = fill(row.options, file_folder, tmp_path)
    command = front_door.shown(options)
    before = snapshot(file_folder, tmp_path)
    begin = time.monotonic()
    status, output = front_door.make(options, row.seconds)
    seconds = time.monotonic() - begin
    print(f"{output[-3000:]}\nThe same again: {command}")
    assert status is not None, f"no end after {row.seconds} s"
    assert status == row.status
    assert seconds <= row.seconds
    check_output(row, output)
    if row.untouched:
        assert snapshot(file_folder, tmp_path) == before
    if row.stats:
        untrapped = row.options["DEVICE"] == "passthrough" and "WATCH" not in row.options
        check_statistics(options["STATS"], untrapped)


def selftest_lines(output):
    """What selftest printed, its totals included, without what may differ."""
    printed = re.search(r"^# selftest\n(.*^selftest: .*?$)", output, re.MULTILINE | re.DOTALL)
    assert printed, "selftest did not end with its totals"
    lines = printed[1].splitlines()
    differs = [re.compile(pattern) for pattern, _ in manifest.SELFTEST_DIFFERS]
    return [line for line in lines if not any(pattern.search(line) for pattern in differs)]


def selftest(options, tmp_path):
    options = {**options, "RUN": "selftest", "DISK_IMG": f"{tmp_path}/disk.img"}
    status, output = front_door.make(options, 120)
    print(f"{output[-3000:]}\nThe same again: {front_door.shown(options)}")
    assert status == 0
    return selftest_lines(output)


@pytest.fixture(scope="session")
def native_selftest(tmp_path_factory):
    """The oracle, once for each address mode."""
    return {mmu: selftest({"DEVICE": "native", "MMU": mmu}, tmp_path_factory.mktemp("native"))
            for mmu in ("sv39", "sv48")}


@pytest.mark.parametrize("options", manifest.SELFTESTS, ids=lambda options: "-".join(options.values()))
def test_selftest_as_native(options, native_selftest, tmp_path):
    expected = native_selftest[options["MMU"]]
    assert sum(line.endswith(": ok") for line in expected) >= 150
    assert selftest(options, tmp_path) == expected


def test_mapped_plic_does_not_trap(tmp_path):
    """Claim and complete are the hardware's: what is left is the set-up."""
    counts = {}
    for plic in ("emulated", "mapped"):
        options = {"DEVICE": "passthrough", "PLIC": plic, "PATCH": "ecall", "STATS": f"{tmp_path}/{plic}.json",
                   "RUN": "bench disk read 4096 64 1", "DISK_IMG": f"{tmp_path}/disk.img"}
        status, output = front_door.make(options)
        print(f"{output[-3000:]}\nThe same again: {front_door.shown(options)}")
        assert status == 0
        with open(options["STATS"], encoding="utf-8") as file:
            statistics = json.load(file)
        assert statistics["config"]["plic"] == plic
        counts[plic] = sum(row["count"] for row in statistics["exits"] if row["class"] == "plic")
    assert counts["emulated"] >= 3 * 64 and counts["mapped"] == 0


@pytest.mark.parametrize("device", ("native", "virtio"))
def test_date_is_right(device, tmp_path):
    """Linux takes its time from the board's clock; the run takes some seconds itself."""
    options = {"GUEST": "linux", "DEVICE": device, "RUN": "date +%s; poweroff -f",
               "DISK_IMG": f"{tmp_path}/disk.img"}
    begin = time.time()
    status, output = front_door.make(options)
    print(f"{output[-3000:]}\nThe same again: {front_door.shown(options)}")
    assert status == 0
    assert begin - 1 <= int(re.search(r"^(\d{9,})$", output, re.MULTILINE)[1]) <= time.time() + 1


def test_help_names_every_option():
    with open(f"{front_door.TOP}/Makefile", encoding="utf-8") as file:
        options = re.search(r"^OPTIONS := ((?:.*\\\n)*.*)", file.read(), re.MULTILINE)[1]
    _, output = front_door.run(["help"])
    missing = [name for name in options.replace("\\\n", " ").split()
               if not re.search(rf"\b{name}\b", output)]
    assert not missing
