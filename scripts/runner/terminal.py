"""The terminal of an interactive run: whose it is, and which key ends the run.

QEMU's console is a pair of pipes, and the runner is between them and the terminal, so that it can still ask the VMM for
its statistics when Ctrl-A X is typed (QEMU's own key would end QEMU first). All else is passed on: what else begins with
Ctrl-A is QEMU's multiplexer's, as before (Ctrl-A C for its monitor, Ctrl-A Ctrl-A for one Ctrl-A, Ctrl-A H for the list).

A terminal that does not read keeps the guest waiting and not the run: output is copied by a thread of its own, and the
pipe from QEMU is short.
"""

import contextlib
import fcntl
import os
import selectors
import termios
import threading

ESCAPE, QUIT = b"\x01"[0], b"x"[0]  # Ctrl-A; QEMU's chardev/char-mux.c knows it in this case alone
PIPE_BYTES = 4096      # on the way from QEMU: what the guest is ahead of the terminal
PENDING_MAX = 1 << 16  # bytes typed that the guest has not taken: from then on the terminal waits
DRAIN = 5              # seconds for the terminal to take the last of the output


class Keys:
    """Splits what is typed into what is QEMU's and the one command that is the runner's."""

    def __init__(self):
        self.escaped = False  # Ctrl-A was typed, and what follows is not known yet

    def feed(self, data):
        """(bytes for QEMU, whether Ctrl-A X was typed; what is typed after it is dropped)."""
        passed = bytearray()
        for byte in data:
            if self.escaped:
                if byte == QUIT:
                    return bytes(passed), True
                passed += bytes((ESCAPE, byte))
                self.escaped = False
            elif byte == ESCAPE:
                self.escaped = True
            else:
                passed.append(byte)
        return bytes(passed), False


def make_raw(attributes):
    """Each key is the guest's, Ctrl-C too; the output's line ends stay the terminal's (as QEMU does it)."""
    iflag, oflag, cflag, lflag, ispeed, ospeed, characters = attributes
    iflag &= ~(termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP | termios.INLCR | termios.IGNCR
               | termios.ICRNL | termios.IXON)
    lflag &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.IEXTEN | termios.ISIG)
    cflag = cflag & ~(termios.CSIZE | termios.PARENB) | termios.CS8
    characters = list(characters)
    characters[termios.VMIN], characters[termios.VTIME] = 1, 0
    return [iflag, oflag | termios.OPOST, cflag, lflag, ispeed, ospeed, characters]


def copy(source, sink):
    """Until the source has ended, or nobody wants to have it."""
    with contextlib.suppress(OSError):
        while data := os.read(source, PIPE_BYTES):
            while data:
                data = data[os.write(sink, data):]
    if sink > 2:
        os.close(sink)


class Terminal:
    """Between the user and QEMU's console. selector: the run's, whose keys' data are handlers that return False when
    they want no more calls."""

    def __init__(self, process, selector):
        self.process, self.selector = process, selector
        self.keys, self.pending = Keys(), b""
        self.left = False  # Ctrl-A X was typed
        self.saved = termios.tcgetattr(0) if os.isatty(0) else None
        with contextlib.suppress(OSError):  # a kernel that does not do it: the guest is further ahead
            fcntl.fcntl(process.stdout.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        os.set_blocking(process.stdin.fileno(), False)
        self.output = threading.Thread(target=copy, args=(process.stdout.fileno(), 1), daemon=True)
        if self.saved:
            termios.tcsetattr(0, termios.TCSANOW, make_raw(self.saved))
        self.output.start()
        self.input = self.find_input()
        self.watch_input()

    @property
    def ends(self):
        """What the selector has of it, which says nothing about the run's end."""
        return (self.input, self.process.stdin)

    def watch_input(self):
        self.selector.register(self.input, selectors.EVENT_READ, self.on_key)

    def find_input(self):
        """A descriptor that can be waited for: of a file that is none (epoll's EPERM), what is copied from it."""
        with contextlib.suppress(PermissionError):
            self.selector.register(0, selectors.EVENT_READ)
            self.selector.unregister(0)
            return 0
        end, source = os.pipe()
        threading.Thread(target=copy, args=(0, source), daemon=True).start()
        return end

    def on_key(self, source):
        try:
            data = os.read(source, PIPE_BYTES)
        except OSError:  # the terminal has gone; SIGHUP says the rest
            data = b""
        passed, left = self.keys.feed(data)
        self.left |= left
        if passed and not self.pending:
            self.selector.register(self.process.stdin, selectors.EVENT_WRITE, self.on_room)
        self.pending += passed
        return bool(data) and len(self.pending) < PENDING_MAX

    def on_room(self, stdin):
        """QEMU takes some of what was typed."""
        waited = len(self.pending) >= PENDING_MAX
        try:
            self.pending = self.pending[os.write(stdin.fileno(), self.pending):]
        except BlockingIOError:
            pass
        except OSError:
            self.pending = b""  # QEMU has ended, which its other channels tell
        if waited and len(self.pending) < PENDING_MAX:
            self.watch_input()
        return bool(self.pending)

    def restore(self):
        """When QEMU has ended: the last of its output, and the terminal as it was."""
        self.output.join(DRAIN)
        if self.saved:
            termios.tcsetattr(0, termios.TCSADRAIN, self.saved)
