"""A live table of the run that is going on (the newest one), once a second, until it ends.

  scripts/stats           the table, and how much an exit of each class costs: make stats
  scripts/stats COMMAND   send one command (stats, reset, pause, resume, quit, where, trace, times), print the answer:
                          make where, pause, resume, reset
"""

import json
import os
import socket
import sys

from .runner import control, ending, report
from .runner.session import RUN_FOLDER

HERE = os.path.dirname(os.path.abspath(__file__))


def show(lines):
    """The table, again and again."""
    control.ask(lines, "times")
    while answer := control.ask(lines, "stats"):
        if sys.stdout.isatty():
            print("\033[H\033[2J", end="")
        statistics = answer["statistics"]
        print(f"{report.table(statistics, counted=False)}\n\n{report.spread_table(statistics)}", flush=True)
        lines.connection.settimeout(1)
        try:
            if not lines.connection.recv(1, socket.MSG_PEEK):
                break
        except TimeoutError:
            pass
        lines.connection.settimeout(10)


def main(arguments):
    os.chdir(os.path.join(HERE, ".."))
    lines = control.connect(RUN_FOLDER)
    if lines is None:
        print("trident: no run with the VMM is going on: start one with make qemu in another terminal.",
              file=sys.stderr)
        return 1
    lines.connection.settimeout(10)
    try:
        if not arguments:
            show(lines)
            return 0
        answer = control.ask(lines, arguments[0])
    except TimeoutError:
        print("trident: the VMM does not answer.", file=sys.stderr)
        return 1
    print(json.dumps(answer))
    return 0 if answer and "error" not in answer else 1


if __name__ == "__main__":
    ending.run(main, sys.argv[1:])
