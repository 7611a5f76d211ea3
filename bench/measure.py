"""Runs one cell once and gives what was seen, as plain data.

The machine is started by the front door's own runner, so a cell is what `make qemu` runs. Numbers come
from three places: the guest's own lines, the VMM's statistics of each marked workload, and, for a
whole boot, the machine's count of retired instructions, read by QEMU's gdb stub after the power-off.
"""

import os
import re
import socket
import sys
import tempfile
import time

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path.insert(0, os.path.join(TOP, "scripts"))

from runner import options as front_door  # noqa: E402
from runner import session  # noqa: E402

SECONDS = 180
BENCH_LINE = re.compile(r"^bench (disk read|disk write|uart): (\d+) (?:requests|bytes).* (\d+) ticks, "
                        r"(\d+) instructions", re.MULTILINE)
TRAP_LINE = re.compile(r"^bench trap: (.+): (\d+) rounds, (-?\d+) instructions, (-?\d+) ticks",
                       re.MULTILINE)


class Failed(Exception):
    """The run gave no numbers; why."""


class Run(session.Session):
    """A run whose console is kept and not shown."""

    def __init__(self, options, folder):
        super().__init__(options, folder)
        self.console = b""

    def on_console(self, stdout):
        data = os.read(stdout.fileno(), 65536)
        self.console += data
        return bool(data)

    @property
    def text(self):
        return self.console.decode(errors="replace").replace("\r", "")


class GdbStub:
    """As much of gdb's remote protocol as reads one register by name."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        self.socket.connect(path)

    def ask(self, text):
        self.socket.sendall(f"${text}#{sum(text.encode()) % 256:02x}".encode())
        answer = b""
        while not re.search(rb"\$[^#]*#..", answer):
            data = self.socket.recv(65536)
            if not data:
                raise Failed("QEMU's gdb stub does not answer")
            answer += data
        self.socket.sendall(b"+")
        return re.search(rb"\$([^#]*)#..", answer)[1].decode()

    def csr(self, name):
        table = ""
        while True:
            part = self.ask(f"qXfer:features:read:riscv-csr.xml:{len(table):x},800")
            table += part[1:]
            if part[:1] != "m":
                break
        found = next((line for line in re.findall(r"<reg [^>]*>", table) if f'name="{name}"' in line), "")
        number = re.search(r'regnum="(\d+)"', found)
        if not number:
            raise Failed(f"QEMU's gdb stub knows no {name}")
        return int.from_bytes(bytes.fromhex(self.ask(f"p{int(number[1]):x}")), "little")


def environment(cell_options, disk):
    return {"DISK_IMG": disk, "TIMEOUT": str(SECONDS), **cell_options}


def wait(run, counted, folder):
    """Until the power-off; the machine's retired instructions if it is to count them."""
    deadline = time.monotonic() + SECONDS
    if not counted:
        run.loop(deadline)
        run.process.wait(30)
        return None
    run.loop(deadline, until=lambda: run.monitor.reason)
    if not run.monitor.reason:
        return None
    reason = run.monitor.reason
    instructions = GdbStub(f"{folder}/gdb").csr("minstret")
    run.monitor.call("quit")
    run.loop(deadline)  # what the VMM said last
    run.process.wait(30)
    run.monitor.reason = reason  # and not our own quit
    return instructions


def run_guest(cell_options, disk, counted=False):
    """One run of the front door's options: {status, why, seconds, console, ...}. counted: with the
    instructions that the machine retired from its reset to the guest's power-off."""
    options = front_door.parse(environment(cell_options, disk))
    with tempfile.TemporaryDirectory(prefix="trident-") as folder:
        if counted:
            options.qemu += ["-no-shutdown", "-gdb", f"unix:{folder}/gdb,server=on,wait=off"]
        run = Run(options, folder)
        status, why, instructions = 1, "", None
        begin = time.monotonic()
        try:
            run.start()
            instructions = wait(run, counted, folder)
            status = run.verdict()
            why = f"status {status}" if status else ""
        except session.Stop:
            status, why = 124, f"no end after {SECONDS} s"
        except (front_door.Refusal, Failed, OSError) as error:
            why = str(error)
        finally:
            run.finish()
        return {"status": status, "why": why, "seconds": round(time.monotonic() - begin, 4),
                "instructions": instructions, "console": run.text, "marks": run.marks,
                "statistics": run.statistics,
                "qemu": run.monitor.version if run.monitor else None}


def take_workloads(cell, seen):
    """The guest's lines, each with the VMM's statistics of the same workload."""
    lines = BENCH_LINE.findall(seen["console"])
    if len(lines) != len(cell.workloads):
        raise Failed(f"{len(lines)} of {len(cell.workloads)} workloads were carried out")
    if cell.patch and len(seen["marks"]) != len(lines):
        raise Failed(f"the VMM sent {len(seen['marks'])} statistics for {len(lines)} workloads")
    samples = []
    for i, (name, operations) in enumerate(cell.workloads):
        kind, done, ticks, instructions = lines[i]
        if not name.startswith(kind) or int(done) != operations:
            raise Failed(f"'{name}' of {operations} was carried out as '{kind}' of {done}")
        sample = {"workload": name, "operations": operations, "ticks": int(ticks)}
        if cell.icount:
            sample["instructions"] = int(instructions)
            sample["statistics"] = seen["marks"][i] if cell.patch else None
        samples.append(sample)
    return samples


def take_traps(seen):
    rows = TRAP_LINE.findall(seen["console"])
    if not rows:
        raise Failed("the guest measured nothing")
    return [{"workload": name, "operations": int(rounds), "instructions": int(instructions)}
            for name, rounds, instructions, _ in rows]


def measure(cell, disk):
    """{samples} and facts of the run, or {why, console}: it failed."""
    counted = cell.kind == "boot count"
    result = {"cell": cell.name, "kind": cell.kind, "strategy": cell.strategy, "patch": cell.patch,
              "options": cell.options(), "why": ""}
    try:
        seen = run_guest(cell.options(), disk, counted)
    except front_door.Refusal as refusal:
        return {**result, "why": str(refusal)}
    result.update({name: seen[name] for name in ("status", "seconds", "qemu", "why")})
    try:
        if seen["why"]:
            raise Failed(seen["why"])
        if cell.kind == "trap":
            result["samples"] = take_traps(seen)
        elif cell.kind.startswith("boot"):
            result["samples"] = [{"workload": "boot", "operations": 1,
                                  "instructions": seen["instructions"],
                                  "statistics": seen["statistics"] if cell.icount else None}]
        else:
            result["samples"] = take_workloads(cell, seen)
    except Failed as failed:
        result["why"] = str(failed)
        result["console"] = seen["console"]
    return result
