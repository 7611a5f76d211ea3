"""`make top`: what the run that is going on does, second by second; q or Ctrl-C quits.

ONCE=1, or an output that is no terminal: one screen, of one second.
"""

import curses
import os
import select
import sys
import time

from .runner import control, ending, options, top
from .runner.session import RUN_FOLDER

HERE = os.path.dirname(os.path.abspath(__file__))
PERIOD = 1  # seconds
PATIENCE = 10
QUIT = (ord("q"), ord("Q"), 3)  # Ctrl-C as a key: make does not see it


class Ended(Exception):
    """The run has."""


def sample(lines):
    answer = control.ask(lines, "stats")
    if not answer:
        raise Ended
    return answer["statistics"]


def once(lines):
    before = sample(lines)
    time.sleep(PERIOD)
    size = os.get_terminal_size() if sys.stdout.isatty() else os.terminal_size((80, 25))
    print("\n".join(top.screen(top.Rates(before, sample(lines)), size.columns, size.lines)))


def draw(window, rates):
    height, width = window.getmaxyx()
    window.erase()
    for row, line in enumerate([*top.screen(rates, width - 1, height), "q quits"][:height]):
        window.addnstr(row, 0, line, width - 1, curses.A_REVERSE if line.startswith("exits ") else 0)
    window.refresh()


def live(window, lines):
    curses.raw()
    window.nodelay(True)
    before = None
    while True:
        now = sample(lines)
        draw(window, top.Rates(before, now))
        before = now
        until = time.monotonic() + PERIOD
        while (left := until - time.monotonic()) > 0:
            ready, _, _ = select.select([0, lines], [], [], left)
            while (key := window.getch()) != curses.ERR:
                if key in QUIT:
                    return
                if key == curses.KEY_RESIZE:
                    draw(window, top.Rates(None, now))
            if lines in ready and not lines.receive()[1]:
                raise Ended


def main():
    os.chdir(os.path.join(HERE, ".."))
    try:
        options.check_given(os.environ)
        just_once = options.flag("ONCE", os.environ.get("ONCE"))
    except options.Refusal as refusal:
        print(f"trident: {refusal}", file=sys.stderr)
        return 2
    lines = control.connect(RUN_FOLDER)
    if lines is None:
        print("trident: no run with the VMM is going on: start one with make qemu in another terminal.",
              file=sys.stderr)
        return 1
    lines.connection.settimeout(PATIENCE)
    try:
        control.ask(lines, "times")
        if just_once or not (sys.stdout.isatty() and sys.stdin.isatty()):
            once(lines)
        else:
            curses.wrapper(live, lines)
    except Ended:
        print("trident: the run has ended.")
    except curses.error as error:
        print(f"trident: the terminal cannot be used ({error}): set TERM, or use ONCE=1.", file=sys.stderr)
        return 1
    except TimeoutError:
        print("trident: the VMM does not answer.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    ending.run(main)
