"""Runs a guest once and gives what was seen, as plain data.

The machine is started by the front door's own runner, so a cell is what `make qemu` runs. Numbers come
from three places: the guest's own lines, the VMM's statistics of each marked workload, and, for a
whole boot, the machine's count of retired instructions, read by QEMU's gdb stub after the power-off.
"""

import json
import os
import re
import socket
import subprocess
import tempfile
import threading
import time

from scripts.runner import firmware, options as front_door, session
from .workloads import marks

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
SECONDS = 180
SEND = re.compile(r"^bench input: send (\d+)\n", re.MULTILINE)  # a whole line, not what came of it


class Failed(Exception):
    """The run gave no numbers; why."""


class Run(session.Session):
    """A run whose console is kept and not shown, and which sends what `bench input` asks for.
    pause: seconds between the bytes; 0: all at once."""
    stdin = subprocess.PIPE

    def __init__(self, options, folder, pause=0):
        super().__init__(options, folder)
        self.console = b""
        self.marks = []  # statistics of each workload that the guest marked
        self.pause, self.sent = pause, 0

    def marked(self, statistics):
        self.marks.append(statistics)

    def on_console(self, stdout):
        data = os.read(stdout.fileno(), 65536)
        self.console += data
        if b"\n" in data:
            asked = SEND.findall(self.text)
            for count in asked[self.sent:]:
                threading.Thread(target=self.send, args=(int(count),), daemon=True).start()
            self.sent = len(asked)
        return bool(data)

    def send(self, count):
        step = 1 if self.pause else count
        try:
            for _ in range(0, count, step):
                time.sleep(self.pause)
                self.process.stdin.write(b"x" * step)
                self.process.stdin.flush()
        except (OSError, ValueError):
            pass  # QEMU has ended, which the run's verdict tells

    @property
    def text(self):
        return firmware.without(self.console.decode(errors="replace").replace("\r", ""))


class MarkedRun(marks.Marked):
    """A run of a Linux workload between marks; its console is kept and not shown."""

    def __init__(self, options, folder):
        super().__init__(options, folder)
        self.console = b""
        self.marks = []

    def marked(self, statistics):
        self.marks.append(statistics)

    def on_console(self, stdout):
        data = os.read(stdout.fileno(), 65536)
        self.console += data
        text = firmware.without((self.tail + data).replace(b"\r", b""))
        whole, _, self.tail = text.rpartition(b"\n")
        self.hear(whole)
        return bool(data)


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


def parse(options, **more):
    """The front door's answer to these options."""
    return front_door.parse({"TIMEOUT": str(SECONDS), **options, **more})


def wait(run, counted, folder):
    """Until the power-off; the machine's retired instructions if it is to count them."""
    deadline = time.monotonic() + run.options.timeout
    if not counted:
        run.loop(deadline)
        run.process.wait(30)
        return None
    run.loop(deadline, until=lambda: run.monitor.reason)
    if not run.monitor.reason:
        run.process.wait(30)
        return None
    reason = run.monitor.reason
    instructions = GdbStub(f"{folder}/gdb").csr("minstret")
    run.monitor.call("quit")
    run.loop(deadline)  # what the VMM said last
    run.process.wait(30)
    run.monitor.reason = reason  # and not our own quit
    return instructions


def run_guest(options, counted=False, kind=Run, **arguments):
    """One run: {status, why, seconds, console, ...}. counted: with the instructions that the machine
    retired from its reset to the guest's power-off."""
    with tempfile.TemporaryDirectory(prefix="trident-") as folder:
        if counted:
            options.qemu += ["-no-shutdown", "-gdb", f"unix:{folder}/gdb,server=on,wait=off"]
        run = kind(options, folder, **arguments)
        status, why, instructions = 1, "", None
        begin = time.monotonic()
        try:
            run.start()
            instructions = wait(run, counted, folder)
            status = run.verdict()
            why = f"status {status}" if status else ""
        except session.Stop:
            status, why = 124, f"no end after {options.timeout:g} s"
        except (front_door.Refusal, Failed, OSError) as error:
            why = str(error)
        finally:
            run.finish()
        return {"status": status, "why": why, "seconds": round(time.monotonic() - begin, 4),
                "instructions": instructions,
                "console": run.console.decode(errors="replace").replace("\r", ""),
                "marks": run.marks, "stretches": getattr(run, "stretches", {}),
                "statistics": run.statistics,
                "qemu": run.monitor.version if run.monitor else None}


def time_process(options):
    """The seconds of `scripts/run` with these options, by hyperfine; and its console."""
    with tempfile.TemporaryDirectory(prefix="trident-") as folder:
        environment = {**os.environ, **options, "TIMEOUT": str(SECONDS)}
        environment.pop("GIVEN", None)
        try:
            done = subprocess.run(
                ["hyperfine", "-N", "--runs", "1", "--style", "none", "--output", f"{folder}/console",
                 "--export-json", f"{folder}/time", "scripts/run"],
                env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise Failed("hyperfine is missing: scripts/setup bench installs or names it") from None
        console = ""
        if os.path.exists(f"{folder}/console"):
            with open(f"{folder}/console", encoding="utf-8", errors="replace") as file:
                console = file.read()
        if done.returncode:
            raise Failed((done.stderr.strip().splitlines() or ["hyperfine failed"])[0], console)
        with open(f"{folder}/time", encoding="utf-8") as file:
            return json.load(file)["results"][0]["times"][0]
