"""KVM as a peer, without running it (which takes minutes): what is refused, and what is taken."""

import json
import struct

import jsonschema
import pytest

from bench import peer_cells
from bench.peer import run as peer
from . import front_door

TOP = front_door.TOP
CONSOLE = """trident-linux: 6.12.107+deb13-riscv64 up 4.25s disk vda 131072
[    0.000000] random: crng init done
nano-json-begin
[
{{"op": "null_syscall", "n": 5000, "ns": {ns}, "instructions": null}}
]
nano-json-end
curves-json-begin
[
{{"op": "queue_depth-1", "curve": "queue_depth", "x": 1, "n": 1280, "ns": {ns}, "instructions": null}}
]
curves-json-end
"""


def result():
    rows = peer.take(CONSOLE.format(ns=1000).replace("\n", "\r\n"), "native", "virtio-blk", "16550A")
    rows += peer.take(CONSOLE.format(ns=4000), "kvm-virtio", "virtio-blk", "virtio console")
    return {"schema": 1, "peer": "kvm", "icount": False, "commit": None, "opensbi": None, "qemu": "QEMU", "mem": 1,
            "load": 0.5, "vmm": "QEMU", "kernel": "6.12", "crng_ready_seconds": 0.0, "rows": rows}


def test_peer_result():
    with open(f"{TOP}/docs/peer.schema.json", encoding="utf-8") as file:
        jsonschema.validate(result(), json.load(file))


def test_peer_table():
    text = peer.table(result())
    assert "| `nano-null_syscall` | 1 us | 4 us | 4 |" in text
    assert "| `boot` | 4.25 s | 4.25 s | 1 |" in text


@pytest.mark.parametrize("missing", ["trident-linux", "nano-json-end", "curves-json-begin"])
def test_peer_cut_short(missing):
    with pytest.raises(peer.marks.Failure):
        peer.take(CONSOLE.format(ns=1).replace(missing, "cut"), "kvm-virtio", "", "")


def elf(machine, segment):
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHH", 2, machine, 1, 0, 64, 0, 0, 64, 56, 1)
    return head.ljust(64, b"\0") + struct.pack("<I", segment).ljust(56, b"\0")


@pytest.mark.parametrize("content, sentence", [
    (b"#!/bin/sh\n", "not a program for 64-bit RISC-V"), (elf(62, 1), "not a program for 64-bit RISC-V"),
    (elf(243, 3), "linked dynamically"), (b"", "not a program")])
def test_peer_kvmtool_refused(tmp_path, content, sentence):
    path = tmp_path / "kvmtool"
    path.write_bytes(content)
    with pytest.raises(peer.front_door.Refusal, match=sentence):
        peer.check_kvmtool(str(path))


def test_peer_kvmtool_static(tmp_path):
    path = tmp_path / "kvmtool"
    path.write_bytes(elf(243, 1))
    peer.check_kvmtool(str(path))


def test_peer_cells():
    """Each is a cell as results.schema.json has it, and its denominator is there."""
    cells = peer_cells.cells_of(result())
    with open(f"{TOP}/docs/results.schema.json", encoding="utf-8") as file:
        schema = json.load(file)
    for cell in cells:
        jsonschema.validate(cell, {"$ref": "#/$defs/cell", "$defs": schema["$defs"]})
    names = [cell["id"] for cell in cells]
    assert len(set(names)) == len(names)
    ratios = {cell["id"]: cell["derived"]["ratio"] for cell in cells if cell["native"] in names}
    assert ratios["time/linux/nano-null_syscall/kvm-virtio/PEER=kvm"]["median"] == 4
    assert "time/linux/disk-queued-read-4096-d1/kvm-virtio/PEER=kvm" in ratios


def test_peer_progress(monkeypatch, capsys):
    """Each of its boots is announced with the time left; the guest's console is kept and not shown."""
    def run(_options, kind):
        run = kind(peer.front_door.Options(run="true", device="native"), "folder")
        run.show(b"OpenSBI v1\n")
        run.heard("OpenSBI v1")
        return 0

    monkeypatch.setattr(peer.front_door, "parse", lambda environment: peer.front_door.Options(device="native"))
    monkeypatch.setattr(peer.marks.session, "run", run)
    monkeypatch.setattr(peer.marks, "plan", peer.progress.Plan(peer.PLAN))
    assert [peer.boot(name, 1) for name, _ in peer.PLAN] == ["OpenSBI v1\n"] * 3
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" left  ")[1] for line in lines] == ["native", "under KVM", "native"]
    assert [line.split()[0] for line in lines] == ["[1/3]", "[2/3]", "[3/3]"] and lines[0].split()[1] == "8"


def test_peer_unknown(monkeypatch):
    monkeypatch.setenv("PEER", "xen")
    with pytest.raises(peer_cells.Refusal, match="PEER=xen is not known"):
        peer_cells.wanted()
