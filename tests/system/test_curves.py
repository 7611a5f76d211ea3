"""The growth curves: what counts as worse than linear, and one run in short."""

import sys

import front_door
import test_workloads

sys.path.insert(0, f"{front_door.TOP}/scripts")
sys.path.insert(0, f"{front_door.TOP}/bench/workloads")

import curves  # noqa: E402


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
    arguments = ["workload", "W=curves", "DEVICE=virtio", "OPS=queue_depth", "MEM=512M"]
    status, output = front_door.run(arguments, 300)
    print(output[-3000:])
    assert status == 0
    assert [line.split(" left  ")[1] for line in output.split("\n") if line.startswith("[")] == [
        "virtio, time", "virtio, time", "virtio, instructions and traps"]
    assert "trident-linux" not in output, "the guest's console is not shown"
    result = test_workloads.result("build/workload/curves-virtio.json", "curves")
    assert [row["x"] for row in result["rows"]] == [1, 2, 4, 8, 16, 32, 64]
    traps = [row["traps"] for row in result["rows"]]
    assert traps[0] > traps[-1] > 0  # requests that are under way together share traps


def test_curves_unknown():
    status, output = front_door.run(["workload", "W=curves", "DEVICE=virtio", "OPS=nonsense"])
    assert status != 0 and "OPS=nonsense: the curves are ring" in output


def test_curves_native():
    status, output = front_door.run(["curves", "DEVICE=native"])
    assert status != 0 and "use DEVICE=emulated, virtio or passthrough" in output
