"""`make walk`: what happened, step by step, for a few things that a guest did in a real run.

Our guest runs under the VMM, on a machine that has what is to be shown; gdb stops at the VMM's functions and reads the
registers. Options: EVENT (one of them alone), PATCH (off unless given), HTML (a page too), MEM, MMU.
"""

import os
import signal
import sys

from .runner import ending, walk
from .runner.options import Refusal

HERE = os.path.dirname(os.path.abspath(__file__))


def main():
    os.chdir(os.path.join(HERE, ".."))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        walk.walk(*walk.read_options())
    except Refusal as refusal:
        print(f"trident: {refusal}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    ending.run(main)
