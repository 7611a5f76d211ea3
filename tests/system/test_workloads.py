"""The workloads of bench/workloads in short: they end well, and their results follow the schemas."""

import json

import jsonschema
import pytest

from . import front_door, manifest

TOP = front_door.TOP


def result(path, schema):
    with open(f"{TOP}/{path}", encoding="utf-8") as file:
        value = json.load(file)
    with open(f"{TOP}/docs/{schema}.schema.json", encoding="utf-8") as file:
        jsonschema.validate(value, json.load(file))
    return value


def run(name, device, **options):
    arguments = ["workload", f"W={name}", f"DEVICE={device}", *front_door.words(options)]
    status, output = front_door.run(arguments, 300)
    print(f"{output[-3000:]}\nThe same again: make {' '.join(arguments)}")
    assert status == 0
    path = f"build/workload/{name}-{device}.json"
    return result(path, "nano" if name == "nano" else "workload")


@pytest.mark.parametrize("device", manifest.EVERY)
def test_nano(device):
    rows = run("nano", device)
    with open(f"{TOP}/docs/nano.schema.json", encoding="utf-8") as file:
        names = json.load(file)["items"]["properties"]["op"]["enum"]
    assert [row["op"] for row in rows] == names
    cost = {row["op"]: row for row in rows}
    assert all(row["instructions"] > 0 for row in rows)
    if device == "native":
        return
    # One system call is an ecall, its return, and CSRs; what concerns no device traps at none.
    assert round(cost["null_syscall"]["exits"]["syscall"]) == 1
    assert cost["null_syscall"]["device_traps"] < 0.1
    assert round(cost["page_fault"]["exits"]["guest_fault"]) == 1
    assert cost["ctx_switch"]["traps"] > cost["null_syscall"]["traps"]
    if device == "passthrough":
        assert cost["pread_4k"]["device_traps"] == cost["console_line"]["device_traps"] == 0
    else:
        assert cost["pread_4k"]["device_traps"] >= 1 and cost["console_line"]["device_traps"] >= 1


@pytest.mark.parametrize("device", manifest.EVERY)
def test_fio(device):
    jobs = run("fio", device, QUICK=1)["jobs"]
    assert {job["depth"] for job in jobs} == {1, 8, 32}
    assert {job["bs"] for job in jobs} == {"4k", "64k", "1m"}


@pytest.mark.parametrize("device", manifest.STRATEGIES)
def test_depth(device):
    """With more requests under way one notification and one interrupt serve several of them. Under ICOUNT=1, so that it
    does not depend on the computer how many the guest makes while the VMM waits for more."""
    one, _, many = run("depth", device, QUICK=1, ICOUNT=1)["depths"]
    assert (one["depth"], many["depth"]) == (1, 32)
    if device == "passthrough":
        assert one["device_traps"] == many["device_traps"] == 0
        return
    assert many["device_traps"] < one["device_traps"] * {"virtio": 0.5, "emulated": 0.7}[device]
    assert many["traps"] < one["traps"] - 2


@pytest.mark.parametrize("device", manifest.STRATEGIES)
def test_stress_ng(device):
    assert len(run("stress-ng", device, MIN="0.1")["stressors"]) == 6


def test_compile():
    facts = run("compile", "virtio", QUICK=1)
    assert facts["object_sha256"] == facts["native_object_sha256"]


def test_workload_unknown():
    status, output = front_door.run(["workload", "W=nonsense"])
    assert status == 2 and "W=nonsense is not known" in output
