"""One run, from starting QEMU to the exit status.

With RUN, QEMU's console is a pipe that is passed on and read along. Without, the terminal is the
guest's (terminal.py): Ctrl-C reaches it and Ctrl-A X quits.
"""

import contextlib
import ctypes
import itertools
import json
import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from . import control, disk, firmware, machine, report, terminal, trace
from .disk import RUN_FOLDER
from .options import FIRMWARE, RAM_BASE, Refusal

# %s: the run's number. A failure is believed without it too, as of a Linux that U-Boot has started.
FAILED = rb"^trident-run(?: %s)?: '.*' ended with status \d+"
DONE = rb"^trident-run %s: done$"
BLAMED = rb"^(?:trident-run(?: %s)?|shell): ('.*' ended with status \d+)"  # of our own guest too; for a sentence only
BLAMED_MAX, BLAMED_LENGTH = 8, 200
PR_SET_PDEATHSIG = 1
PAGE = 4096
ENTRIES = ("trap_entry", "trap_brief_entry", "trap_observed_entry")  # of the VMM: its stvec is one of them
TAIL_MAX = 4096  # bytes of an unfinished line that are read along: its beginning
CLIENT_PATIENCE = 1  # seconds
BY_HAND = "host-qmp-quit"  # somebody told QEMU to end
REASONS = {
    BY_HAND: "QEMU was told to quit before the guest had powered off",
    "host-signal": "QEMU was ended by a signal before the guest had powered off",
}


class Stop(Exception):
    """The run is to end now, with this status."""

    def __init__(self, status):
        super().__init__(status)
        self.status = status


def say(text):
    print(f"trident: {text}", file=sys.stderr, flush=True)


