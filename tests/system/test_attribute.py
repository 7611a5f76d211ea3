"""make attribute: an operation's instructions, all of them, by whose they are."""

import json
import os
import subprocess
from types import SimpleNamespace

import jsonschema
import pytest

from bench.attribute import counts, parts
from bench.workloads import marks
from . import front_door

TOP = front_door.TOP


def attribute(op, **options):
    """{operation: its row}."""
    arguments = ["attribute", f"OP={op}", *front_door.words(options)]
    status, output = front_door.run(arguments, 200)
    print(f"{output[-6000:]}\nThe same again: make {' '.join(arguments)}")
    assert status == 0
    with open(f"{TOP}/build/attribute.json", encoding="utf-8") as file:
        rows = json.load(file)
    with open(f"{TOP}/docs/attribute.schema.json", encoding="utf-8") as file:
        jsonschema.validate(rows, json.load(file))
    return {row["op"]: row for row in rows}, output


def check_sums(row):
    """Exactly; and the total is what nano has counted itself, but for instructions that trapped:
    the plugin counts those too."""
    assert sum(row["parts"].values()) == row["total"]
    assert sum(each["instructions"] for each in row["functions"]) == row["parts"]["vmm"]
    assert row["total"] / row["n"] == pytest.approx(row["nano"], rel=0.005)


def calls(row):
    return {each["name"]: each["calls"] / row["n"] for each in row["functions"]}


def test_inline():
    """A system call's two traps are two brief exits, and two changes of root."""
    rows, output = attribute("page_fault null_syscall", PATCH="inline")
    assert set(rows) == {"null_syscall", "page_fault"}
    for row in rows.values():
        check_sums(row)
    row = rows["null_syscall"]
    assert row["parts"]["trampolines"] > row["n"] and row["parts"]["user"] > row["n"]
    assert calls(row)["trap_brief"] == pytest.approx(2, abs=0.2)
    assert row["tlb_flushes"] == pytest.approx(2, abs=0.2)
    assert "trap_brief" in output and "core/engine/trap/brief.c" in output


def test_off():
    """Each privileged instruction goes through the firmware, and none has a trampoline."""
    row = attribute("null_syscall", PATCH="off", DEVICE="passthrough")[0]["null_syscall"]
    check_sums(row)
    assert row["parts"]["trampolines"] == 0
    assert row["parts"]["firmware"] > 400 * calls(row)["handle_illegal"] * row["n"] > 0


def test_native():
    row = attribute("null_syscall", DEVICE="native")[0]["null_syscall"]
    check_sums(row)
    assert row["functions"] == [] and row["parts"]["vmm"] == row["parts"]["trampolines"] == 0
    assert row["parts"]["kernel"] > row["parts"]["user"] > 0


@pytest.mark.parametrize("op", ("null_syscal", "null_syscall nonsense", ""))
def test_unknown_operation(op):
    status, output = front_door.run(["attribute", f"OP={op}"])
    assert status == 2
    said = [line for line in output.splitlines() if line.startswith("trident: ")]
    assert len(said) == 1 and said[0].startswith(f"trident: OP={op} ")
    assert "use null_syscall," in said[0]


def test_qemu_without_plugins(tmp_path):
    qemu = tmp_path / "qemu-system-riscv64"
    qemu.write_text("#!/bin/sh\necho 'plugin interface not enabled in this build' >&2\nexit 1\n")
    qemu.chmod(0o755)
    environment = {**os.environ, "OP": "null_syscall", "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run([f"{TOP}/bench/attribute/run", "virtio"], env=environment, text=True,
                          capture_output=True, timeout=30, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("trident: this QEMU was built without TCG plugins")
    assert done.stderr.count("\n") == 1


# --- The parts alone. -----------------------------------------------------------------------------


def test_counts_of_a_file():
    first, second = counts.read(["begin\n", "80000000 3\n", "end 3\n", "begin\n", "10 1\n"])
    assert (first.counts, first.total) == ({0x80000000: 3}, 3)
    assert (second.counts, second.total) == ({0x10: 1}, None)
    assert counts.difference(first, second) == {0x80000000: 3, 0x10: -1}
    order = [("read_1", "without"), ("read_1", "with")]
    with pytest.raises(marks.Failure, match="marked 2 stretches, .* saw 2, 1 of them"):
        counts.by_mark([first, second], order)
    second.total = 1
    assert counts.by_mark([first, second], order)["read_1", "with"] is second
    with pytest.raises(marks.Failure, match="marked 1 stretches, .* saw 2, 2 of them"):
        counts.by_mark([first, second], order[:1])


@pytest.mark.parametrize("mmu,vmm,kernel", (
    ("sv39", 0xffff8000a0000110, 0xffffffff80001000),
    ("sv48", 0xff000000a0000110, 0xffff800000001000)))
def test_part_of_an_address(mmu, vmm, kernel):
    options = SimpleNamespace(native=False, mmu=mmu)
    where = {vmm: "vmm", kernel: "kernel", 0x200: "trampolines", 0x4ffe: "trampolines",
             0x10000: "user", 0x3fffff0000: "user", 0x80000040: "firmware", 0x80080000: "user"}
    found = parts.split({address: 1 for address in where}, options)
    assert {address: part for part, counted in found.items() for address in counted} == where
    native = parts.split({0x200: 1, kernel: 1}, SimpleNamespace(native=True, mmu=mmu))
    assert native["user"] == {0x200: 1} and native["kernel"] == {kernel: 1}


def test_functions_of_the_vmm():
    """Two of the same name in different files are two, and what has no file of ours has none."""
    functions = parts.Functions(
        "0000000000000000 a nothing\n"
        "0000000000000010 T run\t/home/me/core/engine/trap/ahead.c:265\n"
        "0000000000000020 t run\t/home/me/core/vm/run.c:1\n"
        "0000000000000030 t fill.isra.0\t/home/me/devices/paravirt/ring.c:7\n"
        "0000000000000040 t memcpy\t/usr/include/string.h:63\n"
        "0000000000000050 d data\n", 0x1000)
    cost = functions.cost({0x1010: 2, 0x1012: 2, 0x1022: 9, 0x1030: 1, 0x1052: 1})
    assert [tuple(each.values()) for each in cost] == [
        ("run", "core/vm/run.c", 9, 0), ("run", "core/engine/trap/ahead.c", 4, 2),
        ("fill.isra.0", "devices/paravirt/ring.c", 1, 1), ("memcpy", "", 1, 0)]
