"""How a program ends whose output somebody else reads: `make top | head` closes it early."""

import os
import sys


def run(main, *arguments):
    """Exits with main's status; 130 after Ctrl-C; 0 when the reader has gone, who has what he wanted."""
    try:
        status = main(*arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        status = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is flushed at the exit
        status = 0
    sys.exit(status)
