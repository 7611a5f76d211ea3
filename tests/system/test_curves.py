"""The growth curves: what counts as worse than linear, and one run in short."""

import json
import re
import shutil
import subprocess

import pytest

from bench.workloads import curves
from . import front_door, test_workloads


def rows(device, costs):
    """A ring whose one hop costs what costs say, at 1, 2, 4 ... processes."""
    return [{"curve": "ring", "x": 1 << i, "device": device, "ns": cost, "instructions": cost,
             "traps": None if device == "native" else cost / 100} for i, cost in enumerate(costs)]


def worse(native, vmm):
    """{quantity: the sizes up to which it grows worse than linear}."""
    found = curves.growth(rows("native", native) + rows("virtio", vmm))
    return {row["quantity"]: [step["x"] for step in row["worse"]] for row in found}


def test_curves_linear():
    assert worse([1000] * 4, [9000] * 4) == {"instructions": [], "ns": [], "traps": []}


def test_curves_planted():
    """The cost of a hop doubles from 4 processes to 8: that of a round grows with the square."""
    assert worse([1000] * 4, [9000, 9000, 9000, 18000]) == {"instructions": [8], "ns": [8], "traps": [8]}


def test_curves_native_too():
    """What grows natively as well is not the VMM's."""
    assert worse([1000, 1000, 2000], [9000, 9000, 18000]) == {"instructions": [], "ns": [], "traps": []}


def test_curves_exponents():
    whole = curves.growth(rows("native", [1000] * 3) + rows("virtio", [9000, 18000, 36000]))[0]
    assert (whole["native"], whole["vmm"]) == (1, 2)


def test_curves_run():
    arguments = ["workload", "W=curves", "DEVICE=virtio", "OPS=queue_depth touch_again", "MEM=512M"]
    status, output = front_door.run(arguments, 300)
    print(output[-3000:])
    assert status == 0
    assert re.findall(r"^\[\d+/\d+\] .* left  (.*)$", output, re.MULTILINE) == [
        "virtio, time", "virtio, time", "virtio, instructions and traps"]
    assert "trident-linux" not in output, "the guest's console is not shown"
    result = test_workloads.result("build/workload/curves-virtio.json", "curves")
    found = {curve: {row["x"]: row["traps"] for row in result["rows"] if row["curve"] == curve}
             for curve in ("queue_depth", "touch_again")}
    assert list(found["queue_depth"]) == [1, 2, 4, 8, 16, 32, 64]
    assert found["queue_depth"][1] > found["queue_depth"][64] > 0  # requests under way together share traps
    assert list(found["touch_again"]) == [1, 4, 16, 64, 256]
    # What was filled is kept, with an empty TLB too: if it were not, one touch in eight would trap at least. Work that
    # Linux had put off may fall into one of the five measurements.
    *others, most = sorted(found["touch_again"].values())
    assert max(others) < 0.02 and most < 0.1


@pytest.fixture(name="tree")
def tree_fixture(tmp_path):
    """As much of the sources as draws, with a page in docs/."""
    for folder in ("bench", "scripts"):
        shutil.copytree(f"{front_door.TOP}/{folder}", tmp_path / folder, symlinks=True)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/growth.md").write_text(
        "before\n<!-- begin: bench/draw_curves.py -->\nold\n<!-- end -->\nafter\n", encoding="utf-8")
    return tmp_path


def draw(tree, *arguments):
    done = subprocess.run(["/usr/bin/python3", "-m", "bench.draw_curves", *arguments], cwd=tree,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False)
    return done.returncode, done.stdout


def test_curves_are_drawn_into_build(tree):
    """`make curves` touches no file of the sources; `make growth` renews docs/, between the marks."""
    old = (tree / "docs/growth.md").read_text(encoding="utf-8")
    status, said = draw(tree)
    assert status == 1 and "build/curves.json is not there: `make curves DEVICE=virtio` measures it" in said
    made = [{**row, "patch": "inline", "n": 8} for row in rows("native", [1000] * 3) + rows("virtio", [9000] * 3)]
    (tree / "build").mkdir()
    (tree / "build/curves.json").write_text(json.dumps({
        "schema": 1, "commit": "0123456789ab", "mem": 512 << 20, "load": 0.1, "rows": made,
        "growth": curves.growth(made)}), encoding="utf-8")
    status, said = draw(tree)
    assert status == 0, said
    assert (tree / "docs/growth.md").read_text(encoding="utf-8") == old and not (tree / "docs/figures").exists()
    assert "commit 0123456789ab" in (tree / "build/growth/growth.md").read_text(encoding="utf-8")
    assert "<svg" in (tree / "build/growth/figures/curves-ring.svg").read_text(encoding="utf-8")
    status, said = draw(tree, "--docs")
    assert status == 0, said
    new = (tree / "docs/growth.md").read_text(encoding="utf-8")
    assert new.startswith("before\n") and new.endswith("<!-- end -->\nafter\n") and "old" not in new
    assert "commit 0123456789ab" in new and (tree / "docs/figures/curves-ring.svg").exists()
    (tree / "docs/growth.md").write_text("no marks\n", encoding="utf-8")
    status, said = draw(tree, "--docs")
    assert status == 1 and "lacks the marks" in said


def test_curves_unknown():
    status, output = front_door.run(["workload", "W=curves", "DEVICE=virtio", "OPS=nonsense"])
    assert status != 0 and "OPS=nonsense: the curves are ring" in output


def test_curves_native():
    status, output = front_door.run(["curves", "DEVICE=native"])
    assert status != 0 and "use DEVICE=emulated, virtio or passthrough" in output