def end_with_parent():
    """In the child: a QEMU must not outlive a runner that was killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Session:
    stdin = subprocess.DEVNULL  # of QEMU in batch
    terminal = None             # without RUN

    def __init__(self, options, folder):
        self.options = options
        self.folder = folder
        self.batch = bool(options.run)
        self.statistics = None  # of the power-off event
        self.guest_status = None
        self.answers = {}       # of the control channel, by command
        self.tail = b""         # of the console: an unfinished line
        self.failed = self.done = False
        # What the guest says of RUN, with the number that only this run's guest was told.
        self.markers = [re.compile(pattern % options.number.encode(), re.MULTILINE)
                        for pattern in (FAILED, DONE, BLAMED)]
        self.trace = trace.Collector() if options.trace else None
        self.failures = []      # commands of RUN, with their status
        self.reasons = []       # sentences that are said at the very end, after the table
        self.clients = []
        self.selector = selectors.DefaultSelector()
        self.process = self.monitor = self.channel = self.relay = None

    # --- Start -----------------------------------------------------------------------------

    def start(self, debug=False):
        try:
            servers = [control.listen(f"{self.folder}/{name}") for name in ("qmp", "ctl")]
        except OSError as error:  # a path of more than 107 bytes, for one
            raise Refusal(f"there can be no socket in {self.folder} ({error.strerror or error}): set "
                          "TMPDIR to another folder.") from None
        console = ["-serial", "stdio", "-monitor", "none"] if self.batch else ["-serial", "mon:stdio"]
        if debug:
            self.batch = True
            console = machine.debug_arguments(self.folder)
        elif self.options.quiet:
            console = console + machine.gdb_arguments(self.folder)
        command = machine.arguments(self.options, self.folder, console)
        # A session of its own: Ctrl-C is the runner's and not QEMU's.
        self.process = subprocess.Popen(
            command, preexec_fn=end_with_parent, start_new_session=True,
            stdin=self.stdin if self.batch else subprocess.PIPE, stdout=subprocess.PIPE)
        lines = control.accept(servers[0], self.process)
        if lines and not self.options.native:
            self.channel = control.accept(servers[1], self.process)
        if not lines or not (self.channel or self.options.native):
            raise Refusal("QEMU did not start; its own message is above.")
        self.monitor = control.Monitor(lines)
        self.monitor.call("qmp_capabilities")
        self.drop_disk()  # QEMU has it open
        self.watch(lines, self.on_monitor)
        if self.channel:
            self.watch(self.channel, self.on_channel)
            self.open_relay()
        if self.options.quiet and not debug and not firmware.silence(f"{self.folder}/gdb"):
            say("QUIET=1: this QEMU hands no options to its firmware, whose banner is shown")
        if self.batch:
            self.watch(self.process.stdout, self.on_console)
        else:
            self.terminal = terminal.Terminal(self.process, self.selector)
        if not debug:
            self.monitor.call("cont")

    def drop_disk(self):
        """Removes the name of a disk that is for this run alone."""
        if not self.options.disk_kept and os.path.exists(self.options.disk_img):
            os.unlink(self.options.disk_img)

    def watch(self, source, handler):
        self.selector.register(source, selectors.EVENT_READ, handler)

    def open_relay(self):
        """Lets `make stats` and the tests talk to the VMM while the guest runs."""
        os.makedirs(RUN_FOLDER, exist_ok=True)
        path = f"{RUN_FOLDER}/{os.getpid()}.ctl"
        if os.path.exists(path):
            os.unlink(path)
        self.relay = (control.listen(path), path)
        self.watch(self.relay[0], self.on_client)

    # --- Events ----------------------------------------------------------------------------

    def on_monitor(self, lines):
        received, alive = lines.receive()
        for line in received:
            self.monitor.note(line)
        return alive

    def on_channel(self, channel):
        received, alive = channel.receive()
        for line in received:
            message = control.decode(line) or {}
            if message.get("event") == "poweroff":
                self.statistics = message.get("statistics", {})
                self.guest_status = message.get("status")
            elif message.get("event") == "mark":
                self.marked(message.get("statistics", {}))
            elif message.get("event") == "trace" and self.trace:
                self.trace.add(message)
                if "taken" in message:
                    channel.send(b"traced")
            elif "reply" in message:
                self.answers[message["reply"]] = message
            for client in [client for client in self.clients if not client.send(line)]:
                self.leave_client(client)
        return alive

    def marked(self, statistics):
        """The guest has marked a workload: for sessions that keep what was counted. A guest may make marks
        without end."""

    def on_client(self, server):
        client = control.LineSocket(server.accept()[0])
        client.connection.settimeout(CLIENT_PATIENCE)
        self.clients.append(client)
        self.watch(client, self.on_command)
        return True

    def on_command(self, client):
        if client not in self.clients:
            return True  # it was left a moment ago
        received, alive = client.receive()
        for line in received:
            self.channel.send(line)
        if not alive:
            self.clients.remove(client)
        return alive

    def leave_client(self, client):
        """One that does not read is not waited for again."""
        self.clients.remove(client)
        self.selector.unregister(client)
        client.connection.close()

    def on_console(self, stdout):
        data = os.read(stdout.fileno(), 65536)
        self.show(data)
        text = firmware.without((self.tail + data).replace(b"\r", b""))
        whole, _, self.tail = text.rpartition(b"\n")
        self.tail = self.tail[:TAIL_MAX]
        self.hear(whole)
        return bool(data)

    def show(self, data):
        """What the guest prints."""
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    def hear(self, whole):
        """Whole lines that the guest has printed."""
        failed, done, blamed = (pattern.finditer(whole) for pattern in self.markers)
        self.failed |= any(failed)
        self.done |= any(done)
        room = BLAMED_MAX - len(self.failures)
        self.failures += [match[1][:BLAMED_LENGTH].decode(errors="replace") for match in itertools.islice(blamed, room)]
        self.heard(whole.decode(errors="replace"))

    def heard(self, text):
        """Whole lines that the guest has printed: for sessions that answer them."""

    # --- The run -----------------------------------------------------------------------------

    def left(self):
        """Ctrl-A X was typed."""
        return bool(self.terminal and self.terminal.left)

    def leave(self):
        """Ends the run because its user wants so: the statistics first, while there is a VMM to ask."""
        if self.channel and not self.ask("stats"):
            self.reasons.append("the VMM did not answer Ctrl-A X: there are no statistics")
        self.monitor.call("quit")
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)  # else finish ends it

    def loop(self, deadline, until=None):
        """Handles events until QEMU has closed its ends, or until() is true."""
        while not (until and until()):
            ours = {self.relay and self.relay[0], *self.clients, *(self.terminal.ends if self.terminal else ())}
            if not any(key.fileobj not in ours for key in self.selector.get_map().values()):
                return
            wait = None if deadline is None else deadline - time.monotonic()
            if wait is not None and wait <= 0:
                raise Stop(124)
            for key, _ in self.selector.select(wait):
                if not key.data(key.fileobj):
                    self.selector.unregister(key.fileobj)

    def ask(self, command, seconds=1):
        """The VMM's answer to a command, or None."""
        self.answers.pop(command, None)
        self.channel.send(json.dumps({"command": command}).encode())
        try:
            self.loop(time.monotonic() + seconds, until=lambda: command in self.answers)
        except Stop:
            pass
        return self.answers.get(command)

    def where(self):
        """Notes where the guest was, when its time was up."""
        say, symbols = self.reasons.append, report.guest_symbols(self.options.kernel)
        if self.channel:
            answer = self.ask("where")
            if self.trace:
                self.ask("trace", 10)
            self.ask("stats")  # for the report
            if answer:
                pc = int(answer["pc"], 0)
                say(f"the guest was in {answer['mode']} at {pc:#x} {symbols.name(pc)}".rstrip())
                for line in report.fault_lines(answer.get("faults", [])):
                    say(line)
                return
            say("the VMM's control channel does not answer")
        registers = self.monitor.registers()
        if "pc" not in registers:
            say("QEMU does not answer")
            return
        pc = registers["pc"]
        who = "the guest"
        if not self.options.native and pc >> 63:
            # Trident is linked at 0 and moves itself; the host's stvec shows where to.
            text = report.output_of("riscv64-unknown-elf-nm", "-n", machine.TRIDENT_ELF)
            symbols = report.Symbols(text or "")
            moved = [registers.get("stvec", 0) - symbols.address(name) for name in ENTRIES]
            symbols = symbols.moved(next((offset for offset in moved if offset % PAGE == 0), 0))
            who = "the VMM"
        elif RAM_BASE <= pc < RAM_BASE + FIRMWARE:
            who, symbols = "the firmware", report.Symbols("")
        say(f"{who} was at {pc:#x} {symbols.name(pc)}".rstrip())

    def finish(self):
        """Ends QEMU if it is still there; gives the sockets back."""
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.process.wait()
        self.drop_disk()
        if self.relay:
            self.relay[0].close()
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.relay[1])

    def blame(self, sentence):
        """Notes why the run was not good: its commands that failed, and the sentence."""
        self.reasons += [*self.failures, sentence]
        self.failures = []

    def verdict(self):
        """The exit status of a run that ended by itself; notes a sentence if it was not good."""
        say, code = self.blame, self.process.returncode
        if code < 0:
            say(f"QEMU was ended by signal {-code}")
            return 128 - code
        if code:
            say(f"the run ended with status {code}")
            return code
        if self.monitor.reason == BY_HAND and not self.batch:
            return 0  # with QEMU's monitor, on purpose
        if self.monitor.reason in REASONS:
            say(REASONS[self.monitor.reason])
            return 1
        if not self.options.native and self.statistics is None:
            say("the VMM ended without its closing report")
            return 1
        if self.batch and self.options.linux_like:
            if self.failed:
                say("a command of RUN failed")
                return 1
            if not self.done and not re.search(r"\b(poweroff|halt)\b", self.options.run):
                say("the guest ended before it had carried out RUN")
                return 1
        return 0

    def tell(self, status, seconds):
        if self.channel and self.channel.dropped:
            say(f"{report.number(self.channel.dropped)} lines of the control channel were dropped: each was longer "
                f"than {control.LINE_MAX >> 20} MiB")
        if self.statistics is None and "stats" in self.answers:
            self.statistics = self.answers["stats"]["statistics"]
        if self.statistics is not None and not self.options.quiet:
            print(report.table(self.statistics, self.options.icount), file=sys.stderr, flush=True)
        if self.trace:
            timeline = trace.write(self.options.trace, self.trace, self.options, self.statistics or {})
            say(trace.tell(self.options.trace, self.trace, timeline))
        if not self.options.stats:
            return
        facts = dict(self.statistics or {})
        version = self.monitor.version if self.monitor else None
        facts["host"] = {**report.host_facts(version), "options": self.options.describe(),
                         "status": status, "seconds": round(seconds, 3)}
        report.write_json(self.options.stats, facts)


