"""The peer's rows as cells of results.json: `make bench PEER=kvm`.

The peer measures itself (bench/peer/run), natively too, in one run: so its cells have denominators of
their own, whose ids end in /PEER=kvm.
"""

import json
import os
import re
import subprocess

from .cells import Refusal

RESULT = "build/peer-kvm.json"
COMMAND = "make bench PEER=kvm"
DISK = re.compile(r"curves-(queue_depth|buffer_size)-(\d+)")


def wanted():
    """Whether PEER= asks for it; a Refusal of any other value."""
    value = os.environ.get("PEER") or ""
    if value not in ("", "kvm"):
        raise Refusal(f"PEER={value} is not known: use PEER=kvm, or leave it out.")
    return value == "kvm"


def workload_of(name):
    """(workload, params) in the words of the other cells."""
    disk = DISK.fullmatch(name)
    if disk:
        size, depth = (4096, int(disk[2])) if disk[1] == "queue_depth" else (int(disk[2]), 1)
        # At 4 KiB and depth 1 both curves have a point.
        kind = "disk-queued" if disk[1] == "queue_depth" else "disk"
        return f"{kind}-read-{size}-d{depth}", {"kind": "disk", "unit": "request", "op": "read",
                                                "bytes": size, "depth": depth}
    if name == "boot":
        return name, {"kind": "boot", "unit": "boot"}
    return name, {"kind": "nano", "unit": "operation", "name": name.partition("-")[2]}


def entry(row, native):
    """One cell; native: the row of its denominator, or None for that one itself."""
    workload, params = workload_of(row["workload"])

    def named(strategy):
        return f"time/linux/{workload}/{strategy}/PEER=kvm"

    sample = {"round": 0, "dropped": False, "operations": row["n"], "ticks": None,
              "ns": row["ns"] * row["n"], "instructions": None, "traps": None, "registers": None,
              "devices": None, "memory": None}
    ratio = {"median": row["ns"] / native["ns"], "low": None, "high": None} if native else None
    derived = {"rounds": 1, "instructions": None, "traps": None, "groups": None, "registers": None,
               "ns": row["ns"], "ratio": ratio, "difference": None}
    return {"id": named(row["strategy"]), "part": "peer", "method": "time", "guest": "linux",
            "workload": workload, "params": params, "strategy": row["strategy"], "uart": row["uart"],
            "disk": row["disk"], "patch": None, "options": {"PEER": "kvm"}, "command": COMMAND,
            "native": named("native") if native else None, "base": None, "status": "ok", "why": "",
            "log": None, "repeatable": None, "samples": [sample], "derived": derived}


def cells_of(result):
    native = {row["workload"]: row for row in result["rows"] if row["strategy"] == "native"}
    return [entry(row, None if row["strategy"] == "native" else native[row["workload"]])
            for row in result["rows"]]


def measure():
    """Runs the peer; its cells, or [] if it failed (it has said why)."""
    if subprocess.run(["bench/peer/run"], check=False).returncode:
        return []
    with open(RESULT, encoding="utf-8") as file:
        return cells_of(json.load(file))
