"""RUN for U-Boot, which takes no commands from outside: they are typed at its prompt.

Its shell keeps the status of the last command in $?; the runner asks for it after each.
"""

import re
import subprocess

from .session import Session

AUTOBOOT = b"Hit any key to stop autoboot"
PROMPT = b"=> "
STATUS = r"^%s status=(\d+)$"  # %s: the run's number


def split(text):
    """The commands of RUN: at each semicolon outside quotes."""
    pieces = re.findall(r"""(?:[^;'"]|'[^']*'|"[^"]*"|['"])+""", text)
    return [piece.strip() for piece in pieces if piece.strip()]


class UBootSession(Session):
    stdin = subprocess.PIPE

    def __init__(self, options, folder):
        super().__init__(options, folder)
        self.commands = split(options.run)
        self.stopped = False  # the countdown
        self.asked = None     # the command whose status is not known yet
        self.status = re.compile(STATUS % options.number, re.MULTILINE)

    def on_console(self, stdout):
        alive = super().on_console(stdout)
        if not self.stopped and AUTOBOOT in self.tail:
            self.stopped = True
            self.type("")
        elif self.stopped and self.tail == PROMPT:
            self.at_prompt()
        return alive

    def at_prompt(self):
        if self.asked:
            self.type(f"echo {self.options.number} status=$?")
        elif self.commands:
            self.asked = self.commands.pop(0)
            self.type(self.asked)
        else:
            self.type("poweroff")

    def type(self, line):
        self.tail = b""
        self.process.stdin.write(line.encode() + b"\r")
        self.process.stdin.flush()

    def heard(self, text):
        match = self.status.search(text)
        if match and self.asked:
            if int(match[1]):
                self.failures.append(f"'{self.asked}' ended with status {match[1]}")
            self.asked = None

    def verdict(self):
        status, say = super().verdict(), self.blame
        if status == 0 and (self.failures or self.failed):
            say("a command of RUN failed")
            return 1
        if status == 0 and self.commands:
            say("the guest ended before it had carried out RUN")
            return 1
        return status