def debug(options):
    """The machine stopped, and a gdb attached to it; the guest's console is a terminal of its own."""
    if not shutil.which("gdb-multiarch"):
        raise Refusal("gdb-multiarch is missing: scripts/setup check installs or names it.")
    with tempfile.TemporaryDirectory(prefix="trident-") as folder:
        session = Session(options, folder)
        # gdb has the terminal, and Ctrl-C in it stops the guest.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            session.start(debug=True)
            answer = session.monitor.call("query-chardev") or []
            console = next(row["filename"] for row in answer if row["label"] == "console")
            environment = {**os.environ, "TRIDENT_GDB": f"{folder}/gdb", "TRIDENT_BASE": "",
                           "TRIDENT_CONSOLE": console.removeprefix("pty:")}
            if not options.native:
                environment["TRIDENT_BASE"] = hex(machine.vmm_address(options))
            command = ["gdb-multiarch", "-q", "-x", "scripts/gdbinit"]
            command += [options.kernel] if options.kernel.endswith(".elf") else []
            return subprocess.call(command, env=environment)
        finally:
            session.finish()


def on_signal(number, _frame):
    raise Stop(128 + number)


def run(options, gdb=False, kind=Session):
    """Runs the guest in a session of that kind; returns the exit status."""
    if not shutil.which(machine.QEMU):
        raise Refusal("QEMU is missing: run scripts/setup, which names or installs what is needed.")
    needed = [options.kernel, options.initrd, options.disk_from, None if options.native else machine.TRIDENT]
    for path in filter(None, needed):
        if not os.path.exists(path):
            raise Refusal(f"{path} is not built yet: use make, which builds it.")
    machine.command_line(options)
    if not os.path.exists(options.disk_img):
        disk.create(options)
    with disk.held(options):
        for note in options.notes:
            say(note)
        return debug(options) if gdb else carry_out(options, kind)


def carry_out(options, kind):
    """The run itself."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
    with tempfile.TemporaryDirectory(prefix="trident-") as folder:
        session = kind(options, folder)
        begin = time.monotonic()
        try:
            session.start()
            session.loop(begin + options.timeout if options.timeout else None, until=session.left)
            if session.left():
                session.leave()
                status = 0
            else:
                session.process.wait(30)
                status = session.verdict()
        except Stop as stop:
            status = stop.status
            if status == 124:
                session.reasons.append(f"the guest had not ended after {options.timeout:g} s")
                session.where()
        except BrokenPipeError:
            status = 141
        finally:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            session.finish()
            if session.terminal:
                session.terminal.restore()
        session.tell(status, time.monotonic() - begin)
        for reason in session.reasons:
            say(reason)
    return status
