"""Counts: the same per operation however many operations; none where the machine counts no instructions."""

import copy
import json
import re
from dataclasses import replace

import jsonschema
import pytest

from bench import cells, results, samples, schedule
from . import front_door

TOP = front_door.TOP
TIMES = (32, 64, 128)
SPREAD = 0.005
TURNS = 4
LINE = 64  # bytes of `bench uart`: fewer are sent in another way


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    assert front_door.run(["-s", "trident", "guest"], 600)[0] == 0
    path = str(tmp_path_factory.mktemp("counts") / "disk.img")
    schedule.create_disk(path)
    return path


def count(cell, disk):
    """Instructions of an operation, as soon as nothing is learned any more."""
    for turn in range(TURNS):
        sample = samples.take([cell], disk, turn)[0][cell.id]
        assert isinstance(sample, dict), sample
        if not sample.get("learned"):
            return sample["instructions"] / sample["operations"]
    raise AssertionError(f"{cell.id}: the VMM goes on learning: {sample['learned']}")


@pytest.mark.parametrize("strategy", ["ahci", "virtio", "passthrough"])
@pytest.mark.parametrize("workload, unit", [("disk-read-4096-d1", 1), ("console-out", LINE)])
def test_number_of_operations_does_not_matter(disk, strategy, workload, unit):
    """The cells of the headline: what one operation costs is the same in 32, 64 and 128 of them."""
    cell, = [cell for cell in cells.every_cell()
             if cell.id == f"count/trident/{workload}/{strategy}/{cells.PATCH}"]
    each = [count(replace(cell, workload=replace(cell.workload, count=n * unit)), disk) for n in TIMES]
    print(cell.id, each)
    assert max(each) / min(each) - 1 <= SPREAD, each


MEMORY = {"learned": 7, "traces": 0, "holds": 0}


@pytest.mark.parametrize("place, change, found", [
    (0, {"learned": 8}, {}), (1, {"learned": 8}, {"learned": 1}), (2, {"learned": 8}, {"learned": 1}),
    (0, {"traces": 2}, {}), (1, {"traces": 2}, {"traces": -2}), (2, {"holds": 1}, {"holds": 1})])
def test_learning_is_seen(place, change, found):
    """In the run before the two it does no harm; between their beginnings and ends it does, unless it is what
    comes again, and the operations are so many that it does not show."""
    runs = [dict(MEMORY) for _ in range(3)]
    for run in runs[place:] if "learned" in change else runs[place:place + 1]:
        run.update(change)
    seldom = {name: by for name, by in found.items() if name == "learned"}
    for each, operations, expected in ((20_000, 8, found), (1_000_000, 8, found), (100, 1000, found),
                                       (20_000, 1000, seldom)):
        costs = (each * operations, each * operations, 2 * each * operations)
        seen = [{"instructions": cost, "memory": run} for cost, run in zip(costs, runs)]
        assert samples.learned(*seen, operations) == expected


def test_learning_is_marked(disk):
    """Two equal samples agree; not if the VMM learned meanwhile, which the cell then says."""
    cell = next(cell for cell in cells.every_cell() if cell.id.startswith("count/trident/interrupt/virtio"))
    good = samples.sample(1, instructions=5, traps={}, registers={}, devices={}, memory={})
    bad = {**copy.deepcopy(good), "learned": {"traces": 2}}

    def status(*seen):
        row = results.entry(cell, [(turn, False, sample, None) for turn, sample in enumerate(seen)])
        return row["status"], row["why"]

    assert status(good, good) == ("ok", "")
    assert status(bad, good, good) == ("ok", "")
    assert status(bad, bad) == ("unstable", "in 2 of 2 rounds the VMM went on learning (traces +2)")
    assert status(bad, bad, good) == ("unstable", "in 2 of 3 rounds the VMM went on learning (traces +2)")
    assert status(good, {**good, "instructions": 6}) == ("unstable", "2 rounds gave different counts")


def numbers(value, name="instructions"):
    """All that is called so, to any depth."""
    if isinstance(value, dict):
        return [found for key, each in value.items() for found in ([each] if key == name else numbers(each, name))]
    return [found for each in value for found in numbers(each, name)] if isinstance(value, list) else []


@pytest.mark.parametrize("device", ["native", "emulated"])
@pytest.mark.parametrize("counted", [False, True])
def test_instructions_only_where_they_are_counted(disk, tmp_path, device, counted):
    """Without ICOUNT=1 instret is the computer's clock: neither the guest nor the VMM shows it."""
    options = {"DEVICE": device, "RUN": "bench uart 640; bench interrupt 20; bench trap", "DISK_IMG": disk,
               "ICOUNT": str(int(counted)), "STATS": f"{tmp_path}/s.json"}
    if device == "native":
        del options["STATS"]
    status, output = front_door.make(options)
    assert status == 0, output
    lines = [line for line in output.splitlines() if re.match(r"bench .*\d+ ticks", line)]
    assert len(lines) == 2 + len(cells.OPERATIONS)
    assert all(("instructions" in line) == counted for line in lines), lines
    both = [*samples.BENCH_LINE.finditer(output), *samples.TRAP_LINE.finditer(output)]
    assert len(both) == len(lines)
    if device != "native":
        with open(options["STATS"], encoding="utf-8") as file:
            statistics = json.load(file)
        with open(f"{TOP}/docs/statistics.schema.json", encoding="utf-8") as file:
            jsonschema.validate(statistics, json.load(file))
        found = numbers(statistics)
        assert len(found) > 5 and all((value is not None) == counted for value in found)
        assert ("instructions each" in output) == counted and (" ns each" in output) != counted, output
