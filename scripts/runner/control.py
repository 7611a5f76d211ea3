"""The two channels to a running machine, both lines of JSON over a Unix socket.

QMP is QEMU's own: it starts the machine, tells why it stopped, and reads registers. The control
channel is Trident's: statistics out, commands in. QEMU connects to both when it starts, so nothing
that is said early is lost.
"""

import json
import os
import socket


LINE_MAX = 1 << 20  # bytes: twice what the statistics take with all their rows


class LineSocket:
    """Collects whole lines from a socket. One that is longer than LINE_MAX is dropped, and counted."""

    def __init__(self, connection):
        self.connection = connection
        self.rest = b""
        self.dropping = False  # until the newline
        self.dropped = 0

    def fileno(self):
        return self.connection.fileno()

    def receive(self):
        """The lines that have come, and whether the other end is still there."""
        try:
            data = self.connection.recv(65536)
        except ConnectionError:
            data = b""
        *lines, self.rest = (self.rest + data).split(b"\n")
        if self.dropping and lines:
            del lines[0]
            self.dropping = False
        if len(self.rest) > LINE_MAX:
            self.dropping = True
            self.dropped += 1
        if self.dropping:
            self.rest = b""
        return [line for line in lines if line.strip()], bool(data)

    def send(self, line):
        """False if the other end has gone, which receive says too, or does not read."""
        try:
            self.connection.sendall(line.rstrip(b"\n") + b"\n")
        except OSError:
            return False
        return True


def listen(path):
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(path)
    server.listen(4)
    return server


def accept(server, process, seconds=30):
    """QEMU's connection, or None if QEMU ended first."""
    server.settimeout(0.05)
    for _ in range(int(seconds / 0.05)):
        try:
            connection = server.accept()[0]
            connection.setblocking(True)
            return LineSocket(connection)
        except TimeoutError:
            if process.poll() is not None:
                return None
    return None


def decode(line):
    """A line as a dictionary; None if it is not one."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


class Monitor:
    """QMP: QEMU's docs/interop/qmp-spec."""

    def __init__(self, lines):
        self.lines = lines
        self.reason = None  # of the machine's end: "guest-shutdown", "host-qmp-quit" ...
        self.version = None

    def call(self, command, seconds=5, **arguments):
        """Asks and waits for the answer; None if there is none."""
        request = {"execute": command}
        if arguments:
            request["arguments"] = arguments
        self.lines.send(json.dumps(request).encode())
        self.lines.connection.settimeout(seconds)
        try:
            while True:
                lines, alive = self.lines.receive()
                answers = [answer for answer in map(self.note, lines) if answer is not None]
                if answers:
                    return answers[0]
                if not alive:
                    return None
        except TimeoutError:
            return None
        finally:
            self.lines.connection.settimeout(None)

    def note(self, line):
        """Remembers an event; returns an answer's value."""
        message = decode(line) or {}
        if "QMP" in message:
            version = message["QMP"]["version"]["qemu"]
            self.version = "{major}.{minor}.{micro}".format(**version)
        if message.get("event") == "SHUTDOWN":
            self.reason = message["data"]["reason"]
        return message.get("return", message.get("error"))

    def registers(self):
        """Name -> value of the hart's registers."""
        text = self.call("human-monitor-command", **{"command-line": "info registers"})
        words = text.split() if isinstance(text, str) else []
        values = {}
        for name, value in zip(words, words[1:]):
            try:
                values.setdefault(name.rstrip(":"), int(value, 16))
            except ValueError:
                continue
        return values


def live_runs(folder):
    """Sockets of the runs that are going on, newest first."""
    try:
        names = [os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".ctl")]
    except FileNotFoundError:
        return []
    return sorted(names, key=os.path.getmtime, reverse=True)


def connect(folder):
    """To the newest run that is going on; None if there is none."""
    for path in live_runs(folder):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(path)
            return LineSocket(connection)
        except OSError:
            os.unlink(path)  # of a runner that was killed
    return None


def ask(lines, command):
    """The answer to one command; None if the run has ended."""
    lines.send(json.dumps({"command": command}).encode())
    while True:
        received, alive = lines.receive()
        for line in received:
            message = decode(line) or {}
            if message.get("reply") == command or "error" in message:
                return message
        if not alive:
            return None
